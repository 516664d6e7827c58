//! Reads the effective kernel and the state of `KernelCare` from vendors' tools.
//!
//! Only `lpwatch patches` runs them, never `status` or the daemon.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{
    kernel::{
        Roots,
        files::host_root,
        kernelcare::{self, KCARECTL, KernelCareFiles},
        tool::{self, ToolError},
    },
    model::{
        EngineKind, SystemView,
        inventory::{EffectiveKernel, KernelCareFacts, KernelCareState},
    },
};

/// The longest wait for a vendor's tool.
const TOOL_LIMIT: Duration = Duration::from_secs(5);

/// The folders of Oracle's client.
const UPTRACK: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];

/// The results of the tools.
pub struct Told {
    pub effective_kernel: Option<EffectiveKernel>,
    pub kernelcare: Option<KernelCareFacts>,
}

/// Uses what the systems show, and runs the tools for the rest if that is allowed.
pub fn ask(roots: &Roots, systems: &SystemView, may_run: bool, notes: &mut Vec<String>) -> Told {
    let root = host_root(roots).filter(|_| may_run && roots.is_live());
    let kcarectl = root.as_ref().map(|root| root.join(KCARECTL));
    let mut kcarectl = kcarectl.filter(|tool| tool.exists());
    let has_kernelcare = systems.present.contains(&EngineKind::Kernelcare);
    let kernelcare = has_kernelcare.then(|| kernelcare(roots, &mut kcarectl, notes));
    let shown = systems.effective_kernel.clone();
    let shown = shown.map(|version| EffectiveKernel {
        version,
        source: "/proc/kcare/effective_version".to_owned(),
    });
    let by_kcarectl = |notes: &mut Vec<String>| asked(kcarectl.as_deref()?, "--uname", notes);
    let by_uptrack = |notes: &mut Vec<String>| {
        let root = root.as_ref()?;
        let tools: Vec<PathBuf> = UPTRACK
            .iter()
            .map(|folder| root.join(folder).join("uptrack-uname"))
            .collect();
        asked(tools.iter().find(|tool| tool.exists())?, "-r", notes)
    };
    let effective_kernel = shown
        .or_else(|| by_kcarectl(notes))
        .or_else(|| by_uptrack(notes));
    Told {
        effective_kernel,
        kernelcare,
    }
}

/// If `kcarectl` does not answer once, it is not run again.
fn kernelcare(
    roots: &Roots,
    kcarectl: &mut Option<PathBuf>,
    notes: &mut Vec<String>,
) -> KernelCareFacts {
    // The engine has reported what cannot be read.
    let KernelCareFiles {
        patch_method,
        auto_update,
        ..
    } = kernelcare::read(roots).ok().flatten().unwrap_or_default();
    let state = kcarectl.clone().and_then(|tool| {
        let state = state(&tool, notes);
        if state.is_err() {
            *kcarectl = None;
        }
        state.ok().flatten()
    });
    KernelCareFacts {
        state,
        patch_method,
        auto_update,
    }
}

/// `None` for an undocumented exit code.
fn state(tool: &Path, notes: &mut Vec<String>) -> Result<Option<KernelCareState>, ToolError> {
    let answer = tool::run(tool, &["--status"], TOOL_LIMIT).inspect_err(|error| {
        notes.push(format!("The state of KernelCare is unknown: {error}."));
    })?;
    let known = answer.code.and_then(kernelcare::KcarectlStatus::of);
    if known.is_none() {
        let how = answer.code.map_or_else(
            || "was ended by a signal".to_owned(),
            |code| format!("ended with the unknown code {code}"),
        );
        notes.push(format!(
            "The state of KernelCare is unknown: {} --status {how}.",
            tool.display()
        ));
    }
    Ok(known.map(|standing| match standing {
        kernelcare::KcarectlStatus::Latest => KernelCareState::Latest,
        kernelcare::KcarectlStatus::NothingApplied => KernelCareState::NothingApplied,
        kernelcare::KcarectlStatus::NewerWait => KernelCareState::NewerWait,
        kernelcare::KcarectlStatus::Unsupported => KernelCareState::Unsupported,
    }))
}

fn asked(tool: &Path, argument: &str, notes: &mut Vec<String>) -> Option<EffectiveKernel> {
    let source = format!("{} {argument}", tool.display());
    match tool::first_line(tool, &[argument], TOOL_LIMIT) {
        Ok(Some(version)) => Some(EffectiveKernel { version, source }),
        Ok(None) => {
            notes.push(format!(
                "{source} failed, so the effective kernel is unknown."
            ));
            None
        }
        Err(error) => {
            notes.push(format!("The effective kernel is unknown: {error}."));
            None
        }
    }
}
