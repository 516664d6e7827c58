//! `lpwatch patches`: each patch with its functions, then the files on disk.

mod functions;
#[cfg(test)]
mod tests;

use super::page::{Page, Paint, painted, plain};
use super::style::Style;
use super::{refused, words};
use crate::model::inventory::{
    DiskState, Inventory, InventoryPatch, KernelCareState, PatchStatus, UnloadedPatch, Vendor,
};
use crate::model::{Direction, EngineKind};

/// The inventory as a table.
#[must_use]
pub fn patches(inventory: &Inventory, style: &Style) -> String {
    let mut page = Page::new(style);
    if inventory.patches.is_empty() {
        page.paragraph(0, &[plain("No live patch is loaded.")]);
    }
    for patch in &inventory.patches {
        page.blank();
        self::patch(&mut page, patch, inventory);
    }
    kernelcare(&mut page, inventory);
    on_disk(&mut page, inventory);
    cves(&mut page, inventory);
    for note in &inventory.notes {
        page.blank();
        let note = [plain(style.text(note))];
        page.line(&[painted(Paint::Yellow, "Note: ")], &note);
    }
    origin(&mut page, inventory);
    page.finish()
}

/// `kpatch_a  enabled, kpatch, Red Hat, since 12:03:04 UTC`
fn patch(page: &mut Page<'_>, patch: &InventoryPatch, inventory: &Inventory) {
    let style = page.style;
    let direction = patch.transition.as_ref().map(|one| one.direction);
    let (word, paint) = match (patch.state, direction) {
        (PatchStatus::Enabled, _) => ("enabled", Paint::Green),
        (PatchStatus::Disabled, _) => ("disabled", Paint::Dim),
        (PatchStatus::InTransition, Some(Direction::Unpatching)) => {
            ("being removed", Paint::Yellow)
        }
        (PatchStatus::InTransition, _) => ("being applied", Paint::Yellow),
        (PatchStatus::Refused, _) => ("refused", Paint::Red),
        (PatchStatus::NotKnown, _) => (words::STATE_UNKNOWN, Paint::Yellow),
    };
    let mut details = vec![engine(patch.engine).to_owned()];
    let vendor = patch.vendor.map(Vendor::name);
    details.extend(
        vendor
            .filter(|vendor| *vendor != engine(patch.engine))
            .map(str::to_owned),
    );
    if patch.replace == Some(true) {
        details.push("replaces all earlier patches".to_owned());
    }
    details.extend(patch.applied_at.map(|since| {
        words::no_break(&format!(
            "since {} UTC",
            words::clock(since, inventory.head.taken_at)
        ))
    }));
    let module = patch.module.as_ref();
    details.extend(module.map(|module| format!("module {}", style.text(module))));
    page.headline(
        &[painted(
            Paint::Bold,
            format!("{}  ", style.text(&patch.name)),
        )],
        &[
            painted(paint, word),
            plain(format!(", {}", details.join(", "))),
        ],
    );
    if let Some(description) = &patch.description {
        page.paragraph(2, &[plain(style.text(description))]);
    }
    if let Some(refusal) = &patch.refusal {
        refused::patch(page, refusal);
    }
    functions::functions(page, patch);
    if let Some(disk) = &patch.disk
        && let Some(words) = disk_remark(disk.state)
    {
        page.item(2, &[painted(Paint::Yellow, words)]);
    }
}

/// A remark about the patch's file; none if the loaded patch is installed.
fn disk_remark(state: DiskState) -> Option<&'static str> {
    match state {
        DiskState::Installed => None,
        DiskState::InstalledOtherBuild => {
            Some("Another build is installed. After a reboot that build is loaded.")
        }
        DiskState::LoadedNotInstalled => {
            Some("Loaded, but not installed: after a reboot it is gone.")
        }
        DiskState::InstalledNotLoaded => Some("installed, not loaded"),
        DiskState::InstalledWrongKernel => {
            Some("installed for this kernel, built for another: it cannot be loaded")
        }
        DiskState::InstalledOtherKernel => Some("installed for another kernel"),
    }
}

fn kernelcare(page: &mut Page<'_>, inventory: &Inventory) {
    let facts = inventory.kernelcare.as_ref();
    let Some(standing) = facts.and_then(|facts| facts.state) else {
        return;
    };
    let (words, paint) = match standing {
        KernelCareState::Latest => ("the latest patches are applied", Paint::Green),
        KernelCareState::NothingApplied => ("no patch is applied", Paint::Yellow),
        KernelCareState::NewerWait => ("newer patches are available", Paint::Yellow),
        KernelCareState::Unsupported => ("no patches exist for this kernel", Paint::Yellow),
    };
    page.blank();
    page.paragraph(
        0,
        &[plain("KernelCare: "), painted(paint, words), plain(".")],
    );
}

fn on_disk(page: &mut Page<'_>, inventory: &Inventory) {
    if inventory.not_loaded.is_empty() {
        return;
    }
    page.blank();
    page.paragraph(0, &[painted(Paint::Bold, "On disk, not loaded")]);
    let style = page.style;
    for file in &inventory.not_loaded {
        let UnloadedPatch {
            name,
            file: _,
            kernel,
            built_for,
            vendor,
            state,
        } = file;
        let words = disk_remark(*state).unwrap_or_default();
        let kernel = match state {
            DiskState::InstalledOtherKernel => format!(", {}", style.text(kernel)),
            DiskState::InstalledWrongKernel => {
                let built = built_for.as_deref().unwrap_or("unknown kernel");
                format!(" ({})", style.text(built))
            }
            DiskState::Installed
            | DiskState::InstalledOtherBuild
            | DiskState::LoadedNotInstalled
            | DiskState::InstalledNotLoaded => String::new(),
        };
        let vendor = vendor.map(|vendor| format!(", {}", vendor.name()));
        let paint = match state {
            DiskState::InstalledNotLoaded | DiskState::InstalledWrongKernel => Paint::Yellow,
            _ => Paint::Plain,
        };
        page.headline(
            &[plain(format!("  {}  ", style.text(name)))],
            &[
                painted(paint, words),
                plain(kernel),
                plain(vendor.unwrap_or_default()),
            ],
        );
    }
}

fn cves(page: &mut Page<'_>, inventory: &Inventory) {
    let Some(cves) = &inventory.cves else {
        return;
    };
    page.blank();
    if cves.is_empty() {
        page.paragraph(
            0,
            &[plain("No patching system reports which CVEs are fixed.")],
        );
        return;
    }
    let head = format!("{} fixed", words::counted(cves.len(), "CVE"));
    page.paragraph(0, &[painted(Paint::Bold, head)]);
    let style = page.style;
    for cve in cves {
        let by = match &cve.patch {
            Some(patch) => style.text(patch),
            None => engine(cve.engine).to_owned(),
        };
        page.line(
            &[plain(format!("  {:<16}  ", style.text(&cve.id)))],
            &[plain(by)],
        );
    }
}

fn origin(page: &mut Page<'_>, inventory: &Inventory) {
    let style = page.style;
    page.blank();
    let effective = inventory.effective_kernel.as_ref().map(|effective| {
        format!(
            ", in force {} ({})",
            style.text(&effective.version),
            style.text(&effective.source)
        )
    });
    let kernel = style.text(&inventory.head.kernel) + &effective.unwrap_or_default();
    let systems: Vec<_> = inventory
        .systems
        .iter()
        .map(|system| engine(system.engine))
        .collect();
    let parts = [
        style.text(&inventory.head.host),
        kernel,
        format!("{} UTC", inventory.head.taken_at.strftime("%H:%M:%S")),
        systems.join(", "),
    ];
    let separator = format!(" {} ", style.separator());
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    page.paragraph(0, &[painted(Paint::Dim, parts.join(&separator))]);
}

/// The names that the engines use for themselves.
fn engine(engine: EngineKind) -> &'static str {
    words::engine(engine).unwrap_or("livepatch")
}
