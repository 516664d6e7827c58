//! Hosts made from a recorded tree, with a command that loads the patch and a thread that
//! does what the kernel would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::{paths, process};

/// The patch that is loaded.
pub const PATCH: &str = "lp_pre_patch_fails";

/// A patch of `tests/modules`, for the kernel of the tree.
const FILE: &str = "tests/trees/modules/6.12-lp_pre_patch_fails.ko";
const TREE: &str = "tests/trees/6.12";

/// The patch that was in transition when the tree was recorded.
const RECORDED: &str = "lp_stall";

/// Puts the patch there, whole at once.
const LOADER: &str = r#"#!/bin/sh
cp -r "$1/loaded-later" "$1/loading" && mv "$1/loading" "$1/sys/kernel/livepatch/$2"
"#;

/// Until a transition of these hosts ends, and how often the thread looks.
const TRANSITION: Duration = Duration::from_millis(1500);
const TICK: Duration = Duration::from_millis(50);

/// The hosts, in a folder.
pub struct Hosts {
    folder: PathBuf,
}

/// Ends the thread when dropped.
pub struct Kernels {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Kernels {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only ends early by a panic, which it has reported.
            drop(thread.join());
        }
    }
}

impl Hosts {
    pub fn make(folder: &Path, lpwatch: &Path) -> Result<Self> {
        let hosts = Self {
            folder: folder.to_owned(),
        };
        for name in ["completes", "stalls", "refused"] {
            let tree = hosts.folder.join(name);
            copy(&paths::workspace().join(TREE), &tree)?;
            copy(&hosts.patch(name, RECORDED), &tree.join("loaded-later"))?;
            if name != "refused" {
                fs::remove_dir_all(hosts.patch(name, RECORDED))?;
            }
        }
        let file = hosts.folder.join(format!("{PATCH}.ko"));
        fs::copy(paths::workspace().join(FILE), file)?;
        fs::write(hosts.folder.join("load.sh"), LOADER)?;
        fs::write(hosts.settings(), "[defaults]\n")?;
        fs::create_dir(hosts.reports())?;
        let inventory = serde_json::to_string_pretty(&hosts.variables(lpwatch))?;
        fs::write(hosts.inventory(), inventory)?;
        Ok(hosts)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn inventory(&self) -> PathBuf {
        self.folder.join("hosts.json")
    }

    /// Ansible's settings: none.
    pub fn settings(&self) -> PathBuf {
        self.folder.join("ansible.cfg")
    }

    pub fn reports(&self) -> PathBuf {
        self.folder.join("reports")
    }

    fn patch(&self, host: &str, patch: &str) -> PathBuf {
        let patches = self.folder.join(host).join("sys/kernel/livepatch");
        patches.join(patch)
    }

    /// JSON is YAML.
    fn variables(&self, lpwatch: &Path) -> serde_json::Value {
        let tree = format!("{}/{{{{ inventory_hostname }}}}", self.folder.display());
        json!({"all": {
            "hosts": {"completes": {}, "stalls": {}, "refused": {}},
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                "lpwatch_patch_file": self.folder.join(format!("{PATCH}.ko")),
                "lpwatch_program": lpwatch,
                "lpwatch_options": [
                    "--sysfs-root", format!("{tree}/sys"),
                    "--procfs-root", format!("{tree}/proc"),
                ],
                "lpwatch_load": ["sh", self.folder.join("load.sh"), tree, PATCH],
                "lpwatch_sysfs": format!("{tree}/sys"),
                "lpwatch_stall_after": "3s",
                "lpwatch_limit": "1m",
                "lpwatch_limit_seconds": 90,
                "lpwatch_poll": 1,
                "lpwatch_calls_within": "1s",
                "lpwatch_reports": self.reports(),
            },
        }})
    }

    /// Lets transitions end until the value is dropped: on one host each, on the other
    /// only a reversed one.
    pub fn run_kernels(&self) -> Kernels {
        let stop = Arc::new(AtomicBool::new(false));
        let hosts = [
            (self.patch("completes", PATCH), "1"),
            (self.patch("stalls", PATCH), "0"),
        ];
        let asked = stop.clone();
        let thread = thread::spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                for (patch, ends_if_enabled_is) in &hosts {
                    let is = |file: &str, value: &str| {
                        fs::read_to_string(patch.join(file)).is_ok_and(|text| text.trim() == value)
                    };
                    if is("transition", "1") && is("enabled", ends_if_enabled_is) {
                        thread::sleep(TRANSITION);
                        if let Err(error) = fs::write(patch.join("transition"), "0\n") {
                            eprintln!("dist: {}: {error}", patch.display());
                        }
                    }
                }
            }
        });
        Kernels {
            stop,
            thread: Some(thread),
        }
    }

    /// What the playbook must have left.
    pub fn are_as_they_should_be(&self) -> Result<()> {
        for (host, enabled) in [("completes", "1"), ("stalls", "0")] {
            let file = self.patch(host, PATCH).join("enabled");
            let is = fs::read_to_string(&file)
                .with_context(|| format!("{host}: the patch was not loaded"))?;
            ensure!(is.trim() == enabled, "{host}: enabled is {is:?}");
        }
        ensure!(
            !self.patch("refused", PATCH).exists(),
            "refused: the patch was loaded in spite of the check"
        );
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    process::run(Command::new("cp").arg("-r").args([from, to]))?;
    Ok(())
}
