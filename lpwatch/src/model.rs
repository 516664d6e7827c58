//! The model: pure, without I/O or a clock.
//!
//! [`Model`] takes kernel events, readings of sysfs and samples of the tasks, each
//! as an [`Input`] with its [`Moment`], and produces a [`Snapshot`]. Every rule
//! about phases, progress and outcomes is here and is tested on plain values.

mod advice;
mod blocker;
pub mod calls;
pub mod check;
mod classify;
#[cfg(test)]
mod classify_tests;
pub mod doctor;
pub mod document;
pub mod event;
pub mod evidence;
mod fact;
mod force;
mod frame_symbol;
mod host_facts;
mod input;
pub mod inventory;
pub mod journal;
mod module_refusals;
mod next_steps;
pub mod object_name;
mod operator;
mod phase;
pub mod prediction;
mod refusal;
mod remaining;
pub mod report;
mod running;
#[cfg(test)]
pub(crate) mod samples;
pub mod snapshot;
mod state;
pub mod stops;
mod task_kind;
pub mod task_report;
#[cfg(test)]
mod tests;
mod time;
pub mod totals;
mod transition_summary;
mod view;
pub mod waits;

pub(crate) use advice::{described, in_main_function, owner, stop_command, stop_program};
pub use blocker::{AwaitedChild, Blocker, Cause, Culprit, KernelAnswer, KernelCheck, Reason};
pub use event::{Event, EventKind, EventSource};
pub use fact::ObservedFact;
pub(crate) use frame_symbol::{FrameSymbol, bare};
pub use host_facts::HostFacts;
pub use input::Input;
pub use module_refusals::{ModuleRefusal, ModuleRefusals};
pub use operator::Operator;
pub use phase::{Phase, Thresholds};
pub use refusal::Refusal;
pub use snapshot::Snapshot;
pub use state::Model;
pub use task_kind::TaskKind;
pub use task_report::TaskReport;
pub use time::Moment;
pub use transition_summary::TransitionSummary;
pub use view::{
    Direction, EngineKind, FunctionAddress, OBJECT_UNKNOWN, ObjectView, Outcome, PatchDetails,
    PatchView, SystemView, Task, TaskSample,
};
pub use waits::{CpuHolder, TransitionHold, WaitReason, WaitSample};
