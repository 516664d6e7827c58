//! `cargo xtask bench`: what lpwatch costs, and that it does no harm.
//!
//! The measuring is done by `lpwatch-scenarios bench` inside a guest; this
//! boots the guest and makes tables of what it reports.

pub mod args;
mod attach;
mod boot;
mod bpftrace;
mod calls;
mod goal;
mod harm;
mod history;
mod place;
mod record;
mod size;
mod spread;
mod stall;
mod table;

use std::process::ExitCode;

use anyhow::Result;

use crate::build::Scenarios;
use crate::kernels::{Cached, Series};
use crate::vm::outcome::{Outcome, report};
use crate::{build, interrupt, modules, setup, ui};
use args::{AttachArgs, Bench, CallsArgs, HarmArgs, LimitArgs, StallArgs};
use boot::{Job, Measured};
use goal::Goal;

/// Runs `cargo xtask bench`.
pub fn run(bench: &Bench) -> Result<ExitCode> {
    match bench {
        Bench::Calls(args) => calls(args),
        Bench::Attach(args) => attach(args),
        Bench::Harm(args) => harm(args),
        Bench::Stall(args) => stall(args),
        Bench::History(args) => Ok(judge(&history::goals(args.rounds)?)),
        Bench::Size => Ok(judge(&size::goals()?)),
    }
}

fn calls(args: &CallsArgs) -> Result<ExitCode> {
    let rounds = args.rounds.unwrap_or(if args.short { 3 } else { 10 });
    let what = What {
        name: "calls",
        arguments: vec!["--rounds".to_owned(), rounds.to_string()],
        bpftrace: true,
        render: calls::tables,
        goals: calls::goals,
    };
    what.measure(&args.kernel, args.limits)
}

fn attach(args: &AttachArgs) -> Result<ExitCode> {
    let rounds = args.rounds.unwrap_or(if args.short { 1 } else { 3 });
    let numbers = match (args.functions.as_slice(), args.short) {
        ([], false) => &[1, 10, 100, 500][..],
        ([], true) => &[1, 10, 100],
        (asked, _) => asked,
    };
    let mut arguments = vec!["--rounds".to_owned(), rounds.to_string()];
    for number in numbers {
        arguments.extend(["--functions".to_owned(), number.to_string()]);
    }
    let what = What {
        name: "attach",
        arguments,
        bpftrace: true,
        render: attach::tables,
        goals: attach::goals,
    };
    what.measure(&args.kernel, args.limits)
}

fn harm(args: &HarmArgs) -> Result<ExitCode> {
    let turns = args.turns.unwrap_or(if args.short { 2 } else { 20 });
    let all = Series::ALL.into_iter();
    let kernels: Vec<Series> = all
        .filter(|series| args.kernel.is_empty() || args.kernel.contains(series))
        .collect();
    let what = What {
        name: "harm",
        arguments: vec!["--turns".to_owned(), turns.to_string()],
        bpftrace: false,
        render: harm::tables,
        goals: |_| Vec::new(),
    };
    what.measure(&kernels, args.limits)
}

fn stall(args: &StallArgs) -> Result<ExitCode> {
    let threads = args
        .threads
        .unwrap_or(if args.short { 1000 } else { 30_000 });
    let what = What {
        name: "stall",
        arguments: vec!["--threads".to_owned(), threads.to_string()],
        bpftrace: false,
        render: stall::tables,
        goals: stall::goals,
    };
    what.measure(&args.kernel, args.limits)
}

/// Prints how each goal was met; fails if one was not.
fn judge(goals: &[Goal]) -> ExitCode {
    for goal in goals {
        println!("- {goal}");
    }
    missed(goals)
}

/// Names the goals that were missed.
fn missed(goals: &[Goal]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for goal in goals.iter().filter(|goal| !goal.is_met()) {
        ui::note(goal.to_string());
        code = ExitCode::FAILURE;
    }
    code
}

/// One of the benchmarks.
struct What {
    name: &'static str,
    /// For `lpwatch-scenarios bench NAME`.
    arguments: Vec<String>,
    /// Whether it takes a bpftrace in the guest.
    bpftrace: bool,
    render: fn(&Measured) -> String,
    /// What is aimed at. A goal that is missed is a failure.
    goals: fn(&Measured) -> Vec<Goal>,
}

impl What {
    /// Measures in one kernel after the other, and prints what came out of it.
    fn measure(&self, kernels: &[Series], limits: LimitArgs) -> Result<ExitCode> {
        setup::for_guests()?;
        let programs = build::guest_programs(Scenarios::Needed)?;
        let mut code = ExitCode::SUCCESS;
        for series in kernels {
            let kernel = Cached::get(*series, false)?;
            let modules = modules::for_kernel(&kernel)?;
            let bpftrace = if self.bpftrace {
                Some(bpftrace::for_kernel(&kernel)?)
            } else {
                None
            };
            let job = Job {
                kernel: &kernel,
                name: self.name,
                arguments: &self.arguments,
                programs: &programs,
                modules: modules.as_deref(),
                bpftrace: bpftrace.as_deref(),
                limits,
            };
            let measured = job.run()?;
            println!("{}\n", self.text(&kernel, &measured));
            if measured.outcome != Outcome::Exit(0) {
                code = report(&measured.outcome, &measured.log);
                ui::note(format!("bench {} failed in {series}", self.name));
            } else if missed(&(self.goals)(&measured)) != ExitCode::SUCCESS {
                code = ExitCode::FAILURE;
            }
            if interrupt::asked() {
                break;
            }
        }
        Ok(code)
    }

    fn text(&self, kernel: &Cached, measured: &Measured) -> String {
        let heading = format!("### Linux {}", kernel.manifest.release);
        let arguments = self.arguments.join(" ");
        let series = kernel.series;
        let command = format!(
            "`cargo xtask bench {} --kernel {series} {arguments}`, {}",
            self.name,
            place::line(),
        );
        let incomplete = match measured.outcome {
            Outcome::Exit(0) => "",
            _ => "**It did not come to its end, or failed.**\n\n",
        };
        format!(
            "{heading}\n\n{command}\n\n{incomplete}{}",
            (self.render)(measured)
        )
    }
}
