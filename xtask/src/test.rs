//! `cargo xtask test`: lints and unit tests, one quick look at a real stall, and
//! then, side by side, the status page in a browser, Prometheus over a fleet, the
//! package, and every scenario in every kernel.

mod boot;
mod catalogue;
mod guests;
mod lint;
mod load;
mod meter;
mod part;
mod plan;
mod pool;
mod prepare;
pub mod report;
mod summary;
mod timings;
mod unit;

use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::build::Scenarios;
use crate::cli::TestArgs;
use crate::{build, dist, fleet, interrupt, page, process};
use catalogue::{ONE_KERNEL, Scenario, Wanted};
use guests::Guests;
use part::Part;
use plan::Plan;
use pool::{Kind, Work};
use report::{Outcome, Report};
use summary::Summary;
use timings::{Begun, Timings};

/// Guests and other parts at once, for each processor.
const MOST_PER_PROCESSOR: usize = 3;

/// Runs `cargo xtask test`.
pub fn run(args: &TestArgs) -> Result<ExitCode> {
    if args.list {
        let plan = Plan::of(args);
        let list = build::scenario_list()?;
        print!("{}", catalogue::text(&choose(&list, args, &plan)?));
        return Ok(ExitCode::SUCCESS);
    }
    let run = Run {
        args,
        plan: Plan::of(args),
        timings: Timings::start(),
        summary: Mutex::default(),
    };
    let result = run.everything();
    println!("{}", run.timings.text());
    if let Some(file) = &args.timings {
        let json = serde_json::to_vec_pretty(&run.timings.json())?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    result?;
    let summary = run.summary.into_inner();
    let summary = summary.unwrap_or_else(PoisonError::into_inner);
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

struct Run<'a> {
    args: &'a TestArgs,
    plan: Plan,
    timings: Timings,
    summary: Mutex<Summary>,
}

impl Run<'_> {
    /// First what fails fast; nothing else is tried once it has failed.
    fn everything(&self) -> Result<()> {
        if self.plan.has(Part::Lint) && !self.step(Part::Lint, lint::formatting) {
            return Ok(());
        }
        let ahead = prepare::Ahead::default();
        thread::scope(|scope| {
            let _stop = ahead.stop_at_end();
            scope.spawn(|| ahead.run(&self.plan, self.args, &self.timings));
            self.after_formatting()
        })
    }

    fn after_formatting(&self) -> Result<()> {
        self.timings
            .of("set-up: BPF toolchain", crate::setup::for_build)?;
        if self.plan.has(Part::Lint) && !self.step(Part::Lint, lint::lints) {
            return Ok(());
        }
        if self.plan.has(Part::Unit) {
            let (count, failed) = self.timings.of(Part::Unit.title(), unit::run)?;
            self.note(|summary| summary.note(Part::Unit, count, failed));
            if count.failed > 0 {
                return Ok(());
            }
        }
        if !self.plan.needs_programs() || interrupt::asked() {
            return self.page_alone();
        }
        let programs = self.timings.of("build: programs for guests", || {
            build::guest_programs(Scenarios::Needed)
        })?;
        if !self.plan.has(Part::Vm) {
            self.side_by_side(Vec::new(), &[Part::Fleet, Part::Dist, Part::Page]);
            return Ok(());
        }
        let Some((_, runner)) = programs.last() else {
            bail!("nothing was built")
        };
        let list = process::run(Command::new(runner).arg("list"))?;
        let scenarios = choose(&list, self.args, &self.plan)?;
        let mut guests = Guests::new(self.args, programs);
        let result = thread::scope(|scope| {
            let mut rest = vec![Part::Fleet, Part::Dist, Part::Page];
            if self.plan.is_everything() {
                // The smoke scenarios mostly wait; the page gives way to them.
                rest.pop();
                scope.spawn(|| self.beside_guests(Part::Page));
            }
            self.scenarios(&mut guests, &scenarios, &rest)
        });
        self.note(|summary| summary.kernels = guests.fates());
        result
    }

    /// The smoke scenarios, then all others beside the rest of the parts.
    fn scenarios(&self, guests: &mut Guests, chosen: &[Scenario], rest: &[Part]) -> Result<()> {
        if self.plan.is_everything() {
            let name = format!("smoke: {} in {ONE_KERNEL}", plan::SMOKE.join(", "));
            let passed = self
                .timings
                .of(name, || guests.smoke(chosen, &self.timings))?;
            if !passed {
                return Ok(());
            }
        }
        self.timings
            .of("set-up: the rest of kernels and modules", || {
                guests.prepare()
            })?;
        self.side_by_side(guests.works(chosen, &self.timings), rest);
        Ok(())
    }

    /// The page needs none of the programs.
    fn page_alone(&self) -> Result<()> {
        if self.plan.has(Part::Page) && !interrupt::asked() {
            let checked = self.timings.of(Part::Page.title(), page::run)?;
            self.note(|summary| summary.note(Part::Page, checked.into(), Vec::new()));
        }
        Ok(())
    }

    /// Everything that takes long, as much of it at once as the machine bears.
    fn side_by_side<'a>(&'a self, mut works: Vec<Work<'a>>, rest: &[Part]) {
        for &part in rest {
            if self.plan.has(part) {
                works.push(Work {
                    title: part.title().to_owned(),
                    // They take long, and what they take is mostly waiting.
                    weight: f64::MAX,
                    // Prometheus scrapes at its own pace, and hosts that answer late
                    // are missing; the others can wait.
                    kind: if part == Part::Fleet {
                        Kind::Paced
                    } else {
                        Kind::Ordinary
                    },
                    run: Box::new(move || self.beside_guests(part)),
                });
            }
        }
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let limits = pool::Limits {
            processors,
            least: self.args.guests.unwrap_or(processors),
            most: self.args.guests.unwrap_or(MOST_PER_PROCESSOR * processors),
        };
        self.timings.of("guests, fleet, package and page", || {
            pool::run(works, limits);
        });
    }

    fn beside_guests(&self, part: Part) {
        if part != Part::Fleet {
            prepare::give_way();
        }
        let begun = Begun::now(part.title());
        let mut count = None;
        let reports = match part {
            Part::Fleet => fleet::run(),
            Part::Dist => dist::test::run(),
            Part::Page => match page::run() {
                Ok(checked) => {
                    count = Some(checked.into());
                    Vec::new()
                }
                Err(error) => vec![Report::missing("page", &format!("{error:#}"))],
            },
            // These do not run beside guests.
            Part::Lint | Part::Unit | Part::Vm => Vec::new(),
        };
        self.timings.end(begun);
        self.note(|summary| match count {
            Some(count) => summary.note(part, count, reports),
            None => summary.note_reports(part, reports),
        });
    }

    /// Runs a check that comes first; whether it passed.
    fn step(&self, part: Part, check: fn() -> Report) -> bool {
        let begun = Begun::now(part.title());
        let report = check();
        self.timings.end(begun);
        let passed = report.outcome != Outcome::Failed;
        self.note(|summary| summary.note_reports(part, vec![report]));
        passed
    }

    fn note(&self, with: impl FnOnce(&mut Summary)) {
        with(&mut self.summary.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The scenarios that were asked for, of those that the runner lists.
fn choose(list: &str, args: &TestArgs, plan: &Plan) -> Result<Vec<Scenario>> {
    let wanted = Wanted {
        only: &args.only,
        parts: &plan.names,
        groups: &args.group,
    };
    catalogue::choose(catalogue::parse(list), wanted)
}
