//! Looks up each function to be patched in the kernel's symbols.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    check::{
        CheckContext,
        facts::objects::{ObjectFacts, SymbolFacts, function_id},
        rules::findings::{display, listed},
    },
    kernel::{kallsyms::VMLINUX, modules::Presence, patch_file::PatchFile},
    model::{calls::FunctionId, check::CheckFinding, snapshot::Severity},
};

use super::{
    finding,
    trouble::{Trouble, finding_of},
};

pub(super) fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    let CheckContext { patch, facts, .. } = context;
    let objects = &facts.objects;
    let mut troubles = repeated(patch);
    let not_known = match &objects.symbols {
        Some(symbols) => {
            collect(patch, objects, symbols, &mut troubles);
            None
        }
        None => not_known(patch, objects),
    };
    let found = troubles.into_iter();
    let found = found.map(|(trouble, functions)| finding_of(trouble, functions, objects));
    found.chain(not_known).collect()
}

fn not_known(patch: &PatchFile, objects: &ObjectFacts) -> Option<CheckFinding> {
    let text = "It is unknown whether the functions exist.";
    let has_functions = patch
        .objects
        .iter()
        .any(|object| !object.functions.is_empty());
    has_functions.then(|| CheckFinding {
        evidence: objects.unread.clone(),
        remedy: vec!["Run the check as root and outside a sandbox.".to_owned()],
        ..finding(Severity::Warning, text, None)
    })
}

/// The functions with a problem, with one line of evidence each.
type Troubles = BTreeMap<Trouble, Vec<(String, String)>>;

/// Functions that the patch names more than once.
fn repeated(patch: &PatchFile) -> Troubles {
    let mut seen = BTreeSet::new();
    let mut troubles = Troubles::new();
    for object in &patch.objects {
        for function in &object.functions {
            let id = function_id(&object.name, function);
            let name = display(&id);
            if seen.contains(&id) {
                let line = format!("{name},{} is listed more than once", id.sympos);
                troubles
                    .entry(Trouble::Twice)
                    .or_default()
                    .push((name, line));
            }
            seen.insert(id);
        }
    }
    troubles
}

fn collect(
    patch: &PatchFile,
    objects: &ObjectFacts,
    symbols: &BTreeMap<FunctionId, SymbolFacts>,
    troubles: &mut Troubles,
) {
    let own: BTreeSet<&FunctionId> = symbols.keys().collect();
    for object in &patch.objects {
        let presence = objects
            .modules
            .get(&object.name)
            .map(|facts| facts.presence);
        // An object that is not loaded has no symbols yet.
        if object.name != VMLINUX && presence != Some(Some(Presence::Loaded)) {
            continue;
        }
        for function in &object.functions {
            let id = function_id(&object.name, function);
            let Some(facts) = symbols.get(&id) else {
                continue;
            };
            for (trouble, line) in wrong(&id, function.sympos, facts, &own) {
                troubles
                    .entry(trouble)
                    .or_default()
                    .push((display(&id), line));
            }
        }
    }
}

/// The problems of one function, with their evidence.
fn wrong(
    id: &FunctionId,
    sympos: u32,
    facts: &SymbolFacts,
    own: &BTreeSet<&FunctionId>,
) -> Vec<(Trouble, String)> {
    let name = display(id);
    let SymbolFacts {
        count,
        is_code,
        parts,
        traceable,
    } = facts;
    let mut found = Vec::new();
    match (*count, sympos) {
        (0, _) if parts.is_empty() => {
            found.push((Trouble::Missing, format!("/proc/kallsyms has no {name}")));
        }
        (0, _) => {
            let line = format!("/proc/kallsyms has no {name}, only {}", listed(parts));
            found.push((Trouble::Missing, line));
        }
        (count, 0) if count > 1 => {
            let line =
                format!("there are {count} symbols {name}, and the patch does not select one");
            found.push((Trouble::Ambiguous, line));
        }
        (count, sympos) if sympos > count => {
            let line = format!(
                "the patch selects symbol {sympos} named {name}, but there are only {count}"
            );
            found.push((Trouble::TooFew, line));
        }
        _ if !is_code => found.push((Trouble::Data, format!("{name} is data"))),
        (count, sympos) => {
            found.extend(match traceable {
                Some(true) => None,
                Some(false) => Some((
                    Trouble::Untraceable,
                    format!("{name} is not in available_filter_functions"),
                )),
                None => Some((Trouble::TraceNotKnown, name.clone())),
            });
            if count > 1 {
                let line = format!("{name}: symbol {sympos} of {count}");
                found.push((Trouble::ByPosition, line));
            }
        }
    }
    if *count > 0 {
        found.extend(split_off(id, parts, own));
    }
    found
}

/// Parts of the function that the patch does not name.
fn split_off(
    id: &FunctionId,
    parts: &[String],
    own: &BTreeSet<&FunctionId>,
) -> Vec<(Trouble, String)> {
    let is_named = |part: &str| {
        own.iter()
            .any(|other| other.object == id.object && other.name == part)
    };
    let left = parts.iter().filter(|part| !is_named(part));
    let (cold, others): (Vec<&String>, Vec<&String>) =
        left.partition(|part| part.contains(".cold"));
    let finding_of = |trouble: Trouble, parts: &[&String]| {
        let line = format!("{}: {}", display(id), listed(parts));
        (!parts.is_empty()).then_some((trouble, line))
    };
    let found = [
        finding_of(Trouble::Parts, &others),
        finding_of(Trouble::Cold, &cold),
    ];
    found.into_iter().flatten().collect()
}
