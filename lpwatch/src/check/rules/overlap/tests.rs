//! Tests of patches that meet others.

use std::collections::BTreeMap;

use crate::{
    check::{
        facts::{CheckFacts, objects::ObjectFacts},
        rules::{
            errno::{EEXIST, EINVAL},
            samples,
        },
    },
    kernel::{
        modules::Build,
        patch_file::{PatchFile, PatchState},
    },
};

use super::*;

fn facts(patches: Vec<PatchView>) -> CheckFacts {
    CheckFacts {
        patches: Some(patches),
        ..CheckFacts::default()
    }
}

fn patch(functions: &[&str], replace: Option<bool>) -> PatchFile {
    PatchFile {
        replace,
        ..samples::patch(functions)
    }
}

/// What is said, as severity and refusal.
fn said(patch: &PatchFile, facts: &CheckFacts) -> Vec<(Severity, Option<u32>)> {
    let found = judge(&samples::context(patch, facts));
    for finding in &found {
        assert!(finding.text.ends_with('.'), "{}", finding.text);
        assert!(!finding.evidence.is_empty(), "{}", finding.text);
    }
    let found = found.iter();
    found
        .map(|finding| {
            (
                finding.severity,
                finding.refusal.map(|refusal| refusal.errno),
            )
        })
        .collect()
}

const NOTE: (Severity, Option<u32>) = (Severity::Note, None);
const WARNING: (Severity, Option<u32>) = (Severity::Warning, None);

#[test]
fn a_patch_alone_meets_nobody() {
    assert_eq!(said(&patch(&["f"], Some(true)), &facts(Vec::new())), []);
    let other = facts(vec![samples::loaded("p", &["g"])]);
    assert_eq!(said(&patch(&["f"], Some(false)), &other), []);
    assert_eq!(
        said(&patch(&["f"], Some(false)), &CheckFacts::default()),
        []
    );
}

#[test]
fn the_last_one_loaded_runs() {
    let mut first = samples::loaded("p", &["f"]);
    let mut second = samples::loaded("q", &["f", "g"]);
    (first.stack_order, second.stack_order) = (Some(2), Some(1));
    let facts = facts(vec![first, second]);
    let file = patch(&["f"], Some(false));
    assert_eq!(said(&file, &facts), [WARNING]);
    let found = judge(&samples::context(&file, &facts));
    assert_eq!(found[0].evidence, ["f is patched by q, p; p runs now"]);
}

#[test]
fn a_replace_takes_back_what_it_does_not_name() {
    let mut facts = facts(vec![samples::loaded("p", &["f", "g"])]);
    facts.objects.patch_files = files(&[("p", &[])]);
    assert_eq!(said(&patch(&["f", "g"], Some(true)), &facts), [NOTE]);
    let file = patch(&["f"], Some(true));
    assert_eq!(said(&file, &facts), [NOTE, WARNING]);
    let found = judge(&samples::context(&file, &facts));
    assert!(found[1].text.ends_with("code: g."), "{}", found[1].text);
    // Not said in the file: it may.
    assert_eq!(said(&patch(&["f"], None), &facts), [NOTE, WARNING]);
    assert_eq!(said(&patch(&["f", "g"], None), &facts), [NOTE]);
}

#[test]
fn the_same_module_cannot_be_loaded_twice() {
    let applied = facts(vec![samples::loaded("fix", &["f"])]);
    let file = patch(&["f"], Some(false));
    let refused = [(Severity::Danger, Some(EEXIST))];
    assert_eq!(said(&file, &applied), refused);
    let mut disabled = facts(Vec::new());
    disabled.objects.namesake = Some(Build::default());
    assert_eq!(said(&file, &disabled), refused);
    let found = judge(&samples::context(&file, &disabled));
    assert_eq!(found[0].remedy, ["Unload the module: rmmod fix"]);
    let mut context = samples::context(&file, &applied);
    context.is_loaded = true;
    assert_eq!(judge(&context), []);
}

fn files(files: &[(&str, &[(u64, u32)])]) -> BTreeMap<String, PatchFile> {
    let files = files.iter().map(|(name, states)| {
        let mut file = samples::patch(&[]);
        file.states = self::states(states);
        ((*name).to_owned(), file)
    });
    files.collect()
}

fn states(states: &[(u64, u32)]) -> Vec<PatchState> {
    let states = states.iter();
    states
        .map(|(id, version)| PatchState {
            id: *id,
            version: *version,
        })
        .collect()
}

/// What is said of a patch with these states where `p` has state 1 in version 2.
fn of_states(own: &[(u64, u32)], replace: Option<bool>) -> Vec<(Severity, Option<u32>)> {
    let facts = CheckFacts {
        objects: ObjectFacts {
            patch_files: files(&[("p", &[(1, 2)])]),
            ..ObjectFacts::default()
        },
        ..facts(vec![samples::loaded("p", &[])])
    };
    let mut file = patch(&["f"], replace);
    file.states = states(own);
    let mut said = said(&file, &facts);
    if replace == Some(true) {
        // That it replaces `p`.
        assert_eq!(said.pop(), Some(NOTE));
    }
    said
}

#[test]
fn states_are_held_against_each_other_as_the_kernel_does() {
    let refused = [(Severity::Danger, Some(EINVAL))];
    for replace in [Some(true), Some(false), None] {
        assert_eq!(of_states(&[(1, 2)], replace), []);
        assert_eq!(of_states(&[(7, 1), (1, 3)], replace), []);
        assert_eq!(of_states(&[(1, 1)], replace), refused);
        // The first of an id counts.
        assert_eq!(of_states(&[(1, 1), (1, 2)], replace), refused);
    }
    assert_eq!(of_states(&[(7, 9)], Some(true)), refused);
    assert_eq!(of_states(&[(7, 9)], Some(false)), []);
    assert_eq!(of_states(&[(7, 9)], None), [WARNING]);
}

#[test]
fn states_that_are_not_known_are_noted_where_they_matter() {
    let facts = facts(vec![samples::loaded("p", &[])]);
    assert_eq!(said(&patch(&["f"], Some(false)), &facts), []);
    assert_eq!(said(&patch(&["f"], None), &facts), [NOTE]);
    let mut with_states = patch(&["f"], Some(false));
    with_states.states = states(&[(1, 1)]);
    assert_eq!(said(&with_states, &facts), [NOTE]);
    let mut half_read = facts.clone();
    half_read.objects.patch_files = files(&[("p", &[(1, 1)])]);
    assert_eq!(said(&with_states, &half_read), []);
    let file = half_read.objects.patch_files.get_mut("p").unwrap();
    file.unread.push("its states".to_owned());
    assert_eq!(said(&with_states, &half_read), [NOTE]);
}

#[test]
fn of_a_loaded_patch_what_lies_on_top_is_said() {
    let (mut own, mut other) = (samples::loaded("fix", &["f"]), samples::loaded("p", &["f"]));
    let file = patch(&["f"], Some(false));
    let severity = |own: &PatchView, other: &PatchView| {
        let facts = facts(vec![own.clone(), other.clone()]);
        let mut context = samples::context(&file, &facts);
        context.is_loaded = true;
        let found = judge(&context);
        found.first().map(|finding| finding.severity)
    };
    assert_eq!(severity(&own, &other), Some(Severity::Note));
    (own.stack_order, other.stack_order) = (Some(1), Some(2));
    assert_eq!(severity(&own, &other), Some(Severity::Warning));
    (own.stack_order, other.stack_order) = (Some(2), Some(1));
    assert_eq!(severity(&own, &other), None);
    own.stack_order = None;
    assert_eq!(severity(&own, &samples::loaded("p", &["g"])), None);
}
