//! That lpwatch does no harm: the same transitions without it and with it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::checks::{self, Check, Found, Turns};
use super::emit;
use super::kernel_objects::{self, Object};
use super::story::{NAPPING_IN, PAUSING_IN, Seen, Sleepers, Story, Turn};
use super::{hooks::Target, probes};
use crate::guest;
use crate::lpwatch::{Daemon, code};
use crate::oracle::Oracle;
use crate::patch;

/// Who watches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Nobody.
    Without,
    /// A daemon with all its hooks.
    Daemon,
    /// One that also counts the calls of the functions in which tasks sleep.
    Counting,
}

impl Condition {
    pub const ALL: [Self; 3] = [Self::Without, Self::Daemon, Self::Counting];
    pub const WITH: [Self; 2] = [Self::Daemon, Self::Counting];

    fn name(self) -> &'static str {
        match self {
            Self::Without => "without",
            Self::Daemon => "daemon",
            Self::Counting => "counting",
        }
    }

    fn start(self) -> Result<Option<Daemon>> {
        match self {
            Self::Without => Ok(None),
            Self::Daemon => Daemon::start(&[]).map(Some),
            Self::Counting => {
                let daemon = Daemon::start(&["--watch", NAPPING_IN, "--watch", PAUSING_IN])?;
                for function in [NAPPING_IN, PAUSING_IN] {
                    probes::wait_counted(&Target {
                        function,
                        replaced: None,
                    })?;
                }
                Ok(Some(daemon))
            }
        }
    }
}

/// One transition.
#[derive(Serialize)]
#[serde(tag = "record", rename = "transition")]
struct Transition<'a> {
    story: &'a str,
    condition: &'a str,
    direction: &'a str,
    turn: u32,
    milliseconds: u128,
    tries: usize,
    tries_after_waking: Option<usize>,
    left: &'a [usize],
}

/// What is done with the module once its patch is gone.
#[derive(Serialize)]
#[serde(tag = "record", rename = "unloading")]
struct Unloading<'a> {
    story: &'a str,
    condition: &'a str,
    turn: u32,
    milliseconds: u128,
    held: usize,
}

pub fn run(turns: u32) -> Result<()> {
    // Once for nothing: the first of all is slower than any other.
    let mut oracle = Oracle::listen()?;
    let nothing = &mut Found::default();
    one(Story::Easy, Condition::Daemon, &mut oracle, nothing)?;
    drop(oracle);
    let checks = play(&Story::ALL, turns, tell)?;
    for check in &checks {
        emit(check)?;
    }
    if checks.iter().all(|check| check.passed) {
        return Ok(());
    }
    bail!("something that must hold does not")
}

/// Plays these stories under each condition in turn; gives what must hold, and
/// whether it does.
pub fn play(
    stories: &[Story],
    turns: u32,
    mut tell: impl FnMut(Story, Condition, u32, &Turn) -> Result<()>,
) -> Result<Vec<Check>> {
    let mut oracle = Oracle::listen()?;
    let (mut all, mut found) = (Turns::new(), Found::default());
    for turn in 0..turns {
        for story in stories {
            let mut conditions = Condition::ALL;
            // Nobody is always first, or always after the same one.
            conditions.rotate_left(usize::try_from(turn)? % Condition::ALL.len());
            for condition in conditions {
                eprintln!("turn {turn}, {}, {}", story.name(), condition.name());
                match one(*story, condition, &mut oracle, &mut found) {
                    Ok(played) => {
                        tell(*story, condition, turn, &played)?;
                        all.entry((*story, condition)).or_default().push(played);
                    }
                    Err(error) => {
                        refused(condition, error, &mut found)?;
                        patch::sweep()?;
                    }
                }
            }
        }
    }
    Ok(checks::conclude(&all, &found))
}

/// Keeps that the kernel refused a module while lpwatch ran; any other error
/// ends all.
fn refused(condition: Condition, error: anyhow::Error, found: &mut Found) -> Result<()> {
    let loading = error.downcast_ref::<nix::errno::Errno>().is_some();
    if condition == Condition::Without || !loading {
        return Err(error);
    }
    found.refused.push(format!("{error:#}"));
    Ok(())
}

fn one(story: Story, condition: Condition, oracle: &mut Oracle, found: &mut Found) -> Result<Turn> {
    let before = kernel_objects::all();
    let daemon = condition.start()?;
    let sleepers = Sleepers::start()?;
    let pid = daemon.as_ref().map(Daemon::pid);
    let mut look = || {
        if let Some(pid) = pid {
            found.looks += 1;
            found
                .on_stacks
                .extend(kernel_objects::links_on_stacks(pid)?);
        }
        Ok(())
    };
    look()?;
    let turn = story.play(oracle, &sleepers, &mut look)?;
    look()?;
    drop(sleepers);
    if let Some(daemon) = daemon {
        daemon.terminate()?.expect(&[code::WELL])?;
        found.ends += 1;
        let left = left_behind(&before);
        found.left_behind.extend(left);
    }
    Ok(turn)
}

/// The objects that were not there before. The kernel frees them a little later
/// than they are let go.
fn left_behind(before: &BTreeSet<Object>) -> Vec<String> {
    let mut left = Vec::new();
    let gone = guest::wait_until("every BPF object is gone", || {
        let now = kernel_objects::all();
        let new = now.difference(before);
        left = new
            .map(|(kind, id, name)| format!("{kind} {id} {name}"))
            .collect();
        Ok(left.is_empty())
    });
    if gone.is_ok() {
        left.clear();
    }
    left
}

fn tell(story: Story, condition: Condition, turn: u32, played: &Turn) -> Result<()> {
    let (story, condition) = (story.name(), condition.name());
    for seen in &played.transitions {
        let Seen {
            direction,
            told,
            left,
            tries_after_waking,
            verdicts: _,
        } = seen;
        emit(&Transition {
            story,
            condition,
            direction,
            turn,
            milliseconds: told.took.as_millis(),
            tries: told.tries,
            tries_after_waking: *tries_after_waking,
            left,
        })?;
    }
    emit(&Unloading {
        story,
        condition,
        turn,
        milliseconds: played.unloading.as_millis(),
        held: played.held,
    })
    .context("telling of a turn")
}
