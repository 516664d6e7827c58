//! A process that has a worker of `io_uring` open a FIFO, which waits for ever.

use std::ffi::CString;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use io_uring::{IoUring, opcode, squeue, types};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Says "ready" once the request is submitted, and its result when it has one.
pub fn open_fifo() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("fifo");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let path = CString::new(path.to_str().context("a path that is no text")?)?;
    let mut ring = IoUring::new(4).context("setting a ring up")?;
    let open = opcode::OpenAt::new(types::Fd(nix::libc::AT_FDCWD), path.as_ptr())
        .flags(nix::libc::O_RDONLY)
        .build()
        .flags(squeue::Flags::ASYNC);
    // SAFETY: `path` outlives the request: it is dropped when the process ends.
    #[expect(unsafe_code, reason = "the kernel reads the path while it works")]
    unsafe {
        ring.submission().push(&open)?;
    }
    ring.submit()?;
    println!("ready");
    loop {
        if let Some(done) = ring.completion().next() {
            println!("result {}", done.result());
        }
        thread::sleep(Duration::from_millis(100));
    }
}
