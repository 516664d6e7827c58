//! A loaded module with the name of this patch.

use crate::{
    check::{CheckContext, rules::errno::EEXIST},
    kernel::modules::{Build, Likeness},
    model::{check::CheckFinding, snapshot::Severity},
};

use super::finding;

pub(super) fn judge(context: &CheckContext<'_>) -> Option<CheckFinding> {
    let CheckContext { patch, facts, .. } = context;
    let name = &patch.name;
    let mut patches = facts.patches.iter().flatten();
    let is_applied = patches.any(|patch| patch.name == *name);
    let namesake = facts.objects.namesake.as_ref();
    if !is_applied && namesake.is_none() {
        return None;
    }
    let likeness = namesake.map(|build| Build::of_file(patch).compare(build));
    let mut evidence = vec![if is_applied {
        format!("/sys/kernel/livepatch/{name} exists")
    } else {
        format!("/sys/module/{name} exists, but /sys/kernel/livepatch/{name} does not")
    }];
    evidence.extend(match likeness {
        Some(Likeness::Same) => Some("it is the same build as the file".to_owned()),
        Some(Likeness::Different | Likeness::Rebuilt) => {
            Some("it is not the same build as the file".to_owned())
        }
        Some(Likeness::NotKnown) | None => None,
    });
    let (text, first) = if is_applied {
        let text = format!("{name} is already loaded: the kernel would refuse it (EEXIST).");
        let disable =
            format!("To load it anew, disable it: echo 0 > /sys/kernel/livepatch/{name}/enabled");
        (text, Some(disable))
    } else {
        let text = format!(
            "The module {name} is loaded, and its patch is disabled or replaced: the kernel would refuse it (EEXIST)."
        );
        (text, None)
    };
    let unload = format!("Unload the module: rmmod {name}");
    Some(CheckFinding {
        evidence,
        remedy: first.into_iter().chain([unload]).collect(),
        ..finding(Severity::Danger, text, Some(EEXIST))
    })
}
