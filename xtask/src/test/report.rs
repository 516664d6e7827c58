//! What a scenario reports: one line of JSON.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

/// How one scenario went in one kernel.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Report {
    pub scenario: String,
    pub outcome: Outcome,
    #[serde(default)]
    pub seconds: f64,
    #[serde(default)]
    pub detail: String,
    /// Things measured, to be shown and not judged.
    #[serde(default)]
    pub figures: BTreeMap<String, Value>,
    /// Processor time that its guest took for it, in seconds; known to whoever
    /// runs the guest.
    #[serde(skip)]
    pub processor_seconds: Option<f64>,
}

impl Report {
    /// A report in the name of a scenario that made none itself.
    pub fn missing(scenario: &str, why: &str) -> Self {
        Self {
            scenario: scenario.to_owned(),
            outcome: Outcome::Failed,
            seconds: 0.0,
            detail: why.to_owned(),
            figures: BTreeMap::new(),
            processor_seconds: None,
        }
    }

    /// The figures as a person reads them.
    pub fn figures_line(&self) -> Option<String> {
        let shown = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let all: Vec<_> = self
            .figures
            .iter()
            .map(|(name, value)| format!("{name} = {}", shown(value)))
            .collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// What a person reads of one scenario in the whole of a guest's stderr: the
/// lines from `==> name` to `<== name`.
pub fn words_about<'a>(scenario: &str, stderr: &'a str) -> Vec<&'a str> {
    let about = |line: &str, arrow: &str| {
        line.strip_prefix(arrow)
            .and_then(|rest| rest.split_whitespace().next())
            == Some(scenario)
    };
    let mut lines = Vec::new();
    let mut inside = false;
    for line in stderr.lines() {
        inside |= about(line, "==>");
        if inside {
            lines.push(line);
        }
        inside &= !about(line, "<==");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let line =
            r#"{"scenario":"stall","outcome":"passed","seconds":1.2,"figures":{"n":"3","m":4}}"#;
        let report: Report = serde_json::from_str(line).unwrap();
        assert_eq!(report.outcome, Outcome::Passed);
        assert_eq!(report.figures_line().unwrap(), "m = 4, n = 3");
    }

    #[test]
    fn a_scenarios_words_are_found() {
        let stderr = "==> a\nx\n<== a passed\n==> ab\ny\n<== ab FAILED why\nend\n";
        assert_eq!(
            words_about("ab", stderr),
            ["==> ab", "y", "<== ab FAILED why"]
        );
        assert_eq!(words_about("a", stderr).len(), 3);
        assert_eq!(words_about("none", stderr), Vec::<&str>::new());
    }
}
