//! The workspace's own tests, counted.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result};

use super::{lint, report::Report, summary::Count};
use crate::ui;

/// Runs `cargo test`: what its test programs add up to, and each test that failed.
pub fn run() -> Result<(Count, Vec<Report>)> {
    ui::note("running the unit tests");
    let mut child = lint::tests()?
        .arg("--no-fail-fast")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut count = Count::default();
    let mut failed = Vec::new();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line?;
            match parse_result(&line) {
                Some(more) => count += more,
                // Each passed test on its own would drown the rest.
                None if line.ends_with("... ok") || line.is_empty() => continue,
                None => failed.extend(failed_test(&line)),
            }
            eprintln!("{line}");
        }
    }
    let status = child.wait()?;
    if !status.success() && count.failed == 0 {
        // They do not compile, or a test program crashed.
        count.failed = 1;
    }
    Ok((count, failed))
}

/// `test model::tests::a_stall ... FAILED`
fn failed_test(line: &str) -> Option<Report> {
    let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
    Some(Report::missing(name, ""))
}

/// `test result: ok. 12 passed; 0 failed; 1 ignored; …`
fn parse_result(line: &str) -> Option<Count> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |of: &str| {
        numbers
            .split(';')
            .find_map(|part| part.trim().strip_suffix(of)?.trim().parse().ok())
    };
    Some(Count {
        passed: number("passed")?,
        failed: number("failed")?,
        skipped: number("ignored")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_are_read() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; \
                    finished in 0.01s";
        assert_eq!(
            parse_result(line),
            Some(Count {
                passed: 12,
                failed: 2,
                skipped: 1
            })
        );
        assert_eq!(parse_result("test a::b ... ok"), None);
    }

    #[test]
    fn a_failed_test_is_named() {
        let name = |line| failed_test(line).map(|report| report.scenario);
        assert_eq!(name("test a::b ... FAILED"), Some("a::b".to_owned()));
        assert_eq!(name("test a::b ... ok"), None);
        assert_eq!(name("test result: FAILED. 12 passed; 2 failed"), None);
    }
}
