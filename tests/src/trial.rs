//! What one scenario is given, and how it says that it cannot be tried here.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

/// One run of one scenario: collects what was measured on the way.
pub struct Trial {
    started: Instant,
    figures: BTreeMap<String, String>,
}

/// The error of a scenario that cannot be tried on this kernel. A skip always
/// has a reason.
#[derive(Debug)]
pub struct Skipped(pub String);

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

impl Trial {
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            figures: BTreeMap::new(),
        }
    }

    /// Records something measured. Figures are printed, never asserted: the
    /// guests are emulated and slow in ways that are not lpwatch's.
    pub fn figure(&mut self, name: &str, value: impl fmt::Display) {
        let value = value.to_string();
        self.say(&format!("{name} = {value}"));
        self.figures.insert(name.to_owned(), value);
    }

    /// Tells a person at the console what is being done.
    pub fn say(&self, what: &str) {
        eprintln!("    {:6.1}s {what}", self.seconds());
    }

    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    pub fn into_figures(self) -> BTreeMap<String, String> {
        self.figures
    }
}
