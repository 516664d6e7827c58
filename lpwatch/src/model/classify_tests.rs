//! The classifier on plain values: each reason, and what decides when the
//! kernel's answer and the stack disagree.

use std::time::Duration;

use super::{
    Cause, Culprit, Direction, EngineKind, KernelAnswer, ObjectView, PatchView, Reason, Task,
    TaskKind,
    classify::{ClassifyContext, Diagnosis, classify},
    evidence::{Answers, Evidence, Frame, Suspect, Traits},
};

fn frames(stack: &[&str]) -> Vec<Frame> {
    let frame = |text: &&str| {
        let (symbol, module) = text
            .split_once(' ')
            .map_or((*text, None), |(s, m)| (s, Some(m)));
        Frame {
            symbol: symbol.to_owned(),
            offset: 0x15,
            module: module.map(str::to_owned),
        }
    };
    stack.iter().map(frame).collect()
}

fn task(stack: &[&str]) -> Task {
    Task {
        tid: 7,
        tgid: 7,
        comm: "sleeper".to_owned(),
        kind: TaskKind::User,
        evidence: Evidence {
            looked: true,
            state: Some('S'),
            on_cpu: Some(false),
            stack: frames(stack),
            ..Evidence::default()
        },
    }
}

fn answered(mut task: Task, answer: KernelAnswer, function: Option<&str>) -> Task {
    task.evidence.answers = Some(Answers {
        answer,
        function: function.map(str::to_owned),
        tries: 3,
        first: Duration::from_secs(1),
        last: Duration::from_secs(3),
    });
    task
}

fn patch(name: &str, object: &str, functions: &[&str]) -> PatchView {
    PatchView {
        enabled: Some(true),
        in_transition: true,
        replace: Some(false),
        objects: vec![ObjectView {
            name: object.to_owned(),
            patched: Some(true),
            functions: functions
                .iter()
                .map(|function| ((*function).to_owned(), 1))
                .collect(),
        }],
        ..PatchView::new(name.to_owned(), EngineKind::Livepatch)
    }
}

const OLD_KERNEL: Traits = Traits {
    bpf_frames_reliable: false,
    verdicts: false,
    is_x86: false,
};

fn judge_on(task: &Task, direction: Direction, patches: &[PatchView], traits: Traits) -> Diagnosis {
    let context = ClassifyContext {
        patch: &patches[0],
        all: patches,
        code: &[],
        direction,
        traits,
        signalled: false,
    };
    classify(task, &context)
}

fn judge(task: &Task) -> Diagnosis {
    let patches = [patch("lp", "vmlinux", &["do_work", "do_nanosleep"])];
    judge_on(task, Direction::Patching, &patches, OLD_KERNEL)
}

fn reason(task: &Task) -> Reason {
    judge(task).reason.unwrap()
}

#[test]
fn asleep_in_a_function_to_be_patched() {
    let finding = judge(&task(&["schedule", "do_nanosleep", "entry"]));
    assert_eq!(finding.reason, Some(Reason::SleepingOnFunction));
    assert_eq!(finding.function.as_deref(), Some("do_nanosleep"));
    assert_eq!(finding.blocking_frame, Some(1));
}

#[test]
fn the_signal_does_not_reach_an_uninterruptible_sleep() {
    let mut task = task(&["do_nanosleep"]);
    task.evidence.state = Some('D');
    assert_eq!(reason(&task), Reason::Uninterruptible);
    let finding = judge(&answered(
        task,
        KernelAnswer::SleepingOnFunction,
        Some("do_nanosleep"),
    ));
    assert_eq!(finding.reason, Some(Reason::Uninterruptible));
    assert_eq!(finding.function.as_deref(), Some("do_nanosleep"));
}

#[test]
fn a_function_of_the_same_name_in_a_module_is_another() {
    assert_eq!(
        reason(&task(&["do_nanosleep other_module"])),
        Reason::Pending
    );
}

#[test]
fn the_kernels_answer_goes_before_the_stack() {
    let asleep = || task(&["do_nanosleep"]);
    assert_eq!(
        reason(&answered(asleep(), KernelAnswer::Running, None)),
        Reason::Running
    );
    let unreliable = judge(&answered(asleep(), KernelAnswer::UnreliableStack, None));
    assert_eq!(unreliable.reason, Some(Reason::UnreliableStack));
    assert_eq!(unreliable.cause, Some(Cause::Unknown));
    assert_eq!(
        unreliable.function, None,
        "the stack does not say what makes it so"
    );
    let elsewhere = answered(
        task(&["schedule"]),
        KernelAnswer::SleepingOnFunction,
        Some("do_work"),
    );
    let finding = judge(&elsewhere);
    assert_eq!(
        (finding.function.as_deref(), finding.blocking_frame),
        (Some("do_work"), None)
    );
}

#[test]
fn a_bpf_trampoline_goes_before_a_function_on_the_same_stack() {
    let mut task = task(&["do_nanosleep", "bpf_trampoline_6442536263 bpf", "entry"]);
    let culprit = Culprit {
        id: Some(42),
        name: Some("count_sleep".to_owned()),
        attached_to: Some("hrtimer_nanosleep".to_owned()),
        ..Culprit::default()
    };
    task.evidence.suspects = vec![Suspect {
        frame: 1,
        culprits: vec![culprit.clone()],
    }];
    let finding = judge(&task);
    assert_eq!(finding.reason, Some(Reason::UnreliableStack));
    assert_eq!(finding.cause, Some(Cause::BpfTrampoline));
    assert_eq!(finding.function.as_deref(), Some("hrtimer_nanosleep"));
    assert_eq!(
        (finding.program, finding.blocking_frame),
        (Some(culprit), Some(1))
    );
}

#[test]
fn where_the_unwinder_knows_bpf_its_frames_are_in_nobodys_way() {
    let patches = [patch("lp", "vmlinux", &["do_nanosleep"])];
    let traits = Traits {
        bpf_frames_reliable: true,
        verdicts: true,
        is_x86: true,
    };
    let only = task(&["schedule", "bpf_trampoline_6442536263 bpf"]);
    let finding = judge_on(&only, Direction::Patching, &patches, traits);
    assert_eq!(finding.reason, Some(Reason::Pending));
    let both = task(&["do_nanosleep", "bpf_trampoline_6442536263 bpf"]);
    let finding = judge_on(&both, Direction::Patching, &patches, traits);
    assert_eq!(finding.reason, Some(Reason::SleepingOnFunction));
}

#[test]
fn a_return_probe_on_the_stack() {
    let finding = judge(&task(&["schedule", "kretprobe_trampoline"]));
    assert_eq!(finding.reason, Some(Reason::UnreliableStack));
    assert_eq!(
        (finding.cause, finding.blocking_frame),
        (Some(Cause::Kretprobe), Some(1))
    );
}

#[test]
fn a_virtual_cpu_is_told_from_a_busy_task() {
    let mut vcpu = task(&["vcpu_enter_guest kvm", "kvm_vcpu_ioctl kvm"]);
    vcpu.evidence.on_cpu = Some(true);
    assert_eq!(reason(&vcpu), Reason::KvmVcpu);
    let mut named = answered(task(&[]), KernelAnswer::Running, None);
    named.comm = "CPU 3/KVM".to_owned();
    assert_eq!(reason(&named), Reason::KvmVcpu);
    let mut busy = task(&[]);
    busy.evidence.on_cpu = Some(true);
    assert_eq!(reason(&busy), Reason::Running);
}

#[test]
fn when_unpatching_the_new_code_is_in_the_way() {
    let task = task(&["lp_nanosleep lp", "entry"]);
    let one = [patch("lp", "vmlinux", &["do_nanosleep"])];
    let finding = judge_on(&task, Direction::Unpatching, &one, OLD_KERNEL);
    assert_eq!(finding.reason, Some(Reason::SleepingOnFunction));
    assert_eq!(
        finding.function.as_deref(),
        Some("do_nanosleep"),
        "as the kernel calls it"
    );
    let two = [patch("lp", "vmlinux", &["do_nanosleep", "do_work"])];
    let finding = judge_on(&task, Direction::Unpatching, &two, OLD_KERNEL);
    assert_eq!(
        finding.function.as_deref(),
        Some("lp_nanosleep"),
        "which of the two is not known"
    );
    let finding = judge_on(&task, Direction::Patching, &one, OLD_KERNEL);
    assert_eq!(finding.reason, Some(Reason::Pending));
}

#[test]
fn an_older_patch_of_the_same_function_is_old_code() {
    let task = task(&["older_nanosleep lp_older", "entry"]);
    let older = patch("lp_older", "vmlinux", &["do_nanosleep"]);
    let patches = [patch("lp", "vmlinux", &["do_nanosleep"]), older.clone()];
    let finding = judge_on(&task, Direction::Patching, &patches, OLD_KERNEL);
    assert_eq!(finding.reason, Some(Reason::SleepingOnFunction));
    let apart = [patch("lp", "vmlinux", &["do_work"]), older];
    let finding = judge_on(&task, Direction::Patching, &apart, OLD_KERNEL);
    assert_eq!(finding.reason, Some(Reason::Pending));
}

#[test]
fn with_nothing_in_the_way_the_signal_or_the_next_try_does_it() {
    let task = task(&["schedule", "pipe_read"]);
    let patches = [patch("lp", "vmlinux", &["do_work"])];
    let mut context = ClassifyContext {
        patch: &patches[0],
        all: &patches,
        code: &[],
        direction: Direction::Patching,
        traits: OLD_KERNEL,
        signalled: true,
    };
    assert_eq!(
        classify(&task, &context).reason,
        Some(Reason::WaitingForSignal)
    );
    context.signalled = false;
    assert_eq!(classify(&task, &context).reason, Some(Reason::Pending));
}

#[test]
fn a_system_call_goes_by_several_names() {
    let task = task(&["__do_sys_pause", "do_syscall_64"]);
    let patches = [patch("lp", "vmlinux", &["__x64_sys_pause"])];
    let finding = judge_on(&task, Direction::Patching, &patches, OLD_KERNEL);
    assert_eq!(finding.reason, Some(Reason::SleepingOnFunction));
    assert_eq!(
        finding.function.as_deref(),
        Some("__x64_sys_pause"),
        "as the patch calls it"
    );
    let other = [patch("lp", "vmlinux", &["__x64_sys_pause_all"])];
    let finding = judge_on(&task, Direction::Patching, &other, OLD_KERNEL);
    assert_eq!(finding.reason, Some(Reason::Pending));
}

#[test]
fn proc_shows_a_runnable_task_without_a_stack() {
    let mut task = task(&[]);
    task.evidence.state = Some('R');
    assert_eq!(
        reason(&task),
        Reason::Pending,
        "BPF knows that it is on no CPU"
    );
    task.evidence.on_cpu = None;
    assert_eq!(reason(&task), Reason::Running);
}

const X86: Traits = Traits {
    is_x86: true,
    ..OLD_KERNEL
};

fn judge_on_x86(task: &Task) -> Diagnosis {
    let patches = [patch("lp", "vmlinux", &["do_work"])];
    judge_on(task, Direction::Patching, &patches, X86)
}

/// Asleep in a vendor's module, and below that these frames.
fn in_vendors_code(below: &[&str]) -> Task {
    let above = ["msleep_interruptible", "vendor_sleep vendor"];
    task(&[&above, below].concat())
}

#[test]
fn a_stack_that_ends_in_a_module_has_no_unwind_data() {
    for below in [&[][..], &["some_guess"], &["ret_from_fork other"]] {
        let sleeper = in_vendors_code(below);
        for answer in [None, Some(KernelAnswer::UnreliableStack)] {
            let sleeper = match answer {
                Some(answer) => answered(sleeper.clone(), answer, None),
                None => sleeper.clone(),
            };
            let finding = judge_on_x86(&sleeper);
            assert_eq!(finding.reason, Some(Reason::NoUnwindData), "{below:?}");
            assert_eq!(finding.cause, None);
        }
    }
    let finding = judge_on_x86(&in_vendors_code(&[]));
    let function = finding.function.as_deref();
    assert_eq!(
        (function, finding.blocking_frame),
        (Some("vendor_sleep"), Some(1))
    );
    let outermost = judge_on_x86(&in_vendors_code(&["caller of_it"]));
    assert_eq!(outermost.function.as_deref(), Some("caller"));
}

#[test]
fn a_stack_down_to_its_beginning_has_unwind_data() {
    for first in [
        "ret_from_fork",
        "ret_from_fork_asm",
        "entry_SYSCALL_64_after_hwframe",
        "entry_SYSENTER_compat_after_hwframe",
        "asm_exc_page_fault",
    ] {
        let sleeper = in_vendors_code(&["kthread", first]);
        assert_eq!(
            judge_on_x86(&sleeper).reason,
            Some(Reason::Pending),
            "{first}"
        );
        let answered = answered(sleeper, KernelAnswer::UnreliableStack, None);
        let finding = judge_on_x86(&answered);
        assert_eq!(finding.reason, Some(Reason::UnreliableStack));
        assert_eq!(finding.cause, Some(Cause::Unknown));
    }
}

#[test]
fn what_is_not_known_of_a_stack_is_not_concluded() {
    // No module, a stack that may be cut off, another processor.
    assert_eq!(
        judge_on_x86(&task(&["msleep"])).reason,
        Some(Reason::Pending)
    );
    assert_eq!(
        judge_on_x86(&in_vendors_code(&["deep"; 62])).reason,
        Some(Reason::Pending)
    );
    assert_eq!(
        judge_on_x86(&in_vendors_code(&["deep"; 61])).reason,
        Some(Reason::NoUnwindData)
    );
    assert_eq!(reason(&in_vendors_code(&[])), Reason::Pending);
    // The code of BPF and of ftrace is no module's.
    for foreign in ["x __builtin__ftrace", "y bpf"] {
        assert_eq!(
            judge_on_x86(&task(&[foreign])).reason,
            Some(Reason::Pending)
        );
    }
    let traced = in_vendors_code(&["bpf_trampoline_6442536263 bpf"]);
    assert_eq!(judge_on_x86(&traced).reason, Some(Reason::UnreliableStack));
    let known = Traits {
        bpf_frames_reliable: true,
        ..X86
    };
    let patches = [patch("lp", "vmlinux", &["do_work"])];
    let finding = judge_on(&traced, Direction::Patching, &patches, known);
    assert_eq!(finding.reason, Some(Reason::Pending));
}

#[test]
fn an_unreliable_stack_goes_before_a_function_on_it() {
    let patches = [patch("lp", "vendor", &["vendor_sleep"])];
    let finding = judge_on(&in_vendors_code(&[]), Direction::Patching, &patches, X86);
    assert_eq!(finding.reason, Some(Reason::NoUnwindData));
}
