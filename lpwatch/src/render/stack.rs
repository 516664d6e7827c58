//! The kernel stack of a task, innermost frame first, with the blocking frame marked.

use super::page::{Page, Paint, painted, plain};
use super::style::Style;
use super::why;
use crate::model::{Blocker, Cause, Direction, Reason};

/// The frames, behind `indent` spaces; `remark` follows the blocking one.
pub(super) fn frames(page: &mut Page<'_>, indent: usize, blocker: &Blocker, remark: Option<&str>) {
    let style = page.style;
    let here = if style.unicode { "→ " } else { "> " };
    for (index, frame) in blocker.stack.iter().enumerate() {
        let frame = style.text(frame);
        if blocker.blocking_frame != Some(index) {
            page.item(indent + 2, &[plain(frame)]);
            continue;
        }
        let mark = [plain(" ".repeat(indent)), painted(Paint::Yellow, here)];
        page.line(&mark, &[painted(Paint::Yellow, frame)]);
        if let Some(remark) = remark {
            let arrow = if style.unicode { "← " } else { "<- " };
            let mark = [plain(" ".repeat(indent + 4)), painted(Paint::Yellow, arrow)];
            page.line(&mark, &[plain(remark)]);
        }
    }
}

/// What the blocking frame is, e.g. `old code of target_main, which lp_stall
/// replaces`; `None` where the blocking frame is unknown.
pub(super) fn remark(
    blocker: &Blocker,
    patch: &str,
    direction: Direction,
    style: &Style,
) -> Option<String> {
    let frame = blocker.stack.get(blocker.blocking_frame?)?;
    if blocker.cause.is_some() {
        return Some(foreign(blocker, frame, style));
    }
    if blocker.reason == Some(Reason::NoUnwindData) {
        return Some("the kernel has no unwind data for this code".to_owned());
    }
    let patch = style.text(patch);
    let symbol = frame.split('+').next().unwrap_or(frame);
    let function = style.text(blocker.function.as_deref().unwrap_or(symbol));
    Some(match direction {
        Direction::Patching => format!("old code of {function}, which {patch} replaces"),
        Direction::Unpatching => {
            format!("code of {patch} for {function}, which is removed with it")
        }
    })
}

/// `BPF trampoline of fexit program count_sleep (id 42) on do_nanosleep, held
/// by loader (pid 311)`
fn foreign(blocker: &Blocker, frame: &str, style: &Style) -> String {
    let what = match blocker.cause {
        Some(Cause::Kretprobe) => "return trampoline of a",
        Some(Cause::BpfTrampoline) if frame.starts_with("bpf_prog_") => "code of a",
        Some(Cause::BpfTrampoline) => "BPF trampoline of a",
        Some(Cause::Unknown) | None => return "the kernel cannot see past this".to_owned(),
    };
    let named = blocker
        .program
        .as_ref()
        .is_some_and(|program| program.name.is_some());
    // A name needs no article.
    let what = if named {
        what.trim_end_matches(" a")
    } else {
        what
    };
    match why::foreign(blocker, style) {
        Some(foreign) => format!("{what} {foreign}"),
        None => what.trim_end_matches(" of a").to_owned(),
    }
}
