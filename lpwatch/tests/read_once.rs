//! A look opens each file once: on a live host each opening of `stack_order`
//! takes a lock of the kernel's, and two readings may disagree.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    fs, io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};

/// Counts what is opened below a folder (inotify(7)), whoever opens it and how.
struct Opens {
    descriptor: OwnedFd,
    folders: HashMap<i32, PathBuf>,
}

impl Opens {
    fn watch(root: &Path) -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut opens = Self {
            descriptor,
            folders: HashMap::new(),
        };
        opens.add(root, Path::new(""))?;
        // Listing the folders opened them.
        opens.counted()?;
        Ok(opens)
    }

    fn add(&mut self, folder: &Path, name: &Path) -> io::Result<()> {
        // The kernel merges equal events in a row; a closing keeps two openings
        // of one file apart.
        let events = WatchFlags::OPEN | WatchFlags::CLOSE;
        let watch = inotify::add_watch(&self.descriptor, folder, events)?;
        self.folders.insert(watch, name.to_owned());
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.add(&entry.path(), &name.join(entry.file_name()))?;
            }
        }
        Ok(())
    }

    /// How often each file and folder was opened since the last call.
    fn counted(&self) -> io::Result<BTreeMap<PathBuf, u32>> {
        let mut buffer = vec![MaybeUninit::uninit(); 64 * 1024];
        let mut reader = Reader::new(&self.descriptor, &mut buffer);
        let mut counts = BTreeMap::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(counts),
                Err(error) => return Err(error.into()),
            };
            assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW));
            // A folder's own watch names nothing: the one above it counts.
            if let Some(name) = event.file_name()
                && event.events().contains(ReadFlags::OPEN)
            {
                let name = OsStr::from_bytes(name.to_bytes());
                let path = self.folders[&event.wd()].join(name);
                *counts.entry(path).or_default() += 1;
            }
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// What `lpwatch status` opens of a recorded tree, and how often.
fn opened(tree: &str) -> io::Result<BTreeMap<PathBuf, u32>> {
    let trees = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/trees");
    let own = tempfile::tempdir()?;
    copy(&trees.join(tree), own.path())?;
    let opens = Opens::watch(own.path())?;
    let output = Command::new(env!("CARGO_BIN_EXE_lpwatch"))
        .args(["status", "-o", "json", "--sysfs-root"])
        .arg(own.path().join("sys"))
        .arg("--procfs-root")
        .arg(own.path().join("proc"))
        .output()?;
    assert!(output.stderr.is_empty(), "{output:?}");
    opens.counted()
}

#[test]
fn status_opens_each_file_once() {
    for tree in ["5.10", "6.1", "6.12", "7", "systems"] {
        let counts = opened(tree).unwrap();
        let often: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        assert!(often.is_empty(), "{tree}: {often:?}");
        let livepatch = Path::new("sys/kernel/livepatch");
        assert!(counts.contains_key(livepatch), "{tree}: {counts:?}");
        let enabled = |path: &PathBuf| path.starts_with(livepatch) && path.ends_with("enabled");
        assert!(counts.keys().any(enabled), "{tree}: {counts:?}");
    }
}

#[test]
fn two_openings_are_counted_as_two() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("a");
    fs::create_dir(&below).unwrap();
    fs::write(below.join("b"), "").unwrap();
    let opens = Opens::watch(folder.path()).unwrap();
    for _ in 0..2 {
        fs::read(below.join("b")).unwrap();
    }
    let counts = opens.counted().unwrap();
    assert_eq!(counts, BTreeMap::from([(PathBuf::from("a/b"), 2)]));
}
