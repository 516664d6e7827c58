//! `lpwatch fleet status`: the state of a rollout over all hosts.

use std::time::Duration;

use strum::VariantArray as _;

use crate::{
    commands::{
        args::{Globals, interval},
        output::Printer,
    },
    exit::Exit,
    fleet::{
        hosts::{FleetHost, hosts},
        queries::FleetQuery,
        rollout::{ByState, Rollout},
        selector::PatchPattern,
        source::{FleetReading, FleetSource},
    },
    render::fleet::{self, Status},
};

use super::{exit_of, head, prometheus::PrometheusArgs};

/// Between two queries.
const INTERVAL: Duration = Duration::from_secs(10);

/// Show the progress of a patch over all hosts: the hosts by state, which hosts are
/// stalled and why, and how long patching took.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The patch (the name of its module); `*` matches any characters, for patches
    /// named after their kernels. Default: every patch.
    patch: Option<PatchPattern>,

    /// Show the state again at each --interval, until interrupted.
    #[arg(short, long)]
    watch: bool,

    /// With --watch: query Prometheus at this interval (default 10s).
    #[arg(long, value_name = "TIME", value_parser = interval, requires = "watch")]
    interval: Option<Duration>,

    #[command(flatten)]
    prometheus: PrometheusArgs,
}

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let mut source = args
        .prometheus
        .source(args.patch.as_ref(), FleetQuery::VARIANTS)?;
    let look = source.look().await?;
    let mut exit = show(&output, &source, args, look)?;
    if !args.watch {
        return Ok(exit);
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(args.interval.unwrap_or(INTERVAL)) => (),
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return Ok(exit);
            }
        }
        if let Some(look) = source.next_look().await? {
            output.clear()?;
            exit = show(&output, &source, args, look)?;
        }
    }
}

fn show(
    output: &Printer,
    source: &FleetSource,
    args: &Args,
    look: FleetReading,
) -> anyhow::Result<Exit> {
    let asked = args.patch.as_ref().map(PatchPattern::as_str);
    let (rollouts, exit) = rollouts(&look, asked);
    let FleetReading {
        at,
        facts,
        warnings,
        mut notes,
    } = look;
    if let Some(patch) = asked.filter(|_| facts.patches().is_empty()) {
        notes.push(format!("No host has reported a patch named {patch} yet."));
    }
    let all = hosts(&facts, |_| true);
    let status = Status {
        head: head(source, at),
        hosts: all.len(),
        hosts_not_reporting: all.iter().filter(|host| host.silence.is_some()).count(),
        warnings,
        notes,
        patches: rollouts,
    };
    if output.is_json() {
        output.json(&status)?;
    } else {
        Printer::text(&fleet::status(&status, &output.style))?;
    }
    Ok(exit)
}

/// The rollout of each patch, or of all that match `asked` as one; and the exit code.
fn rollouts(look: &FleetReading, asked: Option<&str>) -> (Vec<Rollout>, Exit) {
    let facts = &look.facts;
    if let Some(patch) = asked {
        let rollout = Rollout::of(patch, &hosts(facts, |_| true));
        let exit = exit_of(rollout.by_state, true);
        return (vec![rollout], exit);
    }
    let of_patch = |patch: &str| -> Vec<FleetHost> { hosts(facts, |name| name == patch) };
    let rollouts = facts
        .patches()
        .into_iter()
        .map(|patch| Rollout::of(patch, &of_patch(patch)))
        .collect();
    let whole = ByState::of(&hosts(facts, |_| true));
    (rollouts, exit_of(whole, false))
}
