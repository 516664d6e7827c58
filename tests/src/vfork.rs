//! The parent of a vfork(2) whose child does not end.

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, clone};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::pause;

const STACK: usize = 64 * 1024;

/// Says "ready", and sleeps in the kernel until its child ends, which does so with
/// its parent.
pub fn wait_for_child() -> Result<()> {
    let mut stack = vec![0; STACK];
    println!("ready");
    let child = || {
        // Its parent sleeps: nothing else uses the memory they share.
        if set_pdeathsig(Signal::SIGKILL).is_ok() {
            pause();
        }
        0
    };
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    // SAFETY: the stack outlives the child, for which CLONE_VFORK makes this
    // thread wait; the child takes no lock and allocates nothing.
    #[expect(unsafe_code, reason = "std starts no process that way and waits")]
    unsafe {
        clone(
            Box::new(child),
            &mut stack,
            flags,
            Some(Signal::SIGCHLD as i32),
        )
        .context("clone")?;
    }
    Ok(())
}
