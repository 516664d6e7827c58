//! `lpwatch calls`: how often old and new code is called.

use clap_complete::ArgValueCandidates;

use crate::{
    exit::Exit,
    model::{Snapshot, calls::report::CallsReport, document::DocumentLine},
    render::{self, style::Style},
};

use super::{
    args::Globals,
    completions,
    counted::CountArgs,
    output::Printer,
    snapshots::SnapshotStream,
    status::{module_name, not_loaded},
    watching::{Printed, SnapshotPacer, WatchArgs},
};

/// Show how often the old and the new code of each patched function is called:
/// before the patch, during the transition, and now.
///
/// Calls are counted in the kernel, at the entry of the original function. The state
/// of the calling task shows which code each call runs, also during a transition.
/// The entries of the new function are counted as well: only they prove that it
/// runs.
///
/// A daemon counts from the moment a patch is loaded. For the rate before the patch,
/// tell the daemon in advance which functions or which folder of patches to watch
/// (`lpwatch daemon --watch`). Without a daemon this command itself counts for a
/// while (--for).
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Show only this patch (the name of its module). Default: all patches, and the
    /// functions that are watched without a patch.
    #[arg(add = ArgValueCandidates::new(completions::patches))]
    patch: Option<String>,

    #[command(flatten)]
    watch: WatchArgs,

    #[command(flatten)]
    count: CountArgs,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch calls                       every patched function
  lpwatch calls --watch               the same, each second
  lpwatch calls -o jsonl | jq .calls  one JSON document per function

Columns:
  BEFORE/S  calls per second before the patch    OLD, NEW  calls of each code so far
  DURING/S  during the transition                NEW %     in the last ten seconds
  NOW/S     in the last ten seconds              NEW CODE  whether it is known to run

Exit codes:
  0 no function is known to run old code (`lpwatch verify` proves it)
  13 new code does not run, or calls cannot be redirected
  1 the patch is not loaded   12 not loaded: its last transition was reversed or failed";

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    if args.watch.watch {
        return watch(globals, args).await;
    }
    let snapshot = args.count.snapshot(globals, true).await?;
    let report = report(&snapshot, args.patch.as_deref())?;
    print(&report, &output, render::calls::calls)?;
    Ok(exit_of(&report))
}

async fn watch(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let mut watched = SnapshotPacer::new(SnapshotStream::counting(globals).await?, &args.watch)?;
    let mut printed = Printed::default();
    let mut exit = Exit::Success;
    while let Some(snapshot) = watched.next().await? {
        let mut report = report(&snapshot, args.patch.as_deref())?;
        exit = exit_of(&report);
        // The terminal may have another size now.
        let output = Printer::new(globals);
        if !output.is_json() {
            output.again(&render::calls::calls(&report, &output.style), &mut printed)?;
        } else if output.is_lines() {
            let mut news = Vec::new();
            for function in report.functions {
                let key = (
                    &function.patch,
                    &function.object,
                    &function.name,
                    function.sympos,
                );
                if printed.is_news(&format!("{key:?}"), &function)? {
                    news.push(function);
                }
            }
            report.functions = news;
            print(&report, &output, render::calls::calls)?;
        } else if printed.is_news("", &report)? {
            output.json(&report)?;
        }
    }
    Ok(exit)
}

/// Prints a report in the requested form; `table` draws the table.
pub(super) fn print(
    report: &CallsReport,
    output: &Printer,
    table: impl Fn(&CallsReport, &Style) -> String,
) -> anyhow::Result<()> {
    if output.is_lines() {
        for function in &report.functions {
            output.json(&DocumentLine::new(&report.head, function))?;
        }
        Ok(())
    } else if output.is_json() {
        output.json(report)
    } else {
        Printer::text(&table(report, &output.style))
    }
}

/// The functions of `patch`, or of all patches.
pub(super) fn report(snapshot: &Snapshot, patch: Option<&str>) -> anyhow::Result<CallsReport> {
    let name = patch.map(|patch| module_name(snapshot, patch));
    if let (Some(name), Some(asked)) = (&name, patch)
        && snapshot.patch(name).is_none()
    {
        return Err(not_loaded(snapshot, asked).into());
    }
    Ok(CallsReport::of(snapshot, name.as_deref()))
}

fn exit_of(report: &CallsReport) -> Exit {
    if report.is_danger() {
        Exit::Danger
    } else {
        Exit::Success
    }
}
