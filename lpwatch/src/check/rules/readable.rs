//! Not all of the file could be read: what the other rules say may not be all.

use crate::{
    check::Ground,
    model::{check::CheckFinding, snapshot::Severity},
};

use super::{Rule, findings::bounded};

pub(super) const RULE: Rule = Rule {
    id: "readable",
    title: "all of the patch file could be read",
    background: "\
A livepatch module describes what it changes in structures of its data (klp_patch, klp_object, \
klp_func), and lpwatch reads them without loading the module. kpatch-build and klp-build describe \
it in sections of their own, and let the module's code build the structures. A module can also \
build them in code of its own, and then only loading it would show what it patches.

What could not be read is not known to be harmless: the verdict is a warning at least, and the \
other rules speak only of what was read.",
    sources: &[
        "include/linux/livepatch.h (5.10 to 7.3)",
        "Documentation/livepatch/livepatch.rst",
    ],
    judge,
};

fn judge(ground: &Ground<'_>) -> Vec<CheckFinding> {
    let patch = ground.patch;
    let functions = patch.objects.iter().flat_map(|object| &object.functions);
    let text = if functions.count() == 0 && patch.modinfo.livepatch {
        "No function to be patched was found in the file: what it would change is not known."
    } else if patch.unread.is_empty() {
        return Vec::new();
    } else {
        "Not all of the file could be read: it may change more than is said here."
    };
    // Callbacks can be all there is to a patch.
    let with_callbacks = patch
        .objects
        .iter()
        .filter(|object| !object.callbacks.is_empty());
    let callbacks = with_callbacks.map(|object| format!("it has callbacks for {}", object.name));
    let finding = CheckFinding {
        rule: RULE.id.to_owned(),
        severity: Severity::Warning,
        text: text.to_owned(),
        evidence: bounded(patch.unread.iter().cloned().chain(callbacks).collect()),
        remedy: vec![
            "Ask those who built it what it changes, or try it on a test host.".to_owned(),
        ],
        refusal: None,
    };
    vec![finding]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{facts::Facts, rules::samples};

    #[test]
    fn what_could_not_be_read_is_a_warning() {
        let facts = Facts::default();
        let mut patch = samples::patch(&["f"]);
        assert!(judge(&samples::ground(&patch, &facts)).is_empty());
        patch.unread = vec!["the functions of nfs: their list is odd".to_owned()];
        let found = judge(&samples::ground(&patch, &facts));
        assert_eq!(found[0].severity, Severity::Warning);
        assert_eq!(found[0].evidence, patch.unread);
    }

    #[test]
    fn a_patch_without_functions_is_a_warning() {
        let facts = Facts::default();
        let patch = samples::patch(&[]);
        let found = judge(&samples::ground(&patch, &facts));
        assert!(found[0].text.starts_with("No function"), "{found:?}");
    }
}
