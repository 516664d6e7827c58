//! `lpwatch events`: what happened, in order.

use std::time::Duration;

use clap_complete::ArgValueCandidates;
use jiff::Timestamp;

use crate::{
    daemon::client::{Client, Stream},
    error::Error,
    exit::Exit,
    history::EntryFilter,
    model::{document::DocumentLine, journal::EventLine},
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
    let connected = snapshots::connect(globals).await;
    let absent = || needs_daemon("`lpwatch events --follow`");
    let mut client = connected.map_err(|missing| missing.error(absent))?;
    let mut after: Option<u64> = None;
    let began = Timestamp::now();
    // Whether a daemon has ended, and the next one has not answered.
    let mut waits = false;
    loop {
        // A restart hides no event, also if none was printed before.
        let first = args.since.or_else(|| waits.then_some(began));
        let since = first.filter(|_| after.is_none());
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
        match client.events(&path).await {
            Ok(stream) => {
                waits = false;
                print_each(stream, &mut after, output).await?;
            }
            // Until the kernel has closed its socket, one that was killed can be reached.
            Err(Error::DaemonEnded { .. }) => {}
            Err(error) if waits => tracing::warn!(%error, "the next daemon does not answer yet"),
            Err(error) => return Err(error.into()),
        }
        if !std::mem::replace(&mut waits, true) {
            eprintln!("lpwatch: the daemon has ended; waiting for the next one");
        }
        client = next_daemon(globals).await;
    }
}

/// Prints each event until the daemon ends; `after` is the last one.
async fn print_each(
    mut stream: Stream<EventLine>,
    after: &mut Option<u64>,
    output: &Printer,
) -> anyhow::Result<()> {
    loop {
        match stream.next().await {
            Ok(Some(EventLine { head, entry })) => {
                *after = Some(entry.id);
                if output.is_json() {
                    output.json(&DocumentLine::new(&head, &entry))?;
                } else {
                    Printer::text(&events::line(&entry, &output.style))?;
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the stream of events is broken");
                return Ok(());
            }
        }
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{UnixListener, UnixStream},
    };

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        globals: Globals,
        #[command(flatten)]
        args: Args,
    }

    /// The first line of the next request.
    async fn request(listener: &UnixListener) -> (UnixStream, String) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        (stream, text.lines().next().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn a_daemon_that_was_killed_is_waited_for_and_no_event_is_left_out() {
        const EMPTY: &[u8] =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 0\r\n\r\n";
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("lpwatch.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let words = ["events", "--follow", "--socket", socket.to_str().unwrap()];
        let line = Line::parse_from(words);
        let output = Printer::new(&line.globals);
        let daemons = async {
            let (mut stream, first) = request(&listener).await;
            stream.write_all(EMPTY).await.unwrap();
            drop(stream);
            // It ends before it answers: it is being killed.
            let (stream, second) = request(&listener).await;
            drop(stream);
            let (_stream, third) = request(&listener).await;
            (first, second, third)
        };
        let (first, second, third) = tokio::select! {
            requests = daemons => requests,
            ended = follow(&line.globals, &line.args, None, &output) => {
                panic!("it gives up: {ended:?}")
            }
        };
        assert_eq!(first, "GET /api/v1/events/stream? HTTP/1.1");
        for again in [second, third] {
            assert!(
                again.starts_with("GET /api/v1/events/stream?since="),
                "{again}"
            );
        }
    }
}
