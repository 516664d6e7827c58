//! Trees as procfs and the BPF file system show them.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

const LINK_INFO: &str =
    "pos:\t0\nflags:\t02000000\nlink_type:\ttracing\nlink_id:\t3\nprog_tag:\tab\nprog_id:\t42\n";
const PROGRAM_INFO: &str =
    "pos:\t0\nprog_type:\t26\nprog_jited:\t1\nprog_tag:\tab\nmemlock:\t4096\nprog_id:\t42\n";

fn process(procfs: &Path, pid: u32, descriptors: &[(&str, &str)]) {
    let process = procfs.join(pid.to_string());
    fs::create_dir_all(process.join("fd")).unwrap();
    fs::create_dir_all(process.join("fdinfo")).unwrap();
    fs::write(process.join("comm"), format!("p {pid})\n")).unwrap();
    for (number, (target, info)) in descriptors.iter().enumerate() {
        symlink(target, process.join("fd").join(number.to_string())).unwrap();
        fs::write(process.join("fdinfo").join(number.to_string()), info).unwrap();
    }
}

fn found_in(procfs: &Path) -> OwnerSearch<Holder> {
    holders(procfs, LIMITS).unwrap()
}

#[test]
fn fdinfo_tells_programs_and_links() {
    let held = |link| Some(ProgramReference { program: 42, link });
    assert_eq!(ProgramReference::from_fdinfo(LINK_INFO), held(true));
    assert_eq!(ProgramReference::from_fdinfo(PROGRAM_INFO), held(false));
    for other in [
        "",
        "pos:\t0\nmap_type:\t2\nowner_prog_type:\t26\n",
        "prog_id:\tx\n",
        "prog_id:\t99999999999\n",
        "link_type:\tperf\n",
    ] {
        assert_eq!(ProgramReference::from_fdinfo(other), None, "{other:?}");
    }
}

#[test]
fn a_link_counts_before_a_program_and_then_the_lowest_pid() {
    let folder = TempDir::new().unwrap();
    let program = ("anon_inode:bpf-prog", PROGRAM_INFO);
    let link = ("anon_inode:bpf_link", LINK_INFO);
    process(folder.path(), 9, &[("/dev/null", ""), program]);
    assert_eq!(found_in(folder.path()).of(42).unwrap().pid, 9);
    assert_eq!(found_in(folder.path()).of_link(42), None);

    process(folder.path(), 100, &[link, program]);
    process(folder.path(), 20, &[program, link]);
    let found = found_in(folder.path());
    let expected = Holder {
        pid: 20,
        comm: Some("p 20)".to_owned()),
    };
    assert_eq!(found.of(42), Some(&expected));
    assert_eq!(found.of_link(42), Some(&expected));
    assert_eq!(found.of(43), None);
    assert_eq!((found.closed, found.cut), (0, false));
}

#[test]
fn only_descriptors_of_bpf_are_read() {
    let folder = TempDir::new().unwrap();
    process(
        folder.path(),
        9,
        &[("/tmp/fake", LINK_INFO), ("socket:[1]", LINK_INFO)],
    );
    fs::create_dir(folder.path().join("10")).unwrap();
    fs::create_dir(folder.path().join("sys")).unwrap();
    assert_eq!(found_in(folder.path()).of(42), None);
}

#[test]
fn a_search_ends_at_its_bounds() {
    let folder = TempDir::new().unwrap();
    let link = ("anon_inode:bpf_link", LINK_INFO);
    process(folder.path(), 1, &[("/dev/null", ""), ("/dev/null", "")]);
    process(folder.path(), 2, &[link]);
    let few = SearchLimits {
        processes: 1,
        ..LIMITS
    };
    let found = holders(folder.path(), few).unwrap();
    assert_eq!((found.of(42), found.cut), (None, true));
    let few = SearchLimits {
        descriptors: 2,
        ..LIMITS
    };
    let found = holders(folder.path(), few).unwrap();
    assert_eq!((found.of(42), found.cut), (None, true));
}

#[test]
fn no_procfs_is_an_error() {
    let folder = TempDir::new().unwrap();
    let roots = Roots {
        sysfs: folder.path().join("sys"),
        procfs: folder.path().join("proc"),
    };
    assert!(read_holders(&roots).is_err());
    let pins = read_pins(&roots, |_| Ok(None)).unwrap();
    assert_eq!(pins, OwnerSearch::new());
}

fn pin_tree() -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in ["tool/link", "tool/a/prog", "zz", "map", "closed"] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    symlink(folder.path().join("zz"), folder.path().join("aa")).unwrap();
    folder
}

fn ask(path: &Path) -> io::Result<Option<ProgramReference>> {
    match path.file_name().unwrap().to_str().unwrap() {
        "link" | "zz" => Ok(Some(ProgramReference {
            program: 42,
            link: true,
        })),
        "prog" => Ok(Some(ProgramReference {
            program: 42,
            link: false,
        })),
        "closed" => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        "aa" => panic!("a symbolic link is no pin"),
        _ => Ok(None),
    }
}

#[test]
fn pins_are_found_in_folders_first_path_first() {
    let folder = pin_tree();
    let found = pins(folder.path(), LIMITS, ask).unwrap();
    assert_eq!(found.of(42), Some(&folder.path().join("tool/link")));
    assert_eq!((found.closed, found.cut), (1, false));
}

#[test]
fn a_walk_of_pins_ends_at_its_bounds() {
    let folder = pin_tree();
    let shallow = SearchLimits { depth: 0, ..LIMITS };
    let found = pins(folder.path(), shallow, ask).unwrap();
    assert_eq!(
        (found.of(42), found.cut),
        (Some(&folder.path().join("zz")), true)
    );
    let few = SearchLimits { pins: 1, ..LIMITS };
    let found = pins(folder.path(), few, ask).unwrap();
    assert_eq!((found.of(42), found.cut), (None, true));
}
