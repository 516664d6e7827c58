//! A module that the kernel refuses to load because an enabled patch does not fit
//! it, compared with what loading the module gives.

use std::ffi::CStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use nix::errno::Errno;
use serde_json::Value;

use crate::contract::{Document, ModuleRefusal};
use crate::guest::{self, Module};
use crate::journal::Journal;
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, Daemon, code};
use crate::patch::Patch;
use crate::predictions::{self, SHORT};
use crate::scrape::Scrape;
use crate::trial::Trial;

use super::check_rules_kernel::Tree;

const PATCH: &str = "lp_refuses";
const MODULE: &str = "lpwatch_target";
const SERIES: &str = "lpwatch_patch_module_refused{object=\"lpwatch_target\",patch=\"lp_refuses\"}";

/// The modules were refused since the scenario began.
const RECENT: Duration = Duration::from_mins(5);

/// The daemon, and looks without it.
const WAYS: &[&[&str]] = &[&[], ALONE, ALONE_NO_BPF];

pub fn run(trial: &mut Trial) -> Result<()> {
    foretold(trial)?;
    let _daemon = Daemon::start(&[])?;
    let told = Journal::begin()?;
    // The kernel logs no errno of a callback.
    let missing = "symbol 'lpwatch_target_gone' not found in symbol table";
    refuses(trial, c"", Errno::EINVAL, Some(Errno::EINVAL), missing)?;
    told.expect(PATCH, &["object_refused"])?;
    predictions::row(
        trial,
        "lp_refuses, then lpwatch_target",
        "completes; the module is refused",
        "completed; the module was refused with 22",
        "yes",
    )?;
    let callback = "pre-patch callback failed for object 'lpwatch_target'";
    refuses(trial, c"callback=1", Errno::EBUSY, None, callback)
}

/// Where the module's file is known, the check says what loading it will give.
fn foretold(trial: &mut Trial) -> Result<()> {
    let tree = Tree::make()?;
    let report = predictions::check(PATCH, SHORT)?;
    let words = [MODULE, "refuses to load", "it has no lpwatch_target_gone"];
    trial.say(&report.finding("symbol", "danger", &words)?.text);
    ensure!(report.forecast.outcome == "completes", "{report:?}");
    // One that fits has only a note.
    let fits = predictions::check("lp_value", SHORT)?;
    ensure!(!fits.found("symbol", "warning"), "{fits:?}");
    drop(tree);
    let unknown = predictions::check(PATCH, SHORT)?;
    ensure!(!unknown.found("symbol", "warning"), "{unknown:?}");
    Ok(())
}

fn refuses(
    trial: &mut Trial,
    parameters: &CStr,
    errno: Errno,
    told: Option<Errno>,
    cause: &str,
) -> Result<()> {
    let patch = Patch::load_completely_with(PATCH, parameters)?;
    for way in WAYS {
        let document = lpwatch::status(&[way], &[code::WELL])?;
        ensure!(refusal(&document)?.is_none(), "{way:?}: {document:?}");
    }
    for times in 1..=2 {
        let kernels = guest::load_refused(MODULE)?;
        ensure!(kernels == errno, "the kernel refuses with {kernels}");
        guest::wait_until("the daemon has it", || {
            let document = lpwatch::poll()?;
            let refusal = refusal(&document)?;
            Ok(refusal.is_some_and(|refusal| refusal.times == times))
        })?;
    }
    for way in WAYS {
        let document = lpwatch::status(&[way], &[code::WELL])?;
        let found = refusal(&document)?.context("no refusal")?;
        let as_told = found.errno == told.map(|errno| errno as i32);
        let cause_told = found.cause.as_deref() == Some(cause);
        let at: Timestamp = found.at.parse()?;
        let ago = at.duration_until(Timestamp::now());
        ensure!(ago.unsigned_abs() < RECENT, "{way:?}: {found:?}");
        ensure!(
            as_told && cause_told && found.times == 2,
            "{way:?}: {found:?}"
        );
        let wrong = document
            .last(PATCH)
            .filter(|past| past.outcome != "completed");
        ensure!(wrong.is_none(), "{way:?}: {wrong:?}");
        let nameless = document.last_transitions.iter();
        let mut nameless = nameless.filter(|past| past.why() == cause);
        ensure!(nameless.next().is_none(), "{way:?}: {document:?}");
        says(&[&["status"], way])?;
    }
    let table = says(&[&["patches"]])?;
    trial.say(table.trim_end());
    let json = lpwatch::run(&[&["patches", "-o", "json"]])?;
    let json: Value = serde_json::from_slice(&json.expect(&[code::WELL])?.stdout)?;
    let refused = &json["patches"][0]["objects"][0]["refusal"];
    ensure!(refused["cause"] == cause && refused["times"] == 2, "{json}");
    Scrape::now()?.expect(SERIES, 1.0)?;

    // The advice: the module loads once the patch is disabled.
    patch.disable()?;
    patch.wait_complete()?;
    let document = lpwatch::status(&[], &[code::WELL])?;
    // The kernel may list it no longer.
    let listed = document.patch(PATCH).is_ok();
    ensure!(!listed || refusal(&document)?.is_none(), "{document:?}");
    Module::load(MODULE)?.unload()?;
    patch.remove()?;
    Scrape::now()?.has_no("lpwatch_patch_module_refused")
}

fn refusal(document: &Document) -> Result<Option<&ModuleRefusal>> {
    let object = document.patch(PATCH)?.object(MODULE)?;
    Ok(object.refusal.as_ref())
}

fn says(arguments: &[&[&str]]) -> Result<String> {
    let text = lpwatch::run(arguments)?.expect(&[code::WELL])?.text();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence =
        format!("The kernel refuses to load module {MODULE}, because {PATCH} does not fit");
    ensure!(words.contains(&sentence), "{arguments:?}: {text}");
    Ok(text)
}
