//! `lpwatch wait`: returns the moment the transition ends.

mod document;
mod one;
mod report;

use std::{collections::BTreeSet, io::IsTerminal, sync::Arc, time::Duration};

use clap::ValueEnum;
use clap_complete::ArgValueCandidates;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use crate::{
    exit::Exit,
    kernel::host::Host,
    model::{
        Snapshot,
        document::{DocumentHead, Source},
    },
};

use super::{
    args::{Globals, some_time},
    completions,
    output::Printer,
    snapshots::SnapshotStream,
};

pub(super) use document::WaitDocument;

use one::{TransitionWait, Wanted};
use report::WaitReport;

/// How long without a new state until the last one is judged again.
const AGAIN: Duration = Duration::from_secs(1);

/// Wait until the transition ends, and report how it ended.
///
/// The exit code says what happened: 0 if the transition completed, 12 if it was
/// reversed or failed, 11 if no task has switched for --stall-after (without that flag
/// it continues to wait), and 124 after --timeout.
///
/// If nothing is in transition, it returns at once. Without PATCH it then reports the
/// transition that ended in the last 30 s, if there is one, as if it had waited for
/// it. With PATCH it reports the last transition of that patch, or its state. With
/// --or-appear it waits for a patch that is not loaded yet.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Wait for these patches (the names of their modules), until each of them is
    /// over. Default: the patch in transition.
    #[arg(value_name = "PATCH", add = ArgValueCandidates::new(completions::patches))]
    patches: Vec<String>,

    /// Stop waiting after this time.
    #[arg(short, long, value_name = "TIME", value_parser = some_time)]
    timeout: Option<Duration>,

    /// If PATCH is not loaded, wait at most this long until it is. Without PATCH: until
    /// any transition begins. What ended before this command began does not count.
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    or_appear: Option<Duration>,

    /// What to wait for.
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value_t)]
    goal: Goal,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Goal {
    /// The end of the transition.
    #[default]
    Completed,
    /// Fewer tasks are left than when this command began, or the end.
    Progress,
    /// No task has switched for 60 s, or the end. --stall-after sets another time; without
    /// it, that of the daemon applies if one runs.
    Stalled,
    /// The end, and then a call that enters the new code.
    Effective,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch wait --timeout 10m
  lpwatch wait lp_fix --or-appear 1m --stall-after 2m
                                      start it before the patch is loaded
  lpwatch wait lp_fix --for effective --timeout 5m
                                      until its new code runs
  lpwatch wait lp_a lp_b              until both are over

Exit codes:
  0 completed; with --for progress: fewer tasks are left; with --for effective: every
    function that was called runs its new code
  11 stalled, with --stall-after or --for stalled   12 reversed or failed
  13 with --for effective: new code does not run
  15 with --for effective: whether it runs cannot be known
  124 --timeout or --or-appear has passed   1 the patch is not loaded
  Several patches: the first of 13, 12, 11, 124, 15, 0 that one of them has";

/// Exit codes of several patches, the worst first.
const WORST_FIRST: [Exit; 5] = [
    Exit::Danger,
    Exit::Failed,
    Exit::Stalled,
    Exit::TimedOut,
    Exit::NotProved,
];

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let wanted = args.wanted(globals, &output);
    let mut waits = Waits::new(globals, args, &wanted);
    let watched = waits.until_over();
    match args.timeout {
        None => watched.await?,
        Some(timeout) => {
            if let Ok(ended) = tokio::time::timeout(timeout, watched).await {
                ended?;
            } else {
                waits.time_out(timeout)?;
            }
        }
    }
    wanted.progress.finish_and_clear();
    Ok(waits.exit())
}

impl Args {
    fn wanted<'a>(&self, globals: &Globals, output: &'a Printer) -> Wanted<'a> {
        let has_bar = std::io::stderr().is_terminal() && !output.is_json();
        Wanted {
            output,
            goal: self.goal,
            ends_at_stall: self.goal == Goal::Stalled || globals.thresholds.stall_after().is_some(),
            may_appear: self.or_appear.is_some(),
            progress: if has_bar {
                bar()
            } else {
                ProgressBar::hidden()
            },
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The waits for each patch.
struct Waits<'a> {
    globals: &'a Globals,
    args: &'a Args,
    wanted: &'a Wanted<'a>,
    open: Vec<TransitionWait<'a>>,
    latest: Option<Arc<Snapshot>>,
    exits: Vec<Exit>,
    /// The notes that were printed.
    noted: BTreeSet<String>,
}

impl<'a> Waits<'a> {
    fn new(globals: &'a Globals, args: &'a Args, wanted: &'a Wanted<'a>) -> Self {
        let asked: Vec<Option<&str>> = match args.patches.as_slice() {
            [] => vec![None],
            patches => patches.iter().map(|patch| Some(patch.as_str())).collect(),
        };
        let open = asked
            .into_iter()
            .map(|asked| TransitionWait::new(asked, wanted));
        Self {
            globals,
            args,
            wanted,
            open: open.collect(),
            latest: None,
            exits: Vec::new(),
            noted: BTreeSet::new(),
        }
    }

    async fn until_over(&mut self) -> anyhow::Result<()> {
        let mut appear_until = self.args.or_appear.map(|time| Instant::now() + time);
        let mut stream = match self.wanted.goal {
            Goal::Effective => SnapshotStream::counting(self.globals).await?,
            Goal::Completed | Goal::Progress | Goal::Stalled => {
                SnapshotStream::open(self.globals).await?
            }
        };
        while !self.open.is_empty() {
            // Whether new code runs is not known at once, and need not be news.
            let again = (self.wanted.goal == Goal::Effective).then(|| Instant::now() + AGAIN);
            tokio::select! {
                snapshot = stream.next() => self.latest = Some(snapshot?),
                () = until(again.into_iter().chain(appear_until).min()) => {}
            }
            if let Some(latest) = self.latest.clone() {
                self.end_each(|wait| wait.judge(&latest))?;
                if self.open.iter().any(|wait| wait.is_blind(&latest)) {
                    self.note(&latest);
                }
            }
            if appear_until.is_some_and(|until| Instant::now() >= until) {
                appear_until = None;
                let time = self.args.or_appear.unwrap_or_default();
                self.end_each(|wait| Ok(wait.give_up_appearance(time)))?;
            }
        }
        Ok(())
    }

    /// What has not come to an end before the time has passed.
    fn time_out(&mut self, timeout: Duration) -> anyhow::Result<()> {
        self.end_each(|wait| Ok(Some(wait.timed_out(timeout))))
    }

    /// Prints the reports of the waits that are over.
    fn end_each(
        &mut self,
        mut end: impl FnMut(&mut TransitionWait<'a>) -> anyhow::Result<Option<WaitReport>>,
    ) -> anyhow::Result<()> {
        for mut wait in std::mem::take(&mut self.open) {
            match end(&mut wait)? {
                Some(report) => {
                    self.exits.push(report.exit);
                    self.print(&report)?;
                    if let Some(latest) = self.latest.clone().filter(|_| report.goes_on()) {
                        self.note(&latest);
                    }
                }
                None => self.open.push(wait),
            }
        }
        Ok(())
    }

    fn print(&self, report: &WaitReport) -> anyhow::Result<()> {
        let output = self.wanted.output;
        self.wanted.progress.suspend(|| {
            if !output.is_json() {
                return Printer::text(&report.line);
            }
            let before = || {
                let host = Host::of(&self.globals.roots());
                DocumentHead::new(host.node, host.release, Timestamp::now(), Source::Sysfs)
            };
            output.json(&WaitDocument::of(self.latest.as_deref(), before, report))
        })
    }

    /// Prints what is missing on this host, each note once. JSON has it in the document.
    fn note(&mut self, snapshot: &Snapshot) {
        if self.wanted.output.is_json() {
            return;
        }
        for note in &snapshot.notes {
            if self.noted.insert(note.clone()) {
                let text = self.wanted.output.style.text(note);
                let print = || eprintln!("lpwatch: {text}");
                self.wanted.progress.suspend(print);
            }
        }
    }

    fn exit(&self) -> Exit {
        let mut worst = WORST_FIRST.into_iter();
        worst
            .find(|exit| self.exits.contains(exit))
            .unwrap_or(Exit::Success)
    }
}

/// A bar that claims no number until one is known.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template("{msg}, {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn numbers() -> ProgressStyle {
    ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} tasks, {elapsed}").map_or_else(
        |_| ProgressStyle::default_bar(),
        |style| style.progress_chars("=> "),
    )
}

#[cfg(test)]
mod tests;
