//! `KernelCare`: its kernel module, what it shows in `<procfs>/kcare`, and its
//! files.
//!
//! It has no sysfs of its own and reports neither its patches nor its progress:
//! - `<sysfs>/module/kcare`: its module is loaded (the name is not documented);
//! - `<procfs>/kcare/effective_version`: the kernel version in force;
//! - `<procfs>/kcare/cvelist`: a CVE a line;
//! - `/var/cache/kcare`, `/etc/sysconfig/kcare/kcare.conf` (`KEY=value`).
//!
//! Source: `TuxCare`'s documentation of `KernelCare` Enterprise and `SimplePatch`
//! (`live-patching-services`: vulnerability scanners, `kcarectl`, `kcare.conf`).

use std::path::Path;

use super::files::{FileReader, host_root};
use super::{ReadError, Roots, modules};

const REMEDY: &str = "run as root";
const MODULE: &str = "kcare";

/// Its tool, at its documented place.
pub const KCARECTL: &str = "usr/bin/kcarectl";

/// What the host shows of `KernelCare`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCareFiles {
    /// Its module is loaded, or its files are in procfs: it can patch.
    pub active: bool,
    /// `None` if unknown.
    pub effective_version: Option<String>,
    /// CVEs that are fixed in the running kernel; `None` if unknown.
    pub cves: Option<Vec<String>>,
    /// How it applies patches, as configured: `normal`, `nofreeze` or `smart`.
    pub patch_method: Option<String>,
    /// Whether it updates by itself, as configured.
    pub auto_update: Option<bool>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
}

/// Reads what exists; `None` if neither its module nor its files exist.
///
/// # Errors
/// The root does not exist.
pub fn read(roots: &Roots) -> Result<Option<KernelCareFiles>, ReadError> {
    super::files::list_system(&roots.sysfs, &roots.sysfs, REMEDY)?;
    let folder = roots.procfs.join("kcare");
    let active = modules::is_loaded(roots, MODULE) == Some(true) || folder.is_dir();
    let root = host_root(roots);
    let installed = root.as_ref().is_some_and(|root| is_installed(root));
    if !active && !installed {
        return Ok(None);
    }
    let mut care = KernelCareFiles {
        active,
        ..KernelCareFiles::default()
    };
    let mut reader = FileReader {
        remedy: REMEDY,
        notes: &mut care.notes,
    };
    care.effective_version = reader.word(&folder.join("effective_version"));
    care.cves = reader.text(&folder.join("cvelist")).map(|text| cves(&text));
    if let Some(root) = root {
        let file = root.join("etc/sysconfig/kcare/kcare.conf");
        let text = reader.text(&file).unwrap_or_default();
        care.patch_method = value(&text, "PATCH_METHOD");
        care.auto_update = value(&text, "AUTO_UPDATE").and_then(|word| truth(&word));
    }
    Ok(Some(care))
}

fn is_installed(root: &Path) -> bool {
    root.join(KCARECTL).exists() || root.join("var/cache/kcare").is_dir()
}

/// The CVEs in a text, in its order, each once.
#[must_use]
pub fn cves(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
    for word in words {
        let word = word.to_ascii_uppercase();
        if is_cve(&word) && !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

/// `CVE-2021-3656`: a year, and four digits or more.
fn is_cve(word: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    word.strip_prefix("CVE-")
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(year, number)| {
            year.len() == 4 && digits(year) && number.len() >= 4 && digits(number)
        })
}

/// The last value of a key; the file is read as a shell would.
fn value(text: &str, key: &str) -> Option<String> {
    let lines = text.lines().rev().map(str::trim);
    let mut values = lines.filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    });
    values.next().filter(|value| !value.is_empty())
}

fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// The exit code of `kcarectl --status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KcarectlStatus {
    /// 0: the latest patches are applied.
    Latest,
    /// 1: none are applied.
    NothingApplied,
    /// 2: newer ones are available.
    NewerWait,
    /// 3: this kernel is not supported.
    Unsupported,
}

impl KcarectlStatus {
    /// `None` for another code.
    #[must_use]
    pub fn of(code: i32) -> Option<Self> {
        Some(match code {
            0 => Self::Latest,
            1 => Self::NothingApplied,
            2 => Self::NewerWait,
            3 => Self::Unsupported,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::files::tests::FakeHost;

    #[test]
    fn what_it_shows_is_read() {
        let host = FakeHost::new(&[
            ("sys/module/kcare/initstate", "live\n"),
            ("proc/kcare/effective_version", "5.8.0-63.71\n"),
            ("proc/kcare/cvelist", "CVE-2020-25705\nCVE-2021-3656\n"),
            (
                "etc/sysconfig/kcare/kcare.conf",
                "# PATCH_METHOD=normal\nPATCH_METHOD = \"smart\"\nAUTO_UPDATE=False\n",
            ),
        ]);
        assert_eq!(
            read(&host.roots).unwrap(),
            Some(KernelCareFiles {
                active: true,
                effective_version: Some("5.8.0-63.71".to_owned()),
                cves: Some(vec![
                    "CVE-2020-25705".to_owned(),
                    "CVE-2021-3656".to_owned()
                ]),
                patch_method: Some("smart".to_owned()),
                auto_update: Some(false),
                notes: Vec::new(),
            })
        );
    }

    #[test]
    fn it_is_there_by_its_module_its_files_or_its_tool() {
        let read = |files: &[(&str, &str)]| read(&FakeHost::new(files).roots).unwrap();
        assert_eq!(read(&[("sys/module/ext4/initstate", "live\n")]), None);
        let loaded = read(&[("sys/module/kcare/initstate", "live\n")]).unwrap();
        assert_eq!((loaded.active, loaded.cves), (true, None));
        let shown = read(&[("proc/kcare/cvelist", "")]).unwrap();
        assert_eq!((shown.active, shown.cves), (true, Some(Vec::new())));
        let installed = read(&[("usr/bin/kcarectl", "")]).unwrap();
        assert!(!installed.active);
    }

    #[test]
    fn odd_and_long_lists_are_read_as_far_as_they_make_sense() {
        let many: Vec<String> = (1000..2000)
            .map(|number| format!("CVE-2021-{number}"))
            .collect();
        let many = many.join("\n");
        let host = FakeHost::new(&[
            ("proc/kcare/cvelist", &format!("{many}\nCVE-2021-")),
            ("proc/kcare/effective_version", "\n"),
            (
                "etc/sysconfig/kcare/kcare.conf",
                "AUTO_UPDATE=perhaps\nPATCH_METH",
            ),
        ]);
        let care = read(&host.roots).unwrap().unwrap();
        assert_eq!(care.cves.unwrap().len(), 1000);
        assert_eq!(care.effective_version, None);
        assert_eq!((care.auto_update, care.patch_method), (None, None));
    }

    #[test]
    fn only_cves_are_taken_for_some() {
        let text = "cve-2021-3656,CVE-2021-3656 (CVE-2014-12345) CVE-21-1 CVE-2021-12 XCVE-2021-1111\nCVE-2021";
        assert_eq!(cves(text), ["CVE-2021-3656", "CVE-2014-12345"]);
    }

    #[test]
    fn exit_codes_are_distinguished() {
        assert_eq!(KcarectlStatus::of(2), Some(KcarectlStatus::NewerWait));
        assert_eq!(KcarectlStatus::of(127), None);
    }
}
