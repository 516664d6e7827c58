//! Progress on stderr: a spinner on a terminal, plain lines anywhere else.
//!
//! stdout is left to what was asked for: the guest's output, the summary.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Steps shorter than this are not worth a line with their duration.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// One step of a longer run, shown while it lasts.
pub struct Step {
    what: String,
    started: Instant,
    spinner: Option<ProgressBar>,
}

impl Step {
    /// Shows that `what` has begun.
    pub fn start(what: impl Into<String>) -> Self {
        let what = what.into();
        let spinner = io::stderr().is_terminal().then(|| spinner(&what));
        if spinner.is_none() {
            eprintln!("xtask: {what}…");
        }
        Self {
            what,
            started: Instant::now(),
            spinner,
        }
    }

    /// Ends the step, leaving one line of what came out of it.
    pub fn done(self, result: impl AsRef<str>) {
        let took = self.started.elapsed();
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        let result = result.as_ref();
        if took >= WORTH_TELLING {
            eprintln!(
                "xtask: {}: {result} ({:.0} s)",
                self.what,
                took.as_secs_f64()
            );
        } else {
            eprintln!("xtask: {}: {result}", self.what);
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// One line of news.
pub fn note(line: impl AsRef<str>) {
    eprintln!("xtask: {}", line.as_ref());
}

fn spinner(what: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    let template = "{spinner} {wide_msg} {elapsed}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        spinner.set_style(style);
    }
    spinner.set_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}
