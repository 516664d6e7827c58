//! Tests of the hooks of one function.

use super::*;

const SHARES: HookSupport = HookSupport {
    trampolines: Some(true),
    bpf_frames: Some(false),
    return_probes: Some(true),
};
const OLD: HookSupport = HookSupport {
    trampolines: Some(false),
    ..SHARES
};

fn users(redirected: bool, direct_to: Option<&str>, handlers: &[&str]) -> FtraceUsers {
    FtraceUsers {
        function: "gcd".to_owned(),
        module: None,
        redirected,
        direct: direct_to.is_some(),
        direct_to: direct_to.map(str::to_owned),
        handlers: handlers.iter().map(|name| (*name).to_owned()).collect(),
        line: "gcd (1) R I".to_owned(),
    }
}

fn tracer(hook: TraceHook, attached: Option<bool>, comm: &str) -> Tracer {
    Tracer {
        hook,
        attached,
        is_own: false,
        program: Culprit {
            id: Some(42),
            name: Some("on_exit".to_owned()),
            kind: Some("fexit".to_owned()),
            tag: Some("a04f5eef06a7f555".to_owned()),
            owner_pid: Some(77),
            owner_comm: Some(comm.to_owned()),
            pinned: Some("/sys/fs/bpf/x".to_owned()),
            ..Culprit::default()
        },
    }
}

fn kinds(hooks: &[FoundHook]) -> Vec<&FoundHookKind> {
    hooks.iter().map(|hook| &hook.kind).collect()
}

#[test]
fn a_program_counts_while_it_is_attached() {
    let all = [
        tracer(TraceHook::Fexit, Some(true), "falcon"),
        tracer(TraceHook::Fentry, Some(false), "falcon"),
        tracer(TraceHook::FmodRet, None, "falcon"),
    ];
    assert_eq!(kinds(&programs(&all, None)), [&FoundHookKind::Fexit]);
    let traced = users(false, Some("bpf_trampoline_1"), &[]);
    let found = programs(&all, Some(&traced));
    assert_eq!(
        kinds(&found),
        [&FoundHookKind::Fexit, &FoundHookKind::FmodRet]
    );
    let expected = "fexit program on_exit (id 42), tag a04f5eef06a7f555, held by falcon (pid 77), \
                    pinned at /sys/fs/bpf/x";
    assert_eq!(found[0].evidence, [expected]);
    assert!(!found[0].is_ours);
}

#[test]
fn a_program_held_by_lpwatch_is_ours() {
    let found = programs(&[tracer(TraceHook::Fentry, Some(true), "lpwatch")], None);
    assert!(found[0].is_ours);
    let own = Tracer {
        is_own: true,
        ..tracer(TraceHook::Fentry, Some(true), "test")
    };
    assert!(programs(&[own], None)[0].is_ours);
}

#[test]
fn what_is_called_directly_is_bpf_by_its_name() {
    let bpf = users(false, Some("bpf_trampoline_6442474735"), &[]);
    assert_eq!(direct(&bpf, true), None, "its program stands for it");
    assert_eq!(direct(&bpf, false).unwrap().kind, FoundHookKind::Trampoline);
    let other = users(false, Some("my_tramp"), &[]);
    for any in [true, false] {
        let found = direct(&other, any).unwrap();
        assert_eq!(found.kind, FoundHookKind::Direct);
        assert_eq!(found.owner.name.as_deref(), Some("my_tramp"));
        assert_eq!(found.evidence[1], "It calls my_tramp directly.");
    }
    assert_eq!(direct(&users(true, None, &[]), false), None);
}

#[test]
fn a_live_patch_is_no_foreign_user() {
    assert_eq!(
        redirect(&users(true, None, &["klp_ftrace_handler"]), SHARES),
        None
    );
    assert_eq!(
        redirect(&users(true, None, &["kpatch_ftrace_handler"]), SHARES),
        None
    );
    assert_eq!(
        redirect(&users(false, None, &["kprobe_ftrace_handler"]), SHARES),
        None
    );
    let found = redirect(&users(true, None, &["kprobe_ftrace_handler"]), SHARES).unwrap();
    let handler = Some("kprobe_ftrace_handler".to_owned());
    assert_eq!(found.kind, FoundHookKind::Redirect { handler });
    assert_eq!(
        found.evidence,
        ["/sys/kernel/tracing/enabled_functions: gcd (1) R I"]
    );
    let found = redirect(&users(true, None, &[]), SHARES).unwrap();
    assert_eq!(found.kind, FoundHookKind::Redirect { handler: None });
}

#[test]
fn before_6_0_a_trampoline_is_itself_the_one_that_redirects() {
    let bpf = users(true, Some("bpf_trampoline_1"), &[]);
    assert_eq!(redirect(&bpf, OLD), None);
    assert_eq!(redirect(&bpf, HookSupport::default()), None);
    assert!(redirect(&bpf, SHARES).is_some());
}
