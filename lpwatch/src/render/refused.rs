//! A module that the kernel refuses to load because of a patch.

use super::page::{Page, Paint, painted, plain};
use super::words;
use crate::model::ModuleRefusal;

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
