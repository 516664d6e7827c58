//! `lpwatch fleet hosts`: every host and its state.

use strum::VariantArray as _;

use crate::{
    commands::{args::Globals, output::Printer},
    exit::Exit,
    fleet::{
        hosts::{FleetHost, HostState, hosts},
        queries::FleetQuery,
        rollout::ByState,
        selector::PatchPattern,
    },
    render::fleet::{self, HostLine, Hosts},
};

use super::{exit_of, head, prometheus::PrometheusArgs};

/// List the hosts, worst first: state, kernel, tasks left and why.
///
/// With `-o jsonl` each host is a line of its own. The exit code is that of
/// `lpwatch fleet status`. It does not depend on --state.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The patch (the name of its module); `*` matches any characters. Default: the
    /// patch of each host that changed last.
    patch: Option<PatchPattern>,

    /// Show only hosts in this state; may be given several times.
    #[arg(long, value_enum, value_name = "STATE")]
    state: Vec<HostState>,

    #[command(flatten)]
    prometheus: PrometheusArgs,
}

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let mut source = args
        .prometheus
        .source(args.patch.as_ref(), FleetQuery::VARIANTS)?;
    let look = source.look().await?;
    let all = hosts(&look.facts, |_| true);
    let exit = exit_of(ByState::of(&all), args.patch.is_some());
    let mut shown: Vec<FleetHost> = all
        .into_iter()
        .filter(|host| args.state.is_empty() || args.state.contains(&host.state))
        .collect();
    // A stable sort: within a state the hosts stay sorted by name.
    shown.sort_by_key(|host| host.state);
    let listing = Hosts {
        head: head(&source, look.at),
        patch: args.patch.as_ref().map(|patch| patch.as_str().to_owned()),
        warnings: look.warnings,
        notes: look.notes,
        hosts: shown,
    };
    if output.is_lines() {
        let mut lines = String::new();
        for host in &listing.hosts {
            lines.push_str(&serde_json::to_string(&HostLine::new(
                listing.head.taken_at,
                host,
            ))?);
            lines.push('\n');
        }
        print_remarks(&listing);
        if !lines.is_empty() {
            Printer::text(&lines)?;
        }
    } else if output.is_json() {
        output.json(&listing)?;
    } else {
        Printer::text(&fleet::hosts(&listing, &output.style))?;
    }
    Ok(exit)
}

/// Prints what concerns all hosts to stderr: a line of JSON has no place for it.
fn print_remarks(listing: &Hosts) {
    for words in listing.warnings.iter().chain(&listing.notes) {
        eprintln!("lpwatch: {}", crate::text::printable(words));
    }
}
