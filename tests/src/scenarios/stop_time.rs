//! For how long the machine was stopped: a real `stop_machine` in a function
//! that is called like kpatch's, and a live patch, which stops nothing.

use std::fs;
use std::thread;

use anyhow::{Context, Result, ensure};

use crate::contract::{Document, Stops};
use crate::guest::{self, Module};
use crate::journal::Journal;
use crate::lpwatch::{self, Daemon, code};
use crate::patch::Patch;
use crate::scrape::Scrape;
use crate::trial::Trial;

const CONTROL: &str = "/sys/module/abi_kpatch/parameters/control";
const STOPPED_MS: f64 = 30.0;
const COUNT: &str = "lpwatch_machine_stopped_seconds_count{engine=\"kpatch\"}";

fn stops(document: &Document) -> Result<&Stops> {
    document.stops.as_ref().context("stops are not hooked")
}

fn tell(command: &str) -> Result<()> {
    fs::write(CONTROL, command).with_context(|| command.to_owned())
}

pub fn run(trial: &mut Trial) -> Result<()> {
    ensure!(
        lpwatch::look(&[lpwatch::ALONE])?.stops.is_none(),
        "a single look hooks nothing"
    );
    let daemon = Daemon::start(&[])?;
    let told = Journal::begin()?;
    let _abi = Module::load("abi_kpatch")?;

    // A live patch comes and goes: nothing is stopped.
    let live = Patch::load_completely("lp_cmdline")?;
    let document = daemon.wait_outcome("lp_cmdline", "patching", "completed")?;
    not_stopped(&document)?;
    ensure!(
        stops(&document)?.of(Some("kpatch")).is_none(),
        "{document:?}"
    );
    Scrape::now()?.has_no(COUNT)?;

    tell("stop 30")?;
    let document = guest::wait_for("the stop is told", || {
        let document = lpwatch::poll()?;
        let told = stops(&document)?.of(Some("kpatch")).is_some();
        Ok(told.then_some(document))
    })?;
    once(trial, &document)?;
    told.expect("", &["machine_stopped"])?;
    Scrape::now()?.expect(COUNT, 1.0)?;

    // A patch that comes with a stop has it, a live patch meanwhile has not.
    let unpatching = thread::spawn(move || live.remove());
    tell("stop 20")?;
    tell("add kpatch_base vmlinux gcd 1 0x1000 0x2000")?;
    guest::wait_until("the first patch is listed", || {
        Ok(lpwatch::poll()?.find("kpatch_base").is_some())
    })?;
    tell("stop 20")?;
    tell("add kpatch_fix vmlinux meminfo_proc_show 1 0x1000 0x2000")?;
    let document = daemon.wait_outcome("kpatch_fix", "patching", "completed")?;
    let past = document.last("kpatch_fix").context("it is gone")?;
    let stopped = past.stopped.as_ref().context("no stop of it is known")?;
    ensure!(stopped.times >= 1 && stopped.longest_ms >= 20.0, "{past:?}");
    ensure!(stopped.functions == ["kpatch_apply_patch"], "{past:?}");
    let ended = unpatching.join();
    ended.map_err(|_| anyhow::anyhow!("unpatching panicked"))??;
    let document = daemon.wait_outcome("lp_cmdline", "unpatching", "completed")?;
    not_stopped(&document)?;
    daemon.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

fn not_stopped(document: &Document) -> Result<()> {
    let past = document.last("lp_cmdline").context("it is gone")?;
    let stopped = past.stopped.as_ref().context("not known")?;
    ensure!(stopped.times == 0, "{past:?}");
    Ok(())
}

fn once(trial: &mut Trial, document: &Document) -> Result<()> {
    let stops = stops(document)?;
    let kpatch = stops.of(Some("kpatch")).context("none by kpatch")?;
    ensure!(kpatch.times == 1 && stops.records_lost == 0, "{stops:?}");
    let mut all = stops.last.iter();
    let own = all.find(|stop| stop.engine.as_deref() == Some("kpatch"));
    let own = own.context("it is not among the last")?;
    ensure!(
        own.function.as_deref() == Some("kpatch_apply_patch")
            && own.module.as_deref() == Some("abi_kpatch"),
        "{own:?}"
    );
    ensure!(own.cpus == 2 && own.cpus_of == Some(2), "{own:?}");
    ensure!(
        own.stopped_ms >= STOPPED_MS && own.held_ms >= own.stopped_ms,
        "{own:?}"
    );
    ensure!(kpatch.longest_ms >= STOPPED_MS, "{kpatch:?}");
    trial.figure("stopped_ms", own.stopped_ms);
    trial.figure("held_ms", own.held_ms);
    Ok(())
}
