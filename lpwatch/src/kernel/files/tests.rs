//! Files that are well, and files that are not; and the tree the other readers'
//! tests are built in.

use super::*;

/// A host with these files below its root; a path that ends in `/` is an empty
/// directory.
pub(crate) struct FakeHost {
    folder: tempfile::TempDir,
    pub(crate) roots: Roots,
}

impl FakeHost {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots {
            sysfs: folder.path().join("sys"),
            procfs: folder.path().join("proc"),
        };
        for root in [&roots.sysfs, &roots.procfs] {
            fs::create_dir(root).unwrap();
        }
        let host = Self { folder, roots };
        for (path, text) in files {
            host.write(path, text);
        }
        host
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let file = self.path(path);
        if path.ends_with('/') {
            fs::create_dir_all(file).unwrap();
        } else {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
    }
}

fn reader(notes: &mut Vec<String>) -> FileReader<'_> {
    FileReader {
        remedy: "run as root",
        notes,
    }
}

#[test]
fn what_cannot_be_read_is_noted_once_and_what_is_not_there_is_not() {
    let host = FakeHost::new(&[("a", "1\n"), ("b", "maybe\n"), ("d/", "")]);
    let mut notes = Vec::new();
    let mut reader = reader(&mut notes);
    assert_eq!(reader.flag(&host.path("a")), Some(true));
    assert_eq!(reader.number(&host.path("a")), Some(1));
    assert_eq!(reader.flag(&host.path("none")), None);
    assert_eq!(reader.flag(&host.path("b")), None);
    assert_eq!(reader.flag(&host.path("b")), None);
    assert_eq!(reader.text(&host.path("d")), None);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].ends_with("contains \"maybe\", not 0 or 1: it was left out."));
    assert!(notes[1].starts_with("Cannot read "), "{notes:?}");
}

#[test]
fn a_closed_file_says_what_is_needed() {
    let mut notes = Vec::new();
    let denied = io::Error::from(io::ErrorKind::PermissionDenied);
    reader(&mut notes).failed(Path::new("/sys/a"), denied);
    assert_eq!(notes, ["No permission to read /sys/a: run as root."]);
}

#[test]
fn long_and_odd_contents_are_shortened() {
    let host = FakeHost::new(&[("a", &"x".repeat(5000))]);
    host.write("b", b"\xff\x00");
    let mut notes = Vec::new();
    let mut reader = reader(&mut notes);
    assert_eq!(reader.number(&host.path("a")), None);
    assert_eq!(reader.number(&host.path("b")), None);
    assert!(notes.iter().all(|note| note.len() < 300), "{notes:?}");
    assert!(notes[1].contains("\u{fffd}\\0"), "{notes:?}");
}

#[test]
fn numbers_and_functions_are_parsed_or_not() {
    assert_eq!(
        parse_address(b"0xffffffff81000000\n"),
        Some(0xffff_ffff_8100_0000)
    );
    for bad in [
        &b""[..],
        b"0x0",
        b"0x",
        b"12",
        b"0xg",
        b"0xffffffffffffffff1",
    ] {
        assert_eq!(parse_address(bad), None, "{bad:?}");
    }
    assert_eq!(parse_function("a,b,2"), Some(("a,b", 2)));
    for bad in ["", "a", ",1", "a,", "a,-1", "a,4294967296"] {
        assert_eq!(parse_function(bad), None, "{bad:?}");
    }
    assert!(is_plain("a.b"));
    for bad in ["", ".", "..", "a/b"] {
        assert!(!is_plain(bad), "{bad:?}");
    }
}

#[test]
fn the_rest_of_a_host_is_found_beside_its_sysfs() {
    let roots = |sysfs: &str, procfs: &str| Roots {
        sysfs: PathBuf::from(sysfs),
        procfs: PathBuf::from(procfs),
    };
    assert_eq!(host_root(&Roots::default()), Some(PathBuf::from("/")));
    let host = Some(PathBuf::from("/host"));
    assert_eq!(host_root(&roots("/host/sys", "/host/proc")), host);
    for (sysfs, procfs) in [("/a/sys", "/b/proc"), ("/a/s", "/a/p"), ("/sys", "/a/proc")] {
        assert_eq!(host_root(&roots(sysfs, procfs)), None, "{sysfs} {procfs}");
    }
}
