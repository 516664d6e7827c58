//! Tasks as /proc shows them: the scenarios' own count, held against lpwatch's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::guest;

/// Which code a task runs, as its `patch_state` in /proc says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Old,
    New,
}

impl Code {
    fn patch_state(self) -> &'static str {
        match self {
            Self::Old => "0",
            Self::New => "1",
        }
    }
}

fn threads() -> impl Iterator<Item = PathBuf> {
    guest::names_in(Path::new("/proc"))
        .into_iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .flat_map(|pid| {
            let folder = Path::new("/proc").join(pid).join("task");
            guest::names_in(&folder)
                .into_iter()
                .map(move |tid| folder.join(tid))
        })
}

/// How many tasks there are, the idle tasks of the CPUs apart.
pub fn count() -> usize {
    threads().count()
}

/// The tasks that run that code at this moment.
pub fn running(code: Code) -> BTreeSet<i32> {
    threads()
        .filter(|task| {
            fs::read_to_string(task.join("patch_state"))
                .is_ok_and(|state| state.trim() == code.patch_state())
        })
        .filter_map(|task| task.file_name()?.to_str()?.parse().ok())
        .collect()
}

/// The time a process has used on the CPUs, in ticks of a hundredth of a second.
pub fn ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything: count from behind it.
    let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let (user, system) = fields
        .get(11)
        .zip(fields.get(12))
        .context("stat is short")?;
    Ok(user.parse::<u64>()? + system.parse::<u64>()?)
}
