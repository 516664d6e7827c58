//! A patch whose functions nobody asked to watch: they are counted from when it
//! is there, and what came before is not made up.

use anyhow::{Result, ensure};

use crate::calls::{BOTH, Caller};
use crate::lpwatch::{self, ALONE, Daemon, PATIENT, code};
use crate::patch::Patch;
use crate::trial::Trial;

const PATCH: &str = "lp_calls";

pub fn run(_: &mut Trial) -> Result<()> {
    let mut caller = Caller::load()?;
    caller.leave()?;
    let daemon = Daemon::start(PATIENT)?;
    caller.now(100)?;
    let patch = Patch::load_completely(PATCH)?;
    for function in BOTH {
        function.wait_entered(PATCH)?;
    }
    let new = caller.now(30)?;
    let document = lpwatch::look(&[])?;
    ensure!(document.watched.is_empty(), "{:?}", document.watched);
    for function in BOTH {
        let calls = function.counted(Some(PATCH))?;
        ensure!(
            calls.before.is_none(),
            "{}: a time that nobody counted: {calls:?}",
            function.name
        );
        ensure!(
            (calls.old, calls.new) == (0, new) && calls.effective == Some(true),
            "{}: {new} calls of new code were made: {calls:?}",
            function.name
        );
    }
    let table = lpwatch::run(&[&["calls"]])?;
    let text = table.expect(&[code::WELL])?.text();
    ensure!(text.contains("no BEFORE/S"), "that is not said: {text}");
    drop(daemon);

    alone(&mut caller)?;
    patch.remove()?;
    caller.unload()
}

/// Without a daemon the command counts by itself, and says for how long.
fn alone(caller: &mut Caller) -> Result<()> {
    let calling = caller.without_end();
    let verified = lpwatch::run(&[&["verify", "--for", "3s"], ALONE])?;
    calling.end()?;
    let text = verified.expect(&[code::WELL])?.text();
    for part in ["gcd", "runs", "3 s only"] {
        ensure!(text.contains(part), "it does not say {part:?}: {text}");
    }
    Ok(())
}
