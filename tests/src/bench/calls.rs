//! What a hook adds to each call of the function it stands at.

use anyhow::Result;
use serde::Serialize;

use super::bpftrace::Bpftrace;
use super::hooks::{Hook, Replaced, Target};
use super::work::Work;
use super::{Skipped, emit, functions};
use crate::patch::Patch;

const PATCH: &str = "lp_cmdline";
const PATCHED: Target<'_> = Target {
    function: "cmdline_proc_show",
    replaced: Some(Replaced {
        patch: PATCH,
        by: "lp_cmdline_show",
    }),
};

/// What is called in the loop.
#[derive(Serialize)]
#[serde(tag = "record", rename = "work")]
struct About<'a> {
    work: &'a str,
    function: &'a str,
    calls_per_part: u64,
    bpftrace: Option<&'a str>,
}

/// One loop.
#[derive(Serialize)]
#[serde(tag = "record", rename = "call")]
struct Call<'a> {
    work: &'a str,
    hook: &'a str,
    round: u32,
    nanoseconds: f64,
    made: u64,
    counted: Option<u64>,
}

pub fn run(rounds: u32) -> Result<()> {
    let bpftrace = Bpftrace::find().map_err(|error| format!("{error:#}"));
    let bpftrace = bpftrace.as_ref().map_err(String::as_str);
    let plain = Target {
        function: functions::of_getppid()?,
        replaced: None,
    };
    measure("getppid", &plain, &Work::Getppid, bpftrace, rounds)?;

    // lpwatch hooks a patched function in another way, and counts its
    // replacement as well.
    let cmdline = Work::cmdline()?;
    functions::is_entered_by(PATCHED.function, &cmdline)?;
    let patch = Patch::load_completely(PATCH)?;
    measure("patched_cmdline", &PATCHED, &cmdline, bpftrace, rounds)?;
    patch.remove()
}

fn measure(
    name: &str,
    target: &Target<'_>,
    work: &Work,
    bpftrace: Result<&Bpftrace, &str>,
    rounds: u32,
) -> Result<()> {
    let calls = work.calls_per_part()?;
    emit(&About {
        work: name,
        function: target.function,
        calls_per_part: calls,
        bpftrace: bpftrace.ok().map(|bpftrace| bpftrace.version.as_str()),
    })?;
    let mut hooks = Hook::ALL.to_vec();
    for round in 0..rounds {
        let mut impossible = Vec::new();
        for hook in &hooks {
            eprintln!("{name}: round {round}, {}", hook.name());
            let placed = match hook.place(target, bpftrace) {
                Ok(placed) => placed,
                Err(error) => {
                    let (hook_name, why) = (hook.name(), format!("{error:#}"));
                    emit(&Skipped {
                        work: name,
                        hook: hook_name,
                        why,
                    })?;
                    impossible.push(*hook);
                    continue;
                }
            };
            let timed = work.time(calls)?;
            let counted = placed.end()?;
            emit(&Call {
                work: name,
                hook: hook.name(),
                round,
                nanoseconds: timed.nanoseconds_per_call,
                made: timed.made,
                counted,
            })?;
        }
        hooks.retain(|hook| !impossible.contains(hook));
        // Nobody is always first, or always after the same one.
        hooks.rotate_left(1);
    }
    Ok(())
}
