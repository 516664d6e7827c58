//! Module files on disk and packed ones.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use lzma_rust2::{XzOptions, XzWriter};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::patch::{ObjectSource, PatchSource};
use crate::kernel::patch_file::packing::unpack;
use crate::kernel::patch_file::{Packing, PatchFile, Problem, SIZE_MAX, find_in};

fn module() -> Vec<u8> {
    PatchSource::of(vec![ObjectSource::of(None, &[("f", 0)])]).module()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut packer = XzWriter::new(Vec::new(), XzOptions::with_preset(6)).unwrap();
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

type Pack = fn(&[u8]) -> Vec<u8>;

const ALL: [(Packing, Pack); 3] = [
    (Packing::Gzip, gzip),
    (Packing::Xz, xz),
    (Packing::Zstd, zstd),
];

#[test]
fn packed_modules_are_read_whatever_their_name() {
    let folder = tempfile::tempdir().unwrap();
    for (packing, pack) in ALL {
        let path = folder.path().join("lp-packed.ko");
        fs::write(&path, pack(&module())).unwrap();
        let file = PatchFile::read(&path).unwrap();
        assert_eq!(file.objects.len(), 1, "{packing}");
        assert_eq!(file.unread, [""; 0], "{packing}");
    }
}

#[test]
fn streams_one_behind_the_other_are_one_module() {
    let module = module();
    let (first, second) = module.split_at(module.len() / 2);
    for (packing, pack) in ALL {
        let packed = [pack(first), pack(second)].concat();
        let file = PatchFile::parse(&packed, "x.ko").unwrap();
        assert_eq!(file.objects.len(), 1, "{packing}");
    }
}

#[test]
fn packed_modules_that_are_damaged_are_refused() {
    for (packing, pack) in ALL {
        let packed = pack(&module());
        for length in [6, packed.len() / 2, packed.len() - 1] {
            let error = PatchFile::parse(&packed[..length], "x.ko").unwrap_err();
            assert!(
                matches!(error.problem, Problem::Unpack { packing: told, .. } if told == packing),
                "{packing} {length}: {error:?}"
            );
        }
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let zeros = vec![0; 1 << 20];
    for (packing, pack) in ALL {
        let packed = pack(&zeros);
        let most = u64::try_from(zeros.len()).unwrap();
        assert_eq!(unpack(&packed, most).unwrap().len(), zeros.len());
        let problem = unpack(&packed, most - 1).unwrap_err();
        assert!(
            matches!(problem, Problem::UnpacksTooLarge { packing: told, .. } if told == packing),
            "{packing}: {problem:?}"
        );
    }
}

/// Each is unpacked in a microsecond or ten; millions of them fit into a file.
#[test]
fn a_file_of_empty_streams_is_refused() {
    for (packing, pack) in ALL {
        let empty = pack(b"");
        let many = empty.repeat((3 << 19) / empty.len());
        let problem = unpack(&many, SIZE_MAX).unwrap_err();
        assert!(
            matches!(problem, Problem::Unpack { packing: told, .. } if told == packing),
            "{packing}: {problem:?}"
        );
        // A few are nothing bad.
        assert_eq!(unpack(&empty.repeat(3), SIZE_MAX).unwrap().len(), 0);
    }
}

/// The header of an xz block says how large its dictionary is.
#[test]
fn a_file_that_asks_for_too_much_memory_is_refused() {
    let mut options = XzOptions::with_preset(0);
    options.lzma_options.dict_size = 512 << 20;
    let mut packer = XzWriter::new(Vec::new(), options).unwrap();
    packer.write_all(&module()).unwrap();
    let packed = packer.finish().unwrap();
    let problem = unpack(&packed, SIZE_MAX).unwrap_err();
    assert!(
        matches!(
            problem,
            Problem::Unpack {
                packing: Packing::Xz,
                ..
            }
        ),
        "{problem:?}"
    );
}

fn problem(path: &Path) -> Problem {
    PatchFile::read(path).unwrap_err().problem
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let told = |path: &Path| match problem(path) {
        Problem::NotAFile { what } => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(told(folder.path()), "a directory");
    let pipe = at("pipe.ko");
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(told(&pipe), "a pipe");
    let link = at("link.ko");
    symlink(&pipe, &link).unwrap();
    assert_eq!(told(&link), "a pipe");
    assert_eq!(told(Path::new("/dev/null")), "a device");
    let socket = at("socket.ko");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(told(&socket), "a socket");

    symlink(at("b.ko"), at("a.ko")).unwrap();
    symlink(at("a.ko"), at("b.ko")).unwrap();
    assert!(matches!(problem(&at("a.ko")), Problem::Io(_)));
    assert!(matches!(problem(&at("absent.ko")), Problem::Io(_)));
    fs::write(at("empty.ko"), "").unwrap();
    assert!(matches!(problem(&at("empty.ko")), Problem::Empty));
}

#[test]
fn a_huge_file_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse.ko");
    let file = File::create(&path).unwrap();
    file.set_len(2 << 30).unwrap();
    assert!(matches!(
        problem(&path),
        Problem::TooLarge { limit: SIZE_MAX }
    ));
}

#[test]
fn errors_name_the_file_and_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.ko");
    fs::write(&path, "no module").unwrap();
    let error = anyhow::Error::from(PatchFile::read(&path).unwrap_err());
    let text = format!("{error:#}");
    assert!(text.starts_with("cannot read the module "), "{text}");
    assert!(text.contains("text.ko: it is not an ELF file"), "{text}");
}

#[test]
fn modules_are_found_in_a_folder_and_one_level_down() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("6.12/deeper")).unwrap();
    fs::create_dir(at("folder.ko")).unwrap();
    for name in [
        "b.ko",
        "a.ko.xz",
        "c.ko.zst",
        "d.ko.gz",
        "6.12/e.ko",
        "6.12/deeper/f.ko",
        "readme",
        ".ko",
    ] {
        fs::write(at(name), "").unwrap();
    }
    symlink(at("b.ko"), at("6.12/g.ko")).unwrap();
    // A link to the folder itself is one level like any other.
    symlink(folder.path(), at("loop")).unwrap();
    let found = find_in(folder.path()).unwrap();
    let names: Vec<String> = found
        .files
        .iter()
        .map(|path| {
            path.strip_prefix(folder.path())
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    let expected = [
        "6.12/e.ko",
        "6.12/g.ko",
        "a.ko.xz",
        "b.ko",
        "c.ko.zst",
        "d.ko.gz",
        "loop/a.ko.xz",
        "loop/b.ko",
        "loop/c.ko.zst",
        "loop/d.ko.gz",
    ];
    assert_eq!(names, expected);
    assert_eq!(found.unread, [""; 0]);
    assert!(find_in(&at("absent")).is_err());
}

#[test]
fn many_modules_are_bounded_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..1030 {
        fs::write(folder.path().join(format!("{index:04}.ko")), "").unwrap();
    }
    let found = find_in(folder.path()).unwrap();
    assert_eq!(found.files.len(), 1024);
    assert!(found.files[1023].ends_with("1023.ko"));
    assert!(
        found.unread[0].contains("1024 of the 1030"),
        "{:?}",
        found.unread
    );
}
