//! One writer at a time per cache folder, across several xtask processes.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};

/// Held while a folder under `target/` is being filled; freed when dropped,
/// also by the kernel if the process dies.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody else holds the lock `name` in `folder`.
    pub fn acquire(folder: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(format!(".{name}.lock"));
        let file =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        file.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self { _file: file })
    }
}
