//! A task still on old code, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{TaskKind, document::optional};

/// Why a task has not switched: a closed set.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// A function to be patched is on its stack.
    SleepingOnFunction,
    /// It was on a CPU at each try of the kernel.
    Running,
    /// Its stack is unreliable.
    UnreliableStack,
    /// Its stack is unreliable, because it ends in code for which the kernel has no
    /// unwind data.
    NoUnwindData,
    /// It switches when the kernel's signal reaches it.
    WaitingForSignal,
    /// An idle task: it switches when its CPU wakes.
    Idle,
    /// It sleeps uninterruptibly (D state).
    Uninterruptible,
    /// A virtual CPU that stays in its guest.
    KvmVcpu,
    /// No obstacle was found; the kernel tries again in the next second.
    Pending,
}

impl Reason {
    /// As in JSON and in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The kernel's own answer when it last checked a task
/// (`klp_check_and_switch_task`, kernel/livepatch/transition.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KernelAnswer {
    /// -EADDRINUSE: a function to be patched is on its stack.
    SleepingOnFunction,
    /// -EBUSY: it is on a CPU.
    Running,
    /// -EINVAL: its stack is unreliable.
    UnreliableStack,
}

/// The kernel's answers about one task in this transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KernelCheck {
    pub answer: KernelAnswer,
    /// The function, for [`KernelAnswer::SleepingOnFunction`].
    pub function: Option<String>,
    /// How often the kernel has checked it since `counted_since`.
    pub tries: u32,
    /// The first check that was counted; `null` from a daemon that does not report it.
    #[serde(default)]
    #[serde(serialize_with = "optional::milliseconds")]
    pub counted_since: Option<Timestamp>,
    /// How long ago it first and last did.
    pub first_seconds: f64,
    pub last_seconds: f64,
}

/// What makes a stack unreliable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    BpfTrampoline,
    Kretprobe,
    Unknown,
}

/// The foreign program that makes a stack unreliable; unknown values are `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Culprit {
    pub id: Option<u32>,
    pub name: Option<String>,
    /// `fexit`, `fmod_ret`, `kretprobe`, ...
    pub kind: Option<String>,
    /// The kernel's digest of its code, 16 hexadecimal digits.
    pub tag: Option<String>,
    /// The function it is attached to.
    pub attached_to: Option<String>,
    /// The process that holds it.
    pub owner_pid: Option<u32>,
    pub owner_comm: Option<String>,
    /// Where it is pinned.
    pub pinned: Option<String>,
}

/// The child of a vfork(2): its parent sleeps until the child runs another program
/// or ends (`wait_for_vfork_done`, kernel/fork.c).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AwaitedChild {
    pub pid: u32,
    pub comm: String,
}

/// A task still on old code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Blocker {
    pub tid: u32,
    pub tgid: u32,
    /// The task's name; bytes that are not UTF-8 are replaced.
    pub comm: String,
    pub kthread: bool,
    /// `null` from a daemon that does not report it.
    #[serde(default)]
    pub kind: Option<TaskKind>,
    /// Its ids in its own pid namespace, if that is another one.
    pub ns_tid: Option<u32>,
    pub ns_tgid: Option<u32>,
    /// `R`, `S`, `D`, ... as in ps(1).
    pub state: Option<char>,
    /// The kernel's answers; `null` if they cannot be observed.
    pub kernel_check: Option<KernelCheck>,
    /// `null` until its stack has been inspected.
    pub reason: Option<Reason>,
    pub cause: Option<Cause>,
    /// The function that blocks it.
    pub function: Option<String>,
    pub program: Option<Culprit>,
    /// The child that it waits for since a vfork(2).
    #[serde(default)]
    pub vfork_child: Option<AwaitedChild>,
    /// How long it has been a blocker.
    pub since_seconds: Option<f64>,
    /// Innermost frame first, as `function+0xoffset`, with ` [module]` behind
    /// it for code of a module or a BPF program.
    pub stack: Vec<String>,
    /// The blocking frame, as an index into `stack`.
    pub blocking_frame: Option<usize>,
    pub advice: Option<String>,
}

impl Blocker {
    /// What kind of task it is, as far as it is known.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        self.kind.unwrap_or(if self.kthread {
            TaskKind::Kthread
        } else {
            TaskKind::User
        })
    }

    /// The module of the blocking frame; `None` for code of the kernel itself.
    #[must_use]
    pub fn blocking_module(&self) -> Option<&str> {
        let frame = self.stack.get(self.blocking_frame?)?;
        frame.split_once(" [")?.1.strip_suffix(']')
    }
}
