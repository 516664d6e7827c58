//! `lpwatch calls`: how often old and new code is called.

use crate::{
    exit::Exit,
    model::{Snapshot, calls::report::CallsReport},
    render::{self, style::Style},
};

use super::{
    args::Globals,
    counted::CountArgs,
    output::Printer,
    snapshots::Stream,
    status::{module_name, no_such_patch},
};

/// Show how often the old and the new code of each patched function is called:
/// before the patch, while it was applied, and now.
///
/// Calls are counted in the kernel, at the entry of the original function, and
/// split by the state of the calling task. So each call is put down to the code
/// it ran, also in the middle of a transition. The new function's own entries
/// are counted as well: only they show that it runs.
///
/// A daemon counts from the moment a patch is loaded. To have a *before*, name
/// the functions ahead: `lpwatch daemon --watch FUNCTION`, or a folder of
/// patches that will be loaded. Without a daemon this command counts by itself
/// for a while (--for).
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Only this patch (the name of its module); default: all, and the
    /// functions that are watched without a patch.
    patch: Option<String>,

    /// Show it again whenever something changes, until interrupted.
    #[arg(short, long)]
    watch: bool,

    #[command(flatten)]
    count: CountArgs,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch calls                       every patched function
  lpwatch calls --watch               the same, each second
  lpwatch calls -o jsonl | jq .calls  one JSON document for each function

Columns:
  BEFORE/S  calls a second before the patch      OLD, NEW  calls of each code so far
  DURING/S  while it was applied or removed      NEW %     of the last ten seconds
  NOW/S     over the last ten seconds            NEW CODE  whether it was seen to run

Exit codes:
  0 all well   13 new code does not run, or calls cannot be redirected";

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    if args.watch {
        return watch(globals, args, &output).await;
    }
    let snapshot = args.count.snapshot(globals).await?;
    show(&snapshot, args.patch.as_deref(), &output, false)
}

async fn watch(globals: &Globals, args: &Args, output: &Printer) -> anyhow::Result<Exit> {
    let mut stream = Stream::counting(globals).await?;
    let mut exit = Exit::Success;
    loop {
        let snapshot = tokio::select! {
            snapshot = stream.next() => snapshot?,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return Ok(exit);
            }
        };
        exit = show(&snapshot, args.patch.as_deref(), output, true)?;
    }
}

fn show(
    snapshot: &Snapshot,
    patch: Option<&str>,
    output: &Printer,
    again: bool,
) -> anyhow::Result<Exit> {
    let report = report(snapshot, patch)?;
    if again {
        output.clear()?;
    }
    print(&report, output, render::calls::calls)?;
    Ok(exit_of(&report))
}

/// Prints a report in the form asked for; `table` draws it for people.
pub(super) fn print(
    report: &CallsReport,
    output: &Printer,
    table: fn(&CallsReport, &Style) -> String,
) -> anyhow::Result<()> {
    if output.is_lines() {
        for function in &report.functions {
            output.json(function)?;
        }
        Ok(())
    } else if output.is_json() {
        output.json(report)
    } else {
        Printer::text(&table(report, &output.style))
    }
}

/// The functions asked for.
pub(super) fn report(snapshot: &Snapshot, patch: Option<&str>) -> anyhow::Result<CallsReport> {
    let name = patch.map(|patch| module_name(snapshot, patch));
    if let (Some(name), Some(asked)) = (&name, patch)
        && snapshot.patch(name).is_none()
    {
        return Err(no_such_patch(asked).into());
    }
    Ok(CallsReport::of(snapshot, name.as_deref()))
}

pub(super) fn exit_of(report: &CallsReport) -> Exit {
    if report.is_danger() {
        Exit::Danger
    } else {
        Exit::Success
    }
}
