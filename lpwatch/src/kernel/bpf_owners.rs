//! What keeps BPF programs loaded: processes that hold a descriptor of a
//! program or of a link to one, and files of the BPF file system in which one
//! is pinned.
//!
//! Source: `<procfs>/<pid>/fdinfo/<fd>` (`bpf_prog_show_fdinfo` and
//! `bpf_link_show_fdinfo`, kernel/bpf/syscall.c: `prog_id` since 5.8). Reading
//! a descriptor takes about a microsecond, and a host has up to some hundred
//! thousand of them: search once, and only to name a culprit.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    path::{Path, PathBuf},
};

use super::{ReadError, Roots};

const REMEDY: &str = "run as root, or give lpwatch CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH";

/// The limits of a search, so that it does not hold up the look it serves.
#[derive(Clone, Copy, Debug)]
struct SearchLimits {
    processes: usize,
    descriptors: usize,
    pins: usize,
    /// Folders below the BPF file system's root.
    depth: usize,
}

const LIMITS: SearchLimits = SearchLimits {
    processes: 65_536,
    descriptors: 1_000_000,
    pins: 4_096,
    depth: 8,
};

/// The program that a descriptor or a pin refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramReference {
    /// The program's id.
    pub program: u32,
    /// A link, which keeps the program attached, and not the program alone.
    pub link: bool,
}

impl ProgramReference {
    /// Reads a descriptor's `fdinfo`; `None` if it refers to something else.
    #[must_use]
    pub fn from_fdinfo(text: &str) -> Option<Self> {
        let mut program = None;
        let mut link = false;
        for line in text.lines() {
            match line.split_once(':') {
                Some(("prog_id", id)) => program = id.trim().parse().ok(),
                Some(("link_type" | "link_id", _)) => link = true,
                _ => {}
            }
        }
        Some(Self {
            program: program?,
            link,
        })
    }
}

/// A process that holds a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// Its name; bytes that are not UTF-8 are replaced.
    pub comm: Option<String>,
}

/// The result of a search, by the program's id: of several holders the one with
/// a link, and of these the first (the lowest pid, the first path).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerSearch<T> {
    by_program: BTreeMap<u32, (T, bool)>,
    /// Processes or pins that this user may not inspect.
    pub closed: u32,
    /// The search ended at its limit.
    pub cut: bool,
}

impl<T> OwnerSearch<T> {
    fn new() -> Self {
        Self {
            by_program: BTreeMap::new(),
            closed: 0,
            cut: false,
        }
    }

    /// Who holds this program.
    #[must_use]
    pub fn of(&self, program: u32) -> Option<&T> {
        self.by_program.get(&program).map(|(holder, _)| holder)
    }

    /// Who holds a link to this program.
    #[must_use]
    pub fn of_link(&self, program: u32) -> Option<&T> {
        let found = self.by_program.get(&program);
        found.filter(|(_, link)| *link).map(|(holder, _)| holder)
    }

    fn add(&mut self, held: ProgramReference, holder: impl FnOnce() -> T) {
        match self.by_program.entry(held.program) {
            Entry::Vacant(free) => {
                free.insert((holder(), held.link));
            }
            Entry::Occupied(mut taken) if held.link && !taken.get().1 => {
                taken.insert((holder(), true));
            }
            Entry::Occupied(_) => {}
        }
    }

    /// Counts what this user may not inspect. What went away meanwhile is no
    /// error.
    fn failed(&mut self, error: &io::Error) {
        if error.kind() == io::ErrorKind::PermissionDenied {
            self.closed += 1;
        }
    }
}

/// Searches the open descriptors of all processes.
///
/// # Errors
/// procfs cannot be listed. A process that ends meanwhile or may not be
/// inspected is no error.
pub fn read_holders(roots: &Roots) -> Result<OwnerSearch<Holder>, ReadError> {
    holders(&roots.procfs, LIMITS).map_err(|error| ReadError::from_io(&roots.procfs, error, REMEDY))
}

fn holders(procfs: &Path, limits: SearchLimits) -> io::Result<OwnerSearch<Holder>> {
    let mut pids: Vec<u32> = fs::read_dir(procfs)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    let mut found = OwnerSearch::new();
    found.cut = pids.len() > limits.processes;
    pids.truncate(limits.processes);
    let mut left = limits.descriptors;
    for pid in pids {
        let process = procfs.join(pid.to_string());
        if let Err(error) = process_holds(&process, pid, &mut found, &mut left) {
            found.failed(&error);
        }
        if left == 0 {
            found.cut = true;
            break;
        }
    }
    Ok(found)
}

fn process_holds(
    process: &Path,
    pid: u32,
    found: &mut OwnerSearch<Holder>,
    left: &mut usize,
) -> io::Result<()> {
    for descriptor in fs::read_dir(process.join("fd"))? {
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        let descriptor = descriptor?;
        // The link's target excludes nearly every descriptor, at a fifth of the
        // cost of reading its fdinfo.
        match fs::read_link(descriptor.path()) {
            Ok(target) if is_bpf(&target) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            Ok(_) | Err(_) => continue,
        }
        let info = process.join("fdinfo").join(descriptor.file_name());
        let Some(held) = fs::read_to_string(info)
            .ok()
            .and_then(|text| ProgramReference::from_fdinfo(&text))
        else {
            continue;
        };
        found.add(held, || Holder {
            pid,
            comm: comm(process),
        });
    }
    Ok(())
}

/// `anon_inode:bpf-prog`, `anon_inode:bpf_link`, ... (kernel/bpf/syscall.c).
fn is_bpf(target: &Path) -> bool {
    let target = target.as_os_str().as_encoded_bytes();
    target.starts_with(b"anon_inode:bpf") || target.starts_with(b"anon_inode:[bpf")
}

fn comm(process: &Path) -> Option<String> {
    let comm = fs::read(process.join("comm")).ok()?;
    let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
    Some(String::from_utf8_lossy(comm).into_owned())
}

/// Asks every file of the BPF file system (`<sysfs>/fs/bpf`) what it pins.
/// `ask` opens the file, which takes the system call bpf(2), and returns `None`
/// for a pin of something else.
///
/// # Errors
/// The file system's root exists and cannot be listed.
pub fn read_pins(
    roots: &Roots,
    ask: impl Fn(&Path) -> io::Result<Option<ProgramReference>>,
) -> Result<OwnerSearch<PathBuf>, ReadError> {
    let root = roots.sysfs.join("fs/bpf");
    match pins(&root, LIMITS, ask) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(OwnerSearch::new()),
        found => found.map_err(|error| ReadError::from_io(&root, error, REMEDY)),
    }
}

fn pins(
    root: &Path,
    limits: SearchLimits,
    ask: impl Fn(&Path) -> io::Result<Option<ProgramReference>>,
) -> io::Result<OwnerSearch<PathBuf>> {
    let mut found = OwnerSearch::new();
    let mut folders = vec![(list(root)?, 0)];
    let mut left = limits.pins;
    while let Some((mut entries, depth)) = folders.pop() {
        // Sorted backwards, because paths are taken from the end.
        let Some(path) = entries.pop() else {
            continue;
        };
        folders.push((entries, depth));
        if left == 0 {
            found.cut = true;
            break;
        }
        left -= 1;
        let asked = match fs::symlink_metadata(&path) {
            Ok(data) if data.is_dir() && depth >= limits.depth => {
                found.cut = true;
                continue;
            }
            Ok(data) if data.is_dir() => list(&path).map(|inner| {
                folders.push((inner, depth + 1));
                None
            }),
            Ok(data) if data.is_file() => ask(&path),
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        match asked {
            Ok(Some(held)) => found.add(held, || path),
            Ok(None) => {}
            Err(error) => found.failed(&error),
        }
    }
    Ok(found)
}

/// The paths in a folder, in reverse order.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort_unstable_by(|a, b| b.cmp(a));
    Ok(paths)
}

#[cfg(test)]
mod tests;
