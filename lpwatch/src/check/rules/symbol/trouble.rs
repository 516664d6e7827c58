//! The possible problems of a function and their findings.

use crate::{
    check::{
        facts::objects::ObjectFacts,
        rules::{
            errno::{EEXIST, EINVAL},
            findings::{bounded, listed},
        },
    },
    model::{check::CheckFinding, snapshot::Severity},
};

use super::finding;

/// A problem of a function; each kind makes one finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Twice,
    Missing,
    Ambiguous,
    TooFew,
    Data,
    UsedMissing,
    UsedAmbiguous,
    Untraceable,
    TraceNotKnown,
    ByPosition,
    Parts,
    Cold,
}

/// The finding about these functions; each has its line of evidence.
pub(super) fn finding_of(
    trouble: Trouble,
    functions: Vec<(String, String)>,
    objects: &ObjectFacts,
) -> CheckFinding {
    let (names, mut evidence): (Vec<String>, Vec<String>) = functions.into_iter().unzip();
    let mut remedy = remedy(trouble);
    if trouble == Trouble::TraceNotKnown {
        evidence.clone_from(&objects.unread);
        if evidence.is_empty() {
            evidence.push("ftrace lists some functions of the name, but not which ones".to_owned());
            remedy = &["Load it on a test host with this kernel first."];
        }
    }
    let (severity, errno, text) = sentence(trouble, &listed(&names));
    CheckFinding {
        evidence: bounded(evidence),
        remedy: remedy.iter().map(|line| (*line).to_owned()).collect(),
        ..finding(severity, text, errno)
    }
}

fn sentence(trouble: Trouble, names: &str) -> (Severity, Option<u32>, String) {
    let refused = (Severity::Danger, Some(EINVAL));
    let ((severity, errno), text) = match trouble {
        Trouble::Twice => (
            (Severity::Danger, Some(EEXIST)),
            format!("The patch names {names} more than once: the kernel would refuse it (EEXIST)."),
        ),
        Trouble::Missing => (
            refused,
            format!("Not in this kernel: {names}. The kernel would refuse the patch (EINVAL)."),
        ),
        Trouble::Ambiguous => (
            refused,
            format!(
                "The patch does not say which {names} it means: the kernel would refuse it (EINVAL)."
            ),
        ),
        Trouble::TooFew => (
            refused,
            format!(
                "Fewer symbols than the patch expects: {names}. The kernel would refuse it (EINVAL)."
            ),
        ),
        Trouble::Data => (
            refused,
            format!("Data, not a function: {names}. The kernel would refuse the patch (EINVAL)."),
        ),
        Trouble::UsedMissing => (
            refused,
            format!(
                "The patch's code uses symbols that are not in this kernel: {names}. The kernel would refuse it (EINVAL)."
            ),
        ),
        Trouble::UsedAmbiguous => (
            refused,
            format!(
                "The patch does not say which {names} its code uses: the kernel would refuse it (EINVAL)."
            ),
        ),
        Trouble::Untraceable => (
            refused,
            format!(
                "Calls cannot be redirected: {names}. The kernel would refuse the patch (EINVAL)."
            ),
        ),
        Trouble::TraceNotKnown => (
            (Severity::Warning, None),
            format!("It is unknown whether calls can be redirected: {names}."),
        ),
        Trouble::ByPosition => (
            (Severity::Note, None),
            format!(
                "Identified by sympos only: {names}. In another build the same sympos may mean another function."
            ),
        ),
        Trouble::Parts => (
            (Severity::Note, None),
            format!("Parts that the compiler split off are not patched: {names}."),
        ),
        Trouble::Cold => (
            (Severity::Note, None),
            format!("The kernel does not search stacks for the cold parts: {names}."),
        ),
    };
    (severity, errno, text)
}

fn remedy(trouble: Trouble) -> &'static [&'static str] {
    match trouble {
        Trouble::Twice => &["Rebuild the patch with each function once."],
        Trouble::Missing
        | Trouble::TooFew
        | Trouble::Data
        | Trouble::UsedMissing
        | Trouble::UsedAmbiguous => {
            &["Use the patch that is built for this kernel, with the same compiler."]
        }
        Trouble::Ambiguous => &["Set its position among the symbols of its name (old_sympos)."],
        Trouble::Untraceable => &[
            "Patch its callers instead. This function is notrace or was built without an ftrace entry.",
        ],
        Trouble::TraceNotKnown => &[
            "Run the check as root and with tracefs mounted. A kernel with lockdown=confidentiality \
             closes tracefs to everyone.",
        ],
        Trouble::ByPosition => &[],
        Trouble::Parts => &["Make sure that the fix is not in these parts or in inlined copies."],
        Trouble::Cold => {
            &["The kernel treats a task asleep in a cold part as outside the function."]
        }
    }
}
