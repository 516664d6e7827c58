//! A patch in the table: one line, or a block while it is in transition.

use jiff::Timestamp;
use lpwatch_common::patch::VMLINUX;

use super::{padded, transition};
use crate::model::snapshot::{Object, Patch, Severity};
use crate::model::{Direction, object_name};
use crate::render::page::{Page, Paint, Span, painted, plain};
use crate::render::{calls, refused, words};
use crate::text;

/// Patches that are not in transition, one line each, in columns.
pub(super) fn settled(page: &mut Page<'_>, patches: &[&Patch]) {
    let style = page.style;
    let names: Vec<String> = patches
        .iter()
        .map(|patch| text::truncate(&style.text(&patch.name), style.width / 2, style.ellipsis()))
        .collect();
    let width = names
        .iter()
        .map(|name| text::cells(name))
        .max()
        .unwrap_or(0);
    for (patch, name) in patches.iter().zip(&names) {
        let name = painted(Paint::Bold, format!("{}  ", padded(name, width)));
        page.line(&[mark(page, patch), name], &settled_text(page, patch));
        if let Some(refusal) = &patch.refusal {
            refused::patch(page, refusal);
        }
        if is_on(patch) {
            not_patched(page, patch);
        }
        dangers(page, patch);
    }
}

fn settled_text(page: &Page<'_>, patch: &Patch) -> Vec<Span> {
    let mut spans = vec![match patch.enabled {
        Some(true) => painted(Paint::Green, "enabled"),
        Some(false) => painted(Paint::Dim, "disabled"),
        None => painted(Paint::Yellow, words::STATE_UNKNOWN),
    }];
    let mut details = Vec::new();
    if is_on(patch) {
        details.extend(extent(page, patch));
    }
    if is_on(patch) && patch.replace == Some(true) {
        details.push(words::no_break("atomic replace"));
    }
    details.extend(words::engine(patch.engine).map(str::to_owned));
    for detail in details {
        spans.push(plain(format!(", {detail}")));
    }
    spans
}

/// `3 functions in vmlinux and nfs`, of the objects that are patched.
fn extent(page: &Page<'_>, patch: &Patch) -> Option<String> {
    let objects: Vec<&Object> = patch
        .objects
        .iter()
        .filter(|object| object.patched != Some(false))
        .collect();
    let functions: usize = objects.iter().map(|object| object.functions.len()).sum();
    if functions == 0 {
        return None;
    }
    let places = match objects.as_slice() {
        [one] => words::object(&one.name, page.style),
        [one, other] => {
            format!(
                "{} and {}",
                words::object(&one.name, page.style),
                words::object(&other.name, page.style)
            )
        }
        many => words::counted(many.len(), "object"),
    };
    Some(format!(
        "{} in {places}",
        words::counted(functions, "function")
    ))
}

/// A patch in transition: its headline, its progress, the tasks left, what to do.
pub(super) fn in_transition(page: &mut Page<'_>, patch: &Patch, now: Timestamp) {
    let Some(transition) = &patch.transition else {
        return;
    };
    let style = page.style;
    // The mark before it takes two cells, and so does the gap after it.
    let room = style.width.saturating_sub(4);
    let name = text::truncate(&style.text(&patch.name), room, style.ellipsis());
    let prefix = [mark(page, patch), painted(Paint::Bold, name), plain("  ")];
    let headline = transition::headline(transition, words::engine(patch.engine));
    page.headline(&prefix, &headline);
    transition::details(page, patch, transition);
    if transition.direction == Direction::Patching {
        not_patched(page, patch);
    }
    dangers(page, patch);
    forecast(page, patch, now);
    transition::left(page, transition);
}

/// What the check of the patch expected.
fn forecast(page: &mut Page<'_>, patch: &Patch, now: Timestamp) {
    let Some(check) = &patch.check else {
        return;
    };
    let expected = words::capital(&words::expected(check, false, now));
    let words = format!("{expected}: {}", page.style.text(&check.text));
    page.paragraph(2, &[painted(Paint::Dim, words)]);
}

/// The dangers found by counting calls; `lpwatch calls` shows the other findings.
fn dangers(page: &mut Page<'_>, patch: &Patch) {
    let functions = patch.objects.iter().flat_map(|object| &object.functions);
    let findings = functions.filter_map(|function| function.calls.as_ref());
    let findings = findings.flat_map(|calls| &calls.findings);
    for finding in findings.filter(|finding| finding.severity == Severity::Danger) {
        calls::finding(page, finding);
    }
}

fn is_on(patch: &Patch) -> bool {
    patch.enabled == Some(true)
}

/// The mark at the start of the line.
fn mark(page: &Page<'_>, patch: &Patch) -> Span {
    let (unicode, ascii, paint) = match &patch.transition {
        Some(transition) => {
            let paint = transition
                .phase
                .map_or(Paint::Yellow, |phase| words::phase(phase).1);
            if paint == Paint::Alarm {
                ("!", "!", paint)
            } else {
                ("◐", "~", paint)
            }
        }
        None => match patch.enabled {
            Some(true) => ("●", "*", Paint::Green),
            Some(false) => ("○", "-", Paint::Dim),
            None => ("?", "?", Paint::Yellow),
        },
    };
    painted(
        paint,
        format!("{} ", if page.style.unicode { unicode } else { ascii }),
    )
}

/// The objects whose functions are not redirected although the patch is enabled.
fn not_patched(page: &mut Page<'_>, patch: &Patch) {
    for object in patch
        .objects
        .iter()
        .filter(|object| object.patched == Some(false))
    {
        match &object.refusal {
            Some(refusal) => refused::module(page, &patch.name, &object.name, refusal),
            None => match object_name::impossible(&object.name) {
                Some(why) => page.paragraph(2, &never_patched(page, object, &why)),
                None => page.paragraph(2, &absent(page, object)),
            },
        }
    }
}

fn absent(page: &Page<'_>, object: &Object) -> Vec<Span> {
    if object.name == VMLINUX {
        return vec![painted(
            Paint::Yellow,
            "vmlinux is not patched although the patch is enabled.",
        )];
    }
    let name = page.style.text(&object.name);
    let what = functions(object, "is patched", "are patched");
    vec![
        plain(format!("Module {name} is ")),
        painted(Paint::Yellow, "not loaded"),
        plain(format!(". {what} when the module is loaded.")),
    ]
}

/// An object that no module can be.
fn never_patched(page: &Page<'_>, object: &Object, why: &str) -> Vec<Span> {
    let why = words::capital(&page.style.text(why));
    let what = functions(object, "is never patched", "are never patched");
    vec![painted(Paint::Yellow, why), plain(format!(". {what}."))]
}

/// `Its 2 functions are patched`
fn functions(object: &Object, is: &str, are: &str) -> String {
    match object.functions.len() {
        0 => format!("It {is}"),
        1 => format!("Its 1 function {is}"),
        many => format!("Its {many} functions {are}"),
    }
}
