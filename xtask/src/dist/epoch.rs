//! The time that everything packed carries: that of the commit, so that it does
//! not matter when it is packed.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::{paths, process};

/// Seconds since 1970, as `SOURCE_DATE_EPOCH` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub u64);

/// Where there is neither the variable nor git: the year 2000.
const UNKNOWN: Epoch = Epoch(946_684_800);

impl Epoch {
    /// What `SOURCE_DATE_EPOCH` says, or else the time of the last commit.
    pub fn of_this_commit() -> Result<Self> {
        if let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") {
            let seconds = text.parse();
            return seconds
                .map(Self)
                .with_context(|| format!("SOURCE_DATE_EPOCH is no number of seconds: {text}"));
        }
        let mut git = Command::new("git");
        git.current_dir(paths::workspace());
        let said = process::ask(git.args(["log", "-1", "--format=%ct"]));
        Ok(said
            .and_then(|text| text.parse().ok())
            .map_or(UNKNOWN, Self))
    }

    /// Gives every file and folder below `folder` this time.
    pub fn stamp(self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.stamp(&path)?;
            } else {
                self.stamp_one(&path)?;
            }
        }
        self.stamp_one(folder)
    }

    fn stamp_one(self, path: &Path) -> Result<()> {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.0);
        let file = File::open(path)?;
        file.set_times(FileTimes::new().set_modified(time))
            .with_context(|| format!("cannot set the time of {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_stamped() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/file"), "x").unwrap();
        Epoch(1000).stamp(folder.path()).unwrap();
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        for path in ["sub/file", "sub", "."] {
            let about = fs::metadata(folder.path().join(path)).unwrap();
            assert_eq!(about.modified().unwrap(), expected, "{path}");
        }
    }
}
