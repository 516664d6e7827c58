//! Listens to a running guest: passes its output on, keeps its kernel's log,
//! and decides when the run is over and how it ended.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::lines::{Lines, Recent};
use super::outcome::{Limits, Outcome};
use super::qemu::Qemu;
use super::trouble::{self, Word};
use crate::interrupt;

/// Console lines shown when a guest dies.
const SHOWN: usize = 30;
/// After the first bad line, time for the rest of the trace to arrive.
const TRACE: Duration = Duration::from_millis(1500);
/// A guest that gave its verdict powers off within this, or is ended.
const POWER_OFF: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(100);

/// Where a guest's output goes.
pub struct Sinks<'a> {
    pub stdout: &'a mut dyn Write,
    pub stderr: &'a mut dyn Write,
    /// The kernel's log.
    pub console: File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Console,
    Stdout,
    Stderr,
    Control,
}

struct Chunk {
    port: Port,
    bytes: Vec<u8>,
}

/// Stays with the guest until it has ended one way or another.
pub fn attend(qemu: &mut Qemu, sinks: Sinks<'_>, limits: Limits) -> Result<Outcome> {
    let chunks = listen(qemu)?;
    let mut watch = Watch::new(sinks);
    let outcome = loop {
        match chunks.recv_timeout(TICK) {
            Ok(chunk) => watch.take(&chunk)?,
            Err(RecvTimeoutError::Timeout) => {}
            // All ports are closed: QEMU has ended, and all it said was read.
            Err(RecvTimeoutError::Disconnected) => break watch.ended(&qemu.last_words()),
        }
        if let Some(outcome) = watch.verdict(limits) {
            break outcome;
        }
    };
    if matches!(outcome, Outcome::Exit(_)) {
        qemu.wait(POWER_OFF);
    }
    qemu.end();
    // With QEMU gone the ports close, so this ends: nothing said gets lost.
    while let Ok(chunk) = chunks.recv() {
        watch.take(&chunk)?;
    }
    Ok(outcome)
}

fn listen(qemu: &Qemu) -> Result<Receiver<Chunk>> {
    let (sender, receiver) = mpsc::channel();
    let ports = [Port::Console, Port::Stdout, Port::Stderr, Port::Control];
    for (stream, port) in qemu.ports.iter().zip(ports) {
        let stream = stream
            .try_clone()
            .context("cannot listen to a serial port")?;
        let sender = sender.clone();
        thread::spawn(move || read(stream, port, &sender));
    }
    Ok(receiver)
}

fn read(mut stream: UnixStream, port: Port, to: &Sender<Chunk>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count) = stream.read(&mut buffer) {
        let bytes = buffer[..count].to_vec();
        if count == 0 || to.send(Chunk { port, bytes }).is_err() {
            break;
        }
    }
}

/// What is known of the guest so far.
struct Watch<'a> {
    sinks: Sinks<'a>,
    console: Lines,
    recent: Recent,
    control: Lines,
    exit: Option<u8>,
    trouble: Option<(&'static str, Instant)>,
    started: Instant,
    heard: Instant,
}

impl<'a> Watch<'a> {
    fn new(sinks: Sinks<'a>) -> Self {
        let now = Instant::now();
        Self {
            sinks,
            console: Lines::default(),
            recent: Recent::new(SHOWN),
            control: Lines::default(),
            exit: None,
            trouble: None,
            started: now,
            heard: now,
        }
    }

    fn take(&mut self, chunk: &Chunk) -> Result<()> {
        self.heard = Instant::now();
        match chunk.port {
            Port::Stdout => pass_on(self.sinks.stdout, &chunk.bytes)?,
            Port::Stderr => pass_on(self.sinks.stderr, &chunk.bytes)?,
            Port::Console => {
                self.sinks
                    .console
                    .write_all(&chunk.bytes)
                    .context("cannot write the log")?;
                for line in self.console.push(&chunk.bytes) {
                    self.console_line(line);
                }
            }
            Port::Control => {
                for line in self.control.push(&chunk.bytes) {
                    if let Some(Word::Exit(code)) = trouble::word(&line) {
                        self.exit = Some(code);
                    }
                }
            }
        }
        Ok(())
    }

    fn console_line(&mut self, line: String) {
        if self.trouble.is_none() {
            self.trouble = trouble::sign(&line).map(|meaning| (meaning, Instant::now()));
        }
        self.recent.push(line);
    }

    /// Whether the run is over by what is known now.
    fn verdict(&self, limits: Limits) -> Option<Outcome> {
        // Trouble outranks an exit code: a test in a broken kernel proves nothing.
        if let Some((why, since)) = self.trouble {
            return (since.elapsed() >= TRACE).then(|| self.died(why.to_owned()));
        }
        if let Some(code) = self.exit {
            return Some(Outcome::Exit(code));
        }
        if interrupt::asked() {
            return Some(Outcome::Interrupted);
        }
        if limits
            .total
            .is_some_and(|limit| self.started.elapsed() >= limit)
        {
            return Some(Outcome::TimedOut {
                console: self.end_of_console(),
            });
        }
        let silence = limits
            .silence
            .filter(|limit| self.heard.elapsed() >= *limit)?;
        Some(self.died(format!(
            "the guest said nothing for {} s",
            silence.as_secs()
        )))
    }

    /// The outcome when QEMU has gone.
    fn ended(&self, last_words: &str) -> Outcome {
        match (self.trouble, self.exit) {
            (None, Some(code)) => Outcome::Exit(code),
            (None, None) if interrupt::asked() => Outcome::Interrupted,
            (Some((why, _)), _) => self.died(why.to_owned()),
            (None, None) => self.died(format!(
                "the guest went away before its script ended; {last_words}"
            )),
        }
    }

    fn died(&self, why: String) -> Outcome {
        Outcome::Died {
            why,
            console: self.end_of_console(),
        }
    }

    fn end_of_console(&self) -> String {
        self.recent.text(self.console.partial())
    }
}

/// A reader of ours that has gone (`| head`) is no reason to end the guest.
fn pass_on(sink: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    match sink.write_all(bytes).and_then(|()| sink.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot pass the guest's output on")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: Limits = Limits {
        total: None,
        silence: None,
    };

    fn watched(chunks: &[(Port, &str)], limits: Limits) -> (Option<Outcome>, String, String) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let console = tempfile::tempfile().unwrap();
        let mut watch = Watch::new(Sinks {
            stdout: &mut stdout,
            stderr: &mut stderr,
            console,
        });
        for &(port, text) in chunks {
            watch
                .take(&Chunk {
                    port,
                    bytes: text.into(),
                })
                .unwrap();
        }
        let verdict = watch.verdict(limits);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (verdict, text(stdout), text(stderr))
    }

    #[test]
    fn output_is_kept_apart_and_the_code_is_read() {
        let chunks = [
            (Port::Console, "[ 0.1] hello\n"),
            (Port::Control, "booted\nex"),
            (Port::Stdout, "{\"a\":1}\r\n"),
            (Port::Stderr, "oh\n"),
            (Port::Control, "it 11\n"),
        ];
        let (verdict, stdout, stderr) = watched(&chunks, PATIENT);
        assert_eq!(verdict, Some(Outcome::Exit(11)));
        assert_eq!(stdout, "{\"a\":1}\r\n", "byte for byte");
        assert_eq!(stderr, "oh\n");
    }

    #[test]
    fn silence_ends_a_run() {
        let limits = Limits {
            total: None,
            silence: Some(Duration::ZERO),
        };
        let (verdict, ..) = watched(&[(Port::Console, "last line\npart")], limits);
        let Some(Outcome::Died { console, .. }) = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(console, "last line\npart");
    }

    #[test]
    fn a_guest_at_work_is_left_alone() {
        let (verdict, ..) = watched(&[(Port::Stdout, "exit 0\n")], PATIENT);
        assert_eq!(verdict, None);
    }

    #[test]
    fn trouble_is_not_hidden_by_an_exit_code() {
        let chunks = [
            (Port::Console, "[ 1.0] BUG: bad\n"),
            (Port::Control, "exit 0\n"),
        ];
        let (verdict, ..) = watched(&chunks, PATIENT);
        assert_eq!(verdict, None, "the trace is still awaited");
    }
}
