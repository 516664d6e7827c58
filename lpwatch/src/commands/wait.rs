//! `lpwatch wait`: returns the moment the transition ends.

use std::{io::IsTerminal, sync::Arc, time::Duration};

use clap_complete::ArgValueCandidates;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use crate::{
    error::Error,
    exit::Exit,
    kernel::host::Host,
    model::{
        Direction, ObservedFact, Outcome, Phase, Refusal, Snapshot, TaskReport,
        document::{DocumentHead, Source},
        snapshot::{PastTransition, Patch, Transition},
    },
    render::{self, style::Style},
    text::quoted,
};

use super::{
    args::{Globals, some_time},
    completions,
    output::Printer,
    snapshots::Stream,
    status::{LIST, module_name},
};

mod document;

pub(super) use document::WaitDocument;

/// A transition that ended this long before was meant by a `wait` that came too late.
const JUST_ENDED: SignedDuration = SignedDuration::from_secs(30);

/// Wait until the transition ends, and report how it ended.
///
/// Exits with 0 if the transition completed, 12 if it was reversed or failed, 11 if no
/// task has switched for --stall-after (without that flag it continues to wait), and
/// 124 after --timeout.
///
/// If nothing is in transition, it returns at once. Without PATCH it then reports the
/// transition that ended in the last 30 s, if there is one, as if it had waited for
/// it. With PATCH it reports the last transition of that patch, or its state.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Wait for this patch (the name of its module). Default: the patch in transition.
    #[arg(add = ArgValueCandidates::new(completions::patches))]
    patch: Option<String>,

    /// Stop waiting after this time.
    #[arg(short, long, value_name = "TIME", value_parser = some_time)]
    timeout: Option<Duration>,
}

/// How the wait ended.
#[derive(Debug)]
struct WaitReport {
    patch: Option<String>,
    result: &'static str,
    exit: Exit,
    /// The transition that has ended; `None` if none has.
    ended: Option<PastTransition>,
    /// Whether the patch is enabled; `null` if it is not loaded or that is unknown.
    enabled: Option<bool>,
    /// The patches that are in transition instead of the one asked for.
    also_in_transition: Vec<String>,
    /// The transition that goes on; `None` if none does.
    unfinished: Option<TaskReport>,
    line: String,
}

/// The transition of `patch` that goes on when the wait is over.
fn unfinished(snapshot: &Snapshot, patch: &str) -> Option<TaskReport> {
    let mut report = TaskReport::of(snapshot, Some(patch))?;
    let command = format!("\nlpwatch tasks {}", quoted(patch));
    if !report.next.iter().any(|step| step.ends_with(&command)) {
        let words = "To see which tasks are left, and what frees them:";
        report.next.insert(0, format!("{words}{command}"));
    }
    Some(report)
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
        let before = || {
            let host = Host::of(&globals.roots());
            DocumentHead::new(host.node, host.release, Timestamp::now(), Source::Sysfs)
        };
        let latest = wait.latest.as_deref();
        output.json(&WaitDocument::of(latest, before, &report))?;
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
            return Ok(Some(self.came_too_late(snapshot)));
        };
        let loaded = snapshot.patch(&patch);
        if let Some(transition) = loaded.and_then(|loaded| loaded.transition.as_ref()) {
            self.show(&patch, transition);
            let gives_up = self.globals.thresholds.stall_after().is_some()
                && transition.phase == Some(Phase::Stalled);
            self.patch = Some(patch.clone());
            return Ok(gives_up.then(|| {
                let mut report = self.stalled(patch.clone(), transition);
                report.unfinished = unfinished(snapshot, &patch);
                report
            }));
        }
        let report = match (snapshot.last_transition(&patch), loaded) {
            // Something else has happened since that transition.
            (Some(past), Some(loaded)) if first && is_past(past, loaded) => {
                self.not_in_transition(patch, loaded)
            }
            (Some(past), _) => self.ended(past),
            (None, Some(loaded)) if loaded.was_refused() => {
                self.refused(patch, loaded.refusal.as_ref())
            }
            (None, Some(loaded)) => self.not_in_transition(patch, loaded),
            (None, None) if first => return Err(self.not_loaded(patch, snapshot).into()),
            (None, None) => self.gone(patch),
        };
        Ok(Some(if first {
            self.beside_others(report, loaded, snapshot)
        } else {
            report
        }))
    }

    /// Nothing is in transition: reports what ended just now, if anything did.
    fn came_too_late(&self, snapshot: &Snapshot) -> WaitReport {
        let newest = snapshot.last_transitions.first();
        let is_recent = |past: &&PastTransition| {
            snapshot.head.taken_at.duration_since(past.ended_at).abs() <= JUST_ENDED
        };
        match newest.filter(is_recent) {
            Some(past) => self.ended(past),
            None => report(None, Exit::Success, "nothing", None, || {
                let unknown = if reads_log(snapshot) {
                    ""
                } else {
                    " Whether a transition has just ended is unknown, because the kernel log \
                     cannot be read."
                };
                format!("Nothing is in transition.{unknown}")
            }),
        }
    }

    /// Adds the patch's own state, and the patches that are in transition instead.
    fn beside_others(
        &self,
        mut report: WaitReport,
        loaded: Option<&Patch>,
        snapshot: &Snapshot,
    ) -> WaitReport {
        let others = in_transition(snapshot);
        if !others.is_empty() {
            let line = report.line.trim_end_matches('.');
            // The line about one that is not in transition begins with its state.
            let state = match (loaded, &report.ended) {
                (_, None) => String::new(),
                (Some(loaded), Some(_)) => format!("; now {}", state(loaded)),
                (None, Some(_)) => "; now not loaded".to_owned(),
            };
            report.line = format!("{line}{state}; {}.", self.are_in_transition(&others));
        }
        report.enabled = loaded.and_then(|loaded| loaded.enabled);
        report.also_in_transition = others;
        report
    }

    /// `lp_a is in transition`, `lp_a, lp_b are in transition`
    fn are_in_transition(&self, names: &[String]) -> String {
        let style = &self.output.style;
        let shown: Vec<String> = names.iter().map(|name| style.text(name)).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        format!("{} {verb} in transition", shown.join(", "))
    }

    fn not_loaded(&self, name: String, snapshot: &Snapshot) -> Error {
        let others = in_transition(snapshot);
        let hint = if others.is_empty() {
            LIST.to_owned()
        } else {
            format!("; {}{LIST}", self.are_in_transition(&others))
        };
        Error::NoSuchPatch { name, hint }
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
            self.progress.set_style(numbers());
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

    fn ended(&self, past: &PastTransition) -> WaitReport {
        let exit = if past.outcome.is_success() {
            Exit::Success
        } else {
            Exit::Failed
        };
        report(
            past.patch.clone(),
            exit,
            past.outcome.name(),
            Some(past.clone()),
            || render::outcome::past(past, &self.output.style),
        )
    }

    fn not_in_transition(&self, patch: String, loaded: &Patch) -> WaitReport {
        let name = self.output.style.text(&patch);
        let line = format!("{name}: {}, not in transition.", state(loaded));
        report(Some(patch), Exit::Success, "nothing", None, || line)
    }

    /// Its engine reports that it refused the patch, at an unknown time.
    fn refused(&self, patch: String, why: Option<&Refusal>) -> WaitReport {
        let style = &self.output.style;
        let why = why.and_then(Refusal::text);
        let why = why.map_or(String::new(), |why| format!(": {}", style.text(&why)));
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
            left(transition, &self.output.style),
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
            transition
                .map(|transition| left(transition, &self.output.style))
                .unwrap_or_default(),
        );
        let goes_on = self
            .latest
            .as_deref()
            .zip(patch.as_deref())
            .and_then(|(snapshot, name)| unfinished(snapshot, name));
        let mut report = report(patch, Exit::TimedOut, "timed_out", None, || line);
        report.unfinished = goes_on;
        report
    }
}

fn report(
    patch: Option<String>,
    exit: Exit,
    result: &'static str,
    ended: Option<PastTransition>,
    line: impl FnOnce() -> String,
) -> WaitReport {
    WaitReport {
        patch,
        result,
        exit,
        ended,
        enabled: None,
        also_in_transition: Vec::new(),
        unfinished: None,
        line: line(),
    }
}

/// Whether ended transitions are known, from the kernel log or a daemon.
fn reads_log(snapshot: &Snapshot) -> bool {
    let mut logs = snapshot
        .probes
        .iter()
        .filter(|probe| probe.fact == ObservedFact::Log);
    snapshot.daemon || logs.all(|probe| probe.attached)
}

/// Whether a transition that has ended says nothing of the patch now: something else
/// has happened since, or it failed and the patch is in force.
fn is_past(past: &PastTransition, loaded: &Patch) -> bool {
    contradicts(past, loaded) || (loaded.enabled == Some(true) && !past.outcome.is_success())
}

/// Whether `loaded` is not in the state in which this transition left it.
fn contradicts(past: &PastTransition, loaded: &Patch) -> bool {
    let has_ended_well = past.outcome.is_success();
    let left_enabled = match past.direction {
        Some(Direction::Unpatching) => !has_ended_well,
        Some(Direction::Patching) | None => has_ended_well,
    };
    loaded
        .enabled
        .is_some_and(|enabled| enabled != left_enabled)
}

fn state(loaded: &Patch) -> &'static str {
    match loaded.enabled {
        Some(true) => "enabled",
        Some(false) => "disabled",
        None => "loaded, not known whether enabled",
    }
}

/// The names of all patches in transition.
fn in_transition(snapshot: &Snapshot) -> Vec<String> {
    let moving = snapshot
        .patches
        .iter()
        .filter(|patch| patch.transition.is_some());
    moving.map(|patch| patch.name.clone()).collect()
}

fn left(transition: &Transition, style: &Style) -> String {
    if let Some(wait) = &transition.waits_for {
        let sentence = render::waits::sentence(wait, style);
        return format!(". {}", sentence.trim_end_matches('.'));
    }
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
