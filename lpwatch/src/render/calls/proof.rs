//! What `lpwatch verify` concludes, in a sentence, and what to do if that is nothing.

use super::{Page, name, painted};
use crate::model::calls::{
    NO_BPF, RECORDED_TREE,
    proof::{Gap, Proof, ProofVerdict},
    report::{CallsReport, Effect},
};
use crate::render::{paint::Paint, words};
use crate::text::{NBSP, quoted};

/// Adds the conclusion as the last paragraph.
pub(super) fn conclusion(page: &mut Page<'_>, report: &CallsReport, proof: &Proof) {
    let Proof {
        functions_proved: proved,
        functions_not_proved: open,
        ..
    } = *proof;
    let (word, paint, text) = match (proof.verdict, proof.not_proved_because) {
        (ProofVerdict::Disproved, _) => (
            "Disproved: ",
            Paint::Alarm,
            "new code does not run, see above.".to_owned(),
        ),
        (ProofVerdict::Proved, _) | (ProofVerdict::NotProved, None) => {
            let verb = if proved == 1 { "runs" } else { "run" };
            let rest = if open == 0 {
                String::new()
            } else {
                let was = if open == 1 { "was" } else { "were" };
                format!(" {} {was} not called.", words::counted(open, "function"))
            };
            let proved = words::counted(proved, "function");
            let text = format!("{proved} {verb} new code.{rest}");
            ("Proved: ", Paint::Green, text)
        }
        (ProofVerdict::NotProved, Some(gap)) => {
            ("Not proved: ", Paint::Yellow, why(page, report, proof, gap))
        }
    };
    page.blank();
    page.step(&[painted(paint, word)], &text.replace(NBSP, " "));
}

/// Why nothing is proved, and the command that can change that.
fn why(page: &Page<'_>, report: &CallsReport, proof: &Proof, gap: Gap) -> String {
    let patch = patch_of(report).map_or(String::new(), |patch| format!(" {}", quoted(patch)));
    match gap {
        Gap::NoFunctions if report.functions_unknown.is_empty() => {
            "no live patch is loaded.".to_owned()
        }
        Gap::NoFunctions => "no function of a loaded patch is known. To list the patches:\n\
             lpwatch status"
            .to_owned(),
        Gap::Disabled => "no patch is enabled.".to_owned(),
        Gap::ObjectNotLoaded => {
            "no module that the patch changes is loaded, so nothing can call its functions."
                .to_owned()
        }
        Gap::InTransition => {
            let moving = report
                .functions
                .iter()
                .find(|function| function.transition.is_some())
                .and_then(|function| function.patch.as_deref());
            let wait = moving.map_or(String::new(), |patch| format!(" {}", quoted(patch)));
            format!(
                "{} is in transition, so tasks may still run old code. To verify it \
                 afterwards:\nlpwatch wait{wait} && lpwatch verify{patch}",
                moving.unwrap_or("a patch")
            )
        }
        Gap::NotCounted => not_counted(page, report, &patch),
        Gap::TooFewCalls => {
            let required = proof.required_calls.unwrap_or_default();
            format!(
                "not every function was called {} times. To wait for the calls:\n\
                 lpwatch verify{patch} --require-calls {required} --wait 10m",
                words::count(required)
            )
        }
        Gap::NotCalled => match proof.required_calls {
            Some(required) => format!(
                "{} was not called since its entries are counted. To wait for the calls:\n\
                 lpwatch verify{patch} --require-calls {required} --wait 10m",
                open(page, report)
            ),
            None => format!(
                "no function was called since its entries are counted. To wait for a call:\n\
                 lpwatch verify{patch} --wait 10m"
            ),
        },
    }
}

/// Why it is unknown which code the calls ran: because of a flag, or of the host.
fn not_counted(page: &Page<'_>, report: &CallsReport, patch: &str) -> String {
    let functions = report.functions.iter();
    let mut reasons = functions.filter_map(|function| function.not_counted.as_deref());
    let calls = format!(
        "it is unknown which code each call of {} ran",
        open(page, report)
    );
    match reasons.find(|why| [NO_BPF, RECORDED_TREE].contains(why)) {
        Some(NO_BPF) => format!(
            "{calls}: with --no-bpf calls are not counted. To count them:\nlpwatch verify{patch}"
        ),
        Some(_) => format!("{calls}: a recorded tree contains no calls."),
        None => format!("{calls}. To see what this host lacks:\nlpwatch doctor"),
    }
}

/// The patch of all functions, if it is one.
fn patch_of(report: &CallsReport) -> Option<&str> {
    let first = report.functions.first()?.patch.as_deref()?;
    let mut others = report.functions.iter();
    others
        .all(|function| function.patch.as_deref() == Some(first))
        .then_some(first)
}

/// `gcd`, or `gcd and 2 more functions`: the functions whose effect is unknown.
fn open(page: &Page<'_>, report: &CallsReport) -> String {
    let mut open = report
        .functions
        .iter()
        .filter(|function| matches!(function.effect, Effect::NotKnown { .. }));
    let first = open
        .next()
        .map_or_else(|| "a function".to_owned(), |first| name(first, page.style));
    match open.count() {
        0 => first,
        more => format!("{first} and {} more", words::counted(more, "function")),
    }
}
