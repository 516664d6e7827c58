//! A panic while the terminal is taken.

use std::{env, io::Read as _};

use pty_process::blocking::{Command, open};
use rustix::termios::{LocalModes, tcgetattr};

use super::*;
use crate::render::style::Style;

const FAULT: &str = "a fault in the drawing";

/// Set in the process that panics.
const PANICS: &str = "LPWATCH_TEST_PANICS";

fn panic_in_a_terminal() {
    let mut screen = Screen::open(true).unwrap();
    screen.draw(&mut App::new(Style::default())).unwrap();
    panic!("{FAULT}");
}

#[test]
fn a_panic_is_read_on_the_terminal_as_it_was() {
    // This test runs itself, in a terminal.
    if env::var_os(PANICS).is_some() {
        panic_in_a_terminal();
    }
    let (mut pty, pts) = open().unwrap();
    pty.resize(pty_process::Size::new(24, 80)).unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "commands::top::terminal::tests::a_panic_is_read_on_the_terminal_as_it_was",
            "--exact",
        ])
        .arg("--nocapture")
        .env(PANICS, "1")
        .env("TERM", "xterm")
        .env("RUST_BACKTRACE", "0")
        .spawn(pts)
        .unwrap();
    let mut written = Vec::new();
    // It fails once nobody has the other side open.
    drop(pty.read_to_end(&mut written));
    assert!(!child.wait().unwrap().success());
    let text = String::from_utf8_lossy(&written);
    let taken = text.find("\u{1b}[?1049h").expect("the terminal was taken");
    let given_back = text.find("\u{1b}[?1049l").expect("it was given back");
    let fault = text.find(FAULT).expect("the message is there");
    assert!(taken < given_back && given_back < fault, "{text:?}");
    assert!(
        text.rfind("\u{1b}[?25h") > text.rfind("\u{1b}[?25l"),
        "{text:?}"
    );
    let modes = tcgetattr(&pty).unwrap().local_modes;
    assert!(
        modes.contains(LocalModes::ICANON | LocalModes::ECHO),
        "{modes:?}"
    );
}
