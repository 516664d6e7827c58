//! What may keep a patch's code from running although the patch is enabled.

use crate::{
    kernel::{Roots, ftrace, kprobes::Kprobes},
    model::calls::FunctionId,
    probe::{CallCounter, CountKind},
};

/// What else hooks functions on this host.
pub(super) struct Suspects {
    pub ftrace_off: bool,
    kprobes: Option<Kprobes>,
}

impl Suspects {
    /// Looks at the host; at its probes only if there is a doubt, since the
    /// kernel makes that list anew for each reader.
    pub fn look(roots: &Roots, is_doubtful: bool) -> Self {
        let kprobes = is_doubtful.then(|| Kprobes::read(roots));
        let kprobes = kprobes.and_then(|read| {
            read.inspect_err(|error| tracing::debug!(%error, "other probes are not seen"))
                .ok()
        });
        Self {
            ftrace_off: ftrace::is_enabled(roots) == Some(false),
            kprobes,
        }
    }

    /// The suspects at a function that we count ourselves.
    pub fn of(&self, id: &FunctionId, counter: &CallCounter) -> Vec<String> {
        let Some(kprobes) = &self.kprobes else {
            return Vec::new();
        };
        let ours = usize::from(counter.kind == CountKind::Kprobe);
        let others = kprobes.at(counter.address).saturating_sub(ours);
        if others == 0 {
            return Vec::new();
        }
        let probes = if others == 1 {
            "probe stands"
        } else {
            "probes stand"
        };
        let name = &id.name;
        vec![
            format!(
                "Likely cause: {others} other {probes} at {name}, and one that moves the \
                 instruction pointer undoes a patch (grep {name} /sys/kernel/debug/kprobes/list)."
            ),
            "Unload what placed it, or treat the host as not patched.".to_owned(),
        ]
    }
}
