//! Everything that is known of the patches on a host, put into one list.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::{
    engine::{self, Consistency, EngineView, Knowledge, LoadedPatch, Systems},
    error::Error,
    kernel::{
        Roots,
        files::host_root,
        host::Host,
        installed::{self, Installed, InstalledFile, InstalledState},
        kernelcare::{self, KCARECTL},
        tool,
    },
    model::{
        EngineKind,
        inventory::{
            Cannot, Cve, DiskState, EffectiveKernel, Inventory, InventoryFunction, InventoryObject,
            InventoryPatch, NotLoaded, OnDisk, PatchRefusal, SCHEMA_VERSION, Standing, System,
            Vendor, decide,
        },
    },
};

use super::log::Applied;

/// Longer than this no vendor's tool is waited for.
const TOOL_LIMIT: Duration = Duration::from_secs(5);

/// Where Oracle's client lies, below the root.
const UPTRACK: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];

/// What is wanted besides the patches.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub cves: bool,
    /// Vendors' tools may be run.
    pub tools: bool,
}

/// Reads all of it.
///
/// # Errors
/// Nothing could be read, or this kernel has no patching system and nothing is
/// installed for one.
pub fn gather(roots: &Roots, wanted: Wanted) -> Result<Inventory, Error> {
    let Host { node, release } = Host::of(roots);
    let systems = engine::read_systems(roots)?;
    let installed = installed::read(roots, &release);
    if systems.present.is_empty() && installed.files.is_empty() {
        return Err(Error::NoLivepatch(format!(
            "This kernel ({release}) has none of the patching systems lpwatch knows: {} does not \
             exist, and neither do the folders of the others.",
            roots.sysfs.join("kernel/livepatch").display()
        )));
    }
    let mut notes = systems.notes.clone();
    for system in &systems.present {
        notes.extend(system.notes.iter().cloned());
    }
    notes.extend(installed.notes.iter().cloned());
    let applied = Applied::read(roots, &mut notes);
    let from = From {
        roots,
        release: &release,
        installed: &installed,
        applied: &applied,
    };
    let mut patches: Vec<_> = systems.patches().map(|patch| from.patch(patch)).collect();
    decide(&mut patches);
    Ok(Inventory {
        schema_version: SCHEMA_VERSION,
        host: node,
        taken_at: Timestamp::now(),
        effective_kernel: effective(roots, &systems, wanted, &mut notes),
        systems: systems.present.iter().map(system).collect(),
        cves: wanted.cves.then(|| cves(&systems)),
        patches,
        not_loaded: not_loaded(&installed, &release),
        notes,
        kernel: release,
    })
}

struct From<'a> {
    roots: &'a Roots,
    release: &'a str,
    installed: &'a Installed,
    applied: &'a Applied,
}

impl From<'_> {
    fn patch(&self, patch: &LoadedPatch) -> InventoryPatch {
        let view = &patch.view;
        let module = patch.module.as_ref().filter(|module| **module != view.name);
        let known_as = module.unwrap_or(&view.name);
        let vendor = Vendor::of(view.engine, known_as, self.release);
        InventoryPatch {
            name: view.name.clone(),
            engine: view.engine,
            module: module.cloned(),
            vendor,
            standing: standing(patch),
            direction: patch.direction,
            own_word: patch.state.clone(),
            since: self.applied.since(view.engine, &view.name),
            description: patch.description.clone(),
            refusal: patch.refusal.as_ref().map(|refusal| PatchRefusal {
                cause: refusal.cause.clone(),
                meaning: refusal.meaning.clone(),
            }),
            replace: view.replace,
            stack_order: view.stack_order,
            refs: patch.refs,
            objects: objects(patch),
            disk: self.disk(view.engine, known_as, vendor),
        }
    }

    fn disk(&self, engine: EngineKind, module: &str, vendor: Option<Vendor>) -> Option<OnDisk> {
        if !matches!(engine, EngineKind::Livepatch | EngineKind::Kpatch) {
            return None;
        }
        let mut files = self.installed.files.iter();
        let here = files.find_map(|file| {
            let state = match file.standing {
                InstalledState::Loaded => DiskState::Installed,
                InstalledState::OtherBuildLoaded => DiskState::InstalledOtherBuild,
                InstalledState::NotLoaded
                | InstalledState::WrongKernel
                | InstalledState::OtherKernel => return None,
            };
            (file.name == module).then(|| OnDisk {
                state,
                file: Some(file.file.display().to_string()),
            })
        });
        if here.is_some() {
            return here;
        }
        // Canonical's client keeps its patches where only it knows.
        if vendor == Some(Vendor::Canonical) {
            return None;
        }
        let distribution = installed::by_distribution(self.roots, self.release, module);
        let state = match distribution {
            Some(true) => DiskState::Installed,
            Some(false) => DiskState::LoadedNotInstalled,
            None if self.installed.kpatch => DiskState::LoadedNotInstalled,
            None => return None,
        };
        Some(OnDisk { state, file: None })
    }
}

fn standing(patch: &LoadedPatch) -> Standing {
    match (patch.view.in_transition, patch.view.enabled) {
        (true, _) => Standing::InTransition,
        (false, Some(true)) => Standing::Enabled,
        (false, _) if patch.refusal.is_some() => Standing::Refused,
        (false, Some(false)) => Standing::Disabled,
        (false, None) => Standing::NotKnown,
    }
}

fn objects(patch: &LoadedPatch) -> Vec<InventoryObject> {
    let address = |object: &str, name: &str, sympos: u32| {
        patch
            .addresses
            .iter()
            .find(|known| known.object == object && known.name == name && known.sympos == sympos)
    };
    let hexadecimal = |address: u64| format!("{address:#x}");
    let objects = patch.view.objects.iter();
    objects
        .map(|object| InventoryObject {
            name: object.name.clone(),
            patched: object.patched,
            functions: object
                .functions
                .iter()
                .map(|(name, sympos)| {
                    let known = address(&object.name, name, *sympos);
                    InventoryFunction {
                        name: name.clone(),
                        sympos: *sympos,
                        old_address: known.and_then(|known| known.old).map(hexadecimal),
                        new_address: known.and_then(|known| known.new).map(hexadecimal),
                        wins: None,
                        overridden_by: None,
                        not_decided: None,
                    }
                })
                .collect(),
        })
        .collect()
}

fn system(view: &EngineView) -> System {
    let Knowledge {
        consistency,
        progress,
        blockers,
        reasons,
        calls,
        check,
        wait,
        stop_time,
    } = engine::of(view.kind).knows();
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
        Some(Cannot {
            fact: fact.to_owned(),
            why: known.why()?.to_owned(),
        })
    });
    System {
        engine: view.kind,
        consistency: match consistency {
            Consistency::MachineStopped => "machine_stopped",
            Consistency::PerTask => "per_task",
            Consistency::PerTaskByStack => "per_task_by_stack",
            Consistency::NotKnown => "not_known",
        }
        .to_owned(),
        cannot: cannot.collect(),
    }
}

fn not_loaded(installed: &Installed, running: &str) -> Vec<NotLoaded> {
    let state = |file: &InstalledFile| {
        Some(match file.standing {
            InstalledState::Loaded | InstalledState::OtherBuildLoaded => return None,
            InstalledState::NotLoaded => DiskState::InstalledNotLoaded,
            InstalledState::WrongKernel => DiskState::InstalledWrongKernel,
            InstalledState::OtherKernel => DiskState::InstalledOtherKernel,
        })
    };
    let mut files: Vec<NotLoaded> = installed
        .files
        .iter()
        .filter_map(|file| {
            Some(NotLoaded {
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

fn effective(
    roots: &Roots,
    systems: &Systems,
    wanted: Wanted,
    notes: &mut Vec<String>,
) -> Option<EffectiveKernel> {
    let shown = systems.present.iter().find_map(|system| {
        let version = system.effective_kernel.clone()?;
        let told_by = "/proc/kcare/effective_version".to_owned();
        Some(EffectiveKernel { version, told_by })
    });
    if shown.is_some() || !wanted.tools || !roots.is_live() {
        return shown;
    }
    let root = host_root(roots)?;
    asked(&root.join(KCARECTL), "--uname", notes).or_else(|| {
        let tools: Vec<PathBuf> = UPTRACK
            .iter()
            .map(|folder| root.join(folder).join("uptrack-uname"))
            .collect();
        let tool = tools.iter().find(|tool| tool.exists())?;
        asked(tool, "-r", notes)
    })
}

fn asked(tool: &Path, argument: &str, notes: &mut Vec<String>) -> Option<EffectiveKernel> {
    if !tool.exists() {
        return None;
    }
    let told_by = format!("{} {argument}", tool.display());
    match tool::first_line(tool, &[argument], TOOL_LIMIT) {
        Ok(Some(version)) => Some(EffectiveKernel { version, told_by }),
        Ok(None) => {
            notes.push(format!(
                "{told_by} failed: the kernel in force is not known."
            ));
            None
        }
        Err(error) => {
            notes.push(format!("The kernel in force is not known: {error}."));
            None
        }
    }
}

/// CVEs by what the systems say, by descriptions and by names such as
/// `livepatch_CVE_2022_36946`.
fn cves(systems: &Systems) -> Vec<Cve> {
    let mut found = Vec::new();
    for system in &systems.present {
        let mut add = |id: String, patch: Option<&str>| {
            found.push(Cve {
                id,
                engine: system.kind,
                patch: patch.map(str::to_owned),
            });
        };
        for id in system.cves.iter().flatten() {
            add(id.clone(), None);
        }
        let in_force = |patch: &&LoadedPatch| patch.view.enabled == Some(true);
        for patch in system.patches.iter().filter(in_force) {
            let name = &patch.view.name;
            let told = format!(
                "{} {}",
                name.replace('_', "-")
                    .replace("livepatch-", " ")
                    .replace("kpatch-", " "),
                patch.description.as_deref().unwrap_or_default()
            );
            for id in kernelcare::cves(&told) {
                add(id, Some(name));
            }
        }
    }
    found.dedup();
    found
}
