//! Compares the loaded modules with the builds that the patch may be made for.

use crate::{
    check::{
        CheckContext,
        facts::objects::{ModuleFacts, ModuleFile},
    },
    kernel::modules::{Build, Likeness, Presence},
    model::{check::CheckFinding, snapshot::Severity},
};

use super::finding;

pub(super) fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    let modules = context.facts.objects.modules.iter();
    let loaded = modules.filter(|(_, facts)| facts.presence == Some(Presence::Loaded));
    loaded
        .filter_map(|(name, facts)| loaded_module(name, facts))
        .collect()
}

fn loaded_module(name: &str, facts: &ModuleFacts) -> Option<CheckFinding> {
    let out_of_tree = facts
        .taint
        .as_ref()
        .is_some_and(|taint| taint.contains('O'));
    match &facts.in_tree {
        Some(file) => against(name, facts, file, out_of_tree),
        None if facts.disk_known => alone(name, facts, out_of_tree),
        None => Some(not_known(name, facts, out_of_tree)),
    }
}

/// The in-tree file exists. Patches are normally made for it.
fn against(
    name: &str,
    facts: &ModuleFacts,
    file: &ModuleFile,
    out_of_tree: bool,
) -> Option<CheckFinding> {
    let likeness = facts.build.compare(&file.build);
    let (severity, text) = match likeness {
        _ if out_of_tree => (
            Severity::Danger,
            format!(
                "The patch was most likely made for the in-tree {name}.ko, but an out-of-tree one is loaded."
            ),
        ),
        Likeness::Same => return None,
        Likeness::Different => (
            Severity::Danger,
            format!(
                "The loaded {name} is not the module of this kernel, for which the patch was most likely made."
            ),
        ),
        Likeness::Rebuilt => (
            Severity::Warning,
            format!(
                "The loaded {name} is another build of the same source: its code may differ from the code that the patch was made for."
            ),
        ),
        Likeness::NotKnown => (
            Severity::Note,
            format!("It is unknown whether the loaded {name} is the module of this kernel."),
        ),
    };
    let mut evidence = evidence(name, facts, Some(file));
    let mut remedy = Vec::new();
    if severity > Severity::Note {
        remedy.push(ask(name));
    }
    if likeness == Likeness::Same {
        // Someone overwrote the kernel's own file.
        evidence.push("both are the same build: the file is not that of the kernel".to_owned());
    } else if severity > Severity::Note {
        remedy.push(format!(
            "If the patch is for the in-tree module, load that first: modprobe -r {name} && insmod {}",
            file.path.display()
        ));
    }
    Some(CheckFinding {
        evidence,
        remedy,
        ..finding(severity, text, None)
    })
}

/// The kernel has no in-tree module of this name.
fn alone(name: &str, facts: &ModuleFacts, out_of_tree: bool) -> Option<CheckFinding> {
    if !out_of_tree && facts.preferred.is_some() {
        return None;
    }
    let text = format!(
        "{name} is not an in-tree module. It is unknown whether the patch is for this build of it."
    );
    Some(CheckFinding {
        evidence: evidence(name, facts, None),
        remedy: vec![ask(name)],
        ..finding(Severity::Note, text, None)
    })
}

/// The kernel's own files are not available for comparison.
fn not_known(name: &str, facts: &ModuleFacts, out_of_tree: bool) -> CheckFinding {
    let mut evidence = evidence(name, facts, None);
    evidence.push("no module files of this kernel were found".to_owned());
    let (severity, text) = if out_of_tree {
        let text = format!(
            "An out-of-tree {name} is loaded. If the patch was made for the in-tree module, it does not fit."
        );
        (Severity::Warning, text)
    } else {
        let text = format!("It is unknown whether the patch was made for the loaded {name}.");
        (Severity::Note, text)
    };
    CheckFinding {
        evidence,
        remedy: vec![ask(name)],
        ..finding(severity, text, None)
    }
}

fn ask(name: &str) -> String {
    format!("Ask the patch's vendor which {name} it is for.")
}

fn evidence(name: &str, facts: &ModuleFacts, file: Option<&ModuleFile>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(taint) = facts.taint.as_ref().filter(|taint| !taint.is_empty()) {
        lines.push(format!("/sys/module/{name}/taint is {taint}"));
    }
    lines.extend(described(&facts.build).map(|build| format!("loaded: {build}")));
    if let Some(ModuleFile { path, build }) = file {
        let build = described(build).unwrap_or_else(|| "has no build information".to_owned());
        lines.push(format!("{}: {build}", path.display()));
    }
    lines
}

fn described(build: &Build) -> Option<String> {
    let Build {
        srcversion,
        build_id,
    } = build;
    let srcversion = srcversion.as_ref().map(|text| format!("srcversion {text}"));
    let build_id = build_id.as_ref().map(|text| format!("build id {text}"));
    let parts: Vec<String> = srcversion.into_iter().chain(build_id).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
