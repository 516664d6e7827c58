//! The counters at function entries: attaching, reading, detaching.
//!
//! A kprobe never makes the kernel refuse a livepatch. An fentry can while it
//! is being attached: the trampoline's lock is then held, and livepatch gets
//! EAGAIN (`bpf_tramp_ftrace_ops_func`, kernel/bpf/trampoline.c). So fentry,
//! which costs less, is for functions that are patched already. A kprobe.multi never
//! makes it refuse one either, and hooks any number of functions at once, but it holds
//! modules: it is for functions of the kernel itself.

mod group;
mod hook;
mod link;
mod room;

use std::{
    collections::{HashSet, VecDeque},
    os::fd::AsFd as _,
    sync::{Arc, LazyLock, mpsc},
    time::Duration,
};

use aya::{
    Btf, Ebpf,
    maps::{HashMap, Map, MapData},
    programs::ProgramType,
    sys::{BpfHelper, is_helper_supported},
};
use lpwatch_common::calls::{BUCKETS, place};

use crate::model::calls::Buckets;

use super::{ProbeError, TaskIterator, mapped::MappedWords, policy};

use group::{Group, GroupProgram};
use hook::CounterHook;
use room::most_counters;

pub use hook::{CountAt, CountKind};
pub(super) use room::cpus;

const ACTION: &str = "count calls";

/// The maps of the program that counts by cookie.
const MAPS: [&str; 3] = ["CALLS", "EPOCH", ".rodata"];

/// Whether a link can have a cookie, which tells the program the slot (5.15 on).
static COOKIES: LazyLock<bool> = LazyLock::new(|| {
    let cookies = BpfHelper::BPF_FUNC_get_attach_cookie;
    is_helper_supported(ProgramType::KProbe, cookies).unwrap_or(false)
});

/// Whether slots are found by the address of the function.
pub(super) fn by_address() -> bool {
    !*COOKIES
}

/// The offsets from a function's first byte at which a hook may see its
/// address: behind a breakpoint (x86), behind a landing pad (x86 `endbr64`,
/// arm64 `bti`), behind the set-up of the TOC (powerpc).
const SEEN_AT: [u64; 4] = if cfg!(target_arch = "x86_64") {
    [0, 1, 4, 5]
} else {
    [0, 4, 8, 12]
};

/// Whether a function may be counted before it is patched on this processor.
///
/// # Errors
/// Why not, in a clause.
pub fn may_count_ahead() -> Result<(), &'static str> {
    policy::preceding(std::env::consts::ARCH)
}

/// An attached counter; [`CallCounters::detach`] detaches it.
#[derive(Debug)]
pub struct CallCounter {
    slot: u32,
    /// The first byte of the function.
    pub address: u64,
    pub kind: CountKind,
    /// When counting began, since boot.
    pub since: Duration,
    symbol: String,
    hook: CounterHook,
    /// Calls that its earlier hooks missed.
    missed_before: u64,
}

impl CallCounter {
    /// Calls that its hooks missed; 0 where the kernel does not report them, or not of
    /// which function they were.
    fn missed(&self) -> u64 {
        self.missed_before.saturating_add(self.hook.missed())
    }
}

/// The reading of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// Summed over all CPUs.
    pub calls: Buckets,
    /// Calls for which the kernel did not run the hook, by the kernel's count.
    pub missed: u64,
    /// The same for a hook that counts other functions as well: the kernel does not
    /// report whose calls they were.
    pub missed_together: u64,
}

impl CallCount {
    /// All calls.
    #[must_use]
    pub fn all(&self) -> u64 {
        let Self { calls, missed, .. } = self;
        calls
            .iter()
            .fold(*missed, |sum, calls| sum.wrapping_add(*calls))
    }
}

/// The maps of all counters.
pub struct CallCounters {
    slot_of: HashMap<MapData, u64, u32>,
    calls: MappedWords,
    epoch: MappedWords,
    /// Possible CPUs.
    cpus: u32,
    /// Free slots, the longest unused first: a hook may still be running when
    /// it is detached.
    free: VecDeque<u32>,
    /// The most functions that can be counted.
    most: u32,
    /// Whether functions of the kernel may be hooked many at once.
    may_group: bool,
    /// Made when it is first needed.
    group_program: Option<GroupProgram>,
    /// The slots of groups that are detached.
    let_go: (mpsc::Sender<Vec<u32>>, mpsc::Receiver<Vec<u32>>),
    /// The addresses of the functions that are counted.
    counted: HashSet<u64>,
}

impl CallCounters {
    /// `may_group`: the policy allows to hook many functions at once.
    pub(super) fn new(
        bpf: &mut Ebpf,
        in_transition: bool,
        may_group: bool,
    ) -> Result<Self, ProbeError> {
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
            may_group: may_group && !by_address(),
            group_program: None,
            let_go: mpsc::channel(),
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
        // The kernel side writes no larger ones.
        u32::try_from(epoch).unwrap_or_default()
    }

    /// Whether functions of the kernel may be hooked many at once.
    #[must_use]
    pub fn may_group(&self) -> bool {
        self.may_group
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
        if at.kind == CountKind::KprobeMulti {
            let mut counters = self.attach_group(iterator, std::slice::from_ref(at), now);
            let none = || Err(failed("nothing was attached".to_owned()));
            return counters.pop().unwrap_or_else(none);
        }
        let slot = self.take_slot(at.address)?;
        let hook = match (at.kind, btf) {
            (CountKind::Fentry, Some(btf)) => CounterHook::fentry(iterator, &at.symbol, btf, slot),
            (CountKind::Fentry, None) => Err(failed("the kernel has no BTF".to_owned())),
            _ => self.kprobe(iterator, at.address, &at.symbol, slot),
        };
        match hook {
            Ok(hook) => Ok(counter(at, slot, hook, now)),
            Err(error) => {
                self.counted.remove(&at.address);
                self.release(at.address, slot);
                Err(error)
            }
        }
    }

    /// Begins to count functions of the kernel, from 0, all at once. Returns the counter
    /// of each, in their order.
    pub fn attach_group(
        &mut self,
        iterator: &TaskIterator,
        all: &[CountAt],
        now: Duration,
    ) -> Vec<Result<CallCounter, ProbeError>> {
        let slots: Vec<_> = all.iter().map(|at| self.take_slot(at.address)).collect();
        let members: Vec<group::CountedMember> = all
            .iter()
            .zip(&slots)
            .filter_map(|(at, slot)| Some((at.address, *slot.as_ref().ok()?)))
            .collect();
        let groups = self.groups(iterator, &members);
        let mut groups = groups.into_iter();
        let counters = all.iter().zip(slots).map(|(at, slot)| {
            let slot = slot?;
            let none = || Err(failed("nothing was attached".to_owned()));
            match groups.next().unwrap_or_else(none) {
                Ok(group) => Ok(counter(at, slot, CounterHook::Member(group), now)),
                Err(error) => {
                    self.counted.remove(&at.address);
                    self.release(at.address, slot);
                    Err(error)
                }
            }
        });
        counters.collect()
    }

    fn groups(
        &mut self,
        iterator: &TaskIterator,
        members: &[group::CountedMember],
    ) -> Vec<Result<Arc<Group>, ProbeError>> {
        let attached = self
            .group_program(iterator)
            .map(|program| program.attach(members));
        match attached {
            Ok(groups) => {
                let fail = |error| ProbeError::new("attach a kprobe.multi", &error);
                groups
                    .into_iter()
                    .map(|group| group.map_err(fail))
                    .collect()
            }
            Err(error) => {
                // It would fail again.
                self.may_group = false;
                let again = || failed(error.to_string());
                members.iter().map(|_| Err(again())).collect()
            }
        }
    }

    fn group_program(&mut self, iterator: &TaskIterator) -> Result<&GroupProgram, ProbeError> {
        if self.group_program.is_none() {
            let constants = match iterator.bpf.map(".rodata") {
                Some(Map::Array(map)) => map.fd().as_fd(),
                _ => return Err(failed("the object has no constants".to_owned())),
            };
            let [calls, epoch, rodata] = MAPS;
            let maps = [
                (calls, self.calls.file()),
                (epoch, self.epoch.file()),
                (rodata, constants),
            ];
            self.group_program = Some(GroupProgram::new(&maps)?);
        }
        let none = || failed("nothing was loaded".to_owned());
        self.group_program.as_ref().ok_or_else(none)
    }

    /// A free slot for the function at this address.
    fn take_slot(&mut self, address: u64) -> Result<u32, ProbeError> {
        if self.counted.contains(&address) {
            let text = "it is already counted under another of its names";
            return Err(failed(text.to_owned()));
        }
        let freed: Vec<Vec<u32>> = self.let_go.1.try_iter().collect();
        for slot in freed.into_iter().flatten() {
            self.free_slot(slot);
        }
        let slot = self.free.pop_front().ok_or_else(|| {
            failed(format!(
                "the limit of {} counted functions is reached",
                self.most
            ))
        })?;
        self.counted.insert(address);
        Ok(slot)
    }

    fn kprobe(
        &mut self,
        iterator: &mut TaskIterator,
        address: u64,
        symbol: &str,
        slot: u32,
    ) -> Result<CounterHook, ProbeError> {
        if by_address() {
            self.point(address, slot)?;
            CounterHook::kprobe_by_address(iterator, symbol)
        } else {
            CounterHook::kprobe(iterator, symbol, slot)
        }
    }

    /// Puts a kprobe in front of all others at its function: the kernel runs
    /// the latest one first, and one that redirects the call ends it
    /// (`add_new_kprobe` and `aggr_pre_handler`, kernel/kprobes.c). The sum
    /// goes on. Calls in between are missed rather than counted twice.
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
        match self.kprobe(iterator, address, &symbol, slot) {
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
                self.counted.remove(&address);
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
        self.counted.remove(&address);
        let CounterHook::Member(group) = hook else {
            drop(hook);
            self.release(address, slot);
            return;
        };
        // Its slot is written until the last of its group goes.
        if let Some(group) = Arc::into_inner(group) {
            group.let_go(self.let_go.0.clone());
        }
    }

    /// The calls so far.
    #[must_use]
    pub fn read(&self, counter: &CallCounter) -> CallCount {
        CallCount {
            calls: self.seen(counter),
            missed: counter.missed(),
            missed_together: counter.hook.missed_together(),
        }
    }

    /// The calls that the hook has seen so far; asks the kernel nothing.
    #[must_use]
    pub fn seen(&self, counter: &CallCounter) -> Buckets {
        let mut calls = [0_u64; BUCKETS];
        for cpu in 0..self.cpus {
            let of_cpu = self.calls.read::<BUCKETS>(word(place(cpu, counter.slot)));
            for (sum, calls) in calls.iter_mut().zip(of_cpu.unwrap_or_default()) {
                *sum = sum.wrapping_add(calls);
            }
        }
        calls
    }

    /// Maps the addresses at which a hook may see the function to its slot.
    fn point(&mut self, address: u64, slot: u32) -> Result<(), ProbeError> {
        for behind in SEEN_AT {
            self.slot_of
                .insert(address.wrapping_add(behind), slot, 0)
                .map_err(|error| fail(&error))?;
        }
        Ok(())
    }

    fn release(&mut self, address: u64, slot: u32) {
        if by_address() {
            for behind in SEEN_AT {
                // An entry that was never there counts as removed.
                let _ = self.slot_of.remove(&address.wrapping_add(behind));
            }
        }
        self.free_slot(slot);
    }

    fn free_slot(&mut self, slot: u32) {
        for cpu in 0..self.cpus {
            self.calls.fill(word(place(cpu, slot)), BUCKETS, 0);
        }
        self.free.push_back(slot);
    }
}

fn counter(at: &CountAt, slot: u32, hook: CounterHook, now: Duration) -> CallCounter {
    CallCounter {
        slot,
        address: at.address,
        kind: at.kind,
        since: now,
        symbol: at.symbol.clone(),
        hook,
        missed_before: 0,
    }
}

/// The first word of the slot at `place`.
fn word(place: u32) -> usize {
    place as usize * BUCKETS
}

fn mapped(map: Map, words: usize) -> Result<MappedWords, ProbeError> {
    let Map::Array(map) = map else {
        return Err(failed("a map is not an array".to_owned()));
    };
    MappedWords::of(map, words).map_err(|error| fail(&error))
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
