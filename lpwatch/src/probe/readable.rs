//! Waits until a file of the kernel is readable.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// Reports when a file is readable. It holds a duplicate of the file's
/// descriptor, so the file itself stays free to be read and changed.
#[derive(Debug)]
pub struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// Watches `file`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// No descriptor is available, or the file cannot be polled.
    pub fn new(file: impl AsFd) -> io::Result<Self> {
        let descriptor = file.as_fd().try_clone_to_owned()?;
        #[expect(
            unsafe_code,
            reason = "tokio leaves the lifetime of the descriptor to the caller"
        )]
        // SAFETY: an OwnedFd is open, and always the same, until it is dropped.
        let watched = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
        Ok(Self(watched?))
    }

    /// Waits until there is something new to read. The caller must read
    /// everything before it waits again.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub async fn ready(&self) -> io::Result<()> {
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}
