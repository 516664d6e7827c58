//! What vendors' tools say: the kernel in force, and how `KernelCare` stands.
//!
//! They are run here alone, by `lpwatch patches`: never by `status` or the daemon.

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

/// Longer than this no vendor's tool is waited for.
const TOOL_LIMIT: Duration = Duration::from_secs(5);

/// Where Oracle's client lies, below the root.
const UPTRACK: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];

/// What is told.
pub struct Told {
    pub effective_kernel: Option<EffectiveKernel>,
    pub kernelcare: Option<KernelCareFacts>,
}

/// Takes what the systems show, and asks tools for the rest if they may be run.
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

/// A `kcarectl` that does not answer once is not asked again.
fn kernelcare(
    roots: &Roots,
    kcarectl: &mut Option<PathBuf>,
    notes: &mut Vec<String>,
) -> KernelCareFacts {
    // What cannot be read of it the engine has told.
    let KernelCareFiles {
        patch_method,
        auto_update,
        ..
    } = kernelcare::read(roots).ok().flatten().unwrap_or_default();
    let standing = kcarectl.clone().and_then(|tool| {
        let standing = standing(&tool, notes);
        if standing.is_err() {
            *kcarectl = None;
        }
        standing.ok().flatten()
    });
    KernelCareFacts {
        standing,
        patch_method,
        auto_update,
    }
}

/// `None` for an exit code that is not documented.
fn standing(tool: &Path, notes: &mut Vec<String>) -> Result<Option<KernelCareState>, ToolError> {
    let answer = tool::run(tool, &["--status"], TOOL_LIMIT).inspect_err(|error| {
        notes.push(format!("How KernelCare stands is not known: {error}."));
    })?;
    let known = answer.code.and_then(kernelcare::KcarectlStatus::of);
    if known.is_none() {
        let how = answer.code.map_or_else(
            || "was ended by a signal".to_owned(),
            |code| format!("ended with {code}, a code lpwatch does not know"),
        );
        notes.push(format!(
            "How KernelCare stands is not known: {} --status {how}.",
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
                "{source} failed: the kernel in force is not known."
            ));
            None
        }
        Err(error) => {
            notes.push(format!("The kernel in force is not known: {error}."));
            None
        }
    }
}
