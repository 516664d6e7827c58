//! States of loaded patches that this one does not fit.

use crate::{
    check::{
        Ground,
        rules::{
            errno::EINVAL,
            findings::{bounded, listed},
        },
    },
    kernel::patch_file::{PatchFile, PatchState},
    model::{PatchView, check::CheckFinding, snapshot::Severity},
};

use super::finding;

/// How a patch gets along with one state of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Fits,
    /// Known in an older version only.
    Older {
        own: u32,
    },
    /// Not known, which a patch that replaces others may not.
    Missing,
    /// Not known, and it is not known whether it replaces.
    MayBeMissing,
}

impl Fit {
    /// As `klp_is_state_compatible` (kernel/livepatch/state.c): the first state
    /// of an id counts.
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

pub(super) fn judge(ground: &Ground<'_>, others: &[&PatchView]) -> Vec<CheckFinding> {
    let Ground { patch, facts, .. } = ground;
    let (mut refused, mut doubtful) = (Evidence::default(), Evidence::default());
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
                    refused.add(name, format!("{has}, this patch in version {own}"));
                }
                Fit::Missing => {
                    refused.add(
                        name,
                        format!("{has}, this patch replaces it and has no state {id}"),
                    );
                }
                Fit::MayBeMissing => {
                    doubtful.add(name, format!("{has}, this patch has no state {id}"));
                }
            }
        }
    }
    let matters = !patch.states.is_empty() || patch.replace != Some(false);
    let found = [
        refused.told(incompatible),
        doubtful.told(may_be_incompatible),
        (matters && !not_known.is_empty()).then(|| unknown(&not_known)),
    ];
    found.into_iter().flatten().collect()
}

/// The patches a finding is about, and what it rests on.
#[derive(Default)]
struct Evidence<'a> {
    names: Vec<&'a str>,
    lines: Vec<String>,
}

impl<'a> Evidence<'a> {
    fn add(&mut self, name: &'a str, line: String) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        self.lines.push(line);
    }

    fn told(self, finding: impl FnOnce(&str) -> CheckFinding) -> Option<CheckFinding> {
        let Self { names, lines } = self;
        (!lines.is_empty()).then(|| CheckFinding {
            evidence: bounded(lines),
            ..finding(&listed(&names))
        })
    }
}

fn incompatible(names: &str) -> CheckFinding {
    let text = format!(
        "It does not fit the system states of what is loaded ({names}): the kernel would refuse it (EINVAL)."
    );
    CheckFinding {
        remedy: vec![
            "Use a patch that was built to follow these: with each of their states, in the same version or a higher one.".to_owned(),
            "Or remove these first: echo 0 > /sys/kernel/livepatch/PATCH/enabled".to_owned(),
        ],
        ..finding(Severity::Danger, text, Some(EINVAL))
    }
}

fn may_be_incompatible(names: &str) -> CheckFinding {
    let text = format!(
        "If it replaces what is loaded, the kernel would refuse it (EINVAL) for the system states of {names}."
    );
    CheckFinding {
        remedy: vec!["Ask those who built it whether it replaces other patches.".to_owned()],
        ..finding(Severity::Warning, text, None)
    }
}

fn unknown(names: &[&str]) -> CheckFinding {
    let text = format!(
        "Whether it fits the system states of {} is not known.",
        listed(names)
    );
    CheckFinding {
        evidence: vec![
            "sysfs shows no states, and not all of the files of these patches were found and read"
                .to_owned(),
        ],
        remedy: vec![
            "Put the files of the loaded patches beside this one, and check again.".to_owned(),
        ],
        ..finding(Severity::Note, text, None)
    }
}
