//! The kernel that the patch is built for.

use crate::{
    check::facts::kernel::{KernelFacts, Vermagic},
    kernel::{host::Host, patch_file::PatchFile},
    model::{check::CheckFinding, snapshot::Severity},
};

use super::{ENOEXEC, finding};

pub(super) fn judge(patch: &PatchFile, host: &Host, kernel: &KernelFacts) -> Option<CheckFinding> {
    let Some(magic) = patch.modinfo.vermagic.as_deref() else {
        return Some(without());
    };
    match &kernel.vermagic {
        Some(own) => whole(magic, own),
        None if patch.modinfo.kernel_release() == Some(&host.release) => {
            Some(same_release(magic, &host.release))
        }
        None => Some(other_release(patch, magic, &host.release)),
    }
}

fn without() -> CheckFinding {
    let text = "The patch does not name the kernel that it is built for: the kernel would refuse it (ENOEXEC).";
    CheckFinding {
        evidence: vec!["its .modinfo has no vermagic".to_owned()],
        remedy: vec!["Build it for the running kernel.".to_owned()],
        ..finding(Severity::Danger, text, Some(ENOEXEC))
    }
}

fn whole(magic: &str, own: &Vermagic) -> Option<CheckFinding> {
    let (magic, own_magic) = (magic.trim(), own.text.trim());
    if magic == own_magic {
        return None;
    }
    let evidence = vec![
        format!("the patch: {magic}"),
        format!("this kernel: {own_magic} (from {})", own.file.display()),
    ];
    let (release, options) = split(magic);
    let (own_release, own_options) = split(own_magic);
    if options == own_options && has_versions(options) {
        return Some(versioned(release, own_release, evidence));
    }
    let text = if release == own_release {
        "The patch is built for another configuration of this kernel: the kernel would refuse it (ENOEXEC)."
            .to_owned()
    } else {
        another(release, own_release)
    };
    Some(CheckFinding {
        evidence,
        remedy: remedy(own_release),
        ..finding(Severity::Danger, text, Some(ENOEXEC))
    })
}

/// The release matches, and nothing else could be compared.
fn same_release(magic: &str, own: &str) -> CheckFinding {
    let text = format!(
        "The patch is built for {own}. It is unknown whether the configuration matches, too."
    );
    CheckFinding {
        evidence: by_release(magic, own),
        ..finding(Severity::Note, text, None)
    }
}

fn other_release(patch: &PatchFile, magic: &str, own: &str) -> CheckFinding {
    if own.is_empty() {
        let text = "It is unknown whether the patch is built for this kernel.";
        return CheckFinding {
            evidence: vec![
                format!("the patch: {}", magic.trim()),
                "the kernel's release is unknown".to_owned(),
            ],
            ..finding(Severity::Warning, text, None)
        };
    }
    let built_for = patch.modinfo.kernel_release().unwrap_or_default();
    if has_versions(magic) {
        return versioned(built_for, own, by_release(magic, own));
    }
    CheckFinding {
        evidence: by_release(magic, own),
        remedy: remedy(own),
        ..finding(Severity::Danger, another(built_for, own), Some(ENOEXEC))
    }
}

fn by_release(magic: &str, own: &str) -> Vec<String> {
    vec![
        format!("the patch: {}", magic.trim()),
        format!(
            "this kernel: {own} (only the release was compared: no module file of this kernel was found)"
        ),
    ]
}

/// With symbol versions, the kernel does not compare the release.
fn versioned(release: &str, own: &str, evidence: Vec<String>) -> CheckFinding {
    let text = format!(
        "The patch is built for {release}, but this kernel is {own}. The kernel may accept it anyway, because both have symbol versions."
    );
    CheckFinding {
        evidence,
        remedy: remedy(own),
        ..finding(Severity::Danger, text, None)
    }
}

fn another(release: &str, own: &str) -> String {
    format!(
        "The patch is built for {release}, but this kernel is {own}: the kernel would refuse it (ENOEXEC)."
    )
}

fn remedy(own: &str) -> Vec<String> {
    vec![
        format!("Use the patch that is built for {own}."),
        "Do not force it with insmod -f: its functions are those of another kernel.".to_owned(),
    ]
}

/// The release, and the options that must match.
fn split(magic: &str) -> (&str, &str) {
    magic.split_once(' ').unwrap_or((magic, ""))
}

fn has_versions(magic: &str) -> bool {
    magic
        .split_ascii_whitespace()
        .any(|word| word == "modversions")
}
