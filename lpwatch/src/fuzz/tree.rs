//! A whole host as files: one of its files is damaged, and everything is read.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::hammer;
use crate::{
    doctor::{self, DoctorOptions},
    inventory,
    kernel::{
        Roots, ftrace_users, kallsyms::Symbol, kprobes, kretprobes, modules, real_time, traceable,
    },
    model::{Snapshot, Thresholds},
    observe::observer::{Observer, ObserverOptions},
    render::{json, style::Style, table},
};

/// Files of tracing, settings and other systems, which no tree has.
const ADDED: [(&str, &str); 14] = [
    (
        "sys/kernel/debug/kprobes/list",
        "ffffffff81000100  k  first+0x0    [FTRACE]\n\
         ffffffffc0001000  r  target_main+0x0  lpwatch_target [DISABLED][FTRACE]\n",
    ),
    (
        "sys/kernel/tracing/kprobe_events",
        "p:kprobes/p_first_0 first\nr8:a/b lpwatch_target:target_main+4 arg=%di\n",
    ),
    ("sys/kernel/tracing/events/a/b/enable", "1\n"),
    (
        "sys/kernel/tracing/enabled_functions",
        "first (1) R I   tramp: ftrace_regs_caller+0x0/0x65 (klp_ftrace_handler+0x0/0x2a0)\n\
         second (2)   D   \tops: bpf\n\tdirect-->bpf_trampoline_6442536263+0x0/0x9c\n",
    ),
    (
        "sys/kernel/tracing/available_filter_functions_addrs",
        "ffffffff81000100 first\nffffffffc0001000 target_main [lpwatch_target]\n",
    ),
    (
        "proc/kallsyms",
        "ffffffff81000100 t first\nffffffffc0001000 t target_main\t[lpwatch_target]\n",
    ),
    (
        "proc/modules",
        "lpwatch_target 16384 1 lp_stall, Live 0xffffffffc0001000 (OE)\n",
    ),
    ("sys/module/lpwatch_target/taint", "OE\n"),
    (
        "sys/module/lpwatch_target/srcversion",
        "533BB7E5866E52F63B9ACCB\n",
    ),
    (
        "sys/kernel/security/lockdown",
        "none [integrity] confidentiality\n",
    ),
    ("sys/devices/system/cpu/possible", "0-3,8\n"),
    ("proc/sys/kernel/perf_event_paranoid", "3\n"),
    ("proc/sys/kernel/kptr_restrict", "1\n"),
    (
        "proc/1/status",
        "Name:\tinit\nUmask:\t0022\nNSpid:\t1\t7\nNStgid:\t1\t7\nSigQ:\t0/1\n",
    ),
];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else if kind.is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(below: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(below).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() && entry.file_name() != ".gitkeep" {
            found.push(entry.path());
        }
    }
}

fn read(roots: &Roots) {
    let observer = ObserverOptions {
        roots: roots.clone(),
        ..ObserverOptions::default()
    };
    if let Ok(observer) = Observer::single_look(&observer) {
        let snapshot = observer.snapshot(&Thresholds::default());
        let text = json::pretty(&snapshot).unwrap();
        let read: Snapshot = serde_json::from_str(&text).unwrap();
        assert_eq!(json::pretty(&read).unwrap(), text);
        let shown = table::status(&snapshot, &Style::default());
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
    let options = DoctorOptions {
        roots: roots.clone(),
        ..DoctorOptions::default()
    };
    let _ = doctor::examine(&options, None);
    let request = inventory::InventoryRequest {
        cves: true,
        tools: false,
    };
    let _ = inventory::gather(roots, request);
    let _ = kprobes::armed(roots);
    let _ = kretprobes::read(roots);
    let _ = ftrace_users::read(roots, |_| true);
    let symbol = Symbol {
        object: "lpwatch_target".to_owned(),
        name: "target_main".to_owned(),
    };
    let _ = traceable::read(roots, &[symbol]);
    let _ = real_time::cpu_holders(roots);
    let _ = modules::taint(roots, "lpwatch_target");
    let _ = modules::loaded_names(roots);
}

fn tree(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let trees = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/trees");
    copy(&trees.join(name), folder.path());
    for (path, text) in ADDED {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut paths = Vec::new();
    files(folder.path(), &mut paths);
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let roots = Roots {
        sysfs: folder.path().join("sys"),
        procfs: folder.path().join("proc"),
    };
    hammer(&format!("tree_{name}"), &seeds, |index, input| {
        fs::write(&paths[index], input).unwrap();
        read(&roots);
        fs::write(&paths[index], &seeds[index]).unwrap();
    });
}

#[test]
fn livepatch() {
    tree("6.12");
}

#[test]
fn kgraft() {
    tree("kgraft");
}

#[test]
fn ksplice() {
    tree("ksplice");
}

#[test]
fn other_systems() {
    tree("systems");
}
