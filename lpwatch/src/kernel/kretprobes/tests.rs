//! The files as 5.10 to 7.x write them.

use tempfile::TempDir;

use super::*;

const LIST: &str = "\
ffffffff81234560  r  hrtimer_nanosleep+0x0    [FTRACE]
ffffffff81234560  r  hrtimer_nanosleep+0x0    [DISABLED][FTRACE]
ffffffff81234570  k  do_exit+0x0    [OPTIMIZED]
ffffffffc0234570  r  lp_ioctl+0x4  lp_target 
ffffffffc0234580  r  gone+0x0  lp_target [GONE]
ffffffff81234590  r  vfs_read+0x0    [DISABLED]
0000000000000000  r
";

const EVENTS: &str = "\
r8:kprobes/mine hrtimer_nanosleep
r:kprobes/off hrtimer_nanosleep arg1=$retval
p:kprobes/entry hrtimer_nanosleep
r:group/module lp_target:lp_ioctl+0
rubbish
";

fn probe(function: &str, name: Option<&str>) -> Kretprobe {
    Kretprobe {
        function: function.to_owned(),
        name: name.map(str::to_owned),
    }
}

fn tree() -> (TempDir, Roots) {
    let folder = TempDir::new().unwrap();
    let roots = Roots {
        sysfs: folder.path().to_owned(),
        procfs: folder.path().join("proc"),
    };
    (folder, roots)
}

fn add_list(roots: &Roots, list: &str) {
    let folder = roots.sysfs.join("kernel/debug/kprobes");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("list"), list).unwrap();
}

fn add_events(roots: &Roots, place: &str) {
    let tracefs = roots.sysfs.join(place);
    for (name, enabled) in [
        ("kprobes/mine", "1\n"),
        ("kprobes/off", "0\n"),
        ("group/module", "1*\n"),
    ] {
        let event = tracefs.join("events").join(name);
        fs::create_dir_all(&event).unwrap();
        fs::write(event.join("enable"), enabled).unwrap();
    }
    fs::write(tracefs.join("kprobe_events"), EVENTS).unwrap();
}

#[test]
fn armed_probes_have_the_names_of_tracefs() {
    for place in ["kernel/tracing", "kernel/debug/tracing"] {
        let (_folder, roots) = tree();
        add_list(&roots, LIST);
        add_events(&roots, place);
        let expected = [
            probe("hrtimer_nanosleep", Some("kprobes/mine")),
            probe("lp_ioctl", Some("group/module")),
        ];
        assert_eq!(read(&roots).unwrap(), expected, "{place}");
    }
}

#[test]
fn a_probe_that_is_not_of_tracefs_has_no_name() {
    let (_folder, roots) = tree();
    add_list(&roots, LIST);
    let expected = [probe("hrtimer_nanosleep", None), probe("lp_ioctl", None)];
    assert_eq!(read(&roots).unwrap(), expected);

    add_events(&roots, "kernel/tracing");
    let twice = LIST.replace("[DISABLED][FTRACE]", "[FTRACE]");
    add_list(&roots, &twice);
    let expected = [
        probe("hrtimer_nanosleep", Some("kprobes/mine")),
        probe("hrtimer_nanosleep", None),
        probe("lp_ioctl", Some("group/module")),
    ];
    assert_eq!(read(&roots).unwrap(), expected);
}

#[test]
fn without_debugfs_the_enabled_ones_of_tracefs_are_reported() {
    let (_folder, roots) = tree();
    assert!(read(&roots).is_err());
    add_events(&roots, "kernel/tracing");
    let expected = [
        probe("hrtimer_nanosleep", Some("kprobes/mine")),
        probe("lp_ioctl", Some("group/module")),
    ];
    assert_eq!(read(&roots).unwrap(), expected);
}
