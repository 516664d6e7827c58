//! Properties over modules made at random: what is written is read, and no
//! damage makes the reader panic, run long or keep much.

use std::time::{Duration, Instant};

use object::{Architecture, Endianness};
use proptest::collection::vec;
use proptest::prelude::*;
use strum::VariantArray as _;

use super::build::Module;
use super::patch::{FUNCTION_SIZE, OBJECT_SIZE, ObjectSource, PatchSource};
use super::{klp_symbols, read, tools};
use crate::kernel::patch_file::{
    Callback, FUNCTIONS_MAX, OBJECTS_MAX, PatchFile, PatchState, PatchedFunction,
};

/// Even a debug build on a busy machine needs a fraction of it.
const LONG: Duration = Duration::from_secs(10);

fn object() -> impl Strategy<Value = ObjectSource> {
    let name = proptest::option::of("[a-z][a-z0-9_]{0,40}");
    let function = ("[a-zA-Z_][a-zA-Z0-9_.]{0,60}", 0..=u64::from(u32::MAX));
    let functions = vec(
        function.prop_map(|(name, at)| (name.into_bytes(), at)),
        0..12,
    );
    (name, functions, any::<[bool; 4]>()).prop_map(|(name, functions, callbacks)| ObjectSource {
        name: name.map(String::into_bytes),
        functions,
        callbacks,
    })
}

fn source() -> impl Strategy<Value = PatchSource> {
    let objects = vec(object(), 1..6);
    let states = vec((1..u64::MAX, any::<u32>()), 0..5);
    // Larger structures, as other kernels may have.
    let larger = (0..20_u64, 0..20_u64);
    (objects, any::<bool>(), states, larger).prop_map(|(objects, replace, states, larger)| {
        PatchSource {
            replace,
            states,
            function_size: FUNCTION_SIZE + larger.0 * 8,
            object_size: OBJECT_SIZE + larger.1 * 8,
            ..PatchSource::of(objects)
        }
    })
}

fn processor() -> impl Strategy<Value = (Architecture, Endianness)> {
    prop_oneof![
        Just((Architecture::X86_64, Endianness::Little)),
        Just((Architecture::S390x, Endianness::Big)),
        Just((Architecture::PowerPc64, Endianness::Little)),
        Just((Architecture::Aarch64, Endianness::Little)),
    ]
}

/// Asserts that `file` is what `source` says; the names of new functions only
/// where the module has them.
fn assert_is(file: &PatchFile, source: &PatchSource, symbols: bool) {
    assert_eq!(file.unread, [""; 0]);
    assert_eq!(file.replace, Some(source.replace));
    let states = source.states.iter();
    let states: Vec<_> = states
        .map(|(id, version)| PatchState {
            id: *id,
            version: *version,
        })
        .collect();
    assert_eq!(file.states, states);
    assert_eq!(file.objects.len(), source.objects.len());
    for (read, written) in file.objects.iter().zip(&source.objects) {
        let name = written.name.as_deref().unwrap_or(b"vmlinux");
        assert_eq!(read.name.as_bytes(), name);
        let functions = written.functions.iter().map(|(name, sympos)| {
            let name = String::from_utf8(name.clone()).unwrap();
            PatchedFunction {
                new_function: symbols.then(|| format!("new_{name}")),
                name,
                sympos: u32::try_from(*sympos).unwrap(),
            }
        });
        assert_eq!(read.functions, functions.collect::<Vec<_>>());
        let callbacks = Callback::VARIANTS.iter().copied().zip(written.callbacks);
        let callbacks: Vec<_> = callbacks
            .filter(|(_, set)| *set)
            .map(|(it, _)| it)
            .collect();
        assert_eq!(read.callbacks, callbacks);
    }
}

/// One change of a file: at a part of it (in 2^32ths), these bytes.
fn changes() -> impl Strategy<Value = Vec<(u32, Vec<u8>)>> {
    let number = prop_oneof![
        Just(0_u64),
        Just(u64::MAX),
        Just(1 << 31),
        Just(1 << 63),
        0..4096_u64,
        any::<u64>(),
    ];
    let bytes = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        number
            .clone()
            .prop_map(|number| number.to_le_bytes().to_vec()),
        number.prop_map(|number| number.to_be_bytes()[4..].to_vec()),
    ];
    vec((any::<u32>(), bytes), 1..24)
}

fn damage(bytes: &mut [u8], changes: &[(u32, Vec<u8>)]) {
    for (part, change) in changes {
        let length = u64::try_from(bytes.len()).unwrap();
        // FunctionFields of headers and tables lie at multiples of four.
        let at = usize::try_from((length * u64::from(*part)) >> 32).unwrap() & !3;
        let end = bytes.len().min(at + change.len());
        let room = &mut bytes[at..end];
        room.copy_from_slice(&change[..room.len()]);
    }
}

/// Reads what may be damaged; asserts only what holds for anything.
fn survive(bytes: &[u8]) {
    let started = Instant::now();
    let result = PatchFile::parse(bytes, "damaged.ko");
    assert!(started.elapsed() < LONG, "{:?}", started.elapsed());
    match result {
        Err(error) => assert!(!error.problem.to_string().is_empty()),
        Ok(file) => {
            assert!(file.unread.len() <= 33);
            assert!(file.unread.iter().all(|told| told.len() < 2048));
            let functions: usize = file.objects.iter().map(|it| it.functions.len()).sum();
            assert!(functions <= FUNCTIONS_MAX);
            assert!(file.objects.len() <= 16 * OBJECTS_MAX);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_written_is_read(
        source in source(),
        (architecture, order) in processor(),
    ) {
        let mut module = Module::livepatch_of(architecture, order);
        source.add_to(&mut module);
        assert_is(&read(&module.finish()), &source, true);
    }

    /// Without symbols the sizes are those of the kernels that are known.
    #[test]
    fn what_is_stripped_is_read(mut source in source(), (architecture, order) in processor()) {
        source.function_size = FUNCTION_SIZE;
        source.object_size = OBJECT_SIZE;
        let mut module = Module::livepatch_of(architecture, order);
        module.symbols = false;
        source.add_to(&mut module);
        assert_is(&read(&module.finish()), &source, false);
    }

    #[test]
    fn damage_is_survived(source in source(), changes in changes(), cut in any::<u32>()) {
        let mut bytes = source.module();
        damage(&mut bytes, &changes);
        survive(&bytes);
        let cut = (bytes.len() as u64 * u64::from(cut)) >> 32;
        survive(&bytes[..usize::try_from(cut).unwrap()]);
    }

    #[test]
    fn damage_to_modules_of_tools_is_survived(changes in changes()) {
        for mut bytes in [
            tools::kpatch_module(),
            tools::klp_module(),
            klp_symbols::module(),
        ] {
            damage(&mut bytes, &changes);
            survive(&bytes);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..2048), packing in 0..4_usize) {
        let magics: [&[u8]; 4] = [
            b"\x7fELF\x02\x01\x01",
            b"\x1f\x8b\x08",
            b"\xfd7zXZ\0",
            b"\x28\xb5\x2f\xfd",
        ];
        survive(&[magics[packing], &bytes].concat());
        survive(&bytes);
    }
}
