//! Snapshots with call counts: from the daemon if one runs, otherwise from counting
//! for a while.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::{
    error::Error,
    model::{
        ObservedFact, Snapshot,
        snapshot::{Patch, Probe},
    },
};

use super::{
    args::{Globals, some_time},
    snapshots::{self, SnapshotStream},
};

/// How long to count without a daemon.
const DEFAULT: Duration = Duration::from_secs(10);

/// How long to wait at most until the counters are attached.
const ATTACHED_WITHIN: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(100);

/// Flags of the commands that count calls.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct CountArgs {
    /// Count for this long if no daemon runs (default 10s). A daemon counts all the
    /// time and answers at once.
    #[arg(long = "for", value_name = "TIME", value_parser = some_time)]
    time: Option<Duration>,
}

impl CountArgs {
    /// A snapshot with call counts.
    ///
    /// `has_before` is whether the table has a column of the calls before the patch.
    pub async fn snapshot(&self, globals: &Globals, has_before: bool) -> Result<Snapshot, Error> {
        let no_daemon = match snapshots::from_daemon(globals).await {
            Ok(snapshot) => return Ok(snapshot),
            Err(missing) => missing.note()?,
        };
        let time = self.time.unwrap_or(DEFAULT);
        let mut stream = SnapshotStream::counting(globals).await?;
        let first = stream.next().await?;
        if !counts(&first) {
            let mut snapshot = Snapshot::clone(&first);
            snapshot.notes.extend(no_daemon);
            return Ok(snapshot);
        }
        let progress = progress(&format!("counting calls for {} s", time.as_secs_f64()));
        all_counted(&mut stream).await?;
        tokio::time::sleep(time).await;
        progress.finish_and_clear();
        let mut snapshot = Snapshot::clone(&*stream.ask().await?);
        let no_daemon_runs = no_daemon.is_none() && globals.may_ask_daemon();
        snapshot.notes.extend(no_daemon);
        snapshot.notes.push(note(time, no_daemon_runs, has_before));
        Ok(snapshot)
    }
}

/// That calls were counted for a short time only, and what is missing because of it.
fn note(time: Duration, no_daemon_runs: bool, has_before: bool) -> String {
    let lost = if has_before {
        ", so BEFORE/S is unknown"
    } else {
        ""
    };
    let counted = format!("alls were counted for {} s only{lost}.", time.as_secs_f64());
    match (no_daemon_runs, has_before) {
        (true, true) => format!(
            "No daemon runs: c{counted} To count calls before a patch, start `lpwatch daemon` \
             before you load the patch."
        ),
        (true, false) => format!(
            "No daemon runs: c{counted} A daemon (`lpwatch daemon`) counts from the moment a \
             patch is loaded."
        ),
        (false, _) => format!("C{counted}"),
    }
}

/// Whether there are functions to count, and hooks to count them.
fn counts(snapshot: &Snapshot) -> bool {
    let hooked = |probe: &Probe| probe.fact == ObservedFact::Begun && probe.attached;
    !snapshot.patches.is_empty() && snapshot.probes.iter().any(hooked)
}

/// Waits until every function of an enabled patch is counted, or has a reason why it is
/// not: on a busy host attaching takes longer than counting is to last.
async fn all_counted(stream: &mut SnapshotStream<'_>) -> Result<(), Error> {
    let end = Instant::now() + ATTACHED_WITHIN;
    while !stream.ask().await?.patches.iter().all(is_counted) && Instant::now() < end {
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}

fn is_counted(patch: &Patch) -> bool {
    // There is nothing to count in a module that is not loaded.
    let objects = patch.objects.iter();
    let objects = objects.filter(|object| object.patched != Some(false));
    let mut functions = objects.flat_map(|object| &object.functions);
    patch.enabled != Some(true)
        || functions.all(|function| match &function.calls {
            Some(calls) => calls.entered.is_some() || calls.not_entered.is_some(),
            None => function.not_counted.is_some(),
        })
}

pub(super) fn progress(message: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(message.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_the_table_does_not_have_is_not_explained() {
        let time = Duration::from_secs(10);
        for runs in [true, false] {
            assert!(note(time, runs, true).contains("BEFORE/S"));
            let text = note(time, runs, false);
            assert!(
                text.contains("for 10 s only.") && !text.contains("BEFORE/S"),
                "{text}"
            );
        }
    }
}
