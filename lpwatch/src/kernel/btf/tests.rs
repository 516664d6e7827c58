//! BTF written by hand after `Documentation/bpf/btf.rst`, and the running
//! kernel's where it has one.

use proptest::prelude::*;

use super::*;

const INT: u32 = 1;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const FWD: u32 = 7;
const CONST: u32 = 10;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

/// `kind_flag`: a member's offset has the size of a bitfield in its top byte.
const BITFIELDS: u32 = 1 << 31;

/// Writes types, which get ids from 1 on, and their names.
#[derive(Default)]
struct Writer {
    types: Vec<u8>,
    names: Vec<u8>,
}

impl Writer {
    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.types.extend(word.to_ne_bytes());
        }
    }

    fn name(&mut self, name: &str) -> u32 {
        if self.names.is_empty() {
            self.names.push(0);
        }
        if name.is_empty() {
            return 0;
        }
        let offset = u32::try_from(self.names.len()).unwrap();
        self.names.extend(name.bytes().chain([0]));
        offset
    }

    fn plain(&mut self, kind: u32, name: &str, size_or_type: u32) {
        let name = self.name(name);
        self.words(&[name, kind << 24, size_or_type]);
    }

    /// `members`: name, type, offset in bits.
    fn composite(&mut self, kind: u32, name: &str, flags: u32, members: &[(&str, u32, u32)]) {
        let count = u32::try_from(members.len()).unwrap();
        let name = self.name(name);
        self.words(&[name, flags | kind << 24 | count, 64]);
        for (name, r#type, offset) in members {
            let name = self.name(name);
            self.words(&[name, *r#type, *offset]);
        }
    }

    fn finish(self) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let mut file = 0xeb9f_u16.to_ne_bytes().to_vec();
        file.extend([1, 0]);
        let (types, names) = (length(&self.types), length(&self.names));
        for word in [24, 0, types, types, names] {
            file.extend(u32::to_ne_bytes(word));
        }
        file.extend(self.types);
        file.extend(self.names);
        file
    }
}

fn example() -> Vec<u8> {
    let mut writer = Writer::default();
    writer.plain(INT, "int", 4); // 1
    writer.words(&[32]);
    writer.composite(STRUCT, "", 0, &[("deep", 1, 0), ("deeper", 1, 32)]); // 2
    writer.composite(UNION, "", 0, &[("wide", 1, 0), ("", 2, 0)]); // 3
    writer.plain(CONST, "", 3); // 4
    writer.composite(
        STRUCT,
        "task",
        BITFIELDS,
        &[
            ("first", 1, 0),
            ("bits", 1, 3 << 24 | 32),
            ("unaligned", 1, 35),
            ("", 4, 64),
            ("", 1, 96),
            ("patch_state", 1, 128),
        ],
    ); // 5
    writer.plain(FUNC_PROTO, "", 0); // 6
    writer.plain(FUNC, "klp_start_transition", 6); // 7
    writer.plain(FWD, "task", 0); // 8
    writer.composite(STRUCT, "twice", 0, &[("same", 1, 0), ("moved", 1, 32)]); // 9
    writer.composite(
        STRUCT,
        "twice",
        0,
        &[("same", 1, 0), ("moved", 1, 64), ("new", 1, 96)],
    ); // 10
    // Of itself, which no compiler makes.
    writer.composite(STRUCT, "endless", 0, &[("", 11, 8), ("", 11, 8)]); // 11
    writer.finish()
}

fn kernel(bytes: &[u8]) -> Result<Option<Arc<KernelBtf>>, BtfError> {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("kernel/btf");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("vmlinux"), bytes).unwrap();
    KernelBtf::open(&Roots {
        sysfs: folder.path().to_owned(),
        procfs: folder.path().to_owned(),
    })
}

#[test]
fn members_are_found_in_bytes_through_anonymous_ones() {
    let btf = kernel(&example()).unwrap().unwrap();
    for (member, offset) in [
        ("first", 0),
        ("patch_state", 16),
        ("wide", 8),
        ("deep", 8),
        ("deeper", 12),
    ] {
        assert_eq!(btf.member_offset("task", member), Some(offset), "{member}");
    }
    for absent in ["bits", "unaligned", "absent", ""] {
        assert_eq!(btf.member_offset("task", absent), None, "{absent}");
    }
    for no_structure in ["absent", "int", "klp_start_transition", ""] {
        assert_eq!(btf.member_offset(no_structure, "first"), None);
    }
}

#[test]
fn structures_of_one_name_have_to_agree() {
    let btf = kernel(&example()).unwrap().unwrap();
    assert_eq!(btf.member_offset("twice", "same"), Some(0));
    assert_eq!(btf.member_offset("twice", "new"), Some(12));
    assert_eq!(btf.member_offset("twice", "moved"), None);
    assert_eq!(btf.member_offset("endless", "x"), None);
}

#[test]
fn only_functions_are_functions() {
    let btf = kernel(&example()).unwrap().unwrap();
    assert!(btf.has_function("klp_start_transition"));
    for other in ["task", "int", "klp_start_transition.part.0", ""] {
        assert!(!btf.has_function(other), "{other}");
    }
}

#[test]
fn a_function_has_its_name_by_id() {
    let btf = kernel(&example()).unwrap().unwrap();
    let [id] = btf.ids("klp_start_transition")[..] else {
        panic!("one function of this name");
    };
    let name = btf.function_name(id);
    assert_eq!(name.as_deref(), Some("klp_start_transition"));
    // `int`, void and an id that is not there.
    for other in [1, 0, u32::MAX] {
        assert_eq!(btf.function_name(other), None, "{other}");
    }
}

#[test]
fn every_kind_is_passed_over() {
    // Kind, count, words behind the first three.
    let kinds: [(u32, u32, usize); 19] = [
        (1, 0, 1),
        (2, 0, 0),
        (3, 0, 3),
        (4, 2, 6),
        (5, 1, 3),
        (6, 3, 6),
        (7, 0, 0),
        (8, 0, 0),
        (9, 0, 0),
        (10, 0, 0),
        (11, 0, 0),
        (12, 2, 0),
        (13, 3, 6),
        (14, 0, 1),
        (15, 2, 6),
        (16, 0, 0),
        (17, 0, 1),
        (18, 0, 0),
        (19, 2, 6),
    ];
    for (kind, count, words) in kinds {
        let mut writer = Writer::default();
        writer.words(&[0, kind << 24 | count, 0]);
        writer.words(&vec![0; words]);
        writer.plain(FUNC, "behind", 0);
        let btf = KernelBtf::parse(writer.finish()).unwrap();
        assert_eq!(btf.ids("behind"), [2], "{kind}");
        assert!(btf.has_function("behind"), "{kind}");
    }
    let mut writer = Writer::default();
    writer.plain(FUNC, "known", 0);
    writer.plain(20, "unknown", 0);
    let error = KernelBtf::parse(writer.finish()).unwrap_err();
    assert_eq!(error, FormatError::Kind { id: 2, kind: 20 });
}

#[test]
fn the_order_of_bytes_is_recognized_by_the_file() {
    let mut swapped = example();
    let names = swapped.len() - names_length(&swapped);
    swapped[..2].reverse();
    for word in swapped[4..names].chunks_exact_mut(4) {
        word.reverse();
    }
    let btf = KernelBtf::parse(swapped).unwrap();
    assert_eq!(btf.member_offset("task", "deeper"), Some(12));
    assert_eq!(btf.member_offset("task", "bits"), None);
    assert!(btf.has_function("klp_start_transition"));
}

/// The last field of the header.
fn names_length(file: &[u8]) -> usize {
    let length = file[20..].first_chunk().copied().unwrap();
    usize::try_from(u32::from_ne_bytes(length)).unwrap()
}

#[test]
fn a_longer_header_and_sections_in_any_order_are_read() {
    let file = example();
    let types_length = u32::from_ne_bytes(file[12..].first_chunk().copied().unwrap());
    let names_length = u32::try_from(names_length(&file)).unwrap();
    let (types, names) = file[24..].split_at(usize::try_from(types_length).unwrap());
    let mut moved = file[..4].to_vec();
    for word in [32, names_length, types_length, 0, names_length, 0, 0] {
        moved.extend(u32::to_ne_bytes(word));
    }
    let btf = KernelBtf::parse([&moved, names, types].concat()).unwrap();
    assert_eq!(btf.member_offset("task", "deeper"), Some(12));
}

#[test]
fn members_are_found_through_every_modifier() {
    for modifier in [8, 9, 10, 11, 18] {
        let mut writer = Writer::default();
        writer.composite(STRUCT, "inner", 0, &[("found", 0, 64)]); // 1
        writer.plain(modifier, "", 1); // 2
        writer.composite(STRUCT, "outer", 0, &[("", 2, 128)]); // 3
        let btf = KernelBtf::parse(writer.finish()).unwrap();
        assert_eq!(btf.member_offset("outer", "found"), Some(24), "{modifier}");
    }
}

#[test]
fn no_file_is_no_btf_and_garbage_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let roots = Roots {
        sysfs: folder.path().to_owned(),
        procfs: folder.path().to_owned(),
    };
    assert!(KernelBtf::open(&roots).unwrap().is_none());
    for garbage in [&b""[..], b"hello", &[0xff; 64]] {
        let error = kernel(garbage).unwrap_err();
        assert!(error.to_string().contains("is not BTF"), "{error}");
    }
}

#[test]
fn a_file_that_is_cut_is_an_error() {
    let whole = example();
    for length in 0..whole.len() {
        assert!(
            KernelBtf::parse(whole[..length].to_vec()).is_err(),
            "{length}"
        );
    }
}

/// Asks for what is there and what is not; only panics and endless searches are
/// wrong.
fn ask(bytes: Vec<u8>) {
    if let Ok(btf) = KernelBtf::parse(bytes) {
        for structure in ["task", "twice", "endless", "absent"] {
            let _ = btf.member_offset(structure, "deeper");
        }
        let _ = btf.has_function("klp_start_transition");
        for id in [0, 1, 7, 1000, u32::MAX] {
            let _ = btf.function_name(id);
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let whole = example();
    for place in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut flipped = whole.clone();
            flipped[place] ^= flip;
            ask(flipped);
        }
    }
}

proptest! {
    #[test]
    fn bad_types_never_panic(
        words in proptest::collection::vec(any::<u32>(), 0..64),
        kinds in proptest::collection::vec((0..20_u32, 0..4_u32, 0..12_u32), 0..64),
    ) {
        let mut writer = Writer::default();
        let name = writer.name("task");
        // Well-formed ones that lead anywhere, then anything.
        for (kind, count, target) in kinds {
            writer.words(&[name, kind << 24 | count, target]);
            writer.words(&vec![target; usize::try_from(count).unwrap() * 3]);
        }
        ask(writer.finish());
        let mut writer = Writer::default();
        writer.name("task");
        writer.words(&words);
        ask(writer.finish());
    }

    #[test]
    fn several_bad_bytes_never_panic(
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16),
    ) {
        let mut bytes = example();
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        ask(bytes);
    }
}

#[test]
fn the_running_kernels_types_are_read() {
    let Some(btf) = KernelBtf::open(&Roots::default()).unwrap() else {
        println!("skipped: this kernel has no BTF");
        return;
    };
    let pid = btf.member_offset("task_struct", "pid").unwrap();
    assert_eq!(btf.member_offset("task_struct", "tgid"), Some(pid + 4));
    assert!(btf.has_function("schedule"));
    let again = KernelBtf::open(&Roots::default()).unwrap().unwrap();
    assert!(Arc::ptr_eq(&btf, &again), "read once while it is held");
}

#[test]
fn functions_keep_their_ids_when_the_rest_is_left_out() {
    let mut writer = Writer::default();
    writer.plain(INT, "int", 4);
    writer.words(&[32]);
    writer.plain(FUNC_PROTO, "", 0);
    writer.plain(FUNC, "first", 2);
    writer.plain(FUNC, "second", 2);
    writer.plain(FWD, "second", 0);
    writer.plain(FUNC, "third", 2);
    let whole = KernelBtf::parse(writer.finish()).unwrap();
    let part = KernelBtf::parse(whole.with_functions(["third", "second", "absent"])).unwrap();
    assert_eq!(part.function_name(4).as_deref(), Some("second"));
    assert_eq!(part.function_name(6).as_deref(), Some("third"));
    assert!(!part.has_function("first") && !part.has_function("absent"));
    assert_eq!(part.function_name(5), None);
    assert!(KernelBtf::parse(whole.with_functions([])).is_ok());
}

#[test]
fn damaged_types_are_read_or_refused() {
    crate::fuzz::hammer("types", &[example()], |_, input| {
        let Ok(btf) = KernelBtf::parse(input.to_vec()) else {
            return;
        };
        for member in ["wide", "deep", "deeper", "pid"] {
            let _ = btf.member_offset("task_struct", member);
        }
        for id in 0..16 {
            let _ = btf.function_name(id);
        }
        let names = ["task_struct", "int", "f", "bpf_iter_task"];
        let _ = btf.with_functions(names);
        let _ = names.map(|name| btf.has_function(name));
    });
}
