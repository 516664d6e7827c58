//! Determines the reason why a task has not switched.
//!
//! The kernel's own answer decides if it is observed; the stack then shows the
//! frame and its owner. Without an answer, the stack alone decides, in the kernel's
//! own order (`klp_check_stack`, kernel/livepatch/transition.c): first whether the
//! stack is reliable, then whether a function to be patched is on it. If the two
//! disagree, details that the stack does not show are left out.

use lpwatch_common::patch::VMLINUX;

use super::{
    Cause, Culprit, Direction, EngineKind, KernelAnswer, PatchView, Reason, Task,
    calls::FunctionId,
    evidence::{Evidence, ForeignFrame, Frame, Traits},
};

/// The reason found for one task, with its details.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub reason: Option<Reason>,
    pub cause: Option<Cause>,
    pub function: Option<String>,
    pub program: Option<Culprit>,
    pub blocking_frame: Option<usize>,
}

impl Diagnosis {
    fn of(reason: Reason) -> Self {
        Self {
            reason: Some(reason),
            ..Self::default()
        }
    }
}

/// The patches with which a task's stack is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClassifyContext<'a> {
    /// The patch in transition.
    pub patch: &'a PatchView,
    /// All loaded patches.
    pub all: &'a [PatchView],
    /// The code of those whose files were read.
    pub code: &'a [PatchCode],
    pub direction: Direction,
    pub traits: Traits,
    /// Whether the kernel has signalled the remaining tasks.
    pub signalled: bool,
}

/// The new functions of a loaded patch, as its file names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchCode {
    pub patch: String,
    /// The replaced function and the symbol of the new one.
    pub functions: Vec<(FunctionId, String)>,
}

/// Why `task` has not switched.
pub(super) fn classify(task: &Task, context: &ClassifyContext<'_>) -> Diagnosis {
    let evidence = &task.evidence;
    if !evidence.looked {
        return Diagnosis::default();
    }
    if let Some(function) = evidence.named.first() {
        return sleeping(evidence, context, Some(function));
    }
    if context.patch.engine == EngineKind::Kgraft {
        return Diagnosis::of(by_crossing(task));
    }
    match evidence
        .answers
        .as_ref()
        .map(|answers| (answers.answer, &answers.function))
    {
        Some((KernelAnswer::SleepingOnFunction, function)) => {
            sleeping(evidence, context, function.as_deref())
        }
        Some((KernelAnswer::UnreliableStack, _)) => {
            let found = unreliable(evidence, true).or_else(|| no_unwind_data(evidence, context));
            found.unwrap_or_else(|| Diagnosis {
                cause: Some(Cause::Unknown),
                ..Diagnosis::of(Reason::UnreliableStack)
            })
        }
        Some((KernelAnswer::Running, _)) => Diagnosis::of(if is_vcpu(task) {
            Reason::KvmVcpu
        } else {
            Reason::Running
        }),
        None => by_stack(task, context),
    }
}

/// kGraft switches a task when it enters or leaves the kernel, and a kernel thread
/// at marked places. It does not inspect stacks.
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
    } else if task.kind.is_kernel() {
        Reason::Pending
    } else {
        Reason::WaitingForSignal
    }
}

/// The kernel reports which function is on the stack.
fn sleeping(
    evidence: &Evidence,
    context: &ClassifyContext<'_>,
    function: Option<&str>,
) -> Diagnosis {
    let frame = match function {
        Some(function) => {
            evidence
                .stack
                .iter()
                .position(|frame| is_same_function(&frame.symbol, function))
                .or_else(|| {
                    // Asleep in the new code of the function, when unpatching.
                    old_code(&evidence.stack, context).map(|(index, _)| index)
                })
        }
        None => old_code(&evidence.stack, context).map(|(index, _)| index),
    };
    Diagnosis {
        function: function.map(str::to_owned),
        blocking_frame: frame,
        ..Diagnosis::of(asleep(evidence))
    }
}

fn asleep(evidence: &Evidence) -> Reason {
    // The kernel's signal wakes a task only from an interruptible sleep.
    if evidence.state == Some('D') {
        Reason::Uninterruptible
    } else {
        Reason::SleepingOnFunction
    }
}

fn by_stack(task: &Task, context: &ClassifyContext<'_>) -> Diagnosis {
    let evidence = &task.evidence;
    // /proc does not show whether a runnable task is on a CPU. That is the usual
    // obstacle, and its stack changes while it is read.
    if evidence.on_cpu.unwrap_or(evidence.state == Some('R')) {
        return Diagnosis::of(if is_vcpu(task) {
            Reason::KvmVcpu
        } else {
            Reason::Running
        });
    }
    let reliable = context.traits.bpf_frames_reliable;
    if let Some(finding) =
        unreliable(evidence, !reliable).or_else(|| no_unwind_data(evidence, context))
    {
        return finding;
    }
    if let Some((index, function)) = old_code(&evidence.stack, context) {
        return Diagnosis {
            function: Some(function),
            blocking_frame: Some(index),
            ..Diagnosis::of(asleep(evidence))
        };
    }
    if is_vcpu(task) {
        return Diagnosis::of(Reason::KvmVcpu);
    }
    // No obstacle is visible. The kernel tries again. If it has signalled and the
    // task has not run since, the task switches at the signal.
    let by_signal = task.kind.is_user() && evidence.state == Some('S') && context.signalled;
    Diagnosis::of(if by_signal {
        Reason::WaitingForSignal
    } else {
        Reason::Pending
    })
}

/// The frame that makes the stack unreliable. A BPF frame counts only if this
/// kernel's unwinder does not know it.
fn unreliable(evidence: &Evidence, bpf_counts: bool) -> Option<Diagnosis> {
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
    // Of several programs on one trampoline, each has this effect alone.
    let program = suspect.and_then(|suspect| suspect.culprits.first().cloned());
    let cause = match kind {
        ForeignFrame::BpfTrampoline | ForeignFrame::BpfProgram => Cause::BpfTrampoline,
        ForeignFrame::Kretprobe => Cause::Kretprobe,
    };
    Some(Diagnosis {
        cause: Some(cause),
        function: program
            .as_ref()
            .and_then(|program| program.attached_to.clone()),
        program,
        blocking_frame: Some(index),
        ..Diagnosis::of(Reason::UnreliableStack)
    })
}

/// The outermost frame of a module, if the stack that the kernel shows does not go
/// on to where every stack begins, and nothing foreign is on it: the kernel has no
/// unwind data for the code behind that frame.
fn no_unwind_data(evidence: &Evidence, context: &ClassifyContext<'_>) -> Option<Diagnosis> {
    let stack = &evidence.stack;
    if !context.traits.is_x86
        || context.patch.engine != EngineKind::Livepatch
        || stack.len() >= Frame::SHOWN_MAX
        || stack.last().is_some_and(Frame::is_first_of_x86)
        || stack.iter().any(|frame| ForeignFrame::of(frame).is_some())
    {
        return None;
    }
    let index = stack.iter().rposition(Frame::is_of_module)?;
    Some(Diagnosis {
        function: Some(stack.get(index)?.symbol.clone()),
        blocking_frame: Some(index),
        ..Diagnosis::of(Reason::NoUnwindData)
    })
}

/// The innermost frame that must leave the stack, and its function as the kernel
/// reports it: the patched function, not its replacement.
fn old_code(stack: &[Frame], context: &ClassifyContext<'_>) -> Option<(usize, String)> {
    let mut frames = stack.iter().enumerate();
    frames.find_map(|(index, frame)| Some((index, old_function(frame, context)?)))
}

/// When unpatching, the code of the patch itself is old code. When patching, it is
/// the original function, or the code of an older patch below this one.
fn old_function(frame: &Frame, context: &ClassifyContext<'_>) -> Option<String> {
    match context.direction {
        Direction::Unpatching => is_code_of(frame, context.patch).then(|| {
            let mut patched = functions(context.patch);
            match (patched.next(), patched.next()) {
                (Some(only), None) => only.to_owned(),
                _ => frame.symbol.clone(),
            }
        }),
        Direction::Patching => original(frame, context.patch).or_else(|| replaced(frame, context)),
    }
}

/// The function that the frame's code, from an older patch, replaces so far. If
/// the names of that patch's new functions are unknown, all of its code counts if
/// the two patches share a function.
fn replaced(frame: &Frame, context: &ClassifyContext<'_>) -> Option<String> {
    let mut older = context.all.iter();
    let older = older.find(|older| older.name != context.patch.name && is_code_of(frame, older))?;
    let takes_all = context.patch.replace == Some(true);
    let Some(code) = context.code.iter().find(|code| code.patch == older.name) else {
        let is_taken = takes_all || share_a_function(context.patch, older);
        return is_taken.then(|| frame.symbol.clone());
    };
    let mut functions = code.functions.iter();
    let (id, _) = functions.find(|(id, new)| {
        *new == frame.symbol && (takes_all || context.patch.function_ids().any(|own| own == *id))
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

/// A thread that runs a virtual CPU, by its stack or by its name in QEMU.
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
        || (!task.kind.is_kernel() && task.comm.starts_with("CPU ") && task.comm.ends_with("/KVM"))
}
