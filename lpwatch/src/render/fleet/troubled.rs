//! The hosts of a rollout that need attention.

use crate::fleet::{
    hosts::{FleetHost, HostState},
    rollout::Rollout,
};
use crate::render::columns::{Side, columns};
use crate::render::page::{Page, Paint, Span, painted, plain};
use crate::render::words;
use crate::text::printable;

use super::{as_u64, host_count, reasons, silence};

/// How many hosts of each kind are shown.
const SHOWN: usize = 10;

pub(super) fn stalled(page: &mut Page<'_>, rollout: &Rollout) {
    if rollout.stalled.is_empty() {
        return;
    }
    page.blank();
    let reasons_of: Vec<String> = rollout
        .stalled_by_reason
        .iter()
        .map(|of| {
            let reason = page.style.text(&of.reason.replace('_', " "));
            format!("{reason} on {}", host_count(of.hosts))
        })
        .collect();
    let summary = [
        painted(Paint::Alarm, "Stalled"),
        plain(format!(": {}", reasons_of.join(", "))),
    ];
    page.item(2, &summary);
    let titles = [
        ("HOST", Side::Left),
        ("LEFT", Side::Right),
        ("STILL FOR", Side::Left),
        ("KERNEL", Side::Left),
        ("WHY", Side::Left),
    ];
    let rows: Vec<Vec<Span>> = rollout
        .stalled
        .iter()
        .take(SHOWN)
        .map(|host| {
            vec![
                plain(page.style.text(&host.host)),
                plain(left(host)),
                plain(idle(host)),
                plain(page.style.text(host.kernel.as_deref().unwrap_or_default())),
                plain(reasons(host, page.style)),
            ]
        })
        .collect();
    columns(page, 4, &titles, &rows);
    more(page, rollout, HostState::Stalled);
}

/// `1 of 312`: tasks left.
pub(super) fn left(host: &FleetHost) -> String {
    match (host.tasks_remaining, host.tasks_total) {
        (Some(left), Some(total)) => format!("{left} of {total}"),
        (Some(left), None) => left.to_string(),
        _ => String::new(),
    }
}

/// The time without a task switching, by the host's own clock.
pub(super) fn idle(host: &FleetHost) -> String {
    let idle = host.seconds_without_progress.or(host.age_seconds);
    idle.and_then(words::age).unwrap_or_default()
}

pub(super) fn failed(page: &mut Page<'_>, rollout: &Rollout) {
    let hosts = &rollout.failed;
    listed(page, hosts, Paint::Red, "Failed", |host| {
        let outcome = host.outcome.map(|outcome| words::outcome(outcome).0);
        outcome.unwrap_or_default()
    });
    more(page, rollout, HostState::Failed);
}

pub(super) fn silent(page: &mut Page<'_>, rollout: &Rollout) {
    let hosts = &rollout.not_reporting;
    listed(page, hosts, Paint::Yellow, "Not reporting", |host| {
        host.silence.map(silence).unwrap_or_default()
    });
    more(page, rollout, HostState::NotReporting);
}

/// `Failed: host-1, host-2 (reversed), host-3 (refused by the kernel)`
fn listed(
    page: &mut Page<'_>,
    hosts: &[FleetHost],
    paint: Paint,
    title: &'static str,
    why: impl Fn(&FleetHost) -> &'static str,
) {
    let shown = &hosts[..hosts.len().min(SHOWN)];
    if shown.is_empty() {
        return;
    }
    page.blank();
    let mut groups: Vec<(&'static str, Vec<String>)> = Vec::new();
    for host in shown {
        let (why, name) = (why(host), page.style.text(&host.host));
        match groups.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(name),
            None => groups.push((why, vec![name])),
        }
    }
    let groups: Vec<String> = groups
        .into_iter()
        .map(|(why, names)| format!("{} ({why})", names.join(", ")))
        .collect();
    let spans = [
        painted(paint, title),
        plain(format!(": {}", groups.join("; "))),
    ];
    page.item(2, &spans);
}

/// How many hosts are not shown, and the command that shows them.
fn more(page: &mut Page<'_>, rollout: &Rollout, host_state: HostState) {
    let rest = rollout.by_state.get(host_state).saturating_sub(SHOWN);
    if rest > 0 {
        let words = format!(
            "and {} more:\nlpwatch fleet hosts {} --state {}",
            words::count(as_u64(rest)),
            printable(&quoted(&rollout.patch)),
            host_state.name(),
        );
        page.step(&[plain("    ")], &words);
    }
}

/// A pattern, quoted so that the shell does not expand it.
fn quoted(patch: &str) -> String {
    if patch.contains('*') {
        format!("'{patch}'")
    } else {
        patch.to_owned()
    }
}
