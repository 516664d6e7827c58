//! The tasks that kGraft has left: `kgr_in_progress` in procfs is 1 for a task
//! that has not switched since the patching began.
//!
//! It is at `/proc/<pid>/kgr_in_progress` (mode 0400, about the thread that
//! leads the process), and on kernels that have it for threads also at
//! `/proc/<pid>/task/<tid>/kgr_in_progress`, which is then read. On kernels
//! that have it for processes only, the state of the other threads is unknown.
//!
//! Source: `proc_pid_kgr_in_progress` in `fs/proc/base.c` of Jiri Slaby's kgraft
//! branches; `kgr` of SUSE's kgraft package reads the same.

use std::io;
use std::path::Path;

use super::files::{bytes, list};
use super::tasks::{ProcTask, TaskListing, stat};
use super::{ReadError, Roots};

const FILE: &str = "kgr_in_progress";
const REMEDY: &str = "kgr_in_progress is mode 0400; run as root";

/// The tasks at one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraftTasks {
    pub listing: TaskListing,
    /// The file exists for each thread, not for processes alone.
    pub by_thread: bool,
}

/// Walks all tasks; `None` if no task has the file.
///
/// # Errors
/// procfs cannot be listed, or this user may read no task's file.
pub fn read(roots: &Roots) -> Result<Option<GraftTasks>, ReadError> {
    let procfs = &roots.procfs;
    let processes = list(procfs).map_err(|error| ReadError::from_io(procfs, error, REMEDY))?;
    let mut tasks = GraftTasks::default();
    for process in processes.iter().filter(|entry| entry.is_directory) {
        if let Some(tgid) = number(&process.lossy()) {
            tasks.process(&procfs.join(&process.name), tgid);
        }
    }
    let listing = &mut tasks.listing;
    if listing.total == 0 {
        return Ok(None);
    }
    if listing.unreadable == listing.total {
        return Err(ReadError::NoPermission {
            path: procfs.join("<pid>").join(FILE),
            remedy: REMEDY,
        });
    }
    listing.remaining.sort_by_key(|task| task.tid);
    Ok(Some(tasks))
}

impl GraftTasks {
    fn process(&mut self, folder: &Path, tgid: u32) {
        let threads = folder.join("task");
        let mut any = false;
        // A process that ends meanwhile counts as none.
        for thread in list(&threads).unwrap_or_default() {
            let Some(tid) = number(&thread.lossy()) else {
                continue;
            };
            let told = self.task(&threads.join(&thread.name), tid, tgid);
            any |= told;
            self.by_thread |= told;
        }
        if !any {
            self.task(folder, tgid, tgid);
        }
    }

    /// Adds one task; false if it has no such file.
    fn task(&mut self, folder: &Path, tid: u32, tgid: u32) -> bool {
        match left(folder) {
            Ok(None) => return false,
            Ok(Some(false)) => {}
            Ok(Some(true)) => {
                let task = same_task(folder, tid, tgid, || left(folder));
                self.listing.remaining.extend(task);
            }
            Err(_) => self.listing.unreadable += 1,
        }
        self.listing.total += 1;
        true
    }
}

/// Whether the task is left; `None` if the file does not exist, or the task has
/// gone.
fn left(folder: &Path) -> io::Result<Option<bool>> {
    use rustix::io::Errno;
    let gone = [Errno::NOENT, Errno::SRCH].map(Errno::raw_os_error);
    match bytes(&folder.join(FILE)) {
        Ok(text) => super::files::parse_flag(&text)
            .map(Some)
            .ok_or_else(|| io::ErrorKind::InvalidData.into()),
        Err(error)
            if error
                .raw_os_error()
                .is_some_and(|errno| gone.contains(&errno)) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Identifies a task that is left by `left`, which is read between two readings
/// of the identity: the start time distinguishes it from another task that got
/// its number.
fn same_task(
    folder: &Path,
    tid: u32,
    tgid: u32,
    left: impl Fn() -> io::Result<Option<bool>>,
) -> Option<ProcTask> {
    let task = || {
        let line = bytes(&folder.join("stat")).unwrap_or_default();
        stat::parse(&line, tid, tgid)
    };
    let before = task();
    if !matches!(left(), Ok(Some(true))) {
        return None;
    }
    Some(task()).filter(|after| before.started == after.started)
}

fn number(name: &str) -> Option<u32> {
    if !name.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::files::tests::FakeHost;

    fn line(tid: u32, comm: &str, flags: u32, started: u32) -> String {
        let zeros = "0 ".repeat(12);
        format!("{tid} ({comm}) S 1 1 1 0 -1 {flags} {zeros}{started} 0 0\n")
    }

    const KTHREAD: u32 = 0x0020_0000;

    fn tids(tasks: &GraftTasks) -> Vec<u32> {
        tasks
            .listing
            .remaining
            .iter()
            .map(|task| task.tid)
            .collect()
    }

    #[test]
    fn processes_are_read_where_threads_are_not_told() {
        let host = FakeHost::new(&[
            ("proc/9/kgr_in_progress", "1\n"),
            ("proc/9/stat", &line(9, "kswapd0", KTHREAD, 5)),
            ("proc/9/task/9/stat", ""),
            ("proc/12/kgr_in_progress", "0\n"),
            ("proc/12/task/12/stat", ""),
            ("proc/12/task/13/stat", ""),
            ("proc/sys/kgr_in_progress", "1\n"),
        ]);
        let tasks = read(&host.roots).unwrap().unwrap();
        assert!(!tasks.by_thread);
        assert_eq!(tasks.listing.total, 2);
        assert_eq!(
            tasks.listing.remaining,
            [ProcTask {
                tid: 9,
                tgid: 9,
                comm: "kswapd0".to_owned(),
                flags: Some(u64::from(KTHREAD)),
                state: Some('S'),
                started: Some(5),
            }]
        );
    }

    #[test]
    fn threads_are_read_where_they_are_told() {
        let host = FakeHost::new(&[
            ("proc/20/kgr_in_progress", "1\n"),
            ("proc/20/task/20/kgr_in_progress", "0\n"),
            ("proc/20/task/20/stat", &line(20, "app", 0, 7)),
            ("proc/20/task/22/kgr_in_progress", "1\n"),
            ("proc/20/task/22/stat", &line(22, "a) b (c", 0, 8)),
            ("proc/20/task/21/kgr_in_progress", "1\n"),
        ]);
        let tasks = read(&host.roots).unwrap().unwrap();
        assert!(tasks.by_thread);
        assert_eq!((tasks.listing.total, tids(&tasks)), (3, vec![21, 22]));
        assert_eq!(
            tasks.listing.remaining[0].comm, "",
            "its stat was unavailable"
        );
        assert_eq!(tasks.listing.remaining[1].comm, "a) b (c");
        assert_eq!(tasks.listing.remaining[1].tgid, 20);
    }

    #[test]
    fn a_number_given_to_another_task_meanwhile_is_not_taken_for_the_first() {
        let host = FakeHost::new(&[("proc/9/stat", &line(9, "old", 0, 5))]);
        let folder = host.path("proc/9");
        let reused = || {
            host.write("proc/9/stat", line(9, "new", 0, 6));
            Ok(Some(true))
        };
        assert_eq!(same_task(&folder, 9, 9, reused), None);
        let stays = || Ok(Some(true));
        assert_eq!(same_task(&folder, 9, 9, stays).unwrap().comm, "new");
        for went in [None, Some(false)] {
            assert_eq!(same_task(&folder, 9, 9, || Ok(went)), None);
        }
    }

    #[test]
    fn closed_and_odd_files_are_counted() {
        let host = FakeHost::new(&[
            ("proc/1/kgr_in_progress", "0\n"),
            ("proc/2/kgr_in_progress", "2\n"),
            ("proc/3/kgr_in_progress", ""),
        ]);
        let tasks = read(&host.roots).unwrap().unwrap();
        assert_eq!((tasks.listing.total, tasks.listing.unreadable), (3, 2));
        let host = FakeHost::new(&[("proc/2/kgr_in_progress", "2\n")]);
        assert!(read(&host.roots).unwrap_err().is_permission());
    }

    #[test]
    fn without_the_file_nothing_is_known() {
        let mut host = FakeHost::new(&[("proc/1/stat", ""), ("proc/1/task/1/stat", "")]);
        assert_eq!(read(&host.roots).unwrap(), None);
        host.roots.procfs.push("mistyped");
        assert!(read(&host.roots).is_err());
    }
}
