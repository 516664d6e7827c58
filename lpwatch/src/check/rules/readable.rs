//! Whether the whole file could be read. If not, the other rules may miss something.

use crate::{
    check::CheckContext,
    model::{check::CheckFinding, snapshot::Severity},
};

use super::{Rule, findings::bounded};

pub(super) const RULE: Rule = Rule {
    id: "readable",
    title: "the whole patch file could be read",
    background: "\
A livepatch module describes its changes in data structures (klp_patch, klp_object, klp_func), and \
lpwatch reads them without loading the module. kpatch-build and klp-build describe the changes in \
sections of their own, from which the module's code builds the structures. A module can also build \
them in its own code. Its changes are then visible only after loading.

The part that could not be read may be harmful. The verdict is therefore at least a warning, and the \
other rules apply only to the part that was read.",
    sources: &[
        "include/linux/livepatch.h (5.10 to 7.3)",
        "Documentation/livepatch/livepatch.rst",
    ],
    judge,
};

fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    let patch = context.patch;
    let functions = patch.objects.iter().flat_map(|object| &object.functions);
    let text = if functions.count() == 0 && patch.modinfo.livepatch {
        "No function to be patched was found in the file: its changes are unknown."
    } else if patch.unread.is_empty() {
        return Vec::new();
    } else {
        "Part of the file could not be read: the patch may change more than is reported here."
    };
    // A patch can consist of callbacks only.
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
            "Ask the patch's vendor what it changes, or try it on a test host.".to_owned(),
        ],
        refusal: None,
    };
    vec![finding]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{facts::CheckFacts, rules::samples};

    #[test]
    fn what_could_not_be_read_is_a_warning() {
        let facts = CheckFacts::default();
        let mut patch = samples::patch(&["f"]);
        assert!(judge(&samples::context(&patch, &facts)).is_empty());
        patch.unread = vec!["the functions of nfs: their list is odd".to_owned()];
        let found = judge(&samples::context(&patch, &facts));
        assert_eq!(found[0].severity, Severity::Warning);
        assert_eq!(found[0].evidence, patch.unread);
    }

    #[test]
    fn a_patch_without_functions_is_a_warning() {
        let facts = CheckFacts::default();
        let patch = samples::patch(&[]);
        let found = judge(&samples::context(&patch, &facts));
        assert!(found[0].text.starts_with("No function"), "{found:?}");
    }
}
