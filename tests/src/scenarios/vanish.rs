//! Patches that come and go while lpwatch reads: a folder may vanish at any
//! point of a look, and that is never an error.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::lpwatch::{self, ALONE, ALONE_NO_BPF};
use crate::patch::Patch;
use crate::trial::Trial;

const CYCLES: u32 = 4;

/// No new cycle after this long. On 6.12 a transition rewrites every call of
/// `cond_resched`, and an emulated guest with a busy CPU takes half a minute
/// for that, lpwatch or not.
const ENOUGH: Duration = Duration::from_secs(30);

const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

pub fn run(trial: &mut Trial) -> Result<()> {
    let done = AtomicBool::new(false);
    let mut looks = 0_u32;
    thread::scope(|scope| {
        let cycles = scope.spawn(|| {
            let started = Instant::now();
            let result = (0..CYCLES)
                .take_while(|_| started.elapsed() < ENOUGH)
                .try_for_each(|_| Patch::load("lp_cmdline")?.remove());
            done.store(true, Ordering::Release);
            result
        });
        let looking = look_until(&done, &mut looks);
        let cycling = cycles
            .join()
            .map_err(|_| anyhow::anyhow!("the cycles panicked"))?;
        looking.and(cycling)
    })?;
    trial.figure("looks", looks);
    ensure!(looks >= 2, "looked only {looks} times");
    Ok(())
}

fn look_until(done: &AtomicBool, looks: &mut u32) -> Result<()> {
    while !done.load(Ordering::Acquire) {
        for how in [ALONE, ALONE_NO_BPF] {
            lpwatch::look(&[how])?;
            *looks += 1;
            // The transitions need the processors, too.
            thread::park_timeout(BETWEEN_LOOKS);
        }
    }
    Ok(())
}
