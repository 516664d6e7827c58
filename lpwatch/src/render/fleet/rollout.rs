//! One rollout: its progress, and how long it takes.

use strum::VariantArray as _;

use crate::fleet::{durations::Quantiles, hosts::HostState, rollout::Rollout};
use crate::render::columns::{Side, columns};
use crate::render::page::{Page, Paint, Span, painted, plain};
use crate::render::words;
use crate::text::{NBSP, printable};

use super::{as_u64, dim, host_count, percent, state, troubled};

/// How many kernels are shown.
const KERNELS_SHOWN: usize = 8;

pub(super) fn rollout(page: &mut Page<'_>, rollout: &Rollout) {
    headline(page, rollout);
    states(page, rollout);
    troubled::stalled(page, rollout);
    troubled::failed(page, rollout);
    troubled::silent(page, rollout);
    not_effective(page, rollout);
    durations(page, rollout);
}

fn headline(page: &mut Page<'_>, rollout: &Rollout) {
    let by = rollout.by_state;
    let (mark, paint) = match by {
        _ if by.stalled > 0 => ("!", Paint::Alarm),
        _ if by.failed > 0 => ("!", Paint::Red),
        _ if by.on_new_code == rollout.hosts => ("*", Paint::Green),
        _ => ("~", Paint::Yellow),
    };
    let mark = match (page.style.unicode, mark) {
        (true, "*") => "●",
        (true, "~") => "◐",
        (_, mark) => mark,
    };
    let prefix = [
        painted(paint, format!("{mark} ")),
        painted(Paint::Bold, page.style.text(&rollout.patch)),
        plain("  "),
    ];
    let share = percent(by.on_new_code, rollout.hosts);
    let words = format!(
        "on new code on {} of {} ({share})",
        words::count(as_u64(by.on_new_code)),
        host_count(rollout.hosts),
    );
    page.headline(&prefix, &[plain(words)]);
}

/// The bar, and the hosts by state; a state without hosts is left out.
fn states(page: &mut Page<'_>, rollout: &Rollout) {
    let mut prefix = vec![plain("  ")];
    prefix.extend(bar(page, rollout));
    prefix.push(plain("  "));
    let mut spans: Vec<Span> = Vec::new();
    for host_state in HostState::VARIANTS.iter().copied() {
        let count = rollout.by_state.get(host_state);
        if count == 0 {
            continue;
        }
        if !spans.is_empty() {
            spans.push(plain(", "));
        }
        let (word, paint) = state(host_state);
        let words = format!("{} {word}", words::count(as_u64(count)));
        spans.push(painted(paint, words::no_break(&words)));
    }
    if rollout.unpatching > 0 {
        let words = format!(" ({} of them unpatching)", rollout.unpatching);
        spans.push(plain(words));
    }
    page.line(&prefix, &spans);
}

/// The hosts on new code, filled; full only when all are.
fn bar(page: &Page<'_>, rollout: &Rollout) -> Vec<Span> {
    let style = page.style;
    let width = (style.width / 4).clamp(10, 30);
    let filled = width * rollout.by_state.on_new_code / rollout.hosts.max(1);
    let (full, empty) = if style.unicode {
        ("█", "░")
    } else {
        ("#", ".")
    };
    let filled_text = painted(Paint::Green, full.repeat(filled));
    let empty_text = dim(empty.repeat(width - filled));
    if style.unicode {
        vec![filled_text, empty_text]
    } else {
        vec![plain("["), filled_text, empty_text, plain("]")]
    }
}

fn not_effective(page: &mut Page<'_>, rollout: &Rollout) {
    let hosts = rollout.not_effective.as_deref().unwrap_or_default();
    let Some(first) = hosts.first() else {
        return;
    };
    let words = format!(
        "the new code of a function does not run on {}, for example {}. To see which, run \
         there:\nlpwatch verify",
        host_count(hosts.len()).replace(NBSP, " "),
        printable(first),
    );
    page.blank();
    page.step(&[painted(Paint::Alarm, "  Danger: ")], &words);
}

fn durations(page: &mut Page<'_>, rollout: &Rollout) {
    let Some(all) = &rollout.durations.all else {
        return;
    };
    let titles = [
        ("PATCHING TOOK", Side::Left),
        ("HOSTS", Side::Right),
        ("P50", Side::Right),
        ("P90", Side::Right),
        ("P99", Side::Right),
    ];
    let row = |name: Span, quantiles: &Quantiles| {
        let Quantiles {
            hosts,
            p50,
            p90,
            p99,
        } = quantiles;
        let took = |seconds: &f64| plain(words::duration(*seconds).unwrap_or_default());
        let hosts = plain(words::count(as_u64(*hosts)));
        vec![name, hosts, took(p50), took(p90), took(p99)]
    };
    let kernels = &rollout.durations.by_kernel;
    let mut rows = Vec::new();
    if kernels.len() != 1 {
        rows.push(row(plain("all kernels"), all));
    }
    for of_kernel in kernels.iter().take(KERNELS_SHOWN) {
        let name = of_kernel.kernel.as_deref().unwrap_or("kernel unknown");
        rows.push(row(plain(page.style.text(name)), &of_kernel.quantiles));
    }
    page.blank();
    columns(page, 2, &titles, &rows);
    if kernels.len() > KERNELS_SHOWN {
        let words = format!("and {} more kernels", kernels.len() - KERNELS_SHOWN);
        page.paragraph(2, &[dim(words)]);
    }
}
