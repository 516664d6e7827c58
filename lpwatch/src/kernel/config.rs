//! The kernel's configuration, where it can be read.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;

use super::Roots;

/// A configuration has some 300 KB; a larger file is not one.
const LARGEST: u64 = 16 << 20;

/// The kernel's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelConfig {
    /// The file it was read from.
    pub path: PathBuf,
    /// The values of the options that are set, without `CONFIG_`.
    set: HashMap<String, String>,
}

impl KernelConfig {
    /// Reads the first configuration among `<procfs>/config.gz`
    /// (`CONFIG_IKCONFIG_PROC`), `<procfs>/config` (for recorded trees) and,
    /// when the roots are the running kernel's, `/boot/config-<release>` and
    /// `/lib/modules/<release>/config`.
    #[must_use]
    pub fn read(roots: &Roots, release: &str) -> Option<Self> {
        let mut files = vec![roots.procfs.join("config.gz"), roots.procfs.join("config")];
        if roots.is_live() && !release.contains('/') {
            files.push(PathBuf::from(format!("/boot/config-{release}")));
            files.push(PathBuf::from(format!("/lib/modules/{release}/config")));
        }
        files
            .into_iter()
            .find_map(|path| Self::parse(&text(&path).ok()?, path))
    }

    /// `None` if `text`, read from `path`, is not a kernel configuration.
    #[must_use]
    pub fn parse(text: &[u8], path: PathBuf) -> Option<Self> {
        let mut is_configuration = false;
        let mut set = HashMap::new();
        for line in text.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line.trim_ascii_end());
            is_configuration |= line.starts_with("# CONFIG_");
            if let Some((option, value)) = line
                .strip_prefix("CONFIG_")
                .and_then(|line| line.split_once('='))
            {
                set.insert(option.to_owned(), value.to_owned());
            }
        }
        is_configuration |= !set.is_empty();
        is_configuration.then_some(Self { path, set })
    }

    /// Whether an option (without `CONFIG_`) is built in or a module.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        matches!(self.value(option), Some("y" | "m"))
    }

    /// The value of an option (without `CONFIG_`); `None` where it is not set.
    /// An option that the processor does not have is missing in the file: it is
    /// not set.
    #[must_use]
    pub fn value(&self, option: &str) -> Option<&str> {
        self.set.get(option).map(String::as_str)
    }
}

fn text(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut text = Vec::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(file).take(LARGEST).read_to_end(&mut text)?;
    } else {
        file.take(LARGEST).read_to_end(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
