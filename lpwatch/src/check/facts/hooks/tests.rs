//! Hooks found below a tree as 6.12.117 showed it, and without one.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::check::{facts::objects::Extent, rules::samples};

const USERS: &str = "\
gcd (1) R I     M \ttramp: 0xffffffffc03f0000 (kprobe_ftrace_handler+0x0/0x1d0) ->kprobe_ftrace_handler+0x0/0x1d0
hrtimer_nanosleep (2) R   D   M  ->arch_ftrace_ops_list_func+0x0/0x1d0
\tdirect-->bpf_trampoline_6442474735+0x0/0xe8
cmdline_proc_show (2) R I     M  ->arch_ftrace_ops_list_func+0x0/0x1d0
";

const LIST: &str = "\
ffffffffbc92f404  k  gcd+0x4    [FTRACE]
ffffffff8fd09649  k  cmdline_proc_show+0x9    [OPTIMIZED]
ffffffff8fd09644  r  cmdline_proc_show+0x4    [FTRACE]
ffffffff8fd09644  k  cmdline_proc_show+0x4    [FTRACE]
";

const EVENTS: &str = "\
p:kprobes/inside9 cmdline_proc_show+9
p:kprobes/entry cmdline_proc_show
r8:kprobes/ret cmdline_proc_show
";

const KALLSYMS: &str = "\
ffffffff8f890e80 T arch_rethook_trampoline
ffffffff8fa790a0 T rethook_find_ret_addr
ffffffff8fad5800 t bpf_tramp_ftrace_ops_func
ffffffff8fd09640 t cmdline_proc_show
";

fn tree() -> (TempDir, Roots) {
    let folder = TempDir::new().unwrap();
    let roots = Roots {
        sysfs: folder.path().join("sys"),
        procfs: folder.path().join("proc"),
    };
    let tracing = roots.sysfs.join("kernel/tracing");
    let kprobes = roots.sysfs.join("kernel/debug/kprobes");
    for directory in [&tracing, &kprobes, &roots.procfs] {
        fs::create_dir_all(directory).unwrap();
    }
    fs::write(tracing.join("enabled_functions"), USERS).unwrap();
    fs::write(tracing.join("kprobe_events"), EVENTS).unwrap();
    for name in ["inside9", "entry", "ret"] {
        let event = tracing.join("events/kprobes").join(name);
        fs::create_dir_all(&event).unwrap();
        fs::write(event.join("enable"), "1\n").unwrap();
    }
    fs::write(kprobes.join("list"), LIST).unwrap();
    fs::write(roots.procfs.join("kallsyms"), KALLSYMS).unwrap();
    (folder, roots)
}

fn gather(roots: &Roots, functions: &[&str]) -> (HookFacts, Vec<String>) {
    let mut objects = ObjectFacts::default();
    let shown = FunctionId {
        object: "vmlinux".to_owned(),
        name: "cmdline_proc_show".to_owned(),
        sympos: 1,
    };
    let begin = 0xffff_ffff_8fd0_9640;
    let end = begin + 0x40;
    objects.functions.insert(shown, vec![Extent { begin, end }]);
    let mut notes = Vec::new();
    let patch = samples::patch(functions);
    let facts = HookFacts::gather(
        roots,
        &patch,
        &objects,
        Err("BPF is not used (--no-bpf)"),
        &mut notes,
    );
    (facts, notes)
}

fn told(facts: &HookFacts, function: &str) -> Vec<(FoundHookKind, Option<String>)> {
    let (_, hooks) = facts.at.iter().find(|(id, _)| id.name == function).unwrap();
    hooks
        .iter()
        .map(|hook| (hook.kind.clone(), hook.owner.name.clone()))
        .collect()
}

#[test]
fn every_hook_of_a_function_is_found_without_bpf() {
    let (_folder, roots) = tree();
    let (facts, notes) = gather(
        &roots,
        &["gcd", "cmdline_proc_show", "hrtimer_nanosleep", "lcm"],
    );
    let named = |name: &str| Some(format!("kprobes/{name}"));
    let redirect = |handler: Option<&str>| FoundHookKind::Redirect {
        handler: handler.map(str::to_owned),
    };
    let entry = FoundHookKind::Kprobe(KprobePlace::Entry);
    let expected = [
        (redirect(Some("kprobe_ftrace_handler")), None),
        (entry.clone(), None),
    ];
    assert_eq!(told(&facts, "gcd"), expected);
    assert_eq!(
        told(&facts, "hrtimer_nanosleep"),
        [(FoundHookKind::Trampoline, None)]
    );
    let expected = [
        // The livepatch, which the kernel does not name here: the rule knows.
        (redirect(None), None),
        (
            FoundHookKind::Kprobe(KprobePlace::Offset(9)),
            named("inside9"),
        ),
        (FoundHookKind::Kretprobe, named("ret")),
        (entry, named("entry")),
    ];
    assert_eq!(told(&facts, "cmdline_proc_show"), expected);
    assert_eq!(facts.at.len(), 3, "nothing is at lcm");
    let expected = HookSupport {
        trampolines: Some(true),
        bpf_frames: Some(false),
        return_probes: Some(true),
    };
    assert_eq!(facts.support, expected);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("BPF is not used (--no-bpf)"), "{notes:?}");
}

#[test]
fn what_shows_a_probe_is_told() {
    let (_folder, roots) = tree();
    let (facts, _) = gather(&roots, &["cmdline_proc_show", "gcd"]);
    let evidence: Vec<&[String]> = facts
        .at
        .values()
        .flatten()
        .filter(|hook| matches!(hook.kind, FoundHookKind::Kprobe(_)))
        .map(|hook| hook.evidence.as_slice())
        .collect();
    let list = "/sys/kernel/debug/kprobes/list: k";
    assert_eq!(
        evidence[0],
        [format!(
            "{list} cmdline_proc_show+0x9 (kprobes/inside9 in tracefs)"
        )]
    );
    assert_eq!(evidence[2][0], format!("{list} gcd+0x4"));
    assert!(evidence[2][1].starts_with("It has no name in tracefs"));
}

#[test]
fn what_cannot_be_read_is_told_and_nothing_is_made_up() {
    let folder = TempDir::new().unwrap();
    let roots = Roots {
        sysfs: folder.path().to_owned(),
        procfs: folder.path().to_owned(),
    };
    let (facts, notes) = gather(&roots, &["gcd"]);
    assert_eq!(facts, HookFacts::default());
    for part in [
        "kallsyms",
        "enabled_functions",
        "kprobes/list",
        "BPF is not used",
    ] {
        let about = notes.iter().filter(|note| note.contains(part)).count();
        assert_eq!(about, 1, "{part}: {notes:?}");
    }
}

#[test]
fn a_patch_without_functions_asks_for_nothing() {
    let (_folder, roots) = tree();
    let (facts, notes) = gather(&roots, &[]);
    assert_eq!((facts, notes), (HookFacts::default(), Vec::new()));
}
