//! One turn of `bench harm`: a patch goes in and out while tasks sleep.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::kmod::{DeleteModuleFlags, delete_module};
use nix::sys::signal::Signal;

use super::told::{self, Progress, Told};
use crate::actor::Actor;
use crate::guest;
use crate::oracle::{self, Complaint, Oracle, Said};
use crate::patch::{self, Patch};
use crate::tasks::{self, Code};

/// Where the tasks sleep that no patch here replaces: foreign tracing of this
/// function is known to keep them from switching (see `reason_fexit`).
pub const NAPPING_IN: &str = "hrtimer_nanosleep";

/// Where the tasks sleep that `lp_sleepers` replaces.
pub const PAUSING_IN: &str = "__x64_sys_pause";

/// Threads asleep in each.
const THREADS: usize = 3;

/// The sleepers are woken once the kernel has found them asleep so often, so
/// that how long they sleep is told by the kernel's own clock.
const REFUSED: usize = 3;

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Story {
    /// A patch that no task stands in the way of.
    Easy,
    /// A patch of the very function in which tasks are asleep.
    Asleep,
}

/// One transition and all that was seen of it.
pub struct Seen {
    pub direction: &'static str,
    pub told: Told,
    /// The tasks left after each second.
    pub left: Vec<usize>,
    /// The kernel's words on the tasks that sleep: how many of them it found
    /// in which function, or on which stack it could not rely.
    pub verdicts: BTreeMap<String, usize>,
    /// Tries that it took once the sleepers were woken; none where they were
    /// not.
    pub tries_after_waking: Option<usize>,
}

/// A turn.
pub struct Turn {
    pub transitions: [Seen; 2],
    /// How long the kernel took to let go of the module.
    pub unloading: Duration,
    /// How often it refused before.
    pub held: usize,
}

/// Those who sleep. Begun after all hooks are placed: what a hook leaves on a
/// stack is only there if the task fell asleep through it.
pub struct Sleepers {
    napping: Actor,
    pausing: Actor,
}

impl Sleepers {
    pub fn start() -> Result<Self> {
        let more = (THREADS - 1).to_string();
        let (napping, pausing) = (
            Actor::start(&["napping", &more])?,
            Actor::start(&["pausing", &more])?,
        );
        napping.wait_in(NAPPING_IN)?;
        let sleepers = Self { napping, pausing };
        sleepers.wait_paused()?;
        Ok(sleepers)
    }

    fn tids(&self) -> BTreeSet<i32> {
        let all = [self.napping.tids(), self.pausing.tids()];
        all.into_iter().flatten().collect()
    }

    fn wait_paused(&self) -> Result<()> {
        self.pausing.wait_in("_pause")
    }

    /// Lets them leave the function and enter it again: all of them, so the
    /// second signal may not come before the first has reached each.
    fn wake(&self) -> Result<()> {
        self.pausing.signal(Signal::SIGSTOP)?;
        self.pausing.wait_stopped()?;
        self.pausing.signal(Signal::SIGCONT)
    }
}

impl Story {
    pub const ALL: [Self; 2] = [Self::Easy, Self::Asleep];

    pub fn name(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Asleep => "asleep",
        }
    }

    pub fn patch(self) -> &'static str {
        match self {
            Self::Easy => "lp_cmdline",
            Self::Asleep => "lp_sleepers",
        }
    }

    /// Patches, unpatches and unloads; `each` is called once a second or so.
    pub fn play(
        self,
        oracle: &mut Oracle,
        sleepers: &Sleepers,
        mut each: impl FnMut() -> Result<()>,
    ) -> Result<Turn> {
        let name = self.patch();
        let (patch, patching) =
            self.transition(oracle, sleepers, Code::Old, &mut each, || Patch::load(name))?;
        sleepers.wait_paused()?;
        let ((), unpatching) =
            self.transition(oracle, sleepers, Code::New, &mut each, || patch.disable())?;
        let (unloading, held) = unload(name)?;
        Ok(Turn {
            transitions: [patching, unpatching],
            unloading,
            held,
        })
    }

    /// A transition away from that code.
    fn transition<T>(
        self,
        oracle: &mut Oracle,
        sleepers: &Sleepers,
        away_from: Code,
        each: &mut impl FnMut() -> Result<()>,
        begin: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Seen)> {
        let tids = sleepers.tids();
        let mark = oracle.mark()?;
        let mut left = Vec::new();
        let mut tries_till_woken = None;
        let (begun, told) = told::follow(oracle, self.patch(), begin, |now: &Progress<'_>| {
            if now.since.as_secs() > u64::try_from(left.len())? {
                left.push(tasks::running(away_from).len());
                each()?;
            }
            let refused = about(now.said, &tids);
            if tries_till_woken.is_none() && oracle::tries(&refused) >= REFUSED {
                tries_till_woken = Some(oracle::tries(now.said));
                sleepers.wake()?;
            }
            Ok(())
        })?;
        let tries_after_waking = tries_till_woken.map(|before| told.tries.saturating_sub(before));
        let seen = Seen {
            direction: match away_from {
                Code::Old => "patching",
                Code::New => "unpatching",
            },
            told,
            left,
            verdicts: verdicts(&about(oracle.since(mark)?, &tids)),
            tries_after_waking,
        };
        Ok((begun, seen))
    }
}

/// What was said about these tasks, apart from that they were running, which a
/// task that was woken is for a moment.
fn about(said: &[Said], tids: &BTreeSet<i32>) -> Vec<Said> {
    let about = |said: &&Said| tids.contains(&said.pid) && said.complaint != Complaint::Running;
    said.iter().filter(about).cloned().collect()
}

fn verdicts(said: &[Said]) -> BTreeMap<String, usize> {
    let words: BTreeSet<(i32, String)> = said
        .iter()
        .map(|said| {
            let words = match &said.complaint {
                Complaint::Running => "running".to_owned(),
                Complaint::UnreliableStack => "unreliable stack".to_owned(),
                Complaint::SleepingOn(function) => format!("asleep in {function}"),
            };
            (said.pid, words)
        })
        .collect();
    let mut verdicts = BTreeMap::new();
    for (_, words) in words {
        *verdicts.entry(words).or_default() += 1;
    }
    verdicts
}

/// Unloads a module: gives how long that took and how often the kernel refused.
fn unload(name: &str) -> Result<(Duration, usize)> {
    let c_name = CString::new(name)?;
    guest::wait_until("the kernel forgets the patch", || {
        Ok(patch::enabled(name)?.is_none())
    })?;
    let started = Instant::now();
    // livepatch itself holds it until a moment after its folder is gone
    // (klp_free_patch_finish, kernel/livepatch/core.c). Whoever else does is to
    // be found out: then this has no end, or the kernel refuses below.
    guest::wait_until("nobody holds the module", || {
        let count = fs::read_to_string(format!("/sys/module/{name}/refcnt"))?;
        Ok(count.trim() == "0")
    })?;
    let mut held = 0;
    guest::wait_until("the kernel lets go of the module", || {
        match delete_module(&c_name, DeleteModuleFlags::O_NONBLOCK) {
            Ok(()) => Ok(true),
            Err(Errno::EWOULDBLOCK | Errno::EBUSY) => {
                held += 1;
                Ok(false)
            }
            Err(errno) => Err(errno).with_context(|| format!("unloading {name}")),
        }
    })?;
    Ok((started.elapsed(), held))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_counts_once_for_each_verdict() {
        let said = |pid, complaint| Said {
            at: Duration::ZERO,
            pid,
            complaint,
        };
        let asleep = || Complaint::SleepingOn("f".to_owned());
        let all = [
            said(1, asleep()),
            said(1, asleep()),
            said(2, asleep()),
            said(2, Complaint::Running),
            said(3, Complaint::UnreliableStack),
            said(9, Complaint::UnreliableStack),
        ];
        let of_mine = about(&all, &BTreeSet::from([1, 2, 3]));
        let expected = [
            ("asleep in f".to_owned(), 2),
            ("unreliable stack".to_owned(), 1),
        ];
        assert_eq!(verdicts(&of_mine), BTreeMap::from(expected));
    }
}
