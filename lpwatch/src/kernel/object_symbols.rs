//! The symbols of a name as livepatch looks for them: which of a kind there are
//! in an object, how far they reach, and what the compiler made of them besides.
//!
//! Source: `klp_find_object_symbol` (kernel/livepatch/core.c) and
//! `kallsyms_lookup_size_offset` (kernel/kallsyms.c), 5.10 to 7.3. Livepatch
//! counts every symbol of the name, whether code or data, and a function ends
//! where the next symbol begins.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use super::{
    ReadError, Roots,
    functions::{Symbol, VMLINUX},
};

const REMEDY: &str = "the file is open to all users unless a sandbox hides it; run outside of it";

/// Bytes read at a time: the kernel writes a page of it at once.
const CHUNK: usize = 64 << 10;

/// A line has an address, a type, a name (at most 512 bytes) and a module.
const LINE_MAX: u64 = 4096;

/// Kernels have some 200,000 symbols.
const SYMBOLS_MAX: usize = 4 << 20;

/// No function is this long: of the last one of an object the end is not told.
const LENGTH_MAX: u64 = 1 << 20;

/// The kinds of parts that compilers split off a function or copy from it.
const KINDS: [&str; 5] = ["part", "isra", "constprop", "cold", "llvm"];

/// What there is of the names asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectSymbols {
    /// Of the names that were found at all, or of which there are parts.
    pub found: HashMap<Symbol, Matches>,
    /// The kernel shows every address as 0 (`kptr_restrict`, no `CAP_SYSLOG`).
    pub hidden: bool,
}

/// The symbols of one name in one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// In the order in which livepatch counts them, which is that of the file.
    pub places: Vec<Place>,
    /// `name.part.0`, `name.cold` and the like, each once.
    pub parts: Vec<String>,
}

/// Where a symbol lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 0 where addresses are hidden.
    pub begin: u64,
    /// One past its last byte; the same as `begin` where addresses are hidden.
    pub end: u64,
    /// A function, not data.
    pub is_code: bool,
}

/// Finds the symbols of these names in one pass.
///
/// # Errors
/// The file cannot be read, or is none that a kernel writes.
pub fn find(roots: &Roots, names: &[Symbol]) -> Result<ObjectSymbols, ReadError> {
    let path = roots.procfs.join("kallsyms");
    let mut search = Search::new(names);
    read(&path, &mut search).map_err(|source| ReadError::from_io(&path, source, REMEDY))?;
    if search.starts.len() > SYMBOLS_MAX {
        let what = format!("it has more than {SYMBOLS_MAX} symbols");
        return Err(ReadError::Malformed { path, what });
    }
    Ok(search.finish())
}

fn read(path: &Path, search: &mut Search<'_>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(CHUNK, File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = reader.by_ref().take(LINE_MAX);
        if bounded.read_until(b'\n', &mut line)? == 0 || search.starts.len() > SYMBOLS_MAX {
            return Ok(());
        }
        if let Some(entry) = Entry::parse(&line) {
            search.take(&entry);
        }
    }
}

/// A line: address, type, name, and a module in brackets.
struct Entry<'a> {
    address: u64,
    is_code: bool,
    /// The name, and behind it the module.
    names: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The names are not decoded yet: nearly all are of no interest.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let space = line.iter().position(|byte| *byte == b' ')?;
        let (digits, rest) = line.split_at(space);
        let [b' ', kind, b' ', names @ ..] = rest else {
            return None;
        };
        Some(Self {
            address: u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?,
            is_code: matches!(kind, b't' | b'T' | b'w' | b'W'),
            names,
        })
    }

    /// Marks of the assembler, which the kernel skips, too
    /// (`is_mapping_symbol`).
    fn is_mark(&self) -> bool {
        matches!(self.names, [b'$', ..] | [b'.', b'L', ..] | [b'L', b'0', ..])
    }

    /// The object and the name.
    fn decoded(&self) -> Option<(&'a str, &'a str)> {
        let mut words = std::str::from_utf8(self.names)
            .ok()?
            .split_ascii_whitespace();
        let name = words.next()?;
        let object = match words.next() {
            Some(module) => module.strip_prefix('[')?.strip_suffix(']')?,
            None => VMLINUX,
        };
        Some((object, name))
    }
}

struct Search<'a> {
    names: HashSet<(&'a str, &'a str)>,
    /// With which bytes they begin: most lines are told unwanted by this alone.
    first_bytes: [bool; 256],
    found: HashMap<Symbol, Matches>,
    /// Where symbols begin.
    starts: Vec<u64>,
    any_address: bool,
}

impl<'a> Search<'a> {
    fn new(names: &'a [Symbol]) -> Self {
        let mut first_bytes = [false; 256];
        for first in names.iter().filter_map(|name| name.name.bytes().next()) {
            first_bytes[usize::from(first)] = true;
        }
        Self {
            first_bytes,
            names: names
                .iter()
                .map(|Symbol { object, name }| (object.as_str(), name.as_str()))
                .collect(),
            found: HashMap::new(),
            starts: Vec::new(),
            any_address: false,
        }
    }

    fn take(&mut self, entry: &Entry<'_>) {
        self.any_address |= entry.address != 0;
        if !entry.is_mark() {
            self.starts.push(entry.address);
        }
        let first = entry.names.first();
        if first.is_some_and(|first| self.first_bytes[usize::from(*first)])
            && let Some((object, name)) = entry.decoded()
        {
            self.candidate(entry, object, name);
        }
    }

    fn candidate(&mut self, entry: &Entry<'_>, object: &str, name: &str) {
        if let Some(matches) = self.wanted(object, name) {
            matches.places.push(Place {
                begin: entry.address,
                end: entry.address,
                is_code: entry.is_code,
            });
        }
        for (dot, _) in name.match_indices('.') {
            let (base, suffix) = name.split_at(dot);
            if is_part(suffix)
                && let Some(matches) = self.wanted(object, base)
                && !matches.parts.iter().any(|part| part == name)
            {
                matches.parts.push(name.to_owned());
            }
        }
    }

    fn wanted(&mut self, object: &str, name: &str) -> Option<&mut Matches> {
        self.names.get(&(object, name))?;
        let symbol = Symbol {
            object: object.to_owned(),
            name: name.to_owned(),
        };
        Some(self.found.entry(symbol).or_default())
    }

    fn finish(self) -> ObjectSymbols {
        let Self {
            names: _,
            first_bytes: _,
            mut found,
            mut starts,
            any_address,
        } = self;
        if any_address {
            starts.sort_unstable();
            for place in found.values_mut().flat_map(|matches| &mut matches.places) {
                place.end = end(place.begin, &starts);
            }
        }
        ObjectSymbols {
            found,
            hidden: !any_address,
        }
    }
}

/// The next of the sorted `starts`, if it is near.
fn end(begin: u64, starts: &[u64]) -> u64 {
    let far = begin.saturating_add(LENGTH_MAX);
    let next = starts.partition_point(|start| *start <= begin);
    starts.get(next).map_or(far, |next| far.min(*next))
}

/// Whether this may be what a compiler adds to the name of a part: a dot and
/// one of the kinds, then maybe more.
fn is_part(suffix: &str) -> bool {
    let kind = suffix.split('.').nth(1);
    kind.is_some_and(|kind| KINDS.contains(&kind))
}

#[cfg(test)]
mod tests;
