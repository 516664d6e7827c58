//! The file as real kernels write it: Debian's 5.10.262, 6.1.192, 6.12.117 and
//! 7.2.13.

use super::*;

/// A probe with a post handler at gcd, a live patch of `cmdline_proc_show`, and
/// a program at the exit of `hrtimer_nanosleep`.
const ALONE: [&str; 4] = [
    "\
gcd (1) R I  \ttramp: 0xffffffffc026d000 (kprobe_ftrace_handler+0x0/0xf0) ->ftrace_ops_assist_func+0x0/0x110
cmdline_proc_show (1) R I  \ttramp: 0xffffffffc0277000 (klp_ftrace_handler+0x0/0xa0) ->ftrace_ops_assist_func+0x0/0x110
hrtimer_nanosleep (1) R I D\ttramp: ftrace_regs_caller+0x0/0x58 (call_direct_funcs+0x0/0x20)
\tdirect-->bpf_trampoline_18232_0+0x0/0x1000
",
    "\
gcd (1) R I  \ttramp: 0xffffffffc03a5000 (kprobe_ftrace_handler+0x0/0x1b0) ->kprobe_ftrace_handler+0x0/0x1b0
cmdline_proc_show (1)   I  \ttramp: 0xffffffffc03a7000 (klp_ftrace_handler+0x0/0x110) ->klp_ftrace_handler+0x0/0x110
hrtimer_nanosleep (1) R   D\ttramp: ftrace_regs_caller+0x0/0x58 (call_direct_funcs+0x0/0x30)
\tdirect-->bpf_trampoline_6442459920+0x0/0x1000
",
    "\
gcd (1) R I     M \ttramp: 0xffffffffc03f0000 (kprobe_ftrace_handler+0x0/0x1d0) ->kprobe_ftrace_handler+0x0/0x1d0
cmdline_proc_show (1)   I     M \ttramp: 0xffffffffc03f4000 (klp_ftrace_handler+0x0/0x100) ->klp_ftrace_handler+0x0/0x100
hrtimer_nanosleep (1) R   D   M \ttramp: ftrace_regs_caller+0x0/0x65 (call_direct_funcs+0x0/0x20)
\tdirect-->bpf_trampoline_6442474735+0x0/0xe8
",
    "\
gcd (1) R I     M \ttramp: 0xffffffffc0603000 (kprobe_ftrace_handler+0x0/0x1f0) ->kprobe_ftrace_handler+0x0/0x1f0
cmdline_proc_show (1)   I     M \ttramp: 0xffffffffc0604000 (klp_ftrace_handler+0x0/0x110) ->klp_ftrace_handler+0x0/0x110
hrtimer_nanosleep (1) R   D   M \ttramp: ftrace_regs_caller+0x0/0x61 (call_direct_funcs+0x0/0x20)
\tdirect(jmp)-->bpf_trampoline_6442533610+0x0/0xe4
",
];

/// The same, with tracefs probes at both functions and lpwatch's counters.
const TOGETHER: [&str; 4] = [
    "\
hrtimer_nanosleep (2) R I D ->ftrace_ops_list_func+0x0/0x180
\tdirect-->bpf_trampoline_18232_0+0x0/0x1000
cmdline_proc_show (2) R I   ->ftrace_ops_list_func+0x0/0x180
lp_cmdline_show [lp_cmdline] (1) R    \ttramp: 0xffffffffc0270000 (kprobe_ftrace_handler+0x0/0xf0) ->ftrace_ops_assist_func+0x0/0x110
",
    "\
hrtimer_nanosleep (2) R   D ->arch_ftrace_ops_list_func+0x0/0x1d0
\tdirect-->bpf_trampoline_6442459920+0x0/0x1000
cmdline_proc_show (3) R I D ->arch_ftrace_ops_list_func+0x0/0x1d0
\tdirect-->bpf_trampoline_6442540148+0x0/0x1000
lp_cmdline_show [lp_cmdline] (1) R    \ttramp: 0xffffffffc03a3000 (kprobe_ftrace_handler+0x0/0x1b0) ->kprobe_ftrace_handler+0x0/0x1b0
",
    "\
hrtimer_nanosleep (2) R   D   M  ->arch_ftrace_ops_list_func+0x0/0x1d0
\tdirect-->bpf_trampoline_6442474735+0x0/0xe8
cmdline_proc_show (3) R I D   M  ->arch_ftrace_ops_list_func+0x0/0x1d0
\tdirect-->bpf_trampoline_6442500515+0x0/0xb7
lp_cmdline_show [lp_cmdline] (1) R         \ttramp: 0xffffffffc03ee000 (kprobe_ftrace_handler+0x0/0x1d0) ->kprobe_ftrace_handler+0x0/0x1d0
",
    "\
hrtimer_nanosleep (2) R   D   M  ->arch_ftrace_ops_list_func+0x0/0x250
\tdirect(jmp)-->bpf_trampoline_6442533610+0x0/0xe4
cmdline_proc_show (2) R I     M  ->arch_ftrace_ops_list_func+0x0/0x250
",
];

fn read(text: &str) -> Vec<FtraceUsers> {
    parse(text.as_bytes(), |_| true).unwrap()
}

fn handlers(users: &FtraceUsers) -> Vec<&str> {
    users.handlers.iter().map(String::as_str).collect()
}

#[test]
fn a_handler_that_is_alone_is_named() {
    for text in ALONE {
        let found = read(text);
        let [gcd, patched, slept] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(gcd.function, "gcd");
        assert!(gcd.redirected && !gcd.direct, "{gcd:?}");
        assert_eq!(handlers(gcd), ["kprobe_ftrace_handler"]);
        assert!(patched.redirected && !patched.direct, "{patched:?}");
        assert_eq!(handlers(patched), ["klp_ftrace_handler"]);
        assert!(slept.direct, "{slept:?}");
        let target = slept.direct_to.as_deref().unwrap();
        assert!(target.starts_with("bpf_trampoline_"), "{target}");
        assert!(!target.contains('+'), "{target}");
        assert!(handlers(slept).is_empty(), "{slept:?}");
    }
}

/// Before 6.0 the kernel counts whatever is called directly among those that
/// send calls elsewhere.
#[test]
fn a_trampoline_alone_redirects_in_5_10_only() {
    let redirected = ALONE.map(|text| read(text)[2].redirected);
    assert_eq!(redirected, [true, false, false, false]);
}

#[test]
fn several_handlers_have_no_names() {
    for text in TOGETHER {
        let found = read(text);
        assert_eq!(found[0].function, "hrtimer_nanosleep");
        assert!(found[0].direct && found[0].direct_to.is_some());
        let patched = &found[1];
        assert_eq!(patched.function, "cmdline_proc_show");
        assert!(
            patched.redirected && patched.handlers.is_empty(),
            "{patched:?}"
        );
        if let Some(counted) = found.get(2) {
            assert_eq!(counted.function, "lp_cmdline_show");
            assert_eq!(counted.module.as_deref(), Some("lp_cmdline"));
            assert!(!counted.redirected && !counted.direct);
            assert_eq!(
                counted.line.split(" tramp").next(),
                Some("lp_cmdline_show [lp_cmdline] (1) R")
            );
        }
    }
}

#[test]
fn only_what_is_wanted_is_kept() {
    let found = parse(TOGETHER[2].as_bytes(), |name| name == "cmdline_proc_show").unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].direct_to.as_deref(),
        Some("bpf_trampoline_6442500515")
    );
    let found = parse(TOGETHER[2].as_bytes(), |name| name == "lp_cmdline_show").unwrap();
    assert_eq!(found[0].direct_to, None);
}

#[test]
fn lines_of_another_form_are_passed_over() {
    for text in [
        "",
        "\n",
        "\tdirect-->x\n",
        "f\n",
        "f (\n",
        "f [m (1) R\n",
        "f x (1)\n",
        "(1)\n",
    ] {
        assert!(read(text).is_empty(), "{text:?}");
    }
    assert_eq!(read("f (1)").len(), 1);
    assert_eq!(parse(&b"\xff\xfe (1) I\n"[..], |_| true).unwrap().len(), 1);
}

#[test]
fn tracefs_may_be_mounted_below_debugfs_only() {
    let folder = tempfile::tempdir().unwrap();
    let roots = Roots {
        sysfs: folder.path().to_owned(),
        procfs: folder.path().to_owned(),
    };
    let missing = super::read(&roots, |_| true).unwrap_err();
    assert!(missing.to_string().contains("kernel/tracing"), "{missing}");
    let older = folder.path().join("kernel/debug/tracing");
    std::fs::create_dir_all(&older).unwrap();
    std::fs::write(older.join("enabled_functions"), ALONE[0]).unwrap();
    assert_eq!(super::read(&roots, |name| name == "gcd").unwrap().len(), 1);
}
