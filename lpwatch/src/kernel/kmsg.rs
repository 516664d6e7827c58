//! The kernel log, record by record, from `/dev/kmsg`.
//!
//! Source: `Documentation/ABI/testing/dev-kmsg` and `kernel/printk/printk.c`
//! (`devkmsg_read`), 5.10 to 7.3. [`parse_livepatch`] parses the lines of
//! livepatch, [`parse_foreign`] those of other patching systems.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, SeekFrom, open, seek};
use rustix::io::Errno;

use super::ReadError;

mod excerpt;
mod foreign;
mod lines;
mod record;
mod refused;

pub use excerpt::about_patches;
pub use foreign::{ForeignKind, ForeignLine, ForeignSystem, LoggedFunction, parse_foreign};
pub use lines::{LivepatchLine, parse_livepatch};
pub use record::{LogRecord, parse_record};
pub use refused::{RefusalParser, RefusedModule};

const PATH: &str = "/dev/kmsg";
const REMEDY: &str = "run as root or with CAP_SYSLOG (kernel.dmesg_restrict is set, or the device is closed to this user)";

/// Room for the longest record: `CONSOLE_EXT_LOG_MAX` is 8192 up to 6.2, less
/// later. For a smaller buffer the kernel returns EINVAL.
const RECORD_MAX: usize = 8192 + 1;

/// An open `/dev/kmsg`, non-blocking. Readable (`poll`, tokio's `AsyncFd`) when
/// there is a new record.
pub struct LogReader {
    device: OwnedFd,
    buffer: Vec<u8>,
    last_sequence: Option<u64>,
    /// The kernel returned EPIPE: records before the next one were overwritten.
    overwritten: bool,
    lost: u64,
}

impl LogReader {
    /// Reads from the oldest record that the kernel still has.
    ///
    /// # Errors
    /// The device does not exist (in a container), or this user may not read
    /// it.
    pub fn open_from_start() -> Result<Self, ReadError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = open(PATH, flags, Mode::empty()).map_err(error)?;
        Ok(Self::over(device))
    }

    /// Reads only the records logged from now on.
    ///
    /// # Errors
    /// As [`Self::open_from_start`].
    pub fn open_at_end() -> Result<Self, ReadError> {
        let reader = Self::open_from_start()?;
        seek(&reader.device, SeekFrom::End(0)).map_err(error)?;
        Ok(reader)
    }

    fn over(device: OwnedFd) -> Self {
        Self {
            device,
            buffer: vec![0; RECORD_MAX],
            last_sequence: None,
            overwritten: false,
            lost: 0,
        }
    }

    /// The kernel's own records up to the end of the log. Records of an unknown
    /// form are left out, and so are those that a process wrote to `/dev/kmsg`:
    /// they can claim anything.
    ///
    /// # Errors
    /// The device cannot be read. It is no error that older records were
    /// overwritten before they were read: see [`Self::lost`].
    pub fn read_available(&mut self) -> Result<Vec<LogRecord>, ReadError> {
        let mut records = Vec::new();
        loop {
            match rustix::io::read(&self.device, self.buffer.as_mut_slice()) {
                // The kernel never returns this; a recorded log ends so.
                Ok(0) | Err(Errno::AGAIN) => return Ok(records),
                Ok(length) => {
                    if let Some(record) = self.buffer.get(..length).and_then(parse_record) {
                        self.count_lost(record.seq);
                        if record.is_of_kernel() {
                            records.push(record);
                        }
                    }
                }
                Err(Errno::PIPE) => self.overwritten = true,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(error(errno)),
            }
        }
    }

    /// The least number of records that were overwritten before they could be
    /// read.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn count_lost(&mut self, sequence: u64) {
        if self.overwritten {
            let gap = self
                .last_sequence
                .map_or(1, |last| sequence.saturating_sub(last).saturating_sub(1));
            self.lost = self.lost.saturating_add(gap.max(1));
            self.overwritten = false;
        }
        self.last_sequence = Some(sequence);
    }
}

impl AsFd for LogReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl AsRawFd for LogReader {
    fn as_raw_fd(&self) -> RawFd {
        self.device.as_raw_fd()
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LogReader")
            .field("device", &self.device)
            .field("last_sequence", &self.last_sequence)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

fn error(errno: Errno) -> ReadError {
    ReadError::from_io(Path::new(PATH), io::Error::from(errno), REMEDY)
}

#[cfg(test)]
mod tests;
