//! `lpwatch tasks`: the tasks left on old code, and why.

use crate::{
    exit::Exit,
    model::TaskReport,
    render::{self, tasks::TasksOptions},
};

use super::{
    args::Globals,
    output::Printer,
    snapshots,
    status::{module_name, select},
};

/// Show which tasks a transition has left on old code, grouped by reason,
/// worst first.
///
/// A transition ends when every task has switched, and one task is enough to
/// hold it up. For each task left this shows why: asleep in a function of the
/// patch, a stack the kernel cannot trust (and whose tracing program is on it),
/// uninterruptible, running; since when; and what frees it. Threads of one
/// process that have the same in their way share a line.
///
/// It prints commands that free them, and runs none. `lpwatch explain TID` says
/// more of one task.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Only the transition of this patch (the name of its module); default:
    /// whichever patch is in transition.
    patch: Option<String>,

    /// Show all tasks, however many have the same reason.
    #[arg(short, long)]
    all: bool,

    /// Show the kernel stack of each.
    #[arg(short, long)]
    stack: bool,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch tasks                       who is left, and why
  lpwatch tasks --stack               with their kernel stacks
  lpwatch tasks -o jsonl | jq .tid    one JSON document for each task

Exit codes:
  0 nothing is in transition   10 in transition   11 stalled";

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let snapshot = snapshots::now(globals).await?;
    let (snapshot, exit) = select(snapshot, args.patch.as_deref())?;
    let name = args
        .patch
        .as_deref()
        .map(|patch| module_name(&snapshot, patch));
    let report = TaskReport::of(&snapshot, name.as_deref());
    if output.is_lines() {
        for task in report.iter().flat_map(|report| &report.blockers) {
            if let Some(report) = &report {
                output.json(&report.document(task))?;
            }
        }
    } else if output.is_json() {
        output.json(&report)?;
    } else {
        let options = TasksOptions {
            stack: args.stack,
            all: args.all,
        };
        Printer::text(&match &report {
            Some(report) => render::tasks::tasks(report, &output.style, options),
            None => render::tasks::nothing(name.as_deref(), &snapshot.notes, &output.style),
        })?;
    }
    Ok(exit)
}
