//! The symbols that a search is for.

use std::collections::HashMap;

use super::Symbol;

/// The wanted symbols, each with its result.
pub(super) struct WantedSymbols<'a, T> {
    /// By name, with the objects in which each is wanted.
    names: HashMap<&'a [u8], Vec<(&'a str, T)>>,
    /// The first bytes of the names: they exclude most lines without hashing.
    first_bytes: [bool; 256],
}

impl<'a, T: Default> WantedSymbols<'a, T> {
    /// Of pairs of object and name.
    pub fn new(symbols: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut wanted = Self {
            names: HashMap::new(),
            first_bytes: [false; 256],
        };
        for (object, name) in symbols {
            if let Some(first) = name.bytes().next() {
                wanted.first_bytes[usize::from(first)] = true;
            }
            let objects = wanted.names.entry(name.as_bytes()).or_default();
            if objects.iter().all(|(known, _)| *known != object) {
                objects.push((object, T::default()));
            }
        }
        wanted
    }

    pub fn of(symbols: &'a [Symbol]) -> Self {
        let symbols = symbols.iter();
        Self::new(symbols.map(|symbol| (symbol.object.as_str(), symbol.name.as_str())))
    }

    /// Whether a wanted name begins like `name`.
    pub fn begins_like(&self, name: &[u8]) -> bool {
        let first = name.first();
        first.is_some_and(|first| self.first_bytes[usize::from(*first)])
    }

    pub fn get_mut(&mut self, object: &[u8], name: &[u8]) -> Option<&mut T> {
        let mut objects = self.names.get_mut(name)?.iter_mut();
        let (_, found) = objects.find(|(wanted, _)| wanted.as_bytes() == object)?;
        Some(found)
    }

    /// The result for each symbol.
    pub fn into_found(self) -> impl Iterator<Item = (Symbol, T)> {
        self.names.into_iter().flat_map(|(name, objects)| {
            let name = String::from_utf8_lossy(name);
            objects.into_iter().map(move |(object, found)| {
                let symbol = Symbol {
                    object: object.to_owned(),
                    name: name.clone().into_owned(),
                };
                (symbol, found)
            })
        })
    }
}
