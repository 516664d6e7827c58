//! The scenarios in real kernels: which guests there are to boot, and what they
//! reported.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use super::boot::{self, Common, Job};
use super::catalogue::{ONE_KERNEL, Scenario};
use super::plan::{self, Boot};
use super::pool::{Kind, Work};
use super::report::{Outcome, Report};
use super::summary::Fate;
use super::timings::Timings;
use crate::cli::TestArgs;
use crate::kernels::{Cached, Series};
use crate::vm::accel;
use crate::vm::qemu::Tcg;
use crate::{modules, setup, ui};

/// A kernel and the modules for it, or why it cannot be tested.
struct Kernel {
    series: Series,
    ready: Result<(Cached, PathBuf), String>,
    reports: Mutex<Vec<Report>>,
}

/// All guests of a run.
pub struct Guests {
    series: Vec<Series>,
    kernels: Vec<Kernel>,
    refresh: bool,
    accel: accel::Asked,
    common: Common,
    /// Run already, in [`ONE_KERNEL`].
    smoked: Vec<String>,
}

impl Guests {
    pub fn new(args: &TestArgs, programs: Vec<(&'static str, PathBuf)>) -> Self {
        Self {
            series: chosen_series(&args.kernel),
            kernels: Vec::new(),
            refresh: args.refresh,
            accel: args.accel.accel,
            common: Common {
                programs,
                limits: boot::limits(args.silence, args.timeout),
                accel: accel::Accel::default(),
                verbose: args.verbose,
            },
            smoked: Vec::new(),
        }
    }

    /// Runs the scenarios that come first; whether all of them passed.
    pub fn smoke(&mut self, scenarios: &[Scenario], timings: &Timings) -> Result<bool> {
        self.get(ONE_KERNEL)?;
        let known = |name: &&&str| scenarios.iter().any(|one| one.name == ***name);
        let names: Vec<String> = plan::SMOKE
            .iter()
            .filter(known)
            .map(|&name| name.to_owned())
            .collect();
        let Some(kernel) = self.kernels.last() else {
            bail!("there is no kernel {ONE_KERNEL}")
        };
        let boot = Boot {
            label: "smoke".to_owned(),
            scenarios: names.clone(),
            kind: Kind::Paced,
            weight: 1.0,
        };
        self.run(kernel, &boot, timings);
        let passed = locked(&kernel.reports)
            .iter()
            .all(|report| report.outcome != Outcome::Failed);
        self.smoked = names;
        Ok(passed)
    }

    /// Gets all other kernels ready.
    pub fn prepare(&mut self) -> Result<()> {
        for series in self.series.clone() {
            if self.kernels.iter().all(|kernel| kernel.series != series) {
                self.get(series)?;
            }
        }
        self.kernels.sort_by_key(|kernel| kernel.series);
        Ok(())
    }

    /// What there is to boot.
    pub fn works<'a>(&'a self, scenarios: &[Scenario], timings: &'a Timings) -> Vec<Work<'a>> {
        let whole = std::env::var_os("LPWATCH_WHOLE").is_some();
        let mut works = Vec::new();
        for kernel in self.kernels.iter().filter(|kernel| kernel.ready.is_ok()) {
            let smoked =
                |one: &Scenario| kernel.series == ONE_KERNEL && self.smoked.contains(&one.name);
            let here: Vec<&Scenario> = scenarios
                .iter()
                .filter(|one| one.runs_in(kernel.series, &self.series, whole) && !smoked(one))
                .collect();
            works.extend(plan::boots(&here).into_iter().map(|boot| Work {
                title: format!("{} {}", kernel.series, boot.label),
                weight: boot.weight,
                kind: boot.kind,
                run: Box::new(move || self.run(kernel, &boot, timings)),
            }));
        }
        works
    }

    /// How every kernel fared.
    pub fn fates(&self) -> Vec<(Series, Fate)> {
        let fate = |kernel: &Kernel| match &kernel.ready {
            Ok((cached, _)) => Fate::Tested {
                release: cached.manifest.release.clone(),
                reports: locked(&kernel.reports).clone(),
            },
            Err(why) => Fate::NotTested { why: why.clone() },
        };
        self.kernels
            .iter()
            .map(|kernel| (kernel.series, fate(kernel)))
            .collect()
    }

    /// Boots a guest; every scenario of it has a report in the end.
    fn run(&self, kernel: &Kernel, boot: &Boot, timings: &Timings) {
        let Ok((cached, modules)) = &kernel.ready else {
            return;
        };
        let job = Job {
            kernel: cached.clone(),
            modules: modules.clone(),
            scenarios: boot.scenarios.clone(),
            label: boot.label.clone(),
            kind: boot.kind,
        };
        let reports = boot::run(&job, &self.common, timings).unwrap_or_else(|error| {
            let why = format!("{error:#}");
            let missing = |name: &String| Report::missing(name, &why);
            job.scenarios.iter().map(missing).collect()
        });
        locked(&kernel.reports).extend(reports);
    }

    /// Gets a kernel and its modules ready. The first one also shows whether
    /// kernels boot on KVM here.
    fn get(&mut self, series: Series) -> Result<()> {
        let is_first = self.kernels.iter().all(|kernel| kernel.ready.is_err());
        let ready = get(series, self.refresh);
        match &ready {
            Ok((cached, _)) if is_first => {
                self.common.accel = accel::choose(self.accel, Tcg::Single, cached)?;
            }
            Ok(_) => {}
            Err(error) => ui::note(format!("kernel {series} WILL NOT BE TESTED: {error:#}")),
        }
        let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
        self.kernels.push(Kernel {
            series,
            ready: ready.map_err(|error| first_line(format!("{error:#}"))),
            reports: Mutex::default(),
        });
        Ok(())
    }
}

fn get(series: Series, refresh: bool) -> Result<(Cached, PathBuf)> {
    setup::for_guests()?;
    let kernel = Cached::get(series, refresh)?;
    let modules = modules::for_kernel(&kernel)?
        .context("there are no test modules: tests/modules is missing")?;
    Ok((kernel, modules))
}

/// The series that were asked for; all if none was.
pub fn chosen_series(asked: &[Series]) -> Vec<Series> {
    let all = Series::ALL.into_iter();
    all.filter(|series| asked.is_empty() || asked.contains(series))
        .collect()
}

/// A thread that panicked held nothing half-done here.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
