//! From what is known of a task to the reason why it has not switched.
//!
//! The kernel's own answer decides wherever it is watched; the stack then says
//! which frame and who. Without an answer the stack alone decides, by the
//! kernel's own order (`klp_check_stack`, kernel/livepatch/transition.c): first
//! whether the stack is reliable, then whether a function to be patched is on
//! it. Where the two disagree, what the stack does not show is left out.

use lpwatch_common::patch::VMLINUX;

use super::{
    Answer, Cause, Culprit, Direction, EngineKind, PatchView, Reason, Task,
    calls::FunctionId,
    evidence::{Evidence, ForeignFrame, Frame, Traits},
};

/// What was concluded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Finding {
    pub reason: Option<Reason>,
    pub cause: Option<Cause>,
    pub function: Option<String>,
    pub program: Option<Culprit>,
    pub blocking_frame: Option<usize>,
}

impl Finding {
    fn of(reason: Reason) -> Self {
        Self {
            reason: Some(reason),
            ..Self::default()
        }
    }
}

/// The patches a task's stack is held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground<'a> {
    /// The patch in transition.
    pub patch: &'a PatchView,
    /// All loaded patches.
    pub all: &'a [PatchView],
    /// The code of those of them whose files were read.
    pub code: &'a [PatchCode],
    pub direction: Direction,
    pub traits: Traits,
    /// Whether the kernel has signalled the tasks left.
    pub signalled: bool,
}

/// The new functions of a loaded patch, as its file names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchCode {
    pub patch: String,
    /// What each stands in for, and its symbol.
    pub functions: Vec<(FunctionId, String)>,
}

/// Why `task` has not switched.
pub(super) fn classify(task: &Task, ground: &Ground<'_>) -> Finding {
    let evidence = &task.evidence;
    if !evidence.looked {
        return Finding::default();
    }
    if let Some(function) = evidence.named.first() {
        return sleeping(evidence, ground, Some(function));
    }
    if ground.patch.engine == EngineKind::Kgraft {
        return Finding::of(by_crossing(task));
    }
    match evidence
        .answers
        .as_ref()
        .map(|answers| (answers.answer, &answers.function))
    {
        Some((Answer::SleepingOnFunction, function)) => {
            sleeping(evidence, ground, function.as_deref())
        }
        Some((Answer::UnreliableStack, _)) => {
            unreliable(evidence, true).unwrap_or_else(|| Finding {
                cause: Some(Cause::Unknown),
                ..Finding::of(Reason::UnreliableStack)
            })
        }
        Some((Answer::Running, _)) => Finding::of(if is_vcpu(task) {
            Reason::KvmVcpu
        } else {
            Reason::Running
        }),
        None => by_stack(task, ground),
    }
}

/// kGraft switches a task that crosses between kernel and user space, and a
/// kernel thread where that says so itself; stacks do not matter to it.
fn by_crossing(task: &Task) -> Reason {
    let Evidence { on_cpu, state, .. } = task.evidence;
    if on_cpu.unwrap_or(state == Some('R')) {
        if is_vcpu(task) {
            Reason::KvmVcpu
        } else {
            Reason::Running
        }
    } else if state == Some('D') {
        Reason::Uninterruptible
    } else if task.kthread {
        Reason::Pending
    } else {
        Reason::WaitingForSignal
    }
}

/// The kernel says that a function is on the stack, and which.
fn sleeping(evidence: &Evidence, ground: &Ground<'_>, function: Option<&str>) -> Finding {
    let frame = match function {
        Some(function) => {
            evidence
                .stack
                .iter()
                .position(|frame| is_same_function(&frame.symbol, function))
                .or_else(|| {
                    // Asleep in the new code of the function, when unpatching.
                    old_code(&evidence.stack, ground).map(|(index, _)| index)
                })
        }
        None => old_code(&evidence.stack, ground).map(|(index, _)| index),
    };
    Finding {
        function: function.map(str::to_owned),
        blocking_frame: frame,
        ..Finding::of(asleep(evidence))
    }
}

fn asleep(evidence: &Evidence) -> Reason {
    // The kernel's signal moves a task only from an interruptible sleep.
    if evidence.state == Some('D') {
        Reason::Uninterruptible
    } else {
        Reason::SleepingOnFunction
    }
}

fn by_stack(task: &Task, ground: &Ground<'_>) -> Finding {
    let evidence = &task.evidence;
    // /proc does not tell whether a runnable task is on a CPU; but that is what
    // keeps one from switching, and its stack changes while it is read.
    if evidence.on_cpu.unwrap_or(evidence.state == Some('R')) {
        return Finding::of(if is_vcpu(task) {
            Reason::KvmVcpu
        } else {
            Reason::Running
        });
    }
    let reliable = ground.traits.bpf_frames_reliable;
    if let Some(finding) = unreliable(evidence, !reliable) {
        return finding;
    }
    if let Some((index, function)) = old_code(&evidence.stack, ground) {
        return Finding {
            function: Some(function),
            blocking_frame: Some(index),
            ..Finding::of(asleep(evidence))
        };
    }
    if is_vcpu(task) {
        return Finding::of(Reason::KvmVcpu);
    }
    // Nothing is in the way that can be seen. The kernel tries again; if it
    // has signalled and the task has not run since, the signal will do it.
    let by_signal = !task.kthread && evidence.state == Some('S') && ground.signalled;
    Finding::of(if by_signal {
        Reason::WaitingForSignal
    } else {
        Reason::Pending
    })
}

/// The frame that makes the stack unreliable; BPF's only where this kernel's
/// unwinder does not know it.
fn unreliable(evidence: &Evidence, bpf_counts: bool) -> Option<Finding> {
    let (index, kind) = evidence
        .stack
        .iter()
        .enumerate()
        .find_map(|(index, frame)| {
            let kind = ForeignFrame::of(frame)?;
            (kind == ForeignFrame::Kretprobe || bpf_counts).then_some((index, kind))
        })?;
    let suspect = evidence
        .suspects
        .iter()
        .find(|suspect| suspect.frame == index);
    // Several programs on one trampoline: each would do it alone.
    let program = suspect.and_then(|suspect| suspect.culprits.first().cloned());
    let cause = match kind {
        ForeignFrame::BpfTrampoline | ForeignFrame::BpfProgram => Cause::BpfTrampoline,
        ForeignFrame::Kretprobe => Cause::Kretprobe,
    };
    Some(Finding {
        cause: Some(cause),
        function: program
            .as_ref()
            .and_then(|program| program.attached_to.clone()),
        program,
        blocking_frame: Some(index),
        ..Finding::of(Reason::UnreliableStack)
    })
}

/// The innermost frame that the transition has to get off the stack, and the
/// function it belongs to as the kernel calls it: the one patched, not the one
/// that replaces it.
fn old_code(stack: &[Frame], ground: &Ground<'_>) -> Option<(usize, String)> {
    let mut frames = stack.iter().enumerate();
    frames.find_map(|(index, frame)| Some((index, old_function(frame, ground)?)))
}

/// When unpatching, the code of the patch itself is old. When patching, the
/// original function is, or the code of an older patch that this one replaces
/// or tops.
fn old_function(frame: &Frame, ground: &Ground<'_>) -> Option<String> {
    match ground.direction {
        Direction::Unpatching => is_code_of(frame, ground.patch).then(|| {
            let mut patched = functions(ground.patch);
            match (patched.next(), patched.next()) {
                (Some(only), None) => only.to_owned(),
                _ => frame.symbol.clone(),
            }
        }),
        Direction::Patching => original(frame, ground.patch).or_else(|| replaced(frame, ground)),
    }
}

/// The function for which the frame's code, of an older patch, stands in until
/// now. Where the names of that patch's new functions are not known, all of its
/// code counts if the two share a function.
fn replaced(frame: &Frame, ground: &Ground<'_>) -> Option<String> {
    let mut older = ground.all.iter();
    let older = older.find(|older| older.name != ground.patch.name && is_code_of(frame, older))?;
    let takes_all = ground.patch.replace == Some(true);
    let Some(code) = ground.code.iter().find(|code| code.patch == older.name) else {
        let is_taken = takes_all || share_a_function(ground.patch, older);
        return is_taken.then(|| frame.symbol.clone());
    };
    let mut functions = code.functions.iter();
    let (id, _) = functions.find(|(id, new)| {
        *new == frame.symbol && (takes_all || ground.patch.function_ids().any(|own| own == *id))
    })?;
    Some(id.name.clone())
}

fn is_code_of(frame: &Frame, patch: &PatchView) -> bool {
    frame.module.as_deref() == Some(&patch.name)
}

fn functions(patch: &PatchView) -> impl Iterator<Item = &str> {
    let functions = patch.objects.iter().flat_map(|object| &object.functions);
    functions.map(|(name, _)| name.as_str())
}

/// The function of the patch whose original this frame is in.
fn original(frame: &Frame, patch: &PatchView) -> Option<String> {
    let objects = patch.objects.iter().filter(|object| {
        let module = (object.name != VMLINUX).then_some(object.name.as_str());
        module == frame.module.as_deref()
    });
    let mut functions = objects.flat_map(|object| &object.functions);
    let function = functions.find(|(name, _)| is_same_function(name, &frame.symbol));
    function.map(|(name, _)| name.clone())
}

/// A system call's entry has several names for one address, or several
/// functions that call each other (`SYSCALL_DEFINEx` and `SYSCALL_DEFINE0`,
/// `include/linux/syscalls.h` and each processor's `asm/syscall_wrapper.h`).
fn is_same_function(one: &str, other: &str) -> bool {
    const PREFIXES: [&str; 6] = [
        "__do_sys_",
        "__se_sys_",
        "__x64_sys_",
        "__ia32_sys_",
        "__arm64_sys_",
        "__s390x_sys_",
    ];
    let call = |name: &str| -> Option<String> {
        PREFIXES
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .map(str::to_owned)
    };
    one == other || call(one).is_some_and(|one| call(other) == Some(one))
}

fn share_a_function(one: &PatchView, other: &PatchView) -> bool {
    one.objects.iter().any(|object| {
        let same = other
            .objects
            .iter()
            .find(|candidate| candidate.name == object.name);
        same.is_some_and(|same| object.functions.iter().any(|f| same.functions.contains(f)))
    })
}

/// A thread that runs a virtual CPU: by what it does, or by its name in QEMU.
fn is_vcpu(task: &Task) -> bool {
    const GUEST: [&str; 3] = [
        "vcpu_enter_guest",
        "kvm_arch_vcpu_ioctl_run",
        "kvm_vcpu_ioctl",
    ];
    task.evidence
        .stack
        .iter()
        .any(|frame| GUEST.contains(&frame.symbol.as_str()))
        || (!task.kthread && task.comm.starts_with("CPU ") && task.comm.ends_with("/KVM"))
}
