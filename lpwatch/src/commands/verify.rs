//! `lpwatch verify`: whether the new code of each function runs.

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

/// Prove that the code of a patch runs: compare the entries of each new function with
/// the calls that should reach it.
///
/// A patch can be enabled and its transition complete although its code does not
/// run: a probe placed before the patch can redirect the calls, and on some
/// processors a tracing program on the original function silently disables the
/// patch.
///
/// The result for a function without calls is unknown. Without a daemon this command
/// itself counts for a while (--for).
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Verify only this patch (the name of its module). Default: all patches.
    patch: Option<String>,

    /// Exit with 14 if any function's result is unknown.
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    count: CountArgs,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch verify                      every patch
  lpwatch verify lp_fix --for 60s     count for longer if no daemon runs

Exit codes:
  0 no function is known to run old code      13 new code does not run
  14 with --strict: the result of a function is unknown";

/// How long entries must be missing before the result counts.
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

/// Asks the daemon again while entries are missing that may still be counted.
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
        if let Ok(snapshot) = snapshots::from_daemon(globals).await {
            latest = report_of_patches(&snapshot, args)?;
        }
    }
    Ok(latest)
}

/// Functions that no patch changes are left out: there is nothing to verify.
fn report_of_patches(snapshot: &Snapshot, args: &Args) -> anyhow::Result<CallsReport> {
    let mut report = report(snapshot, args.patch.as_deref())?;
    report.functions.retain(|function| function.patch.is_some());
    Ok(report)
}
