//! `lpwatch top` in a terminal: a stall appears and is explained, the daemon ends and
//! nothing is lost, and the terminal is given back.

use anyhow::{Result, ensure};

use crate::guest::Module;
use crate::lpwatch::{Daemon, code};
use crate::patch::Patch;
use crate::tasks::Code;
use crate::terminal::Terminal;
use crate::trial::Trial;

pub fn run(trial: &mut Trial) -> Result<()> {
    let daemon = Daemon::start(&["--stall-after", "3s"])?;
    let target = Module::load("lpwatch_target")?;
    let mut terminal = Terminal::lpwatch(&["top", "--stall-after", "3s"])?;
    terminal.wait_shows("No live patch is loaded.")?;
    ensure!(!terminal.is_given_back()?, "it draws on the shell's screen");

    let stall = Patch::load("lp_stall")?;
    let left = stall.wait_left(Code::Old, 1)?;
    terminal.wait_shows("asleep in lpwatch_target_main")?;
    terminal.wait_shows("! lp_stall  stalled, patching for")?;
    trial.say(&terminal.text());
    terminal.press("\r")?;
    terminal.wait_shows("It sleeps in lpwatch_target_main")?;
    terminal.wait_shows("That is its main function, which it never leaves.")?;
    for tid in left {
        terminal.wait_shows(&format!("(kernel thread {tid})"))?;
    }
    trial.say(&terminal.text());

    // Without the daemon it goes on by itself.
    daemon.terminate()?.expect(&[code::WELL])?;
    terminal.press("\u{1b}")?;
    terminal.wait_shows("no daemon")?;
    terminal.wait_shows("asleep in lpwatch_target_main")?;
    stall.disable()?;
    stall.wait_gone()?;
    terminal.wait_shows("No live patch is loaded.")?;
    terminal.press("e")?;
    for happened in [
        "lp_stall: stalled, 1 task left",
        "The daemon has ended",
        "lp_stall: patching reversed after",
    ] {
        terminal.wait_shows(happened)?;
    }
    trial.say(&terminal.text());
    terminal.press("q")?;
    let ended = terminal.end()?;
    ensure!(ended == code::WELL, "exit code {ended}");
    stall.remove()?;
    target.unload()
}
