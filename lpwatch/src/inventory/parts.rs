//! The inventory without its patches: the systems, the fixed CVEs, and the patch
//! files on disk.

use crate::{
    engine::{self, Knowledge},
    kernel::{
        installed::{Installed, InstalledFile, InstalledState},
        kernelcare,
    },
    model::{
        EngineKind, PatchView, SystemView,
        inventory::{Cve, DiskState, Limitation, System, UnloadedPatch, Vendor},
    },
};

pub fn system(kind: EngineKind) -> System {
    let Knowledge {
        consistency,
        progress,
        blockers,
        reasons,
        calls,
        check,
        wait,
        stop_time,
    } = engine::of(kind).knows();
    let facts = [
        ("progress", progress),
        ("blockers", blockers),
        ("reasons", reasons),
        ("calls", calls),
        ("check", check),
        ("wait", wait),
        ("stop_time", stop_time),
    ];
    let cannot = facts.into_iter().filter_map(|(fact, known)| {
        Some(Limitation {
            fact: fact.to_owned(),
            why: known.why()?.to_owned(),
        })
    });
    System {
        engine: kind,
        consistency: consistency.to_string(),
        cannot: cannot.collect(),
    }
}

pub fn not_loaded(installed: &Installed, running: &str) -> Vec<UnloadedPatch> {
    let state = |file: &InstalledFile| {
        Some(match file.standing {
            InstalledState::Loaded | InstalledState::OtherBuildLoaded => return None,
            InstalledState::NotLoaded => DiskState::InstalledNotLoaded,
            InstalledState::WrongKernel => DiskState::InstalledWrongKernel,
            InstalledState::OtherKernel => DiskState::InstalledOtherKernel,
        })
    };
    let mut files: Vec<UnloadedPatch> = installed
        .files
        .iter()
        .filter_map(|file| {
            Some(UnloadedPatch {
                name: file.name.clone(),
                file: file.file.display().to_string(),
                kernel: file.release.clone(),
                built_for: file.built_for.clone(),
                vendor: Vendor::of(EngineKind::Livepatch, &file.name, &file.release),
                state: state(file)?,
            })
        })
        .collect();
    files.sort_by_key(|file| file.kernel != running);
    files
}

/// The CVEs that the systems report, and those in descriptions and in names such
/// as `livepatch_CVE_2022_36946`.
pub fn cves(systems: &SystemView) -> Vec<Cve> {
    let mut found = Vec::new();
    for &engine in &systems.present {
        let mut add = |id: String, patch: Option<&str>| {
            found.push(Cve {
                id,
                engine,
                patch: patch.map(str::to_owned),
            });
        };
        for (_, id) in systems.cves.iter().filter(|(by, _)| *by == engine) {
            add(id.clone(), None);
        }
        let in_force = |patch: &&PatchView| patch.engine == engine && patch.enabled == Some(true);
        for patch in systems.patches.iter().filter(in_force) {
            let name = &patch.name;
            let text = format!(
                "{} {}",
                name.replace('_', "-")
                    .replace("livepatch-", " ")
                    .replace("kpatch-", " "),
                patch.details.description.as_deref().unwrap_or_default()
            );
            for id in kernelcare::cves(&text) {
                add(id, Some(name));
            }
        }
    }
    found.dedup();
    found
}
