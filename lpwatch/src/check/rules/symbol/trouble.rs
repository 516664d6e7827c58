//! What can be wrong with a function, and what is said of it.

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

/// What can be wrong with a function; each makes one finding.
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

/// The finding about these functions, of which each has its line of evidence.
pub(super) fn told(
    trouble: Trouble,
    functions: Vec<(String, String)>,
    objects: &ObjectFacts,
) -> CheckFinding {
    let (names, mut evidence): (Vec<String>, Vec<String>) = functions.into_iter().unzip();
    let mut remedy = remedy(trouble);
    if trouble == Trouble::TraceNotKnown {
        evidence.clone_from(&objects.unread);
        if evidence.is_empty() {
            evidence.push("ftrace lists some functions of the name, and not which".to_owned());
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
            format!("Not in this kernel: {names}; the patch would be refused (EINVAL)."),
        ),
        Trouble::Ambiguous => (
            refused,
            format!("The patch does not say which {names} it means: it would be refused (EINVAL)."),
        ),
        Trouble::TooFew => (
            refused,
            format!(
                "Fewer symbols than the patch counts on: {names}; it would be refused (EINVAL)."
            ),
        ),
        Trouble::Data => (
            refused,
            format!("No function, but data: {names}; the patch would be refused (EINVAL)."),
        ),
        Trouble::UsedMissing => (
            refused,
            format!(
                "The patch's code uses what is not in this kernel: {names}; it would be refused (EINVAL)."
            ),
        ),
        Trouble::UsedAmbiguous => (
            refused,
            format!(
                "The patch does not say which {names} its code uses: it would be refused (EINVAL)."
            ),
        ),
        Trouble::Untraceable => (
            refused,
            format!("Calls cannot be redirected: {names}; the patch would be refused (EINVAL)."),
        ),
        Trouble::TraceNotKnown => (
            (Severity::Warning, None),
            format!("Whether calls can be redirected is not known: {names}."),
        ),
        Trouble::ByPosition => (
            (Severity::Note, None),
            format!(
                "Told apart by position only: {names}; in another build that may be another function."
            ),
        ),
        Trouble::Parts => (
            (Severity::Note, None),
            format!("Parts that the compiler split off stay as they are: {names}."),
        ),
        Trouble::Cold => (
            (Severity::Note, None),
            format!("The kernel does not look for the cold parts on stacks: {names}."),
        ),
    };
    (severity, errno, text)
}

fn remedy(trouble: Trouble) -> &'static [&'static str] {
    match trouble {
        Trouble::Twice => &["Build the patch anew, with each function once."],
        Trouble::Missing
        | Trouble::TooFew
        | Trouble::Data
        | Trouble::UsedMissing
        | Trouble::UsedAmbiguous => {
            &["Use the patch that is built for this kernel, with the same compiler."]
        }
        Trouble::Ambiguous => &["Give its position among the symbols of its name (old_sympos)."],
        Trouble::Untraceable => &[
            "Patch its callers instead: this one is marked notrace, or was built without a place for ftrace.",
        ],
        Trouble::TraceNotKnown => &["Run the check as root, with tracefs mounted."],
        Trouble::ByPosition => &[],
        Trouble::Parts => {
            &["See that the fix does not lie in these parts, or in copies that were inlined."]
        }
        Trouble::Cold => {
            &["A task asleep in one would be taken for one that has left the function."]
        }
    }
}
