//! `lpwatch check` of a patch where others are loaded, in real kernels.

use anyhow::{Result, ensure};
use nix::errno::Errno;

use crate::patch::Patch;
use crate::predictions::{SHORT, check, put_to_the_test};
use crate::sleeper::Sleeper;
use crate::trial::Trial;

const RULE: &str = "overlap";

/// A second patch of a function, one that takes the first back, and one whose
/// states do not fit.
pub fn loaded(trial: &mut Trial) -> Result<()> {
    for patch in ["lp_states", "lp_replace"] {
        check(patch, SHORT)?.silent(RULE)?;
    }

    let first = Patch::load_completely("lp_cmdline")?;
    let report = check("lp_states", SHORT)?;
    let words = ["cmdline_proc_show", "is patched by lp_cmdline"];
    trial.say(&report.finding(RULE, "warning", &words)?.text);
    ensure!(report.verdict == "warning", "{report:?}");
    put_to_the_test("lp_states", &report)?;
    // What it does not touch it does not speak of.
    check("lp_calls_top", SHORT)?.silent(RULE)?;
    first.remove()?;

    let first = Patch::load_completely("lp_calls_top")?;
    let report = check("lp_replace", SHORT)?;
    let words = ["original code", "gcd is patched by lp_calls_top"];
    trial.say(&report.finding(RULE, "warning", &words)?.text);
    put_to_the_test("lp_replace", &report)?;
    first.remove()?;

    let first = Patch::load_completely("lp_states")?;
    for (patch, why) in [
        ("lp_states_old", "this patch has version 1"),
        ("lp_replace", "has no state 7"),
    ] {
        let report = check(patch, SHORT)?;
        let words = ["lp_states has state 7 in version 2", why];
        trial.say(&report.refusing(RULE, Errno::EINVAL, &words)?.text);
        put_to_the_test(patch, &report)?;
    }
    first.remove()
}

/// Tasks asleep in the new code of a loaded patch: a patch on top of it has to
/// get them out if it changes the same function, and only then.
pub fn on_top(trial: &mut Trial) -> Result<()> {
    let under = Patch::load_completely("lp_pair")?;
    // It fell asleep after the patch: in its new code.
    let sleeper = Sleeper::start()?;
    let report = check("lp_sleepers", SHORT)?;
    let found = report.finding("will_block", "warning", &["_sys_pause"])?;
    trial.say(&found.text);
    let asleep: Vec<i32> = report.forecast.after_signal.iter().map(|t| t.tid).collect();
    ensure!(
        report.forecast.outcome == "after_signal" && asleep == [sleeper.pid()?],
        "{report:?}"
    );
    trial.say(&put_to_the_test("lp_sleepers", &report)?.words());

    let report = check("lp_cmdline", SHORT)?;
    report.silent("will_block")?;
    ensure!(report.forecast.outcome == "completes", "{report:?}");
    trial.say(&put_to_the_test("lp_cmdline", &report)?.words());

    // One that replaces all takes that code away as well.
    let report = check("lp_replace", SHORT)?;
    let asleep: Vec<i32> = report.forecast.after_signal.iter().map(|t| t.tid).collect();
    ensure!(asleep == [sleeper.pid()?], "{report:?}");
    trial.say(&put_to_the_test("lp_replace", &report)?.words());
    sleeper.end()?;
    under.remove()
}
