//! The last line of `lpwatch fleet wait`.

use std::time::Duration;

use strum::VariantArray as _;

use crate::fleet::{hosts::HostState, rollout::Rollout, wait::Percent};
use crate::render::page::{Page, Paint, painted, plain};
use crate::render::style::Style;
use crate::render::words;

use super::{as_u64, host_count, percent, state};

/// How a wait ended.
#[derive(Clone, Copy, Debug)]
pub struct WaitEnd<'a> {
    pub patch: &'a str,
    /// `reached`, `failed`, `stalled`, `no_change` or `timed_out`.
    pub result: &'a str,
    pub percent: Percent,
    pub waited: Duration,
    /// Why Prometheus did not answer at the end.
    pub trouble: Option<&'a str>,
    pub rollout: Option<&'a Rollout>,
}

/// How it ended in one sentence, with the hosts by state.
#[must_use]
pub fn waited(end: &WaitEnd<'_>, style: &Style) -> String {
    let WaitEnd {
        patch,
        result,
        percent: wanted,
        waited,
        trouble,
        rollout,
    } = *end;
    let after = words::duration(waited.as_secs_f64()).unwrap_or_default();
    let (summary, paint) = match result {
        "reached" => (
            format!("{wanted} are on new code after {after}"),
            Paint::Green,
        ),
        "failed" => (
            format!("{wanted} cannot be reached: too many hosts have failed"),
            Paint::Red,
        ),
        "stalled" => (
            format!("{wanted} cannot be reached while so many hosts are stalled"),
            Paint::Alarm,
        ),
        "no_change" => (
            "no host has changed for as long as --stall-after allows".to_owned(),
            Paint::Alarm,
        ),
        _ => (format!("{wanted} not reached after {after}"), Paint::Yellow),
    };
    let mut page = Page::new(style);
    let name = painted(Paint::Bold, style.text(patch));
    let mut spans = vec![name, plain(": "), painted(paint, summary)];
    if let Some(rollout) = rollout {
        spans.push(plain(format!("; {}", counts(rollout))));
    }
    spans.push(plain("."));
    page.item(0, &spans);
    if let Some(trouble) = trouble {
        let words = format!(
            "This is the last known state. Since then: {}",
            style.text(trouble)
        );
        page.paragraph(0, &[plain(words)]);
    }
    page.finish()
}

/// `1,985 of 2,000 hosts (99.2%) on new code, 5 stalled, 7 not reporting`
fn counts(rollout: &Rollout) -> String {
    let by = rollout.by_state;
    let mut parts = vec![format!(
        "{} of {} ({}) on new code",
        words::count(as_u64(by.on_new_code)),
        host_count(rollout.hosts),
        percent(by.on_new_code, rollout.hosts),
    )];
    for host_state in HostState::VARIANTS.iter().copied() {
        let count = by.get(host_state);
        if host_state != HostState::OnNewCode && count > 0 {
            let words = format!("{} {}", words::count(as_u64(count)), state(host_state).0);
            parts.push(words::no_break(&words));
        }
    }
    parts.join(", ")
}
