//! Starts QEMU with four serial ports, each a socket of its own.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use tempfile::TempDir;

use super::accel::Accel;
use crate::process;

const PROGRAM: &str = "qemu-system-x86_64";
/// The emulated processor. Without AVX, whose instructions and registers take a
/// tenth of the time of an emulated guest (QEMU 7.2), and without ERMS: the kernel then
/// copies and clears memory in words, not in bytes, which takes a sixth less.
const EMULATED: &str = "max,-avx,-erms";
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// How QEMU runs the guest's processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Tcg {
    /// All in one thread: slower, and free of races that real processors lack.
    #[default]
    Single,
    /// One thread each: for what needs them to run at the same time.
    Multi,
}

/// A machine to start.
#[derive(Debug, Clone)]
pub struct Machine {
    pub kernel: PathBuf,
    pub memory_mib: u32,
    pub cpus: u32,
    pub accel: Accel,
    /// As of nice(1): a guest gives way to those with less.
    pub niceness: u8,
    /// More arguments for the kernel.
    pub append: String,
    pub network: Network,
}

/// What a guest can be reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    #[default]
    None,
    /// A port of this machine's loopback leads to one of the guest, which has
    /// a virtio device and the address 10.0.2.15/24. The guest reaches nothing.
    Forward { from: u16, to: u16 },
}

/// A started QEMU; dropping it ends it.
pub struct Qemu {
    child: Child,
    /// ttyS0 to ttyS3.
    pub ports: [UnixStream; 4],
    log: PathBuf,
    _sockets: TempDir,
}

impl Qemu {
    /// Starts the machine and waits for its ports; QEMU's own words go to `log`.
    pub fn start(machine: &Machine, initramfs: &Path, log: &Path) -> Result<Self> {
        // Not below target/: a socket's path may not be longer than 107 bytes.
        let sockets = tempfile::Builder::new().prefix("xtask-vm-").tempdir()?;
        let listeners = [0, 1, 2, 3].map(|port| listen(&socket(sockets.path(), port)));
        let mut command = command(machine, initramfs, sockets.path());
        let words = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(words.try_clone()?)
            .stderr(words)
            .spawn()
            .with_context(|| format!("cannot start {PROGRAM}; `cargo xtask setup` installs it"))?;
        let ports = connect(&mut child, listeners);
        match ports {
            Ok(ports) => Ok(Self {
                child,
                ports,
                log: log.to_path_buf(),
                _sockets: sockets,
            }),
            Err(error) => {
                end(&mut child);
                Err(error.context(last_words(log)))
            }
        }
    }

    /// What is written to it can be read from ttyS1.
    pub fn keyboard(&self) -> io::Result<UnixStream> {
        self.ports[1].try_clone()
    }

    /// QEMU's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether QEMU has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Gives the guest this long to power off.
    pub fn wait(&mut self, limit: Duration) {
        let start = Instant::now();
        while !self.has_ended() && start.elapsed() < limit {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends QEMU now.
    pub fn end(&mut self) {
        end(&mut self.child);
    }

    /// What QEMU itself said.
    pub fn last_words(&self) -> String {
        last_words(&self.log)
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        end(&mut self.child);
        // QEMU is silent unless something is wrong; an empty log helps nobody.
        if fs::metadata(&self.log).is_ok_and(|log| log.len() == 0) {
            let _ = fs::remove_file(&self.log);
        }
    }
}

fn end(child: &mut Child) {
    // Both fail only where it has already gone, which is what is wanted.
    let _ = child.kill();
    let _ = child.wait();
}

fn last_words(log: &Path) -> String {
    let said = fs::read_to_string(log).unwrap_or_default();
    if said.trim().is_empty() {
        return "QEMU said nothing".to_owned();
    }
    format!("QEMU said:\n{}", process::tail(&said, 10))
}

fn socket(folder: &Path, port: usize) -> PathBuf {
    folder.join(format!("ttyS{port}"))
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The command line, to be read next to QEMU's manual.
fn command(machine: &Machine, initramfs: &Path, sockets: &Path) -> Command {
    let mut command = process::tied("nice");
    command.args(["-n", &machine.niceness.to_string(), PROGRAM]);
    let cpu = match machine.accel {
        Accel::Kvm => "host",
        Accel::Tcg(_) => EMULATED,
    };
    command.args([
        "-accel",
        machine.accel.argument(),
        "-cpu",
        cpu,
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
    ]);
    network(&mut command, machine.network);
    command.args(["-m", &machine.memory_mib.to_string()]);
    command.args(["-smp", &machine.cpus.to_string()]);
    command
        .arg("-kernel")
        .arg(&machine.kernel)
        .arg("-initrd")
        .arg(initramfs);
    command.args(["-append", &kernel_arguments(&machine.append)]);
    for port in 0..4 {
        let path = socket(sockets, port);
        command.args([
            "-chardev",
            &format!("socket,id=port{port},path={}", path.display()),
        ]);
        command.args(["-serial", &format!("chardev:port{port}")]);
    }
    command
}

fn network(command: &mut Command, network: Network) {
    match network {
        Network::None => command.args(["-nic", "none"]),
        Network::Forward { from, to } => command.args([
            "-netdev",
            &format!("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{from}-10.0.2.15:{to}"),
            "-device",
            // No boot ROM: it is in a package of its own, and nothing is booted.
            "virtio-net-pci,netdev=net,romfile=",
        ]),
    };
}

fn kernel_arguments(more: &str) -> String {
    // A busy host can starve a guest for seconds without anything being wrong: at
    // boot it would miss the timer's first ticks, and panic.
    let own = "console=ttyS0 8250.nr_uarts=4 panic=-1 quiet watchdog_thresh=20 no_timer_check";
    format!("{own} {more}").trim_end().to_owned()
}

fn connect(child: &mut Child, listeners: [io::Result<UnixListener>; 4]) -> Result<[UnixStream; 4]> {
    let [console, output, errors, control] = listeners;
    let start = Instant::now();
    let mut accept = |listener: io::Result<UnixListener>| -> Result<UnixStream> {
        let listener = listener.context("cannot make a socket for a serial port")?;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("a serial port's socket failed"),
            }
            if let Ok(Some(status)) = child.try_wait() {
                bail!("{PROGRAM} ended before the guest started ({status})");
            }
            if start.elapsed() > CONNECT_WITHIN {
                bail!("{PROGRAM} did not open its serial ports");
            }
            thread::sleep(Duration::from_millis(5));
        }
    };
    Ok([
        accept(console)?,
        accept(output)?,
        accept(errors)?,
        accept(control)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_gets_our_arguments_and_the_users() {
        let arguments = kernel_arguments("nokaslr");
        assert!(arguments.starts_with("console=ttyS0 "));
        assert!(arguments.ends_with(" nokaslr"));
        assert!(!kernel_arguments("").ends_with(' '));
    }
}
