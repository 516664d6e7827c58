//! Whether the kernel requires a signature and the patch has one.

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
    let text = format!("The patch is not signed, but this kernel requires a signature ({name}).");
    CheckFinding {
        evidence,
        remedy: vec![
            "Sign it with a key that the kernel trusts, with scripts/sign-file or kmodsign."
                .to_owned(),
        ],
        ..finding(Severity::Danger, text, Some(errno))
    }
}

fn signed(mut evidence: Vec<String>) -> CheckFinding {
    evidence.push("a signature is appended to the file; only the kernel can verify it".to_owned());
    let text = "This kernel requires a signature. It is unknown whether it trusts this one.";
    CheckFinding {
        evidence,
        remedy: vec![
            "Compare its signer with the kernel's trusted keys: modinfo -F signer FILE && keyctl list %:.builtin_trusted_keys && keyctl list %:.secondary_trusted_keys".to_owned(),
        ],
        ..finding(Severity::Note, text, None)
    }
}

fn not_known(kernel: &KernelFacts) -> CheckFinding {
    let mut evidence = vec!["no signature is appended to the file".to_owned()];
    if kernel.sig_enforce.is_none() {
        evidence.push("module.sig_enforce is unknown".to_owned());
    }
    if kernel.lockdown.is_none() {
        evidence.push("the lockdown state is unknown (is securityfs mounted?)".to_owned());
    }
    let text = "The patch is not signed. It is unknown whether this kernel requires a signature.";
    CheckFinding {
        evidence,
        ..finding(Severity::Note, text, None)
    }
}
