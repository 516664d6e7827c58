//! `--watch`: the same output again after each change.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

use crate::{model::Snapshot, render::json};

use super::{args::interval, snapshots::SnapshotStream};

/// Flags of the commands that can watch.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct WatchArgs {
    /// Show the state again after each change, until interrupted. With -o jsonl: a
    /// line only if something changed besides ages and counts of tries.
    #[arg(short, long)]
    pub watch: bool,

    /// With --watch: show the state at most once in this time.
    #[arg(long, value_name = "TIME", value_parser = interval, requires = "watch")]
    interval: Option<Duration>,
}

/// The states to show, one after another.
pub struct SnapshotPacer<'a> {
    stream: SnapshotStream<'a>,
    interval: Duration,
    resized: Signal,
    latest: Option<Arc<Snapshot>>,
    /// Whether `latest` is still to be shown.
    is_due: bool,
    shown_at: Option<Instant>,
}

impl<'a> SnapshotPacer<'a> {
    pub fn new(stream: SnapshotStream<'a>, args: &WatchArgs) -> anyhow::Result<Self> {
        let resized = signal(SignalKind::window_change()).context("cannot watch the terminal")?;
        Ok(Self {
            stream,
            interval: args.interval.unwrap_or_default(),
            resized,
            latest: None,
            is_due: false,
            shown_at: None,
        })
    }

    /// The next state to show; `None` once the user interrupts.
    pub async fn next(&mut self) -> anyhow::Result<Option<Arc<Snapshot>>> {
        loop {
            let at = self
                .shown_at
                .map_or_else(Instant::now, |at| at + self.interval);
            let is_ready = self.is_due && self.latest.is_some();
            tokio::select! {
                biased;
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted?;
                    return Ok(None);
                }
                () = tokio::time::sleep_until(at), if is_ready => {
                    self.is_due = false;
                    self.shown_at = Some(Instant::now());
                    return Ok(self.latest.clone());
                }
                snapshot = self.stream.next() => {
                    self.latest = Some(snapshot?);
                    self.is_due = true;
                }
                // The table has another width now.
                _ = self.resized.recv() => self.is_due = true,
            }
        }
    }
}

/// The documents that were printed last, without what passes by itself.
#[derive(Default)]
pub struct Printed {
    by_key: BTreeMap<String, Value>,
    text: String,
}

impl Printed {
    /// Whether `document` differs from the last one of this key.
    pub fn is_news<T: Serialize>(&mut self, key: &str, document: &T) -> anyhow::Result<bool> {
        let value = json::without_clock(document)?;
        if self.by_key.get(key) == Some(&value) {
            return Ok(false);
        }
        self.by_key.insert(key.to_owned(), value);
        Ok(true)
    }

    /// Whether a table differs from the last one.
    pub fn is_new_text(&mut self, text: &str) -> bool {
        let is_new = self.text != text;
        if is_new {
            text.clone_into(&mut self.text);
        }
        is_new
    }
}
