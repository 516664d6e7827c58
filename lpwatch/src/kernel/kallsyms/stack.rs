//! Resolves the addresses on a stack to functions.
//!
//! The file covers vmlinux, modules, ftrace trampolines and BPF programs and
//! trampolines (`[bpf]`), but gives no sizes: an address belongs to the last
//! function that begins at or before it.

use std::{collections::HashMap, ops::ControlFlow};

use super::lines::{SymbolLine, read};
use crate::kernel::{ReadError, Roots};

/// A function and an offset in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    pub symbol: String,
    /// Bytes from the start of the function.
    pub offset: u64,
    /// The module; `bpf` for BPF programs and trampolines; `None` for vmlinux.
    pub module: Option<String>,
}

/// Resolves addresses, and remembers the answers.
#[derive(Debug, Default)]
pub struct Symbolizer {
    known: HashMap<u64, Option<Location>>,
    hidden: bool,
}

/// The most results kept; when there are more, all are forgotten.
const MOST_KNOWN: usize = 65_536;

impl Symbolizer {
    /// Forgets all results: modules and BPF programs may have been loaded or
    /// unloaded.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Whether the kernel hides its addresses, so that nothing can be resolved.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// Looks up those of `addresses` not known yet, in one pass.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn learn(
        &mut self,
        roots: &Roots,
        addresses: impl IntoIterator<Item = u64>,
    ) -> Result<(), ReadError> {
        if self.known.len() > MOST_KNOWN {
            self.forget();
        }
        let mut wanted: Vec<u64> = addresses
            .into_iter()
            .filter(|address| !self.known.contains_key(address))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut nearest = vec![None; wanted.len()];
        self.hidden = read(roots, |line| {
            if line.is_code {
                take(&wanted, &mut nearest, line);
            }
            ControlFlow::Continue(())
        })?;
        if !self.hidden {
            let located = locate_all(&wanted, nearest);
            self.known.extend(wanted.into_iter().zip(located));
        }
        Ok(())
    }

    /// The location of `address`, as far as it was looked up.
    #[must_use]
    pub fn locate(&self, address: u64) -> Option<&Location> {
        self.known.get(&address)?.as_ref()
    }
}

/// A function that begins before an address.
#[derive(Clone)]
struct Start {
    address: u64,
    name: Vec<u8>,
    module: Option<Vec<u8>>,
}

impl Start {
    /// `None` if the address is further away than any code of the function.
    fn location(&self, address: u64) -> Option<Location> {
        let offset = address.checked_sub(self.address)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (offset <= FAR).then(|| Location {
            symbol: text(&self.name),
            offset,
            module: self.module.as_deref().map(text),
        })
    }
}

/// No function is this long: an address further away is not in it.
const FAR: u64 = 1 << 20;

/// Trampolines put in place of a return address
/// (`arch/x86/kernel/kprobes/core.c`, `kernel/trace/rethook.c`).
const RETURNED_TO: [&[u8]; 3] = [
    b"kretprobe_trampoline",
    b"__kretprobe_trampoline",
    b"arch_rethook_trampoline",
];

/// Keeps the function if it is the nearest so far before one of the sorted
/// `wanted`; later addresses get theirs from it by [`locate_all`].
fn take(wanted: &[u64], nearest: &mut [Option<Start>], line: &SymbolLine<'_>) {
    // A return address is behind the call: it may even be behind the end of a
    // function that does not return. So only what starts before it, but for
    // code that is returned to without ever having called.
    let returned_to = line.module.is_none() && RETURNED_TO.contains(&line.name);
    let first = if returned_to {
        wanted.partition_point(|wanted| *wanted < line.address)
    } else {
        wanted.partition_point(|wanted| *wanted <= line.address)
    };
    let Some(nearest) = nearest.get_mut(first) else {
        return;
    };
    match nearest {
        Some(start) if start.address >= line.address => {}
        // Nearly every line of the file comes here: the buffer is reused.
        Some(start) if line.module.is_none() && start.module.is_none() => {
            start.address = line.address;
            start.name.clear();
            start.name.extend_from_slice(line.name);
        }
        _ => {
            *nearest = Some(Start {
                address: line.address,
                name: line.name.to_owned(),
                module: line.module.map(<[u8]>::to_owned),
            });
        }
    }
}

/// What starts before an address starts before all later ones, too.
fn locate_all(wanted: &[u64], nearest: Vec<Option<Start>>) -> Vec<Option<Location>> {
    let mut last: Option<Start> = None;
    let located = wanted.iter().zip(nearest).map(|(wanted, nearest)| {
        last = nearest.or_else(|| last.take());
        last.as_ref()?.location(*wanted)
    });
    located.collect()
}

/// A frame as the kernel itself prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintedFrame {
    pub location: Location,
    /// Whether the offset is the size of the function: the address is that of
    /// what comes behind it.
    pub at_end: bool,
}

/// Parses a line, e.g. of `/proc/<pid>/stack`:
/// `[<0>] do_nanosleep+0x5f/0x190 [module]`.
#[must_use]
pub fn parse_frame(line: &str) -> Option<PrintedFrame> {
    let line = line.trim();
    let line = line
        .strip_prefix("[<")
        .and_then(|rest| rest.split_once(">] "))
        .map_or(line, |(_, rest)| rest);
    let (place, module) = match line.split_once(" [") {
        Some((place, module)) => (place, Some(module.trim_end_matches(']').to_owned())),
        None => (line, None),
    };
    let (symbol, offsets) = place.split_once('+')?;
    let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let mut offsets = offsets.split('/');
    let offset = number(offsets.next()?)?;
    Some(PrintedFrame {
        location: Location {
            symbol: symbol.to_owned(),
            offset,
            module,
        },
        at_end: offsets.next().and_then(number) == Some(offset),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "\
ffffffff81000000 T _stext
ffffffff81000100 t first
ffffffff81000200 D data
ffffffff81000300 T second
ffffffffc0001000 t target_main\t[lpwatch_target]
ffffffffc0002000 t bpf_trampoline_6442536263\t[bpf]
";

    fn symbolizer(kallsyms: &str, addresses: &[u64]) -> Symbolizer {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("kallsyms"), kallsyms).unwrap();
        let roots = Roots {
            procfs: directory.path().to_owned(),
            ..Roots::default()
        };
        let mut symbolizer = Symbolizer::default();
        symbolizer.learn(&roots, addresses.iter().copied()).unwrap();
        symbolizer
    }

    #[test]
    fn an_address_belongs_to_the_symbol_before_it() {
        let addresses = [
            0xffff_ffff_8100_0104,
            0xffff_ffff_8100_0250,
            0xffff_ffff_c000_1010,
        ];
        let symbols = symbolizer(KALLSYMS, &addresses);
        let at = |address| symbols.locate(address).cloned().unwrap();
        let first = Location {
            symbol: "first".to_owned(),
            offset: 4,
            module: None,
        };
        assert_eq!(at(addresses[0]), first);
        assert_eq!(at(addresses[1]).symbol, "first", "data is no code");
        assert_eq!(at(addresses[2]).module.as_deref(), Some("lpwatch_target"));
    }

    #[test]
    fn a_return_address_at_the_start_of_a_function_belongs_to_the_one_before() {
        let symbols = symbolizer(KALLSYMS, &[0xffff_ffff_8100_0300]);
        assert_eq!(
            symbols.locate(0xffff_ffff_8100_0300).unwrap().symbol,
            "first"
        );
    }

    #[test]
    fn a_return_probes_trampoline_is_returned_to_at_its_start() {
        let kallsyms =
            "ffffffff81000100 t elfcorehdr_read\nffffffff81000140 T kretprobe_trampoline\n";
        let symbols = symbolizer(kallsyms, &[0xffff_ffff_8100_0140, 0xffff_ffff_8100_013f]);
        let symbol = |address| symbols.locate(address).unwrap().symbol.as_str();
        assert_eq!(symbol(0xffff_ffff_8100_0140), "kretprobe_trampoline");
        assert_eq!(symbol(0xffff_ffff_8100_013f), "elfcorehdr_read");
    }

    #[test]
    fn bpf_has_symbols_too() {
        let symbols = symbolizer(KALLSYMS, &[0xffff_ffff_c000_2020]);
        let location = symbols.locate(0xffff_ffff_c000_2020).unwrap();
        assert_eq!(location.symbol, "bpf_trampoline_6442536263");
        assert_eq!(location.module.as_deref(), Some("bpf"));
    }

    #[test]
    fn what_lies_nowhere_is_not_located() {
        let symbols = symbolizer(KALLSYMS, &[0x1000, 0xffff_ffff_f000_0000]);
        assert_eq!(symbols.locate(0x1000), None);
        assert_eq!(symbols.locate(0xffff_ffff_f000_0000), None);
        assert!(!symbols.is_hidden());
    }

    #[test]
    fn hidden_addresses_are_said_to_be() {
        let symbols = symbolizer("0000000000000000 T _stext\n", &[0xffff_ffff_8100_0104]);
        assert!(symbols.is_hidden());
    }

    #[test]
    fn the_kernels_own_frames_are_read() {
        let frame = |symbol: &str, offset, module: Option<&str>, at_end| {
            let location = Location {
                symbol: symbol.to_owned(),
                offset,
                module: module.map(str::to_owned),
            };
            Some(PrintedFrame { location, at_end })
        };
        assert_eq!(
            parse_frame("[<0>] do_nanosleep+0x5f/0x190"),
            frame("do_nanosleep", 0x5f, None, false)
        );
        assert_eq!(
            parse_frame("[<0>] lpwatch_target_main+0x2c/0x50 [lpwatch_target]\n"),
            frame("lpwatch_target_main", 0x2c, Some("lpwatch_target"), false)
        );
        assert_eq!(
            parse_frame("[<0>] elfcorehdr_read+0x40/0x40"),
            frame("elfcorehdr_read", 0x40, None, true)
        );
        assert_eq!(parse_frame("[<0>] 0xffffffff12345678"), None);
        assert_eq!(parse_frame(""), None);
    }
}
