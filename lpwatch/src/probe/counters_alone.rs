//! The counters alone, without the hooks on livepatch, for trying them out.

use std::{collections::BTreeSet, time::Duration};

use aya::programs::loaded_programs;

use crate::kernel::Roots;

use super::{
    CallCounters, CountAt, ProbeError, TaskIterator,
    layout::Layout,
    load::{COUNTERS_ALONE, LoadOptions, load_object, task_iterator},
    types::{function_types, kernel_types},
};

/// The prefix of the names of the counters' programs.
const COUNTERS: &str = "count_";

/// The counters, loaded and not attached. Dropping them unloads everything.
pub struct CountersAlone {
    counters: CallCounters,
    iterator: TaskIterator,
    roots: Roots,
}

impl CountersAlone {
    /// Loads the counters. No hook is attached.
    ///
    /// # Errors
    /// [`ProbeError`] says what is missing on this host.
    pub fn load(roots: &Roots) -> Result<Self, ProbeError> {
        let types = kernel_types(roots)?;
        let layout = Layout::of_tasks(&types.for_layout)?;
        let mut bpf = load_object(
            &types.for_loading,
            &layout,
            &LoadOptions::default(),
            COUNTERS_ALONE,
        )?;
        task_iterator(&mut bpf, &types.for_loading)?;
        let counters = CallCounters::new(&mut bpf, false, false)?;
        Ok(Self {
            counters,
            iterator: TaskIterator::new(bpf, None, false)?,
            roots: roots.clone(),
        })
    }

    /// Counts the calls of a function while `during` runs. Returns the result
    /// of `during`, and the calls by any task.
    ///
    /// # Errors
    /// [`ProbeError`] if the counter cannot be attached or read. It is detached
    /// in any case.
    pub fn count<T>(
        &mut self,
        at: &CountAt,
        during: impl FnOnce() -> T,
    ) -> Result<(T, u64), ProbeError> {
        let Self {
            counters,
            iterator,
            roots,
        } = self;
        let types = function_types(roots, [at.symbol.as_str()])?;
        let counter = counters.attach(iterator, at, Some(&types), Duration::ZERO)?;
        let done = during();
        let counted = counters.read(&counter);
        counters.detach(counter);
        Ok((done, counted.all()))
    }
}

/// Ids of BPF programs.
pub type ProgramIds = BTreeSet<u32>;

/// The counters' programs in the kernel now, whoever loaded them; `None` where
/// they cannot be listed (that takes `CAP_SYS_ADMIN`).
#[must_use]
pub fn program_ids() -> Option<ProgramIds> {
    let mut ids = ProgramIds::new();
    for program in loaded_programs() {
        let program = match program {
            Ok(program) => program,
            // A program may be unloaded between its listing and its opening.
            Err(error) if is_gone(&error) => continue,
            Err(error) => {
                tracing::debug!(%error, "programs cannot be listed");
                return None;
            }
        };
        if program
            .name_as_str()
            .is_some_and(|name| name.starts_with(COUNTERS))
        {
            ids.insert(program.id());
        }
    }
    Some(ids)
}

fn is_gone(error: &aya::programs::ProgramError) -> bool {
    match error {
        aya::programs::ProgramError::SyscallError(error) => {
            error.io_error.kind() == std::io::ErrorKind::NotFound
        }
        _ => false,
    }
}
