//! The modules that the patch names or needs and that are not loaded.

use crate::{
    check::{CheckContext, facts::objects::ModuleFacts, rules::object_name},
    kernel::{
        modules::Presence,
        patch_file::{PatchFile, PatchedFunction},
    },
    model::{check::CheckFinding, snapshot::Severity},
};

use super::finding;

pub(super) fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    let CheckContext { facts, .. } = context;
    let objects = &facts.objects;
    let mut found = Vec::new();
    let named = objects.modules.iter();
    // The rule about names speaks of the others.
    let named = named.filter(|(name, module)| !object_name::is_wrong(name, module));
    for (name, module) in named {
        let functions = context
            .patch
            .objects
            .iter()
            .filter(|object| object.name == *name);
        let count = functions.map(|object| object.functions.len()).sum();
        match module.presence {
            Some(Presence::Loaded) => {}
            Some(Presence::NotLoaded) => {
                let unfit = unfit(context.patch, name, module);
                found.push(unfit.unwrap_or_else(|| absent(name, module, count)));
            }
            Some(Presence::BuiltIn) => found.push(built_in(name)),
            None => found.push(not_known(name)),
        }
    }
    let needed = objects.needed.iter();
    let missing = needed.filter(|(_, presence)| **presence == Some(Presence::NotLoaded));
    if !context.is_loaded {
        found.extend(missing.map(|(name, _)| needed_first(name)));
    }
    found
}

/// The patch is accepted, but the module, as it is on disk, could not be loaded any
/// more.
fn unfit(patch: &PatchFile, name: &str, module: &ModuleFacts) -> Option<CheckFinding> {
    let (counts, file) = module.in_file.as_ref().zip(module.preferred.as_ref())?;
    let objects = patch.objects.iter().filter(|object| object.name == name);
    let functions = objects.flat_map(|object| &object.functions);
    let wrong = functions.filter_map(|function| {
        let PatchedFunction { name, sympos, .. } = function;
        let count = *counts.get(name)?;
        match (count, *sympos) {
            (0, _) => Some(format!("it has no {name}")),
            (2.., 0) => Some(format!(
                "it has {count} symbols {name}, and the patch does not say which"
            )),
            (count, sympos) if sympos > count => Some(format!(
                "it has {count} of {name}, and the patch means number {sympos}"
            )),
            _ => None,
        }
    });
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() {
        return None;
    }
    let text = format!(
        "{name} is not loaded, and its file does not have the functions to be patched. The kernel accepts the patch, and then refuses to load {name} (EINVAL)."
    );
    let file = format!("modprobe would load {}", file.display());
    Some(CheckFinding {
        evidence: [file].into_iter().chain(wrong).collect(),
        remedy: vec![format!(
            "Use the patch that is built for the {name} on disk, or load {name} before the patch and check again."
        )],
        ..finding(Severity::Danger, text, None)
    })
}

fn absent(name: &str, module: &ModuleFacts, functions: usize) -> CheckFinding {
    let of_it = match functions {
        0 => "it is patched".to_owned(),
        1 => "its function is patched".to_owned(),
        functions => format!("its {functions} functions are patched"),
    };
    let foreign = module
        .preferred
        .as_ref()
        .zip(module.in_tree.as_ref())
        .filter(|(preferred, in_tree)| **preferred != in_tree.path);
    if let Some((preferred, in_tree)) = foreign {
        let text = format!(
            "{name} is not loaded. modprobe would load an out-of-tree file, but the patch was most likely made for the in-tree module."
        );
        return CheckFinding {
            evidence: vec![
                format!("modprobe would load {}", preferred.display()),
                format!("the in-tree file is {}", in_tree.path.display()),
            ],
            remedy: vec![format!("Ask the patch's vendor which {name} it is for.")],
            ..finding(Severity::Warning, text, None)
        };
    }
    let text =
        format!("{name} is not loaded: {of_it} when it loads. Its functions could not be checked.");
    let mut evidence = vec![format!("/sys/module/{name} does not exist")];
    if module.disk_known && module.preferred.is_none() {
        evidence.push(format!("this kernel's modules have no {name}"));
    }
    CheckFinding {
        evidence,
        remedy: vec!["If patching fails then, the kernel refuses to load the module.".to_owned()],
        ..finding(Severity::Note, text, None)
    }
}

fn built_in(name: &str) -> CheckFinding {
    let text = format!(
        "{name} is built into this kernel: the patch's changes to it would never take effect."
    );
    CheckFinding {
        evidence: vec![format!(
            "{name} is not a module here, but the patch names it as one"
        )],
        remedy: vec![
            "Use a patch that is built for this kernel, where these functions belong to vmlinux."
                .to_owned(),
        ],
        ..finding(Severity::Danger, text, None)
    }
}

fn not_known(name: &str) -> CheckFinding {
    let text = format!("It is unknown whether {name} is loaded.");
    CheckFinding {
        evidence: vec!["/sys/module does not exist".to_owned()],
        ..finding(Severity::Warning, text, None)
    }
}

fn needed_first(name: &str) -> CheckFinding {
    let text = format!("The patch needs {name}, which is not loaded: insmod would fail (ENOENT).");
    CheckFinding {
        evidence: vec![format!("its .modinfo has {name} in depends")],
        remedy: vec![format!("Load it first: modprobe {name}")],
        ..finding(Severity::Warning, text, None)
    }
}
