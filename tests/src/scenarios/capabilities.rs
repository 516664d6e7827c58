//! What lpwatch loses without each capability, and what a daemon of root gives up
//! (`docs/security.md`).

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::calls::GCD;
use crate::knowledge::{self, Stand};
use crate::lpwatch::{Daemon, PATIENT};
use crate::trial::Trial;

const DOCS: &str = include_str!("../../../docs/security.md");

/// Those of the unit, and what Debian's kernels take besides.
const ALL: [&str; 6] = [
    "CAP_BPF",
    "CAP_PERFMON",
    "CAP_SYSLOG",
    "CAP_DAC_READ_SEARCH",
    "CAP_SYS_PTRACE",
    "CAP_SYS_ADMIN",
];

/// What is removed, and the level of `kernel.perf_event_paranoid`.
const REMOVED: [(&[&str], u32); 8] = [
    (&[], 3),
    (&["CAP_BPF", "CAP_SYS_ADMIN"], 3),
    (&["CAP_PERFMON", "CAP_SYS_ADMIN"], 3),
    (&["CAP_SYS_ADMIN"], 3),
    (&["CAP_SYS_ADMIN"], 2),
    (&["CAP_SYSLOG"], 3),
    (&["CAP_DAC_READ_SEARCH"], 3),
    (&["CAP_SYS_PTRACE"], 3),
];

/// As in /proc/PID/status: the capabilities above, and `CAP_DAC_OVERRIDE`.
const KEPT: u64 = 1 << 1 | 1 << 2 | 1 << 19 | 1 << 21 | 1 << 34 | 1 << 38 | 1 << 39;

pub fn run(trial: &mut Trial) -> Result<()> {
    given_up(trial)?;
    let mut stand = Stand::new()?;
    let mut rows = Vec::new();
    for (removed, level) in REMOVED {
        fs::write("/proc/sys/kernel/perf_event_paranoid", level.to_string())?;
        let mut rights = vec!["--uid", "65534"];
        for capability in ALL.iter().filter(|one| !removed.contains(one)) {
            rights.extend(["--keep", capability]);
        }
        let names: Vec<String> = removed.iter().map(|one| format!("`{one}`")).collect();
        let names = match &names[..] {
            [] => "none".to_owned(),
            names if level == 2 => format!("{}, at level 2", names.join(", ")),
            names => names.join(", "),
        };
        let (row, _) = knowledge::row(trial, &mut stand, &names, &rights, &[])?;
        rows.push(row);
    }
    knowledge::compare(DOCS, &rows)
}

/// A daemon of root keeps what it needs in every thread, and counts the functions of a
/// patch that comes later.
fn given_up(trial: &Trial) -> Result<()> {
    let daemon = Daemon::start(PATIENT)?;
    let folder = format!("/proc/{}/task", daemon.pid());
    let mut threads = 0;
    for thread in fs::read_dir(folder)? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let field = |name: &str| {
            let mut lines = status.lines();
            let found = lines.find_map(|line| line.strip_prefix(name));
            found
                .with_context(|| format!("no {name}: {status}"))
                .map(str::trim)
        };
        for name in ["CapEff:", "CapPrm:", "CapBnd:"] {
            let held = u64::from_str_radix(field(name)?, 16)?;
            ensure!(held == KEPT, "{name} {held:x}, not {KEPT:x}: {status}");
        }
        ensure!(field("NoNewPrivs:")? == "1", "{status}");
        threads += 1;
    }
    trial.say(&format!("{threads} threads gave up their rights"));
    let mut caller = crate::calls::Caller::load()?;
    caller.leave()?;
    let patch = crate::patch::Patch::load_completely("lp_calls")?;
    caller.now(5)?;
    GCD.wait_entered("lp_calls")?;
    drop(daemon);
    patch.remove()?;
    caller.unload()
}
