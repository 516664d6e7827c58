//! Refusals: of a patch by its system, and of a module by the kernel.

use super::page::{Page, Paint, painted, plain};
use super::words;
use crate::model::{ModuleRefusal, Refusal};

/// Why its system last refused to apply or reverse a patch.
pub(super) fn patch(page: &mut Page<'_>, refusal: &Refusal) {
    let style = page.style;
    let unknown = "for an unknown reason";
    let cause = style.text(refusal.cause.as_deref().unwrap_or(unknown));
    let mut spans = vec![painted(Paint::Red, format!("Refused ({cause})"))];
    if let Some(meaning) = &refusal.meaning {
        spans.push(plain(format!(": {}", style.text(meaning))));
    }
    spans.push(plain("."));
    page.item(2, &spans);
}

/// Which module, why, and what to do.
pub(super) fn module(page: &mut Page<'_>, patch: &str, module: &str, refusal: &ModuleRefusal) {
    let style = page.style;
    let what = format!("The kernel refuses to load module {}", style.text(module));
    let mut why = format!(", because {} does not fit it", style.text(patch));
    if let Some(cause) = &refusal.cause {
        why = format!("{why}: {}", style.text(cause));
    }
    if let Some(errno) = refusal.errno {
        why = format!("{why} [{}]", words::errno(errno));
    }
    let times = match refusal.times {
        0 | 1 => String::new(),
        times => format!(" It did so {times} times."),
    };
    page.item(
        2,
        &[painted(Paint::Red, what), plain(format!("{why}.{times}"))],
    );
    let arrow = plain(format!("    {} ", style.arrow()));
    page.step(
        &[arrow],
        &format!(
            "It loads once {patch} is disabled, or replaced by a patch that fits:\n\
             echo 0 > /sys/kernel/livepatch/{patch}/enabled"
        ),
    );
}
