//! The modules that are loaded, against the builds the patch may be made for.

use crate::{
    check::{
        Ground,
        facts::objects::{ModuleFacts, ModuleFile},
    },
    kernel::modules::{Build, Likeness, Presence},
    model::{check::CheckFinding, snapshot::Severity},
};

use super::finding;

pub(super) fn judge(ground: &Ground<'_>) -> Vec<CheckFinding> {
    let modules = ground.facts.objects.modules.iter();
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

/// There is a file of the kernel's own tree: it is what patches are made for.
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
                "The patch was most likely made for the in-tree {name}.ko, and an out-of-tree one is loaded."
            ),
        ),
        Likeness::Same => return None,
        Likeness::Different => (
            Severity::Danger,
            format!(
                "The {name} that is loaded is not the one of this kernel, for which the patch was most likely made."
            ),
        ),
        Likeness::Rebuilt => (
            Severity::Warning,
            format!(
                "The {name} that is loaded is another build of the same sources: its code may differ from what the patch was made for."
            ),
        ),
        Likeness::NotKnown => (
            Severity::Note,
            format!("Whether the {name} that is loaded is the one of this kernel is not known."),
        ),
    };
    let mut evidence = evidence(name, facts, Some(file));
    let mut remedy = Vec::new();
    if severity > Severity::Note {
        remedy.push(ask(name));
    }
    if likeness == Likeness::Same {
        // Someone put it where the kernel's own was.
        evidence.push("both are the same build: the file is not the kernel's own".to_owned());
    } else if severity > Severity::Note {
        remedy.push(format!(
            "If it is for the in-tree one, load that first: modprobe -r {name}; insmod {}",
            file.path.display()
        ));
    }
    Some(CheckFinding {
        evidence,
        remedy,
        ..finding(severity, text, None)
    })
}

/// The kernel has no such module of its own: the patch is for another's.
fn alone(name: &str, facts: &ModuleFacts, out_of_tree: bool) -> Option<CheckFinding> {
    if !out_of_tree && facts.preferred.is_some() {
        return None;
    }
    let text = format!(
        "{name} is no module of this kernel's own tree: whether the patch is for this build of it is not known."
    );
    Some(CheckFinding {
        evidence: evidence(name, facts, None),
        remedy: vec![ask(name)],
        ..finding(Severity::Note, text, None)
    })
}

/// The kernel's own files are not there to compare with.
fn not_known(name: &str, facts: &ModuleFacts, out_of_tree: bool) -> CheckFinding {
    let mut evidence = evidence(name, facts, None);
    evidence.push("no module files of this kernel were found to compare with".to_owned());
    let (severity, text) = if out_of_tree {
        let text = format!(
            "An out-of-tree {name} is loaded: if the patch was made for the in-tree one, it is wrong here."
        );
        (Severity::Warning, text)
    } else {
        let text =
            format!("Whether the patch was made for the {name} that is loaded is not known.");
        (Severity::Note, text)
    };
    CheckFinding {
        evidence,
        remedy: vec![ask(name)],
        ..finding(severity, text, None)
    }
}

fn ask(name: &str) -> String {
    format!("Ask those who built the patch which {name} it is for.")
}

fn evidence(name: &str, facts: &ModuleFacts, file: Option<&ModuleFile>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(taint) = facts.taint.as_ref().filter(|taint| !taint.is_empty()) {
        lines.push(format!("/sys/module/{name}/taint is {taint}"));
    }
    lines.extend(described(&facts.build).map(|build| format!("loaded: {build}")));
    if let Some(ModuleFile { path, build }) = file {
        let build = described(build).unwrap_or_else(|| "says nothing of its build".to_owned());
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
