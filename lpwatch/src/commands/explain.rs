//! `lpwatch explain`: why one task is still on old code.

use clap::builder::NonEmptyStringValueParser;
use clap_complete::ArgValueCandidates;

use crate::{
    error::Error,
    exit::Exit,
    kernel::tasks::may_read,
    model::TaskReport,
    render::{self, style::Style},
};

use super::{args::Globals, completions, output::Printer, snapshots, status::exit_of};

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
    /// container: its id on the host. Or the name of a task, if only one of the tasks
    /// left has it.
    #[arg(value_name = "TID|NAME", value_parser = NonEmptyStringValueParser::new(), add = ArgValueCandidates::new(completions::tasks))]
    task: String,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch explain 139
  lpwatch explain nginx               by name, if one task left has it
  lpwatch explain 139 -o json | jq .task.program

Exit codes:
  10 in transition   11 stalled   1 the task is not among those left
  3 no permission to read whether it is";

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let snapshot = snapshots::now(globals).await?;
    let exit = exit_of(&snapshot);
    let report = TaskReport::of(&snapshot, None);
    let tid = match args.task.parse() {
        Ok(tid) => tid,
        Err(_) => named(&args.task, report.as_ref(), &output.style)?,
    };
    let wait = report
        .as_ref()
        .and_then(|report| Some((report, report.wait(tid)?)));
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
        .and_then(|report| Some((report, report.task(tid)?)))
    else {
        if let Some(report) = &report
            && report.transition.tasks_remaining.is_none()
            && !report.daemon
            && may_read(&globals.roots(), tid) != Some(true)
        {
            let text = render::explain::not_known(tid, report, &output.style);
            return Err(Error::NoRights(text).into());
        }
        anyhow::bail!(render::explain::not_left(
            tid,
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

/// The id of the one task left with this name.
fn named(name: &str, report: Option<&TaskReport>, style: &Style) -> anyhow::Result<u32> {
    let blockers = report.map_or(&[][..], |report| &report.blockers);
    let tids: Vec<u32> = blockers
        .iter()
        .filter(|blocker| blocker.comm == name)
        .map(|blocker| blocker.tid)
        .collect();
    match *tids.as_slice() {
        [tid] => Ok(tid),
        [] if report.is_some_and(|report| report.transition.tasks_remaining.is_none()) => {
            let text = render::explain::names_not_known(name, style);
            Err(Error::NoRights(text).into())
        }
        _ => anyhow::bail!(render::explain::not_one(name, &tids, report, style)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples::{stalled, task};

    #[test]
    fn a_name_stands_for_the_one_task_that_has_it() {
        let mut report = TaskReport::of(&stalled(), None).unwrap();
        report.blockers = vec![
            task(7, "one", false),
            task(8, "two", true),
            task(9, "two", true),
        ];
        report.transition.tasks_remaining = Some(3);
        let style = Style::default();
        let of = |name, report: &TaskReport| named(name, Some(report), &style);
        assert_eq!(of("one", &report).unwrap(), 7);
        let two = of("two", &report).unwrap_err().to_string();
        assert_eq!(
            two,
            "2 of the tasks that lp_stall has left have the name `two`: 8, 9. To explain the \
             first:\n    lpwatch explain 8"
        );
        let none = of("none", &report).unwrap_err().to_string();
        assert_eq!(
            none,
            "no task that lp_stall has left has the name `none`. To list the tasks left:\n    \
             lpwatch tasks"
        );
        report.transition.tasks_remaining = None;
        let unknown = of("none", &report).unwrap_err();
        assert!(matches!(unknown.downcast_ref(), Some(Error::NoRights(_))));
        let nothing = named("one", None, &style).unwrap_err().to_string();
        assert_eq!(
            nothing,
            "nothing is in transition, so no task named `one` blocks a patch"
        );
    }
}
