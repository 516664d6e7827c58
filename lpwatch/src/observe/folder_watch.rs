//! Reports when watched files change (inotify(7)).

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};

/// Watches files and folders, and the nearest existing folder above each that
/// does not exist.
pub(super) struct FolderWatch {
    descriptor: OwnedFd,
}

impl FolderWatch {
    /// Begins to watch. For a path that does not exist yet, the nearest
    /// existing folder above it is watched.
    pub fn new(paths: &[&Path]) -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let watch = Self { descriptor };
        watch.look(paths);
        Ok(watch)
    }

    /// Watches what exists now: new folders are added.
    pub fn look(&self, paths: &[&Path]) {
        for path in paths {
            let there = path.ancestors().find(|folder| folder.is_dir());
            let below = there.into_iter().flat_map(|folder| {
                // Patches may lie one level down; see `find_in`.
                let inside = (folder == *path).then(|| folder.read_dir().ok()).flatten();
                let inside = inside.into_iter().flatten().flatten();
                inside
                    .map(|entry| entry.path())
                    .filter(|path| path.is_dir())
            });
            let folders = there.map(Path::to_owned).into_iter().chain(below);
            for folder in folders {
                self.add(&folder);
            }
        }
    }

    fn add(&self, folder: &Path) {
        let changes = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::ONLYDIR;
        if let Err(error) = inotify::add_watch(&self.descriptor, folder, changes) {
            tracing::warn!(%error, folder = %folder.display(), "changes are not noticed");
        }
    }

    /// Reads all pending notifications; returns whether any of them may matter.
    pub fn drain(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.descriptor, &mut buffer);
        let mut changed = false;
        loop {
            match reader.next() {
                // A new file is read once it is written.
                Ok(event) => {
                    let events = event.events();
                    changed |=
                        !events.contains(ReadFlags::CREATE) || events.contains(ReadFlags::ISDIR);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return changed,
                Err(error) => {
                    tracing::warn!(%error, "changes of files are not noticed");
                    return changed;
                }
            }
        }
    }
}

impl AsFd for FolderWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_comes_later_is_seen() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("kpatch/6.12");
        let watch = FolderWatch::new(&[&folder]).unwrap();
        assert!(!watch.drain());
        fs::create_dir_all(&folder).unwrap();
        assert!(watch.drain());
        watch.look(&[&folder]);
        fs::write(folder.join("a.ko"), "x").unwrap();
        assert!(watch.drain(), "written");
        fs::rename(folder.join("a.ko"), folder.join("b.ko")).unwrap();
        assert!(watch.drain(), "moved");
        fs::remove_file(folder.join("b.ko")).unwrap();
        assert!(watch.drain(), "removed");
        assert!(!watch.drain());
    }
}
