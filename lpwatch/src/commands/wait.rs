//! `lpwatch wait`: returns the moment the transition ends.

use std::{io::IsTerminal, sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::{
    exit::Exit,
    model::{
        Direction, Outcome, Phase, Snapshot,
        snapshot::{PastTransition, Transition},
    },
    render,
};

use super::{
    args::{Globals, duration},
    output::Printer,
    snapshots::Stream,
    status::{module_name, no_such_patch},
};

/// Wait until the transition ends, and report how it ended.
///
/// Exits with 0 if the transition completed, 12 if it was reversed or failed, 11 if no
/// task has switched for --stall-after (without that flag it continues to wait), and
/// 124 after --timeout. If nothing is in transition, it returns at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Wait for this patch (the name of its module). Default: the patch in transition.
    patch: Option<String>,

    /// Stop waiting after this time.
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

/// How the wait ended.
#[derive(Debug, Serialize)]
struct WaitReport {
    patch: Option<String>,
    result: &'static str,
    exit_code: u8,
    #[serde(skip)]
    exit: Exit,
    transition: Option<PastTransition>,
    #[serde(skip)]
    line: String,
}

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let mut wait = TransitionWait::new(globals, args, &output);
    let watched = wait.until_over();
    let report = match args.timeout {
        None => Some(watched.await?),
        Some(timeout) => tokio::time::timeout(timeout, watched)
            .await
            .ok()
            .transpose()?,
    };
    let report = report.unwrap_or_else(|| wait.timed_out(args.timeout.unwrap_or_default()));
    wait.progress.finish_and_clear();
    if output.is_json() {
        output.json(&report)?;
    } else {
        Printer::text(&report.line)?;
    }
    Ok(report.exit)
}

struct TransitionWait<'a> {
    globals: &'a Globals,
    output: &'a Printer,
    asked: Option<&'a str>,
    /// The patch, once its transition was seen.
    patch: Option<String>,
    latest: Option<Arc<Snapshot>>,
    progress: ProgressBar,
}

impl<'a> TransitionWait<'a> {
    fn new(globals: &'a Globals, args: &'a Args, output: &'a Printer) -> Self {
        let progress = if std::io::stderr().is_terminal() && !output.is_json() {
            bar()
        } else {
            ProgressBar::hidden()
        };
        Self {
            globals,
            output,
            asked: args.patch.as_deref(),
            patch: None,
            latest: None,
            progress,
        }
    }

    async fn until_over(&mut self) -> anyhow::Result<WaitReport> {
        let mut stream = Stream::open(self.globals).await?;
        loop {
            let snapshot = stream.next().await?;
            self.latest = Some(snapshot.clone());
            if let Some(report) = self.judge(&snapshot)? {
                return Ok(report);
            }
        }
    }

    /// The report, if the wait is over.
    fn judge(&mut self, snapshot: &Snapshot) -> anyhow::Result<Option<WaitReport>> {
        let first = self.patch.is_none();
        let Some(patch) = self.target(snapshot) else {
            return Ok(Some(report(None, Exit::Success, "nothing", None, || {
                "Nothing is in transition.".to_owned()
            })));
        };
        let transition = snapshot
            .patch(&patch)
            .and_then(|patch| patch.transition.as_ref());
        if let Some(transition) = transition {
            self.show(&patch, transition);
            let gives_up = self.globals.thresholds.stall_after().is_some()
                && transition.phase == Some(Phase::Stalled);
            self.patch = Some(patch.clone());
            return Ok(gives_up.then(|| self.stalled(patch, transition)));
        }
        let loaded = snapshot.patch(&patch);
        match (snapshot.last_transition(&patch), loaded) {
            // The transition failed before the wait began, and the patch is in force.
            (Some(past), Some(loaded))
                if first && loaded.enabled == Some(true) && !past.outcome.is_success() =>
            {
                Ok(Some(self.not_in_transition(patch)))
            }
            (Some(past), _) => Ok(Some(self.ended(patch, past))),
            (None, Some(loaded)) if loaded.was_refused() => {
                Ok(Some(self.refused(patch, loaded.failure.as_deref())))
            }
            (None, Some(_)) => Ok(Some(self.not_in_transition(patch))),
            (None, None) if first => Err(no_such_patch(&patch).into()),
            (None, None) => Ok(Some(self.gone(patch))),
        }
    }

    /// The patch given, or the one in transition.
    fn target(&self, snapshot: &Snapshot) -> Option<String> {
        if let Some(patch) = &self.patch {
            return Some(patch.clone());
        }
        match self.asked {
            Some(asked) => Some(module_name(snapshot, asked)),
            None => snapshot
                .patches
                .iter()
                .find(|patch| patch.transition.is_some())
                .map(|patch| patch.name.clone()),
        }
    }

    fn show(&self, patch: &str, transition: &Transition) {
        if let (Some(total), Some(left)) = (transition.tasks_total, transition.tasks_remaining) {
            self.progress.set_length(total.into());
            self.progress
                .set_position(total.saturating_sub(left).into());
        }
        let phase = transition
            .phase
            .map(|phase| format!(", {}", word(phase)))
            .unwrap_or_default();
        let patch = self.output.style.text(patch);
        self.progress
            .set_message(format!("{patch}: {}{phase}", transition.direction.name()));
    }

    fn ended(&self, patch: String, past: &PastTransition) -> WaitReport {
        let exit = if past.outcome.is_success() {
            Exit::Success
        } else {
            Exit::Failed
        };
        report(
            Some(patch),
            exit,
            past.outcome.name(),
            Some(past.clone()),
            || render::outcome::past(past, &self.output.style),
        )
    }

    fn not_in_transition(&self, patch: String) -> WaitReport {
        let line = format!("{}: not in transition.", self.output.style.text(&patch));
        report(Some(patch), Exit::Success, "nothing", None, || line)
    }

    /// Its engine reports that it refused the patch, at an unknown time.
    fn refused(&self, patch: String, why: Option<&str>) -> WaitReport {
        let style = &self.output.style;
        let why = why.map_or(String::new(), |why| format!(": {}", style.text(why)));
        let line = format!("{}: refused{why}.", style.text(&patch));
        let result = Outcome::Refused.name();
        report(Some(patch), Exit::Failed, result, None, || line)
    }

    /// The patch is no longer loaded, and the end was not observed.
    fn gone(&self, patch: String) -> WaitReport {
        let line = format!(
            "{}: no longer loaded; the outcome of its transition is unknown.",
            self.output.style.text(&patch)
        );
        report(Some(patch), Exit::Failed, "unknown", None, || line)
    }

    fn stalled(&self, patch: String, transition: &Transition) -> WaitReport {
        let line = format!(
            "{}: stalled while {}{}.",
            self.output.style.text(&patch),
            transition.direction.name(),
            left(transition),
        );
        report(Some(patch), Exit::Stalled, "stalled", None, || line)
    }

    fn timed_out(&self, timeout: Duration) -> WaitReport {
        let patch = self.patch.clone();
        let transition = self
            .latest
            .as_deref()
            .zip(patch.as_deref())
            .and_then(|(snapshot, name)| snapshot.patch(name)?.transition.as_ref());
        let name = patch.as_deref().or(self.asked).unwrap_or("The transition");
        let line = format!(
            "{}: still {} after {timeout:?}{}.",
            self.output.style.text(name),
            transition
                .map_or(Direction::Patching, |transition| transition.direction)
                .name(),
            transition.map(left).unwrap_or_default(),
        );
        report(patch, Exit::TimedOut, "timed_out", None, || line)
    }
}

fn report(
    patch: Option<String>,
    exit: Exit,
    result: &'static str,
    transition: Option<PastTransition>,
    line: impl FnOnce() -> String,
) -> WaitReport {
    WaitReport {
        patch,
        result,
        exit_code: exit as u8,
        exit,
        transition,
        line: line(),
    }
}

fn left(transition: &Transition) -> String {
    match (transition.tasks_remaining, transition.tasks_total) {
        (Some(left), Some(total)) => format!("; {left} of {total} tasks left on old code"),
        _ => String::new(),
    }
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Progressing => "progressing",
        Phase::Slow => "slow",
        Phase::Long => "long",
        Phase::Stalled => "stalled",
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} tasks, {elapsed}");
    let bar = ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}
