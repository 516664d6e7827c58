//! What `lpwatch status -o json` says of the tasks left: the part of the
//! contract about reasons, read strictly.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::{Deserialize, Deserializer};

use crate::lpwatch::{self, PATIENT, code};

#[derive(Debug, Deserialize)]
struct Document {
    patches: Vec<Patch>,
}

#[derive(Debug, Deserialize)]
struct Patch {
    name: String,
    #[serde(deserialize_with = "nullable")]
    transition: Option<Transition>,
}

#[derive(Debug, Deserialize)]
struct Transition {
    direction: String,
    blockers: Vec<Blocker>,
}

/// What lpwatch says of a task left: the part of the contract about reasons.
#[derive(Debug, Clone, Deserialize)]
pub struct Blocker {
    pub tid: i32,
    pub tgid: i32,
    pub comm: String,
    pub kthread: bool,
    #[serde(deserialize_with = "nullable")]
    pub kind: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub advice: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub reason: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub cause: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub function: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub program: Option<Program>,
    #[serde(deserialize_with = "nullable")]
    pub kernel_check: Option<KernelCheck>,
    pub stack: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub blocking_frame: Option<usize>,
    #[serde(deserialize_with = "nullable")]
    pub state: Option<char>,
    #[serde(deserialize_with = "nullable")]
    pub vfork_child: Option<AwaitedChild>,
}

/// The child that the parent of a vfork waits for.
#[derive(Debug, Clone, Deserialize)]
pub struct AwaitedChild {
    pub pid: i32,
    pub comm: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Program {
    #[serde(deserialize_with = "nullable")]
    pub id: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    pub name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub attached_to: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub owner_pid: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    pub owner_comm: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct KernelCheck {
    pub answer: String,
    #[serde(deserialize_with = "nullable")]
    pub function: Option<String>,
    pub tries: u32,
}

/// A field that may be null, and must be there.
fn nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

/// One look of lpwatch at one transition.
#[derive(Debug, Clone)]
pub struct Look {
    pub how: String,
    pub direction: String,
    pub blockers: Vec<Blocker>,
}

impl Look {
    pub fn tids(&self) -> BTreeSet<i32> {
        self.blockers.iter().map(|blocker| blocker.tid).collect()
    }

    pub fn of(&self, tid: i32) -> Result<&Blocker> {
        self.blockers
            .iter()
            .find(|blocker| blocker.tid == tid)
            .with_context(|| format!("{}: {tid} is not listed: {:?}", self.how, self.blockers))
    }

    pub fn is_daemons(&self) -> bool {
        self.how.is_empty()
    }

    pub fn without_bpf(&self) -> bool {
        self.how.contains("--no-bpf")
    }
}

/// Looks at a patch in transition; `None` once the transition is over.
pub fn look(patch: &str, how: &[&str]) -> Result<Option<Look>> {
    let ended = lpwatch::run(&[&["status", "-o", "json"], how, PATIENT])?;
    ended.expect(&[code::WELL, code::IN_TRANSITION, code::STALLED])?;
    let document: Document = serde_json::from_slice(&ended.stdout)
        .with_context(|| format!("the contract is broken: {}", ended.text()))?;
    let mut patches = document.patches.into_iter();
    let transition = patches
        .find(|one| one.name == patch)
        .and_then(|patch| patch.transition);
    Ok(transition.map(|transition| Look {
        how: how.join(" "),
        direction: transition.direction,
        blockers: transition.blockers,
    }))
}
