//! A task still on old code, and why.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// Why a task has not switched: a closed set.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// A function to be patched is on its stack.
    SleepingOnFunction,
    /// It was on a CPU each time the kernel looked.
    Running,
    /// The kernel cannot prove what is on its stack.
    UnreliableStack,
    /// It switches when the kernel's signal reaches it.
    WaitingForSignal,
    /// An idle task: it switches when its CPU wakes.
    Idle,
    /// It sleeps uninterruptibly (D state).
    Uninterruptible,
    /// A virtual CPU, long inside its guest.
    KvmVcpu,
    /// Nothing found; the kernel tries again next second.
    Pending,
}

impl Reason {
    /// As in JSON and in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What the kernel itself answered when it last looked at a task
/// (`klp_check_and_switch_task`, kernel/livepatch/transition.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// -EADDRINUSE: a function to be patched is on its stack.
    SleepingOnFunction,
    /// -EBUSY: it is on a CPU.
    Running,
    /// -EINVAL: its stack is unreliable.
    UnreliableStack,
}

/// The kernel's answers about one task in this transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub answer: Answer,
    /// The function, for [`Answer::SleepingOnFunction`].
    pub function: Option<String>,
    /// How often the kernel has looked at it.
    pub tries: u32,
    /// How long ago it first and last did.
    pub first_seconds: f64,
    pub last_seconds: f64,
}

/// What makes a stack unreliable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    BpfTrampoline,
    Kretprobe,
    Unknown,
}

/// The foreign program at fault; what is not known is `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// A task still on old code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blocker {
    pub tid: u32,
    pub tgid: u32,
    /// The task's name; bytes that are not UTF-8 are replaced.
    pub comm: String,
    pub kthread: bool,
    /// Its ids in its own pid namespace, where that is another one.
    pub ns_tid: Option<u32>,
    pub ns_tgid: Option<u32>,
    /// `R`, `S`, `D`, ... as in ps(1).
    pub state: Option<char>,
    /// What the kernel answered; `null` where it cannot be watched.
    pub verdict: Option<Verdict>,
    /// `null` until it has been looked into.
    pub reason: Option<Reason>,
    pub cause: Option<Cause>,
    /// The function in its way.
    pub function: Option<String>,
    pub program: Option<Culprit>,
    /// For how long it has been in the way.
    pub since_seconds: Option<f64>,
    /// Innermost frame first, as `function+0xoffset`, with ` [module]` behind
    /// it for code of a module or a BPF program.
    pub stack: Vec<String>,
    /// The frame in its way, as an index into `stack`.
    pub blocking_frame: Option<usize>,
    pub advice: Option<String>,
}
