//! What a transition waits for if it is no task: a callback of the patch, a CPU that
//! a task holds, or the kernel's own work.
//!
//! The task in the kernel's livepatch code shows it by its stack
//! (kernel/livepatch/core.c and transition.c, 5.10 to 7.3): `pre_patch` and
//! `pre_unpatch` run before any task may switch, `post_patch` and `post_unpatch`
//! after all have. Meanwhile the kernel holds `klp_mutex`, so that it does nothing
//! else for any patch.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{Direction, Task, TaskKind, evidence::Frame};

/// What a transition waits for if it is no task. Before `pre_patch` or `pre_unpatch`
/// returns, no task can switch; during `post_patch` and `post_unpatch` every task has
/// switched. Unknown values are `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "WaitsFor"))]
pub struct TransitionHold {
    /// The kind of what it waits for.
    pub reason: WaitReason,
    /// Which callback runs; `null` if none does, or if it is unknown which.
    pub callback: Option<CallbackKind>,
    /// The callback's own function, or the kernel's function that does not return;
    /// `null` if it left no frame on the stack.
    pub function: Option<String>,
    /// The module of the callback.
    pub module: Option<String>,
    /// The thread that is in the kernel's livepatch code, e.g. in the callback; `null`
    /// if there is none.
    pub tid: Option<u32>,
    /// The process of `tid`.
    pub tgid: Option<u32>,
    /// The name of `tid`.
    pub comm: Option<String>,
    /// The kind of `tid`.
    pub kind: Option<TaskKind>,
    /// The state of `tid` as in ps(1): `R`, `S`, `D`, ...
    pub state: Option<char>,
    /// How long the transition has waited for it, in seconds.
    pub since_seconds: Option<f64>,
    /// The kernel stack of `tid`, in the form of a blocker's. Empty if unknown.
    pub stack: Vec<String>,
    /// The frame of `function`, as an index into `stack`, from 0.
    pub frame: Option<usize>,
    /// The real-time task that keeps a CPU; `null` if there is none.
    pub holder: Option<CpuHolder>,
}

/// The kind of what a transition waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WaitReason {
    /// A callback of a patch runs.
    Callback,
    /// The kernel's own work waits for a CPU that a real-time task keeps for itself.
    CpuHeld,
    /// The kernel's own work does not end, for an unknown reason.
    Kernel,
}

impl WaitReason {
    /// As in JSON and in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A callback of a patch (`struct klp_callbacks`, include/linux/livepatch.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CallbackKind {
    /// It runs before the patch is enabled. If it fails, the kernel gives up enabling
    /// the patch.
    PrePatch,
    /// It runs after all tasks have switched to the new code.
    PostPatch,
    /// It runs before the patch is disabled.
    PreUnpatch,
    /// It runs after all tasks have switched back.
    PostUnpatch,
}

impl CallbackKind {
    /// As in C and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The direction of a transition in which no task can switch before this callback
    /// returns.
    #[must_use]
    pub fn direction_before(self) -> Option<Direction> {
        match self {
            Self::PrePatch => Some(Direction::Patching),
            Self::PreUnpatch => Some(Direction::Unpatching),
            Self::PostPatch | Self::PostUnpatch => None,
        }
    }
}

/// A real-time task that keeps a CPU for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CpuHolder {
    /// The number of the CPU.
    pub cpu: u32,
    /// The id of the thread.
    pub tid: u32,
    /// The id of its process.
    pub tgid: u32,
    /// Its name.
    pub comm: String,
    /// Whether it is a thread of the kernel.
    pub kthread: bool,
    /// Its real-time policy.
    pub policy: Policy,
    /// Its real-time priority, 1 to 99; `null` with the policy `deadline`.
    pub priority: Option<u32>,
}

/// A real-time policy (sched(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "RealTimePolicy"))]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// `SCHED_FIFO`.
    Fifo,
    /// `SCHED_RR`.
    RoundRobin,
    /// `SCHED_DEADLINE`.
    Deadline,
}

impl Policy {
    /// The policy with this number (include/uapi/linux/sched.h), if it is real-time.
    #[must_use]
    pub fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Fifo),
            2 => Some(Self::RoundRobin),
            6 => Some(Self::Deadline),
            _ => None,
        }
    }

    /// As in sched(7).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fifo => "SCHED_FIFO",
            Self::RoundRobin => "SCHED_RR",
            Self::Deadline => "SCHED_DEADLINE",
        }
    }
}

/// A search for what a transition waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitSample {
    /// When it began, since boot.
    pub at: Duration,
    /// The task in the kernel's livepatch code.
    pub task: Option<Task>,
    pub holders: Vec<CpuHolder>,
}

/// Where a task is in the kernel's livepatch code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    site: Site,
    /// Whether it runs a callback, which may have left no frame.
    is_callback: bool,
    /// The callback's frame, or that of the function that livepatch called.
    frame: Option<usize>,
}

/// The function of livepatch, by the callbacks that it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    Enable,
    Disable,
    Complete,
    /// The kernel gives up enabling a patch.
    Cancel,
    /// A module comes or goes: either callback of that direction.
    Module,
    /// No callback is called from here.
    Inner,
}

/// Functions of livepatch that work on a transition or call a callback. Each can be
/// inlined into the next outer one.
const SITES: [(&str, Site); 24] = [
    ("klp_pre_patch_callback", Site::Enable),
    ("klp_pre_unpatch_callback", Site::Disable),
    ("klp_post_patch_callback", Site::Complete),
    ("klp_post_unpatch_callback", Site::Complete),
    ("klp_enable_patch", Site::Enable),
    ("__klp_enable_patch", Site::Enable),
    ("__klp_disable_patch", Site::Disable),
    ("enabled_store", Site::Disable),
    ("klp_complete_transition", Site::Complete),
    ("klp_try_complete_transition", Site::Complete),
    ("klp_transition_work_fn", Site::Complete),
    ("klp_cancel_transition", Site::Cancel),
    ("klp_module_coming", Site::Module),
    ("klp_module_going", Site::Module),
    ("klp_cleanup_module_patches_limited", Site::Module),
    ("klp_start_transition", Site::Inner),
    ("klp_synchronize_transition", Site::Inner),
    ("klp_patch_object", Site::Inner),
    ("klp_unpatch_object", Site::Inner),
    ("__klp_unpatch_object", Site::Inner),
    ("klp_unpatch_objects", Site::Inner),
    ("klp_unpatch_replaced_patches", Site::Inner),
    ("klp_discard_nops", Site::Inner),
    ("klp_force_transition", Site::Inner),
];

/// Beginnings of the kernel's functions that those of livepatch call themselves.
const CALLED: [&str; 25] = [
    "klp_",
    "__klp_",
    "schedule_on_each_cpu",
    "_printk",
    "printk",
    "vprintk",
    "static_",
    "__static_",
    "jump_label",
    "text_poke",
    "smp_text_poke",
    "stop_machine",
    "cpus_read_lock",
    "percpu_",
    "synchronize_",
    "register_ftrace",
    "unregister_ftrace",
    "ftrace_",
    "kfree",
    "__kmalloc",
    "kmalloc",
    "kmem_cache",
    "sched_dynamic_klp",
    "schedule",
    "__schedule",
];

/// Of those, what a preempted or interrupted function shows.
const PREEMPTED: [&str; 5] = ["__cond_resched", "preempt_schedule", "asm_", "irq", "_raw_"];

impl Step {
    /// Where the task with this stack is; `None` if it is not in this code, or only
    /// waits for its lock.
    #[must_use]
    pub fn of(stack: &[Frame]) -> Option<Self> {
        let (index, site) = stack
            .iter()
            .enumerate()
            .find_map(|(index, frame)| Some((index, site(frame)?)))?;
        let is_cancelled = || stack.iter().any(|frame| site_is(frame, Site::Cancel));
        let site = match site {
            Site::Complete if is_cancelled() => Site::Cancel,
            site => site,
        };
        let inner = stack.get(..index)?;
        let called = inner.last();
        if called.is_some_and(|frame| frame.symbol.contains("mutex_lock")) {
            return None;
        }
        let own = inner.iter().rposition(Frame::is_of_module);
        let is_foreign = |frame: &Frame| {
            let mut known = CALLED.iter().chain(&PREEMPTED);
            !known.any(|beginning| frame.symbol.starts_with(beginning))
        };
        let calls_back = !matches!(site, Site::Inner);
        let without_frame = calls_back && called.is_some_and(is_foreign);
        let is_callback = calls_back && (own.is_some() || without_frame);
        Some(Self {
            site,
            is_callback,
            frame: if is_callback {
                own
            } else {
                index.checked_sub(1)
            },
        })
    }

    /// Whether a callback runs, and has left its frame: nothing else has such a stack.
    #[must_use]
    pub fn is_certain(self) -> bool {
        self.is_callback && self.frame.is_some()
    }

    /// The callback that runs, in a transition of this direction.
    fn callback(self, direction: Direction) -> Option<CallbackKind> {
        if !self.is_callback {
            return None;
        }
        match (self.site, direction) {
            (Site::Enable, _) => Some(CallbackKind::PrePatch),
            (Site::Disable, _) => Some(CallbackKind::PreUnpatch),
            (Site::Complete, Direction::Patching) => Some(CallbackKind::PostPatch),
            (Site::Complete, Direction::Unpatching) | (Site::Cancel, _) => {
                Some(CallbackKind::PostUnpatch)
            }
            (Site::Module | Site::Inner, _) => None,
        }
    }
}

fn site(frame: &Frame) -> Option<Site> {
    // The compiler appends `.part.0`, `.constprop.0` and the like.
    let symbol = frame.symbol.split('.').next()?;
    let mut sites = SITES.iter().filter(|_| frame.module.is_none());
    sites
        .find(|(name, _)| *name == symbol)
        .map(|(_, site)| *site)
}

fn site_is(frame: &Frame, wanted: Site) -> bool {
    site(frame) == Some(wanted)
}

impl WaitSample {
    /// The callback that runs.
    #[must_use]
    pub fn callback(&self, direction: Direction) -> Option<CallbackKind> {
        Step::of(&self.task.as_ref()?.evidence.stack)?.callback(direction)
    }

    /// What the transition waits for, if anything was found.
    pub(super) fn wait(&self, direction: Direction, since: Option<f64>) -> Option<TransitionHold> {
        let holder = self.holders.first();
        let Some(task) = &self.task else {
            return holder.map(|holder| TransitionHold {
                since_seconds: since,
                ..TransitionHold::held(holder)
            });
        };
        let stack = &task.evidence.stack;
        let step = Step::of(stack)?;
        let frame = step.frame.and_then(|index| stack.get(index));
        let (reason, holder) = match holder {
            _ if step.is_callback => (WaitReason::Callback, None),
            Some(holder) => (WaitReason::CpuHeld, Some(holder.clone())),
            None => (WaitReason::Kernel, None),
        };
        Some(TransitionHold {
            reason,
            callback: step.callback(direction),
            function: frame.map(|frame| frame.symbol.clone()),
            module: frame.and_then(|frame| frame.module.clone()),
            tid: Some(task.tid),
            tgid: Some(task.tgid),
            comm: Some(task.comm.clone()),
            kind: Some(task.kind),
            state: task.evidence.state,
            since_seconds: since,
            stack: stack.iter().map(ToString::to_string).collect(),
            frame: step.frame,
            holder,
        })
    }

    /// Whether both found the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let step = |sample: &Self| {
            let task = sample.task.as_ref()?;
            let step = Step::of(&task.evidence.stack)?;
            Some((task.tid, step.site, step.is_callback))
        };
        let holder = |sample: &Self| Some((sample.holders.first()?.tid, sample.task.is_none()));
        step(self) == step(other) && (step(self).is_some() || holder(self) == holder(other))
    }
}

impl TransitionHold {
    /// A held CPU, with no task in the kernel's livepatch code.
    fn held(holder: &CpuHolder) -> Self {
        Self {
            reason: WaitReason::CpuHeld,
            callback: None,
            function: None,
            module: None,
            tid: None,
            tgid: None,
            comm: None,
            kind: None,
            state: None,
            since_seconds: None,
            stack: Vec::new(),
            frame: None,
            holder: Some(holder.clone()),
        }
    }

    /// Whether no task can switch before it ends.
    #[must_use]
    pub fn is_before_switching(&self) -> bool {
        self.callback
            .is_some_and(|callback| callback.direction_before().is_some())
    }

    /// What to do about it. A command follows its sentence after a newline.
    pub(super) fn steps(&self) -> Vec<String> {
        match (self.reason, &self.holder) {
            (WaitReason::Callback, _) => self.callback_steps(),
            (WaitReason::CpuHeld, Some(holder)) => holder.steps(self.tid.is_some()),
            (WaitReason::CpuHeld | WaitReason::Kernel, _) => {
                let mut steps = self.explain("The kernel itself does not return. See its stack:");
                steps.push(LOCKED.to_owned());
                steps
            }
        }
    }

    fn callback_steps(&self) -> Vec<String> {
        let mut steps = self.explain(
            "The transition goes on when the callback returns. Ask the author of the patch what \
             it waits for, and see its stack:",
        );
        steps.push(LOCKED.to_owned());
        steps
    }

    fn explain(&self, sentence: &str) -> Vec<String> {
        let command = |tid: u32| format!("{sentence}\nlpwatch explain {tid}");
        self.tid.map(command).into_iter().collect()
    }
}

/// What an operator would otherwise try.
const LOCKED: &str = "Do not reverse or force the transition: the kernel's livepatch lock is \
    taken until then, so that the write would not return either. No other patch can be enabled or \
    disabled.";

impl CpuHolder {
    /// What makes it give up the CPU; `is_locked` if livepatch's lock is taken.
    fn steps(&self, is_locked: bool) -> Vec<String> {
        let Self { cpu, tid, tgid, .. } = self;
        let mut steps = vec![format!(
            "The kernel's own work cannot run on CPU {cpu} while that task keeps it. Give the task \
             the ordinary policy:\nchrt -o -p 0 {tid}"
        )];
        if !self.kthread {
            steps.push(format!("Or end its process:\nkill {tgid}"));
        }
        if is_locked {
            steps.push(LOCKED.to_owned());
        }
        steps
    }
}
