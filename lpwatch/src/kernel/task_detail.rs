//! One task in /proc: its kernel stack, and its ids in its own pid namespace.
//!
//! Sources: `proc_pid_stack` (fs/proc/base.c; needs `CAP_SYS_ADMIN`) and
//! `task_state` (fs/proc/array.c; `NStgid` and `NSpid` since 4.1), 5.10 to 7.3.

use std::{fs, path::PathBuf, sync::OnceLock};

use super::{
    Roots,
    kallsyms::{self, Location, PrintedFrame, Symbolizer, parse_frame},
    tasks::{ProcTask, stat},
};

/// The task of this number, also a thread that leads no process; `None` where
/// there is none.
#[must_use]
pub fn task(roots: &Roots, tid: u32) -> Option<ProcTask> {
    let folder = roots.procfs.join(tid.to_string());
    let stat = fs::read(folder.join("stat")).ok()?;
    let status = fs::read(folder.join("status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let leader = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    let tgid = leader.and_then(|tgid| tgid.trim().parse().ok());
    Some(stat::parse(&stat, tid, tgid.unwrap_or(tid)))
}

/// The kernel stack, innermost frame first; `None` where it may not be read or
/// the task has gone. Frames the kernel cannot name are left out.
#[must_use]
pub fn stack(roots: &Roots, tgid: u32, tid: u32) -> Option<Vec<Location>> {
    let text = fs::read_to_string(file(roots, tgid, tid, "stack")).ok()?;
    let frames = text.lines().filter_map(parse_frame);
    Some(
        frames
            .map(|frame| kretprobe_by_name(frame, roots))
            .collect(),
    )
}

/// Before 5.15 the kernel prints the trampoline of a return probe, which
/// replaces a return address, as the end of the function before it. Symbols are
/// read only for a frame that looks like that.
fn kretprobe_by_name(frame: PrintedFrame, roots: &Roots) -> Location {
    // The symbols of a running kernel do not change.
    static PRINTED_AS: OnceLock<Option<Location>> = OnceLock::new();
    let PrintedFrame { location, at_end } = frame;
    let printed_as = || PRINTED_AS.get_or_init(|| before(roots, KRETPROBE)).as_ref();
    if !at_end || !roots.is_live() || printed_as() != Some(&location) {
        return location;
    }
    Location {
        symbol: KRETPROBE.to_owned(),
        offset: 0,
        module: None,
    }
}

const KRETPROBE: &str = "kretprobe_trampoline";

/// The start of `symbol`, as an offset in the symbol before it.
fn before(roots: &Roots, symbol: &str) -> Option<Location> {
    let found = kallsyms::find_names(roots, &[symbol]).ok()?;
    let last_byte = found.addresses.get(symbol)?.first()?.checked_sub(1)?;
    let mut symbols = Symbolizer::default();
    symbols.learn(roots, [last_byte]).ok()?;
    let previous = symbols.locate(last_byte)?;
    Some(Location {
        offset: previous.offset + 1,
        ..previous.clone()
    })
}

/// The name of a task as /proc shows it: that of a workqueue's worker has the
/// workqueue, `kworker/u8:1+writeback` (`wq_worker_comm`, kernel/workqueue.c, since
/// 4.18).
#[must_use]
pub fn comm(roots: &Roots, tid: u32) -> Option<String> {
    let bytes = fs::read(roots.procfs.join(format!("{tid}/comm"))).ok()?;
    let name = String::from_utf8_lossy(&bytes);
    let name = name.strip_suffix('\n').unwrap_or(&name);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The last process that this thread started, of those that have not ended;
/// `None` without `CONFIG_PROC_CHILDREN`, too.
#[must_use]
pub fn newest_child(roots: &Roots, tgid: u32, tid: u32) -> Option<ProcTask> {
    let children = fs::read_to_string(file(roots, tgid, tid, "children")).ok()?;
    let children = children.split_ascii_whitespace();
    let children = children.filter_map(|pid| task(roots, pid.parse().ok()?));
    children.max_by_key(|child| child.started)
}

/// Ids in the innermost of several pid namespaces: thread, process.
#[must_use]
pub fn namespace_ids(roots: &Roots, tgid: u32, tid: u32) -> Option<(u32, u32)> {
    // Names may be any bytes, and only numbers are wanted.
    let bytes = fs::read(file(roots, tgid, tid, "status")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some((innermost(&text, "NSpid:")?, innermost(&text, "NStgid:")?))
}

/// The last of several numbers on the line; `None` for a single one, which is
/// the id in the only namespace.
fn innermost(status: &str, key: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_ascii_whitespace().skip(1).last()?.parse().ok()
}

fn file(roots: &Roots, tgid: u32, tid: u32, name: &str) -> PathBuf {
    roots.procfs.join(format!("{tgid}/task/{tid}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_namespace_gives_other_ids() {
        let status = "Name:\tNSpid: 9\nNStgid:\t812\t17\nPid:\t813\nNSpid:\t813\t18\n";
        assert_eq!(innermost(status, "NSpid:"), Some(18));
        assert_eq!(innermost(status, "NStgid:"), Some(17));
        assert_eq!(innermost("NSpid:\t813\n", "NSpid:"), None);
        assert_eq!(innermost("", "NSpid:"), None);
    }

    #[test]
    fn the_newest_child_is_the_one_started_last() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let roots = Roots {
            procfs: directory.path().to_owned(),
            ..Roots::default()
        };
        assert_eq!(newest_child(&roots, 7, 8), None, "no such file");
        write("7/task/8/children", "30 12 31 ");
        for (pid, started) in [(30, 900), (12, 950)] {
            let zeros = "0 ".repeat(12);
            let stat = format!("{pid} (c {pid}) S 8 0 0 0 -1 4194304 {zeros}{started} 0\n");
            write(&format!("{pid}/stat"), &stat);
        }
        // The pids have wrapped around, and 31 has ended.
        let newest = newest_child(&roots, 7, 8).unwrap();
        assert_eq!((newest.tid, newest.comm.as_str()), (12, "c 12"));
    }

    #[test]
    fn what_stands_before_a_symbol_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let kallsyms =
            "ffffffff81000100 t elfcorehdr_read\nffffffff81000140 T kretprobe_trampoline\n";
        fs::write(directory.path().join("kallsyms"), kallsyms).unwrap();
        let roots = Roots {
            procfs: directory.path().to_owned(),
            ..Roots::default()
        };
        let before = before(&roots, KRETPROBE).unwrap();
        assert_eq!(
            (before.symbol.as_str(), before.offset),
            ("elfcorehdr_read", 0x40)
        );
        assert_eq!(super::before(&roots, "no_such"), None);
    }

    #[test]
    fn a_thread_is_known_by_its_number() {
        let directory = tempfile::tempdir().unwrap();
        let task = directory.path().join("8");
        fs::create_dir_all(&task).unwrap();
        let roots = Roots {
            procfs: directory.path().to_owned(),
            ..Roots::default()
        };
        assert_eq!(super::task(&roots, 8), None);
        fs::write(task.join("stat"), "8 (a b) D 1\n").unwrap();
        assert_eq!(super::task(&roots, 8).unwrap().tgid, 8);
        fs::write(task.join("status"), "Name:\tTgid: 5\nTgid:\t7\n").unwrap();
        let task = super::task(&roots, 8).unwrap();
        assert_eq!((task.tgid, task.comm.as_str()), (7, "a b"));
        assert_eq!(task.state, Some('D'));
    }

    #[test]
    fn a_stack_is_read_from_a_tree() {
        let directory = tempfile::tempdir().unwrap();
        let task = directory.path().join("7/task/8");
        fs::create_dir_all(&task).unwrap();
        fs::write(task.join("stack"), "[<0>] a+0x1/0x2\n[<0>] b+0x3/0x4 [m]\n").unwrap();
        let roots = Roots {
            procfs: directory.path().to_owned(),
            ..Roots::default()
        };
        let stack = stack(&roots, 7, 8).unwrap();
        assert_eq!(
            (stack[0].symbol.as_str(), stack[1].module.as_deref()),
            ("a", Some("m"))
        );
        assert_eq!(super::stack(&roots, 7, 9), None);
    }
}
