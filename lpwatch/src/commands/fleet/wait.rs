//! `lpwatch fleet wait`: waits until enough hosts are on new code.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    commands::{
        args::{Globals, some_time},
        output::Printer,
    },
    exit::Exit,
    fleet::{
        hosts::{FleetHost, hosts},
        queries::FleetQuery,
        rollout::Rollout,
        selector::PatchPattern,
        source::FleetSource,
        wait::{Percent, RolloutWait, WaitOutcome},
    },
    render::fleet::{self, FleetHead, WaitEnd},
};

use super::{
    head,
    prometheus::{IntervalArgs, PrometheusArgs},
};

/// Wait until enough hosts are on new code, and report the result.
///
/// Exits with 0 when --percent of the known hosts are on new code. Exits with 12 if so
/// many hosts have failed that this cannot be reached, with 11 if so many are stalled
/// or have failed, and with 124 after --timeout. With --stall-after it also exits
/// with 11 if no host has changed for that long; choose a longer time than the pauses
/// between waves. Hosts that do not report count like any other, and may come back.
///
/// A restart of Prometheus does not end the wait. It exits with 1 if Prometheus does
/// not answer the first query, and with 3 if Prometheus refuses access.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The patch (the name of its module); `*` matches any characters.
    patch: PatchPattern,

    /// Wait for this share of the hosts.
    #[arg(long, value_name = "PERCENT", default_value = "100")]
    percent: Percent,

    /// Stop waiting after this time.
    #[arg(short, long, value_name = "TIME", value_parser = some_time)]
    timeout: Option<Duration>,

    #[command(flatten)]
    interval: IntervalArgs,

    #[command(flatten)]
    prometheus: PrometheusArgs,
}

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let source = args
        .prometheus
        .source(Some(&args.patch), &FleetQuery::STATES)?;
    let mut waiting = FleetWait {
        wait: RolloutWait::new(args.percent, globals.thresholds.stall_after()),
        source: source.remembering(),
        args,
        latest: None,
        progress: if std::io::stderr().is_terminal() && !output.is_json() {
            bar()
        } else {
            ProgressBar::hidden()
        },
    };
    let watched = waiting.until_over();
    let (result, exit) = match args.timeout {
        None => result_of(watched.await?),
        Some(timeout) => match tokio::time::timeout(timeout, watched).await {
            Ok(end) => result_of(end?),
            Err(_) => ("timed_out", Exit::TimedOut),
        },
    };
    waiting.progress.finish_and_clear();
    waiting.report(&output, result, exit)?;
    Ok(exit)
}

fn result_of(end: WaitOutcome) -> (&'static str, Exit) {
    match end {
        WaitOutcome::Reached => ("reached", Exit::Success),
        WaitOutcome::Failed => ("failed", Exit::Failed),
        WaitOutcome::Stalled => ("stalled", Exit::Stalled),
        WaitOutcome::NoChange => ("no_change", Exit::Stalled),
    }
}

struct FleetWait<'a> {
    wait: RolloutWait,
    source: FleetSource,
    args: &'a Args,
    /// The hosts in the last response.
    latest: Option<(Timestamp, Vec<FleetHost>)>,
    progress: ProgressBar,
}

/// How a wait for a rollout ended.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "FleetWaitDocument"))]
pub(in crate::commands) struct FleetWaitReport<'a> {
    #[serde(flatten)]
    head: FleetHead,
    /// How the wait ended: `reached`, `stalled`, `no_change`, `failed` or `timed_out`.
    result: &'static str,
    /// The [exit code](fleet.md#lpwatch-fleet-wait) of the command.
    exit_code: u8,
    /// The percentage of the known hosts that was waited for.
    percent: f64,
    /// How long the command waited, in seconds.
    waited_seconds: f64,
    /// Why Prometheus gave no answer at the end; `null` if it did.
    trouble: Option<&'a str>,
    /// The rollout as last seen; `null` if Prometheus never answered. The wait does
    /// not ask for durations, ages and `not_effective`.
    rollout: Option<&'a Rollout>,
}

impl FleetWait<'_> {
    async fn until_over(&mut self) -> Result<WaitOutcome, crate::Error> {
        // The first query must succeed: it shows that the URL is right.
        let mut look = Some(self.source.look().await?);
        loop {
            match look {
                None => self.wait.forget_progress(),
                Some(look) => {
                    let hosts = hosts(&look.facts, |_| true);
                    self.show(&hosts);
                    let end = self.wait.judge(self.source.now(), &hosts);
                    self.latest = Some((look.at, hosts));
                    if let Some(end) = end {
                        return Ok(end);
                    }
                }
            }
            tokio::time::sleep(self.args.interval.interval).await;
            look = self.source.next_look().await?;
        }
    }

    fn show(&self, hosts: &[FleetHost]) {
        let rollout = crate::fleet::rollout::ByState::of(hosts);
        let as_u64 = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.progress.set_length(as_u64(hosts.len()));
        self.progress.set_position(as_u64(rollout.on_new_code));
        let stalled = match rollout.stalled {
            0 => String::new(),
            stalled => format!(", {stalled} stalled"),
        };
        self.progress.set_message(format!("on new code{stalled}"));
    }

    fn report(&self, output: &Printer, result: &'static str, exit: Exit) -> anyhow::Result<()> {
        let rollout = self
            .latest
            .as_ref()
            .map(|(_, hosts)| Rollout::of(self.args.patch.as_str(), hosts));
        let waited = self.source.now();
        let at = self
            .latest
            .as_ref()
            .map_or_else(Timestamp::now, |(at, _)| *at);
        if output.is_json() {
            return output.json(&FleetWaitReport {
                head: head(&self.source, at),
                result,
                exit_code: exit as u8,
                percent: self.args.percent.get(),
                waited_seconds: (waited.as_secs_f64() * 1e3).round() / 1e3,
                trouble: self.source.trouble(),
                rollout: rollout.as_ref(),
            });
        }
        let end = WaitEnd {
            patch: self.args.patch.as_str(),
            result,
            percent: self.args.percent,
            waited,
            trouble: self.source.trouble(),
            rollout: rollout.as_ref(),
        };
        Printer::text(&fleet::waited(&end, &output.style))
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:30}] {pos}/{len} hosts {msg}, {elapsed}");
    let bar = ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}
