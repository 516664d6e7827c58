//! Fetches and builds ahead, while the compiler is busy with the unit tests: what
//! a mirror or a disk makes one wait for costs no time then.

use std::sync::atomic::{AtomicBool, Ordering};

use super::guests::chosen_series;
use super::part::Part;
use super::plan::Plan;
use super::timings::Timings;
use crate::cli::TestArgs;
use crate::kernels::{Cached, Series};
use crate::{dist, interrupt, modules, page, setup, ui};

/// As of nice(1).
const NICENESS: i32 = 10;

/// Work ahead; whoever needs its results does what of it is missing.
#[derive(Default)]
pub struct Ahead {
    stopped: AtomicBool,
}

/// Stops the work ahead when the run ends early.
pub struct Stop<'a>(&'a Ahead);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }
}

/// Has this thread, and all it starts from now on, give way to others: niceness is
/// a thread's own on Linux, and its children have it (sched(7)).
pub fn give_way() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        ui::note(format!(
            "niceness cannot be set, which costs some time: {error}"
        ));
    }
}

impl Ahead {
    pub fn stop_at_end(&self) -> Stop<'_> {
        Stop(self)
    }

    /// Does all that the parts of the plan need.
    pub fn run(&self, plan: &Plan, args: &TestArgs, timings: &Timings) {
        let mut kernels = if plan.has(Part::Vm) {
            chosen_series(&args.kernel)
        } else {
            Vec::new()
        };
        // The compiler comes first.
        give_way();
        // The first scenario to run is one of 6.12; the fleet has it as well.
        kernels.sort_by_key(|series| *series != Series::V6_12);
        let step = |name: String, work: &dyn Fn() -> anyhow::Result<()>| {
            if self.stopped.load(Ordering::Relaxed) || interrupt::asked() {
                return;
            }
            if let Err(error) = timings.of(format!("ahead: {name}"), work) {
                // Whoever needs it tries again, and says what comes of it.
                ui::note(format!("{name}: {error:#}"));
            }
        };
        if !kernels.is_empty() {
            step("packages".to_owned(), &setup::for_tests);
        }
        for series in kernels {
            step(format!("kernel and modules of {series}"), &|| {
                modules::for_kernel(&Cached::get(series, false)?).map(drop)
            });
        }
        if plan.has(Part::Page) {
            step("the page's browser".to_owned(), &page::prepare);
        }
        if plan.has(Part::Fleet) {
            step("Prometheus".to_owned(), &|| {
                setup::prometheus::ensure().map(drop)
            });
        }
        if plan.has(Part::Dist) {
            step("systems for the package".to_owned(), &dist::test::prepare);
        }
    }
}
