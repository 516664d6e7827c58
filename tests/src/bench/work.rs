//! The loop that is timed: a system call that enters one function, once.

use std::fs::File;
use std::hint;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, getppid};

/// Calls before the clock is started: caches fill, translations are made.
const WARMING_UP: u64 = 2000;

/// A loop is run in parts, and the median of them counts: a part in which the
/// host was busy elsewhere is left out.
const PARTS: u64 = 5;

/// About what one part takes, while nothing is hooked.
const PART_NANOSECONDS: f64 = 150e6;

/// What is called.
pub enum Work {
    /// getppid(2), the cheapest of all system calls that are left alone.
    Getppid,
    /// A read of /proc/cmdline, whose function the patch `lp_cmdline` replaces.
    Cmdline(File),
}

/// A loop's time.
pub struct Timed {
    pub nanoseconds_per_call: f64,
    /// The calls made, all of them.
    pub made: u64,
}

impl Work {
    pub fn cmdline() -> Result<Self> {
        let file = File::open("/proc/cmdline").context("opening /proc/cmdline")?;
        Ok(Self::Cmdline(file))
    }

    /// How many calls a part should have, so that it takes neither too short
    /// nor too long.
    pub fn calls_per_part(&self) -> Result<u64> {
        let trial = WARMING_UP * 10;
        let one = on_one_processor(|| {
            self.call(WARMING_UP)?;
            self.one_part(trial)
        })?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some hundred thousand"
        )]
        let calls = (PART_NANOSECONDS / one) as u64;
        Ok(calls.max(trial))
    }

    /// Runs the loop.
    pub fn time(&self, calls_per_part: u64) -> Result<Timed> {
        let mut parts = on_one_processor(|| {
            self.call(WARMING_UP)?;
            let parts = (0..PARTS).map(|_| self.one_part(calls_per_part));
            parts.collect::<Result<Vec<f64>>>()
        })?;
        parts.sort_unstable_by(f64::total_cmp);
        let median = parts.get(parts.len() / 2).context("no part was run")?;
        Ok(Timed {
            nanoseconds_per_call: *median,
            made: WARMING_UP + PARTS * calls_per_part,
        })
    }

    /// The nanoseconds that a call takes in a loop of so many.
    fn one_part(&self, calls: u64) -> Result<f64> {
        let started = Instant::now();
        self.call(calls)?;
        Ok(started.elapsed().as_secs_f64() * 1e9 / float(calls))
    }

    /// Makes that many calls.
    pub fn call(&self, times: u64) -> Result<()> {
        match self {
            Self::Getppid => {
                for _ in 0..times {
                    hint::black_box(getppid());
                }
            }
            Self::Cmdline(file) => {
                let mut buffer = [0; 64];
                for _ in 0..times {
                    file.read_at(&mut buffer, 0)?;
                }
            }
        }
        Ok(())
    }
}

/// Does it in a thread that stays on one processor, so that every round is the
/// same, and so that the processes started here are not bound to it as well.
fn on_one_processor<T: Send>(what: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let bound = || {
        let mut second = CpuSet::new();
        second.set(1)?;
        sched_setaffinity(Pid::from_raw(0), &second).context("staying on one processor")?;
        what()
    };
    let joined = thread::scope(|scope| scope.spawn(bound).join());
    joined.map_err(|_| anyhow!("a thread panicked"))?
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts here are far below 2 to the 52nd"
)]
fn float(count: u64) -> f64 {
    count as f64
}
