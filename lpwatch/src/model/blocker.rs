//! A task still on old code, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{TaskKind, document::optional};

/// Why a task has not switched. [stuck.md](stuck.md#4-act-by-reason) says what to do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema, strum::EnumIter))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// It sleeps, and a function of the patch is on its stack.
    SleepingOnFunction,
    /// It was on a CPU at each try of the kernel.
    Running,
    /// Its stack is unreliable: the kernel cannot prove what is on it.
    UnreliableStack,
    /// Its stack is unreliable, because it ends in code for which the kernel has no
    /// unwind data.
    NoUnwindData,
    /// It switches when the kernel's signal reaches it.
    WaitingForSignal,
    /// An idle task: it switches when its CPU wakes.
    Idle,
    /// It sleeps uninterruptibly (D state), usually in a function of the patch.
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

/// The kernel's own answer when it last checked a task (`klp_check_and_switch_task`,
/// kernel/livepatch/transition.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KernelAnswer {
    /// -EADDRINUSE: a function of the patch is on its stack.
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
    /// The last answer.
    pub answer: KernelAnswer,
    /// With the answer `sleeping_on_function`: the function; otherwise, or if it is
    /// unknown, `null`.
    pub function: Option<String>,
    /// How often the kernel has checked the task since `counted_since`.
    pub tries: u32,
    /// The first check that was counted. It can be later than the start of the
    /// transition; `null` from a daemon that does not report it.
    #[serde(default)]
    #[serde(serialize_with = "optional::milliseconds")]
    pub counted_since: Option<Timestamp>,
    /// How long ago the first counted check was, in seconds.
    pub first_seconds: f64,
    /// How long ago the last check was, in seconds.
    pub last_seconds: f64,
}

/// What makes a stack unreliable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "UnreliableStackCause"))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A BPF program, or the trampoline that calls it, is on the stack.
    BpfTrampoline,
    /// A return probe is on the stack.
    Kretprobe,
    /// It is unknown.
    Unknown,
}

/// A foreign program, or a return probe, that makes a stack unreliable. Unknown values
/// are `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "ForeignProgram"))]
pub struct Culprit {
    /// The id of the BPF program, as bpftool(8) shows it; `null` for a return probe.
    pub id: Option<u32>,
    /// Its name.
    pub name: Option<String>,
    /// What it is: `fexit`, `fmod_ret`, `kretprobe`, ...
    pub kind: Option<String>,
    /// The kernel's digest of the BPF program's code, 16 hexadecimal digits.
    pub tag: Option<String>,
    /// The function that it traces.
    pub attached_to: Option<String>,
    /// The process that holds it.
    pub owner_pid: Option<u32>,
    /// The name of the process that holds it.
    pub owner_comm: Option<String>,
    /// The path where it is pinned; `null` if it is not pinned.
    pub pinned: Option<String>,
}

/// The child of a vfork(2): its parent sleeps until the child runs another program or
/// ends (`wait_for_vfork_done`, kernel/fork.c).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "VforkChild"))]
pub struct AwaitedChild {
    /// Its process id.
    pub pid: u32,
    /// Its name.
    pub comm: String,
}

/// A task left: it has not switched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Blocker {
    /// The id of the thread; 0 for all idle tasks.
    pub tid: u32,
    /// The id of its process.
    pub tgid: u32,
    /// Its name; bytes that are not UTF-8 are replaced.
    pub comm: String,
    /// Whether it is a thread of the kernel.
    pub kthread: bool,
    /// The kind of the task; `null` from a daemon that does not report it.
    #[serde(default)]
    pub kind: Option<TaskKind>,
    /// The id of the thread in its own pid namespace; `null` if that is the namespace
    /// of the host.
    pub ns_tid: Option<u32>,
    /// The id of its process in its own pid namespace; `null` if that is the namespace
    /// of the host.
    pub ns_tgid: Option<u32>,
    /// Its state as in ps(1): `R`, `S`, `D`, ...; `null` if unknown.
    pub state: Option<char>,
    /// What the kernel answered when it checked the task; `null` if that cannot be
    /// observed, or was not in the last seconds.
    pub kernel_check: Option<KernelCheck>,
    /// Why it has not switched; `null` if the task was not inspected.
    pub reason: Option<Reason>,
    /// With the reason `unreliable_stack`: what makes the stack unreliable; otherwise
    /// `null`.
    pub cause: Option<Cause>,
    /// The function that blocks it, with `no_unwind_data` the last one of a module on
    /// its stack; `null` if there is none or it is unknown.
    pub function: Option<String>,
    /// The foreign program that makes its stack unreliable; `null` if there is none or
    /// it is unknown.
    pub program: Option<Culprit>,
    /// The child that it waits for since a vfork(2); `null` if it waits for none.
    #[serde(default)]
    pub vfork_child: Option<AwaitedChild>,
    /// How long it has been a blocker, in seconds; `null` if unknown.
    pub since_seconds: Option<f64>,
    /// Its kernel stack, innermost frame first, as `function+0xoffset`, with `
    /// [module]` behind it for code of a module or a BPF program, e.g.
    /// `target_main+0x15 [target]`. Empty if unknown.
    pub stack: Vec<String>,
    /// The frame that blocks it, as an index into `stack`, from 0; `null` if no frame
    /// does.
    pub blocking_frame: Option<usize>,
    /// What frees it. A command is on a line of its own; `null` if there is
    /// nothing to advise.
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
