//! Where things are kept: the workspace, and its caches under `target/`.
//!
//! Everything xtask downloads or builds lives below `target/`, so deleting
//! that folder always gives a clean start.

use std::env;
use std::path::{Path, PathBuf};

/// The workspace's own folder.
pub fn workspace() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent()
        .map_or_else(|| here.clone(), Path::to_path_buf)
}

/// A path below `target/`, where all caches are.
pub fn target(below: impl AsRef<Path>) -> PathBuf {
    workspace().join("target").join(below)
}
