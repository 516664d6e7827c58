//! The evidence about one task that has not switched, before classification.

use std::{fmt, time::Duration};

use super::{AwaitedChild, Culprit, FrameSymbol, KernelAnswer};

/// One frame of a kernel stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    pub symbol: String,
    /// Bytes from the start of the function.
    pub offset: u64,
    /// The module; `bpf` for BPF programs and trampolines; `None` for vmlinux.
    pub module: Option<String>,
}

impl fmt::Display for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            symbol,
            offset,
            module,
        } = self;
        write!(formatter, "{symbol}+{offset:#x}")?;
        match module {
            Some(module) => write!(formatter, " [{module}]"),
            None => Ok(()),
        }
    }
}

impl Frame {
    /// The most frames that every way to read a stack shows: a longer stack may
    /// be cut off (`MAX_STACK_TRACE_DEPTH`, fs/proc/base.c).
    pub const SHOWN_MAX: usize = 64;

    /// Whether every stack of a task of x86-64 ends in a frame like this: the entry
    /// from user space, or where a new task begins (`arch/x86/entry/entry_64.S` and
    /// `entry_64_compat.S`, 5.10 to 7.3).
    #[must_use]
    pub fn is_first_of_x86(&self) -> bool {
        let symbol = self.symbol.as_str();
        self.module.is_none()
            && (["ret_from_fork", "ret_from_fork_asm"].contains(&symbol)
                || ["entry_", "asm_"]
                    .iter()
                    .any(|prefix| symbol.starts_with(prefix)))
    }

    /// Whether it is code of a module's file, not of BPF or of what ftrace and
    /// kprobes make (`[bpf]`, `[__builtin__ftrace]`).
    #[must_use]
    pub fn is_of_module(&self) -> bool {
        let module = self.module.as_deref();
        module.is_some_and(|module| module != "bpf" && !module.starts_with("__builtin__"))
    }
}

/// The kernel's own answers about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The last one.
    pub answer: KernelAnswer,
    pub function: Option<String>,
    pub tries: u32,
    /// When it first and last answered, since boot.
    pub first: Duration,
    pub last: Duration,
}

/// How this kernel treats foreign frames on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Its unwinder knows BPF programs and trampolines (6.19 on, marked by the
    /// symbol `bpf_has_frame_pointer`).
    pub bpf_frames_reliable: bool,
    /// Its own verdicts are observed.
    pub verdicts: bool,
    /// It is x86-64, where it is known in which functions a complete stack ends.
    pub is_x86: bool,
}

/// A frame that can make a stack unreliable, and its possible owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Index of the frame.
    pub frame: usize,
    pub culprits: Vec<Culprit>,
}

/// The evidence about one task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Whether the task was inspected; if not, the fields below are unknown.
    pub looked: bool,
    /// As in ps(1).
    pub state: Option<char>,
    pub on_cpu: Option<bool>,
    /// Its ids in its own pid namespace, if that is another one.
    pub ns_tid: Option<u32>,
    pub ns_tgid: Option<u32>,
    pub answers: Option<Answers>,
    /// Innermost frame first; empty if unknown.
    pub stack: Vec<Frame>,
    pub suspects: Vec<Suspect>,
    /// The child that it waits for since a vfork(2).
    pub vfork_child: Option<AwaitedChild>,
    /// Functions to be patched that the patching system itself reported.
    pub named: Vec<String>,
}

impl Evidence {
    /// Whether the task sleeps since a vfork(2), or a clone with `CLONE_VFORK` as in
    /// `posix_spawn(3)`, until its child runs another program or ends. Nothing else in
    /// `kernel_clone` (`_do_fork` before 5.10) sleeps in state D outside
    /// `copy_process` (kernel/fork.c, 5.10 to 7.3).
    #[must_use]
    pub fn awaits_vfork(&self) -> bool {
        let has = |symbols: &[&str]| {
            let mut frames = self.stack.iter().filter(|frame| frame.module.is_none());
            frames.any(|frame| symbols.contains(&frame.symbol.as_str()))
        };
        self.state == Some('D') && has(&["kernel_clone", "_do_fork"]) && !has(&["copy_process"])
    }
}

/// What kind of foreign frame a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignFrame {
    BpfTrampoline,
    BpfProgram,
    Kretprobe,
}

impl ForeignFrame {
    /// The kind of frame, if it is foreign.
    #[must_use]
    pub fn of(frame: &Frame) -> Option<Self> {
        Some(match FrameSymbol::of(&frame.symbol)? {
            FrameSymbol::Trampoline { .. } => Self::BpfTrampoline,
            FrameSymbol::Program { .. } => Self::BpfProgram,
            FrameSymbol::Kretprobe => Self::Kretprobe,
        })
    }
}

/// Whether the function with this name calls the main function of a kernel thread
/// (`kthread`, kernel/kthread.c) or of a user worker (`ret_from_fork`, which some
/// kernels divide in two: `arch/x86/entry/entry_64.S`, arch/x86/kernel/process.c).
pub(super) fn calls_main(symbol: &str) -> bool {
    matches!(symbol, "kthread" | "ret_from_fork" | "ret_from_fork_asm")
}
