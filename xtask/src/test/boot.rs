//! One boot of one kernel, and the scenarios run in it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::meter::Meter;
use super::pool::Kind;
use super::report::{Outcome as Verdict, Report, words_about};
use super::timings::Timings;
use crate::kernels::Cached;
use crate::paths;
use crate::vm::Guest;
use crate::vm::accel::Accel;
use crate::vm::guest::{Contents, Task};
use crate::vm::outcome::{Limits, Outcome};
use crate::vm::qemu::{Machine, Network};

/// What is the same for all boots of a run.
#[derive(Debug, Clone)]
pub struct Common {
    pub programs: Vec<(&'static str, PathBuf)>,
    pub limits: Limits,
    pub accel: Accel,
    /// Show what the scenarios say, not only of those that fail.
    pub verbose: bool,
}

/// Scenarios to be run in one boot.
#[derive(Debug, Clone)]
pub struct Job {
    pub kernel: Cached,
    pub modules: PathBuf,
    pub scenarios: Vec<String>,
    /// Tells the logs of several boots apart.
    pub label: String,
    pub kind: Kind,
}

/// Boots and runs; every scenario of the job has a report in the end.
pub fn run(job: &Job, common: &Common, timings: &Timings) -> Result<Vec<Report>> {
    let series = job.kernel.series.name();
    let log = paths::target("logs").join(format!("test-{series}-{}.log", job.label));
    let mut command = vec!["lpwatch-scenarios".to_owned(), "run".to_owned()];
    for name in &job.scenarios {
        command.extend(["--only".to_owned(), name.clone()]);
    }
    let guest = Guest {
        machine: Machine {
            kernel: job.kernel.image(),
            memory_mib: 2048,
            cpus: 2,
            accel: common.accel,
            niceness: job.kind.niceness(),
            append: String::new(),
            network: Network::None,
        },
        contents: Contents {
            series: series.to_owned(),
            task: Task::Command(command),
            programs: common.programs.clone(),
            modules: Some(job.modules.clone()),
            added: Vec::new(),
            trees: Vec::new(),
        },
        limits: common.limits,
        log: log.clone(),
    };
    std::fs::create_dir_all(paths::target("logs"))?;
    let meter = Rc::new(Meter::default());
    let mut stdout = Reports::new(series, &log, Rc::clone(&meter))?;
    let mut stderr = Words::new(series, &log, common.verbose, Rc::clone(&meter))?;
    let outcome = guest.run_with(&mut stdout, &mut stderr, |qemu| {
        meter.watch(qemu.pid());
        Ok(())
    })?;

    let mut reports = stdout.read;
    timings.note_guest(job.kernel.series, &job.label, meter.boot(), &reports);
    complete(&mut reports, job, &outcome, &log);
    if !common.verbose {
        show_failed(series, &reports, &stderr.text);
    }
    Ok(reports)
}

/// Adds what the guest did not report itself: nothing may pass by being silent.
fn complete(reports: &mut Vec<Report>, job: &Job, outcome: &Outcome, log: &Path) {
    let log = log.display();
    let why = match outcome {
        Outcome::Exit(code) => format!("the runner ended with code {code}"),
        Outcome::Died { why, console } => {
            eprintln!("{console}");
            format!("{why} (log: {log})")
        }
        Outcome::TimedOut { .. } => format!("the boot's time was over (log: {log})"),
        // What was not tried has not failed.
        Outcome::Interrupted => return,
    };
    let reported = reports.len();
    for name in &job.scenarios {
        if !reports.iter().any(|report| &report.scenario == name) {
            reports.push(Report::missing(name, &format!("no report: {why}")));
        }
    }
    let failed = reports
        .iter()
        .any(|report| report.outcome == Verdict::Failed);
    if *outcome != Outcome::Exit(0) && reports.len() == reported && !failed {
        reports.push(Report::missing(
            "(the guest)",
            &format!("after the last scenario: {why}"),
        ));
    }
}

fn show_failed(series: &str, reports: &[Report], stderr: &str) {
    for report in reports
        .iter()
        .filter(|report| report.outcome == Verdict::Failed)
    {
        for line in words_about(&report.scenario, stderr) {
            eprintln!("{series} | {line}");
        }
    }
}

/// Takes the guest's stdout, where each line is a report.
struct Reports {
    series: String,
    file: File,
    partial: Vec<u8>,
    read: Vec<Report>,
    meter: Rc<Meter>,
}

impl Reports {
    fn new(series: &str, log: &Path, meter: Rc<Meter>) -> Result<Self> {
        let file = create(&log.with_extension("stdout.log"))?;
        let (partial, read) = (Vec::new(), Vec::new());
        Ok(Self {
            series: series.to_owned(),
            file,
            partial,
            read,
            meter,
        })
    }

    fn line(&mut self, line: &[u8]) {
        match serde_json::from_slice::<Report>(line) {
            Ok(mut report) => {
                report.processor_seconds = self.meter.lap();
                let Report {
                    scenario,
                    outcome,
                    seconds,
                    ..
                } = &report;
                crate::ui::note(format!(
                    "{:<5} {:<8} {scenario} ({seconds:.1} s)",
                    self.series,
                    outcome.word(),
                ));
                self.read.push(report);
            }
            Err(error) => {
                let text = String::from_utf8_lossy(line);
                eprintln!("{}: not a report ({error}): {text}", self.series);
            }
        }
    }
}

impl Write for Reports {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.partial.extend_from_slice(bytes);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            self.line(line.trim_ascii());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes the guest's stderr, which is for people.
struct Words {
    series: String,
    file: File,
    text: String,
    /// How much of the text has been shown.
    shown: usize,
    verbose: bool,
    meter: Rc<Meter>,
}

impl Words {
    fn new(series: &str, log: &Path, verbose: bool, meter: Rc<Meter>) -> Result<Self> {
        let file = create(&log.with_extension("stderr.log"))?;
        Ok(Self {
            series: series.to_owned(),
            file,
            text: String::new(),
            shown: 0,
            verbose,
            meter,
        })
    }
}

impl Write for Words {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.meter.booted();
        self.file.write_all(bytes)?;
        self.text.push_str(&String::from_utf8_lossy(bytes));
        if self.verbose
            && let Some(end) = self.text[self.shown..].rfind('\n')
        {
            for line in self.text[self.shown..self.shown + end].lines() {
                eprintln!("{} | {line}", self.series);
            }
            self.shown += end + 1;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

/// Limits for a boot of scenarios.
pub fn limits(silence: u64, timeout: u64) -> Limits {
    Limits {
        total: Some(Duration::from_secs(timeout)),
        silence: Some(Duration::from_secs(silence)),
    }
}
