//! `lpwatch top` in a terminal, on a tree recorded from a real kernel.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    io::{Read as _, Write as _},
    num::NonZeroU16,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use pty_process::blocking::{Command, Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};

/// Far longer than anything here takes.
const SOON: Duration = Duration::from_mins(1);

/// A terminal in which lpwatch runs.
struct Terminal {
    pty: Arc<Pty>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// All that was written to it.
    written: Arc<Mutex<Vec<u8>>>,
    child: Child,
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

impl Terminal {
    fn start(columns: u16, lines: u16, arguments: &[&str]) -> Self {
        Self::with(columns, lines, arguments, |command| command)
    }

    fn with(
        columns: u16,
        lines: u16,
        arguments: &[&str],
        surround: impl FnOnce(Command) -> Command,
    ) -> Self {
        let tree = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/trees/6.12");
        Self::in_tree(&tree, columns, lines, arguments, surround)
    }

    fn in_tree(
        tree: &Path,
        columns: u16,
        lines: u16,
        arguments: &[&str],
        surround: impl FnOnce(Command) -> Command,
    ) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(pty_process::Size::new(lines, columns)).unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_lpwatch"))
            .arg("top")
            .args(arguments)
            .arg("--sysfs-root")
            .arg(tree.join("sys"))
            .arg("--procfs-root")
            .arg(tree.join("proc"))
            .env_remove("LPWATCH_LOG")
            .env_remove("NO_COLOR")
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8");
        let child = surround(command).spawn(pts).unwrap();
        let parser = vt100::Parser::new(cells(lines), cells(columns), 0);
        let terminal = Self {
            pty: Arc::new(pty),
            screen: Arc::new(Mutex::new(parser)),
            written: Arc::default(),
            child,
        };
        let (pty, screen, written) = (
            terminal.pty.clone(),
            terminal.screen.clone(),
            terminal.written.clone(),
        );
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It fails once nobody has the other side open.
            while let Ok(read @ 1..) = (&*pty).read(&mut bytes) {
                written.lock().unwrap().extend(&bytes[..read]);
                screen.lock().unwrap().process(&bytes[..read]);
            }
        });
        terminal
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn is_taken(&self) -> bool {
        self.screen.lock().unwrap().screen().alternate_screen()
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + SOON;
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}:\n{}", self.text());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn shows(&self, words: &str) {
        self.wait(words, || self.is_taken() && self.text().contains(words));
    }

    fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    fn resize(&self, columns: u16, lines: u16) {
        let size = (cells(lines), cells(columns));
        self.screen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(size.0, size.1);
        self.pty
            .resize(pty_process::Size::new(lines, columns))
            .unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether the terminal is in the state in which a shell wants it.
    fn is_given_back(&self) -> bool {
        let modes = tcgetattr(&*self.pty).unwrap().local_modes;
        let is_cooked = modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        let screen = self.screen.lock().unwrap();
        is_cooked && !screen.screen().alternate_screen() && !screen.screen().hide_cursor()
    }

    fn end(mut self) -> ExitStatus {
        let deadline = Instant::now() + SOON;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end:\n{}",
                self.text()
            );
            thread::sleep(Duration::from_millis(10));
        };
        self.wait("the terminal is given back", || self.is_given_back());
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It fails for one that has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_stall_is_shown_and_explained() {
    let terminal = Terminal::start(80, 24, &[]);
    terminal.shows("lpwatch_target");
    terminal.shows("1 of 3");
    terminal.press("\r");
    terminal.shows("(kernel thread");
    terminal.shows("It sleeps in lpwatch_target_main, which lp_stall replaces.");
    terminal.press("\u{1b}");
    terminal.shows("TASKS LEFT");
    terminal.press("d");
    terminal.shows("It changes lpwatch_target_main");
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
}

#[test]
fn it_fits_every_size_that_the_terminal_takes() {
    let terminal = Terminal::start(80, 24, &[]);
    terminal.shows("lpwatch_target");
    for (columns, lines) in [(40, 10), (200, 50), (60, 12)] {
        terminal.resize(columns, lines);
        terminal.wait("it is drawn anew", || {
            let text = terminal.text();
            let last = text.lines().nth(usize::from(lines) - 1);
            last.is_some_and(|last| last.starts_with("q quit")) && text.contains("lpwatch_target")
        });
    }
    // Too small for anything, and back.
    terminal.resize(10, 2);
    terminal.shows("too small");
    terminal.resize(80, 24);
    terminal.shows("lpwatch_target");
    terminal.press("\u{3}");
    assert_eq!(terminal.end().code(), Some(0));
}

#[test]
fn the_terminal_is_given_back_after_each_signal() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        let terminal = Terminal::start(80, 24, &[]);
        terminal.shows("lpwatch_target");
        assert!(!terminal.is_given_back());
        terminal.signal(signal);
        assert_eq!(terminal.end().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn it_stops_and_continues() {
    for how in ["key", "signal"] {
        let terminal = Terminal::start(80, 24, &[]);
        terminal.shows("lpwatch_target");
        if how == "key" {
            terminal.press("\u{1a}");
        } else {
            terminal.signal(Signal::TSTP);
        }
        terminal.wait("the terminal is given back", || terminal.is_given_back());
        let stat = format!("/proc/{}/stat", terminal.child.id());
        terminal.wait("it has stopped", || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('T'))
        });
        terminal.signal(Signal::CONT);
        terminal.shows("lpwatch_target");
        terminal.press("q");
        assert_eq!(terminal.end().code(), Some(0), "{how}");
    }
}

/// Whether text has another look than the terminal's own.
fn has_color(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut sequences = text.split("\u{1b}[").skip(1);
    sequences.any(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';');
        let (codes, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let paints =
            |code: &str| matches!(code.parse(), Ok(1..=9 | 30..=38 | 40..=48 | 90..=107_u8));
        rest.starts_with('m') && codes.split(';').any(paints)
    })
}

#[test]
fn colour_is_left_out_where_it_is_not_wanted() {
    for (color, arguments, no_color) in [
        (true, &[][..], None),
        (false, &["--color", "never"], None),
        (false, &[], Some("1")),
        (true, &["--color", "always"], Some("1")),
    ] {
        let terminal = Terminal::with(80, 24, arguments, |command| match no_color {
            Some(value) => command.env("NO_COLOR", value),
            None => command,
        });
        terminal.shows("lpwatch_target");
        terminal.press("q");
        let written = terminal.written.clone();
        assert_eq!(terminal.end().code(), Some(0));
        let written = written.lock().unwrap();
        assert_eq!(has_color(&written), color, "{arguments:?} {no_color:?}");
    }
}

#[test]
fn without_a_terminal_it_says_what_else_there_is() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_lpwatch"))
        .arg("top")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("needs a terminal") && message.contains("lpwatch status --watch"),
        "{message}"
    );
    assert!(output.stdout.is_empty());
    for (arguments, term, words) in [
        (&["-o", "json"][..], "xterm", "takes no -o"),
        (&[], "dumb", "$TERM says none"),
    ] {
        let terminal = Terminal::with(80, 24, arguments, |command| command.env("TERM", term));
        terminal.wait(words, || terminal.text().contains(words));
        assert_eq!(terminal.end().code(), Some(1));
    }
}

#[test]
fn an_error_is_read_after_the_terminal_is_given_back() {
    let terminal = Terminal::in_tree(&PathBuf::from("/nonexistent"), 80, 24, &[], |it| it);
    terminal.wait("the reason is read", || {
        terminal.text().contains("error") && !terminal.is_taken()
    });
    assert_ne!(terminal.end().code(), Some(0));
}
