//! Whether the states of this patch are compatible with those of loaded patches.

use crate::{
    check::{
        CheckContext,
        rules::{
            errno::EINVAL,
            findings::{bounded, listed},
        },
    },
    kernel::patch_file::{PatchFile, PatchState},
    model::{PatchView, check::CheckFinding, snapshot::Severity},
};

use super::finding;

/// Whether a patch is compatible with one state of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Fits,
    /// It has the state in an older version.
    Older {
        own: u32,
    },
    /// It lacks the state, which a patch with `replace` must have.
    Missing,
    /// It lacks the state, and it is unknown whether it replaces.
    MayBeMissing,
}

impl Fit {
    /// The rule of `klp_is_state_compatible` (kernel/livepatch/state.c): the
    /// first state with an id counts.
    fn of(patch: &PatchFile, old: PatchState) -> Self {
        let own = patch.states.iter().find(|state| state.id == old.id);
        match (own, patch.replace) {
            (Some(own), _) if own.version >= old.version => Self::Fits,
            (Some(own), _) => Self::Older { own: own.version },
            (None, Some(false)) => Self::Fits,
            (None, Some(true)) => Self::Missing,
            (None, None) => Self::MayBeMissing,
        }
    }
}

pub(super) fn judge(context: &CheckContext<'_>, others: &[&PatchView]) -> Vec<CheckFinding> {
    let CheckContext { patch, facts, .. } = context;
    let (mut refused, mut doubtful) = (FindingParts::default(), FindingParts::default());
    let mut not_known = Vec::new();
    for other in others {
        let name = other.name.as_str();
        let file = facts.objects.patch_files.get(name);
        if file.is_none_or(|file| !file.unread.is_empty()) {
            not_known.push(name);
        }
        for old in file.into_iter().flat_map(|file| &file.states) {
            let PatchState { id, version } = old;
            let has = format!("{name} has state {id} in version {version}");
            match Fit::of(patch, *old) {
                Fit::Fits => {}
                Fit::Older { own } => {
                    refused.add(name, format!("{has}; this patch has version {own}"));
                }
                Fit::Missing => {
                    refused.add(
                        name,
                        format!("{has}; this patch replaces it and has no state {id}"),
                    );
                }
                Fit::MayBeMissing => {
                    doubtful.add(name, format!("{has}; this patch has no state {id}"));
                }
            }
        }
    }
    let matters = !patch.states.is_empty() || patch.replace != Some(false);
    let found = [
        refused.into_finding(incompatible),
        doubtful.into_finding(may_be_incompatible),
        (matters && !not_known.is_empty()).then(|| unknown(&not_known)),
    ];
    found.into_iter().flatten().collect()
}

/// The patches of a finding and its evidence.
#[derive(Default)]
struct FindingParts<'a> {
    names: Vec<&'a str>,
    lines: Vec<String>,
}

impl<'a> FindingParts<'a> {
    fn add(&mut self, name: &'a str, line: String) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        self.lines.push(line);
    }

    fn into_finding(self, finding: impl FnOnce(&str) -> CheckFinding) -> Option<CheckFinding> {
        let Self { names, lines } = self;
        (!lines.is_empty()).then(|| CheckFinding {
            evidence: bounded(lines),
            ..finding(&listed(&names))
        })
    }
}

fn incompatible(names: &str) -> CheckFinding {
    let text = format!(
        "The patch is incompatible with the system states of loaded patches ({names}): the kernel would refuse it (EINVAL)."
    );
    CheckFinding {
        remedy: vec![
            "Use a patch that has each of their states in the same or a higher version.".to_owned(),
            "Or disable these patches first: echo 0 > /sys/kernel/livepatch/PATCH/enabled"
                .to_owned(),
        ],
        ..finding(Severity::Danger, text, Some(EINVAL))
    }
}

fn may_be_incompatible(names: &str) -> CheckFinding {
    let text = format!(
        "If the patch replaces the loaded patches, the kernel would refuse it (EINVAL) because of the system states of {names}."
    );
    CheckFinding {
        remedy: vec!["Ask the patch's vendor whether it replaces other patches.".to_owned()],
        ..finding(Severity::Warning, text, None)
    }
}

fn unknown(names: &[&str]) -> CheckFinding {
    let text = format!(
        "It is unknown whether the patch is compatible with the system states of {}.",
        listed(names)
    );
    CheckFinding {
        evidence: vec![
            "sysfs shows no states, and the files of these patches were not all found and read"
                .to_owned(),
        ],
        remedy: vec![
            "Put the files of the loaded patches into the folder of this one, and check again."
                .to_owned(),
        ],
        ..finding(Severity::Note, text, None)
    }
}
