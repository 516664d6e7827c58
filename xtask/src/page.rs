//! The daemon's status page, tried in a real Chromium: `tests/page/run.mjs` does
//! the work, this gets it what it needs and reads what it says.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::lock::Lock;
use crate::setup;
use crate::{paths, process, ui};

/// What the browser test's packages are made from.
const SOURCES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// How many checks held, and how many did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    pub passed: usize,
    pub failed: usize,
}

/// Tries the page against a daemon of the test's own.
pub fn run() -> Result<Checked> {
    ui::note("trying the status page in Chromium");
    let mut command = node()?;
    command.env("LPWATCH_REPORT", report()?);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start node")?;
    let mut checked = Checked::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line?;
            checked.note(&line);
            eprintln!("{line}");
        }
    }
    let status = child.wait()?;
    if !status.success() && checked.failed == 0 {
        // It did not get as far as its first check.
        checked.failed = 1;
    }
    Ok(checked)
}

/// Gets what the test needs.
pub fn prepare() -> Result<()> {
    node().map(drop)
}

/// Has lpwatch write a report about a recorded host, to open it in the browser.
fn report() -> Result<PathBuf> {
    let file = paths::target("page").join("report.html");
    let tree = paths::workspace().join("tests/trees/6.12");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(paths::workspace())
        .args(["run", "--quiet", "--package", "lpwatch", "--", "report"])
        .arg("--sysfs-root")
        .arg(tree.join("sys"))
        .arg("--procfs-root")
        .arg(tree.join("proc"))
        .arg("--html")
        .arg(&file);
    process::run(&mut command).context("lpwatch writes no report")?;
    Ok(file)
}

/// Waits until the page of a real daemon says `expect`: `stalled`, `completed` or
/// `in_transition`. What it looks like then goes into `screenshot`.
pub fn against(url: &str, expect: &str, screenshot: Option<&Path>) -> Result<()> {
    let mut command = node()?;
    command.args(["--url", url, "--expect", expect]);
    if let Some(file) = screenshot {
        command.arg("--screenshot").arg(file);
    }
    let said = process::run(&mut command)?;
    eprint!("{said}");
    Ok(())
}

/// The test, ready to be run.
fn node() -> Result<Command> {
    setup::for_pages()?;
    let modules = packages()?;
    let chromium = process::which("chromium").context("chromium is not in PATH")?;
    let mut command = Command::new("node");
    command
        .arg(paths::workspace().join("tests/page/run.mjs"))
        .env("LPWATCH_CHROMIUM", chromium)
        .env("LPWATCH_PAGE_MODULES", modules);
    Ok(command)
}

/// The folder the test's npm packages are in, below `target/`: nothing is
/// installed into the source tree.
fn packages() -> Result<PathBuf> {
    let folder = paths::target("page");
    let _lock = Lock::acquire(&folder, "packages")?;
    let mut asked = String::new();
    for name in SOURCES {
        let path = paths::workspace().join("tests/page").join(name);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        fs::write(folder.join(name), &text)?;
        asked.push_str(&text);
    }
    // What was asked for is kept beside what came of it, once it is complete.
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == asked) {
        return Ok(folder);
    }
    let step = ui::Step::start("getting playwright-core and axe-core");
    process::run(Command::new("npm").arg("ci").current_dir(&folder))
        .context("npm cannot install what the browser test needs")?;
    if !folder.join("node_modules/playwright-core").is_dir() {
        bail!("npm says it is done, and playwright-core is not there");
    }
    fs::write(&stamp, asked)?;
    step.done("installed");
    Ok(folder)
}

impl Checked {
    /// Counts a line such as `ok    the keyboard reaches everything`.
    fn note(&mut self, line: &str) {
        match line.split_whitespace().next() {
            Some("ok") => self.passed += 1,
            Some("FAIL") => self.failed += 1,
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_lines_are_counted() {
        let mut checked = Checked::default();
        for line in [
            "Chromium 156.0",
            "ok    names stay names (2.0 s)",
            "FAIL  axe: Error",
            "    at run.mjs:3",
            "1 passed, 1 failed",
            "",
        ] {
            checked.note(line);
        }
        assert_eq!((checked.passed, checked.failed), (1, 1));
    }

    /// A registry's address in the lock file would bind everybody to it.
    #[test]
    fn the_lock_file_names_no_registry() {
        let folder = paths::workspace().join("tests/page");
        let lock = fs::read_to_string(folder.join("package-lock.json")).unwrap();
        assert!(lock.contains("\"integrity\""));
        assert!(!lock.contains("://"), "an address");
    }
}
