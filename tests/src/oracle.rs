//! The kernel's own words about the tasks left: the debug messages of its
//! livepatch code, switched on by the scenario. lpwatch never uses them, so
//! they are what its reasons are held against.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};

use crate::trial::Skipped;

const SOURCE: &str = "kernel/livepatch/transition.c";

/// Where the switch is; the second is for kernels before 5.7's were everywhere.
const CONTROLS: [&str; 2] = [
    "/proc/dynamic_debug/control",
    "/sys/kernel/debug/dynamic_debug/control",
];

/// Messages closer together than this belong to one try of the kernel, which
/// tries once a second.
const ONE_TRY: Duration = Duration::from_millis(400);

/// What the kernel says of a task that it could not switch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Complaint {
    Running,
    UnreliableStack,
    SleepingOn(String),
}

/// One message, in the order in which they came.
#[derive(Debug, Clone)]
pub struct Said {
    pub at: Duration,
    pub pid: i32,
    pub complaint: Complaint,
}

/// Listens from when it is made. The messages are off again when it goes.
pub struct Oracle {
    log: File,
    said: Vec<Said>,
}

impl Oracle {
    pub fn listen() -> Result<Self> {
        switch("+p")?;
        let mut log = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open("/dev/kmsg")
            .context("opening /dev/kmsg")?;
        log.seek(SeekFrom::End(0))?;
        let said = Vec::new();
        Ok(Self { log, said })
    }

    /// All messages up to now.
    pub fn said(&mut self) -> Result<&[Said]> {
        // One read is one message, and none is longer than this.
        let mut buffer = vec![0; 8192];
        loop {
            match self.log.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    let record = String::from_utf8_lossy(&buffer[..length]);
                    self.said.extend(parse(&record));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The oldest messages were overwritten: go on with the next.
                Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EPIPE as i32) => {}
                Err(error) => return Err(error).context("reading /dev/kmsg"),
            }
        }
        Ok(&self.said)
    }

    /// How many there are, to tell later what was said since.
    pub fn mark(&mut self) -> Result<usize> {
        Ok(self.said()?.len())
    }

    /// What was said since `mark`.
    pub fn since(&mut self, mark: usize) -> Result<&[Said]> {
        self.said()?;
        Ok(self.said.get(mark..).unwrap_or_default())
    }

    /// What was said before `mark`, the latest of each task.
    pub fn latest_before(&self, mark: usize) -> BTreeMap<i32, Complaint> {
        let said = self.said.iter().take(mark);
        said.map(|said| (said.pid, said.complaint.clone()))
            .collect()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        if let Err(error) = switch("-p") {
            eprintln!("    left behind: {error:#}");
        }
    }
}

/// How many tries these messages are of. One that left no task says nothing.
pub fn tries(said: &[Said]) -> usize {
    let mut tries = 0;
    let mut last: Option<Duration> = None;
    for Said { at, .. } in said {
        if last.is_none_or(|last| at.saturating_sub(last) > ONE_TRY) {
            tries += 1;
        }
        last = Some(*at);
    }
    tries
}

/// The tasks whose stacks the kernel could not rely on.
pub fn unreliable(said: &[Said]) -> BTreeSet<i32> {
    said.iter()
        .filter(|said| said.complaint == Complaint::UnreliableStack)
        .map(|said| said.pid)
        .collect()
}

fn switch(flag: &str) -> Result<()> {
    let Some(control) = CONTROLS.into_iter().find(|path| Path::new(path).exists()) else {
        if mount_debugfs().is_ok() && Path::new(CONTROLS[1]).exists() {
            return write(CONTROLS[1], flag);
        }
        return Err(Skipped("this kernel has no dynamic debug: no oracle".to_owned()).into());
    };
    write(control, flag)
}

fn write(control: &str, flag: &str) -> Result<()> {
    fs::write(control, format!("file {SOURCE} {flag}"))
        .with_context(|| format!("writing {control}"))
}

fn mount_debugfs() -> Result<()> {
    mount(
        Some("none"),
        "/sys/kernel/debug",
        Some("debugfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .context("mounting debugfs")
}

/// A record of /dev/kmsg: `priority,sequence,microseconds,flags;text`.
fn parse(record: &str) -> Option<Said> {
    let (head, text) = record.split_once(';')?;
    let microseconds = head.split(',').nth(2)?.parse().ok()?;
    let text = text.lines().next()?;
    let words = text.strip_prefix("livepatch: klp_")?;
    let (pid, complaint) = words_of(words)?;
    Some(Said {
        at: Duration::from_micros(microseconds),
        pid,
        complaint,
    })
}

/// `FUNCTION: COMM:PID is ...`; a comm may hold anything, a function's name
/// may not.
fn words_of(words: &str) -> Option<(i32, Complaint)> {
    let (task, complaint) = if let Some(task) = words.strip_suffix(" is running") {
        (task, Complaint::Running)
    } else if let Some(task) = words.strip_suffix(" has an unreliable stack") {
        (task, Complaint::UnreliableStack)
    } else {
        let (task, function) = words.rsplit_once(" is sleeping on function ")?;
        (task, Complaint::SleepingOn(function.trim().to_owned()))
    };
    let (_, pid) = task.rsplit_once(':')?;
    Some((pid.parse().ok()?, complaint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<(i32, Complaint)> {
        let said = parse(&format!(
            "7,1042,5550123,-;livepatch: {text}\n SUBSYSTEM=x\n"
        ))?;
        assert_eq!(said.at, Duration::from_micros(5_550_123));
        Some((said.pid, said.complaint))
    }

    #[test]
    fn each_complaint_is_told_from_the_others() {
        assert_eq!(
            said("klp_try_switch_task: swapper/1:0 is running"),
            Some((0, Complaint::Running))
        );
        assert_eq!(
            said("klp_check_stack: sleep:217 has an unreliable stack"),
            Some((217, Complaint::UnreliableStack))
        );
        assert_eq!(
            said("klp_try_switch_task: a:b is running:9 is sleeping on function f"),
            Some((9, Complaint::SleepingOn("f".to_owned())))
        );
        assert_eq!(said("'lp_stall': starting patching transition"), None);
    }

    #[test]
    fn tries_are_told_apart_by_time() {
        let at = |milliseconds| Said {
            at: Duration::from_millis(milliseconds),
            pid: 1,
            complaint: Complaint::Running,
        };
        assert_eq!(tries(&[]), 0);
        assert_eq!(tries(&[at(10), at(20), at(1030), at(1040), at(2050)]), 3);
    }
}
