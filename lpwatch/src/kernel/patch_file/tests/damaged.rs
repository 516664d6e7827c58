//! Modules that are cut short, damaged, of another kind, or too large.

use std::time::{Duration, Instant};

use object::{Architecture, Endianness, SectionKind};

use super::build::Module;
use super::patch::{ObjectSource, PatchSource};
use super::{functions, read};
use crate::kernel::patch_file::{FUNCTIONS_MAX, OBJECTS_MAX, PatchFile, Problem};

fn module() -> Vec<u8> {
    let list = [("one", 0), ("two", 1)];
    let objects = vec![
        ObjectSource::of(None, &list),
        ObjectSource::of(Some("m"), &list),
    ];
    PatchSource::of(objects).module()
}

fn problem(bytes: &[u8]) -> Problem {
    PatchFile::parse(bytes, "x.ko").unwrap_err().problem
}

#[test]
fn a_module_cut_anywhere_is_refused() {
    let whole = module();
    read(&whole);
    for length in 0..whole.len() {
        let problem = problem(&whole[..length]);
        let expected = match length {
            0 => matches!(problem, Problem::Empty),
            _ => matches!(problem, Problem::Truncated { .. }),
        };
        assert!(expected, "{length}: {problem:?}");
    }
}

#[test]
fn what_is_no_module_is_distinguished() {
    assert!(matches!(problem(b"#!/bin/sh\n"), Problem::NotElf));
    assert!(matches!(problem(b"x"), Problem::NotElf));
    let changed = |at: usize, value: u8| {
        let mut bytes = module();
        bytes[at] = value;
        problem(&bytes)
    };
    // The class, the type and the machine of the ELF header.
    assert!(matches!(changed(4, 1), Problem::Bits32));
    for (kind, word) in [(2, "program"), (3, "library"), (4, "core"), (9, "another")] {
        let Problem::NotRelocatable { what } = changed(16, kind) else {
            panic!("{kind}");
        };
        assert!(what.contains(word), "{what}");
    }
    let machine = changed(18, 40);
    assert!(matches!(
        machine,
        Problem::UnknownMachine { machine: 40, .. }
    ));
    // s390x is big-endian only.
    let machine = changed(18, 22);
    assert!(matches!(
        machine,
        Problem::UnknownMachine {
            order: "little-endian",
            ..
        }
    ));
}

#[test]
fn a_real_program_is_refused() {
    let program = std::env::current_exe().unwrap();
    let error = PatchFile::read(&program).unwrap_err();
    // One of several hundred megabytes is refused for that alone.
    assert!(
        matches!(
            error.problem,
            Problem::NotRelocatable { .. } | Problem::TooLarge { .. }
        ),
        "{error:?}"
    );
}

#[test]
fn a_module_without_symbols_is_refused() {
    let mut bytes = module();
    let headers = usize::try_from(u64::from_le_bytes(bytes[40..48].try_into().unwrap())).unwrap();
    let symbols = bytes[headers..]
        .chunks(64)
        .position(|header| header[4] == 2)
        .unwrap();
    bytes[headers + symbols * 64 + 4] = 1;
    assert!(matches!(problem(&bytes), Problem::NoSymbols));
}

#[test]
fn names_up_to_the_kernels_limit_are_read() {
    let name = "n".repeat(511);
    let file = read(&PatchSource::of(vec![ObjectSource::of(None, &[(&name, 0)])]).module());
    assert_eq!(file.objects[0].functions[0].name, name);
    assert_eq!(file.unread, [""; 0]);

    let longer = format!("{name}n");
    let file =
        read(&PatchSource::of(vec![ObjectSource::of(None, &[(&longer, 0), ("f", 0)])]).module());
    assert_eq!(functions(&file.objects[0]), ["f,0 -> new_f"]);
    assert!(
        file.unread[0].contains("no end within 512"),
        "{:?}",
        file.unread
    );
}

#[test]
fn names_that_are_no_text_are_reported() {
    let mut object = ObjectSource::of(None, &[("f", 0)]);
    object.functions.push((b"\xff\xfe".to_vec(), 0));
    let mut other = ObjectSource::of(None, &[("g", 0)]);
    other.name = Some(b"\xc3(".to_vec());
    let file = read(&PatchSource::of(vec![object, other]).module());
    assert_eq!(file.objects.len(), 1);
    assert_eq!(functions(&file.objects[0]), ["f,0 -> new_f"]);
    let told = file.unread.iter().filter(|told| told.contains("UTF-8"));
    assert_eq!(told.count(), 2, "{:?}", file.unread);
}

#[test]
fn a_string_without_end_is_reported() {
    let mut module = Module::livepatch();
    let source = PatchSource::of(vec![ObjectSource::of(None, &[("f", 0)])]);
    source.add_to(&mut module);
    // The last string of the section loses its zero.
    let strings = module.append(".rodata.str1.1", SectionKind::ReadOnlyData, &[], 1);
    let data = module.object.section_mut(strings.section).data_mut();
    *data.last_mut().unwrap() = b'x';
    let file = read(&module.finish());
    assert_eq!(functions(&file.objects[0]), [""; 0]);
    assert!(file.unread[0].contains("no end"), "{:?}", file.unread);
}

#[test]
fn a_symbol_position_beyond_32_bits_is_reported() {
    let source = PatchSource::of(vec![ObjectSource::of(None, &[("f", 1 << 40), ("g", 1)])]);
    let file = read(&source.module());
    assert_eq!(functions(&file.objects[0]), ["g,1 -> new_g"]);
    assert!(file.unread[0].contains("f of vmlinux"), "{:?}", file.unread);
}

#[test]
fn many_functions_are_bounded_and_reported() {
    let names: Vec<String> = (0..20_000).map(|index| format!("f{index}")).collect();
    let list = |count: usize| -> Vec<(&str, u64)> {
        names[..count]
            .iter()
            .map(|name| (name.as_str(), 0))
            .collect()
    };
    let file = read(&PatchSource::of(vec![ObjectSource::of(None, &list(10_000))]).module());
    assert_eq!(file.objects[0].functions.len(), 10_000);
    assert_eq!(file.unread, [""; 0]);

    let both = vec![
        ObjectSource::of(None, &list(10_000)),
        ObjectSource::of(Some("m"), &list(20_000)),
    ];
    let file = read(&PatchSource::of(both).module());
    let read: usize = file
        .objects
        .iter()
        .map(|object| object.functions.len())
        .sum();
    assert_eq!(read, FUNCTIONS_MAX);
    assert!(file.unread[0].contains("16384"), "{:?}", file.unread);
}

#[test]
fn many_objects_are_bounded_and_reported() {
    let objects = (0..2000).map(|index| ObjectSource::of(Some(&format!("m{index}")), &[("f", 0)]));
    let file = read(&PatchSource::of(objects.collect()).module());
    assert_eq!(file.objects.len(), OBJECTS_MAX);
    assert!(file.unread[0].contains("2000"), "{:?}", file.unread);
}

/// Every object has the same long list: read once for each, it would be
/// sixteen million functions.
#[test]
fn lists_that_are_shared_are_bounded() {
    let mut module = Module::livepatch();
    let names: Vec<String> = (0..16_000).map(|index| format!("f{index}")).collect();
    let list: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
    let first = PatchSource::of(vec![ObjectSource::of(None, &list)]);
    first.add_to(&mut module);
    let functions = module.start_of(".data");
    let objects = module.data(".data", Some("more"), &vec![0; 1025 * 168]);
    let patch = module.data(".data", Some("second"), &[0; 232]);
    let this = module.this_module();
    for index in 0..1024 {
        module.point(objects.plus(index * 168 + 8), functions);
    }
    module.point(patch, this);
    module.point(patch.plus(8), objects);
    let bytes = module.finish();
    let started = Instant::now();
    let file = read(&bytes);
    assert!(started.elapsed() < Duration::from_secs(20));
    let read: usize = file
        .objects
        .iter()
        .map(|object| object.functions.len())
        .sum();
    assert!(read <= FUNCTIONS_MAX);
    assert_ne!(file.unread, [""; 0]);
}

/// Pointers that lead back to where they lie, out of their section, to no
/// symbol.
#[test]
fn pointers_to_anywhere_give_no_patch() {
    for target in 0..4 {
        let mut module = Module::livepatch();
        let patch = module.data(".data", Some("patch"), &[0; 232]);
        let this = module.this_module();
        module.point(patch, this);
        let to = match target {
            0 => patch,
            1 => patch.plus(8),
            2 => patch.plus(1 << 40),
            _ => module.external(""),
        };
        module.point(patch.plus(8), to);
        module.point(patch.plus(16), patch);
        let file = read(&module.finish());
        assert_eq!(file.made_by, None);
        assert!(file.unread[0].contains("no klp_patch"), "{:?}", file.unread);
    }
}

#[test]
fn a_patch_of_a_module_that_is_not_marked_is_read() {
    let mut module = Module::bare(Architecture::X86_64, Endianness::Little);
    module.modinfo(&["vermagic=6.1.0-56-amd64 SMP "]);
    PatchSource::of(vec![ObjectSource::of(None, &[("f", 0)])]).add_to(&mut module);
    let file = read(&module.finish());
    assert!(!file.modinfo.livepatch);
    assert_eq!(file.objects.len(), 1);
}
