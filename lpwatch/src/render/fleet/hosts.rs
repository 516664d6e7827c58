//! The list of hosts.

use crate::fleet::hosts::{FleetHost, HostState};
use crate::render::columns::{Side, columns};
use crate::render::page::{Page, Span, painted, plain};
use crate::render::words;

use super::{dim, reasons, silence, state, troubled};

pub(super) fn listing(page: &mut Page<'_>, hosts: &[FleetHost], with_patch: bool) {
    let titles = [
        ("HOST", Side::Left),
        ("STATE", Side::Left),
        ("PATCH", Side::Left),
        ("LEFT", Side::Right),
        ("STILL FOR", Side::Left),
        ("KERNEL", Side::Left),
        ("WHY", Side::Left),
    ];
    let style = page.style;
    let row = |host: &FleetHost| -> Vec<Span> {
        let (word, paint) = state(host.state);
        let patch = host.patch.as_deref().filter(|_| with_patch);
        vec![
            plain(style.text(&host.host)),
            painted(paint, word),
            plain(style.text(patch.unwrap_or_default())),
            plain(troubled::left(host)),
            plain(troubled::idle(host)),
            dim(style.text(host.kernel.as_deref().unwrap_or_default())),
            plain(why(host, page)),
        ]
    };
    let rows: Vec<Vec<Span>> = hosts.iter().map(row).collect();
    columns(page, 0, &titles, &rows);
}

fn why(host: &FleetHost, page: &Page<'_>) -> String {
    match host.state {
        HostState::NotReporting => host.silence.map(silence).unwrap_or_default().to_owned(),
        HostState::Failed => host
            .outcome
            .map(|outcome| words::outcome(outcome).0.to_owned())
            .unwrap_or_default(),
        HostState::Stalled | HostState::InTransition => reasons(host, page.style),
        HostState::OnNewCode if host.not_effective == Some(true) => {
            "its new code does not run".to_owned()
        }
        HostState::OnNewCode | HostState::NotPatched => String::new(),
    }
}
