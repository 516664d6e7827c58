//! What the rules judge by: gathered from a host once, as plain values. What
//! could not be read is `None`, and a note says why.

mod gather;
pub mod hooks;
pub mod kernel;
pub mod objects;
pub mod tasks;

pub use gather::{How, gather};

use crate::{kernel::host::Host, model::PatchView};

/// All facts about a host that matter for one patch.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub host: Host,
    pub kernel: kernel::KernelFacts,
    /// The patches that are loaded; `None` on a kernel without livepatch.
    pub patches: Option<Vec<PatchView>>,
    pub objects: objects::ObjectFacts,
    pub hooks: hooks::HookFacts,
    pub tasks: tasks::TaskFacts,
    /// What could not be looked at, a sentence each.
    pub notes: Vec<String>,
}
