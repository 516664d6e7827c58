//! `lpwatch verify`: whether the new code of each function runs.

use std::time::Duration;

use clap_complete::ArgValueCandidates;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    exit::Exit,
    model::{
        Snapshot,
        calls::{
            proof::{Proof, ProofVerdict, is_final},
            report::CallsReport,
        },
    },
    render,
};

use super::{
    args::{Globals, some_time},
    calls::{print, report},
    completions,
    counted::{CountArgs, progress},
    output::Printer,
    snapshots::{self, SnapshotStream},
};

/// Prove that the code of a patch runs: compare the entries of each new function with
/// the calls that should reach it.
///
/// A patch can be enabled and its transition complete although its code does not
/// run: a probe placed before the patch can redirect the calls, and on some
/// processors a tracing program on the original function silently disables the
/// patch.
///
/// Exits with 0 only if something is proved: at least one function was called, and
/// the new code of every function that was called runs. Without calls, without the
/// rights to count them, and during a transition nothing is proved: it exits with 15.
///
/// Without a daemon this command itself counts for a while (--for, --wait).
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Verify only this patch (the name of its module). Default: all patches.
    #[arg(add = ArgValueCandidates::new(completions::patches))]
    patch: Option<String>,

    /// Exit with 14 instead of 0 if any function's result is unknown, for example
    /// because nothing calls it.
    #[arg(long)]
    strict: bool,

    /// Require at least N calls of every function; exit with 15 if a function was
    /// called less often. Functions of modules that are not loaded do not count.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    require_calls: Option<u64>,

    /// Wait for the calls, at most this long: return as soon as the exit code is 0 or
    /// 13.
    #[arg(long, value_name = "TIME", value_parser = some_time, conflicts_with = "time")]
    wait: Option<Duration>,

    #[command(flatten)]
    count: CountArgs,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch verify                      every patch
  lpwatch verify lp_fix --wait 10m    return once a call has proved it
  lpwatch verify lp_fix --require-calls 100 --wait 1h
                                      every function needs 100 calls
  lpwatch verify lp_fix --for 60s     count for longer if no daemon runs

Exit codes:
  0 proved: every function that was called runs its new code
  13 disproved: new code does not run
  14 with --strict: proved, except for functions whose result is unknown
  15 nothing is proved: not called, not counted, or in transition
  1 the patch is not loaded   12 not loaded: its last transition was reversed or failed";

/// How long entries must be missing before the result counts.
const CONFIRM: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(200);

/// How long the hooks may take to count a patch that was loaded just now.
const SETTLED: Duration = Duration::from_secs(3);

/// Whether the code of patches was proved to run: the keys of the document of `lpwatch
/// calls`, and the conclusion from them.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct VerifyDocument<'a> {
    #[serde(flatten)]
    report: &'a CallsReport,
    #[serde(flatten)]
    proof: Proof,
    /// The [exit code](status.md#exit-codes) of the command.
    exit_code: u8,
}

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let report = if let Some(time) = args.wait {
        waited(globals, args, time).await?
    } else {
        let snapshot = args.count.snapshot(globals, false).await?;
        confirmed(globals, args, snapshot).await?
    };
    let proof = args.proof(&report);
    let exit = args.exit_of(&report, &proof);
    if output.is_json() {
        output.json(&VerifyDocument {
            report: &report,
            proof,
            exit_code: exit as u8,
        })?;
    } else {
        print(&report, &output, |report, style| {
            render::calls::verify(report, &proof, style)
        })?;
    }
    Ok(exit)
}

impl Args {
    fn proof(&self, report: &CallsReport) -> Proof {
        Proof::of(report, self.require_calls)
    }

    fn exit_of(&self, report: &CallsReport, proof: &Proof) -> Exit {
        match proof.verdict {
            ProofVerdict::Disproved => Exit::Danger,
            ProofVerdict::NotProved => Exit::NotProved,
            ProofVerdict::Proved if self.strict && report.is_open() => Exit::Warning,
            ProofVerdict::Proved => Exit::Success,
        }
    }
}

/// Counts until the result is known, at most for `time`.
async fn waited(globals: &Globals, args: &Args, time: Duration) -> anyhow::Result<CallsReport> {
    let began = Instant::now();
    let progress = progress(&format!("waiting for calls for {} s", time.as_secs_f64()));
    let mut stream = SnapshotStream::counting(globals).await?;
    let mut latest = report_of_patches(&*stream.next().await?, args)?;
    loop {
        let proof = args.proof(&latest);
        match args.exit_of(&latest, &proof) {
            Exit::Success | Exit::Danger => break,
            _ if is_final(&latest, &proof) && began.elapsed() >= SETTLED => break,
            _ => {}
        }
        let step = (began + time).min(Instant::now() + SETTLED);
        match tokio::time::timeout_at(step, stream.next()).await {
            Ok(snapshot) => latest = report_of_patches(&*snapshot?, args)?,
            Err(_) if began.elapsed() >= time => break,
            Err(_) => {}
        }
    }
    progress.finish_and_clear();
    Ok(latest)
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
