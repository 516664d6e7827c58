//! `lpwatch events`: what happened, in order.

use std::time::Duration;

use clap_complete::ArgValueCandidates;
use jiff::Timestamp;

use crate::{
    daemon::client::Client,
    exit::Exit,
    history::EntryFilter,
    model::{
        document::DocumentLine,
        journal::{Entry, EventLine},
    },
    render::events,
};

use super::{
    args::Globals,
    completions,
    output::Printer,
    past::{self, PastArgs, needs_daemon, query},
    snapshots,
};

/// How long to wait for the next daemon after one has ended.
const AGAIN: Duration = Duration::from_secs(1);

/// Show what happened on this host, in order: transitions that began, became slow,
/// stalled, were reversed or ended, patches that were refused, modules that were loaded,
/// and so on.
///
/// The daemon records the events. Without a daemon this command reads the history that
/// the daemon has written.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Only events of this patch (the name of its module).
    #[arg(add = ArgValueCandidates::new(completions::patches))]
    patch: Option<String>,

    /// Go on with each new event, until interrupted. Without --since and --limit it
    /// begins with the next event.
    #[arg(short, long)]
    follow: bool,

    /// Only events since this time: an age such as 2h or 7d, a date, or a time.
    #[arg(long, value_name = "TIME", value_parser = past::since)]
    since: Option<Timestamp>,

    /// At most this many events, the newest (default 1000).
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: Option<u32>,

    #[command(flatten)]
    past: PastArgs,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch events                      what happened
  lpwatch events --since 1h           what happened in the last hour
  lpwatch events --follow -o jsonl    each new event as a line of JSON

Exit codes:
  0 events were shown, or there are none   1 neither a daemon nor a history
  2 usage   3 no permission";

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let patch = args.patch.as_deref().map(past::module_name);
    if args.follow {
        return follow(globals, args, patch, &output).await;
    }
    let filter = EntryFilter {
        patch,
        since: args.since,
        limit: args.limit.unwrap_or(1000) as usize,
        ..EntryFilter::default()
    };
    let mut past = args.past.open(globals, "events").await?;
    let document = past.events(globals, &filter).await?;
    if output.is_lines() {
        for entry in &document.events {
            output.json(&DocumentLine::new(&document.head, entry))?;
        }
    } else if output.is_json() {
        output.json(&document)?;
    } else {
        Printer::text(&events::events(&document, &output.style))?;
    }
    Ok(Exit::Success)
}

async fn follow(
    globals: &Globals,
    args: &Args,
    patch: Option<String>,
    output: &Printer,
) -> anyhow::Result<Exit> {
    let mut client = match snapshots::connect(globals).await {
        Ok(client) => client,
        Err(missing) => {
            if let Some(note) = missing.note()? {
                tracing::warn!("{note}");
            }
            return Err(needs_daemon("`lpwatch events --follow`").into());
        }
    };
    let mut after: Option<u64> = None;
    loop {
        let since = args.since.filter(|_| after.is_none());
        let limit = args.limit.filter(|_| after.is_none());
        let path = query(
            "/api/v1/events/stream",
            &[
                ("patch", patch.clone()),
                ("since", since.map(|since| since.to_string())),
                ("limit", limit.map(|limit| limit.to_string())),
                ("after", after.map(|after| after.to_string())),
            ],
        );
        let mut stream = client.events(&path).await?;
        loop {
            match stream.next().await {
                Ok(Some(EventLine { head, entry })) => {
                    after = Some(entry.id);
                    if output.is_json() {
                        output.json(&DocumentLine::new(&head, &entry))?;
                    } else {
                        let _: &Entry = &entry;
                        Printer::text(&events::line(&entry, &output.style))?;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "the stream of events is broken");
                    break;
                }
            }
        }
        eprintln!("lpwatch: the daemon has ended; waiting for the next one");
        client = next_daemon(globals).await;
    }
}

/// Waits for a daemon.
async fn next_daemon(globals: &Globals) -> Client {
    loop {
        tokio::time::sleep(AGAIN).await;
        if let Ok(client) = snapshots::connect(globals).await {
            return client;
        }
    }
}
