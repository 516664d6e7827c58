//! `lpwatch explain`: why one task is still on old code.

use crate::{error::Error, exit::Exit, kernel::tasks::may_read, model::TaskReport, render};

use super::{args::Globals, output::Printer, snapshots, status::exit_of};

/// Explain why one task has not switched to the new code.
///
/// Shows the task's kernel stack with the blocking frame, what the kernel answered
/// when it checked the task and how often it has checked, the tracing program that
/// causes it, if there is one, with the process that holds it, and what frees the
/// task.
///
/// A transition can also wait for a callback of its patch, or for a CPU that a
/// real-time task keeps. Then explain shows that for the task which runs the callback
/// or keeps the CPU.
///
/// `lpwatch tasks` lists the tasks left. For a task that is not among them, explain
/// exits with 1. It is then unknown whether the task has switched, has ended or
/// never existed. A user who may not read the state of the task cannot know whether
/// it is left: explain exits with 3.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The id of the thread, as in `lpwatch tasks` and `ps -L`. For a thread in a
    /// container: its id on the host.
    tid: u32,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch explain 139
  lpwatch explain 139 -o json | jq .program

Exit codes:
  10 in transition   11 stalled   1 the task is not among those left
  3 no permission to read whether it is";

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let snapshot = snapshots::now(globals).await?;
    let exit = exit_of(&snapshot);
    let report = TaskReport::of(&snapshot, None);
    let wait = report
        .as_ref()
        .and_then(|report| Some((report, report.wait(args.tid)?)));
    if let Some((report, wait)) = wait {
        if output.is_json() {
            output.json(&report.wait_document(wait))?;
        } else {
            Printer::text(&render::waits::explain(wait, report, &output.style))?;
        }
        return Ok(exit);
    }
    let Some((report, task)) = report
        .as_ref()
        .and_then(|report| Some((report, report.task(args.tid)?)))
    else {
        if let Some(report) = &report
            && report.tasks_remaining.is_none()
            && !report.daemon
            && may_read(&globals.roots(), args.tid) != Some(true)
        {
            let text = render::explain::not_known(args.tid, report, &output.style);
            return Err(Error::NoRights(text).into());
        }
        anyhow::bail!(render::explain::not_left(
            args.tid,
            report.as_ref(),
            &output.style
        ));
    };
    if output.is_json() {
        output.json(&report.document(task))?;
    } else {
        Printer::text(&render::explain::explain(task, report, &output.style))?;
    }
    Ok(exit)
}
