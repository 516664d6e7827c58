//! Every test patch, checked first and then loaded: what was foretold is what
//! happens. The table of docs/check.md is what this prints.

use anyhow::{Result, ensure};

use crate::actor::Actor;
use crate::guest::Module;
use crate::patch::Patch;
use crate::predictions::{self, Happened, agree, check};
use crate::trial::Trial;

/// What has to be there before a patch is checked.
enum Before {
    Nothing,
    Module(&'static str),
    Patch(&'static str),
    /// A task that reads this file of a module, and sleeps in this function.
    Reader(&'static str, &'static str, &'static str),
    Sleepers,
}

struct Case {
    patch: &'static str,
    before: Before,
    /// Why what happens cannot be foretold, if so.
    beyond: Option<&'static str>,
}

const fn case(patch: &'static str, before: Before) -> Case {
    Case {
        patch,
        before,
        beyond: None,
    }
}

const CASES: &[Case] = &[
    case("lp_cmdline", Before::Nothing),
    case("lp_value", Before::Module("lpwatch_target")),
    case("lp_two_objects", Before::Nothing),
    case("lp_replace", Before::Patch("lp_cmdline")),
    case("lp_states", Before::Nothing),
    case("lp_brief", Before::Module("lpwatch_doze")),
    case("lp_stall", Before::Module("lpwatch_target")),
    case("lp_doze", Before::Module("lpwatch_doze")),
    case("lp_calls", Before::Module("lpwatch_calls")),
    case(
        "lp_hold",
        Before::Reader("lpwatch_hold", "/proc/lpwatch_hold", "lpwatch_hold_wait"),
    ),
    case("lp_sleepers", Before::Sleepers),
    case("lp_missing_symbol", Before::Nothing),
    case("lp_ambiguous", Before::Nothing),
    case("lp_sympos", Before::Nothing),
    case("lp_notrace", Before::Nothing),
    case("lp_unmarked", Before::Nothing),
    case("lp_cmdline", Before::Patch("lp_cmdline")),
    case("lp_states_old", Before::Patch("lp_states")),
    Case {
        patch: "lp_pre_patch_fails",
        before: Before::Nothing,
        beyond: Some("its own callback fails, and only running it shows that"),
    },
];

pub fn run(trial: &mut Trial) -> Result<()> {
    let mut wrong = Vec::new();
    let mut agreed = 0;
    for case in CASES {
        let row = put_to_the_test(trial, case)?;
        let (foretold, happened, agrees) = &row;
        let word = match (agrees, case.beyond) {
            (true, _) => "yes".to_owned(),
            (false, Some(why)) => format!("no: {why}"),
            (false, None) => "NO".to_owned(),
        };
        let patch = case.name();
        predictions::row(trial, &patch, foretold, happened, &word)?;
        if *agrees {
            agreed += 1;
        } else if case.beyond.is_none() {
            wrong.push(format!("{patch}: foretold {foretold}, happened {happened}"));
        }
    }
    trial.figure("foretold", CASES.len());
    trial.figure("agreed", agreed);
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

impl Case {
    fn name(&self) -> String {
        let patch = self.patch;
        match &self.before {
            Before::Nothing => patch.to_owned(),
            Before::Module(module) | Before::Reader(module, ..) => format!("{patch} ({module})"),
            Before::Patch(before) => format!("{patch} (after {before})"),
            Before::Sleepers => format!("{patch} (tasks asleep)"),
        }
    }
}

/// What was foretold, what happened, and whether that is the same.
fn put_to_the_test(trial: &mut Trial, case: &Case) -> Result<(String, String, bool)> {
    let (mut modules, mut patches, mut actors) = (Vec::new(), Vec::new(), Vec::new());
    match case.before {
        Before::Nothing => {}
        Before::Module(module) => modules.push(Module::load(module)?),
        Before::Patch(patch) => patches.push(Patch::load_completely(patch)?),
        Before::Reader(module, file, function) => {
            modules.push(Module::load(module)?);
            let reader = Actor::start(&["reading", file])?;
            reader.wait_in(function)?;
            actors.push(reader);
        }
        Before::Sleepers => {
            let pausing = Actor::start(&["pausing", "3"])?;
            pausing.wait_in("_pause")?;
            actors.push(pausing);
        }
    }
    let report = check(case.patch, &["--sample", "1s"])?;
    trial.say(&format!("{}: {}", case.name(), report.forecast.text));
    for finding in &report.findings {
        trial.say(&format!(
            "  {} {}: {}",
            finding.severity, finding.rule, finding.text
        ));
    }
    for note in &report.notes {
        trial.say(&format!("  note: {note}"));
    }
    let happened: Happened = predictions::load(case.patch, &report.forecast.outcome)?;
    let agrees = agree(&report, &happened);
    // A module waits for those who are in it; so they go first.
    if let Before::Reader("lpwatch_hold", ..) = case.before {
        std::fs::write("/sys/module/lpwatch_hold/parameters/released", "1")?;
    }
    drop((actors, patches, modules));
    Ok((report.words(), happened.words(), agrees))
}
