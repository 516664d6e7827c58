//! Stops of the machine: joined from the reports of each CPU, and named.

use std::collections::HashMap;

use crate::{
    kernel::{
        Roots,
        host::Clocks,
        kallsyms::{self, Symbol, VMLINUX},
    },
    model::{
        Moment,
        stops::{CpuStop, Joined, Joiner, Stop},
    },
};

use super::clock::now;

/// Joins and names stops.
#[derive(Debug, Default)]
pub(super) struct StopSource {
    joiner: Joiner,
    /// Names by address; reading kallsyms costs tens of milliseconds.
    names: HashMap<u64, Option<Symbol>>,
}

impl StopSource {
    /// After a change of modules, other functions may lie at the same
    /// addresses.
    pub fn forget_names(&mut self) {
        self.names.clear();
    }

    /// The stops that are complete with these spans, or that no more spans are
    /// expected for.
    pub fn take(&mut self, spans: &[CpuStop], roots: &Roots) -> Vec<Stop> {
        let mut joined: Vec<Joined> = spans
            .iter()
            .filter_map(|span| self.joiner.add(span))
            .collect();
        joined.extend(self.joiner.overdue(Clocks::now().boot));
        if joined.is_empty() {
            return Vec::new();
        }
        self.learn(&joined, roots);
        let now = now();
        joined
            .into_iter()
            .map(|joined| self.named(joined, &now))
            .collect()
    }

    /// When to ask again although nothing was reported.
    pub fn wait(&self) -> Option<std::time::Duration> {
        self.joiner.wait()
    }

    fn learn(&mut self, joined: &[Joined], roots: &Roots) {
        let addresses = joined.iter().map(|joined| joined.function);
        let unknown: Vec<u64> = addresses
            .filter(|at| *at != 0 && !self.names.contains_key(at))
            .collect();
        if unknown.is_empty() {
            return;
        }
        match kallsyms::find_functions(roots, &[], &unknown) {
            Ok(mut found) => self.names.extend(
                unknown
                    .into_iter()
                    .map(|at| (at, found.symbols.remove(&at))),
            ),
            Err(error) => {
                tracing::warn!(%error, "the function that stopped the machine is unknown");
            }
        }
    }

    fn named(&self, joined: Joined, now: &Moment) -> Stop {
        let symbol = self.names.get(&joined.function).cloned().flatten();
        let module = symbol.as_ref().map(|symbol| symbol.object.clone());
        Stop {
            at: now.at(joined.first_held),
            joined,
            function: symbol.map(|symbol| symbol.name),
            module: module.filter(|object| object != VMLINUX),
        }
    }
}
