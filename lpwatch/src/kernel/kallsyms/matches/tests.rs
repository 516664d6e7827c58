//! Tests of looking for symbols as livepatch does.

use super::*;
use crate::kernel::kallsyms::VMLINUX;

const KALLSYMS: &str = "\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000010 t twice
ffffffff81000010 t alias_of_twice
ffffffff81000030 t twice
ffffffff81000048 t $x
ffffffff81000050 D twice
ffffffff81000060 t split.part.0
ffffffff81000070 t split
ffffffff81000080 t split.isra.0.cold
ffffffff81000080 t split.isra.0.cold
ffffffff81000090 t split.other
ffffffff81000098 T last
ffffffffc0000100 t inner\t[m]
ffffffffc0000000 t value\t[m]
ffffffffc0001000 t value\t[n]
";

fn symbol(object: &str, name: &str) -> Symbol {
    Symbol {
        object: object.to_owned(),
        name: name.to_owned(),
    }
}

fn found(kallsyms: &str, names: &[Symbol]) -> ObjectSymbols {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kallsyms"), kallsyms).unwrap();
    let roots = Roots {
        sysfs: folder.path().to_owned(),
        procfs: folder.path().to_owned(),
    };
    find_matches(&roots, names).unwrap()
}

fn extents(matches: &Matches) -> Vec<(u64, u64, bool)> {
    let places = matches.places.iter();
    places
        .map(|place| (place.begin & 0xffff, place.end & 0xffff, place.is_code))
        .collect()
}

#[test]
fn every_symbol_of_a_name_counts_and_ends_at_the_next() {
    let name = symbol(VMLINUX, "twice");
    let found = found(KALLSYMS, std::slice::from_ref(&name));
    assert!(!found.hidden);
    assert_eq!(
        extents(&found.found[&name]),
        [(0x10, 0x30, true), (0x30, 0x50, true), (0x50, 0x60, false)]
    );
}

#[test]
fn modules_are_not_sorted_and_their_names_are_their_own() {
    let names = [symbol("m", "value"), symbol("n", "value"), symbol("o", "f")];
    let found = found(KALLSYMS, &names);
    assert_eq!(extents(&found.found[&names[0]]), [(0, 0x100, true)]);
    // Nothing follows: the longest a function can be.
    let last = &found.found[&names[1]].places[0];
    assert_eq!(last.end - last.begin, LENGTH_MAX);
    assert!(!found.found.contains_key(&names[2]));
}

#[test]
fn parts_are_told_each_once() {
    let names = [symbol(VMLINUX, "split"), symbol(VMLINUX, "split.isra.0")];
    let found = found(KALLSYMS, &names);
    let split = &found.found[&names[0]];
    assert_eq!(split.parts, ["split.part.0", "split.isra.0.cold"]);
    assert_eq!(split.places.len(), 1);
    // Absent itself, yet there are parts of it.
    let isra = &found.found[&names[1]];
    assert_eq!(isra.parts, ["split.isra.0.cold"]);
    assert!(isra.places.is_empty());
}

#[test]
fn hidden_addresses_leave_the_count() {
    let name = symbol(VMLINUX, "f");
    let hidden = "0000000000000000 t f\n0000000000000000 t f\n";
    let found = found(hidden, std::slice::from_ref(&name));
    assert!(found.hidden);
    assert_eq!(extents(&found.found[&name]), [(0, 0, true), (0, 0, true)]);
}

#[test]
fn bad_input_is_skipped() {
    let name = symbol(VMLINUX, "f");
    let long = "a".repeat(10_000);
    let bad = format!("{long}\nnothing\nffff t\n12 t f [open\n\u{0}\nff81000000 t f\n");
    let found = found(&bad, std::slice::from_ref(&name));
    assert_eq!(found.found[&name].places.len(), 1);
}

#[test]
fn a_missing_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let roots = Roots {
        sysfs: folder.path().to_owned(),
        procfs: folder.path().to_owned(),
    };
    assert!(find_matches(&roots, &[]).is_err());
}
