//! The kernel side: loading, attaching and reading the BPF programs.
//!
//! Nothing here knows what the facts mean; [`crate::model`] does.

mod calls;
mod counters_alone;
mod culprits;
mod error;
pub mod heap;
mod hooks;
mod layout;
mod load;
mod loader;
mod map_sizes;
mod mapped;
mod missed;
mod object;
mod patch_walk;
mod plan;
mod policy;
mod programs;
mod readable;
mod records;
mod stops;
mod tasks;
mod types;
mod verdicts;

pub use calls::{CallCount, CallCounter, CallCounters, CountAt, CountKind, may_count_ahead};
pub use counters_alone::{CountersAlone, ProgramIds, program_ids};
pub use culprits::{CulpritFinder, Tracer};
pub use error::ProbeError;
pub use hooks::{BpfLog, EventRing, Hooks};
pub use load::{
    LoadOptions, load_hooks, load_iterator_and_counters, load_task_iterator, raise_limits,
};
pub use patch_walk::LoadedFunction;
pub use plan::{
    FRAMES_MARKER, SHARING_MARKER, hooked_functions, is_built, may_group, planned, sharing,
    stop_functions,
};
pub use programs::{ForeignProgram, Programs, TraceHook};
pub use readable::Readable;
pub use stops::StopRing;
pub use tasks::{TaskFilter, TaskIterator, TaskPass};
