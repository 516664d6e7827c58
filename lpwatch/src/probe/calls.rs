//! The counters at function entries: attaching, reading, taking off.
//!
//! A kprobe never makes the kernel refuse a livepatch; an fentry can while it
//! is being attached (the trampoline's lock is then held, and livepatch is told
//! EAGAIN: `bpf_tramp_ftrace_ops_func`, kernel/bpf/trampoline.c). So fentry,
//! which costs less, is for functions that are patched already.

use std::{
    collections::{HashSet, VecDeque},
    fs,
    time::Duration,
};

use aya::{
    Btf, Ebpf,
    maps::{HashMap, Map, MapData},
    programs::{FEntry, KProbe, ProgramFd, fentry::FEntryLink, kprobe::KProbeLink},
};
use lpwatch_common::calls::{BUCKETS, SLOTS, place};
use rustix::process::{Resource, getrlimit};
use strum::IntoStaticStr;

use crate::model::calls::Buckets;

use super::{
    ProbeError, TaskIterator, load::program, mapped::MappedWords, missed::runs_missed, policy,
};

const ACTION: &str = "count calls";

/// Open files that counters leave alone.
const FILES_FOR_ALL_ELSE: u64 = 200;

/// Open files that a counter takes: its link (a kprobe's has two), its program.
const FILES_EACH: u64 = 3;

/// Where the function's address may be seen by a hook, from its first byte:
/// behind a breakpoint (x86), behind a landing pad (x86 `endbr64`, arm64
/// `bti`), behind the set-up of the TOC (powerpc).
const SEEN_AT: [u64; 4] = if cfg!(target_arch = "x86_64") {
    [0, 1, 4, 5]
} else {
    [0, 4, 8, 12]
};

/// Which function to count, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountAt {
    /// Where it begins.
    pub address: u64,
    /// Its symbol, for a module's with the module before it: `module:symbol`.
    pub symbol: String,
    pub kind: CountKind,
}

/// Whether a function may be counted before it is patched on this processor.
///
/// # Errors
/// Why not, in a clause.
pub fn may_count_ahead() -> Result<(), &'static str> {
    policy::preceding(std::env::consts::ARCH)
}

/// How a function is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum CountKind {
    Fentry,
    Kprobe,
}

impl CountKind {
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A counter in place; it is taken off by [`CallCounters::detach`].
#[derive(Debug)]
pub struct CallCounter {
    slot: u32,
    /// Where the function begins.
    pub address: u64,
    pub kind: CountKind,
    /// When it began, since boot.
    pub since: Duration,
    symbol: String,
    hook: Hook,
    /// Calls that earlier hooks of it missed.
    missed_before: u64,
}

/// What a counter counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Summed over all CPUs.
    pub calls: Buckets,
    /// Calls that the kernel did not tell the hook of, as the kernel counts
    /// them.
    pub missed: u64,
}

impl Counted {
    /// All calls.
    #[must_use]
    pub fn all(&self) -> u64 {
        let Self { calls, missed } = self;
        calls
            .iter()
            .fold(*missed, |sum, calls| sum.wrapping_add(*calls))
    }
}

/// A program of its own at a function.
#[derive(Debug)]
struct Hook {
    #[expect(dead_code, reason = "held, so that dropping it takes the hook off")]
    link: Link,
    program: ProgramFd,
}

/// What holds a counter in place, until it is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held, so that dropping it takes the hook off")]
enum Link {
    Fentry(FEntryLink),
    Kprobe(KProbeLink),
}

/// All counters' maps.
pub struct CallCounters {
    slot_of: HashMap<MapData, u64, u32>,
    calls: MappedWords,
    epoch: MappedWords,
    /// CPUs there may be.
    cpus: u32,
    /// Slots given back, the longest unused first: a hook may still be running
    /// when it is taken off.
    free: VecDeque<u32>,
    /// The most functions that are counted.
    most: u32,
    /// Where functions begin that are counted.
    counted: HashSet<u64>,
}

impl CallCounters {
    pub(super) fn new(bpf: &mut Ebpf, in_transition: bool) -> Result<Self, ProbeError> {
        let mut map = |name: &str| {
            bpf.take_map(name)
                .ok_or_else(|| failed(format!("the object has no `{name}`")))
        };
        let (slot_of, calls, epoch) = (map("SLOT_OF")?, map("CALLS")?, map("EPOCH")?);
        let cpus = cpus()?;
        let epoch = mapped(epoch, 1)?;
        epoch.fill(0, 1, u64::from(in_transition));
        let most = most_counters();
        Ok(Self {
            slot_of: HashMap::try_from(slot_of).map_err(|error| fail(&error))?,
            calls: mapped(calls, word(place(cpus, 0)))?,
            epoch,
            cpus,
            free: (0..most).collect(),
            most,
            counted: HashSet::new(),
        })
    }

    /// How many more functions can be counted.
    #[must_use]
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// The epoch now.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        let [epoch] = self.epoch.read(0).unwrap_or_default();
        // The kernel side has no larger ones.
        u32::try_from(epoch).unwrap_or_default()
    }

    /// Begins to count, from 0.
    ///
    /// # Errors
    /// [`ProbeError`] with the kernel's reason.
    pub fn attach(
        &mut self,
        iterator: &mut TaskIterator,
        at: &CountAt,
        btf: Option<&Btf>,
        now: Duration,
    ) -> Result<CallCounter, ProbeError> {
        if self.counted.contains(&at.address) {
            let text = "it is counted by another of its names";
            return Err(failed(text.to_owned()));
        }
        let slot = self
            .free
            .pop_front()
            .ok_or_else(|| failed(format!("no more than {} functions are counted", self.most)))?;
        let hook = self
            .point(at.address, slot)
            .and_then(|()| match (at.kind, btf) {
                (CountKind::Fentry, Some(btf)) => attach_fentry(iterator, &at.symbol, btf),
                (CountKind::Fentry, None) => Err(failed("there is no BTF".to_owned())),
                (CountKind::Kprobe, _) => attach_kprobe(iterator, &at.symbol),
            });
        match hook {
            Ok(hook) => Ok(CallCounter {
                slot,
                address: at.address,
                kind: at.kind,
                since: now,
                symbol: at.symbol.clone(),
                hook,
                missed_before: 0,
            }),
            Err(error) => {
                self.release(at.address, slot);
                Err(error)
            }
        }
    }

    /// Puts a kprobe before all others at its function: the kernel asks the one
    /// that came last first, and one that sends the call elsewhere ends it
    /// (`add_new_kprobe` and `aggr_pre_handler`, kernel/kprobes.c). Its sum goes
    /// on; calls in between are missed rather than counted twice.
    ///
    /// # Errors
    /// [`ProbeError`] with the kernel's reason; the counter is then gone.
    pub fn to_the_front(
        &mut self,
        iterator: &mut TaskIterator,
        counter: CallCounter,
    ) -> Result<CallCounter, ProbeError> {
        let missed_before = counter.missed();
        let CallCounter {
            slot,
            address,
            kind,
            since,
            symbol,
            hook,
            missed_before: _,
        } = counter;
        drop(hook);
        match attach_kprobe(iterator, &symbol) {
            Ok(hook) => Ok(CallCounter {
                slot,
                address,
                kind,
                since,
                symbol,
                hook,
                missed_before,
            }),
            Err(error) => {
                self.release(address, slot);
                Err(error)
            }
        }
    }

    /// Ends counting.
    pub fn detach(&mut self, counter: CallCounter) {
        let CallCounter {
            slot,
            address,
            hook,
            ..
        } = counter;
        drop(hook);
        self.release(address, slot);
    }

    /// The calls so far.
    #[must_use]
    pub fn read(&self, counter: &CallCounter) -> Counted {
        let mut calls = [0_u64; BUCKETS];
        for cpu in 0..self.cpus {
            let of_cpu = self.calls.read::<BUCKETS>(word(place(cpu, counter.slot)));
            for (sum, calls) in calls.iter_mut().zip(of_cpu.unwrap_or_default()) {
                *sum = sum.wrapping_add(calls);
            }
        }
        Counted {
            calls,
            missed: counter.missed(),
        }
    }

    /// Lets the addresses by which the function may be seen lead to its slot.
    fn point(&mut self, address: u64, slot: u32) -> Result<(), ProbeError> {
        self.counted.insert(address);
        for behind in SEEN_AT {
            self.slot_of
                .insert(address.wrapping_add(behind), slot, 0)
                .map_err(|error| fail(&error))?;
        }
        Ok(())
    }

    fn release(&mut self, address: u64, slot: u32) {
        self.counted.remove(&address);
        for behind in SEEN_AT {
            // One that was never there is as good as removed.
            let _ = self.slot_of.remove(&address.wrapping_add(behind));
        }
        for cpu in 0..self.cpus {
            self.calls.fill(word(place(cpu, slot)), BUCKETS, 0);
        }
        self.free.push_back(slot);
    }
}

impl CallCounter {
    /// Calls that its hooks missed; none where the kernel does not tell.
    fn missed(&self) -> u64 {
        let now = runs_missed(&self.hook.program).unwrap_or_default();
        self.missed_before.saturating_add(now)
    }
}

/// The first word of the slot at this place.
fn word(place: u32) -> usize {
    place as usize * BUCKETS
}

fn mapped(map: Map, words: usize) -> Result<MappedWords, ProbeError> {
    let Map::Array(map) = map else {
        return Err(failed("a map is no array".to_owned()));
    };
    MappedWords::of(map, words).map_err(|error| fail(&error))
}

/// How many CPUs there may be: the largest number of one, and one more.
///
/// # Errors
/// [`ProbeError`] if sysfs does not tell.
pub(super) fn cpus() -> Result<u32, ProbeError> {
    const POSSIBLE: &str = "/sys/devices/system/cpu/possible";
    let text = fs::read_to_string(POSSIBLE).map_err(|error| fail(&error))?;
    let last = text.trim().rsplit([',', '-']).next().unwrap_or_default();
    let last: u32 = last
        .parse()
        .map_err(|_| failed(format!("{POSSIBLE} says \"{}\"", text.trim())))?;
    Ok(last.saturating_add(1))
}

/// As many as there are slots, or as the limit of open files allows: each takes
/// some, and some are for all else.
fn most_counters() -> u32 {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = files.saturating_sub(FILES_FOR_ALL_ELSE);
    SLOTS.min(u32::try_from(files / FILES_EACH).unwrap_or(SLOTS))
}

/// Loads the program anew for each function: so the kernel tells of each what
/// it missed.
fn attach_fentry(
    iterator: &mut TaskIterator,
    function: &str,
    btf: &Btf,
) -> Result<Hook, ProbeError> {
    let program: &mut FEntry = program(&mut iterator.bpf, "count_fentry")?;
    let hook = program.load(function, btf).and_then(|()| {
        let id = program.attach()?;
        let link = Link::Fentry(program.take_link(id)?);
        let program = program.fd()?.try_clone()?;
        Ok(Hook { link, program })
    });
    // It may not have been loaded at all.
    let _ = program.unload();
    hook.map_err(|error| ProbeError::new("attach fentry", &error))
}

/// As [`attach_fentry`].
fn attach_kprobe(iterator: &mut TaskIterator, symbol: &str) -> Result<Hook, ProbeError> {
    let program: &mut KProbe = program(&mut iterator.bpf, "count_kprobe")?;
    let hook = program.load().and_then(|()| {
        let id = program.attach(symbol, 0)?;
        let link = Link::Kprobe(program.take_link(id)?);
        let program = program.fd()?.try_clone()?;
        Ok(Hook { link, program })
    });
    // It may not have been loaded at all.
    let _ = program.unload();
    hook.map_err(|error| ProbeError::kprobe("attach a kprobe", &error))
}

fn failed(reason: String) -> ProbeError {
    ProbeError::Failed {
        action: ACTION,
        reason,
    }
}

fn fail(error: &(dyn std::error::Error + 'static)) -> ProbeError {
    ProbeError::new(ACTION, error)
}
