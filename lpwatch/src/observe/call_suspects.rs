//! What may keep a patch's code from running although the patch is enabled:
//! other probes at its functions, and ftrace switched off.

use std::{collections::HashMap, time::Duration};

use crate::{
    kernel::{Roots, ftrace, host::Clocks, kprobes::Kprobes},
    model::calls::FunctionId,
    probe::{CallCounter, CountKind},
};

/// The kernel makes its list of probes anew for each reader: it is read once a
/// second, or so seldom that it takes a hundredth of the time.
const EVERY: Duration = Duration::from_secs(1);
const SHARE: u32 = 100;

/// What else hooks functions on this host.
#[derive(Default)]
pub(super) struct Suspects {
    pub ftrace_off: bool,
    kprobes: Option<Kprobes>,
    /// When the list was read last, since boot, and how long that took.
    read: Option<(Duration, Duration)>,
    /// Functions at which ours was put before so many others.
    in_front_of: HashMap<u64, usize>,
}

impl Suspects {
    /// Looks whether ftrace is on.
    pub fn look_at_ftrace(&mut self, roots: &Roots) {
        self.ftrace_off = ftrace::is_enabled(roots) == Some(false);
    }

    /// Looks at the probes again, unless that was done just now.
    pub fn look(&mut self, roots: &Roots) {
        let began = Clocks::now().boot;
        let is_fresh = self.read.is_some_and(|(at, took)| {
            began.saturating_sub(at) < EVERY.max(took.saturating_mul(SHARE))
        });
        if is_fresh {
            return;
        }
        let kprobes = Kprobes::read(roots);
        if let Err(error) = &kprobes {
            tracing::debug!(%error, "other probes are not seen");
        }
        self.kprobes = kprobes.ok();
        self.read = Some((began, Clocks::now().boot.saturating_sub(began)));
    }

    /// Lets the next look be a new one.
    pub fn forget(&mut self) {
        self.read = None;
    }

    /// Whether others came to a function that we count by kprobe, so that ours
    /// is not asked first any more; told once.
    pub fn overtook(&mut self, counter: &CallCounter) -> bool {
        if counter.kind != CountKind::Kprobe {
            return false;
        }
        let others = self.others(counter);
        let known = self.in_front_of.insert(counter.address, others);
        others > known.unwrap_or(0)
    }

    fn others(&self, counter: &CallCounter) -> usize {
        let ours = usize::from(counter.kind == CountKind::Kprobe);
        let all = self
            .kprobes
            .as_ref()
            .map_or(0, |list| list.at(counter.address));
        all.saturating_sub(ours)
    }

    /// The suspects at a function that we count ourselves, a sentence each.
    pub fn of(&self, id: &FunctionId, counter: &CallCounter) -> Vec<String> {
        let others = self.others(counter);
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
