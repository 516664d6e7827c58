//! The names of the patch's objects: whether a module can have them.

use crate::{
    check::{
        CheckContext,
        facts::objects::{MeantModule, ModuleFacts},
    },
    kernel::{kallsyms::VMLINUX, modules::Presence},
    model::{
        check::CheckFinding,
        object_name::{LONGEST, is_refused, no_module},
        snapshot::Severity,
    },
};

use super::{
    Rule,
    errno::EINVAL,
    findings::{finding, listed},
    hooked::capital,
};

pub(super) const RULE: Rule = Rule {
    id: "object_name",
    title: "every object of the patch has a name that a module can have",
    background: "\
A patch names each module that it changes (klp_object.name). The kernel compares this name with the \
names of the loaded modules, byte by byte. It accepts a name that no module can have: the patch then \
loads, its transition completes, and the functions of that object stay as they are, also when the module \
is loaded later. The name of a module is not that of its file: it has no path, no .ko and no white \
space, and an underscore where the file has a dash. The kernel itself is the object without a name \
(NULL), or vmlinux in the tools that build patches.

The kernel refuses an object with an empty name, and one whose name is longer than that of any module \
(EINVAL).",
    sources: &[
        "kernel/livepatch/core.c, klp_find_object_module, klp_init_object, klp_module_coming (5.10 to 7.3)",
        "include/linux/module.h, MODULE_NAME_LEN; lib/kobject.c, kobject_add_internal (5.10 to 7.3)",
        "scripts/Makefile.lib, name-fix-token and modname_flags (5.10 to 7.3)",
        "https://github.com/dynup/kpatch/issues/918",
    ],
    judge,
};

/// Whether this rule has a finding about the module of this name.
pub(super) fn is_wrong(name: &str, module: &ModuleFacts) -> bool {
    module.presence != Some(Presence::Loaded) && (is_refused(name) || module.meant.is_some())
}

fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    let modules = context.facts.objects.modules.iter();
    let wrong = modules.filter(|(name, module)| is_wrong(name, module));
    let found = wrong.filter_map(|(name, module)| {
        if is_refused(name) {
            return Some(refused(name));
        }
        let meant = module.meant.as_ref()?;
        Some(no_effect(name, meant, context))
    });
    found.collect()
}

fn refused(name: &str) -> CheckFinding {
    let (text, evidence) = if name.is_empty() {
        (
            "The patch has an object with an empty name: the kernel would refuse it (EINVAL)."
                .to_owned(),
            "the name of the object is \"\"".to_owned(),
        )
    } else {
        (
            format!(
                "The name of an object is too long for a module: `{name}`. The kernel would refuse the patch (EINVAL)."
            ),
            format!(
                "it has {} bytes; the name of a module has at most {}",
                name.len(),
                LONGEST
            ),
        )
    };
    finding(&RULE, Severity::Danger, text, Some(EINVAL))
        .with_evidence(vec![evidence])
        .with_remedy(vec![
            "Correct the name in the source of the patch (klp_object.name) and build it again."
                .to_owned(),
        ])
}

fn no_effect(name: &str, meant: &MeantModule, context: &CheckContext<'_>) -> CheckFinding {
    let has = if context.is_loaded {
        "has"
    } else {
        "would have"
    };
    let why = if meant.by_case {
        format!("No module of this host is named `{name}`")
    } else {
        capital(&no_module(name))
    };
    let question = if meant.name.is_empty() {
        String::new()
    } else {
        format!(" Did you mean `{}`?", meant.name)
    };
    let text = format!("{why}: the patch {has} no effect on it.{question}");
    finding(&RULE, Severity::Danger, text, None)
        .with_evidence(evidence(name, meant, context))
        .with_remedy(remedy(meant))
}

fn evidence(name: &str, meant: &MeantModule, context: &CheckContext<'_>) -> Vec<String> {
    let objects = context.patch.objects.iter();
    let functions = objects
        .filter(|object| object.name == name)
        .flat_map(|object| &object.functions);
    let functions: Vec<&str> = functions.map(|function| function.name.as_str()).collect();
    let mut lines = Vec::new();
    if !functions.is_empty() {
        lines.push(format!("it names {} there", listed(&functions)));
    }
    if meant.by_case {
        lines.push("the kernel tells upper and lower case apart".to_owned());
    } else {
        lines.push("the kernel compares it with the names of modules, which have no path, no .ko, no dash and no white space".to_owned());
    }
    let MeantModule { name, file, .. } = meant;
    match meant.presence {
        Some(Presence::Loaded) => lines.push(format!("the module {name} is loaded")),
        Some(Presence::BuiltIn) => lines.push(format!("{name} is built into this kernel")),
        Some(Presence::NotLoaded) | None => {}
    }
    if let Some(file) = file {
        lines.push(format!("modprobe {name} would load {}", file.display()));
    }
    lines
}

fn remedy(meant: &MeantModule) -> Vec<String> {
    let name = &meant.name;
    let remedy = if name == VMLINUX || meant.presence == Some(Presence::BuiltIn) {
        "Give functions of the kernel itself an object without a name (klp_object.name is NULL), and build the patch again.".to_owned()
    } else if name.is_empty() {
        "Correct the name in the source of the patch (klp_object.name) and build it again."
            .to_owned()
    } else {
        format!(
            "Name the object {name} in the source of the patch (klp_object.name) and build it again."
        )
    };
    vec![remedy]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        check::{
            facts::{CheckFacts, objects::ObjectFacts},
            rules::{samples, symbol},
        },
        kernel::patch_file::PatchFile,
    };

    fn patch_of(object: &str) -> PatchFile {
        let mut patch = samples::patch(&["f"]);
        object.clone_into(&mut patch.objects[0].name);
        patch
    }

    fn facts_of(object: &str, module: ModuleFacts) -> CheckFacts {
        CheckFacts {
            objects: ObjectFacts {
                symbols: Some(BTreeMap::new()),
                modules: BTreeMap::from([(object.to_owned(), module)]),
                ..ObjectFacts::default()
            },
            ..CheckFacts::default()
        }
    }

    fn meaning(name: &str, presence: Option<Presence>) -> ModuleFacts {
        ModuleFacts {
            presence: Some(Presence::NotLoaded),
            meant: Some(MeantModule {
                name: name.to_owned(),
                presence,
                ..MeantModule::default()
            }),
            ..ModuleFacts::default()
        }
    }

    /// The only finding, of this rule and of the one about modules.
    fn only(object: &str, module: ModuleFacts) -> CheckFinding {
        let (patch, facts) = (patch_of(object), facts_of(object, module));
        let context = samples::context(&patch, &facts);
        assert_eq!((symbol::RULE.judge)(&context), []);
        let mut found = judge(&context);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].severity, Severity::Danger);
        assert!(!found[0].evidence.is_empty());
        found.remove(0)
    }

    #[test]
    fn a_file_name_has_no_effect() {
        let found = only("target.ko", meaning("target", Some(Presence::Loaded)));
        let text = "No module can be named `target.ko`: the patch would have no effect on it. Did you mean `target`?";
        assert_eq!((found.text.as_str(), found.refusal), (text, None));
        assert!(found.evidence.contains(&"it names f there".to_owned()));
        assert!(
            found
                .evidence
                .contains(&"the module target is loaded".to_owned())
        );
        assert!(found.remedy[0].contains("Name the object target "));
    }

    #[test]
    fn the_kernel_itself_has_no_name() {
        for (object, name, presence) in [
            ("vmlinux.ko", "vmlinux", None),
            ("zlib.ko", "zlib", Some(Presence::BuiltIn)),
        ] {
            let found = only(object, meaning(name, presence));
            assert!(found.remedy[0].contains("NULL"), "{found:?}");
        }
        let found = only(" ", meaning("", None));
        assert!(found.text.ends_with("effect on it."), "{found:?}");
    }

    #[test]
    fn the_case_of_letters_counts_only_on_this_host() {
        let mut module = meaning("xt_TCPMSS", Some(Presence::Loaded));
        if let Some(meant) = &mut module.meant {
            meant.by_case = true;
        }
        let found = only("xt_tcpmss", module);
        assert!(
            found
                .text
                .starts_with("No module of this host is named `xt_tcpmss`")
        );
        assert!(found.text.ends_with("Did you mean `xt_TCPMSS`?"));
    }

    #[test]
    fn an_empty_name_and_one_that_is_too_long_are_refused() {
        for name in [String::new(), "m".repeat(56)] {
            let found = only(&name, ModuleFacts::default());
            assert_eq!(found.refusal.map(|refusal| refusal.errno), Some(EINVAL));
        }
    }

    #[test]
    fn a_name_that_a_module_has_is_right() {
        for (name, module) in [
            ("fuse", ModuleFacts::default()),
            (&*"m".repeat(55), ModuleFacts::default()),
            (
                "odd.ko",
                ModuleFacts {
                    presence: Some(Presence::Loaded),
                    ..meaning("odd", None)
                },
            ),
        ] {
            let (patch, facts) = (patch_of(name), facts_of(name, module));
            assert_eq!(judge(&samples::context(&patch, &facts)), [], "{name}");
        }
    }

    #[test]
    fn a_loaded_patch_has_no_effect_now() {
        let (patch, facts) = (
            patch_of("my-mod"),
            facts_of("my-mod", meaning("my_mod", Some(Presence::NotLoaded))),
        );
        let context = CheckContext {
            is_loaded: true,
            ..samples::context(&patch, &facts)
        };
        assert!(judge(&context)[0].text.contains("the patch has no effect"));
    }
}
