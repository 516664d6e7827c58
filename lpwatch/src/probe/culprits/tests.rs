//! What is named, and what is left out, on a tree without BTF or BPF.

use std::{collections::BTreeSet, fs, os::unix::fs::symlink};

use lpwatch_common::program::{ATTACH_FEXIT, LinkRecord, PROGRAM_TRACING, ProgramRecord};
use tempfile::TempDir;

use super::*;
use crate::probe::TraceHook;

const KEY: u64 = (1 << 32) | 0x8000_0000 | 0xd3d7;
const TAG: [u8; 8] = [0xa0, 0x4f, 0x5e, 0xef, 0x06, 0xa7, 0xf5, 0x55];

fn tree() -> (TempDir, Roots) {
    let folder = TempDir::new().unwrap();
    let roots = Roots {
        sysfs: folder.path().join("sys"),
        procfs: folder.path().join("proc"),
    };
    fs::create_dir_all(&roots.sysfs).unwrap();
    fs::create_dir_all(&roots.procfs).unwrap();
    (folder, roots)
}

/// A process 77, `falcon`, that holds a link to program 42.
fn hold(roots: &Roots) {
    let process = roots.procfs.join("77");
    fs::create_dir_all(process.join("fd")).unwrap();
    fs::create_dir_all(process.join("fdinfo")).unwrap();
    fs::write(process.join("comm"), "falcon\n").unwrap();
    symlink("anon_inode:bpf_link", process.join("fd/5")).unwrap();
    let info = "pos:\t0\nlink_type:\ttracing\nlink_id:\t3\nprog_tag:\tab\nprog_id:\t42\n";
    fs::write(process.join("fdinfo/5"), info).unwrap();
}

fn record(id: u32) -> ProgramRecord {
    let mut function_name = [0; 64];
    function_name[..17].copy_from_slice(b"hrtimer_nanosleep");
    ProgramRecord {
        id,
        kind: PROGRAM_TRACING,
        attach_type: ATTACH_FEXIT,
        attached: 2,
        function: 0xd3d7,
        btf: 1,
        tag: TAG,
        name: *b"on_exit\0\0\0\0\0\0\0\0\0",
        function_name,
        symbol_name: [0; 64],
    }
}

fn programs(records: Vec<ProgramRecord>, own: &[u32]) -> Programs {
    let links = records.iter().map(|record| LinkRecord {
        key: KEY,
        id: record.id,
        program: record.id,
    });
    let links = links.collect();
    Programs::new(
        records,
        Some(links),
        own.iter().copied().collect::<BTreeSet<_>>(),
    )
}

fn falcon() -> Culprit {
    Culprit {
        id: Some(42),
        name: Some("on_exit".to_owned()),
        kind: Some("fexit".to_owned()),
        tag: Some("a04f5eef06a7f555".to_owned()),
        attached_to: Some("hrtimer_nanosleep".to_owned()),
        owner_pid: Some(77),
        owner_comm: Some("falcon".to_owned()),
        pinned: None,
    }
}

#[test]
fn a_trampoline_is_named_in_full() {
    let (_folder, roots) = tree();
    hold(&roots);
    let mut finder = CulpritFinder::new(&roots, Ok(programs(vec![record(42)], &[])));
    let frame = format!("bpf_trampoline_{KEY}+0x47/0x1000");
    assert_eq!(finder.of_frame(&frame, &["schedule"]), [falcon()]);
    assert_eq!(finder.notes(), [""; 0]);
}

#[test]
fn a_program_on_the_stack_is_named_in_full() {
    let (_folder, roots) = tree();
    hold(&roots);
    let mut finder = CulpritFinder::new(&roots, Ok(programs(vec![record(42)], &[])));
    let frame = "bpf_prog_a04f5eef06a7f555_on_exit+0x1f";
    assert_eq!(finder.of_frame(frame, &[]), [falcon()]);
}

#[test]
fn who_holds_it_is_left_out_with_a_reason() {
    let (_folder, roots) = tree();
    let mut finder = CulpritFinder::new(&roots, Ok(programs(vec![record(42)], &[])));
    let [culprit] = &finder.of_frame(&format!("bpf_trampoline_{KEY}"), &[])[..] else {
        panic!("one culprit");
    };
    assert_eq!((culprit.id, culprit.owner_pid), (Some(42), None));
    let _ = finder.of_frame(&format!("bpf_trampoline_{KEY}"), &[]);
    assert_eq!(
        finder.notes(),
        [
            "The holder of BPF program 42 is unknown: no process here holds it, and it is not \
          pinned below /sys/fs/bpf."
        ]
    );
}

#[test]
fn lpwatch_is_no_culprit() {
    let (_folder, roots) = tree();
    let mut finder = CulpritFinder::new(&roots, Ok(programs(vec![record(42)], &[42])));
    let frame = "bpf_prog_a04f5eef06a7f555_on_exit";
    assert_eq!(finder.of_frame(frame, &[]), []);
    let found = finder.of_frame(&format!("bpf_trampoline_{KEY}"), &[]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, None);
}

#[test]
fn programs_that_are_the_same_are_not_distinguished() {
    let (_folder, roots) = tree();
    let two = programs(vec![record(42), record(43)], &[]);
    let mut finder = CulpritFinder::new(&roots, Ok(two));
    let expected = Culprit {
        id: None,
        owner_pid: None,
        owner_comm: None,
        ..falcon()
    };
    let frame = "bpf_prog_a04f5eef06a7f555_on_exit";
    assert_eq!(finder.of_frame(frame, &[]), [expected]);
    assert!(finder.notes()[0].ends_with("is unknown: several loaded programs are identical."));
}

#[test]
fn a_trampoline_whose_program_is_gone_keeps_what_is_known() {
    let (_folder, roots) = tree();
    let mut finder = CulpritFinder::new(&roots, Ok(Programs::default()));
    let frame = format!("bpf_trampoline_{KEY}");
    assert_eq!(finder.of_frame(&frame, &[]), [Culprit::default()]);

    let reason = Err("BPF is switched off".to_owned());
    let mut finder = CulpritFinder::new(&roots, reason);
    assert_eq!(finder.of_frame(&frame, &[]), [Culprit::default()]);
    assert_eq!(
        finder.notes(),
        [
            "The BPF program that holds the trampoline of an unknown function is unknown: \
          BPF is switched off."
        ]
    );
    let unnamed = Culprit {
        name: Some("on_exit".to_owned()),
        tag: Some("a04f5eef06a7f555".to_owned()),
        ..Culprit::default()
    };
    let frame = "bpf_prog_a04f5eef06a7f555_on_exit";
    assert_eq!(finder.of_frame(frame, &[]), [unnamed]);
}

#[test]
fn a_return_probe_is_named_if_its_function_is_on_the_stack() {
    let (_folder, roots) = tree();
    let mut finder = CulpritFinder::new(&roots, Ok(Programs::default()));
    assert_eq!(finder.of_frame("kretprobe_trampoline", &["a"]), []);
    assert!(finder.notes()[0].starts_with("The kretprobe is unknown: cannot read"));

    let list = roots.sysfs.join("kernel/debug/kprobes");
    fs::create_dir_all(&list).unwrap();
    fs::write(list.join("list"), "f0  r  a+0x0    \nf1  r  b+0x0    \n").unwrap();
    let mut finder = CulpritFinder::new(&roots, Ok(Programs::default()));
    let expected = Culprit {
        kind: Some("kretprobe".to_owned()),
        attached_to: Some("a".to_owned()),
        ..Culprit::default()
    };
    let found = finder.of_frame("__kretprobe_trampoline+0x0", &["schedule+0x1", "a+0x20"]);
    assert_eq!(found, [expected]);
    assert_eq!(finder.notes(), [""; 0]);
}

#[test]
fn frames_of_the_kernel_have_no_culprit() {
    let (_folder, roots) = tree();
    let mut finder = CulpritFinder::new(&roots, Ok(Programs::default()));
    assert_eq!(
        finder.of_frame("hrtimer_nanosleep+0x10", &["hrtimer_nanosleep"]),
        []
    );
    assert_eq!(finder.of_frame("", &[]), []);
}

#[test]
fn those_at_a_function_are_named_with_their_owner() {
    let (_folder, roots) = tree();
    hold(&roots);
    let mut finder = CulpritFinder::new(&roots, Ok(programs(vec![record(42)], &[])));
    let found = finder.tracers("vmlinux", "hrtimer_nanosleep").unwrap();
    let expected = Tracer {
        hook: TraceHook::Fexit,
        attached: Some(true),
        is_own: false,
        program: falcon(),
    };
    assert_eq!(found, [expected]);
    assert!(finder.tracers("vmlinux", "gcd").unwrap().is_empty());
    assert!(finder.kprobe_programs().is_empty());

    let kprobe = ProgramRecord {
        kind: 2,
        ..record(42)
    };
    let mut finder = CulpritFinder::new(&roots, Ok(programs(vec![kprobe], &[])));
    let found = finder.kprobe_programs();
    assert_eq!(found[0].kind.as_deref(), Some("kprobe"));
    assert_eq!(found[0].owner_comm.as_deref(), Some("falcon"));

    let reason = Err("BPF is switched off".to_owned());
    let mut finder = CulpritFinder::new(&roots, reason);
    let error = finder.tracers("vmlinux", "gcd").unwrap_err();
    assert_eq!(error, "BPF is switched off");
    assert!(finder.kprobe_programs().is_empty());
}
