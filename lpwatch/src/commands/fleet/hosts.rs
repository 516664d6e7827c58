//! `lpwatch fleet hosts`: every host, and how it stands.

use strum::VariantArray as _;

use crate::{
    commands::{args::Globals, output::Output},
    exit::Exit,
    fleet::{
        hosts::{Host, HostState, hosts},
        queries::Fact,
        rollout::ByState,
        selector::PatchPattern,
    },
    render::fleet::{self, Hosts},
};

use super::{exit_of, prometheus::PrometheusArgs};

/// List the hosts, worst first: state, kernel, tasks left and why.
///
/// With `-o jsonl` each host is a line of its own. The exit code is that of
/// `lpwatch fleet status`, whichever states are shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The patch (the name of its module); `*` stands for any characters.
    /// Default: on each host the patch that moved last.
    patch: Option<PatchPattern>,

    /// Only hosts in this state; may be given several times.
    #[arg(long, value_enum, value_name = "STATE")]
    state: Vec<HostState>,

    #[command(flatten)]
    prometheus: PrometheusArgs,
}

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Output::new(globals);
    let mut source = args
        .prometheus
        .source(args.patch.as_ref(), Fact::VARIANTS)?;
    let look = source.look().await?;
    let all = hosts(&look.facts, |_| true);
    let exit = exit_of(ByState::of(&all), args.patch.is_some());
    let mut shown: Vec<Host> = all
        .into_iter()
        .filter(|host| args.state.is_empty() || args.state.contains(&host.state))
        .collect();
    // Stable: within a state they stay in the order of their names.
    shown.sort_by_key(|host| host.state);
    let listing = Hosts {
        schema_version: fleet::SCHEMA_VERSION,
        prometheus: source.url(),
        selector: format!("{{{}}}", source.scope.selector.matchers()),
        taken_at: look.at,
        patch: args.patch.as_ref().map(|patch| patch.as_str().to_owned()),
        warnings: look.warnings,
        notes: look.notes,
        hosts: shown,
    };
    if output.is_lines() {
        let mut lines = String::new();
        for host in &listing.hosts {
            lines.push_str(&serde_json::to_string(host)?);
            lines.push('\n');
        }
        tell(&listing);
        if !lines.is_empty() {
            Output::text(&lines)?;
        }
    } else if output.is_json() {
        output.json(&listing)?;
    } else {
        Output::text(&fleet::hosts(&listing, &output.style))?;
    }
    Ok(exit)
}

/// Lines of hosts have no room for what must be said of all of them.
fn tell(listing: &Hosts) {
    for words in listing.warnings.iter().chain(&listing.notes) {
        eprintln!("lpwatch: {}", crate::text::printable(words));
    }
}
