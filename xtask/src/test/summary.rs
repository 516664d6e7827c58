//! The end of a test run: what passed, what failed, what was not tried and why.

use std::fmt::Write;
use std::ops::AddAssign;

use super::part::Part;
use super::report::{Outcome, Report};
use crate::kernels::Series;
use crate::page::Checked;

/// A summary is read at a glance; the logs have the rest.
const DETAIL_LINES: usize = 5;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl From<Checked> for Count {
    fn from(Checked { passed, failed }: Checked) -> Self {
        Self {
            passed,
            failed,
            skipped: 0,
        }
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        let Self {
            passed,
            failed,
            skipped,
        } = other;
        self.passed += passed;
        self.failed += failed;
        self.skipped += skipped;
    }
}

impl Count {
    fn of(reports: &[Report]) -> Self {
        let mut count = Self::default();
        for report in reports {
            match report.outcome {
                Outcome::Passed => count.passed += 1,
                Outcome::Failed => count.failed += 1,
                Outcome::Skipped => count.skipped += 1,
            }
        }
        count
    }

    fn line(self) -> String {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// How a series fared.
#[derive(Debug, Clone)]
pub enum Fate {
    Tested {
        release: String,
        reports: Vec<Report>,
    },
    NotTested {
        why: String,
    },
}

/// Everything of one run.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// All parts but the scenarios.
    parts: Vec<(Part, Count, Vec<Report>)>,
    pub kernels: Vec<(Series, Fate)>,
}

impl Summary {
    /// Notes how a part went, with a line for each of `reports`.
    pub fn note(&mut self, part: Part, count: Count, reports: Vec<Report>) {
        self.parts.push((part, count, reports));
    }

    /// [`Self::note`] of a part that is nothing but these.
    pub fn note_reports(&mut self, part: Part, reports: Vec<Report>) {
        self.note(part, Count::of(&reports), reports);
    }

    /// Whether the run proves what it set out to prove.
    pub fn is_good(&self) -> bool {
        let total = self.total();
        let required_tested = self
            .kernels
            .iter()
            .all(|(series, fate)| matches!(fate, Fate::Tested { .. }) || !series.is_required());
        // Nothing run is nothing shown: a filter or a broken list must not pass.
        let scenarios = self.kernels.is_empty() || self.scenarios().passed > 0;
        total.failed == 0 && total.passed > 0 && required_tested && scenarios
    }

    /// The summary as text; its last line is the total.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        for (part, count, reports) in &self.parts {
            writeln!(text, "{}: {}", part.title(), count.line())?;
            write_reports(text, reports)?;
        }
        for (series, fate) in &self.kernels {
            match fate {
                Fate::Tested { release, reports } => {
                    writeln!(
                        text,
                        "kernel {series} ({release}): {}",
                        Count::of(reports).line()
                    )?;
                    write_reports(text, reports)?;
                }
                Fate::NotTested { why } => writeln!(text, "kernel {series}: NOT TESTED: {why}")?,
            }
        }
        let untested: Vec<&str> = self
            .kernels
            .iter()
            .filter(|(_, fate)| matches!(fate, Fate::NotTested { .. }))
            .map(|(series, _)| series.name())
            .collect();
        if !untested.is_empty() {
            writeln!(text, "\nKERNELS NOT TESTED: {}", untested.join(", "))?;
        }
        self.write_failed(text)?;
        write!(text, "\n{}", self.total().line())
    }

    /// Once more what failed, where whoever reads the end of a log sees it.
    fn write_failed(&self, text: &mut String) -> std::fmt::Result {
        let failed = |reports: &[Report]| -> Vec<Report> {
            let failed = reports.iter().filter(|one| one.outcome == Outcome::Failed);
            failed.cloned().collect()
        };
        for (part, _, reports) in &self.parts {
            let failed = failed(reports);
            if !failed.is_empty() {
                writeln!(text, "\nFAILED, {}:", part.title())?;
                write_reports(text, &failed)?;
            }
        }
        for (series, fate) in &self.kernels {
            if let Fate::Tested { reports, .. } = fate {
                let failed = failed(reports);
                if !failed.is_empty() {
                    writeln!(text, "\nFAILED, kernel {series}:")?;
                    write_reports(text, &failed)?;
                }
            }
        }
        Ok(())
    }

    fn scenarios(&self) -> Count {
        let mut count = Count::default();
        for (_, fate) in &self.kernels {
            if let Fate::Tested { reports, .. } = fate {
                count += Count::of(reports);
            }
        }
        count
    }

    fn total(&self) -> Count {
        let mut total = self.scenarios();
        for (_, count, _) in &self.parts {
            total += *count;
        }
        total
    }
}

fn write_reports(text: &mut String, reports: &[Report]) -> std::fmt::Result {
    let longest = reports.iter().map(|report| report.scenario.len()).max();
    let width = longest.unwrap_or_default().max(20);
    for report in reports {
        let Report {
            scenario,
            outcome,
            seconds,
            detail,
            ..
        } = report;
        write!(
            text,
            "  {:<8} {scenario:<width$} {seconds:>6.1} s",
            outcome.word()
        )?;
        for (number, line) in detail.lines().take(DETAIL_LINES).enumerate() {
            write!(
                text,
                "{}{line}",
                if number == 0 { "  " } else { "\n           " }
            )?;
        }
        text.push('\n');
        if let Some(figures) = report.figures_line() {
            writeln!(text, "           {figures}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Count = Count {
        passed: 10,
        failed: 0,
        skipped: 1,
    };

    fn report(outcome: Outcome, detail: &str) -> Report {
        Report {
            outcome,
            ..Report::missing("stall", detail)
        }
    }

    fn tested(reports: Vec<Report>) -> Fate {
        Fate::Tested {
            release: "6.1.0".into(),
            reports,
        }
    }

    #[test]
    fn the_last_line_is_the_total() {
        let mut summary = Summary {
            kernels: vec![
                (Series::V6_1, tested(vec![report(Outcome::Passed, "")])),
                (
                    Series::V6_12,
                    tested(vec![report(Outcome::Skipped, "no such hook")]),
                ),
                (
                    Series::V7,
                    Fate::NotTested {
                        why: "not on the mirror".into(),
                    },
                ),
            ],
            ..Summary::default()
        };
        summary.note(Part::Unit, UNIT, Vec::new());
        summary.note_reports(Part::Fleet, vec![report(Outcome::Passed, "")]);
        let text = summary.text();
        assert_eq!(text.lines().last(), Some("12 passed, 0 failed, 2 skipped"));
        assert!(text.contains("no such hook"), "a skip has its reason");
        assert!(text.contains("KERNELS NOT TESTED: 7"));
        assert!(summary.is_good(), "7 may be missing");
    }

    #[test]
    fn failures_and_missing_kernels_fail_the_run() {
        let failed = (Series::V6_1, tested(vec![report(Outcome::Failed, "why")]));
        let passed = (Series::V6_1, tested(vec![report(Outcome::Passed, "")]));
        let missing = (Series::V6_12, Fate::NotTested { why: "gone".into() });
        let of = |kernels| Summary {
            kernels,
            ..Summary::default()
        };
        assert!(!of(vec![failed]).is_good());
        assert!(!of(vec![passed.clone(), missing]).is_good());
        let mut fleet = of(vec![passed.clone()]);
        assert!(fleet.is_good());
        fleet.note_reports(Part::Fleet, vec![report(Outcome::Failed, "why")]);
        assert!(!fleet.is_good());
    }

    #[test]
    fn a_run_of_nothing_is_not_good() {
        assert!(!Summary::default().is_good());
        let skipped = (Series::V6_1, tested(vec![report(Outcome::Skipped, "x")]));
        let mut summary = Summary {
            kernels: vec![skipped],
            ..Summary::default()
        };
        summary.note(Part::Unit, UNIT, Vec::new());
        assert!(!summary.is_good());
    }
}
