//! The Ansible playbook of `deploy/recipes`, played by a real ansible-core on three hosts
//! made from a recorded tree: on one the patch completes, on one it stalls, and on one
//! the check finds a danger.

mod hosts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::Verdict;
use crate::dist::Made;
use crate::lock::Lock;
use crate::{paths, process, setup, ui};
use hosts::Hosts;

const REQUIREMENTS: &str = "tests/ansible/requirements.txt";
const PLAYBOOK: &str = "deploy/recipes/ansible/rollout.yml";

/// For the installation, and for the playbook, in seconds.
const INSTALLS_WITHIN: &str = "180";
const PLAYS_WITHIN: &str = "240";

/// What must be in the output, each for one host.
const SAID: [&str; 3] = [
    "lp_pre_patch_fails: not_proved (0 proved, 1 not proved)",
    "lp_pre_patch_fails is not enabled: stalled; these tasks were left: lpwatch_target",
    "Not loaded: The kernel would refuse it: lp_stall is in transition",
];

/// How each host must end: `failed` in Ansible's recap.
const RECAP: [(&str, &str); 3] = [
    ("completes", "failed=0"),
    ("stalls", "failed=1"),
    ("refused", "failed=1"),
];

/// Plays it, and looks at what it has done to the hosts.
pub fn playbook(made: &Made) -> Result<Verdict> {
    let ansible = ansible()?;
    let folder = tempfile::tempdir_in(paths::target("dist"))?;
    let hosts = Hosts::make(folder.path(), &made.program)?;
    let said = play(&ansible, &hosts)?;
    for text in SAID {
        ensure!(
            said.contains(text),
            "the playbook does not say {text:?}:\n{said}"
        );
    }
    for (host, ending) in RECAP {
        let line = said.lines().rfind(|line| line.starts_with(host));
        let is_so = line.is_some_and(|line| line.contains(ending));
        ensure!(is_so, "{host} does not end with {ending}:\n{said}");
    }
    hosts.are_as_they_should_be()?;
    let report = fs::read_to_string(hosts.reports().join("stalls.html"))
        .context("there is no report about the stall")?;
    ensure!(
        report.contains("lpwatch_target_main"),
        "the report does not say why: {report}"
    );
    Ok(Verdict::Passed(
        "one host completes, one is reversed with a report, one is left alone".to_owned(),
    ))
}

fn play(ansible: &Path, hosts: &Hosts) -> Result<String> {
    ui::note(format!("playing {PLAYBOOK}"));
    let _kernels = hosts.run_kernels();
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", PLAYS_WITHIN])
        .arg(ansible.join("bin/ansible-playbook"))
        .arg("--inventory")
        .arg(hosts.inventory())
        .args([
            "--extra-vars",
            r#"{"lpwatch_batches": "100%", "lpwatch_most_failed": 100}"#,
        ])
        .arg(paths::workspace().join(PLAYBOOK))
        // Whatever the machine is set to.
        .env("ANSIBLE_CONFIG", hosts.settings())
        .env("ANSIBLE_HOME", hosts.folder().join("ansible"))
        .env("ANSIBLE_NOCOLOR", "1")
        .env("ANSIBLE_FORKS", "3")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    let output = command.output().context("cannot start ansible-playbook")?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    // 2: a host failed.
    ensure!(
        output.status.code() == Some(2),
        "ansible-playbook ended with {}:\n{}",
        output.status,
        process::tail(&said, 60)
    );
    Ok(said)
}

/// An environment with ansible-core, below `target/`.
fn ansible() -> Result<PathBuf> {
    setup::for_recipes()?;
    let folder = paths::target("ansible");
    let _lock = Lock::acquire(&folder, "venv")?;
    let file = paths::workspace().join(REQUIREMENTS);
    let asked = fs::read_to_string(&file)?;
    let environment = folder.join("venv");
    // What was asked for is kept beside what came of it, once it is complete.
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == asked) {
        return Ok(environment);
    }
    let step = ui::Step::start("getting ansible-core");
    let mut venv = Command::new("python3");
    process::run(venv.args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new("timeout");
    pip.arg(INSTALLS_WITHIN)
        .arg(environment.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-compile", "--only-binary=:all:"])
        .args(["--timeout=15", "--retries=2", "--requirement"])
        .arg(&file);
    process::run(&mut pip).with_context(|| {
        format!(
            "ansible-core cannot be installed from {REQUIREMENTS} within {INSTALLS_WITHIN} s. \
             That takes a Python package index, so a network, and Python 3.11 or later"
        )
    })?;
    if !environment.join("bin/ansible-playbook").is_file() {
        bail!("pip says it is done, and ansible-playbook is not there");
    }
    fs::write(&stamp, asked)?;
    step.done("installed");
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned_and_no_index_named() {
        let text = fs::read_to_string(paths::workspace().join(REQUIREMENTS)).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.iter().any(|line| line.starts_with("ansible-core==")));
        assert!(lines.iter().all(|line| line.contains("==")), "{text}");
        assert!(!text.contains("://"), "an address");
    }

    #[test]
    fn the_sentences_are_about_the_patch_of_the_hosts() {
        assert!(SAID[..2].iter().all(|text| text.starts_with(hosts::PATCH)));
    }
}
