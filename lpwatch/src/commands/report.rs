//! `lpwatch report`: all about one transition, in one file.

use std::{fs, io::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap_complete::ArgValueCandidates;

use crate::{
    error::Error,
    exit::Exit,
    history::{EntryFilter, RecordFilter},
    kernel::host,
    model::{
        Snapshot,
        journal::{Entry, Record},
        report::{MOST_EVENTS, ReportDocument, ReportTime},
    },
    observe::{clock, report_facts},
    render::report,
};

use super::{
    args::Globals,
    completions,
    output::Printer,
    past::{Past, PastArgs, module_name},
    snapshots,
};

/// Write all that is known about one transition into one file, for a post-mortem or for
/// a vendor's ticket: how it went, which tasks were left and why, their stacks, what
/// happened, what the kernel logged, and how it was observed.
///
/// Without an ID it is about the transition under way. If none is under way, it is about
/// the last one in the history.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The transition with this number in `lpwatch history`.
    #[arg(value_name = "ID", conflicts_with = "patch")]
    id: Option<u64>,

    /// The transition of this patch (the name of its module).
    #[arg(long, value_name = "PATCH", add = ArgValueCandidates::new(completions::patches))]
    patch: Option<String>,

    /// Write the report into this file, as one HTML page that loads nothing; `-` is
    /// standard output.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Replace the names of the host, of its users and of its programs, the same name
    /// always by the same word. The names of patches, functions, modules and kernel
    /// threads stay. lpwatch never records command lines.
    #[arg(long)]
    redact: bool,

    #[command(flatten)]
    past: PastArgs,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch report                       about the transition under way, or the last one
  lpwatch report 12 --html lp_fix.html about one in the history, to open in a browser
  lpwatch report --redact --html -     without names, for a ticket

Exit codes:
  0 the report was written   1 there is no such transition, or the file cannot be written
  2 usage   3 no permission";

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let mut document = gather(globals, args).await?;
    if args.redact {
        document =
            report_facts::redacted(document).context("cannot replace the names in the report")?;
    }
    match &args.html {
        Some(file) if file.as_os_str() == "-" => Printer::text(&report::html(&document))?,
        Some(file) => {
            let text = report::html(&document);
            fs::File::create(file)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(|source| Error::File {
                    action: "write",
                    path: file.clone(),
                    source,
                })?;
            eprintln!("lpwatch: the report is in {}", file.display());
        }
        None if output.is_json() => output.json(&document)?,
        None => Printer::text(&report::text(&document, &output.style))?,
    }
    Ok(Exit::Success)
}

/// The transition under way, if that is the one that is asked for.
fn under_way<'a>(snapshot: &'a Snapshot, args: &Args) -> Option<&'a str> {
    if args.id.is_some() {
        return None;
    }
    let asked = args.patch.as_deref().map(module_name);
    let mut patches = snapshot.patches.iter();
    let found = patches.find(|patch| {
        patch.transition.is_some() && asked.as_ref().is_none_or(|name| *name == patch.name)
    });
    found.map(|patch| patch.name.as_str())
}

async fn gather(globals: &Globals, args: &Args) -> Result<ReportDocument, Error> {
    let snapshot = snapshots::now(globals).await?;
    let mut notes = Vec::new();
    let patch = under_way(&snapshot, args).map(str::to_owned);
    let mut past = match args.past.open(globals, "transitions").await {
        Ok(past) => Some(past),
        // Of a transition under way it only adds events.
        Err(error) if patch.is_some() => {
            notes.push(without_events(&error));
            None
        }
        Err(error) => return Err(error),
    };
    let ended = match (&patch, &mut past) {
        (None, Some(past)) => Some(ended(globals, past, args).await?),
        _ => None,
    };
    let name = match &ended {
        Some(record) => record.transition.patch.clone(),
        None => patch,
    };
    let roots = globals.roots();
    let now = host::boot_id(&roots);
    let span = if let Some(record) = &ended {
        ReportTime::of_ended(record, now.as_deref())
    } else {
        let uptime = clock::now().boot.as_secs_f64();
        ReportTime::under_way(&snapshot, name.as_deref(), now, uptime)
    };
    let events = match &mut past {
        Some(past) => match events(globals, past, name.as_deref(), &span, &mut notes).await {
            Err(error) if ended.is_none() => {
                notes.push(without_events(&error));
                Vec::new()
            }
            read => read?,
        },
        None => Vec::new(),
    };
    let kernel_log = report_facts::kernel_log(&roots, name.as_deref(), &span, &mut notes);
    let patch = name.as_deref();
    Ok(ReportDocument::new(
        &snapshot, patch, ended, events, kernel_log, notes,
    ))
}

/// The note of a report about a transition under way of which no events are known.
fn without_events(error: &Error) -> String {
    match error {
        Error::NoHistory(_) => {
            "No daemon has recorded events: the report contains none.".to_owned()
        }
        error => format!("The report contains no events: {error}."),
    }
}

/// The transition that the history contains.
async fn ended(globals: &Globals, past: &mut Past, args: &Args) -> Result<Record, Error> {
    let filter = RecordFilter {
        id: args.id,
        patch: args.patch.as_deref().map(module_name),
        limit: 1,
        ..RecordFilter::default()
    };
    let found = past.records(globals, &filter).await?;
    found.transitions.into_iter().next().ok_or_else(|| {
        Error::NoHistory(match (args.id, &args.patch) {
            (Some(id), _) => {
                format!("The history has no transition {id}. To list them:\n    lpwatch history")
            }
            (None, Some(patch)) => format!(
                "No transition of {patch} is under way, and the history has none. To list \
                 them:\n    lpwatch history"
            ),
            (None, None) => "Nothing is in transition, and the history is empty.".to_owned(),
        })
    })
}

async fn events(
    globals: &Globals,
    past: &mut Past,
    patch: Option<&str>,
    span: &ReportTime,
    notes: &mut Vec<String>,
) -> Result<Vec<Entry>, Error> {
    let filter = EntryFilter {
        patch: patch.map(str::to_owned),
        limit: MOST_EVENTS,
        ..EntryFilter::default()
    };
    let mut document = past.events(globals, &filter).await?;
    notes.append(&mut document.notes);
    Ok(span.of_it(document.events))
}
