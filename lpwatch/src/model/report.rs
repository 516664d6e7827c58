//! The report about one transition: for a post-mortem, or for a vendor's ticket.

mod redaction;
mod report_time;

use serde::{Deserialize, Serialize};

use super::{
    Blocker, Culprit, Snapshot, TaskKind, Thresholds,
    document::DocumentHead,
    journal::{Entry, HeldBlocker, Record},
    snapshot::{PastTransition, Patch, Probe, Transition, TrendPoint},
};

pub use redaction::{HOST, ReplacedNames};
pub use report_time::ReportTime;

/// The most events in a report.
pub const MOST_EVENTS: usize = 1000;

/// All that is known about one transition, under way or ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportDocument {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// Whether a daemon runs, which also knows earlier events.
    pub daemon: bool,
    /// The version of lpwatch that wrote the report.
    pub lpwatch_version: String,
    /// Whether the names of the host, of its users and of its programs are replaced.
    pub redacted: bool,
    /// The patch as it is now, with its transition if that is under way; `null` if it
    /// is not loaded.
    pub patch: Option<Patch>,
    /// The transition, if it has ended; `null` if it is under way.
    pub ended: Option<Record>,
    /// What happened to the patch from the beginning of the transition to its end, or
    /// until now, oldest first. Empty if no daemon has recorded it.
    pub events: Vec<Entry>,
    /// What the kernel logged about live patches in that time, oldest first. Empty if
    /// the log no longer contains it.
    pub kernel_log: Vec<KernelLine>,
    /// How each fact is observed on this host now; it can have been another way when a
    /// transition of the history was under way.
    pub probes: Vec<Probe>,
    /// What is missing in the report, and why, one note each.
    pub notes: Vec<String>,
}

/// A line of the kernel log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KernelLine {
    /// When it was logged, in seconds since boot, by the clock of the log.
    pub boot_seconds: f64,
    /// The line.
    pub text: String,
}

impl ReportDocument {
    /// About the transition of `patch`: the one that has `ended`, or the one under way.
    /// `notes` are what is missing beside the notes of the snapshot.
    #[must_use]
    pub fn new(
        snapshot: &Snapshot,
        patch: Option<&str>,
        ended: Option<Record>,
        events: Vec<Entry>,
        kernel_log: Vec<KernelLine>,
        notes: Vec<String>,
    ) -> Self {
        Self {
            head: snapshot.head.clone(),
            daemon: snapshot.daemon,
            lpwatch_version: env!("CARGO_PKG_VERSION").to_owned(),
            redacted: false,
            patch: patch.and_then(|name| snapshot.patch(name).cloned()),
            ended,
            events,
            kernel_log,
            probes: snapshot.probes.clone(),
            notes: snapshot.notes.iter().cloned().chain(notes).collect(),
        }
    }

    /// The transition, if it is under way.
    #[must_use]
    pub fn under_way(&self) -> Option<&Transition> {
        match &self.ended {
            Some(_) => None,
            None => self.patch.as_ref()?.transition.as_ref(),
        }
    }

    /// The transition, if it has ended.
    #[must_use]
    pub fn past(&self) -> Option<&PastTransition> {
        self.ended.as_ref().map(|record| &record.transition)
    }

    /// The name of the patch; `None` if only the log reports it, without the name.
    #[must_use]
    pub fn patch_name(&self) -> Option<&str> {
        match self.past() {
            Some(past) => past.patch.as_deref(),
            None => self.patch.as_ref().map(|patch| patch.name.as_str()),
        }
    }

    /// The tasks left over time, oldest first.
    #[must_use]
    pub fn course(&self) -> &[TrendPoint] {
        match (&self.ended, self.under_way()) {
            (Some(record), _) => &record.course,
            (None, Some(transition)) => &transition.trend,
            (None, None) => &[],
        }
    }

    /// The state of the patch alone, as `lpwatch status` shows it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            head: self.head.clone(),
            daemon: self.daemon,
            thresholds: Thresholds::default(),
            probes: Vec::new(),
            notes: Vec::new(),
            events_lost: 0,
            patches: self.patch.iter().cloned().collect(),
            watched: Vec::new(),
            stops: None,
            last_transitions: Vec::new(),
        }
    }

    /// The document without the names of its host, users and programs.
    ///
    /// # Errors
    /// The document cannot be written as JSON and read again.
    pub fn redacted(mut self, names: &ReplacedNames) -> serde_json::Result<Self> {
        let mut names = names.clone();
        names.add_host(&self.head.host);
        let transition = self.patch.as_ref().and_then(|one| one.transition.as_ref());
        for blocker in transition.iter().flat_map(|one| &one.blockers) {
            of_blocker(&mut names, blocker);
        }
        for held in self.ended.iter().flat_map(|record| &record.blockers) {
            of_held(&mut names, held);
        }
        let past = self.ended.as_ref().map(|record| &record.transition);
        let ended = past.map(|past| [&past.reversed_by, &past.forced_by]);
        let running = transition.map(|one| [&one.reversed_by, &one.forced_by]);
        for by in ended.into_iter().chain(running).flatten().flatten() {
            names.add_program(&by.comm);
        }
        for details in self.events.iter().map(|entry| &entry.details) {
            if let Some(comm) = &details.comm {
                names.add_program(comm);
            }
            of_program(&mut names, details.program.as_ref());
        }
        // They identify the host as well as its name does.
        for entry in &mut self.events {
            entry.boot_id = None;
        }
        if let Some(record) = &mut self.ended {
            record.boot_id = None;
        }
        self.redacted = true;
        names.replace_in(&self)
    }
}

/// The names of kernel threads are the kernel's, and stay.
fn of_blocker(names: &mut ReplacedNames, blocker: &Blocker) {
    if !blocker.kthread && blocker.kind() != TaskKind::Idle {
        names.add_program(&blocker.comm);
    }
    if let Some(child) = &blocker.vfork_child {
        names.add_program(&child.comm);
    }
    of_program(names, blocker.program.as_ref());
}

fn of_held(names: &mut ReplacedNames, held: &HeldBlocker) {
    if !held.kthread && held.tid != 0 {
        names.add_program(&held.comm);
    }
    of_program(names, held.program.as_ref());
}

fn of_program(names: &mut ReplacedNames, program: Option<&Culprit>) {
    let parts = program.map(|one| [&one.owner_comm, &one.pinned]);
    for name in parts.into_iter().flatten().flatten() {
        names.add_program(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{journal::samples as journal, samples};

    fn report() -> ReportDocument {
        let snapshot = samples::stalled();
        let mut entry = journal::entry("lp_fix");
        entry.message = format!("{} ran postgres-main.", snapshot.head.host);
        entry.details.comm = Some("postgres-main".to_owned());
        let mut patch = snapshot.patches[1].clone();
        let transition = patch.transition.as_mut().unwrap();
        transition.blockers.push(Blocker {
            advice: Some("Stop postgres:\n    systemctl stop postgres.service".to_owned()),
            ..samples::task(77, "postgres", false)
        });
        ReportDocument {
            head: snapshot.head.clone(),
            daemon: true,
            lpwatch_version: "1".to_owned(),
            redacted: false,
            patch: Some(patch),
            ended: None,
            events: vec![entry],
            kernel_log: vec![KernelLine {
                boot_seconds: 1.0,
                text: "livepatch: postgres:77 is sleeping; asked by alice".to_owned(),
            }],
            probes: snapshot.probes,
            notes: vec!["cannot read /home/alice/x".to_owned()],
        }
    }

    #[test]
    fn no_name_of_the_host_is_left() {
        let before = report();
        let mut names = ReplacedNames::default();
        names.add_user("alice");
        let host = before.head.host.clone();
        let text = serde_json::to_string(&before.clone().redacted(&names).unwrap()).unwrap();
        for name in [host.as_str(), "postgres", "alice"] {
            assert!(!text.contains(name), "{name}: {text}");
        }
        let after: ReportDocument = serde_json::from_str(&text).unwrap();
        assert!(after.redacted && after.head.host == HOST);
        assert_eq!(after.patch_name(), before.patch_name());
        let kernel_threads = |report: &ReportDocument| -> Vec<String> {
            let tasks = &report.under_way().unwrap().blockers;
            let threads = tasks.iter().filter(|task| task.kthread);
            threads.map(|task| task.comm.clone()).collect()
        };
        assert!(!kernel_threads(&before).is_empty());
        assert_eq!(kernel_threads(&after), kernel_threads(&before));
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let report = report();
        let text = serde_json::to_string(&report).unwrap();
        let read: ReportDocument = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
