//! `klp_patch` structures in the data of a module.

use object::{Architecture, Endianness};

use super::build::{Module, VERMAGIC};
use super::patch::{ObjectSource, PatchSource};
use super::{functions, read};
use crate::kernel::patch_file::{Callback, Machine, MadeBy, PatchFile, PatchState};

fn two_objects() -> PatchSource {
    PatchSource::of(vec![
        ObjectSource::of(None, &[("cmdline_proc_show", 0), ("meminfo_proc_show", 2)]),
        ObjectSource::of(Some("ext4"), &[("ext4_statfs", 1)]),
    ])
}

/// What [`two_objects`] must be read as.
fn is_two_objects(file: &PatchFile) {
    let names: Vec<&str> = file
        .objects
        .iter()
        .map(|object| object.name.as_str())
        .collect();
    assert_eq!(names, ["vmlinux", "ext4"]);
    assert_eq!(
        functions(&file.objects[0]),
        [
            "cmdline_proc_show,0 -> new_cmdline_proc_show",
            "meminfo_proc_show,2 -> new_meminfo_proc_show",
        ]
    );
    assert_eq!(
        functions(&file.objects[1]),
        ["ext4_statfs,1 -> new_ext4_statfs"]
    );
    assert_eq!(file.unread, [""; 0]);
    assert_eq!(file.made_by, Some(MadeBy::HandWritten));
}

#[test]
fn a_patch_of_two_objects_is_read() {
    let file = read(&two_objects().module());
    is_two_objects(&file);
    assert_eq!(file.name, "test_patch");
    assert_eq!(file.machine, Machine::X86_64);
    assert_eq!(file.replace, Some(false));
    assert!(file.modinfo.livepatch && !file.signed && !file.shadow_variables);
    assert_eq!(file.modinfo.kernel_release(), Some("6.12.57+deb13-amd64"));
    assert_eq!(file.states, []);
}

#[test]
fn replace_states_and_callbacks_are_read() {
    let mut source = two_objects();
    source.replace = true;
    source.states = vec![(1, 2), (7, 0)];
    source.objects[1].callbacks = [true, false, false, true];
    let file = read(&source.module());
    is_two_objects(&file);
    assert_eq!(file.replace, Some(true));
    let states = [(1, 2), (7, 0)].map(|(id, version)| PatchState { id, version });
    assert_eq!(file.states, states);
    assert_eq!(file.objects[0].callbacks, []);
    assert_eq!(
        file.objects[1].callbacks,
        [Callback::PrePatch, Callback::PostUnpatch]
    );
}

#[test]
fn every_processor_with_live_patching_is_read() {
    for (architecture, order, machine) in [
        (Architecture::Aarch64, Endianness::Little, Machine::Aarch64),
        (Architecture::S390x, Endianness::Big, Machine::S390x),
        (
            Architecture::PowerPc64,
            Endianness::Little,
            Machine::Ppc64le,
        ),
        (Architecture::PowerPc64, Endianness::Big, Machine::Ppc64),
        (Architecture::Riscv64, Endianness::Little, Machine::Riscv64),
        (
            Architecture::LoongArch64,
            Endianness::Little,
            Machine::Loongarch64,
        ),
    ] {
        let mut module = Module::livepatch_of(architecture, order);
        let mut source = two_objects();
        source.states = vec![(3, 4)];
        source.add_to(&mut module);
        let file = read(&module.finish());
        assert_eq!(file.machine, machine);
        is_two_objects(&file);
        assert_eq!(file.states, [PatchState { id: 3, version: 4 }]);
    }
}

#[test]
fn a_stripped_patch_is_read_without_the_names_of_new_functions() {
    let mut module = Module::livepatch();
    module.symbols = false;
    two_objects().add_to(&mut module);
    let file = read(&module.finish());
    assert_eq!(
        functions(&file.objects[0]),
        ["cmdline_proc_show,0 -> ?", "meminfo_proc_show,2 -> ?"]
    );
    assert_eq!(functions(&file.objects[1]), ["ext4_statfs,1 -> ?"]);
    assert_eq!(file.unread, [""; 0]);
}

/// `CONFIG_DEBUG_KOBJECT_RELEASE` and later kernels make the structures larger.
#[test]
fn structures_of_other_sizes_are_read_by_the_size_of_their_symbols() {
    for more in [8, 96, 200] {
        let mut source = two_objects();
        source.function_size += more;
        source.object_size += more;
        is_two_objects(&read(&source.module()));
    }
}

#[test]
fn a_single_function_of_a_single_object_is_read() {
    for object in [None, Some("xfs")] {
        let source = PatchSource::of(vec![ObjectSource::of(object, &[("one", 3)])]);
        let file = read(&source.module());
        assert_eq!(file.objects.len(), 1);
        assert_eq!(file.objects[0].name, object.unwrap_or("vmlinux"));
        assert_eq!(functions(&file.objects[0]), ["one,3 -> new_one"]);
        assert_eq!(file.unread, [""; 0]);
    }
}

/// As in samples/livepatch/livepatch-callbacks-demo.c.
#[test]
fn an_object_with_callbacks_only_is_read() {
    let mut object = ObjectSource::of(Some("busy"), &[]);
    object.callbacks = [true; 4];
    let source = PatchSource::of(vec![object, ObjectSource::of(None, &[("f", 0)])]);
    let file = read(&source.module());
    assert_eq!(file.objects[0].name, "busy");
    assert_eq!(functions(&file.objects[0]), [""; 0]);
    assert_eq!(file.objects[0].callbacks.len(), 4);
    assert_eq!(functions(&file.objects[1]), ["f,0 -> new_f"]);
    assert_eq!(file.unread, [""; 0]);
}

#[test]
fn a_list_without_end_mark_is_reported() {
    let mut source = two_objects();
    source.end_marks = false;
    let file = read(&source.module());
    assert_eq!(file.objects.len(), 2);
    assert_eq!(functions(&file.objects[0]).len(), 2);
    let told = file.unread.iter().filter(|told| told.contains("end mark"));
    assert_eq!(told.count(), 3, "{:?}", file.unread);
}

#[test]
fn a_stripped_list_without_end_mark_is_not_guessed() {
    let mut module = Module::livepatch();
    module.symbols = false;
    let mut source = two_objects();
    source.end_marks = false;
    source.add_to(&mut module);
    let file = read(&module.finish());
    assert_ne!(file.unread, [""; 0]);
}

#[test]
fn several_patches_are_reported() {
    let mut module = Module::livepatch();
    PatchSource::of(vec![ObjectSource::of(None, &[("first", 0)])]).add_to(&mut module);
    let mut second = PatchSource::of(vec![ObjectSource::of(None, &[("second", 0)])]);
    second.replace = true;
    second.add_to(&mut module);
    let file = read(&module.finish());
    assert_eq!(file.objects.len(), 2);
    assert_eq!(file.replace, None);
    assert!(file.unread[0].contains("2 patches"), "{:?}", file.unread);
}

#[test]
fn a_livepatch_without_a_patch_is_reported() {
    let file = read(&Module::livepatch().finish());
    assert_eq!((file.made_by, file.replace), (None, None));
    assert!(file.unread[0].contains("no klp_patch"), "{:?}", file.unread);
}

#[test]
fn another_module_is_read_and_is_no_livepatch() {
    let mut module = Module::bare(Architecture::X86_64, Endianness::Little);
    module.modinfo(&["license=GPL", "depends=nfs,sunrpc", "intree=Y", VERMAGIC]);
    // A module's own file operations begin with a pointer to it, too.
    let operations = module.data(".data", Some("operations"), &[0; 64]);
    let (this, open) = (module.this_module(), module.function("open"));
    module.point(operations, this);
    module.point(operations.plus(8), open);
    let file = read(&module.finish());
    assert!(!file.modinfo.livepatch);
    assert_eq!(file.name, "file_name");
    assert_eq!(file.modinfo.depends, ["nfs", "sunrpc"]);
    assert_eq!(file.modinfo.intree, Some(true));
    assert_eq!((file.made_by, file.objects.len()), (None, 0));
    assert_eq!(file.unread, [""; 0]);
}

#[test]
fn shadow_variables_are_seen() {
    let mut module = Module::livepatch();
    two_objects().add_to(&mut module);
    module.external("klp_shadow_get_or_alloc");
    assert!(read(&module.finish()).shadow_variables);
}

#[test]
fn a_patch_for_a_kernel_before_states_is_read_without_them() {
    let mut module = Module::bare(Architecture::X86_64, Endianness::Little);
    module.modinfo(&["livepatch=Y", "vermagic=4.19.0-27-amd64 SMP mod_unload "]);
    let mut source = two_objects();
    source.replace = true;
    source.add_to(&mut module);
    let file = read(&module.finish());
    assert_eq!(file.objects.len(), 2);
    assert_eq!(file.replace, None);
    assert!(
        file.unread[0].contains("built for 4.19"),
        "{:?}",
        file.unread
    );
}

#[test]
fn an_object_with_an_empty_name_is_read() {
    let file = read(&PatchSource::of(vec![ObjectSource::of(Some(""), &[("f", 1)])]).module());
    let names: Vec<&str> = file.objects.iter().map(|object| &*object.name).collect();
    assert_eq!((names, file.unread), (vec![""], Vec::new()));
}
