//! The counters at function entries: attaching, reading, taking off.
//!
//! A kprobe never makes the kernel refuse a livepatch; an fentry can while it
//! is being attached (the trampoline's lock is then held, and livepatch is told
//! EAGAIN: `bpf_tramp_ftrace_ops_func`, kernel/bpf/trampoline.c). So fentry,
//! which costs less, is for functions that are patched already.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use aya::{
    Btf, Ebpf,
    maps::{Array, HashMap, MapData, PerCpuArray, PerCpuValues},
    programs::{FEntry, KProbe, fentry::FEntryLink, kprobe::KProbeLink},
    util::nr_cpus,
};
use lpwatch_common::calls::{BUCKETS, SLOTS, Slot};
use rustix::process::{Resource, getrlimit};

use crate::model::calls::Buckets;

use super::{ProbeError, TaskIterator, load::program, policy};

const ACTION: &str = "count calls";

/// Open files that counters leave alone.
const FILES_FOR_ALL_ELSE: u64 = 200;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountKind {
    Fentry,
    Kprobe,
}

impl CountKind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
        }
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
    link: Link,
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
    calls: PerCpuArray<MapData, Slot>,
    epoch: Array<MapData, u32>,
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
        let mut epoch = Array::try_from(epoch).map_err(|error| fail(&error))?;
        epoch
            .set(0, u32::from(in_transition), 0)
            .map_err(|error| fail(&error))?;
        let most = most_counters();
        Ok(Self {
            slot_of: HashMap::try_from(slot_of).map_err(|error| fail(&error))?,
            calls: PerCpuArray::try_from(calls).map_err(|error| fail(&error))?,
            epoch,
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
    ///
    /// # Errors
    /// [`ProbeError`] if the map cannot be read.
    pub fn epoch(&self) -> Result<u32, ProbeError> {
        self.epoch.get(&0, 0).map_err(|error| fail(&error))
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
        let link = self
            .point(at.address, slot)
            .and_then(|()| match (at.kind, btf) {
                (CountKind::Fentry, Some(btf)) => attach_fentry(iterator, &at.symbol, btf),
                (CountKind::Fentry, None) => Err(failed("there is no BTF".to_owned())),
                (CountKind::Kprobe, _) => attach_kprobe(iterator, &at.symbol),
            });
        match link {
            Ok(link) => Ok(CallCounter {
                slot,
                address: at.address,
                kind: at.kind,
                since: now,
                symbol: at.symbol.clone(),
                link,
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
        let CallCounter {
            slot,
            address,
            kind,
            since,
            symbol,
            link,
        } = counter;
        drop(link);
        match attach_kprobe(iterator, &symbol) {
            Ok(link) => Ok(CallCounter {
                slot,
                address,
                kind,
                since,
                symbol,
                link,
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
            link,
            ..
        } = counter;
        drop(link);
        self.release(address, slot);
    }

    /// The calls counted so far, summed over all CPUs.
    ///
    /// # Errors
    /// [`ProbeError`] if the map cannot be read.
    pub fn read(&self, counter: &CallCounter) -> Result<Buckets, ProbeError> {
        let slots = self
            .calls
            .get(&counter.slot, 0)
            .map_err(|error| fail(&error))?;
        let mut sum = [0_u64; BUCKETS];
        for slot in slots.iter() {
            for (sum, calls) in sum.iter_mut().zip(slot) {
                *sum = sum.wrapping_add(*calls);
            }
        }
        Ok(sum)
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
        let cleared = nr_cpus()
            .map_err(|(what, error)| failed(format!("{what}: {error}")))
            .and_then(|cpus| {
                PerCpuValues::try_from(vec![[0; BUCKETS]; cpus])
                    .map_err(|error| failed(error.to_string()))
            })
            .and_then(|zero| self.calls.set(slot, zero, 0).map_err(|error| fail(&error)));
        match cleared {
            Ok(()) => self.free.push_back(slot),
            // A slot that begins with somebody else's calls must not be used.
            Err(error) => tracing::warn!(%error, slot, "a counter is lost"),
        }
    }
}

/// As many as there are slots, or as the limit of open files allows: each takes
/// one, and some are for all else.
fn most_counters() -> u32 {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = files.saturating_sub(FILES_FOR_ALL_ELSE);
    SLOTS.min(u32::try_from(files).unwrap_or(SLOTS))
}

/// Loads the program anew for each function; the link keeps it in the kernel.
fn attach_fentry(
    iterator: &mut TaskIterator,
    function: &str,
    btf: &Btf,
) -> Result<Link, ProbeError> {
    let program: &mut FEntry = program(&mut iterator.bpf, "count_fentry")?;
    let link = program
        .load(function, btf)
        .and_then(|()| program.attach())
        .and_then(|id| program.take_link(id));
    // It may not have been loaded at all.
    let _ = program.unload();
    link.map(Link::Fentry)
        .map_err(|error| ProbeError::new("attach fentry", &error))
}

fn attach_kprobe(iterator: &mut TaskIterator, symbol: &str) -> Result<Link, ProbeError> {
    let program: &mut KProbe = program(&mut iterator.bpf, "count_kprobe")?;
    if program.fd().is_err() {
        program
            .load()
            .map_err(|error| ProbeError::new("load a kprobe", &error))?;
    }
    program
        .attach(symbol, 0)
        .and_then(|id| program.take_link(id))
        .map(Link::Kprobe)
        .map_err(|error| ProbeError::kprobe("attach a kprobe", &error))
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
