//! `cargo xtask test`: the unit tests, the status page in a browser, Prometheus
//! over a fleet, the package, then every scenario in every kernel.

mod boot;
mod part;
pub mod report;
mod summary;
mod unit;

use std::collections::VecDeque;
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, bail};

use crate::build::Scenarios;
use crate::cli::TestArgs;
use crate::kernels::{Cached, Series};
use crate::{build, dist, fleet, interrupt, modules, page, process, setup, ui};
use boot::{Common, Job};
use part::Part;
use report::{Report, Scenario, parse_list};
use summary::{Fate, Summary};

/// More guests at once than this gain nothing: each takes a whole processor.
const MOST_GUESTS: usize = 4;

/// Runs `cargo xtask test`.
pub fn run(args: &TestArgs) -> Result<ExitCode> {
    let plan = Plan::of(args);
    let mut summary = Summary::default();
    for part in plan.parts.iter().copied() {
        if interrupt::asked() {
            break;
        }
        match part {
            Part::Unit => summary.note(part, unit::run()?, Vec::new()),
            Part::Page => summary.note(part, page::run()?.into(), Vec::new()),
            Part::Fleet => summary.note_reports(part, fleet::run()),
            Part::Dist => summary.note_reports(part, dist::test::run()),
            Part::Vm => summary.kernels = in_guests(args, &plan)?,
        }
    }
    println!("{}", summary.text());
    if interrupt::asked() {
        println!("interrupted: the rest was not tried");
        return Ok(ExitCode::from(interrupt::EXIT_CODE));
    }
    Ok(if summary.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What the words on the command line ask for.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    parts: Vec<Part>,
    /// Parts of scenario names; none stands for all.
    names: Vec<String>,
}

impl Plan {
    fn of(args: &TestArgs) -> Self {
        let has = |part: &Part| args.filters.iter().any(|filter| filter == part.word());
        let is_name = |filter: &&String| Part::ALL.iter().all(|part| part.word() != *filter);
        let names: Vec<String> = args.filters.iter().filter(is_name).cloned().collect();
        let named = !names.is_empty() || !args.only.is_empty() || !args.kernel.is_empty();
        let all = !named && !Part::ALL.iter().any(has);
        let wanted = |part: &Part| all || has(part) || (named && *part == Part::Vm);
        Self {
            parts: Part::ALL.into_iter().filter(wanted).collect(),
            names,
        }
    }
}

fn in_guests(args: &TestArgs, plan: &Plan) -> Result<Vec<(Series, Fate)>> {
    setup::for_guests()?;
    let programs = build::guest_programs(Scenarios::Needed)?;
    let Some((_, runner)) = programs.last() else {
        bail!("nothing was built")
    };
    let list = process::run(Command::new(runner).arg("list"))?;
    let scenarios = choose(parse_list(&list), &args.only, &plan.names)?;
    let common = Common {
        programs,
        limits: boot::limits(args.silence, args.timeout),
        verbose: args.verbose,
    };

    let mut kernels: Vec<(Series, Fate)> = Vec::new();
    let mut jobs = VecDeque::new();
    for series in chosen_series(&args.kernel) {
        match prepare(series, args.refresh, &scenarios) {
            Ok((release, more)) => {
                jobs.extend(more);
                kernels.push((
                    series,
                    Fate::Tested {
                        release,
                        reports: Vec::new(),
                    },
                ));
            }
            Err(error) => {
                ui::note(format!("kernel {series} WILL NOT BE TESTED: {error:#}"));
                let first = format!("{error:#}")
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                kernels.push((series, Fate::NotTested { why: first }));
            }
        }
    }
    let guests = args.guests.unwrap_or_else(|| {
        thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MOST_GUESTS)
    });
    for (series, reports) in run_all(jobs, &common, guests) {
        let fate = kernels.iter_mut().find(|(other, _)| *other == series);
        if let Some((_, Fate::Tested { reports: all, .. })) = fate {
            all.extend(reports);
        }
    }
    Ok(kernels)
}

fn chosen_series(asked: &[Series]) -> Vec<Series> {
    let all = Series::ALL.into_iter();
    all.filter(|series| asked.is_empty() || asked.contains(series))
        .collect()
}

/// The scenarios named exactly by `only` or in part by `parts`.
fn choose(all: Vec<Scenario>, only: &[String], parts: &[String]) -> Result<Vec<Scenario>> {
    let known: Vec<String> = all.iter().map(|scenario| scenario.name.clone()).collect();
    let unknown = only.iter().find(|name| !known.contains(name)).or_else(|| {
        parts
            .iter()
            .find(|part| !known.iter().any(|name| name.contains(*part)))
    });
    if let Some(unknown) = unknown {
        bail!(
            "no scenario is called `{unknown}`; there are:\n  {}",
            known.join("\n  ")
        );
    }
    let wanted = |name: &String| {
        (only.is_empty() && parts.is_empty())
            || only.contains(name)
            || parts.iter().any(|part| name.contains(part))
    };
    Ok(all
        .into_iter()
        .filter(|scenario| wanted(&scenario.name))
        .collect())
}

/// Gets a kernel and its modules ready, and divides the scenarios into boots.
fn prepare(series: Series, refresh: bool, scenarios: &[Scenario]) -> Result<(String, Vec<Job>)> {
    let kernel = Cached::get(series, refresh)?;
    let Some(modules) = modules::for_kernel(&kernel)? else {
        bail!("there are no test modules: tests/modules is missing");
    };
    let release = kernel.manifest.release.clone();
    let job = |label: &str, scenarios: Vec<String>| Job {
        kernel: kernel.clone(),
        modules: modules.clone(),
        scenarios,
        label: label.to_owned(),
    };
    let (own, shared): (Vec<_>, Vec<_>) = scenarios.iter().partition(|scenario| scenario.own_boot);
    let shared: Vec<String> = shared
        .iter()
        .map(|scenario| scenario.name.clone())
        .collect();
    let mut jobs = Vec::new();
    if !shared.is_empty() {
        jobs.push(job("shared", shared));
    }
    jobs.extend(
        own.iter()
            .map(|scenario| job(&scenario.name, vec![scenario.name.clone()])),
    );
    Ok((release, jobs))
}

/// Runs the jobs, as many guests at a time as there are processors for.
fn run_all(mut jobs: VecDeque<Job>, common: &Common, guests: usize) -> Vec<(Series, Vec<Report>)> {
    // The long ones first, so that none is left running alone at the end.
    jobs.make_contiguous()
        .sort_by_key(|job| std::cmp::Reverse(job.scenarios.len()));
    let jobs = Mutex::new(jobs);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..guests.max(1) {
            scope.spawn(|| {
                while let Some(job) = next(&jobs) {
                    if interrupt::asked() {
                        break;
                    }
                    let run = boot::run(&job, common);
                    let reports = run.unwrap_or_else(|error| missing(&job, &format!("{error:#}")));
                    locked(&results).push((job.kernel.series, reports));
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn missing(job: &Job, why: &str) -> Vec<Report> {
    job.scenarios
        .iter()
        .map(|name| Report::missing(name, why))
        .collect()
}

/// A function of its own: in a `while let` the lock would be held while the
/// job runs, and the guests would boot one after the other.
fn next(jobs: &Mutex<VecDeque<Job>>) -> Option<Job> {
    locked(jobs).pop_front()
}

/// A thread that panicked held nothing half-done here.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command as Subcommand};

    fn plan(words: &[&str]) -> Plan {
        let line = ["xtask", "test"].iter().chain(words);
        match Cli::parse_from(line).command {
            Subcommand::Test(args) => Plan::of(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn filters_say_what_to_run() {
        let parts = |words: &[&str]| plan(words).parts;
        assert_eq!(parts(&[]), Part::ALL);
        for part in Part::ALL {
            assert_eq!(parts(&[part.word()]), [part]);
        }
        assert_eq!(parts(&["unit", "vm"]), [Part::Unit, Part::Vm]);
        assert_eq!(parts(&["--kernel", "6.1"]), [Part::Vm]);
        let stall = plan(&["stall"]);
        assert_eq!((stall.parts, stall.names.len()), (vec![Part::Vm], 1));
    }

    #[test]
    fn scenarios_are_chosen_by_name() {
        let all = parse_list("easy\nstall\nstall_daemon\n");
        let names = |only: &[&str], parts: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
            choose(all.clone(), &owned(only), &owned(parts)).map(|found| {
                found
                    .into_iter()
                    .map(|scenario| scenario.name)
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(names(&[], &[]).unwrap().len(), 3);
        assert_eq!(names(&["stall"], &[]).unwrap(), ["stall"]);
        assert_eq!(names(&[], &["stall"]).unwrap(), ["stall", "stall_daemon"]);
        let error = names(&["stal"], &[]).unwrap_err().to_string();
        assert!(error.contains("stall_daemon"), "{error}");
    }
}
