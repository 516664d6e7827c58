//! Runs many things at once, as many as keep the processors busy.
//!
//! A guest that waits for the kernel's one-second work leaves its processor
//! idle. So the number of guests is not fixed: another one starts whenever the
//! machine was found to have processor time and memory left.

use std::sync::mpsc;
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
    /// Anything; it gives way to all others.
    Ordinary,
    /// The kernel gives it a time, so it must not be slow: as many as there are
    /// processors, and what they leave is for ordinary ones.
    Paced,
    /// It measures time. As paced ones, and after them: of both together there are as
    /// many as processors.
    Timed,
}

impl Kind {
    /// Whether it must not be slowed by others.
    fn is_urgent(self) -> bool {
        self != Self::Ordinary
    }

    /// As of nice(1), for a guest. With 19 it takes what others leave (sched(7)).
    pub fn niceness(self) -> u8 {
        match self {
            Self::Ordinary => 19,
            Self::Paced | Self::Timed => 0,
        }
    }
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
pub fn run(mut waiting: Vec<Work<'_>>, limits: Limits) {
    waiting.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let (done, ended) = mpsc::channel();
    let mut running: Vec<Kind> = Vec::new();
    let mut started = Instant::now();
    let mut meter = load::Meter::start();
    thread::scope(|scope| {
        // What runs notices by itself that the user asked to stop.
        while !waiting.is_empty() && !interrupt::asked() {
            let load = Load {
                settled: started.elapsed() >= MEASURED_OVER,
                ..meter.read(MEASURED_OVER)
            };
            if let Some(work) = take_next(&mut waiting, &running, load, limits) {
                let done = done.clone();
                let Work {
                    title, kind, run, ..
                } = work;
                ui::note(format!("starting {title}, beside {}", running.len()));
                running.push(kind);
                started = Instant::now();
                scope.spawn(move || {
                    run();
                    // The receiver lives as long as the scope.
                    let _ = done.send(kind);
                });
                continue;
            }
            if let Ok(kind) = ended.recv_timeout(TICK)
                && let Some(place) = running.iter().position(|&other| other == kind)
            {
                running.swap_remove(place);
            }
        }
    });
}

/// The heaviest that may start now, paced ones first and timed ones next: ordinary
/// ones, which give way, have what these leave.
fn take_next<'a>(
    waiting: &mut Vec<Work<'a>>,
    running: &[Kind],
    load: Load,
    limits: Limits,
) -> Option<Work<'a>> {
    let paced_wait = waiting.iter().any(|work| work.kind == Kind::Paced);
    let urgent = if paced_wait { Kind::Paced } else { Kind::Timed };
    let place = [urgent, Kind::Ordinary].iter().find_map(|&kind| {
        let place = waiting.iter().position(|work| work.kind == kind)?;
        may_start(kind, running, load, limits).then_some(place)
    })?;
    Some(waiting.remove(place))
}

/// Whether one of this kind may start now.
fn may_start(next: Kind, running: &[Kind], load: Load, limits: Limits) -> bool {
    let Limits {
        processors,
        least,
        most,
    } = limits;
    if running.len() >= most {
        return false;
    }
    let urgent = running.iter().filter(|kind| kind.is_urgent()).count();
    if next.is_urgent() && urgent >= processors {
        return false;
    }
    if running.len() < least {
        return true;
    }
    load.settled && load.busy < BUSY && load.available_mib >= MEMORY_MIB
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
            settled: true,
        };
        may_start(next, running, load, LIMITS)
    }

    #[test]
    fn idle_processors_and_free_memory_take_another() {
        use Kind::{Ordinary, Paced, Timed};
        assert!(may(Ordinary, &[], 1.0, 0), "one for each processor, always");
        assert!(may(Ordinary, &[Ordinary], 1.0, 0));
        assert!(may(Ordinary, &[Ordinary; 2], 0.5, 9000));
        assert!(!may(Ordinary, &[Ordinary; 2], 0.95, 9000), "busy");
        assert!(!may(Ordinary, &[Ordinary; 2], 0.5, 1000), "little memory");
        assert!(!may(Ordinary, &[Ordinary; 4], 0.1, 9000), "enough");
        assert!(may(Timed, &[Ordinary; 2], 0.1, 9000), "these give way");
        assert!(!may(Timed, &[Timed, Paced], 0.1, 9000), "these do not");
        assert!(may(Paced, &[Ordinary, Paced], 0.5, 9000));
        assert!(
            !may(Paced, &[Paced; 2], 0.5, 9000),
            "one for each processor"
        );
        assert!(may(Ordinary, &[Paced; 2], 0.5, 9000), "in what they leave");
        let load = Load {
            busy: 0.1,
            available_mib: 9000,
            settled: false,
        };
        assert!(!may_start(Ordinary, &[Ordinary; 2], load, LIMITS));
    }

    #[test]
    fn everything_runs_once_and_what_gives_way_comes_last() {
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
            work("paced", 0.5, Kind::Paced),
        ];
        let one = Limits {
            processors: 1,
            least: 1,
            most: 1,
        };
        run(works, one);
        assert_eq!(*order.lock().unwrap(), ["paced", "timed", "heavy", "light"]);
    }
}
