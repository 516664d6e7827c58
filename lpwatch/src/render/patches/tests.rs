//! What an inventory looks like.

use super::*;
use crate::model::inventory::InventoryFunction;
use crate::model::inventory::samples::{self as inventory_of, patch};
use crate::model::inventory::{Cve, EffectiveKernel, KernelCareFacts, OnDisk, System, Vendor};
use crate::model::{
    Refusal, TransitionSummary,
    document::{DocumentHead, Source},
    samples,
};

fn function(name: &str) -> InventoryFunction {
    InventoryFunction {
        wins: Some(true),
        ..inventory_of::function(name)
    }
}

fn inventory(patches: Vec<InventoryPatch>) -> Inventory {
    let mut engines: Vec<EngineKind> = patches.iter().map(|patch| patch.engine).collect();
    engines.dedup();
    Inventory {
        head: DocumentHead::new(
            "web-17".to_owned(),
            "5.14.0-1.el9".to_owned(),
            samples::now(),
            Source::Sysfs,
        ),
        effective_kernel: None,
        kernelcare: None,
        systems: engines
            .into_iter()
            .map(|engine| System {
                engine,
                consistency: "per_task".to_owned(),
                cannot: Vec::new(),
            })
            .collect(),
        patches,
        not_loaded: Vec::new(),
        cves: None,
        notes: Vec::new(),
    }
}

#[test]
fn several_systems_are_one_list() {
    let livepatch = InventoryPatch {
        vendor: Some(Vendor::RedHat),
        applied_at: Some(samples::now()),
        disk: Some(OnDisk {
            state: DiskState::LoadedNotInstalled,
            file: None,
        }),
        ..patch(
            "kpatch_1",
            EngineKind::Livepatch,
            vec![function("f"), function("g")],
        )
    };
    let graft = InventoryPatch {
        state: PatchStatus::InTransition,
        transition: Some(TransitionSummary::in_direction(Direction::Unpatching)),
        module: Some("kgraft_patch_2".to_owned()),
        ..patch("kgr_2", EngineKind::Kgraft, vec![function("h")])
    };
    let splice = InventoryPatch {
        state: PatchStatus::Refused,
        description: Some("CVE-2014-3688: Denial of service in SCTP.".to_owned()),
        refusal: Some(Refusal {
            errno: None,
            cause: Some("code_busy".to_owned()),
            meaning: Some("a function it changes was on some task's stack at every try".to_owned()),
        }),
        ..patch("dfvn0zq8", EngineKind::Ksplice, Vec::new())
    };
    let mut inventory = inventory(vec![livepatch, graft, splice]);
    inventory.effective_kernel = Some(EffectiveKernel {
        version: "5.14.0-9.el9".to_owned(),
        source: "/usr/sbin/uptrack-uname -r".to_owned(),
    });
    inventory
        .notes
        .push("One thing could not be read.".to_owned());
    let expected = "\
kpatch_1  enabled, livepatch, Red Hat, since 03:12:45 UTC
  vmlinux: f, g
  Loaded, but not installed: after a reboot it is gone.

kgr_2  being removed, kGraft, module kgraft_patch_2
  vmlinux: h

dfvn0zq8  refused, Ksplice
  CVE-2014-3688: Denial of service in SCTP.
  Refused (code_busy): a function it changes was on some task's stack at every
    try.
  Ksplice does not show which functions it changes.

Note: One thing could not be read.

web-17 | 5.14.0-1.el9, in force 5.14.0-9.el9 (/usr/sbin/uptrack-uname -r) |
03:12:45 UTC | livepatch, kGraft, Ksplice
";
    assert_eq!(patches(&inventory, &Style::default()), expected);
}

#[test]
fn who_has_a_function_is_said_where_several_have_it() {
    let overridden = InventoryFunction {
        wins: Some(false),
        overridden_by: Some("new".to_owned()),
        ..function("f")
    };
    let unknown = InventoryFunction {
        wins: None,
        not_decided: Some("the log has forgotten".to_owned()),
        sympos: 2,
        ..function("g")
    };
    let old = patch("old", EngineKind::Livepatch, vec![overridden, unknown]);
    let text = patches(&inventory(vec![old]), &Style::default());
    assert!(
        text.contains("vmlinux: f (overridden by new), g (2) (other patches change"),
        "{text}"
    );
    assert!(
        text.contains("It is unknown which code runs: the log has forgotten."),
        "{text}"
    );
}

#[test]
fn an_object_that_no_module_can_be_is_not_only_not_loaded() {
    let mut patch = patch("lp_a", EngineKind::Livepatch, vec![function("f")]);
    patch.objects[0].patched = Some(false);
    let shown = |name: &str| {
        let mut patch = patch.clone();
        name.clone_into(&mut patch.objects[0].name);
        patches(&inventory(vec![patch]), &Style::default())
    };
    assert!(shown("nfs").contains("nfs: (not loaded) f"));
    let text = shown("nfs.ko").replace("\n   ", "");
    let why = "(no module can be named `nfs.ko`; the author of the patch meant `nfs`)";
    assert!(text.contains(why), "{text}");
}

#[test]
fn what_is_on_disk_and_not_loaded_is_listed() {
    let file = |name: &str, state| UnloadedPatch {
        name: name.to_owned(),
        file: format!("/var/lib/kpatch/{name}.ko"),
        kernel: "5.14.0-2.el9".to_owned(),
        built_for: None,
        vendor: None,
        state,
    };
    let mut inventory = inventory(Vec::new());
    inventory.not_loaded = vec![
        file("a", DiskState::InstalledNotLoaded),
        file("b", DiskState::InstalledWrongKernel),
        file("c", DiskState::InstalledOtherKernel),
    ];
    let text = patches(&inventory, &Style::default());
    let expected = "\
No live patch is loaded.

On disk, not loaded
  a  installed, not loaded
  b  installed for this kernel, built for another: it cannot be loaded (unknown
     kernel)
  c  installed for another kernel, 5.14.0-2.el9
";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn cves_are_listed_with_what_fixes_them() {
    let mut inventory = inventory(Vec::new());
    let cve = |id: &str, patch: Option<&str>| Cve {
        id: id.to_owned(),
        engine: EngineKind::Kernelcare,
        patch: patch.map(str::to_owned),
    };
    inventory.cves = Some(vec![
        cve("CVE-2021-3656", None),
        cve("CVE-2022-36946", Some("lp")),
    ]);
    let text = patches(&inventory, &Style::default());
    assert!(
        text.contains("2 CVEs fixed\n  CVE-2021-3656     KernelCare\n"),
        "{text}"
    );
    assert!(text.contains("  CVE-2022-36946    lp\n"), "{text}");
    inventory.cves = Some(Vec::new());
    let text = patches(&inventory, &Style::default());
    assert!(
        text.contains("No patching system reports which CVEs are fixed."),
        "{text}"
    );
}

#[test]
fn hostile_names_do_no_harm() {
    let bad = InventoryPatch {
        description: Some("\u{1b}[2J".to_owned()),
        ..patch("a\nb\u{1b}[31m", EngineKind::Ksplice, Vec::new())
    };
    let text = patches(&inventory(vec![bad]), &Style::default());
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn the_state_of_kernelcare_is_shown_if_its_tool_reports_it() {
    let mut inventory = inventory(vec![patch("kcare", EngineKind::Kernelcare, Vec::new())]);
    let facts = |reported| KernelCareFacts {
        state: reported,
        patch_method: None,
        auto_update: None,
    };
    inventory.kernelcare = Some(facts(Some(KernelCareState::NewerWait)));
    let text = patches(&inventory, &Style::default());
    assert!(
        text.contains("KernelCare: newer patches are available."),
        "{text}"
    );
    inventory.kernelcare = Some(facts(None));
    let text = patches(&inventory, &Style::default());
    assert!(!text.contains("KernelCare: "), "{text}");
}
