//! A real kernel with lpwatch's daemon, reached by Prometheus through QEMU's user
//! network, and told when to load a patch and when to take it back.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::checks::Checks;
use super::http::Http;
use super::until::until;
use super::{Programs, stall};
use crate::kernels::{Cached, Series, drivers};
use crate::vm::Guest;
use crate::vm::accel;
use crate::vm::guest::{Contents, Task};
use crate::vm::outcome::{Limits, Outcome};
use crate::vm::qemu::{Machine, Network};
use crate::{modules, paths};

/// The daemon's port in the guest.
const PORT: u16 = 9417;
/// For the whole of the guest.
const LIMIT: Duration = Duration::from_mins(6);
/// It takes 20 s, and several times as long on a busy host.
const BOOTS_WITHIN: Duration = Duration::from_secs(150);
const REQUEST: Duration = Duration::from_secs(10);

/// A guest that runs, as the checks see it.
pub struct Running<'a> {
    keyboard: UnixStream,
    pub http: Http,
    /// Where its daemon answers, from here: `127.0.0.1:PORT`.
    pub address: String,
    ended: &'a dyn Fn() -> bool,
}

impl Running<'_> {
    /// Has the guest's script do something (see xtask/guest/fleet.sh).
    pub fn tell(&mut self, word: &str) -> Result<()> {
        writeln!(self.keyboard, "{word}").context("the guest does not listen")
    }

    /// What its daemon answers.
    pub fn get(&self, path: &str) -> Result<String> {
        self.http
            .get(&format!("http://{}{path}", self.address), &[])
    }

    /// An error once the guest has gone.
    pub fn ensure_alive(&self) -> Result<()> {
        if (self.ended)() {
            bail!("the guest has ended");
        }
        Ok(())
    }
}

/// Boots the guest and runs the checks beside it.
pub fn run(programs: &Programs, checks: &mut Checks) {
    let prepared = checks.check("guest_prepared", |figures| {
        let kernel = Cached::get(Series::V6_12, false)?;
        figures.add("kernel", &kernel.manifest.release);
        let port = free_port()?;
        Ok((guest(programs, &kernel, port)?, port))
    });
    let Some((guest, port)) = prepared else {
        return;
    };
    let (keyboard, told) = mpsc::channel();
    let outcome = thread::scope(|scope| {
        let booted = scope.spawn(|| boot(&guest, keyboard));
        let ended = || booted.is_finished();
        let running = checks.check("guest_answers", |_| answers(&told, port, &ended));
        if let Some(mut running) = running {
            stall::run(programs, &mut running, checks);
            // Where it cannot be told any more it has ended already.
            let _ = running.tell("end");
        } else {
            drop(told);
        }
        booted.join()
    });
    checks.check("guest_ends_well", |_| {
        let outcome = outcome.map_err(|_| anyhow::anyhow!("the guest's thread panicked"))??;
        ensure!(
            outcome == Outcome::Exit(0),
            "{outcome:?}; logs: {}",
            guest.log.display()
        );
        Ok(())
    });
}

fn boot(guest: &Guest, keyboard: mpsc::Sender<UnixStream>) -> Result<Outcome> {
    let log = |name: &str| {
        let file = guest.log.with_extension(name);
        File::create(&file).with_context(|| format!("cannot write {}", file.display()))
    };
    let (mut stdout, mut stderr) = (log("stdout.log")?, log("stderr.log")?);
    guest.run_with(&mut stdout, &mut stderr, move |qemu| {
        // Nobody listens any more where the test was broken off.
        let _ = keyboard.send(qemu.keyboard()?);
        Ok(())
    })
}

fn answers<'a>(
    told: &Receiver<UnixStream>,
    port: u16,
    ended: &'a dyn Fn() -> bool,
) -> Result<Running<'a>> {
    let keyboard = told
        .recv_timeout(BOOTS_WITHIN)
        .context("QEMU did not start")?;
    let mut running = Running {
        keyboard,
        http: Http::new(REQUEST),
        address: format!("127.0.0.1:{port}"),
        ended,
    };
    let ready = until("the guest's daemon", BOOTS_WITHIN, || {
        running.ensure_alive()?;
        Ok(running
            .get("/-/ready")
            .map_err(|error| format!("{error:#}")))
    });
    if ready.is_err() {
        // Nobody will tell it anything else.
        let _ = running.tell("end");
    }
    ready?;
    Ok(running)
}

/// A port that was free just now; QEMU says so if it no longer is.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

fn guest(programs: &Programs, kernel: &Cached, port: u16) -> Result<Guest> {
    let script = paths::workspace().join("xtask/guest/fleet.sh");
    let script =
        std::fs::read(&script).with_context(|| format!("cannot read {}", script.display()))?;
    std::fs::create_dir_all(paths::target("logs"))?;
    Ok(Guest {
        machine: Machine {
            kernel: kernel.image(),
            memory_mib: 1024,
            cpus: 2,
            niceness: 0,
            accel: accel::chosen(),
            // On a busy host the kernel's test of its timer can fail, and it panics.
            append: "no_timer_check".to_owned(),
            network: Network::Forward {
                from: port,
                to: PORT,
            },
        },
        contents: Contents {
            series: kernel.series.name().to_owned(),
            task: Task::Script(script),
            programs: programs.guest.clone(),
            modules: modules::for_kernel(kernel)?,
            added: vec![drivers::network(kernel)?],
            trees: Vec::new(),
        },
        limits: Limits {
            total: Some(LIMIT),
            silence: None,
        },
        log: paths::target("logs").join("fleet-guest.log"),
    })
}
