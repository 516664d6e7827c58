//! `lpwatch tasks`: the tasks left on old code, and the reason for each.

use clap_complete::ArgValueCandidates;

use crate::{
    exit::Exit,
    model::{TaskReport, task_report::TasksDocument},
    render::{self, tasks::TasksOptions},
};

use super::{
    args::Globals,
    completions,
    output::Printer,
    snapshots,
    status::{module_name, select},
};

/// Show which tasks a transition has left on old code, grouped by reason,
/// worst first.
///
/// A transition ends when every task has switched: a single task can block it. For
/// each task left, this command shows the reason (asleep in a function of the patch,
/// an unreliable stack and the tracing program that causes it, uninterruptible,
/// running), since when, and what frees the task. Threads of one process with the
/// same reason share a line.
///
/// It prints commands that free tasks, and runs none. `lpwatch explain TID` shows
/// more about one task.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Show only the transition of this patch (the name of its module). Default: the
    /// patch that is in transition.
    #[arg(add = ArgValueCandidates::new(completions::patches))]
    patch: Option<String>,

    /// Show all tasks, even if many have the same reason.
    #[arg(short, long)]
    all: bool,

    /// Show the kernel stack of each task.
    #[arg(short, long)]
    stack: bool,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch tasks                       which tasks are left, and why
  lpwatch tasks --stack               with their kernel stacks
  lpwatch tasks -o jsonl | jq .task.tid
                                      one JSON document per task

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
        output.json(&TasksDocument::of(&snapshot, report.as_ref()))?;
    } else {
        let options = TasksOptions {
            stack: args.stack,
            all: args.all,
        };
        Printer::text(&match &report {
            Some(report) => render::tasks::tasks(report, &output.style, options),
            None => render::tasks::nothing(name.as_deref(), &snapshot, &output.style),
        })?;
    }
    Ok(exit)
}
