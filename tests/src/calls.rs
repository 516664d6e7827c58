//! Known numbers of calls: the module `lpwatch_calls` makes as many as it is
//! told, and what lpwatch counts is held against that.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::contract::{Calls, Document};
use crate::guest::{self, Module};
use crate::lpwatch;

/// A function whose calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    pub object: &'static str,
    pub name: &'static str,
}

/// What each call asked for enters once: a function of the kernel, and one of
/// the module.
pub const GCD: Function = Function {
    object: "vmlinux",
    name: "gcd",
};
pub const WORK: Function = Function {
    object: MODULE,
    name: "lpwatch_calls_work",
};
pub const BOTH: [Function; 2] = [GCD, WORK];

/// As `--watch` takes them.
pub const WATCH_BOTH: &[&str] = &[
    "--watch",
    "gcd",
    "--watch",
    "lpwatch_calls:lpwatch_calls_work",
];

const MODULE: &str = "lpwatch_calls";
const PARAMETERS: &str = "/sys/module/lpwatch_calls/parameters";

/// The threads of the module.
pub const HELD: usize = 3;

/// Threads that call at once, on all processors in turn.
pub const CALLERS: usize = 4;

/// Calls that one of them makes before it looks whether to go on, and how long
/// it sleeps then: the kernel takes off hooks, those of a patch as well, only
/// once every task has slept.
const IN_ONE_GO: u64 = 50;
const BETWEEN: Duration = Duration::from_millis(2);

/// The module, and the number of calls it has made.
pub struct Caller {
    module: Module,
    pub made: u64,
    /// The module's own threads in the function that holds them.
    threads: usize,
}

impl Caller {
    pub fn load() -> Result<Self> {
        let module = Module::load(MODULE)?;
        Ok(Self {
            module,
            made: 0,
            threads: HELD,
        })
    }

    /// Lets [`CALLERS`] threads make that many calls each; gives their sum.
    pub fn now(&mut self, calls: u64) -> Result<u64> {
        call_from_threads(calls)?;
        let made = calls * u64::try_from(CALLERS)?;
        self.made += made;
        Ok(made)
    }

    /// Lets them call until they are told to stop.
    pub fn without_end(&mut self) -> Calling<'_> {
        let stop = Arc::new(AtomicBool::new(false));
        let call = |number| {
            let stop = stop.clone();
            thread::spawn(move || {
                pin(number)?;
                let mut made = 0;
                while !stop.load(Ordering::Relaxed) {
                    write("now", IN_ONE_GO)?;
                    made += IN_ONE_GO;
                    thread::sleep(BETWEEN);
                }
                Ok(made)
            })
        };
        let threads = (0..CALLERS).map(call).collect();
        Calling {
            caller: self,
            stop,
            threads,
        }
    }

    /// Lets each of the module's own threads make that many calls.
    pub fn held(&mut self, calls: u64) -> Result<u64> {
        write("held", calls)?;
        let made = calls * u64::try_from(self.threads)?;
        self.made += made;
        Ok(made)
    }

    /// Lets the module's threads out of the function that holds them on old
    /// code.
    pub fn leave(&mut self) -> Result<()> {
        self.threads = 0;
        write("leave", 1)
    }

    pub fn unload(self) -> Result<()> {
        self.module.unload()
    }
}

/// Threads that call until they are told to stop; dropped, they stop as well.
pub struct Calling<'a> {
    caller: &'a mut Caller,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<u64>>>,
}

impl Calling<'_> {
    /// Stops them; gives the number of their calls.
    pub fn end(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut made = 0;
        for thread in self.threads.drain(..) {
            made += thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        self.caller.made += made;
        Ok(made)
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Whatever it was, its scenario has failed already.
            drop(thread.join());
        }
    }
}

/// Lets this thread stay on one processor, the threads in turn on each.
fn pin(number: usize) -> Result<()> {
    let processors = thread::available_parallelism()?.get();
    let mut one = CpuSet::new();
    one.set(number % processors)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    Ok(())
}

fn call_from_threads(calls: u64) -> Result<()> {
    let call = |number| {
        pin(number)?;
        write("now", calls)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CALLERS)
            .map(|number| scope.spawn(move || call(number)))
            .collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        Ok(())
    })
}

fn write(parameter: &str, value: u64) -> Result<()> {
    let path = format!("{PARAMETERS}/{parameter}");
    fs::write(&path, value.to_string()).with_context(|| format!("writing {value} to {path}"))
}

impl Function {
    /// What that document says of its calls: as part of the patch, or of what
    /// is watched.
    pub fn calls(self, document: &Document, patch: Option<&str>) -> Result<Option<Calls>> {
        let Self { object, name } = self;
        let calls = match patch {
            Some(patch) => &document.function(patch, object, name)?.calls,
            None => &document.watched(object, name)?.calls,
        };
        if let Some(calls) = calls {
            calls
                .check()
                .with_context(|| format!("{name}: {calls:?}"))?;
        }
        Ok(calls.clone())
    }

    /// Waits until they are counted.
    pub fn wait_counted(self, patch: Option<&str>) -> Result<Calls> {
        let what = format!("{}: its calls are counted", self.name);
        guest::wait_for(&what, || self.calls(&lpwatch::poll()?, patch))
    }

    /// [`Self::wait_counted`], and waits until the entries of the patch's own
    /// code are counted as well.
    pub fn wait_entered(self, patch: &str) -> Result<Calls> {
        let what = format!("{}: entries of its new code are counted", self.name);
        guest::wait_for(&what, || {
            let calls = self.calls(&lpwatch::poll()?, Some(patch))?;
            let why_not = calls.as_ref().and_then(|calls| calls.not_entered.as_ref());
            if let Some(why) = why_not {
                bail!("{what}: {why}");
            }
            Ok(calls.filter(|calls| calls.entered.is_some()))
        })
    }

    /// Why it is not counted.
    pub fn why_not(self, document: &Document, patch: Option<&str>) -> Result<Option<String>> {
        let Self { object, name } = self;
        let why = match patch {
            Some(patch) => &document.function(patch, object, name)?.not_counted,
            None => &document.watched(object, name)?.not_counted,
        };
        Ok(why.clone())
    }

    /// What is counted now, which must be there.
    pub fn counted(self, patch: Option<&str>) -> Result<Calls> {
        let calls = self.calls(&lpwatch::poll()?, patch)?;
        calls.with_context(|| format!("{}: its calls are not counted", self.name))
    }

    /// What is counted, which must be exactly that many calls in all. Of one in a
    /// hundred at the most it may be open which code they ran.
    pub fn expect_all(self, patch: Option<&str>, made: u64) -> Result<Calls> {
        let calls = self.counted(patch)?;
        let counted = calls.all() + calls.uncertain;
        ensure!(
            counted == made && calls.uncertain <= made / 100,
            "{}: {made} calls were made, and {counted} counted: {calls:?}",
            self.name,
        );
        Ok(calls)
    }
}
