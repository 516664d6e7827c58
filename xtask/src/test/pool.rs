//! Runs many things at once, as many as keep the processors busy.
//!
//! A guest that waits for the kernel's one-second work leaves its processor
//! idle. So the number of guests is not fixed: another one starts whenever the
//! machine was found to have processor time and memory left.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::load::{self, Load};
use crate::{interrupt, ui};

/// Something to run.
pub struct Work<'a> {
    pub title: String,
    /// The larger ones start first, so that none is left running alone at the end.
    pub weight: f64,
    pub kind: Kind,
    pub run: Box<dyn FnOnce() + Send + 'a>,
}

/// What may run beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Anything.
    Ordinary,
    /// It measures time: as many as there are processors, after all others.
    Timed,
}

/// How many may run at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub processors: usize,
    /// However busy the machine is.
    pub least: usize,
    /// However much the machine has left.
    pub most: usize,
}

/// Memory that another guest takes, the translated code included.
const MEMORY_MIB: u64 = 3072;
/// With less of the processors' time in use another guest is worth starting.
const BUSY: f64 = 0.90;
/// The span over which the load is measured; a guest that was just started has
/// shown by then what it takes.
const MEASURED_OVER: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(200);

/// Runs all of it; what was not started when the user asked to stop is left out.
pub fn run(mut works: Vec<Work<'_>>, limits: Limits) {
    works.sort_by(|a, b| {
        let by_kind = a.kind.cmp(&b.kind);
        by_kind.then(b.weight.total_cmp(&a.weight))
    });
    let mut waiting = works.into_iter().peekable();
    let (done, ended) = mpsc::channel();
    let mut running: Vec<Kind> = Vec::new();
    let mut started = Instant::now();
    let mut meter = load::Meter::start();
    thread::scope(|scope| {
        loop {
            if interrupt::asked() {
                // What runs notices by itself.
                break;
            }
            let Some(next) = waiting.peek() else { break };
            let settled = started.elapsed() >= MEASURED_OVER;
            let load = meter.read(MEASURED_OVER);
            if may_start(next.kind, &running, load, settled, limits)
                && let Some(work) = waiting.next()
            {
                let done = done.clone();
                let kind = work.kind;
                running.push(kind);
                started = Instant::now();
                ui::note(format!(
                    "starting {}, beside {}",
                    work.title,
                    running.len() - 1
                ));
                scope.spawn(move || {
                    (work.run)();
                    // The receiver lives as long as the scope.
                    let _ = done.send(kind);
                });
                continue;
            }
            match ended.recv_timeout(TICK) {
                Ok(kind) => {
                    if let Some(place) = running.iter().position(|&other| other == kind) {
                        running.swap_remove(place);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    });
}

/// Whether the next one may start now. `settled` says that the last one that
/// started has had the time to show what it takes.
fn may_start(next: Kind, running: &[Kind], load: Load, settled: bool, limits: Limits) -> bool {
    let Limits {
        processors,
        least,
        most,
    } = limits;
    if running.len() >= most {
        return false;
    }
    if next == Kind::Timed {
        return running.len() < processors;
    }
    if running.len() < least {
        return true;
    }
    settled && load.busy < BUSY && load.available_mib >= MEMORY_MIB
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const LIMITS: Limits = Limits {
        processors: 2,
        least: 2,
        most: 4,
    };

    fn may(next: Kind, running: &[Kind], busy: f64, available_mib: u64) -> bool {
        let load = Load {
            busy,
            available_mib,
        };
        may_start(next, running, load, true, LIMITS)
    }

    #[test]
    fn idle_processors_and_free_memory_take_another() {
        use Kind::{Ordinary, Timed};
        assert!(may(Ordinary, &[], 1.0, 0), "one for each processor, always");
        assert!(may(Ordinary, &[Ordinary], 1.0, 0));
        assert!(may(Ordinary, &[Ordinary; 2], 0.5, 9000));
        assert!(!may(Ordinary, &[Ordinary; 2], 0.95, 9000), "busy");
        assert!(!may(Ordinary, &[Ordinary; 2], 0.5, 1000), "little memory");
        assert!(!may(Ordinary, &[Ordinary; 4], 0.1, 9000), "enough");
        assert!(!may(Timed, &[Ordinary; 2], 0.1, 9000), "time is measured");
        assert!(may(Timed, &[Ordinary], 0.1, 9000));
        let load = Load {
            busy: 0.1,
            available_mib: 9000,
        };
        assert!(!may_start(Ordinary, &[Ordinary; 2], load, false, LIMITS));
    }

    #[test]
    fn everything_runs_once_and_what_is_timed_comes_last() {
        let order = Mutex::new(Vec::new());
        let work = |title: &'static str, weight, kind| {
            let order = &order;
            Work {
                title: title.to_owned(),
                weight,
                kind,
                run: Box::new(move || order.lock().unwrap().push(title)),
            }
        };
        let works = vec![
            work("timed", 9.0, Kind::Timed),
            work("light", 1.0, Kind::Ordinary),
            work("heavy", 2.0, Kind::Ordinary),
        ];
        let one = Limits {
            processors: 1,
            least: 1,
            most: 1,
        };
        run(works, one);
        assert_eq!(*order.lock().unwrap(), ["heavy", "light", "timed"]);
    }
}
