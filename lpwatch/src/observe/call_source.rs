//! Which functions are counted, and the counters' readings.
//!
//! Every function of a loaded patch and every requested function is counted.
//! Beside each original, the function that replaces it is counted at its own
//! entry: only that shows that the new code runs.

use std::collections::{BTreeMap, BTreeSet};

use aya::Btf;

use crate::{
    kernel::{Roots, host::Clocks, kallsyms::Functions},
    model::{
        PatchView,
        calls::{CallsReading, Counter, Entries, FunctionId, FunctionReading},
    },
    probe::{
        CallCount, CallCounter, CallCounters, CountAt, CountKind, LoadedFunction, ProbeError,
        TaskIterator,
    },
};

use super::{
    call_plan::{MayHook, PatchKey, group_many, look_up, original_at, spelled, walk},
    call_suspects::Suspects,
};

/// Counters attached in one step: the kernel rewrites its code for each, and
/// events must not wait meanwhile.
const AT_ONCE: usize = 8;

/// Tries to read the counters while the epoch changes.
const READINGS: usize = 3;

/// A counter, or why there is none.
type CounterResult = Result<CallCounter, String>;

/// The function that replaces another.
type NewFunction = (String, FunctionId);

/// Plans and holds the counters.
pub(super) struct CallSource {
    counters: CallCounters,
    /// Whether fentry and livepatch share functions on this kernel.
    shares: bool,
    asked: BTreeSet<FunctionId>,
    originals: BTreeMap<FunctionId, CounterResult>,
    new: BTreeMap<NewFunction, (String, CounterResult)>,
    /// What is still to be attached.
    pending: Vec<Pending>,
    /// The patches that the present plan was made for.
    made_for: Option<Vec<PatchKey>>,
    /// For loading fentry programs, as long as some remain.
    btf: Option<Btf>,
    suspects: Suspects,
}

/// A counter still to be attached.
#[derive(Debug)]
enum Pending {
    Original(FunctionId, CountAt),
    New(NewFunction, CountAt),
}

impl Pending {
    fn at(&self) -> &CountAt {
        let (Self::Original(_, at) | Self::New(_, at)) = self;
        at
    }

    fn at_mut(&mut self) -> &mut CountAt {
        let (Self::Original(_, at) | Self::New(_, at)) = self;
        at
    }

    fn is_for_group(&self) -> bool {
        self.at().kind == CountKind::KprobeMulti
    }
}

impl CallSource {
    pub fn new(counters: CallCounters, shares: bool) -> Self {
        Self {
            counters,
            shares,
            asked: BTreeSet::new(),
            originals: BTreeMap::new(),
            new: BTreeMap::new(),
            pending: Vec::new(),
            made_for: None,
            btf: None,
            suspects: Suspects::default(),
        }
    }

    /// Counts these functions besides those of the patches.
    pub fn request(&mut self, asked: BTreeSet<FunctionId>) {
        if self.asked != asked {
            self.asked = asked;
            self.made_for = None;
        }
    }

    /// A module was loaded or unloaded: its counters are void.
    pub fn module_changed(&mut self, module: &str) {
        let Self {
            counters,
            originals,
            new,
            ..
        } = self;
        let void: Vec<FunctionId> = originals
            .keys()
            .filter(|id| id.object == module)
            .cloned()
            .collect();
        for id in void {
            drop_counter(counters, originals.remove(&id));
        }
        let void: Vec<NewFunction> = new
            .keys()
            .filter(|(patch, id)| patch == module || id.object == module)
            .cloned()
            .collect();
        for key in void {
            drop_counter(counters, new.remove(&key).map(|(_, held)| held));
        }
        self.made_for = None;
    }

    /// Whether anything is counted.
    pub fn is_counting(&self) -> bool {
        self.originals.values().any(Result::is_ok)
    }

    /// Whether [`Self::attach_some`] has work left.
    pub fn is_attaching(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Plans what is counted, if the patches have changed.
    pub fn plan(&mut self, iterator: &mut TaskIterator, roots: &Roots, patches: &[PatchView]) {
        // For the other engines it is unknown which task runs which code.
        let live = patches.iter().filter(|patch| patch.is_livepatch());
        let keys: Vec<PatchKey> = live.map(PatchKey::of).collect();
        if self.made_for.as_ref() == Some(&keys) {
            return;
        }
        let patched = walk(iterator, &keys);
        let wanted: BTreeSet<FunctionId> = keys
            .iter()
            .flat_map(|key| key.functions.iter())
            .chain(&self.asked)
            .cloned()
            .collect();
        self.forget_unwanted(&wanted, &patched);
        let missing: Vec<&FunctionId> = wanted
            .iter()
            .filter(|id| !matches!(self.originals.get(*id), Some(Ok(_))))
            .collect();
        let addresses = self.uncounted(&patched);
        let found = look_up(roots, &missing, &addresses);
        let may = MayHook {
            shares: self.shares,
            group: self.counters.may_group(),
        };
        let mut pending = Vec::new();
        for id in missing {
            match original_at(id, may, &patched, &found, &keys) {
                Ok(at) => pending.push(Pending::Original(id.clone(), at)),
                Err(why) => {
                    self.originals.insert(id.clone(), Err(why));
                }
            }
        }
        pending.extend(self.new_at(&patched, &found, &keys));
        group_many(may, pending.iter_mut().map(Pending::at_mut).collect());
        self.pending = pending;
        self.made_for = Some(keys);
        // Other hooks on newly patched functions must be seen at once.
        self.suspects.forget();
    }

    /// Attaches some of the pending counters.
    pub fn attach_some(&mut self, iterator: &mut TaskIterator) {
        self.attach_group(iterator);
        for _ in 0..AT_ONCE {
            let Some(next) = self.pending.pop() else {
                break;
            };
            let held = self.attach(iterator, next.at());
            self.hold(next, held.map_err(|error| error.to_string()));
        }
        if self.pending.is_empty() {
            self.btf = None;
        }
    }

    /// Attaches all that can be attached at once. A function that is refused is tried by
    /// kprobe.
    fn attach_group(&mut self, iterator: &TaskIterator) {
        let all = std::mem::take(&mut self.pending);
        let (group, others) = all.into_iter().partition(Pending::is_for_group);
        let group: Vec<Pending> = group;
        self.pending = others;
        if group.is_empty() {
            return;
        }
        let ats: Vec<CountAt> = group.iter().map(|next| next.at().clone()).collect();
        let now = Clocks::now().boot;
        let counters = self.counters.attach_group(iterator, &ats, now);
        for (mut next, counter) in group.into_iter().zip(counters) {
            match counter {
                Ok(counter) => self.hold(next, Ok(counter)),
                Err(error) => {
                    tracing::debug!(%error, symbol = next.at().symbol, "kprobe.multi failed");
                    next.at_mut().kind = CountKind::Kprobe;
                    self.pending.push(next);
                }
            }
        }
    }

    fn hold(&mut self, next: Pending, held: CounterResult) {
        match next {
            Pending::Original(id, _) => {
                if let Err(why) = &held {
                    tracing::info!(function = id.name, object = id.object, why, "not counted");
                }
                self.originals.insert(id, held);
            }
            Pending::New(key, at) => {
                self.new.insert(key, (at.symbol, held));
            }
        }
    }

    /// Looks for other hooks on the functions, and moves our probes on patched
    /// functions in front of them: behind a probe that redirects calls ours
    /// sees none.
    pub fn stay_in_front(&mut self, iterator: &mut TaskIterator, roots: &Roots) {
        let Self {
            suspects,
            originals,
            counters,
            made_for,
            ..
        } = self;
        suspects.look(roots);
        let patched = |id: &FunctionId| {
            let keys = made_for.iter().flatten();
            keys.into_iter().any(|key| key.functions.contains(id))
        };
        for (id, held) in originals.iter_mut().filter(|(id, _)| patched(id)) {
            let is_overtaken = held
                .as_ref()
                .is_ok_and(|counter| suspects.overtook(counter));
            if !is_overtaken {
                continue;
            }
            tracing::info!(
                function = id.name,
                "another probe was added: ours is moved in front of it"
            );
            let lost = Err("its counter is being moved".to_owned());
            if let Ok(counter) = std::mem::replace(held, lost) {
                let moved = counters.to_the_front(iterator, counter);
                *held = moved.map_err(|error| error.to_string());
            }
        }
    }

    /// Attaches by the chosen kind, or else by kprobe.
    fn attach(
        &mut self,
        iterator: &mut TaskIterator,
        at: &CountAt,
    ) -> Result<CallCounter, ProbeError> {
        let now = Clocks::now().boot;
        if at.kind == CountKind::Fentry {
            if self.btf.is_none() {
                self.btf = Btf::from_sys_fs().ok();
            }
            let attached = self.counters.attach(iterator, at, self.btf.as_ref(), now);
            match attached {
                Ok(counter) => return Ok(counter),
                Err(error) => tracing::debug!(%error, symbol = at.symbol, "fentry failed"),
            }
        }
        let at = CountAt {
            kind: CountKind::Kprobe,
            ..at.clone()
        };
        self.counters.attach(iterator, &at, None, now)
    }

    /// Stops counting for patches that are gone.
    fn forget_unwanted(&mut self, wanted: &BTreeSet<FunctionId>, patched: &[LoadedFunction]) {
        let Self {
            counters,
            originals,
            new,
            ..
        } = self;
        let void: Vec<FunctionId> = originals
            .keys()
            .filter(|id| !wanted.contains(id))
            .cloned()
            .collect();
        for id in void {
            drop_counter(counters, originals.remove(&id));
        }
        let there: BTreeSet<(&str, &FunctionId)> = patched
            .iter()
            .filter(|function| function.new_address.is_some())
            .map(|function| (function.patch.as_str(), &function.id))
            .collect();
        let void: Vec<NewFunction> = new
            .keys()
            .filter(|(patch, id)| !there.contains(&(patch.as_str(), id)))
            .cloned()
            .collect();
        for key in void {
            drop_counter(counters, new.remove(&key).map(|(_, held)| held));
        }
    }

    /// The addresses of the new functions that are not counted yet.
    fn uncounted(&self, patched: &[LoadedFunction]) -> Vec<u64> {
        let missing = patched.iter().filter(|function| {
            let key = (function.patch.clone(), function.id.clone());
            !matches!(self.new.get(&key), Some((_, Ok(_))))
        });
        missing
            .filter_map(|function| function.new_address)
            .collect()
    }

    fn new_at(
        &self,
        patched: &[LoadedFunction],
        found: &Functions,
        keys: &[PatchKey],
    ) -> Vec<Pending> {
        let stays = |patch: &str| keys.iter().any(|key| key.name == patch && key.enabled);
        let staying = patched.iter().filter(|function| stays(&function.patch));
        let missing = staying.filter_map(|function| {
            let address = function.new_address?;
            let key = (function.patch.clone(), function.id.clone());
            if matches!(self.new.get(&key), Some((_, Ok(_)))) {
                return None;
            }
            let symbol = spelled(found.symbols.get(&address)?);
            let kind = CountKind::Kprobe;
            let at = CountAt {
                address,
                symbol,
                kind,
            };
            Some(Pending::New(key, at))
        });
        missing.collect()
    }

    /// Reads all counters within one epoch; `None` while it changes.
    ///
    /// For the functions in `doubted` the reading names what else hooks them.
    pub fn read(&mut self, roots: &Roots, doubted: &BTreeSet<FunctionId>) -> Option<CallsReading> {
        self.suspects.look_at_ftrace(roots);
        let suspects = &self.suspects;
        for _ in 0..READINGS {
            let epoch = self.counters.epoch();
            let at = Clocks::now().boot;
            let functions = self.originals.iter().map(|(id, held)| {
                let before = self.sums_of_entries(id);
                FunctionReading {
                    id: id.clone(),
                    asked: self.asked.contains(id),
                    counter: self.counter(held),
                    entries: self.entries(id, &before),
                    suspects: match held {
                        Ok(counter) if doubted.contains(id) => suspects.of(id, counter),
                        Ok(_) | Err(_) => Vec::new(),
                    },
                }
            });
            let functions = functions.collect();
            if self.counters.epoch() == epoch {
                return Some(CallsReading {
                    at,
                    epoch,
                    functions,
                    ftrace_off: suspects.ftrace_off,
                });
            }
        }
        None
    }

    /// The counters at the entries of the functions that replace this one.
    fn entries_of(
        &self,
        id: &FunctionId,
    ) -> impl Iterator<Item = (&str, &(String, CounterResult))> {
        let of = self.new.iter().filter(move |((_, of), _)| of == id);
        of.map(|((patch, _), held)| (patch.as_str(), held))
    }

    fn sums_of_entries(&self, id: &FunctionId) -> Vec<u64> {
        let sum = |counter| {
            let seen = self.counters.seen(counter).into_iter();
            seen.fold(0, u64::wrapping_add)
        };
        let held = self.entries_of(id).map(|(_, (_, held))| held);
        held.map(|held| held.as_ref().map_or(0, sum)).collect()
    }

    fn entries(&self, id: &FunctionId, before: &[u64]) -> Vec<Entries> {
        let of = self.entries_of(id).zip(before);
        of.map(|((patch, (function, held)), before)| Entries {
            patch: patch.to_owned(),
            function: function.clone(),
            before: *before,
            counter: self.counter(held),
        })
        .collect()
    }

    fn counter(&self, held: &CounterResult) -> Counter {
        let counter = match held {
            Ok(counter) => counter,
            Err(why) => return Counter::Missing(why.clone()),
        };
        let CallCount {
            calls,
            missed,
            missed_together,
        } = self.counters.read(counter);
        Counter::Counting {
            kind: counter.kind.name(),
            since: counter.since,
            calls: Box::new(calls),
            missed,
            missed_together,
        }
    }
}

fn drop_counter(counters: &mut CallCounters, held: Option<CounterResult>) {
    if let Some(Ok(counter)) = held {
        counters.detach(counter);
    }
}
