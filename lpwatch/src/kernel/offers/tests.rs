//! Trees of files as kernels have them, and trees that lack things.

use std::path::PathBuf;

use super::*;

/// A tree to be filled with files.
struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for (path, content) in files {
            let path = tree.folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        tree
    }

    fn roots(&self) -> Roots {
        Roots {
            sysfs: self.folder.path().join("sys"),
            procfs: self.folder.path().join("proc"),
        }
    }

    fn read(&self) -> Offers {
        Offers::read(
            &self.roots(),
            &["klp_init_transition", "klp_start_transition"],
        )
    }
}

fn found(text: &str) -> Reading {
    Reading::Found(text.to_owned())
}

#[test]
fn a_whole_tree_is_read() {
    let tree = Tree::new(&[
        ("proc/sys/kernel/osrelease", "6.12.1-test\n"),
        ("proc/sys/kernel/hostname", "recorded\n"),
        ("proc/sys/kernel/ftrace_enabled", "1\n"),
        ("proc/sys/kernel/kptr_restrict", "2\n"),
        ("proc/sys/net/core/bpf_jit_enable", "1\n"),
        ("proc/config", "CONFIG_LIVEPATCH=y\n"),
        ("proc/1/patch_state", "-1\n"),
        (
            "proc/kallsyms",
            "ffffffff81000000 T klp_init_transition\n\
             ffffffff81000010 t klp_start_transition.part.0\n",
        ),
        ("sys/kernel/livepatch/lp/enabled", "1\n"),
        ("sys/kernel/btf/vmlinux", "BTF"),
        (
            "sys/kernel/security/lockdown",
            "none [integrity] confidentiality\n",
        ),
        ("sys/kernel/debug/tracing/kprobe_events", ""),
        ("sys/kernel/debug/kprobes/enabled", "1\n"),
        ("sys/bus/event_source/devices/kprobe/type", "8\n"),
        ("sys/devices/system/cpu/possible", "0-3,8\n"),
    ]);
    let offers = tree.read();
    assert_eq!(offers.host.release, "6.12.1-test");
    assert!(offers.livepatch && offers.kprobe_events);
    assert_eq!(offers.is_configured("LIVEPATCH"), Some(true));
    assert_eq!(offers.btf, Reading::Found(3));
    assert_eq!(offers.has_symbol("klp_init_transition"), Some(true));
    assert_eq!(offers.has_symbol("klp_start_transition"), Some(false));
    let symbols = offers.symbols.found().unwrap();
    assert!(symbols.parts.contains("klp_start_transition.part.0") && !symbols.hidden);
    assert_eq!(offers.settings.ftrace_enabled, found("1"));
    assert_eq!(offers.settings.kptr_restrict, found("2"));
    assert_eq!(offers.settings.bpf_jit_enable, found("1"));
    assert_eq!(offers.settings.dmesg_restrict, Reading::Absent);
    assert_eq!(offers.settings.lockdown, found("integrity"));
    assert_eq!(offers.tracefs, found(""));
    assert_eq!(offers.kprobes_armed, found("1"));
    assert_eq!(offers.patch_state, found("-1"));
    assert_eq!(offers.cpus, Some(5));
    // These are the running host's, whatever tree is read.
    assert_eq!(offers.log, Reading::NotRecorded);
    assert_eq!(offers.rights, None);
}

#[test]
fn an_empty_tree_gives_absences_and_no_error() {
    let offers = Tree::new(&[]).read();
    assert!(!offers.livepatch && !offers.kprobe_events);
    assert_eq!(offers.config, None);
    assert_eq!(offers.btf, Reading::Absent);
    assert_eq!(offers.symbols, Reading::Absent);
    assert_eq!(offers.has_symbol("klp_init_transition"), None);
    assert_eq!(offers.settings.lockdown, Reading::Absent);
    assert_eq!(offers.settings.ftrace_enabled, Reading::Absent);
    assert_eq!(offers.patch_state, Reading::Absent);
    assert_eq!(offers.cpus, None);
}

#[test]
fn files_that_hold_something_else_are_reported() {
    let tree = Tree::new(&[
        ("sys/kernel/security/lockdown", "maybe\n"),
        ("sys/devices/system/cpu/possible", "4-1\n"),
        ("proc/kallsyms", "0000000000000000 T klp_init_transition\n"),
    ]);
    let offers = tree.read();
    assert!(matches!(offers.settings.lockdown, Reading::Failed(_)));
    assert_eq!(offers.cpus, None);
    let symbols = offers.symbols.found().unwrap();
    assert!(symbols.hidden && symbols.found.contains("klp_init_transition"));
}

#[test]
fn the_running_host_has_rights_of_its_own() {
    let offers = Offers::read(&Roots::default(), &[]);
    let rights = offers.rights.unwrap();
    let known = rights.capabilities.as_ref().unwrap();
    assert_eq!(
        rights.has(Capability::Bpf),
        Some(known.contains(&Capability::Bpf))
    );
    assert!(offers.cpus.is_none_or(|cpus| cpus > 0));
}

#[test]
fn lists_of_cpus_are_counted() {
    for (list, cpus) in [("0", Some(1)), ("0-1", Some(2)), ("0-3,8-15", Some(12))] {
        assert_eq!(count(list), cpus, "{list}");
    }
    for list in ["", "a", "3-1", "0-4294967295,0", "-1"] {
        assert_eq!(count(list), None, "{list}");
    }
}

#[test]
fn sys_admin_counts_for_both() {
    let rights = |capabilities: Option<Vec<Capability>>| Rights {
        root: true,
        capabilities,
        memlock: Memlock::Unlimited,
    };
    assert_eq!(rights(None).may_trace(), None);
    assert_eq!(rights(Some(vec![Capability::Bpf])).may_trace(), Some(false));
    let both = vec![Capability::Bpf, Capability::Perfmon];
    assert_eq!(rights(Some(both)).may_trace(), Some(true));
    let admin = vec![Capability::SysAdmin];
    assert_eq!(rights(Some(admin)).may_trace(), Some(true));
}

#[test]
fn a_root_that_is_a_file_is_no_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let roots = Roots {
        sysfs: file.path().to_owned(),
        procfs: PathBuf::from("/nonexistent"),
    };
    let offers = Offers::read(&roots, &["a"]);
    assert_eq!(offers.btf, Reading::Absent);
    assert_eq!(offers.symbols, Reading::Absent);
}
