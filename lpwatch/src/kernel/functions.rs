//! Where functions begin, in the kernel and in its modules: /proc/kallsyms read
//! for names and for addresses at once.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
};

pub use lpwatch_common::patch::VMLINUX;

use super::{ReadError, Roots};

const REMEDY: &str = "run as root";

/// Bytes read at a time: the kernel writes a page of it at once.
const CHUNK: usize = 64 << 10;

/// A function's symbol.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol {
    /// [`VMLINUX`] or a module.
    pub object: String,
    pub name: String,
}

/// What was asked for, as far as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Functions {
    /// For each name asked for its addresses, in the order of the file; a name
    /// can be there more than once.
    pub addresses: HashMap<Symbol, Vec<u64>>,
    /// For each address asked for the first function that begins there.
    pub symbols: HashMap<u64, Symbol>,
    /// The kernel shows every address as 0 (`kptr_restrict`, no `CAP_SYSLOG`).
    pub hidden: bool,
}

/// Finds functions by name and by the address they begin at, in one pass.
///
/// # Errors
/// The file cannot be read.
pub fn find(roots: &Roots, names: &[Symbol], addresses: &[u64]) -> Result<Functions, ReadError> {
    let path = roots.procfs.join("kallsyms");
    let error = |source| ReadError::from_io(&path, source, REMEDY);
    let mut wanted = Wanted::new(names, addresses);
    let file = File::open(&path).map_err(error)?;
    let mut reader = BufReader::with_capacity(CHUNK, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(error)? == 0 {
            break;
        }
        if let Some(entry) = Entry::parse(&line) {
            wanted.take(&entry);
        }
    }
    Ok(wanted.found())
}

/// A line: address, type, name, and a module in brackets.
struct Entry<'a> {
    address: u64,
    function: bool,
    name: &'a str,
    object: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let mut words = line.split_ascii_whitespace();
        let address = u64::from_str_radix(words.next()?, 16).ok()?;
        let kind = words.next()?;
        let name = words.next()?;
        let object = match words.next() {
            Some(module) => module.strip_prefix('[')?.strip_suffix(']')?,
            None => VMLINUX,
        };
        Some(Self {
            address,
            function: matches!(kind, "t" | "T" | "w" | "W"),
            name,
            object,
        })
    }
}

struct Wanted<'a> {
    /// By name; of each the objects asked for, and the addresses found there.
    names: HashMap<&'a str, Vec<(&'a str, Vec<u64>)>>,
    addresses: HashMap<u64, Option<Symbol>>,
    any_address: bool,
}

impl<'a> Wanted<'a> {
    fn new(names: &'a [Symbol], addresses: &[u64]) -> Self {
        let mut by_name: HashMap<&str, Vec<(&str, Vec<u64>)>> = HashMap::new();
        for Symbol { object, name } in names {
            by_name.entry(name).or_default().push((object, Vec::new()));
        }
        Self {
            names: by_name,
            addresses: addresses.iter().map(|address| (*address, None)).collect(),
            any_address: false,
        }
    }

    fn take(&mut self, entry: &Entry<'_>) {
        self.any_address |= entry.address != 0;
        if !entry.function {
            return;
        }
        let asked = self.names.get_mut(entry.name).into_iter().flatten();
        for (_, found) in asked.filter(|(object, _)| *object == entry.object) {
            found.push(entry.address);
        }
        if let Some(symbol @ None) = self.addresses.get_mut(&entry.address) {
            *symbol = Some(Symbol {
                object: entry.object.to_owned(),
                name: entry.name.to_owned(),
            });
        }
    }

    fn found(self) -> Functions {
        let Self {
            names,
            addresses,
            any_address,
        } = self;
        let mut found_at = HashMap::new();
        for (name, objects) in names {
            for (object, mut found) in objects {
                // Aliases of one function are one.
                found.dedup();
                let (object, name) = (object.to_owned(), name.to_owned());
                if !found.is_empty() {
                    found_at.insert(Symbol { object, name }, found);
                }
            }
        }
        Functions {
            addresses: found_at,
            symbols: addresses
                .into_iter()
                .filter_map(|(address, symbol)| Some((address, symbol?)))
                .collect(),
            hidden: !any_address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "\
ffffffff81000000 T _stext
ffffffff81000010 t twice
ffffffff81000020 t twice
ffffffff81000030 D data
ffffffff81000040 T __x64_sys_pause
ffffffff81000040 T __do_sys_pause
ffffffffc0000000 t value\t[lpwatch_target]
ffffffffc0001000 t twice\t[lp_value]
";

    fn symbol(object: &str, name: &str) -> Symbol {
        Symbol {
            object: object.to_owned(),
            name: name.to_owned(),
        }
    }

    fn roots(kallsyms: &str) -> (tempfile::TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kallsyms"), kallsyms).unwrap();
        let roots = Roots {
            sysfs: folder.path().to_owned(),
            procfs: folder.path().to_owned(),
        };
        (folder, roots)
    }

    #[test]
    fn names_are_told_apart_by_their_object() {
        let (_folder, roots) = roots(KALLSYMS);
        let names = [
            symbol(VMLINUX, "twice"),
            symbol("lp_value", "twice"),
            symbol("lpwatch_target", "value"),
            symbol(VMLINUX, "value"),
            symbol(VMLINUX, "data"),
        ];
        let found = find(&roots, &names, &[]).unwrap();
        assert_eq!(
            found.addresses[&names[0]],
            [0xffff_ffff_8100_0010, 0xffff_ffff_8100_0020]
        );
        assert_eq!(found.addresses[&names[1]], [0xffff_ffff_c000_1000]);
        assert_eq!(found.addresses[&names[2]], [0xffff_ffff_c000_0000]);
        assert_eq!(found.addresses.len(), 3);
        assert!(!found.hidden);
    }

    #[test]
    fn addresses_lead_to_the_first_function_there() {
        let (_folder, roots) = roots(KALLSYMS);
        let asked = [0xffff_ffff_8100_0040, 0xffff_ffff_c000_1000, 0x1234];
        let found = find(&roots, &[], &asked).unwrap();
        assert_eq!(
            found.symbols,
            HashMap::from([
                (asked[0], symbol(VMLINUX, "__x64_sys_pause")),
                (asked[1], symbol("lp_value", "twice")),
            ])
        );
    }

    #[test]
    fn hidden_addresses_are_told() {
        let (_folder, roots) = roots("0000000000000000 T _stext\n");
        let found = find(&roots, &[symbol(VMLINUX, "_stext")], &[]).unwrap();
        assert!(found.hidden);
    }
}
