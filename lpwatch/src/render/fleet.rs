//! A rollout over many hosts: tables for people, documents for programs.

mod hosts;
mod rollout;
#[cfg(test)]
mod tests;
mod troubled;
mod waited;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::VariantArray as _;

use crate::{
    fleet::{
        hosts::{FleetHost, HostState, Silence},
        rollout::Rollout,
    },
    model::document::{SCHEMA_VERSION, Source, milliseconds},
};

use super::page::{Page, Paint, Span, painted, plain};
use super::style::Style;
use super::words;

pub use waited::{WaitEnd, waited};

/// The keys with which each document about a fleet begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FleetHead {
    /// The version of all documents: 2.
    pub schema_version: u32,
    /// `null`, because the document is about many hosts.
    host: Option<String>,
    /// `null`, because the hosts may run several kernels.
    kernel: Option<String>,
    /// By Prometheus's clock.
    #[serde(serialize_with = "milliseconds")]
    pub taken_at: Timestamp,
    /// `prometheus`
    source: Source,
    /// The URL of Prometheus.
    pub prometheus: String,
    /// The hosts asked for, in PromQL.
    pub selector: String,
}

impl FleetHead {
    /// The head of a document about the hosts that `selector` selects.
    #[must_use]
    pub fn new(taken_at: Timestamp, prometheus: String, selector: String) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            host: None,
            kernel: None,
            taken_at,
            source: Source::Prometheus,
            prometheus,
            selector,
        }
    }
}

/// One host of a fleet as a document of its own.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "FleetHostLine"))]
pub struct HostLine<'a> {
    /// The version of all documents: 2.
    schema_version: u32,
    /// By Prometheus's clock.
    #[serde(serialize_with = "milliseconds")]
    taken_at: Timestamp,
    /// `prometheus`
    source: Source,
    #[serde(flatten)]
    host: &'a FleetHost,
}

impl<'a> HostLine<'a> {
    /// The line about `host`.
    #[must_use]
    pub fn new(taken_at: Timestamp, host: &'a FleetHost) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            taken_at,
            source: Source::Prometheus,
            host,
        }
    }
}

/// A rollout over many hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "FleetStatusDocument"))]
pub struct Status {
    #[serde(flatten)]
    pub head: FleetHead,
    /// All known hosts, reporting or not.
    #[serde(rename = "host_count")]
    pub hosts: usize,
    /// The known hosts that do not report.
    pub hosts_not_reporting: usize,
    /// The warnings of Prometheus, for example that its answer is partial.
    pub warnings: Vec<String>,
    /// The notes of lpwatch about the answers of Prometheus.
    pub notes: Vec<String>,
    /// One rollout for each patch that a host reports, or the one asked for.
    pub patches: Vec<Rollout>,
}

/// The hosts of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "FleetHostsDocument"))]
pub struct Hosts {
    #[serde(flatten)]
    pub head: FleetHead,
    /// The patch asked for, a name or a pattern; `null` without one.
    pub patch: Option<String>,
    /// The warnings of Prometheus, for example that its answer is partial.
    pub warnings: Vec<String>,
    /// The notes of lpwatch about the answers of Prometheus.
    pub notes: Vec<String>,
    /// The hosts asked for, worst first.
    pub hosts: Vec<FleetHost>,
}

/// The table of `lpwatch fleet status`: patches that need attention first.
#[must_use]
pub fn status(status: &Status, style: &Style) -> String {
    let mut page = Page::new(style);
    if status.patches.is_empty() {
        let (hosts, silent) = (status.hosts, status.hosts_not_reporting);
        let words = format!(
            "No live patch is loaded on the {} that report. {} {} not report.",
            host_count(hosts.saturating_sub(silent)),
            host_count(silent),
            if silent == 1 { "does" } else { "do" },
        );
        page.paragraph(0, &[plain(words)]);
    }
    let mut patches: Vec<&Rollout> = status.patches.iter().collect();
    patches.sort_by_key(|rollout| {
        let worst = HostState::VARIANTS
            .iter()
            .copied()
            .find(|&state| state != HostState::NotReporting && rollout.by_state.get(state) > 0);
        (worst, &rollout.patch)
    });
    for patch in patches {
        page.blank();
        rollout::rollout(&mut page, patch);
    }
    remarks(&mut page, &status.warnings, &status.notes);
    origin(&mut page, &status.head);
    page.finish()
}

/// The table of `lpwatch fleet hosts`.
#[must_use]
pub fn hosts(listing: &Hosts, style: &Style) -> String {
    let mut page = Page::new(style);
    if listing.hosts.is_empty() {
        page.paragraph(0, &[plain("No host is in this state.")]);
    } else {
        // If all rows are of one patch, its name is omitted.
        let one = listing
            .patch
            .as_ref()
            .is_some_and(|patch| !patch.contains('*'));
        hosts::listing(&mut page, &listing.hosts, !one);
    }
    remarks(&mut page, &listing.warnings, &listing.notes);
    origin(&mut page, &listing.head);
    page.finish()
}

fn remarks(page: &mut Page<'_>, warnings: &[String], notes: &[String]) {
    if !warnings.is_empty() || !notes.is_empty() {
        page.blank();
    }
    for warning in warnings {
        let words = format!("Prometheus warns: {}", page.style.text(warning));
        page.line(&[painted(Paint::Yellow, "Warning: ")], &[plain(words)]);
    }
    for note in notes {
        let words = page.style.text(note);
        page.line(&[painted(Paint::Yellow, "Note: ")], &[plain(words)]);
    }
}

/// The source of the data.
fn origin(page: &mut Page<'_>, head: &FleetHead) {
    let style = page.style;
    let parts = [
        style.text(&head.prometheus),
        style.text(&head.selector),
        words::no_break(&format!("{} UTC", head.taken_at.strftime("%H:%M:%S"))),
    ];
    let line = parts.join(&format!(" {} ", style.separator()));
    page.blank();
    page.paragraph(0, &[painted(Paint::Dim, line)]);
}

/// A state as text, and its paint.
fn state(state: HostState) -> (&'static str, Paint) {
    match state {
        HostState::Stalled => ("stalled", Paint::Alarm),
        HostState::Failed => ("failed", Paint::Red),
        HostState::NotReporting => ("not reporting", Paint::Yellow),
        HostState::InTransition => ("in transition", Paint::Plain),
        HostState::NotPatched => ("not patched", Paint::Plain),
        HostState::OnNewCode => ("on new code", Paint::Green),
    }
}

fn silence(silence: Silence) -> &'static str {
    match silence {
        Silence::Down => "cannot be scraped",
        Silence::Gone => "no longer scraped",
        Silence::NoMetrics => "the target is not lpwatch",
        Silence::Blind => "lpwatch cannot read its patches",
        Silence::Broken => "it reports invalid values",
    }
}

/// `1,985 hosts`
fn host_count(number: usize) -> String {
    let plural = if number == 1 { "" } else { "s" };
    words::no_break(&format!("{} host{plural}", words::count(as_u64(number))))
}

/// A share as a percentage; 100% and 0% only where they are exact.
fn percent(part: usize, whole: usize) -> String {
    let Some(share) = crate::fleet::rollout::share(part, whole) else {
        return String::new();
    };
    if part == whole || part == 0 {
        return format!("{:.0}%", share * 100.0);
    }
    // Truncated, not rounded: 99.96 is not 100.0.
    let tenths = (share * 1000.0).floor().max(1.0);
    format!("{:.1}%", tenths / 10.0)
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// `1 sleeping on function, 2 running`: tasks by reason.
fn reasons(host: &FleetHost, style: &Style) -> String {
    let each = host.reasons.iter().map(|of| {
        let reason = style.text(&of.reason.replace('_', " "));
        words::no_break(&format!("{} {reason}", of.tasks))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn dim(text: impl Into<String>) -> Span {
    painted(Paint::Dim, text)
}
