//! The user's terminal while a guest's shell has it.

use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Ctrl-], as telnet has it: a way out of a guest that no longer answers.
const ESCAPE: u8 = 0x1d;

/// Puts the terminal back as it was, however the run ends.
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Hands every key to the guest; nothing happens without a terminal.
    pub fn enter() -> Result<Option<Self>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(io::stdin()).context("cannot read the terminal's settings")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)
            .context("cannot switch the terminal to raw mode")?;
        Ok(Some(Self { before }))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing is left to do if it fails; `reset` is the user's way out.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// `rows R cols C` for the guest's stty, if there is a terminal.
pub fn size() -> Option<String> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0)
        .then(|| format!("rows {} cols {}", size.ws_row, size.ws_col))
}

/// Sends stdin to the guest until it ends; `leave` is called on Ctrl-].
pub fn forward(mut to: UnixStream, leave: impl Fn() + Send + 'static) {
    thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(count) = io::stdin().read(&mut buffer) {
            if count == 0 {
                break;
            }
            if buffer[..count].contains(&ESCAPE) {
                leave();
                break;
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
    });
}
