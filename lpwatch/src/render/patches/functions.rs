//! The functions of a patch, and which patch wins where several change one.

use super::engine;
use crate::model::inventory::{InventoryFunction, InventoryPatch};
use crate::model::object_name;
use crate::render::page::{Page, Paint, Span, painted, plain};
use crate::render::style::Style;
use crate::render::{refused, words};

/// How many functions of an object are shown; `-o json` contains all.
const FUNCTIONS: usize = 20;

pub(super) fn functions(page: &mut Page<'_>, patch: &InventoryPatch) {
    let style = page.style;
    for object in &patch.objects {
        let not_loaded = object.patched == Some(false) && patch.in_force();
        let mut spans = vec![painted(
            Paint::Dim,
            format!("{}: ", words::object(&object.name, style)),
        )];
        let impossible = object_name::impossible(&object.name).filter(|_| not_loaded);
        if not_loaded {
            let why = impossible.unwrap_or_else(|| "not loaded".to_owned());
            spans.push(painted(Paint::Yellow, format!("({}) ", style.text(&why))));
        }
        for (number, function) in object.functions.iter().take(FUNCTIONS).enumerate() {
            if number > 0 {
                spans.push(plain(", "));
            }
            spans.extend(self::function(function, patch.in_force(), style));
        }
        if object.functions.len() > FUNCTIONS {
            let more = object.functions.len() - FUNCTIONS;
            spans.push(plain(format!(" and {more} more")));
        }
        page.item(2, &spans);
        if let Some(refusal) = object.refusal.as_ref().filter(|_| not_loaded) {
            refused::module(page, &patch.name, &object.name, refusal);
        }
    }
    if patch.in_force() {
        not_decided(page, patch);
    }
    if patch.objects.is_empty() {
        let words = format!(
            "{} does not show which functions it changes.",
            engine(patch.engine)
        );
        page.item(2, &[painted(Paint::Dim, words)]);
    }
}

/// Why it is unknown which code runs, each reason once.
fn not_decided(page: &mut Page<'_>, patch: &InventoryPatch) {
    let functions = patch.objects.iter().flat_map(|object| &object.functions);
    let mut reasons: Vec<&str> = functions
        .filter_map(|function| function.not_decided.as_deref())
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    for why in reasons {
        let words = format!("It is unknown which code runs: {}.", page.style.text(why));
        page.item(2, &[painted(Paint::Dim, words)]);
    }
}

fn function(function: &InventoryFunction, in_force: bool, style: &Style) -> Vec<Span> {
    let mut spans = vec![plain(style.text(&function.name))];
    if function.sympos > 1 {
        spans.push(plain(format!(" ({})", function.sympos)));
    }
    match (&function.overridden_by, function.wins) {
        (Some(by), _) => {
            let by = format!(" (overridden by {})", style.text(by));
            spans.push(painted(Paint::Dim, by));
        }
        (None, None) if in_force => spans.push(painted(
            Paint::Yellow,
            " (other patches change it too; unknown which code runs)",
        )),
        (None, _) => {}
    }
    spans
}
