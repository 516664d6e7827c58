//! `lpwatch history`: the transitions that have ended, also before this boot.

use clap::ValueEnum;
use clap_complete::ArgValueCandidates;
use jiff::Timestamp;

use crate::{
    error::Error,
    exit::Exit,
    history::RecordFilter,
    model::{Outcome, document::DocumentLine},
    render::history,
};

use super::{
    args::Globals,
    completions,
    output::Printer,
    past::{self, PastArgs},
};

/// Show the transitions that have ended, newest first: how each went, which tasks
/// blocked it, and whether the forecast of `lpwatch check` came true.
///
/// The daemon keeps the history in a file, so that it survives restarts, crashes and
/// reboots. Without a daemon this command reads the file itself.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Show all about the transition with this number.
    #[arg(value_name = "ID", conflicts_with_all = ["patch", "outcome", "since", "limit"])]
    id: Option<u64>,

    /// Only transitions of this patch (the name of its module).
    #[arg(long, value_name = "PATCH", add = ArgValueCandidates::new(completions::patches))]
    patch: Option<String>,

    /// Only transitions with this outcome.
    #[arg(long, value_enum, value_name = "OUTCOME")]
    outcome: Option<OutcomeArg>,

    /// Only transitions that ended since this time: an age such as 2h or 7d, a date, or
    /// a time.
    #[arg(long, value_name = "TIME", value_parser = past::since)]
    since: Option<Timestamp>,

    /// At most this many transitions, the newest (default 100).
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: Option<u32>,

    #[command(flatten)]
    past: PastArgs,
}

/// The outcomes, as flags.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutcomeArg {
    Completed,
    Reversed,
    Forced,
    Cancelled,
    Refused,
    Unknown,
}

impl From<OutcomeArg> for Outcome {
    fn from(outcome: OutcomeArg) -> Self {
        match outcome {
            OutcomeArg::Completed => Self::Completed,
            OutcomeArg::Reversed => Self::Reversed,
            OutcomeArg::Forced => Self::Forced,
            OutcomeArg::Cancelled => Self::Cancelled,
            OutcomeArg::Refused => Self::Refused,
            OutcomeArg::Unknown => Self::Unknown,
        }
    }
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch history                     the transitions that have ended
  lpwatch history 12                  all about one of them
  lpwatch history --outcome reversed --since 30d
  lpwatch history -o json | jq .      with courses, tasks and calls

Exit codes:
  0 transitions were shown, or there are none
  1 no transition has this ID, or neither a daemon nor a history
  2 usage   3 no permission";

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let limit = args.limit.unwrap_or(100);
    let patch = args.patch.as_deref().map(past::module_name);
    let outcome = args.outcome.map(Outcome::from);
    let filter = RecordFilter {
        id: args.id,
        patch,
        outcome,
        since: args.since,
        limit: limit as usize,
        // The list shows neither the course nor the tasks.
        brief: args.id.is_none() && !output.is_json() && !output.is_lines(),
    };
    let mut past = args.past.open(globals, "transitions").await?;
    let document = past.records(globals, &filter).await?;
    if let Some(id) = args.id
        && document.transitions.is_empty()
    {
        return Err(Error::NoHistory(format!(
            "The history has no transition {id}. To list them:\n    lpwatch history"
        ))
        .into());
    }
    if output.is_lines() {
        for record in &document.transitions {
            output.json(&DocumentLine::new(&document.head, record))?;
        }
    } else if output.is_json() {
        output.json(&document)?;
    } else {
        Printer::text(&match (args.id, document.transitions.first()) {
            (Some(_), Some(record)) => history::one(record, &document.head, &output.style),
            _ => history::list(&document, &output.style),
        })?;
    }
    Ok(Exit::Success)
}
