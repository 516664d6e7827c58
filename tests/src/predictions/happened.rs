//! Loads a patch and sees what becomes of it.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;

use crate::patch::{self, Patch};
use crate::tasks::{self, Code};

/// The kernel signals 15 s in; a while later who is left is left.
const WHOLE: Duration = Duration::from_secs(20);
/// The first tries are over by then, and who is left is known.
const SHORT: Duration = Duration::from_secs(4);

/// What the kernel says when it signals.
const SIGNALLING: &str = "livepatch: signaling remaining tasks";

/// What became of a patch.
#[derive(Debug)]
pub enum Happened {
    /// By the kernel, with this errno.
    Refused(i32),
    Completed {
        signalled: bool,
        seconds: f64,
    },
    /// These tasks are left, whether or not the kernel has signalled yet.
    Left {
        tids: BTreeSet<i32>,
        signalled: bool,
        seconds: f64,
    },
}

impl Happened {
    /// In a few words, for the table.
    pub fn words(&self) -> String {
        match self {
            Self::Refused(errno) => format!("refused with {errno}"),
            Self::Completed {
                signalled: false,
                seconds,
            } => format!("completed in {seconds:.1} s"),
            Self::Completed {
                signalled: true,
                seconds,
            } => format!("completed after the signal, in {seconds:.1} s"),
            Self::Left {
                tids,
                signalled,
                seconds,
            } => {
                let signal = if *signalled { ", signalled" } else { "" };
                format!("{} left after {seconds:.0} s{signal}", tids.len())
            }
        }
    }
}

/// Whether transitions are waited for until the kernel has signalled: that
/// takes 20 s each, and is for runs by hand.
fn is_whole() -> bool {
    let seconds = env::var("LPWATCH_CHECK_SECONDS").ok();
    seconds.and_then(|text| text.parse().ok()).unwrap_or(0) >= WHOLE.as_secs()
}

/// Loads the patch, waits, and takes it out again.
pub fn load(name: &str, foretold: &str) -> Result<Happened> {
    let mut log = Log::from_now()?;
    let started = Instant::now();
    let patch = match Patch::load(name) {
        Ok(patch) => patch,
        Err(error) => {
            return match error.downcast_ref::<Errno>() {
                Some(errno) => Ok(Happened::Refused(*errno as i32)),
                None => Err(error),
            };
        }
    };
    let patience = if is_whole() { WHOLE } else { SHORT };
    while patch::transition(name)? == Some(true) {
        // What should complete is waited for: a guest can be slow.
        let slow = foretold == "completes" && started.elapsed() < WHOLE;
        if started.elapsed() > patience && !slow {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let seconds = started.elapsed().as_secs_f64();
    let signalled = log.has(SIGNALLING)?;
    let happened = if patch::transition(name)? == Some(true) {
        Happened::Left {
            tids: tasks::running(Code::Old),
            signalled,
            seconds,
        }
    } else {
        Happened::Completed { signalled, seconds }
    };
    patch.remove()?;
    Ok(happened)
}

/// The kernel log from a moment on.
struct Log {
    file: fs::File,
}

impl Log {
    fn from_now() -> Result<Self> {
        let mut options = fs::OpenOptions::new();
        let options = options.read(true).custom_flags(nix::libc::O_NONBLOCK);
        let mut file = options.open("/dev/kmsg").context("opening /dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file })
    }

    /// Whether a line since then has these words.
    fn has(&mut self, words: &str) -> Result<bool> {
        let mut record = vec![0; 8192];
        let mut found = false;
        loop {
            match self.file.read(&mut record) {
                Ok(length) => {
                    let line = record.get(..length).unwrap_or_default();
                    found |= String::from_utf8_lossy(line).contains(words);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(found),
                // Lines were overwritten before they were read.
                Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => {}
                Err(error) => return Err(error).context("reading /dev/kmsg"),
            }
        }
    }
}
