//! How often files are opened, by whomever (inotify(7)).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

pub struct Opens {
    inotify: Inotify,
    files: Vec<(WatchDescriptor, PathBuf)>,
    /// Keeps the entries of procfs, which makes new ones otherwise.
    _held: Vec<File>,
}

impl Opens {
    pub fn watch(paths: &[&str]) -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let mut files = Vec::new();
        let mut held = Vec::new();
        for path in paths {
            let mut options = OpenOptions::new();
            options.read(true).custom_flags(OFlag::O_PATH.bits());
            held.push(options.open(path).with_context(|| (*path).to_owned())?);
            // The kernel merges equal events in a row; a closing keeps two openings
            // apart.
            let events = AddWatchFlags::IN_OPEN | AddWatchFlags::IN_CLOSE;
            let watch = inotify.add_watch(*path, events)?;
            files.push((watch, PathBuf::from(path)));
        }
        let opens = Self {
            inotify,
            files,
            _held: held,
        };
        // It must see what it is asked about.
        for path in paths {
            drop(File::open(path)?);
        }
        let seen = opens.counted()?;
        ensure!(seen.values().all(|times| *times == 1), "{seen:?}");
        Ok(opens)
    }

    /// How often each was opened since the last call.
    pub fn counted(&self) -> Result<BTreeMap<&Path, u32>> {
        let mut counts: BTreeMap<&Path, u32> = BTreeMap::new();
        counts.extend(self.files.iter().map(|(_, path)| (path.as_path(), 0)));
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok(counts),
                Err(error) => return Err(error.into()),
            };
            for event in events {
                ensure!(
                    !event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW),
                    "events were lost"
                );
                let file = self.files.iter().find(|(watch, _)| *watch == event.wd);
                if let Some((_, path)) =
                    file.filter(|_| event.mask.contains(AddWatchFlags::IN_OPEN))
                {
                    *counts.entry(path).or_default() += 1;
                }
            }
        }
    }
}
