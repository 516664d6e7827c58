//! The addresses of the functions, and what livepatch finds of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    kernel::{
        ReadError, Roots,
        kallsyms::{self, Matches, ObjectSymbols, Symbol, SymbolPlace},
        patch_file::UsedSymbol,
        traceable::{self, Traceable},
    },
    model::calls::FunctionId,
};

use super::{Extent, ObjectQuery, SymbolFacts, named, symbol};

/// The symbols of all functions of a patch.
#[derive(Default)]
pub(super) struct FunctionSymbols {
    pub functions: BTreeMap<FunctionId, Vec<Extent>>,
    pub hidden: bool,
    pub known: Option<BTreeMap<FunctionId, SymbolFacts>>,
    pub used: BTreeMap<Symbol, u32>,
    pub unread: Vec<String>,
}

impl FunctionSymbols {
    pub fn gather(look: &ObjectQuery<'_>) -> Self {
        let named = named(look.patch);
        let used: BTreeSet<Symbol> = look.patch.uses.iter().map(used_symbol).collect();
        let asked = named.iter().map(|(id, _)| symbol(id));
        let asked: BTreeSet<Symbol> = asked.chain(used.iter().cloned()).collect();
        let asked: Vec<Symbol> = asked.into_iter().collect();
        let found = match kallsyms::find_matches(look.roots, &asked) {
            Ok(found) => found,
            Err(error) => {
                return Self {
                    functions: named.into_iter().map(|(id, _)| (id, Vec::new())).collect(),
                    unread: vec![why("the kernel's symbols could not be read", error)],
                    ..Self::default()
                };
            }
        };
        let meant: BTreeMap<FunctionId, Meant<'_>> = named
            .iter()
            .map(|(id, function)| (id.clone(), Meant::of(&found, id, function.sympos)))
            .collect();
        let mut unread = Vec::new();
        let traceable = Redirectable::read(look.roots, &found, &meant, &mut unread);
        Self {
            functions: meant
                .iter()
                .map(|(id, meant)| (id.clone(), extents(meant.places.iter().copied())))
                .collect(),
            hidden: found.hidden,
            used: used
                .into_iter()
                .filter_map(|symbol| {
                    let count = found.found.get(&symbol)?.places.len();
                    Some((symbol, u32::try_from(count).unwrap_or(u32::MAX)))
                })
                .collect(),
            known: Some(
                meant
                    .iter()
                    .map(|(id, meant)| (id.clone(), meant.facts(id, traceable.as_ref())))
                    .collect(),
            ),
            unread,
        }
    }
}

fn used_symbol(used: &UsedSymbol) -> Symbol {
    Symbol {
        object: used.object.clone(),
        name: used.name.clone(),
    }
}

fn why(what: &str, error: ReadError) -> String {
    format!("{what}: {:#}", anyhow::Error::from(error))
}

/// The symbols of one name, and those that the patch means.
struct Meant<'a> {
    all: Option<&'a Matches>,
    /// More than one only if the patch is ambiguous.
    places: Vec<&'a SymbolPlace>,
    hidden: bool,
}

impl<'a> Meant<'a> {
    fn of(found: &'a ObjectSymbols, id: &FunctionId, sympos: u32) -> Self {
        let all = found.found.get(&symbol(id));
        let positions = (1_u32..).zip(all.into_iter().flat_map(|all| &all.places));
        let places = positions.filter(|(position, _)| sympos == 0 || sympos == *position);
        Self {
            all,
            places: places.map(|(_, place)| place).collect(),
            hidden: found.hidden,
        }
    }

    fn facts(&self, id: &FunctionId, redirectable: Option<&Redirectable>) -> SymbolFacts {
        let none = Matches::default();
        let Matches { places, parts } = self.all.unwrap_or(&none);
        let only = match self.places.as_slice() {
            [only] if only.is_code => Some(*only),
            _ => None,
        };
        SymbolFacts {
            count: u32::try_from(places.len()).unwrap_or(u32::MAX),
            is_code: self.places.iter().any(|place| place.is_code),
            parts: parts.clone(),
            traceable: redirectable
                .zip(only)
                .and_then(|(redirectable, place)| redirectable.has(id, place, self)),
        }
    }

    fn functions(&self) -> usize {
        let places = self.all.into_iter().flat_map(|all| &all.places);
        places.filter(|place| place.is_code).count()
    }
}

/// Which functions ftrace can redirect.
struct Redirectable {
    traceable: Traceable,
    /// The first names of functions with several names: ftrace lists only these.
    first_names: BTreeMap<u64, Symbol>,
}

impl Redirectable {
    fn read(
        roots: &Roots,
        found: &ObjectSymbols,
        meant: &BTreeMap<FunctionId, Meant<'_>>,
        unread: &mut Vec<String>,
    ) -> Option<Self> {
        let names: Vec<Symbol> = meant.keys().map(symbol).collect();
        let mut read = match traceable::read(roots, &names) {
            Ok(traceable) => Self {
                traceable,
                first_names: BTreeMap::new(),
            },
            Err(error) => {
                let what = "it is unknown whether calls of the functions can be redirected";
                unread.push(why(what, error));
                return None;
            }
        };
        let missing = meant
            .iter()
            .filter(|(id, _)| read.traceable.count(&symbol(id)) == 0);
        let addresses: Vec<u64> = missing
            .flat_map(|(_, meant)| meant.places.iter().map(|place| place.begin))
            .collect();
        if read.traceable.addresses.is_none() && !found.hidden && !addresses.is_empty() {
            let at = kallsyms::find_functions(roots, &[], &addresses).unwrap_or_default();
            read.first_names = at.symbols.into_iter().collect();
            let others: Vec<Symbol> = read.first_names.values().cloned().collect();
            if let Ok(traceable) = traceable::read(roots, &others) {
                read.traceable.names.extend(traceable.names);
            }
        }
        Some(read)
    }

    fn has(&self, id: &FunctionId, place: &SymbolPlace, meant: &Meant<'_>) -> Option<bool> {
        if !meant.hidden
            && let Some(within) = self.traceable.within(place.begin, place.end)
        {
            return Some(within);
        }
        let own = symbol(id);
        let listed = match self.traceable.count(&own) {
            0 => self
                .traceable
                .count(self.first_names.get(&place.begin).unwrap_or(&own)),
            listed => listed,
        };
        let listed = usize::try_from(listed).unwrap_or(usize::MAX);
        match listed {
            // ftrace may list it under another name.
            0 if meant.hidden => None,
            0 => Some(false),
            _ => (listed >= meant.functions()).then_some(true),
        }
    }
}

/// The functions among these places whose addresses are known.
fn extents<'a>(places: impl IntoIterator<Item = &'a SymbolPlace>) -> Vec<Extent> {
    let places = places.into_iter();
    places
        .filter(|place| place.is_code && place.end > place.begin)
        .map(|SymbolPlace { begin, end, .. }| Extent {
            begin: *begin,
            end: *end,
        })
        .collect()
}
