//! The daemon as a process, on a tree recorded from a real kernel.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{SOON, request};

/// Ends with its test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn arguments(folder: &Path) -> Vec<PathBuf> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/trees/6.12");
    let mut words: Vec<PathBuf> = ["daemon", "--sysfs-root"].map(PathBuf::from).into();
    words.push(tree.join("sys"));
    words.push("--procfs-root".into());
    words.push(tree.join("proc"));
    words.push("--socket".into());
    words.push(folder.join("lpwatch.sock"));
    words
}

fn daemon(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lpwatch"));
    command.args(arguments(folder)).env_remove("LPWATCH_LOG");
    command
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(request(path, "").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn a_port_that_is_taken_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = daemon(folder.path())
        .args(["--web.listen-address", &address])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&address), "{stderr}");
    assert!(stderr.contains("--web.listen-address"), "{stderr}");
    assert_eq!(stderr.matches("os error").count(), 1, "{stderr}");
    assert!(!folder.path().join("lpwatch.sock").exists());
}

#[test]
fn a_bad_configuration_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("web.yml");
    std::fs::write(&config, "tls: yes\n").unwrap();
    let output = daemon(folder.path())
        .args(["--web.listen-address", "127.0.0.1:0", "--web.config.file"])
        .arg(&config)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("web.yml") && stderr.contains("`tls`"),
        "{stderr}"
    );
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for flags in [
        ["--web.disable", "--web.systemd-socket"],
        ["--web.disable", "--web.listen-address=:1"],
        ["--web.telemetry-path=metrics", "--web.disable"],
        ["--web.listen-address=node1:9417", "-v"],
    ] {
        let output = daemon(folder.path()).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {output:?}");
    }
    let output = daemon(folder.path())
        .arg("--web.systemd-socket")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("LISTEN_FDS"), "{stderr}");
}

#[test]
fn the_service_manager_hears_of_the_loop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let log = folder.path().join("log");
    let child = daemon(folder.path())
        .arg("--web.disable")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let daemon = Daemon(child);
    let hear = || {
        let mut buffer = [0; 512];
        let read = manager.recv(&mut buffer).expect("the daemon says nothing");
        String::from_utf8(buffer[..read].to_vec()).unwrap()
    };
    let mut heard = String::new();
    while !(heard.contains("READY=1")
        && heard.contains("STATUS=")
        && heard.matches("WATCHDOG=1").count() >= 5)
    {
        heard.push_str(&hear());
    }
    assert!(
        heard.contains("STATUS=patching lp_stall, 1 of 3 tasks left"),
        "{heard}"
    );
    let pid = Pid::from_raw(daemon.0.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    while !heard.contains("STOPPING=1") {
        heard.push_str(&hear());
    }
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("ready"), "{log}");
    assert!(
        !log.contains("attaching"),
        "nothing is attached on a tree: {log}"
    );
}

#[test]
fn a_socket_of_systemd_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // As systemd hands it over: as descriptor 3, and for this process only.
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3<&0 </dev/null";
    let child = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_lpwatch")])
        .args(arguments(folder.path()))
        .arg("--web.systemd-socket")
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _daemon = Daemon(child);
    let start = Instant::now();
    loop {
        let answer = get(port, "/metrics").unwrap_or_default();
        if answer.contains("lpwatch_transition_in_progress") {
            break;
        }
        assert!(start.elapsed() < SOON, "{answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
