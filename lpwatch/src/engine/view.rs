//! What a patching system shows at one moment.

use crate::model::{Direction, EngineKind, PatchView, TaskOnOldCode};

/// All that one system shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineView {
    pub kind: EngineKind,
    pub patches: Vec<LoadedPatch>,
    /// What could not be read, a sentence each.
    pub notes: Vec<String>,
    /// The kernel that is in force with what is patched, where the kernel shows
    /// it.
    pub effective_kernel: Option<String>,
    /// CVEs that the system says are fixed; `None` where it does not say.
    pub cves: Option<Vec<String>>,
}

impl EngineView {
    pub(super) fn new(kind: EngineKind) -> Self {
        Self {
            kind,
            patches: Vec::new(),
            notes: Vec::new(),
            effective_kernel: None,
            cves: None,
        }
    }
}

/// A loaded patch: what all systems tell, and what only some do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedPatch {
    pub view: PatchView,
    /// Which way it goes, in a transition.
    pub direction: Option<Direction>,
    /// The system's own word for how it stands.
    pub state: Option<String>,
    /// Why the system last refused to apply or reverse it.
    pub refusal: Option<Refusal>,
    /// Its module, where that has another name.
    pub module: Option<String>,
    /// What it is for, in its maker's words.
    pub description: Option<String>,
    /// Where old and new functions begin; empty where that is not told.
    pub addresses: Vec<FunctionAddress>,
    /// How many patches must be reverted before it, where that matters.
    pub refs: Option<u32>,
}

impl LoadedPatch {
    /// What the model is told of it.
    #[must_use]
    pub fn for_model(&self) -> PatchView {
        let why = |refusal: &Refusal| format!("{}: {}", refusal.cause, refusal.meaning);
        PatchView {
            told_direction: self.direction,
            failure: self.refusal.as_ref().map(why),
            ..self.view.clone()
        }
    }

    /// A patch of which only this is known.
    pub(super) fn of(view: PatchView) -> Self {
        Self {
            direction: view.in_transition.then(|| view.direction()),
            view,
            state: None,
            refusal: None,
            module: None,
            description: None,
            addresses: Vec::new(),
            refs: None,
        }
    }
}

/// That a system gave a patch up, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The system's own word, e.g. `code_busy`.
    pub cause: String,
    /// The same as a clause, e.g. "a symbol it needs was not found".
    pub meaning: String,
}

/// Where a patched function begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionAddress {
    pub object: String,
    pub name: String,
    pub sympos: u32,
    pub old: Option<u64>,
    pub new: Option<u64>,
}

/// The tasks that hold a transition up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// By tid.
    pub tasks: Vec<LeftTask>,
    /// Tasks there are, as far as the system tells which are left.
    pub total: Option<u32>,
    /// What could not be read or is not sure, a sentence each.
    pub notes: Vec<String>,
}

/// A task that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftTask {
    pub task: TaskOnOldCode,
    /// Functions of the patch that the system found on its stack.
    pub functions: Vec<String>,
}

/// The object of a function where the system does not tell it.
pub const OBJECT_NOT_TOLD: &str = "not told";
