//! The objects and functions that a patch names, as this host has them.

use std::collections::BTreeMap;

use crate::{
    kernel::{Roots, patch_file::PatchFile},
    model::calls::FunctionId,
};

/// Facts for the rules `symbol` and `overlap`, and the addresses for the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Where each function to be patched lies, if its object is loaded; empty
    /// for one that is not found.
    pub functions: BTreeMap<FunctionId, Vec<Extent>>,
    /// The kernel hides its addresses.
    pub hidden: bool,
}

/// The bytes of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub begin: u64,
    /// One past the last; the next symbol's address, as kallsyms has no sizes.
    pub end: u64,
}

impl ObjectFacts {
    #[must_use]
    pub fn gather(_roots: &Roots, _patch: &PatchFile, _notes: &mut Vec<String>) -> Self {
        Self::default()
    }
}
