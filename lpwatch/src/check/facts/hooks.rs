//! Who hooks the functions that a patch names.

use crate::{
    kernel::{Roots, patch_file::PatchFile},
    probe::TaskIterator,
};

use super::objects::ObjectFacts;

/// Facts for the rules `tracing_blocks` and `tracing_blind`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookFacts {}

impl HookFacts {
    /// `iterator` is there where BPF is.
    #[must_use]
    pub fn gather(
        _roots: &Roots,
        _patch: &PatchFile,
        _objects: &ObjectFacts,
        _iterator: Option<&mut TaskIterator>,
        _notes: &mut Vec<String>,
    ) -> Self {
        Self::default()
    }
}
