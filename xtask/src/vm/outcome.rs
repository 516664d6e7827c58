//! How a guest's run can end, and what the user is told then.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::{interrupt, ui};

/// The run took longer than `--timeout`, as timeout(1) has it.
const EXIT_TIMED_OUT: u8 = 124;
/// The guest died: panic, oops, lockup, silence.
const EXIT_DIED: u8 = 125;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The script ended with this code.
    Exit(u8),
    /// The guest is gone: why, and the end of its kernel's log.
    Died { why: String, console: String },
    /// The time given was over.
    TimedOut { console: String },
    /// Ctrl-C.
    Interrupted,
}

/// When to give up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the whole run.
    pub total: Option<Duration>,
    /// Without a byte on any port.
    pub silence: Option<Duration>,
}

/// Tells how a run ended, in words where it ended badly, and as an exit code.
pub fn report(outcome: &Outcome, log: &Path) -> ExitCode {
    match outcome {
        Outcome::Exit(code) => ExitCode::from(*code),
        Outcome::Died { why, console } => {
            eprintln!("{console}");
            ui::note(format!(
                "{why}; the kernel's whole log is in {}",
                log.display()
            ));
            ExitCode::from(EXIT_DIED)
        }
        Outcome::TimedOut { console } => {
            eprintln!("{console}");
            ui::note(format!(
                "the time was over; the kernel's log is in {}",
                log.display()
            ));
            ExitCode::from(EXIT_TIMED_OUT)
        }
        Outcome::Interrupted => ExitCode::from(interrupt::EXIT_CODE),
    }
}
