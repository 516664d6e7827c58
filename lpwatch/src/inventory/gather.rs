//! Collects everything that is known about the patches on a host.

use jiff::Timestamp;

use crate::{
    engine::{self, LoadedPatch},
    error::Error,
    kernel::{
        Roots,
        host::Host,
        installed::{self, Installed, InstalledState},
    },
    model::{
        EngineKind,
        inventory::{
            DiskState, Inventory, InventoryFunction, InventoryObject, InventoryPatch, OnDisk,
            PatchRefusal, SCHEMA_VERSION, Standing, Vendor, decide,
        },
    },
};

use super::{log::AppliedTimes, parts, tools};

/// What to read in addition to the patches.
#[derive(Clone, Copy, Debug)]
pub struct InventoryRequest {
    pub cves: bool,
    /// Vendors' tools may be run.
    pub tools: bool,
}

/// Reads the inventory.
///
/// # Errors
/// Nothing could be read, or this kernel has no patching system and nothing is
/// installed for one.
pub fn gather(roots: &Roots, wanted: InventoryRequest) -> Result<Inventory, Error> {
    let Host { node, release } = Host::of(roots);
    let systems = engine::read_systems(roots)?;
    let installed = installed::read(roots, &release);
    if systems.present.is_empty() && installed.files.is_empty() {
        return Err(Error::NoLivepatch(format!(
            "This kernel ({release}) has none of the patching systems that lpwatch supports: {} does \
             not exist, and neither do the folders of the other systems.",
            roots.sysfs.join("kernel/livepatch").display()
        )));
    }
    let mut notes = systems.notes.clone();
    for system in &systems.present {
        notes.extend(system.notes.iter().cloned());
    }
    notes.extend(installed.notes.iter().cloned());
    let applied = AppliedTimes::read(roots, &mut notes);
    let from = From {
        roots,
        release: &release,
        installed: &installed,
        applied: &applied,
    };
    let mut patches: Vec<_> = systems.patches().map(|patch| from.patch(patch)).collect();
    decide(&mut patches);
    let told = tools::ask(roots, &systems, wanted.tools, &mut notes);
    Ok(Inventory {
        schema_version: SCHEMA_VERSION,
        host: node,
        taken_at: Timestamp::now(),
        effective_kernel: told.effective_kernel,
        kernelcare: told.kernelcare,
        systems: systems.present.iter().map(parts::system).collect(),
        cves: wanted.cves.then(|| parts::cves(&systems)),
        patches,
        not_loaded: parts::not_loaded(&installed, &release),
        notes,
        kernel: release,
    })
}

struct From<'a> {
    roots: &'a Roots,
    release: &'a str,
    installed: &'a Installed,
    applied: &'a AppliedTimes,
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
        // The location of the patches of Canonical's client is not published.
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
