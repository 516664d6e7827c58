//! Lines and files of the kernel that are read one by one.

use std::{fs, path::Path};

use super::hammer;
use crate::{
    kernel::{
        Roots,
        config::KernelConfig,
        kallsyms::{self, Symbol, Symbolizer, VMLINUX},
        kernelcare, kmsg,
        patch_file::{FUNCTIONS_MAX, PatchFile},
    },
    model::FrameSymbol,
};

const LOG: [&str; 9] = [
    "5,1024,1234567,-;livepatch: enabling patch 'lp_stall'",
    "5,1025,1234568,-;livepatch: 'lp_stall': starting patching transition\n SUBSYSTEM=a\n",
    "5,1026,1234569,c;livepatch: 'lp_stall': unpatching complete",
    "4,1027,1234570,-;livepatch: failed to initialize patch 'a' for module 'b' (-22)",
    "4,1028,1234571,-;livepatch: patch 'a' failed for module 'b', refusing to load module 'b'",
    "3,1029,1234572,-;livepatch: symbol 'f\\x0a' not found in symbol table",
    "5,1030,1234573,-;livepatch: signaling remaining tasks",
    "6,1031,1234574,-;kgr: kgraft_patch_1: applying patch",
    "14,1032,1234575,-;ksplice: Update dfvn0zq8 applied successfully",
];

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn kernel_log() {
    let mut parser = kmsg::RefusalParser::default();
    hammer("kernel_log", &bytes(&LOG), |_, input| {
        let Some(record) = kmsg::parse_record(input) else {
            return;
        };
        assert!(record.level < 8 && record.seconds() >= 0.0);
        if let Some(line) = kmsg::parse_livepatch(&record.text) {
            let _ = parser.take(record.micros, &line);
        }
        let _ = kmsg::parse_foreign(&record.text);
    });
}

const FRAMES: [&str; 4] = [
    "[<0>] do_nanosleep+0x5f/0x190",
    "[<0>] target_main+0x15/0x40 [lpwatch_target]",
    "klp_enable_patch+0xffffffffffffffff/0x0 [a] [b]",
    "bpf_prog_0123456789abcdef_name+0x1/0x2 [bpf]",
];

#[test]
fn stacks() {
    hammer("stacks", &bytes(&FRAMES), |_, input| {
        let text = String::from_utf8_lossy(input);
        for line in text.lines() {
            if let Some(frame) = kallsyms::parse_frame(line) {
                let _ = FrameSymbol::of(&frame.location.symbol);
            }
        }
    });
}

const SYMBOLS: &str = "\
ffffffff81000000 T _stext
ffffffff81000100 t first
ffffffff81000200 D data
ffffffff81000300 T second
ffffffff81000340 t second.cold
ffffffff81000380 t first.isra.0
ffffffffc0001000 t target_main\t[lpwatch_target]
ffffffffc0002000 t bpf_trampoline_6442536263\t[bpf]
";

#[test]
fn kallsyms() {
    let folder = tempfile::tempdir().unwrap();
    let roots = Roots {
        sysfs: folder.path().join("none"),
        procfs: folder.path().to_owned(),
    };
    let hidden = SYMBOLS.replace("ffffffff8", "0000000000");
    let names = [(VMLINUX, "first"), ("lpwatch_target", "target_main")];
    let names = names.map(|(object, name)| Symbol {
        object: object.to_owned(),
        name: name.to_owned(),
    });
    hammer("kallsyms", &bytes(&[SYMBOLS, &hidden]), |_, input| {
        fs::write(folder.path().join("kallsyms"), input).unwrap();
        let _ = kallsyms::find_names(&roots, &["first", "second"]);
        let _ = kallsyms::find_matches(&roots, &names);
        let _ = kallsyms::find_functions(&roots, &names, &[0xffff_ffff_8100_0300]);
        let mut symbolizer = Symbolizer::default();
        let addresses = [0, 0xffff_ffff_8100_0310, 0xffff_ffff_c000_1001, u64::MAX];
        let _ = symbolizer.learn(&roots, addresses);
        for address in addresses {
            let _ = symbolizer.locate(address);
        }
    });
}

#[test]
fn settings_of_the_build() {
    let text =
        "# Linux\nCONFIG_LIVEPATCH=y\nCONFIG_HZ=250\nCONFIG_A=\"b\"\n# CONFIG_X is not set\n";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
    let seeds = [text.as_bytes().to_vec(), packed.finish().unwrap()];
    hammer("settings_of_the_build", &seeds, |_, input| {
        let path = Path::new("config.gz").to_owned();
        if let Some(config) = KernelConfig::parse(input, path) {
            let _ = (config.has("LIVEPATCH"), config.value("HZ"));
        }
        let _ = kernelcare::cves(&String::from_utf8_lossy(input));
    });
}

#[test]
fn patch_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/trees/modules");
    let files = fs::read_dir(folder).unwrap();
    let mut seeds: Vec<Vec<u8>> = files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    seeds.sort();
    hammer("patch_files", &seeds, |_, input| {
        match PatchFile::parse(input, "fuzz.ko") {
            Err(error) => assert!(!error.problem.to_string().is_empty()),
            Ok(file) => {
                let functions = file.objects.iter().map(|object| object.functions.len());
                assert!(functions.sum::<usize>() <= FUNCTIONS_MAX);
            }
        }
    });
}
