//! Symbols that the patch's code uses and that the kernel finds by name
//! (`.klp.sym.`). A missing one has the same effect as a missing function.

use std::collections::BTreeMap;

use crate::{
    check::{CheckContext, facts::objects::ObjectFacts},
    kernel::{
        kallsyms::{Symbol, VMLINUX},
        modules::Presence,
        patch_file::UsedSymbol,
    },
    model::{calls::FunctionId, check::CheckFinding},
};

use super::trouble::{Trouble, finding_of};

pub(super) fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    let objects = &context.facts.objects;
    if context.is_loaded || objects.symbols.is_none() {
        return Vec::new();
    }
    let mut troubles: BTreeMap<Trouble, Vec<(String, String)>> = BTreeMap::new();
    let looked_for = context
        .patch
        .uses
        .iter()
        .filter(|used| is_looked_for(used, objects));
    for used in looked_for {
        let name = FunctionId::new(&used.object, &used.name, used.sympos).spelled();
        if let Some((trouble, line)) = wrong(used, &name, objects) {
            troubles.entry(trouble).or_default().push((name, line));
        }
    }
    let found = troubles.into_iter();
    found
        .map(|(trouble, symbols)| finding_of(trouble, symbols, objects))
        .collect()
}

/// For a module that is not loaded, the kernel looks it up when it loads.
fn is_looked_for(used: &UsedSymbol, objects: &ObjectFacts) -> bool {
    let module = objects.modules.get(&used.with);
    used.with == VMLINUX || module.is_some_and(|facts| facts.presence == Some(Presence::Loaded))
}

/// `klp_find_object_symbol` (kernel/livepatch/core.c).
fn wrong(used: &UsedSymbol, name: &str, objects: &ObjectFacts) -> Option<(Trouble, String)> {
    let symbol = Symbol {
        object: used.object.clone(),
        name: used.name.clone(),
    };
    let count = objects.used.get(&symbol).copied().unwrap_or(0);
    match (count, used.sympos) {
        (0, _) => Some((
            Trouble::UsedMissing,
            format!("/proc/kallsyms has no {name}"),
        )),
        (2.., 0) => Some((
            Trouble::UsedAmbiguous,
            format!("there are {count} symbols {name}, and the patch does not select one"),
        )),
        (count, sympos) if sympos > count => Some((
            Trouble::UsedMissing,
            format!("the patch selects symbol {sympos} named {name}, but there are only {count}"),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::{
            facts::{CheckFacts, objects::ModuleFacts},
            rules::samples,
        },
        model::{check::LoadRefusal, snapshot::Severity},
    };

    fn used(with: &str, name: &str, sympos: u32) -> UsedSymbol {
        UsedSymbol {
            with: with.to_owned(),
            object: with.to_owned(),
            name: name.to_owned(),
            sympos,
        }
    }

    /// Of a kernel with these symbols, and the module ext4 loaded or not.
    fn judged(uses: Vec<UsedSymbol>, is_loaded: bool) -> Vec<CheckFinding> {
        let mut patch = samples::patch(&[]);
        patch.uses = uses;
        let mut facts = CheckFacts::default();
        facts.objects.symbols = Some(BTreeMap::new());
        let count = [("vmlinux", "once", 1), ("vmlinux", "twice", 2)];
        facts.objects.used = count
            .into_iter()
            .map(|(object, name, count)| {
                let (object, name) = (object.to_owned(), name.to_owned());
                (Symbol { object, name }, count)
            })
            .collect();
        let presence = if is_loaded {
            Presence::Loaded
        } else {
            Presence::NotLoaded
        };
        let ext4 = ModuleFacts {
            presence: Some(presence),
            ..ModuleFacts::default()
        };
        facts.objects.modules.insert("ext4".to_owned(), ext4);
        judge(&samples::context(&patch, &facts))
    }

    #[test]
    fn what_the_kernel_finds_is_no_finding() {
        let uses = [("once", 0), ("once", 1), ("twice", 1), ("twice", 2)];
        let uses = uses.map(|(name, sympos)| used("vmlinux", name, sympos));
        assert_eq!(judged(uses.into(), true), []);
    }

    #[test]
    fn what_it_does_not_find_is_refused() {
        for (name, sympos, words) in [
            ("none", 0, "kallsyms has no none"),
            ("none", 1, "kallsyms has no none"),
            ("twice", 0, "does not select one"),
            ("twice", 3, "only 2"),
            ("once", 2, "only 1"),
        ] {
            let found = judged(vec![used("vmlinux", name, sympos)], true);
            assert_eq!(found.len(), 1, "{name},{sympos}");
            assert_eq!(found[0].severity, Severity::Danger);
            assert_eq!(found[0].refusal, Some(LoadRefusal { errno: 22 }));
            assert!(found[0].evidence[0].contains(words), "{found:?}");
        }
    }

    #[test]
    fn a_modules_symbols_are_looked_for_once_it_is_loaded() {
        let uses = || vec![used("ext4", "ext4_count", 0)];
        assert_eq!(judged(uses(), false), []);
        let found = judged(uses(), true);
        assert!(found[0].text.contains("ext4:ext4_count"), "{found:?}");
    }

    #[test]
    fn without_the_kernels_symbols_nothing_is_said_here() {
        let mut patch = samples::patch(&["f"]);
        patch.uses = vec![used("vmlinux", "none", 0)];
        let facts = CheckFacts::default();
        assert_eq!(judge(&samples::context(&patch, &facts)), []);
    }
}
