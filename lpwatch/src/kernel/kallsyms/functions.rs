//! The addresses of functions, and the functions at addresses, in the kernel
//! and its modules.

use std::{collections::HashMap, ops::ControlFlow};

use super::{Symbol, lines::read, wanted::WantedSymbols};
use crate::kernel::{ReadError, Roots};

/// The result of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Functions {
    /// For each requested name its addresses, in the order of the file; a name
    /// can occur more than once.
    pub addresses: HashMap<Symbol, Vec<u64>>,
    /// For each requested address the first function that begins there.
    pub symbols: HashMap<u64, Symbol>,
    /// The kernel hides its addresses.
    pub hidden: bool,
}

/// Finds functions by name and by the address they begin at, in one pass.
///
/// # Errors
/// The file cannot be read.
pub fn find_functions(
    roots: &Roots,
    names: &[Symbol],
    addresses: &[u64],
) -> Result<Functions, ReadError> {
    let mut wanted: WantedSymbols<'_, Vec<u64>> = WantedSymbols::of(names);
    let mut at: HashMap<u64, Option<Symbol>> =
        addresses.iter().map(|address| (*address, None)).collect();
    let hidden = read(roots, |line| {
        if line.is_code {
            if wanted.begins_like(line.name)
                && let Some(found) = wanted.get_mut(line.object(), line.name)
            {
                found.push(line.address);
            }
            if let Some(symbol @ None) = at.get_mut(&line.address) {
                *symbol = Some(line.symbol());
            }
        }
        ControlFlow::Continue(())
    })?;
    let found = wanted.into_found().map(|(symbol, mut addresses)| {
        // Aliases of one function count once.
        addresses.dedup();
        (symbol, addresses)
    });
    Ok(Functions {
        addresses: found
            .filter(|(_, addresses)| !addresses.is_empty())
            .collect(),
        symbols: at
            .into_iter()
            .filter_map(|(address, symbol)| Some((address, symbol?)))
            .collect(),
        hidden,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kallsyms::VMLINUX;

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
    fn names_are_distinguished_by_their_object() {
        let (_folder, roots) = roots(KALLSYMS);
        let names = [
            symbol(VMLINUX, "twice"),
            symbol("lp_value", "twice"),
            symbol("lpwatch_target", "value"),
            symbol(VMLINUX, "value"),
            symbol(VMLINUX, "data"),
        ];
        let found = find_functions(&roots, &names, &[]).unwrap();
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
        let found = find_functions(&roots, &[], &asked).unwrap();
        assert_eq!(
            found.symbols,
            HashMap::from([
                (asked[0], symbol(VMLINUX, "__x64_sys_pause")),
                (asked[1], symbol("lp_value", "twice")),
            ])
        );
    }

    #[test]
    fn hidden_addresses_are_reported() {
        let (_folder, roots) = roots("0000000000000000 T _stext\n");
        let found = find_functions(&roots, &[symbol(VMLINUX, "_stext")], &[]).unwrap();
        assert!(found.hidden);
    }
}
