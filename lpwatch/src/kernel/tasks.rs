//! The threads that are still on the other code, from
//! `/proc/<pid>/task/<tid>/patch_state`: this way needs no BPF.
//!
//! Source: `fs/proc/base.c` (`proc_pid_patch_state`, since 4.12; mode 0400) and
//! `fs/proc/array.c` (`do_task_stat`), 5.10 to 7.3. Idle tasks (swapper/N) have
//! no entry in /proc and are never seen here. To open, read and close a file of
//! a thread takes about 5 µs, so `stat` is only read for those that remain.

use std::fmt::Write as _;
use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

use super::{ReadError, Roots};

pub(super) mod stat;

pub use stat::Scheduling;

const REMEDY: &str =
    "patch_state is mode 0400; run as root, or let lpwatch use BPF (CAP_BPF and CAP_PERFMON)";

/// One thread, as its `stat` describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcTask {
    pub tid: u32,
    pub tgid: u32,
    /// The thread's name; bytes that are not UTF-8 are replaced, others kept,
    /// control characters too.
    pub comm: String,
    /// `task_struct.flags` (`PF_*`); `None` if it is not available.
    pub flags: Option<u64>,
    /// The letter of `stat`, e.g. `S` or `D`; `None` if it is not available.
    pub state: Option<char>,
    /// When it started, in clock ticks since boot: distinguishes it from a
    /// thread that gets its number later.
    pub started: Option<u64>,
}

/// All threads at one pass. A pass is not a snapshot: threads come and go
/// meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskListing {
    /// Threads seen, the unreadable ones too.
    pub total: u32,
    /// Those in the transition and not at its target, by tid.
    pub remaining: Vec<ProcTask>,
    /// Threads whose state the caller may not read.
    pub unreadable: u32,
}

/// Walks all threads; `target` is the state that the transition leads to: 1
/// when patching, 0 when unpatching. A thread remains if it has the other of
/// these two (-1 means "in no transition"); without a target every thread does.
/// Under `hidepid` other users' threads are not seen at all.
///
/// # Errors
/// procfs cannot be walked; this user may read no thread's state
/// ([`ReadError::NoPermission`]); or there is no such file at all
/// ([`ReadError::NoPatchState`]). A thread that ends meanwhile is no error.
pub fn read_tasks(roots: &Roots, target: Option<i32>) -> Result<TaskListing, ReadError> {
    let mut walk = Walk::new(&roots.procfs, target);
    let procfs = open_directory(CWD, &roots.procfs)
        .map_err(|error| ReadError::from_io(&roots.procfs, error.into(), REMEDY))?;
    for_each_number(&procfs, |pid| walk.process(&procfs, pid))
        .map_err(|failure| walk.error(failure))?;
    walk.finish()
}

/// Whether this user may read the state of one thread; `None` if it is not there, or
/// hidden.
#[must_use]
pub fn may_read(roots: &Roots, tid: u32) -> Option<bool> {
    let path = roots.procfs.join(format!("{tid}/task/{tid}/patch_state"));
    match std::fs::read(path) {
        Ok(_) => Some(true),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Some(false),
        Err(_) => None,
    }
}

/// What ends a walk early.
enum WalkFailure {
    System(Errno),
    /// A `patch_state` that is not a number.
    Malformed(String),
}

impl From<Errno> for WalkFailure {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

struct Walk<'a> {
    procfs: &'a Path,
    /// `None`: every thread is wanted.
    target: Option<i32>,
    listing: TaskListing,
    /// Threads with no `patch_state`: ended meanwhile, or no such kernel.
    absent: u32,
    /// The process whose threads are being read; 0 before the first.
    process: u32,
    /// Scratch space: the relative path of the file being opened.
    at: String,
    buffer: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn new(procfs: &'a Path, target: Option<i32>) -> Self {
        Self {
            procfs,
            target,
            listing: TaskListing::default(),
            absent: 0,
            process: 0,
            at: String::new(),
            // Room for a whole stat line: 52 numbers and a name of 64 bytes.
            buffer: vec![0; 2048],
        }
    }

    /// Visits the threads of one process.
    fn process(&mut self, procfs: &OwnedFd, process: u32) -> Result<(), WalkFailure> {
        self.process = process;
        self.at.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.at, "{process}/task");
        let threads = match open_directory(procfs, &self.at) {
            Ok(threads) => threads,
            Err(Errno::NOENT | Errno::SRCH | Errno::NOTDIR) => return Ok(()),
            Err(Errno::ACCESS | Errno::PERM) => {
                self.count_unreadable();
                return Ok(());
            }
            Err(errno) => return Err(errno.into()),
        };
        for_each_number(&threads, |tid| self.thread(&threads, tid))
    }

    fn thread(&mut self, threads: &OwnedFd, tid: u32) -> Result<(), WalkFailure> {
        let state = match self.read(threads, tid, "patch_state") {
            Ok(text) => parse_state(text)?,
            Err(Errno::NOENT) => {
                self.absent += 1;
                return Ok(());
            }
            Err(Errno::SRCH) => return Ok(()),
            Err(Errno::ACCESS | Errno::PERM) => {
                self.count_unreadable();
                return Ok(());
            }
            Err(errno) => return Err(errno.into()),
        };
        let in_transition = matches!(state, 0 | 1);
        if self
            .target
            .is_none_or(|target| in_transition && state != target)
        {
            let tgid = self.process;
            let line = match self.read(threads, tid, "stat") {
                Ok(line) => line,
                Err(Errno::NOENT | Errno::SRCH) => return Ok(()),
                Err(_) => &[],
            };
            let task = stat::parse(line, tid, tgid);
            self.listing.remaining.push(task);
        }
        self.listing.total += 1;
        Ok(())
    }

    fn count_unreadable(&mut self) {
        self.listing.total += 1;
        self.listing.unreadable += 1;
    }

    /// Reads `<tid>/<file>` below an open `task` directory.
    fn read(&mut self, threads: &OwnedFd, tid: u32, file: &str) -> Result<&[u8], Errno> {
        self.at.clear();
        let _ = write!(self.at, "{tid}/{file}");
        let file = openat(
            threads,
            self.at.as_str(),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let length = rustix::io::read(&file, self.buffer.as_mut_slice())?;
        Ok(self.buffer.get(..length).unwrap_or_default())
    }

    /// Adds where the walk failed.
    fn error(&self, failure: WalkFailure) -> ReadError {
        let mut path = self.procfs.to_owned();
        if self.process != 0 {
            path.push(format!("{}/task", self.process));
        }
        match failure {
            WalkFailure::System(errno) => ReadError::from_io(&path, errno.into(), REMEDY),
            WalkFailure::Malformed(what) => ReadError::Malformed { path, what },
        }
    }

    fn finish(mut self) -> Result<TaskListing, ReadError> {
        if self.listing.total == 0 && self.absent > 0 {
            return Err(ReadError::NoPatchState {
                procfs: self.procfs.to_owned(),
            });
        }
        if self.listing.total > 0 && self.listing.unreadable == self.listing.total {
            return Err(ReadError::NoPermission {
                path: self.procfs.join("<pid>/task/<tid>/patch_state"),
                remedy: REMEDY,
            });
        }
        self.listing.remaining.sort_by_key(|task| task.tid);
        Ok(self.listing)
    }
}

fn open_directory<P: rustix::path::Arg>(at: impl AsFd, path: P) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(at, path, flags, Mode::empty())
}

/// Calls `visit` with every entry of `directory` whose name is a number; a
/// directory that goes away meanwhile ends the walk quietly.
fn for_each_number(
    directory: &OwnedFd,
    mut visit: impl FnMut(u32) -> Result<(), WalkFailure>,
) -> Result<(), WalkFailure> {
    let mut buffer = Vec::with_capacity(32 * 1024);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(Errno::NOENT | Errno::SRCH) => return Ok(()),
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        if let Some(number) = parse_number(entry.file_name().to_bytes()) {
            visit(number)?;
        }
    }
    Ok(())
}

fn parse_number(name: &[u8]) -> Option<u32> {
    if !name.first()?.is_ascii_digit() {
        return None;
    }
    str::from_utf8(name).ok()?.parse().ok()
}

fn parse_state(text: &[u8]) -> Result<i32, WalkFailure> {
    str::from_utf8(text)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| {
            let text = String::from_utf8_lossy(text);
            WalkFailure::Malformed(format!("a patch_state contains {text:?}, not a number"))
        })
}

#[cfg(test)]
mod tests;
