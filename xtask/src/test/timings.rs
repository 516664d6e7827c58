//! Where the time of a test run went: by part, and by scenario and kernel.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::load::Ticks;
use super::report::Report;
use crate::kernels::Series;

/// One thing that took time. Several may overlap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Span {
    pub name: String,
    /// Since the run began.
    pub from_seconds: f64,
    pub seconds: f64,
    /// The share of all processors' time that was in use meanwhile, by
    /// whatever: 0 to 1.
    pub processors_busy: f64,
}

/// One scenario in one kernel. Times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InGuest {
    pub kernel: String,
    pub scenario: String,
    pub seconds: f64,
    /// Processor time of the guest, all of QEMU included.
    pub processor_seconds: f64,
    /// The rest of the time: the guest was asleep, or the machine busy elsewhere.
    pub asleep_seconds: f64,
}

/// The times of one run, taken as it goes.
#[derive(Debug)]
pub struct Timings {
    began: Instant,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default, Clone, Serialize)]
struct Noted {
    spans: Vec<Span>,
    scenarios: Vec<InGuest>,
}

/// A span that has begun.
pub struct Begun {
    name: String,
    at: Instant,
    ticks: Ticks,
}

impl Begun {
    pub fn now(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            at: Instant::now(),
            ticks: Ticks::now(),
        }
    }
}

impl Timings {
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
            noted: Mutex::default(),
        }
    }

    /// Notes how long something took that [`Begun::now`] began.
    pub fn end(&self, begun: Begun) {
        let Begun { name, at, ticks } = begun;
        let span = Span {
            name,
            from_seconds: at.duration_since(self.began).as_secs_f64(),
            seconds: at.elapsed().as_secs_f64(),
            processors_busy: Ticks::now().share_since(ticks),
        };
        self.noted(|noted| noted.spans.push(span));
    }

    /// Runs something and notes how long it took.
    pub fn of<T>(&self, name: impl Into<String>, run: impl FnOnce() -> T) -> T {
        let begun = Begun::now(name);
        let result = run();
        self.end(begun);
        result
    }

    /// Notes what the scenarios of a guest took; `boot` is what came before the
    /// first, as seconds and processor seconds.
    pub fn note_guest(&self, series: Series, label: &str, boot: (f64, f64), reports: &[Report]) {
        let mut rows = vec![row(series, &format!("(boot {label})"), boot.0, boot.1)];
        rows.extend(reports.iter().filter_map(|report| {
            let processor = report.processor_seconds?;
            Some(row(series, &report.scenario, report.seconds, processor))
        }));
        self.noted(|noted| noted.scenarios.extend(rows));
    }

    /// All of it as JSON.
    pub fn json(&self) -> serde_json::Value {
        let Noted { spans, scenarios } = self.noted(|noted| noted.clone());
        serde_json::json!({
            "schema_version": 1,
            "seconds": self.began.elapsed().as_secs_f64(),
            "spans": spans,
            "scenarios": scenarios,
        })
    }

    /// All of it as tables.
    pub fn text(&self) -> String {
        let Noted {
            mut spans,
            scenarios,
        } = self.noted(|noted| noted.clone());
        spans.sort_by(|a, b| a.from_seconds.total_cmp(&b.from_seconds));
        let mut text = String::from(
            "Where the time went (seconds; spans may overlap)\n    from    took  processors in use\n",
        );
        for span in &spans {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:>8.0}{:>8.0}{:>8.0} %  {}",
                span.from_seconds,
                span.seconds,
                span.processors_busy * 100.0,
                span.name
            );
        }
        if !scenarios.is_empty() {
            write_scenarios(&mut text, &scenarios);
        }
        let _ = writeln!(text, "{:>16.0} in all", self.began.elapsed().as_secs_f64());
        text
    }

    fn noted<T>(&self, with: impl FnOnce(&mut Noted) -> T) -> T {
        // A thread that panicked left nothing half-done here.
        with(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn row(series: Series, scenario: &str, seconds: f64, processor: f64) -> InGuest {
    InGuest {
        kernel: series.name().to_owned(),
        scenario: scenario.to_owned(),
        seconds,
        processor_seconds: processor,
        asleep_seconds: (seconds - processor).max(0.0),
    }
}

/// A line for each scenario, a group of columns for each kernel.
fn write_scenarios(text: &mut String, all: &[InGuest]) {
    let kernels: Vec<&str> = Series::ALL
        .iter()
        .map(|series| series.name())
        .filter(|name| all.iter().any(|one| one.kernel == *name))
        .collect();
    let mut by_scenario: BTreeMap<&str, Vec<&InGuest>> = BTreeMap::new();
    for one in all {
        by_scenario.entry(&one.scenario).or_default().push(one);
    }
    let processor = |ones: &[&InGuest]| ones.iter().map(|one| one.processor_seconds).sum::<f64>();
    let mut rows: Vec<_> = by_scenario.into_iter().collect();
    rows.sort_by(|a, b| processor(&b.1).total_cmp(&processor(&a.1)));
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\nGuests: took, processor time, asleep (seconds), the costliest first\n{}",
        header(&kernels)
    );
    for (scenario, ones) in rows {
        let _ = write!(text, "{scenario:<26}");
        for kernel in &kernels {
            let of: Vec<_> = ones.iter().filter(|one| one.kernel == *kernel).collect();
            let sum = |field: fn(&InGuest) -> f64| of.iter().map(|one| field(one)).sum::<f64>();
            if of.is_empty() {
                let _ = write!(text, "{:>7}{:>7}{:>7} |", "", "", "");
                continue;
            }
            let _ = write!(
                text,
                "{:>7.1}{:>7.1}{:>7.1} |",
                sum(|one| one.seconds),
                sum(|one| one.processor_seconds),
                sum(|one| one.asleep_seconds)
            );
        }
        text.push('\n');
    }
    let _ = write!(text, "{:<26}", "all");
    for kernel in &kernels {
        let of = || all.iter().filter(|one| one.kernel == *kernel);
        let _ = write!(
            text,
            "{:>7.0}{:>7.0}{:>7.0} |",
            of().map(|one| one.seconds).sum::<f64>(),
            of().map(|one| one.processor_seconds).sum::<f64>(),
            of().map(|one| one.asleep_seconds).sum::<f64>()
        );
    }
    text.push('\n');
}

fn header(kernels: &[&str]) -> String {
    let columns = kernels.iter().map(|kernel| format!("{kernel:^21} |"));
    format!("{:<26}{}", "", columns.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_every_part_and_scenario() {
        let timings = Timings::start();
        timings.of("unit tests", || ());
        let report = Report {
            seconds: 12.5,
            processor_seconds: Some(4.0),
            ..Report::missing("stall", "")
        };
        let unknown = Report::missing("never_started", "");
        timings.note_guest(Series::V6_12, "life", (3.0, 2.5), &[report, unknown]);
        let text = timings.text();
        assert!(text.contains("unit tests"), "{text}");
        assert!(text.contains("   12.5    4.0    8.5 |"), "{text}");
        assert!(text.contains("(boot life)"), "{text}");
        assert!(!text.contains("never_started"), "no time is no 0: {text}");
        let json = timings.json();
        assert_eq!(json["scenarios"][1]["asleep_seconds"], 8.5);
        assert_eq!(json["spans"][0]["name"], "unit tests");
    }
}
