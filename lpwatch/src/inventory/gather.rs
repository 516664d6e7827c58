//! Collects everything that is known about the patches on a host.

use jiff::Timestamp;

use crate::{
    engine,
    error::Error,
    kernel::{
        Roots,
        host::Host,
        installed::{self, Installed, InstalledState},
    },
    model::{
        EngineKind, FunctionAddress, ObjectView, PatchView, TransitionSummary,
        document::{DocumentHead, Source},
        inventory::{
            DiskState, Inventory, InventoryFunction, InventoryObject, InventoryPatch, OnDisk,
            PatchStatus, Vendor, decide,
        },
    },
};

use super::{log::LoggedPatches, parts, tools};

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
    let mut systems = engine::read_all(roots)?;
    let installed = installed::read(roots, &release);
    if systems.present.is_empty() && installed.files.is_empty() {
        return Err(Error::NoLivepatch(format!(
            "This kernel ({release}) has none of the patching systems that lpwatch supports: {} does \
             not exist, and neither do the folders of the other systems.",
            roots.sysfs.join("kernel/livepatch").display()
        )));
    }
    let mut notes = std::mem::take(&mut systems.notes);
    notes.extend(installed.notes.iter().cloned());
    let logged = LoggedPatches::read(roots, &mut notes);
    let from = From {
        roots,
        release: &release,
        installed: &installed,
        logged: &logged,
    };
    let told = tools::ask(roots, &systems, wanted.tools, &mut notes);
    let cves = wanted.cves.then(|| parts::cves(&systems));
    let patches = systems.patches.into_iter();
    let mut patches: Vec<_> = patches.map(|patch| from.patch(patch)).collect();
    decide(&mut patches);
    Ok(Inventory {
        head: DocumentHead::new(node, release.clone(), Timestamp::now(), Source::Sysfs),
        effective_kernel: told.effective_kernel,
        kernelcare: told.kernelcare,
        systems: systems.present.into_iter().map(parts::system).collect(),
        cves,
        patches,
        not_loaded: parts::not_loaded(&installed, &release),
        notes,
    })
}

struct From<'a> {
    roots: &'a Roots,
    release: &'a str,
    installed: &'a Installed,
    logged: &'a LoggedPatches,
}

impl From<'_> {
    fn patch(&self, patch: PatchView) -> InventoryPatch {
        let state = state(&patch);
        let direction = patch.in_transition.then(|| patch.direction());
        let PatchView {
            name,
            engine,
            replace,
            stack_order,
            objects,
            details,
            ..
        } = patch;
        let module = details.module.filter(|module| *module != name);
        let known_as = module.as_ref().unwrap_or(&name);
        let vendor = Vendor::of(engine, known_as, self.release);
        let object = |view| {
            let mut object = object(view, &details.addresses);
            let absent = engine == EngineKind::Livepatch && object.patched == Some(false);
            let refusal = absent.then(|| self.logged.refusal(&name, &object.name));
            object.refusal = refusal.flatten().cloned();
            object
        };
        InventoryPatch {
            disk: self.disk(engine, known_as, vendor),
            applied_at: self.logged.since(engine, &name),
            objects: objects.into_iter().map(object).collect(),
            name,
            engine,
            module,
            vendor,
            state,
            transition: direction.map(TransitionSummary::in_direction),
            engine_state: details.state,
            description: details.description,
            refusal: details.refusal,
            replace,
            stack_order,
            refs: details.refs,
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

fn state(patch: &PatchView) -> PatchStatus {
    match (patch.in_transition, patch.enabled) {
        (true, _) => PatchStatus::InTransition,
        (false, Some(true)) => PatchStatus::Enabled,
        (false, _) if patch.details.refusal.is_some() => PatchStatus::Refused,
        (false, Some(false)) => PatchStatus::Disabled,
        (false, None) => PatchStatus::NotKnown,
    }
}

fn object(view: ObjectView, addresses: &[FunctionAddress]) -> InventoryObject {
    let hexadecimal = |address: u64| format!("{address:#x}");
    let functions = view.functions.into_iter().map(|(name, sympos)| {
        let known = addresses.iter().find(|known| {
            known.object == view.name && known.name == name && known.sympos == sympos
        });
        InventoryFunction {
            name,
            sympos,
            old_address: known.and_then(|known| known.old).map(hexadecimal),
            new_address: known.and_then(|known| known.new).map(hexadecimal),
            wins: None,
            overridden_by: None,
            not_decided: None,
        }
    });
    InventoryObject {
        functions: functions.collect(),
        name: view.name,
        patched: view.patched,
        refusal: None,
    }
}
