//! What may keep a patch's code from running although the patch is enabled:
//! other probes on its functions, and ftrace switched off.

use std::{collections::HashMap, time::Duration};

use crate::{
    kernel::{Roots, ftrace, host::Clocks, kprobes::Kprobes},
    model::calls::FunctionId,
    probe::{CallCounter, CountKind},
};

/// The kernel builds its list of probes for each reader. It is therefore read
/// at most once a second, and reading it takes at most a hundredth of the time.
const EVERY: Duration = Duration::from_secs(1);
const SHARE: u32 = 100;

/// The other hooks on this host.
#[derive(Default)]
pub(super) struct Suspects {
    pub ftrace_off: bool,
    kprobes: Option<Kprobes>,
    /// When the list was last read, since boot, and how long that took.
    read: Option<(Duration, Duration)>,
    /// How many other probes ours was moved in front of, by the function's
    /// address.
    in_front_of: HashMap<u64, usize>,
}

impl Suspects {
    /// Checks whether ftrace is on.
    pub fn look_at_ftrace(&mut self, roots: &Roots) {
        self.ftrace_off = ftrace::is_enabled(roots) == Some(false);
    }

    /// Reads the list of probes again, unless it was read just now.
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
            tracing::debug!(%error, "the other probes cannot be read");
        }
        self.kprobes = kprobes.ok();
        self.read = Some((began, Clocks::now().boot.saturating_sub(began)));
    }

    /// Makes the next look read the list again.
    pub fn forget(&mut self) {
        self.read = None;
    }

    /// Whether other probes were added to a function that we count by kprobe,
    /// so that ours no longer runs first; reported once.
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
            "probe is"
        } else {
            "probes are"
        };
        let name = &id.name;
        vec![
            format!(
                "Likely cause: {others} other {probes} on {name}. A probe that moves the \
                 instruction pointer undoes a patch. List the probes: \
                 grep {name} /sys/kernel/debug/kprobes/list"
            ),
            "Unload what placed the probe, or treat the host as not patched.".to_owned(),
        ]
    }
}
