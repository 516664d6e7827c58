//! User tasks that sleep in pause(2), the call that `lp_sleepers` patches.

use std::env;
use std::ffi::CString;
use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::sys::prctl;
use nix::unistd;

use crate::guest;

/// A process asleep in pause(2), killed when its scenario ends.
pub struct Sleeper {
    child: Child,
}

impl Sleeper {
    pub fn start() -> Result<Self> {
        Self::start_as(None)
    }

    /// One whose comm is these bytes: any but zero, at most fifteen of them.
    pub fn named(comm: &[u8]) -> Result<Self> {
        Self::start_as(Some(comm))
    }

    fn start_as(comm: Option<&[u8]>) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("pause");
        if let Some(comm) = comm {
            command.args(["--comm", &to_hex(comm)]);
        }
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .context("starting a task that sleeps")?;
        let sleeper = Self { child };
        sleeper.wait_asleep()?;
        Ok(sleeper)
    }

    pub fn pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.child.id())?)
    }

    /// Waits until it sleeps where it should: the kernel's own stack of it
    /// shows the call, patched or not.
    pub fn wait_asleep(&self) -> Result<()> {
        let path = format!("/proc/{}/stack", self.child.id());
        guest::wait_until("the task sleeps in pause(2)", || {
            let stack = fs::read_to_string(&path).context("the task that sleeps is gone")?;
            // The call itself, or the code of a patch of it.
            Ok(stack.contains("_pause"))
        })
    }

    /// Ends it, so that nothing is asleep in the function any more.
    pub fn end(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // Both fail only for a task that has ended: nothing is left to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What the process started above does.
pub fn sleep_here(comm: Option<&str>) -> Result<()> {
    if let Some(comm) = comm {
        prctl::set_name(&CString::new(from_hex(comm)?)?)?;
    }
    loop {
        unistd::pause();
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| Ok(u8::from_str_radix(str::from_utf8(pair)?, 16)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_byte_survives_the_command_line() {
        let bytes: Vec<u8> = (1..=255).collect();
        assert_eq!(from_hex(&to_hex(&bytes)).unwrap(), bytes);
    }
}
