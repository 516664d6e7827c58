//! The hooks that lpwatch's are measured against, each held by a process of
//! its own: this program again.

use anyhow::Result;
use nix::sys::signal::{SigSet, Signal};

use super::tool::{COUNTED, READY};
use crate::foreign::{EmptyEntry, ProbeCounter};

/// What is placed at the function.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum How {
    /// An fentry program that does nothing
    Entry,
    /// A kprobe program that counts in a per-CPU array
    Probe,
}

/// Holds the hook until a signal comes.
pub fn hold(how: How, function: &str) -> Result<()> {
    match how {
        How::Entry => {
            let _held = EmptyEntry::place(function)?;
            wait()
        }
        How::Probe => {
            let counter = ProbeCounter::place(function)?;
            wait()?;
            println!("{COUNTED}{}", counter.called()?);
            Ok(())
        }
    }
}

/// Says that it is ready, and waits for a signal.
pub fn wait() -> Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    // Blocked first: one that comes before it is waited for is kept.
    signals.thread_block()?;
    println!("{READY}");
    signals.wait()?;
    Ok(())
}
