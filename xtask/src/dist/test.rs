//! `cargo xtask test dist`: the package installed in a system of each suite, its
//! unit held to what it states, the image run, the Ansible playbook played, and all of
//! it under real systemd.

mod guest;
mod image;
#[cfg(test)]
mod kubernetes;
mod package;
mod recipes;
mod rights;

use std::time::Instant;

use anyhow::Result;

use super::{Made, lintian};
use crate::build::Profile;
use crate::test::report::{Outcome, Report};
use crate::{interrupt, ui};

/// How a check ended well.
pub enum Verdict {
    /// In one line, what was seen.
    Passed(String),
    /// Why it was not tried.
    Skipped(String),
}

/// Makes the systems that the package is tried in.
pub fn prepare() -> Result<()> {
    for suite in package::SUITES {
        package::system(suite)?;
    }
    Ok(())
}

/// Builds everything and tries it.
pub fn run() -> Vec<Report> {
    // The guests' program, which is there already: it differs from that in a package
    // only in how the compiler made it small.
    let made = match super::make(Profile::Tested) {
        Ok(made) => made,
        Err(error) => return vec![Report::missing("dist", &format!("{error:#}"))],
    };
    let mut reports = Vec::new();
    let mut check = |name: &str, what: &dyn Fn(&Made) -> Result<Verdict>| {
        if !interrupt::asked() {
            reports.push(report(name, || what(&made)));
        }
    };
    check("reproducible", &|made| {
        super::is_reproducible(made)?;
        Ok(Verdict::Passed("packed twice: the same bytes".to_owned()))
    });
    check("lintian", &|made| {
        lintian::run(&made.deb)?;
        Ok(Verdict::Passed(
            "no remark that is not overridden".to_owned(),
        ))
    });
    for suite in package::SUITES {
        check(&format!("install_{suite}"), &|made| {
            package::installs(made, suite)
        });
        check(&format!("unit_{suite}"), &|made| {
            package::unit_holds(made, suite)
        });
    }
    check("image", &image::runs);
    check("recipe_ansible", &recipes::playbook);
    check("systemd", &guest::under_systemd);
    reports
}

fn report(name: &str, check: impl Fn() -> Result<Verdict>) -> Report {
    ui::note(format!("dist: {name}"));
    let start = Instant::now();
    let (outcome, detail) = match check() {
        Ok(Verdict::Passed(seen)) => (Outcome::Passed, seen),
        Ok(Verdict::Skipped(why)) => (Outcome::Skipped, why),
        Err(error) => {
            eprintln!("dist: {name}: {error:#}");
            (Outcome::Failed, format!("{error:#}"))
        }
    };
    Report {
        outcome,
        seconds: start.elapsed().as_secs_f64(),
        ..Report::missing(name, &detail)
    }
}
