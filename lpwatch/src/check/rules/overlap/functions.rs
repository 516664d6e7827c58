//! Functions that other patches change, too.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    check::{
        CheckContext,
        facts::objects::function_id,
        rules::findings::{bounded, display, listed},
    },
    kernel::patch_file::PatchFile,
    model::{PatchView, calls::FunctionId, check::CheckFinding, snapshot::Severity},
};

use super::finding;

/// The names of the patches that change each function.
type PatchesByFunction<'a> = BTreeMap<FunctionId, Vec<&'a str>>;

pub(super) fn judge(context: &CheckContext<'_>, others: &[&PatchView]) -> Vec<CheckFinding> {
    if others.is_empty() {
        return Vec::new();
    }
    let own = own(context.patch);
    let (shared, left): (PatchesByFunction<'_>, PatchesByFunction<'_>) = owners(others)
        .into_iter()
        .partition(|(id, _)| own.contains(id));
    let names: Vec<&str> = others.iter().map(|patch| patch.name.as_str()).collect();
    let names = listed(&names);
    let mut found = Vec::new();
    match context.patch.replace {
        Some(true) => {
            found.push(replaced(&names, &shared));
            found.extend(taken_back(&left));
        }
        Some(false) => found.extend(on_top(&shared, Severity::Warning, others)),
        None => {
            found.extend(on_top(&shared, Severity::Note, others));
            found.extend(may_be_taken_back(&names, &left));
        }
    }
    found
}

/// For a loaded patch: the patches above it in the stack.
pub(super) fn above(context: &CheckContext<'_>, others: &[&PatchView]) -> Option<CheckFinding> {
    let own = own(context.patch);
    let mut patches = context.facts.patches.iter().flatten();
    let patch = patches.find(|patch| patch.name == context.patch.name)?;
    let shared = |others: &[&PatchView]| -> Vec<String> {
        let shared = owners(others).into_iter();
        shared
            .filter(|(id, _)| own.contains(id))
            .map(|(id, names)| format!("{} is patched by {}, too", display(&id), names.join(", ")))
            .collect()
    };
    let (mut higher, mut unknown) = (Vec::new(), Vec::new());
    for other in others {
        match other.stack_order.zip(patch.stack_order) {
            Some((other_order, own_order)) if other_order > own_order => higher.push(*other),
            Some(_) => {}
            None => unknown.push(*other),
        }
    }
    let covered = shared(&higher);
    if !covered.is_empty() {
        let text = format!(
            "Not all code of {} runs: newer patches change the same functions.",
            patch.name
        );
        return Some(CheckFinding {
            evidence: bounded(covered),
            remedy: vec!["Make sure that the newer patches contain its fixes.".to_owned()],
            ..finding(Severity::Warning, text, None)
        });
    }
    let shared = shared(&unknown);
    let text = format!(
        "It is unknown whether all code of {} runs: other patches change the same functions.",
        patch.name
    );
    (!shared.is_empty()).then(|| CheckFinding {
        evidence: bounded(shared),
        remedy: vec![
            "This kernel does not show the order of the patches. Find out in which order they were loaded."
                .to_owned(),
        ],
        ..finding(Severity::Note, text, None)
    })
}

fn own(patch: &PatchFile) -> BTreeSet<FunctionId> {
    let objects = patch.objects.iter();
    let own = objects.flat_map(|object| {
        let functions = object.functions.iter();
        functions.map(|function| function_id(&object.name, function))
    });
    own.collect()
}

/// The patches of each function, in stack order if that is known.
fn owners<'a>(patches: &[&'a PatchView]) -> PatchesByFunction<'a> {
    let mut sorted = patches.to_vec();
    sorted.sort_by_key(|patch| patch.stack_order);
    let mut owners = PatchesByFunction::new();
    for patch in sorted {
        for id in patch.function_ids() {
            owners.entry(id).or_default().push(&patch.name);
        }
    }
    owners
}

fn replaced(names: &str, shared: &PatchesByFunction<'_>) -> CheckFinding {
    let text = format!("The patch replaces all loaded patches: {names}.");
    let kept = shared.iter();
    let kept = kept.map(|(id, names)| {
        let by = names.join(", ");
        format!("{}: its code replaces that of {by}", display(id))
    });
    let mut evidence = vec!["the patch is marked `replace`".to_owned()];
    evidence.extend(bounded(kept.collect()));
    CheckFinding {
        evidence,
        ..finding(Severity::Note, text, None)
    }
}

fn taken_back(left: &PatchesByFunction<'_>) -> Option<CheckFinding> {
    let names: Vec<String> = left.keys().map(display).collect();
    let text = format!("Functions return to the original code: {}.", listed(&names));
    (!left.is_empty()).then(|| CheckFinding {
        evidence: bounded(lines(left)),
        remedy: vec!["If these fixes are still needed, use a patch that contains them.".to_owned()],
        ..finding(Severity::Warning, text, None)
    })
}

fn may_be_taken_back(patches: &str, left: &PatchesByFunction<'_>) -> Option<CheckFinding> {
    let names: Vec<String> = left.keys().map(display).collect();
    let text = format!(
        "It is unknown whether the patch replaces the loaded patches ({patches}). If it does, functions return to the original code: {}.",
        listed(&names)
    );
    (!left.is_empty()).then(|| CheckFinding {
        evidence: bounded(lines(left)),
        remedy: vec!["Ask the patch's vendor. Patches of kpatch-build replace all others, unless built with --non-replace.".to_owned()],
        ..finding(Severity::Warning, text, None)
    })
}

fn lines(left: &PatchesByFunction<'_>) -> Vec<String> {
    let lines = left.iter();
    lines
        .map(|(id, names)| {
            format!(
                "{} is patched by {}, but not by this patch",
                display(id),
                names.join(", ")
            )
        })
        .collect()
}

fn on_top(
    shared: &PatchesByFunction<'_>,
    severity: Severity,
    others: &[&PatchView],
) -> Option<CheckFinding> {
    if shared.is_empty() {
        return None;
    }
    let functions: Vec<String> = shared.keys().map(display).collect();
    let text = format!(
        "Already patched: {}. The code of this patch would run instead, because it is loaded last.",
        listed(&functions)
    );
    let is_ordered = others.iter().all(|patch| patch.stack_order.is_some());
    let lines = shared.iter().map(|(id, names)| {
        let function = display(id);
        match names.as_slice() {
            [only] => format!("{function} is patched by {only}"),
            [.., last] if is_ordered => {
                format!(
                    "{function} is patched by {}; {last} runs now",
                    names.join(", ")
                )
            }
            names => format!("{function} is patched by {}", names.join(", ")),
        }
    });
    Some(CheckFinding {
        evidence: bounded(lines.collect()),
        remedy: vec![
            "Make sure that this patch contains the earlier fixes of these functions.".to_owned(),
        ],
        ..finding(severity, text, None)
    })
}
