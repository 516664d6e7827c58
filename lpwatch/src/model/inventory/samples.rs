//! Inventories for tests.

use super::{InventoryFunction, InventoryObject, InventoryPatch, PatchStatus};
use crate::model::EngineKind;

/// A function for which it is unknown which code runs.
pub fn function(name: &str) -> InventoryFunction {
    InventoryFunction {
        name: name.to_owned(),
        sympos: 1,
        old_address: None,
        new_address: None,
        wins: None,
        overridden_by: None,
        not_decided: None,
    }
}

/// An enabled patch of these functions of the kernel.
pub fn patch(name: &str, engine: EngineKind, functions: Vec<InventoryFunction>) -> InventoryPatch {
    let objects = if functions.is_empty() {
        Vec::new()
    } else {
        vec![InventoryObject {
            name: "vmlinux".to_owned(),
            refusal: None,
            patched: Some(true),
            functions,
        }]
    };
    InventoryPatch {
        name: name.to_owned(),
        engine,
        module: None,
        vendor: None,
        state: PatchStatus::Enabled,
        transition: None,
        engine_state: None,
        applied_at: None,
        description: None,
        refusal: None,
        replace: None,
        stack_order: None,
        refs: None,
        objects,
        disk: None,
    }
}
