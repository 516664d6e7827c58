//! Whether the kernel asks for a signature, and the patch has one.

use crate::{
    check::{facts::kernel::KernelFacts, rules::errno::EKEYREJECTED},
    kernel::patch_file::PatchFile,
    model::{check::CheckFinding, snapshot::Severity},
};

use super::{EPERM, finding};

pub(super) fn judge(patch: &PatchFile, kernel: &KernelFacts) -> Option<CheckFinding> {
    let KernelFacts {
        sig_enforce,
        lockdown,
        ..
    } = kernel;
    let locked = lockdown.as_deref().filter(|level| *level != "none");
    let mut evidence = Vec::new();
    if *sig_enforce == Some(true) {
        evidence.push("module.sig_enforce is on".to_owned());
    }
    evidence.extend(locked.map(|level| format!("the kernel is locked down ({level})")));
    match (patch.signed, *sig_enforce, locked) {
        (true, Some(true), _) | (true, _, Some(_)) => Some(signed(evidence)),
        (true, ..) => None,
        (false, Some(true), _) => Some(unsigned("EKEYREJECTED", EKEYREJECTED, evidence)),
        (false, _, Some(_)) => Some(unsigned("EPERM", EPERM, evidence)),
        (false, Some(false), None) if lockdown.is_some() => None,
        (false, ..) => Some(not_known(kernel)),
    }
}

fn unsigned(name: &str, errno: u32, mut evidence: Vec<String>) -> CheckFinding {
    evidence.push("no signature is appended to the file".to_owned());
    let text = format!("The patch is not signed, and this kernel asks for it ({name}).");
    CheckFinding {
        evidence,
        remedy: vec![
            "Sign it with a key that the kernel trusts: scripts/sign-file, or kmodsign.".to_owned(),
        ],
        ..finding(Severity::Danger, text, Some(errno))
    }
}

fn signed(mut evidence: Vec<String>) -> CheckFinding {
    evidence.push("a signature is appended to the file; only the kernel can verify it".to_owned());
    let text = "This kernel asks for a signature: whether it trusts this one is not known.";
    CheckFinding {
        evidence,
        remedy: vec![
            "Compare who signed it (modinfo -F signer FILE) with the kernel's keys (keyctl list %:.builtin_trusted_keys; keyctl list %:.secondary_trusted_keys).".to_owned(),
        ],
        ..finding(Severity::Note, text, None)
    }
}

fn not_known(kernel: &KernelFacts) -> CheckFinding {
    let mut evidence = vec!["no signature is appended to the file".to_owned()];
    if kernel.sig_enforce.is_none() {
        evidence.push("module.sig_enforce is not known".to_owned());
    }
    if kernel.lockdown.is_none() {
        evidence.push("the lockdown is not known (is securityfs mounted?)".to_owned());
    }
    let text = "The patch is not signed, and whether this kernel asks for it is not known.";
    CheckFinding {
        evidence,
        ..finding(Severity::Note, text, None)
    }
}
