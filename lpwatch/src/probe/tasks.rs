//! Reads the task iterator.

use std::{
    fs::File,
    io::{self, Read},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{Array, MapData},
    programs::Iter,
};
use lpwatch_common::task::{PF_KTHREAD, RECORD_TASK, RECORD_TOTALS, TaskRecord};

use crate::model::{Direction, TaskOnOldCode, TaskSample};

use super::{ProbeError, records::text};

/// The loaded task iterator, and with it all programs loaded from the same
/// object.
pub struct TaskIterator {
    bpf: Ebpf,
    target: Array<MapData, i32>,
}

impl TaskIterator {
    pub(super) fn new(mut bpf: Ebpf) -> Result<Self, ProbeError> {
        let map = bpf
            .take_map("TASK_TARGET")
            .ok_or_else(|| ProbeError::Failed {
                action: "open the BPF maps",
                reason: "the object lacks a map".to_owned(),
            })?;
        let target = Array::try_from(map).map_err(|error| fail(&error))?;
        Ok(Self { bpf, target })
    }

    /// One pass over all tasks: who has not switched in this direction.
    ///
    /// # Errors
    /// [`ProbeError`] if the kernel refuses the pass or breaks it off.
    pub fn look(&mut self, direction: Direction, at: Duration) -> Result<TaskSample, ProbeError> {
        self.target
            .set(0, direction.target_state(), 0)
            .map_err(|error| fail(&error))?;
        let mut bytes = Vec::new();
        self.open()?
            .read_to_end(&mut bytes)
            .map_err(|error| fail(&error))?;
        sample(&bytes, direction, at)
            .ok_or_else(|| fail(&io::Error::from(io::ErrorKind::UnexpectedEof)))
    }

    fn open(&mut self) -> Result<File, ProbeError> {
        let missing = || ProbeError::Failed {
            action: "look at the tasks",
            reason: "the object has no task iterator".to_owned(),
        };
        let program = self.bpf.program_mut("tasks").ok_or_else(missing)?;
        let program: &mut Iter = program.try_into().map_err(|error| fail(&error))?;
        // The link turns into the file, so each pass needs one of its own.
        let link = program.attach().map_err(|error| fail(&error))?;
        let link = program.take_link(link).map_err(|error| fail(&error))?;
        link.into_file().map_err(|error| fail(&error))
    }
}

fn fail(error: &(dyn std::error::Error + 'static)) -> ProbeError {
    ProbeError::new("look at the tasks", error)
}

/// `None` if the totals, which come last, are missing.
fn sample(bytes: &[u8], direction: Direction, at: Duration) -> Option<TaskSample> {
    let mut remaining = Vec::new();
    for record in bytes.chunks_exact(size_of::<TaskRecord>()) {
        let record = TaskRecord::from_bytes(record)?;
        match record.record {
            RECORD_TASK => remaining.push(TaskOnOldCode {
                tid: record.tid,
                tgid: record.tgid,
                comm: text(&record.comm),
                kthread: record.flags & PF_KTHREAD != 0,
            }),
            RECORD_TOTALS => {
                return Some(TaskSample {
                    at,
                    direction,
                    total: record.tgid,
                    remaining,
                });
            }
            _ => return None,
        }
    }
    None
}
