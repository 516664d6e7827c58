//! Test modules.
use crate::kernels::Cached;
use anyhow::Result;
use std::path::PathBuf;
pub fn for_kernel(_kernel: &Cached) -> Result<Option<PathBuf>> {
    Ok(None)
}
