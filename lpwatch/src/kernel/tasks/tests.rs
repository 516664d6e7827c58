//! Trees of threads, as /proc shows them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

struct Procfs {
    folder: TempDir,
}

impl Procfs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // What else lies there is passed over.
        fs::create_dir(folder.path().join("sys")).unwrap();
        fs::create_dir(folder.path().join("12x")).unwrap();
        fs::write(folder.path().join("99"), "no directory").unwrap();
        fs::write(folder.path().join("kallsyms"), "").unwrap();
        Self { folder }
    }

    fn thread(&self, process: u32, thread: u32, files: &[(&str, &str)]) {
        let directory = self.folder.path().join(format!("{process}/task/{thread}"));
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in files {
            fs::write(directory.join(name), text).unwrap();
        }
    }

    fn read(&self, target: i32) -> Result<TaskListing, ReadError> {
        let procfs = self.folder.path().to_owned();
        let sysfs = procfs.clone();
        read_tasks(&Roots { sysfs, procfs }, Some(target))
    }
}

fn tids(listing: &TaskListing) -> Vec<u32> {
    listing.remaining.iter().map(|task| task.tid).collect()
}

fn state(number: &str) -> (&'static str, String) {
    ("patch_state", format!("{number}\n"))
}

fn example() -> Procfs {
    let procfs = Procfs::new();
    for (tgid, tid, number, stat) in [
        (2, 2, "0", "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0\n"),
        (100, 100, "1", "100 (app) S 1 100 100 0 -1 4194304 0 0\n"),
        (
            100,
            102,
            "0",
            "102 (app) worker) D 1 100 100 0 -1 4194304 0 0\n",
        ),
        (100, 11, "0", "11 (a) R 1 100 100 0 -1 4194304 0 0\n"),
        (7, 7, "-1", "7 (idle) S 1 7 7 0 -1 4194304 0 0\n"),
    ] {
        let (name, number) = state(number);
        procfs.thread(tgid, tid, &[(name, &number), ("stat", stat)]);
    }
    procfs
}

#[test]
fn those_not_at_the_target_remain() {
    let listing = example().read(1).unwrap();
    assert_eq!((listing.total, listing.unreadable), (5, 0));
    assert_eq!(tids(&listing), [2, 11, 102]);
    assert_eq!(
        listing.remaining[0],
        ProcTask {
            tid: 2,
            tgid: 2,
            comm: "kthreadd".to_owned(),
            flags: Some(2_129_984),
            state: Some('S'),
            started: None,
        }
    );
    let worker = &listing.remaining[2];
    assert_eq!((worker.tgid, worker.comm.as_str()), (100, "app) worker"));
    assert_eq!((worker.flags, worker.state), (Some(4_194_304), Some('D')));
}

#[test]
fn unpatching_leaves_the_others() {
    assert_eq!(tids(&example().read(0).unwrap()), [100]);
}

#[test]
fn threads_that_ended_meanwhile_are_not_counted() {
    let procfs = example();
    procfs.thread(100, 103, &[]);
    // Ended between the reading of its state and that of its name.
    procfs.thread(100, 104, &[("patch_state", "0\n")]);
    fs::create_dir(procfs.folder.path().join("300")).unwrap();
    let listing = procfs.read(1).unwrap();
    assert_eq!(listing.total, 5);
    assert_eq!(tids(&listing), [2, 11, 102]);
}

#[test]
fn a_kernel_without_patch_state_is_told() {
    let procfs = Procfs::new();
    procfs.thread(1, 1, &[("stat", "1 (init) S 0 1 1 0 -1 0\n")]);
    let error = procfs.read(1).unwrap_err();
    assert!(matches!(error, ReadError::NoPatchState { .. }));
    assert!(error.to_string().contains("CONFIG_LIVEPATCH"));
    assert!(!error.is_permission());
}

#[test]
fn garbage_is_told_apart_from_a_state_and_from_a_name() {
    let procfs = example();
    procfs.thread(300, 300, &[("patch_state", "0"), ("stat", "garbage")]);
    let listing = procfs.read(1).unwrap();
    let task = listing.remaining.last().unwrap();
    assert_eq!((task.tid, task.comm.as_str(), task.state), (300, "", None));

    procfs.thread(300, 301, &[("patch_state", "what")]);
    let error = procfs.read(1).unwrap_err().to_string();
    assert!(error.contains("300/task"), "{error}");
    assert!(error.contains("\"what\""), "{error}");
}

#[test]
fn a_root_that_is_not_there_is_an_error() {
    let roots = Roots {
        sysfs: "/nonexistent".into(),
        procfs: "/nonexistent".into(),
    };
    assert!(matches!(
        read_tasks(&roots, Some(1)),
        Err(ReadError::Io { .. })
    ));
}

#[test]
fn threads_closed_to_the_caller_are_counted() {
    let procfs = example();
    let close = |tgid: u32, tid: u32| {
        let file = format!("{tgid}/task/{tid}/patch_state");
        let file = procfs.folder.path().join(file);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
        fs::read(&file).is_err()
    };
    if !close(2, 2) {
        println!("skipped: this user (root) may read every file");
        return;
    }
    let listing = procfs.read(1).unwrap();
    assert_eq!((listing.total, listing.unreadable), (5, 1));
    assert_eq!(tids(&listing), [11, 102]);

    for (tgid, tid) in [(100, 100), (100, 102), (100, 11), (7, 7)] {
        close(tgid, tid);
    }
    let error = procfs.read(1).unwrap_err();
    assert!(error.is_permission());
    assert!(error.to_string().contains("CAP_BPF"));
}
