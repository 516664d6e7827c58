//! One check after the other, each with a report of how it went.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Instant;

use anyhow::Result;
use serde_json::Value;

use crate::test::report::{Outcome, Report};
use crate::{interrupt, ui};

/// The reports so far.
#[derive(Debug, Default)]
pub struct Checks {
    reports: Vec<Report>,
}

/// What a check measured, to be shown and not judged.
#[derive(Debug, Default)]
pub struct Figures(BTreeMap<String, Value>);

impl Figures {
    pub fn add(&mut self, name: &str, value: impl Display) {
        self.0.insert(name.to_owned(), value.to_string().into());
    }
}

impl Checks {
    /// Runs a check; nothing where it failed, or nobody wants to know any more.
    pub fn check<T>(
        &mut self,
        name: &str,
        run: impl FnOnce(&mut Figures) -> Result<T>,
    ) -> Option<T> {
        if interrupt::asked() {
            return None;
        }
        let started = Instant::now();
        let mut figures = Figures::default();
        let result = run(&mut figures);
        if interrupt::asked() {
            // What was broken off has neither passed nor failed.
            return None;
        }
        let (outcome, detail) = match &result {
            Ok(_) => (Outcome::Passed, String::new()),
            Err(error) => (Outcome::Failed, format!("{error:#}")),
        };
        let seconds = started.elapsed().as_secs_f64();
        ui::note(format!(
            "fleet {:<8} {name} ({seconds:.1} s)",
            outcome.word()
        ));
        if !detail.is_empty() {
            eprintln!("{detail}");
        }
        self.reports.push(Report {
            scenario: name.to_owned(),
            outcome,
            seconds,
            detail,
            figures: figures.0,
            processor_seconds: None,
        });
        result.ok()
    }

    pub fn done(self) -> Vec<Report> {
        self.reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_reported() {
        let mut checks = Checks::default();
        let passed = checks.check("good", |figures| {
            figures.add("n", 3);
            Ok(7)
        });
        assert_eq!(passed, Some(7));
        let failed: Option<()> = checks.check("bad", |_| anyhow::bail!("why"));
        assert_eq!(failed, None);
        let reports = checks.done();
        assert_eq!(reports[0].figures_line().unwrap(), "n = 3");
        assert_eq!(reports[0].outcome, Outcome::Passed);
        assert_eq!(
            (reports[1].outcome, reports[1].detail.as_str()),
            (Outcome::Failed, "why")
        );
    }
}
