//! `lpwatch fleet`: a rollout over many hosts, from Prometheus.

mod hosts;
mod prometheus;
mod status;
pub(super) mod wait;

use clap::Subcommand;
use jiff::Timestamp;

use crate::{
    exit::Exit,
    fleet::{hosts::HostState, rollout::ByState, source::FleetSource},
    render::fleet::FleetHead,
};

use super::args::Globals;

/// Watch a rollout over many hosts, through the Prometheus that scrapes them.
///
/// Each host runs `lpwatch daemon`, Prometheus scrapes it, and these commands query
/// only Prometheus, not the hosts. "Not reporting" is a state of its own: a host
/// that does not report counts like any other, and never as patched.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    command: FleetCommand,
}

const AFTER_HELP: &str = "\
Examples:
  export LPWATCH_PROMETHEUS=https://prometheus.example
  lpwatch fleet status                    the state of every patch, over all hosts
  lpwatch fleet status lp_fix --watch     one patch, again every few seconds
  lpwatch fleet hosts lp_fix --state stalled
                                          which hosts are stalled, and why
  lpwatch fleet hosts lp_fix --state not_reporting -o jsonl | jq -r .host
                                          the hosts whose state is unknown
  lpwatch fleet wait lp_fix --percent 99.9 --timeout 30m && next-wave
                                          continue when the rollout is complete
  lpwatch fleet status 'kpatch_*_7' --selector '{dc=\"x\"}'
                                          patches named after their kernels, as one

States of a host:
  on_new_code     the patch is enabled and not in transition
  in_transition   tasks are switching
  stalled         in transition, and no task has switched for a minute
  failed          reversed, refused or cancelled, and not enabled
  not_patched     the host reports, and the patch is not loaded or not enabled
  not_reporting   it cannot be scraped, or was not scraped for five minutes

Exit codes of status and hosts:
  0 all on new code   10 not yet   11 hosts are stalled   12 hosts have failed
  1 error             3 Prometheus refuses access
For the exit codes of wait, see `lpwatch fleet wait --help`. docs/fleet.md describes
the setup, the JSON and the cost.";

#[derive(Debug, Subcommand)]
enum FleetCommand {
    Status(status::Args),
    Hosts(hosts::Args),
    Wait(wait::Args),
}

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        FleetCommand::Status(args) => status::run(globals, args).await,
        FleetCommand::Hosts(args) => hosts::run(globals, args).await,
        FleetCommand::Wait(args) => wait::run(globals, args).await,
    }
}

/// The head of a document about the hosts that `source` selects.
fn head(source: &FleetSource, at: Timestamp) -> FleetHead {
    let selector = format!("{{{}}}", source.scope.selector.matchers());
    FleetHead::new(at, source.url(), selector)
}

/// The exit code of the worst state. Hosts without the patch count only if a patch
/// was named: patches for other kernels do not concern them.
fn exit_of(by_state: ByState, asked: bool) -> Exit {
    let some = |state| by_state.get(state) > 0;
    if some(HostState::Failed) {
        Exit::Failed
    } else if some(HostState::Stalled) {
        Exit::Stalled
    } else if some(HostState::InTransition)
        || some(HostState::NotReporting)
        || (asked && some(HostState::NotPatched))
    {
        Exit::InTransition
    } else {
        Exit::Success
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(states: &[HostState], asked: bool) -> Exit {
        let hosts: Vec<_> = states.iter().map(|&state| (state, 1)).collect();
        exit_of(
            ByState::of(&crate::fleet::rollout::tests::fleet(&hosts)),
            asked,
        )
    }

    #[test]
    fn the_worst_decides() {
        use HostState::{Failed, InTransition, NotPatched, NotReporting, OnNewCode, Stalled};
        assert_eq!(exit(&[OnNewCode], true), Exit::Success);
        assert_eq!(exit(&[OnNewCode, NotPatched], true), Exit::InTransition);
        assert_eq!(exit(&[OnNewCode, NotPatched], false), Exit::Success);
        assert_eq!(exit(&[OnNewCode, NotReporting], false), Exit::InTransition);
        assert_eq!(exit(&[OnNewCode, InTransition], false), Exit::InTransition);
        assert_eq!(exit(&[InTransition, Stalled], true), Exit::Stalled);
        assert_eq!(exit(&[Stalled, Failed], true), Exit::Failed);
    }
}
