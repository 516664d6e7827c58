//! `lpwatch verify`: whether the new code runs.

use std::time::Duration;

use crate::{
    exit::Exit,
    model::{Snapshot, calls::report::CallsReport},
    render,
};

use super::{
    args::Globals,
    calls::{exit_of, print, report},
    counted::CountArgs,
    output::Printer,
    snapshots,
};

/// Prove that the code of a patch runs: hold the entries of each new function
/// against the calls that should lead there.
///
/// That a patch is enabled and its transition complete does not show that its
/// code runs: a probe placed before it can send calls elsewhere, and on some
/// processors a tracing program on the original function switches the patch
/// off without a word.
///
/// A function that nobody calls cannot be judged: it is reported as not known.
/// Without a daemon this counts by itself for a while (--for).
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Only this patch (the name of its module); default: all.
    patch: Option<String>,

    /// Exit with 14 if of any function it is not known.
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    count: CountArgs,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch verify                      every patch
  lpwatch verify lp_fix --for 60s     count for longer where no daemon runs

Exit codes:
  0 no function is known to run old code      13 new code does not run
  14 with --strict: of some function it is not known";

/// How long missing entries are looked at before they are believed.
const CONFIRM: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(200);

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let snapshot = args.count.snapshot(globals).await?;
    let report = confirmed(globals, args, snapshot).await?;
    print(&report, &output, render::calls::verify)?;
    Ok(match exit_of(&report) {
        Exit::Success if args.strict && report.is_open() => Exit::Warning,
        exit => exit,
    })
}

/// Asks the daemon again while entries are missing that may be on their way.
async fn confirmed(
    globals: &Globals,
    args: &Args,
    snapshot: Snapshot,
) -> anyhow::Result<CallsReport> {
    let mut latest = report_of_patches(&snapshot, args)?;
    let mut waited = Duration::ZERO;
    while latest.daemon && latest.is_doubtful() && waited < CONFIRM {
        tokio::time::sleep(AGAIN).await;
        waited += AGAIN;
        if let Ok(snapshot) = snapshots::of_daemon(globals).await {
            latest = report_of_patches(&snapshot, args)?;
        }
    }
    Ok(latest)
}

/// Functions that no patch changes have nothing to be verified.
fn report_of_patches(snapshot: &Snapshot, args: &Args) -> anyhow::Result<CallsReport> {
    let mut report = report(snapshot, args.patch.as_deref())?;
    report.functions.retain(|function| function.patch.is_some());
    Ok(report)
}
