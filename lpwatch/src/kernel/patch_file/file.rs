//! A module file's bytes, limited in size, read without waiting.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::SIZE_MAX;
use super::error::Problem;

/// The bytes of the regular file at `path`. Links are followed; the system ends
/// a loop of them.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    // Checked before it is opened: opening alone triggers some devices.
    refuse(fs::metadata(path).map_err(Problem::Io)?.file_type())?;
    let file = open(path).map_err(Problem::Io)?;
    let metadata = file.metadata().map_err(Problem::Io)?;
    refuse(metadata.file_type())?;
    if metadata.len() > SIZE_MAX {
        return Err(Problem::TooLarge { limit: SIZE_MAX });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    // One more than allowed: the file may grow while it is read.
    file.take(SIZE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(Problem::Io)?;
    if bytes.len() > usize::try_from(SIZE_MAX).unwrap_or(usize::MAX) {
        return Err(Problem::TooLarge { limit: SIZE_MAX });
    }
    Ok(bytes)
}

/// Opens without waiting for the other end, should it be a pipe by now.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn refuse(kind: fs::FileType) -> Result<(), Problem> {
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(Problem::NotAFile { what })
}
