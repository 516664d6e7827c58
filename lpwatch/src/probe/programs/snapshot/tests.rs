//! Programs as the kernels give them, and what is told of them.

use lpwatch_common::program::ATTACHED_NO;

use super::*;

const FUNCTION: u32 = 54_231;
/// The key of a function of the kernel's own BTF, which has the id 1 here.
const KEY: u64 = (1 << 32) | 0x8000_0000 | FUNCTION as u64;

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

fn record(id: u32, attach_type: u32, name: &str) -> ProgramRecord {
    ProgramRecord {
        id,
        kind: PROGRAM_TRACING,
        attach_type,
        attached: ATTACHED_UNKNOWN,
        function: FUNCTION,
        btf: 1,
        tag: [0xa0, 0x4f, 0x5e, 0xef, 0x06, 0xa7, 0xf5, 0x55],
        name: padded::<PROGRAM_NAME_LEN>(name),
        function_name: padded("hrtimer_nanosleep"),
        symbol_name: padded(name),
    }
}

fn link(program: u32, key: u64) -> LinkRecord {
    let id = 100 + program;
    LinkRecord { key, id, program }
}

fn ids(programs: &[&ForeignProgram]) -> Vec<u32> {
    programs.iter().map(|one| one.id).collect()
}

#[test]
fn a_key_tells_what_is_traced() {
    let function = |btf| Traced::Function {
        btf,
        function: FUNCTION,
    };
    assert_eq!(Traced::of_key(KEY), function(Some(1)));
    // 5.10 has no ids of BTF objects in it.
    assert_eq!(Traced::of_key(FUNCTION.into()), function(None));
    assert_eq!(Traced::of_key((42 << 32) | 7), Traced::Program { id: 42 });
    let last = Traced::Function {
        btf: Some(u32::MAX),
        function: 0x7fff_ffff,
    };
    assert_eq!(Traced::of_key(u64::MAX), last);
}

#[test]
fn a_program_is_told_as_the_kernel_names_it() {
    let program = ForeignProgram::new(record(7, ATTACH_FEXIT, "a_name_15_bytes"));
    assert_eq!(program.name.as_deref(), Some("a_name_15_bytes"));
    assert_eq!(program.tag, "a04f5eef06a7f555");
    assert_eq!(program.kind, Some("fexit"));
    assert_eq!(program.traces.as_deref(), Some("hrtimer_nanosleep"));

    for (symbol, expected) in [
        ("a_name_15_bytes_and_more", "a_name_15_bytes_and_more"),
        ("another_name", "a_name_15_bytes"),
    ] {
        let program = ForeignProgram::new(ProgramRecord {
            symbol_name: padded(symbol),
            ..record(7, ATTACH_FEXIT, "a_name_15_bytes")
        });
        assert_eq!(program.name.as_deref(), Some(expected));
    }

    let cut_off = ProgramRecord {
        function_name: padded(&"f".repeat(FUNCTION_NAME_LEN - 1)),
        name: [0; PROGRAM_NAME_LEN],
        kind: 4711,
        ..record(7, 0, "")
    };
    let program = ForeignProgram::new(cut_off);
    assert_eq!(
        (program.traces, program.name, program.kind),
        (None, None, None)
    );
}

#[test]
fn links_tell_what_is_attached() {
    let records = vec![
        record(9, ATTACH_FEXIT, "later"),
        record(3, ATTACH_MODIFY_RETURN, "modifies"),
        record(4, 24, "fentry"),
        record(5, ATTACH_FEXIT, "detached"),
        record(6, ATTACH_FEXIT, "elsewhere"),
        record(7, ATTACH_FEXIT, "own"),
    ];
    let links = vec![
        link(9, KEY),
        link(3, KEY),
        link(4, KEY),
        link(6, KEY + 1),
        link(7, KEY),
        link(99, KEY),
    ];
    let programs = Programs::new(records, Some(links), BTreeSet::from([7]));
    assert_eq!(ids(&programs.at_trampoline(KEY, None)), [3, 9]);
    assert_eq!(ids(&programs.at_trampoline(KEY + 2, None)), [0; 0]);
    assert!(programs.shows_attached());
    assert_eq!(programs.kernel_btf(), Some(1));
}

#[test]
fn without_links_the_program_tells_whether_it_is_attached() {
    let old = |id, attached| ProgramRecord {
        attached,
        btf: 0,
        ..record(id, ATTACH_FEXIT, "old")
    };
    let records = vec![
        old(1, ATTACHED_YES),
        old(2, ATTACHED_NO),
        // A function of another program that has the same id in its BTF.
        ProgramRecord {
            function_name: padded("their_function"),
            ..old(3, ATTACHED_YES)
        },
    ];
    let programs = Programs::new(records, None, BTreeSet::new());
    let key = u64::from(FUNCTION);
    assert_eq!(
        ids(&programs.at_trampoline(key, Some("hrtimer_nanosleep"))),
        [1]
    );
    assert_eq!(ids(&programs.at_trampoline(key, None)), [0; 0]);
    assert!(programs.shows_attached());
    assert_eq!(programs.kernel_btf(), None);
}

#[test]
fn where_it_cannot_be_told_what_is_attached_nothing_is_named() {
    let records = vec![record(1, ATTACH_FEXIT, "maybe")];
    let programs = Programs::new(records, None, BTreeSet::new());
    assert!(!programs.shows_attached());
    assert_eq!(
        ids(&programs.at_trampoline(KEY, Some("hrtimer_nanosleep"))),
        [0; 0]
    );
}

#[test]
fn a_symbol_tells_a_program_by_tag_and_name() {
    let records = vec![
        record(1, ATTACH_FEXIT, "on_exit"),
        record(2, ATTACH_FEXIT, "a_name_15_bytes"),
        record(0, ATTACH_FEXIT, "unread"),
    ];
    let programs = Programs::new(records, None, BTreeSet::new());
    let tag = "a04f5eef06a7f555";
    assert_eq!(ids(&programs.with_symbol(tag, "on_exit")), [1]);
    assert_eq!(
        ids(&programs.with_symbol(tag, "a_name_15_bytes_and_more")),
        [2]
    );
    assert_eq!(ids(&programs.with_symbol(tag, "renamed")), [1, 2]);
    assert_eq!(
        ids(&programs.with_symbol("0000000000000000", "on_exit")),
        [0; 0]
    );
    assert_eq!(programs.name_of(2), Some("a_name_15_bytes"));
    assert_eq!(programs.name_of(3), None);
    let function = programs.function_name(Some(1), FUNCTION);
    assert_eq!(function, Some("hrtimer_nanosleep"));
    assert_eq!(programs.function_name(Some(2), FUNCTION), None);
}
