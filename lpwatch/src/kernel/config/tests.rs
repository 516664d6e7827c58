//! Configurations as they are found: plain, compressed, and things that are
//! none.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::*;

const TEXT: &str = "\
# Linux/x86 6.12.0 Kernel Configuration
CONFIG_LIVEPATCH=y
CONFIG_NFS_FS=m
CONFIG_HZ=250
CONFIG_CC_VERSION_TEXT=\"gcc (Debian) = 14\"
# CONFIG_KPROBES is not set
";

fn roots(file: &str, content: &[u8]) -> (tempfile::TempDir, Roots) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(file), content).unwrap();
    let roots = Roots {
        procfs: folder.path().to_owned(),
        sysfs: folder.path().to_owned(),
    };
    (folder, roots)
}

fn assert_read(config: Option<KernelConfig>) {
    let config = config.unwrap();
    assert!(config.has("LIVEPATCH") && config.has("NFS_FS"));
    assert!(!config.has("KPROBES") && !config.has("HZ") && !config.has("S390"));
    assert_eq!(config.value("HZ"), Some("250"));
    assert_eq!(
        config.value("CC_VERSION_TEXT"),
        Some("\"gcc (Debian) = 14\"")
    );
}

#[test]
fn plain_and_compressed_ones_are_read() {
    let (_folder, plain) = roots("config", TEXT.as_bytes());
    assert_read(KernelConfig::read(&plain, "6.12.0"));

    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(TEXT.as_bytes()).unwrap();
    let (_folder, packed) = roots("config.gz", &encoder.finish().unwrap());
    assert_read(KernelConfig::read(&packed, "6.12.0"));
}

#[test]
fn what_is_none_is_passed_over() {
    for (file, content) in [
        ("config", &b"hello\n"[..]),
        ("config", b""),
        ("config.gz", b"CONFIG_LIVEPATCH=y\n"),
        ("other", TEXT.as_bytes()),
    ] {
        let (_folder, roots) = roots(file, content);
        assert_eq!(KernelConfig::read(&roots, "6.12.0"), None, "{file}");
    }
}

#[test]
fn a_broken_compressed_one_does_not_hide_the_plain_one() {
    let (folder, roots) = roots("config.gz", b"\x1f\x8b no");
    std::fs::write(folder.path().join("config"), TEXT).unwrap();
    assert_read(KernelConfig::read(&roots, "6.12.0"));
}
