//! Any bytes as a module file: no panic, no hang, and nothing beyond the bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lpwatch::kernel::patch_file::{FUNCTIONS_MAX, PatchFile};

fuzz_target!(|bytes: &[u8]| {
    match PatchFile::parse(bytes, "fuzz.ko") {
        Err(error) => assert!(!error.problem.to_string().is_empty()),
        Ok(file) => {
            let functions: usize = file.objects.iter().map(|it| it.functions.len()).sum();
            assert!(functions <= FUNCTIONS_MAX);
            assert!(file.unread.len() <= 33);
        }
    }
});
