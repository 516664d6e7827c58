//! The rules: valid, as promtool sees it, tested by it, and each alert with a page.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::checks::{Checks, Figures};
use super::deployed;
use crate::setup::prometheus::Prometheus as Tools;
use crate::{paths, process};

/// Checks the files in `deploy/prometheus` by themselves.
pub fn run(tools: &Tools, checks: &mut Checks) {
    checks.check("promtool_check_rules", |figures| check(tools, figures));
    checks.check("promtool_test_rules", |figures| test(tools, figures));
    checks.check("runbooks", runbooks);
}

fn check(tools: &Tools, figures: &mut Figures) -> Result<()> {
    let rules = files(".rules.yml")?;
    process::run(
        Command::new(&tools.promtool)
            .args(["check", "rules"])
            .args(&rules),
    )?;
    let example = deployed("prometheus").join("prometheus.example.yml");
    process::run(
        Command::new(&tools.promtool)
            .args(["check", "config"])
            .arg(example),
    )?;
    figures.add("files", rules.len() + 1);
    Ok(())
}

fn test(tools: &Tools, figures: &mut Figures) -> Result<()> {
    let tests = files(".test.yml")?;
    process::run(
        Command::new(&tools.promtool)
            .args(["test", "rules"])
            .args(&tests),
    )?;
    figures.add("files", tests.len());
    Ok(())
}

/// Every alert has a page, and is named in the tests and in the list of alerts.
fn runbooks(figures: &mut Figures) -> Result<()> {
    let rules = fs::read_to_string(deployed("prometheus/lpwatch-alerts.rules.yml"))?;
    let alerts = alerts(&rules);
    let mut tests = String::new();
    for file in files(".test.yml")? {
        tests.push_str(&fs::read_to_string(file)?);
    }
    let folder = paths::workspace().join("docs/runbooks");
    let list = fs::read_to_string(folder.join("README.md"))?;
    for alert in &alerts {
        let page = format!("docs/runbooks/{alert}.md");
        if !paths::workspace().join(&page).is_file() || !rules.contains(&page) {
            bail!("{alert} has no page {page}, or does not lead there");
        }
        if !list.contains(&format!("[{alert}]({alert}.md)")) {
            bail!("{alert} is not in the list of docs/runbooks/README.md");
        }
        if !tests.contains(alert) {
            bail!("{alert} is in no test");
        }
    }
    let pages = fs::read_dir(folder)?.count();
    if alerts.is_empty() || pages != alerts.len() + 1 {
        bail!("{} alerts have {pages} pages with the list", alerts.len());
    }
    figures.add("alerts", alerts.len());
    Ok(())
}

fn alerts(rules: &str) -> Vec<&str> {
    rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect()
}

/// The files below `deploy/prometheus` whose names end like this.
fn files(ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in [deployed("prometheus"), deployed("prometheus/tests")] {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    if found.is_empty() {
        bail!("there are no files {ending} in deploy/prometheus");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_found_in_the_rules() {
        let rules =
            "  rules:\n      - record: a:b:c\n      - alert: LpwatchDown\n        expr: up\n";
        assert_eq!(alerts(rules), ["LpwatchDown"]);
    }

    #[test]
    fn there_are_rules_and_tests() {
        assert_eq!(files(".rules.yml").unwrap().len(), 2);
        assert!(files(".test.yml").unwrap().len() > 2);
    }
}
