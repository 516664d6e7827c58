//! Reads the task iterator, and with it the kernel's verdicts.

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
use lpwatch_common::{
    split_record,
    task::{MAX_FRAMES, MAX_STACKS, RECORD_TASK, RECORD_TOTALS, TARGET_ALL, TaskRecord},
};

use crate::model::{Direction, Task, TaskKind, evidence::Evidence, snapshot::SwitchedBy};

use super::{ProbeError, records::text, verdicts::Verdicts};

/// The loaded task iterator, and with it all programs loaded from the same
/// object.
pub struct TaskIterator {
    pub(super) bpf: Ebpf,
    target: Array<MapData, i32>,
    /// The maps of the kernel's verdicts, if they are hooked.
    verdicts: Option<Verdicts>,
    /// Whether every way to switch is hooked.
    watches_ways: bool,
    /// Whether the kernel's own list of patches can be walked.
    pub(super) walks_patches: bool,
    /// Whether the kernel's unwinder knows the frames of BPF.
    pub(super) unwinds_bpf: bool,
}

/// Which tasks a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskFilter {
    /// Those that a transition in this direction has left.
    Left(Direction),
    /// All there are.
    All,
}

/// One pass over all tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskPass {
    /// Tasks seen.
    pub total: u32,
    /// Those that were wanted, and the return addresses on their stacks,
    /// innermost first.
    pub remaining: Vec<(Task, Vec<u64>)>,
}

impl TaskIterator {
    pub(super) fn new(
        mut bpf: Ebpf,
        verdicts: Option<Verdicts>,
        watches_ways: bool,
    ) -> Result<Self, ProbeError> {
        let map = bpf
            .take_map("TASK_TARGET")
            .ok_or_else(|| ProbeError::Failed {
                action: "open the BPF maps",
                reason: "the object lacks a map".to_owned(),
            })?;
        let target = Array::try_from(map).map_err(|error| fail(&error))?;
        Ok(Self {
            bpf,
            target,
            verdicts,
            watches_ways,
            walks_patches: false,
            unwinds_bpf: false,
        })
    }

    /// Whether the kernel's unwinder knows the frames of BPF programs and
    /// trampolines.
    #[must_use]
    pub fn unwinds_bpf(&self) -> bool {
        self.unwinds_bpf
    }

    /// Whether the kernel's verdicts are watched.
    #[must_use]
    pub fn has_verdicts(&self) -> bool {
        self.verdicts.is_some()
    }

    /// Tasks switched, by way, since the hooks were attached.
    #[must_use]
    pub fn switched(&self) -> Option<SwitchedBy> {
        let verdicts = self.verdicts.as_ref().filter(|_| self.watches_ways)?;
        Some(verdicts.switched())
    }

    /// One pass over all tasks: the wanted ones, and their stacks.
    ///
    /// # Errors
    /// [`ProbeError`] if the kernel refuses or aborts the pass.
    pub fn look(
        &mut self,
        wanted: TaskFilter,
        at: Duration,
        with_stacks: bool,
    ) -> Result<TaskPass, ProbeError> {
        let (target, most) = match wanted {
            TaskFilter::Left(direction) => (direction.target_state(), MAX_STACKS),
            TaskFilter::All => (TARGET_ALL, i32::MAX),
        };
        let stacks = if with_stacks { most } else { 0 };
        for (index, value) in [(0, target), (1, stacks)] {
            self.target
                .set(index, value, 0)
                .map_err(|error| fail(&error))?;
        }
        let mut bytes = Vec::new();
        self.open()?
            .read_to_end(&mut bytes)
            .map_err(|error| fail(&error))?;
        let mut look =
            decode(&bytes).ok_or_else(|| fail(&io::Error::from(io::ErrorKind::UnexpectedEof)))?;
        if let Some(verdicts) = &self.verdicts {
            for (task, _) in &mut look.remaining {
                task.evidence.answers = verdicts.of(task.tid, at);
            }
        }
        Ok(look)
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

/// `None` if the totals, which come last, are missing, or a record is cut off.
fn decode(mut bytes: &[u8]) -> Option<TaskPass> {
    let mut remaining = Vec::new();
    loop {
        let (record, rest) = split_record::<TaskRecord>(bytes)?;
        match record.record {
            RECORD_TASK => {
                let frames = usize::try_from(record.frames)
                    .ok()
                    .filter(|n| *n <= MAX_FRAMES)?;
                let (stack, rest) = rest.split_at_checked(frames * size_of::<u64>())?;
                remaining.push(task(&record, stack));
                bytes = rest;
            }
            RECORD_TOTALS => {
                return Some(TaskPass {
                    total: record.tgid,
                    remaining,
                });
            }
            _ => return None,
        }
    }
}

fn task(record: &TaskRecord, stack: &[u8]) -> (Task, Vec<u64>) {
    let comm = text(&record.comm);
    let task = Task {
        tid: record.tid,
        tgid: record.tgid,
        kind: TaskKind::of(u64::from(record.flags), &comm),
        comm,
        evidence: Evidence {
            state: Some(state_letter(record.state)),
            on_cpu: Some(record.on_cpu != 0),
            ..Evidence::default()
        },
    };
    let (addresses, _) = stack.as_chunks::<8>();
    let addresses = addresses.iter().copied().map(u64::from_ne_bytes);
    (task, addresses.collect())
}

/// The letter of ps(1) for `task_struct.__state` (include/linux/sched.h, 5.10
/// to 7.3: the low bits are the same in all; `task_state_array` in
/// fs/proc/array.c). A task that is being woken (`TASK_WAKING`) counts as running, as
/// there.
fn state_letter(state: u32) -> char {
    const NOLOAD: u32 = 0x400;
    const UNINTERRUPTIBLE: u32 = 0x2;
    const RTLOCK_WAIT: u32 = 0x1000;
    const FROZEN: u32 = 0x8000;
    match state {
        0 => 'R',
        state if state & 0x1 != 0 => 'S',
        state if state & UNINTERRUPTIBLE != 0 && state & NOLOAD != 0 => 'I',
        state if state & UNINTERRUPTIBLE != 0 => 'D',
        state if state & 0x4 != 0 => 'T',
        state if state & 0x8 != 0 => 't',
        // Dead, and ended.
        state if state & 0x10 != 0 => 'X',
        state if state & 0x20 != 0 => 'Z',
        // Parked.
        state if state & 0x40 != 0 => 'P',
        // Frozen (from 6.1 on), or waiting for a lock of a real-time kernel.
        state if state & (FROZEN | RTLOCK_WAIT) != 0 => 'D',
        _ => 'R',
    }
}

#[cfg(test)]
mod tests {
    use lpwatch_common::task::PF_KTHREAD;

    use super::*;

    fn bytes(record: u32, tid: u32, tgid: u32, frames: u32, stack: &[u64]) -> Vec<u8> {
        let words = [record, tid, tgid, 0, PF_KTHREAD, 2, 1, frames];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend_from_slice(b"odd\xffname\0\0\0\0\0\0\0\0");
        bytes.extend(stack.iter().flat_map(|address| address.to_ne_bytes()));
        bytes
    }

    #[test]
    fn a_pass_is_decoded() {
        let mut pass = bytes(RECORD_TASK, 7, 6, 2, &[0x10, 0x20]);
        pass.extend(bytes(RECORD_TASK, 8, 8, 0, &[]));
        pass.extend(bytes(RECORD_TOTALS, 2, 90, 0, &[]));
        let look = decode(&pass).unwrap();
        assert_eq!((look.total, look.remaining.len()), (90, 2));
        let (first, stack) = &look.remaining[0];
        let Evidence { state, on_cpu, .. } = first.evidence;
        assert_eq!(
            (first.tid, first.tgid, first.kind),
            (7, 6, TaskKind::Kthread)
        );
        assert_eq!((state, on_cpu), (Some('D'), Some(true)));
        assert_eq!(first.comm, "odd\u{fffd}name");
        assert_eq!(*stack, [0x10, 0x20]);
    }

    #[test]
    fn a_pass_cut_off_is_none() {
        let mut pass = bytes(RECORD_TASK, 7, 6, 2, &[0x10, 0x20]);
        assert_eq!(decode(&pass), None, "no totals");
        pass.truncate(50);
        assert_eq!(decode(&pass), None, "no stack");
        assert_eq!(decode(&bytes(RECORD_TASK, 7, 6, 4000, &[])), None);
        assert_eq!(decode(&[]), None);
    }

    #[test]
    fn states_have_the_letters_of_ps() {
        for (state, letter) in [
            (0, 'R'),
            (1, 'S'),
            (2, 'D'),
            (0x402, 'I'),
            (4, 'T'),
            (0x2001, 'S'),
            (0x20, 'Z'),
            (0x200, 'R'),
            (0x8000, 'D'),
        ] {
            assert_eq!(state_letter(state), letter, "{state:#x}");
        }
    }
}
