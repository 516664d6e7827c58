//! Snapshots with numbers of calls: from a daemon where one runs, which has
//! counted all along; from our own counting where none does.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    error::Error,
    model::{ObservedFact, Snapshot, snapshot::Probe},
};

use super::{
    args::{Globals, duration},
    snapshots::{self, Stream},
};

/// How long is counted where no daemon has done so.
const DEFAULT: Duration = Duration::from_secs(10);

/// Flags of the commands that count.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct CountArgs {
    /// Count for this long where no daemon runs (default 10s). A daemon has
    /// counted all along and answers at once.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
}

impl CountArgs {
    /// A snapshot with numbers of calls.
    pub async fn snapshot(&self, globals: &Globals) -> Result<Snapshot, Error> {
        if let Ok(snapshot) = snapshots::of_daemon(globals).await {
            return Ok(snapshot);
        }
        let time = self.time.unwrap_or(DEFAULT);
        let mut stream = Stream::counting(globals).await?;
        let first = stream.next().await?;
        if !counts(&first) {
            return Ok(Snapshot::clone(&first));
        }
        let progress = progress(time);
        tokio::time::sleep(time).await;
        progress.finish_and_clear();
        let mut snapshot = Snapshot::clone(&*stream.ask().await?);
        snapshot.notes.push(format!(
            "No daemon runs: calls were counted for {} s only, so there is no before. For that, \
             run `lpwatch daemon` from before the patch is loaded.",
            time.as_secs_f64()
        ));
        Ok(snapshot)
    }
}

/// Whether there is anything to count, and a way to.
fn counts(snapshot: &Snapshot) -> bool {
    let hooked = |probe: &Probe| probe.fact == ObservedFact::Begun && probe.attached;
    !snapshot.patches.is_empty() && snapshot.probes.iter().any(hooked)
}

fn progress(time: Duration) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(format!("counting calls for {} s", time.as_secs_f64()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
