//! Why a task is left: somebody else's tracing makes its stack unreliable.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};

use crate::actor::Actor;
use crate::blockers::{self, Look};
use crate::foreign::{FUNCTION, Holder, PROBE, PROGRAM, ReturnProbe};
use crate::guest;
use crate::journal::Journal;
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, Daemon, PATIENT, code};
use crate::oracle::{self, Oracle};
use crate::patch::{self, Patch};
use crate::reasons::{self, ALL_WAYS, Comparison};
use crate::tasks::Code;
use crate::trial::Trial;

/// A kernel whose unwinder knows the frames of BPF trampolines has this.
const MARKER: &str = "bpf_has_frame_pointer";

/// Any patch: the stacks block it, not its functions.
const ANY: &str = "lp_cmdline";

/// An fexit program: its trampoline stays on the stack of those asleep.
pub fn fexit(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let told = Journal::begin()?;
    let mut oracle = Oracle::listen()?;
    let holder = Holder::start()?;
    // They fall asleep after it was attached: else it is not on their stacks.
    let napping = Actor::start(&["napping", "2"])?;
    napping.wait_in(FUNCTION)?;
    let tids: BTreeSet<i32> = napping.tids().into_iter().collect();
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    if symbols.lines().any(|line| line.contains(MARKER)) {
        return nothing_stalls(trial, &mut oracle);
    }
    let patch = Patch::load(ANY)?;
    ensure!(
        patch.wait_left(Code::Old, tids.len())? == tids,
        "others are left"
    );
    let mut comparison = Comparison::of(ANY, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &tids)?;
    reasons::expect(&looks, &tids, "unreliable_stack", "")?;
    for look in &looks {
        for tid in &tids {
            expect_cause(look, *tid, "bpf_trampoline", "bpf_trampoline_")?;
            if !look.without_bpf() {
                expect_culprit(look, *tid, &holder)?;
            }
        }
    }
    for tid in &tids {
        explains(*tid, &holder)?;
    }
    told.expect(ANY, &["foreign_tracing"])?;
    comparison.conclude(trial)?;
    trial.say("waiting for the kernel's signal");
    patch.wait_complete()?;
    patch.remove()
}

/// The frame to blame is shown, and what it is.
fn expect_cause(look: &Look, tid: i32, cause: &str, frame: &str) -> Result<()> {
    let blocker = look.of(tid)?;
    let blamed = blocker.blocking_frame.and_then(|at| blocker.stack.get(at));
    ensure!(
        blocker.cause.as_deref() == Some(cause)
            && blamed.is_some_and(|blamed| blamed.contains(frame)),
        "[{}] not {cause}: {blocker:?}",
        look.how
    );
    Ok(())
}

/// Function, program and owner, all of them.
fn expect_culprit(look: &Look, tid: i32, holder: &Holder) -> Result<()> {
    let blocker = look.of(tid)?;
    let told = format!("[{}] {blocker:?}", look.how);
    let program = blocker.program.as_ref();
    let program = program.with_context(|| format!("no program is named: {told}"))?;
    let owner = u32::try_from(holder.actor.pid()?)?;
    let comm = fs::read_to_string(format!("/proc/{owner}/comm"))?;
    ensure!(
        blocker.function.as_deref() == Some(FUNCTION),
        "function: {told}"
    );
    ensure!(
        program.attached_to.as_deref() == Some(FUNCTION),
        "attached to: {told}"
    );
    ensure!(program.name.as_deref() == Some(PROGRAM), "name: {told}");
    ensure!(program.id == Some(holder.program), "id: {told}");
    ensure!(program.owner_pid == Some(owner), "owner: {told}");
    ensure!(
        program.owner_comm.as_deref() == Some(comm.trim()),
        "comm: {told}"
    );
    Ok(())
}

/// What a person is told: all of it, in words.
fn explains(tid: i32, holder: &Holder) -> Result<()> {
    let ended = lpwatch::run(&[&["explain", &tid.to_string()]])?;
    let text = ended.expect(&[code::IN_TRANSITION, code::STALLED])?.text();
    let (program, owner) = (holder.program.to_string(), holder.actor.pid()?.to_string());
    let comm = fs::read_to_string(format!("/proc/{owner}/comm"))?;
    for part in [FUNCTION, PROGRAM, &program, &owner, comm.trim()] {
        ensure!(text.contains(part), "explain does not say {part}: {text}");
    }
    Ok(())
}

/// A return probe of the kernel's own: before 5.16 it, too, stays in the way.
pub fn kretprobe(trial: &mut Trial) -> Result<()> {
    let _daemon = Daemon::start(PATIENT)?;
    let mut oracle = Oracle::listen()?;
    let _probe = ReturnProbe::place()?;
    let napping = Actor::start(&["napping", "2"])?;
    if guest::kernel_series()? != "5.10" {
        napping.wait_in("nanosleep")?;
        return nothing_stalls(trial, &mut oracle);
    }
    napping.wait_in(FUNCTION)?;
    let tids: BTreeSet<i32> = napping.tids().into_iter().collect();
    let patch = Patch::load(ANY)?;
    ensure!(
        patch.wait_left(Code::Old, tids.len())? == tids,
        "others are left"
    );
    let mut comparison = Comparison::of(ANY, Code::Old);
    let looks = comparison.run(&mut oracle, ALL_WAYS, &tids)?;
    reasons::expect(&looks, &tids, "unreliable_stack", "")?;
    for look in &looks {
        for tid in &tids {
            expect_cause(look, *tid, "kretprobe", "kretprobe_trampoline")?;
            if !look.without_bpf() {
                expect_probe(look, *tid)?;
            }
        }
    }
    comparison.conclude(trial)?;
    drop(napping);
    patch.wait_complete()?;
    patch.remove()
}

fn expect_probe(look: &Look, tid: i32) -> Result<()> {
    let blocker = look.of(tid)?;
    let program = blocker.program.as_ref();
    let named = program.is_some_and(|program| {
        let name = program.name.as_deref().unwrap_or_default();
        name.contains(PROBE) && program.attached_to.as_deref() == Some(FUNCTION)
    });
    ensure!(named, "[{}] the probe is not named: {blocker:?}", look.how);
    Ok(())
}

/// Here the kernel sees through it, so lpwatch must not blame it either.
fn nothing_stalls(trial: &mut Trial, oracle: &mut Oracle) -> Result<()> {
    let mark = oracle.mark()?;
    let patch = Patch::load(ANY)?;
    let mut looks = 0_u32;
    while patch::transition(ANY)? == Some(true) {
        for how in [&[][..], ALONE, ALONE_NO_BPF] {
            let Some(look) = blockers::look(ANY, how)? else {
                continue;
            };
            looks += 1;
            let blamed = look
                .blockers
                .iter()
                .find(|one| one.reason.as_deref() == Some("unreliable_stack"));
            ensure!(blamed.is_none(), "[{}] {blamed:?}", look.how);
        }
    }
    let unreliable = oracle::unreliable(oracle.since(mark)?);
    ensure!(
        unreliable.is_empty(),
        "the kernel blames the stacks of {unreliable:?}"
    );
    trial.figure("looks_meanwhile", looks);
    trial.figure("compared", 0);
    trial.figure("agreed", 0);
    patch.remove()
}
