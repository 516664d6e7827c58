//! `cargo xtask bench size`: how large the program is that is packaged.

use std::fs;

use anyhow::Result;

use super::goal::Goal;
use crate::build::{self, Profile};

/// Builds it, and compares.
pub fn goals() -> Result<Vec<Goal>> {
    let program = build::lpwatch(Profile::Packaged)?;
    Ok(vec![Goal {
        name: "the packaged program, bytes".to_owned(),
        most: 9_000_000,
        value: fs::metadata(program)?.len(),
    }])
}
