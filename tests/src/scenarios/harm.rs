//! `bench harm`, in short: of what it measures, what must hold whatever the
//! times are.

use anyhow::{Result, ensure};

use crate::bench::{Story, play_harm};
use crate::trial::Trial;

const TURNS: u32 = 2;

/// Tasks sleep in a patched function, and in one whose tracing can do harm; the
/// scenario `harmless` has the other story.
pub fn run(trial: &mut Trial) -> Result<()> {
    let checks = play_harm(&[Story::Asleep], TURNS, |_, _, _, _| Ok(()))?;
    let failed: Vec<String> = checks
        .iter()
        .filter(|check| !check.passed)
        .map(|check| format!("{}: {}", check.name, check.detail))
        .collect();
    for check in &checks {
        trial.say(&format!("{}: {}", check.name, check.detail));
    }
    ensure!(failed.is_empty(), "does not hold: {}", failed.join("; "));
    Ok(())
}
