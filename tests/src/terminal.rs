//! A terminal in which lpwatch runs, and what is on its screen.

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sys::termios::{LocalFlags, tcgetattr};
use pty_process::blocking::{Command, Pty, open};

use crate::guest;

/// A terminal of 80 columns and 24 lines.
pub struct Terminal {
    pty: Arc<Pty>,
    screen: Arc<Mutex<vt100::Parser>>,
    child: Child,
}

impl Terminal {
    /// Starts lpwatch in a terminal.
    pub fn lpwatch(arguments: &[&str]) -> Result<Self> {
        const LINES: NonZeroU16 = NonZeroU16::MIN.saturating_add(23);
        const COLUMNS: NonZeroU16 = NonZeroU16::MIN.saturating_add(79);
        mount_terminals()?;
        let (pty, pts) = open()?;
        pty.resize(pty_process::Size::new(LINES.get(), COLUMNS.get()))?;
        let program = env::var_os("LPWATCH_BIN").unwrap_or_else(|| "/bin/lpwatch".into());
        let child = Command::new(program)
            .args(arguments)
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .spawn(pts)?;
        let screen = Arc::new(Mutex::new(vt100::Parser::new(LINES, COLUMNS, 0)));
        let pty = Arc::new(pty);
        let (from, to) = (pty.clone(), screen.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It fails once nobody has the other side open.
            while let Ok(read @ 1..) = (&*from).read(&mut bytes) {
                let read = bytes.get(..read).unwrap_or_default();
                lock(&to).process(read);
            }
        });
        Ok(Self { pty, screen, child })
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        lock(&self.screen).screen().contents()
    }

    /// Waits until these words are on the screen that lpwatch draws, however their lines
    /// are broken.
    pub fn wait_shows(&mut self, words: &str) -> Result<()> {
        let words = &joined(words);
        guest::wait_until(words, || {
            if let Some(status) = self.child.try_wait()? {
                bail!("lpwatch has ended: {status}");
            }
            let is_drawn = lock(&self.screen).screen().alternate_screen();
            Ok(is_drawn && joined(&self.text()).contains(words))
        })
        .with_context(|| self.text())
    }

    pub fn press(&self, keys: &str) -> Result<()> {
        (&*self.pty).write_all(keys.as_bytes())?;
        Ok(())
    }

    /// Whether the terminal is as a shell wants it.
    pub fn is_given_back(&self) -> Result<bool> {
        let cooked = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        let is_cooked = tcgetattr(&*self.pty)?.local_flags.contains(cooked);
        let parser = lock(&self.screen);
        let screen = parser.screen();
        Ok(is_cooked && !screen.alternate_screen() && !screen.hide_cursor())
    }

    /// Waits for the end of lpwatch, and for the terminal after it.
    pub fn end(mut self) -> Result<i32> {
        let status: ExitStatus = guest::wait_for("lpwatch ends", || Ok(self.child.try_wait()?))
            .with_context(|| self.text())?;
        guest::wait_until("the terminal is given back", || self.is_given_back())?;
        status
            .code()
            .with_context(|| format!("it was ended by signal {:?}", status.signal()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only for a process that has ended: nothing is left to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The words with one space between them.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lock(screen: &Mutex<vt100::Parser>) -> MutexGuard<'_, vt100::Parser> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The guest's own init needs none.
fn mount_terminals() -> Result<()> {
    let folder = Path::new("/dev/pts");
    if folder.join("ptmx").exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let options = Some("ptmxmode=0666");
    mount(
        Some("devpts"),
        folder,
        Some("devpts"),
        MsFlags::empty(),
        options,
    )
    .context("mounting devpts")?;
    if !Path::new("/dev/ptmx").exists() {
        std::os::unix::fs::symlink("pts/ptmx", "/dev/ptmx")?;
    }
    Ok(())
}
