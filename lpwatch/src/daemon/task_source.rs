//! Where the tasks are read from: the BPF iterator, or /proc.

use std::time::Duration;

use crate::{
    kernel::{
        ReadError, Roots,
        tasks::{TaskListing, read_tasks},
    },
    model::{
        Direction, TaskOnOldCode, TaskSample,
        snapshot::{Probe, Source},
    },
    probe::TaskIterator,
};

/// Where the tasks are read from.
pub(super) enum TaskSource {
    Bpf(Box<TaskIterator>),
    Procfs,
}

/// A look, and what was missing from it.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub sample: Option<TaskSample>,
    pub note: Option<String>,
}

impl TaskSource {
    pub fn source(&self) -> Source {
        match self {
            Self::Bpf(_) => Source::Bpf,
            Self::Procfs => Source::Procfs,
        }
    }

    pub fn probe(&self) -> Probe {
        let (kind, target) = match self {
            Self::Bpf(_) => ("iter", "task"),
            Self::Procfs => ("procfs", "/proc/<pid>/task/<tid>/patch_state"),
        };
        Probe {
            fact: "tasks".to_owned(),
            kind: kind.to_owned(),
            target: target.to_owned(),
            attached: true,
            note: None,
        }
    }

    /// Looks at all tasks, through /proc if the iterator fails.
    pub fn look(&mut self, roots: &Roots, direction: Direction, at: Duration) -> Look {
        let failed = match self {
            Self::Bpf(iterator) => match iterator.look(direction, at) {
                Ok(sample) => {
                    return Look {
                        sample: Some(sample),
                        note: None,
                    };
                }
                Err(error) => Some(format!("The tasks were read from /proc: {error}.")),
            },
            Self::Procfs => None,
        };
        let look = look_at_procfs(roots, direction, at);
        Look {
            note: look.note.or(failed),
            ..look
        }
    }
}

fn look_at_procfs(roots: &Roots, direction: Direction, at: Duration) -> Look {
    match read_tasks(roots, direction.target_state()) {
        Ok(listing) => {
            let note = (listing.unreadable > 0).then(|| {
                format!(
                    "{} tasks could not be read and are not among those left; run as root to see all.",
                    listing.unreadable
                )
            });
            Look {
                sample: Some(sample(listing, direction, at)),
                note,
            }
        }
        Err(error) => Look {
            sample: None,
            note: Some(unread(&error)),
        },
    }
}

fn unread(error: &ReadError) -> String {
    format!("The tasks left are not known: {error}.")
}

fn sample(listing: TaskListing, direction: Direction, at: Duration) -> TaskSample {
    let remaining = listing.remaining.into_iter().map(|task| TaskOnOldCode {
        tid: task.tid,
        tgid: task.tgid,
        comm: task.comm,
        kthread: task.kthread,
    });
    TaskSample {
        at,
        direction,
        total: listing.total,
        remaining: remaining.collect(),
    }
}
