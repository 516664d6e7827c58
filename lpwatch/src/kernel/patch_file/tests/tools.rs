//! Modules as kpatch-build and klp-build make them.

use object::{Architecture, Endianness, RelocationFlags, SectionKind, elf};

use super::build::{At, Module};
use super::{functions, read};
use crate::kernel::patch_file::{Callback, MadeBy, PatchFile};

/// Adds one `kpatch_patch_func`.
fn kpatch_func(module: &mut Module, object: &str, name: &str, sympos: u64) {
    let mut bytes = [0; 56];
    bytes[8..16].copy_from_slice(&module.number(16));
    bytes[32..40].copy_from_slice(&module.number(sympos));
    let place = module.append(".kpatch.funcs", SectionKind::Data, &bytes, 8);
    let code = module.function(&format!("new_{name}"));
    let name = kpatch_string(module, name);
    let object = kpatch_string(module, object);
    module.point(place, code);
    module.point(place.plus(40), name);
    module.point(place.plus(48), object);
}

fn kpatch_string(module: &mut Module, text: &str) -> At {
    let text: Vec<u8> = text.bytes().chain([0]).collect();
    module.append(".kpatch.strings", SectionKind::ReadOnlyData, &text, 1)
}

fn kpatch_callback(module: &mut Module, section: &'static str, object: &str) {
    let place = module.append(section, SectionKind::Data, &[0; 16], 8);
    let code = module.function("callback");
    let object = kpatch_string(module, object);
    module.point(place, code);
    module.point(place.plus(8), object);
}

fn names(file: &PatchFile) -> Vec<&str> {
    let objects = file.objects.iter();
    objects.map(|object| object.name.as_str()).collect()
}

/// With functions and callbacks of several objects.
pub fn kpatch_module() -> Vec<u8> {
    let mut module = Module::livepatch();
    kpatch_func(&mut module, "vmlinux", "cmdline_proc_show", 1);
    kpatch_func(&mut module, "ext4", "ext4_statfs", 0);
    kpatch_func(&mut module, "vmlinux", "meminfo_proc_show", 2);
    kpatch_callback(&mut module, ".kpatch.callbacks.pre_patch", "ext4");
    kpatch_callback(&mut module, ".kpatch.callbacks.post_unpatch", "ext4");
    kpatch_callback(&mut module, ".kpatch.callbacks.post_patch", "xfs");
    // What the linker script adds to keep a section that is empty.
    for section in [
        ".kpatch.callbacks.pre_unpatch",
        ".kpatch.callbacks.pre_patch",
    ] {
        module.append(section, SectionKind::Data, &[0; 8], 1);
    }
    module.finish()
}

#[test]
fn a_module_of_kpatch_build_is_read() {
    let file = read(&kpatch_module());
    assert_eq!(file.made_by, Some(MadeBy::KpatchBuild));
    assert_eq!(names(&file), ["vmlinux", "ext4", "xfs"]);
    assert_eq!(
        functions(&file.objects[0]),
        [
            "cmdline_proc_show,1 -> new_cmdline_proc_show",
            "meminfo_proc_show,2 -> new_meminfo_proc_show"
        ]
    );
    assert_eq!(
        functions(&file.objects[1]),
        ["ext4_statfs,0 -> new_ext4_statfs"]
    );
    let callbacks: Vec<_> = file.objects.iter().map(|o| &o.callbacks[..]).collect();
    assert_eq!(callbacks[0], []);
    assert_eq!(callbacks[1], [Callback::PrePatch, Callback::PostUnpatch]);
    assert_eq!(callbacks[2], [Callback::PostPatch]);
    // Its code says it when it is loaded.
    assert_eq!(file.replace, None);
    assert_eq!(file.unread, [""; 0]);
}

#[test]
fn functions_of_another_kpatch_build_are_reported() {
    let mut module = Module::livepatch();
    module.append(".kpatch.funcs", SectionKind::Data, &[0; 48], 8);
    let file = read(&module.finish());
    assert_eq!(file.made_by, Some(MadeBy::KpatchBuild));
    assert!(file.unread[0].contains("48 bytes"), "{:?}", file.unread);

    // Without its relocations.
    let mut module = Module::livepatch();
    module.append(".kpatch.funcs", SectionKind::Data, &[0; 56], 8);
    let file = read(&module.finish());
    assert_eq!(file.objects, []);
    assert!(
        file.unread[0].contains("name is not in"),
        "{:?}",
        file.unread
    );
}

/// Adds a `klp_object_ext` and its `klp_func_ext`s.
fn klp_object(
    module: &mut Module,
    [objects, functions]: [&'static str; 2],
    object: Option<&str>,
    list: &[(&str, u64)],
) -> At {
    let start = module.append(functions, SectionKind::Data, &[], 8);
    for (name, sympos) in list {
        let mut bytes = [0; 24];
        bytes[16..].copy_from_slice(&module.number(*sympos));
        let place = module.append(functions, SectionKind::Data, &bytes, 8);
        let code = module.function(name);
        let name = module.string(name.as_bytes());
        module.point(place, name);
        module.point(place.plus(8), code);
    }
    let count = u32::try_from(list.len()).unwrap();
    let mut bytes = [0; 64];
    bytes[56..60].copy_from_slice(&count.to_le_bytes());
    let place = module.append(objects, SectionKind::Data, &bytes, 8);
    module.point(place.plus(8), start);
    if let Some(name) = object {
        let name = module.string(name.as_bytes());
        module.point(place, name);
    }
    place
}

fn klp_module_in(sections: [&'static str; 2]) -> Vec<u8> {
    let mut module = Module::livepatch();
    let list = [("cmdline_proc_show", 0), ("meminfo_proc_show", 2)];
    klp_object(&mut module, sections, None, &list);
    let ext4 = klp_object(&mut module, sections, Some("ext4"), &[("ext4_statfs", 1)]);
    let callback = module.function("callback");
    module.point(ext4.plus(24), callback);
    module.finish()
}

/// With functions of two objects and a callback.
pub fn klp_module() -> Vec<u8> {
    klp_module_in([".init.klp_objects", ".init.klp_funcs"])
}

#[test]
fn a_module_of_klp_build_is_read() {
    for sections in [
        [".init.klp_objects", ".init.klp_funcs"],
        ["__klp_objects", "__klp_funcs"],
    ] {
        let file = read(&klp_module_in(sections));
        assert_eq!(file.made_by, Some(MadeBy::KlpBuild));
        assert_eq!(names(&file), ["vmlinux", "ext4"]);
        assert_eq!(
            functions(&file.objects[0]),
            [
                "cmdline_proc_show,0 -> cmdline_proc_show",
                "meminfo_proc_show,2 -> meminfo_proc_show"
            ]
        );
        assert_eq!(
            functions(&file.objects[1]),
            ["ext4_statfs,1 -> ext4_statfs"]
        );
        assert_eq!(file.objects[1].callbacks, [Callback::PostPatch]);
        assert_eq!(file.replace, None);
        assert_eq!(file.unread, [""; 0]);
    }
}

#[test]
fn klp_build_counts_that_do_not_fit_are_reported() {
    let sections = [".init.klp_objects", ".init.klp_funcs"];
    let mut module = Module::livepatch();
    klp_object(&mut module, sections, None, &[("f", 0)]);
    let section = module
        .append(sections[0], SectionKind::Data, &[], 1)
        .section;
    module.object.section_mut(section).data_mut()[56] = 200;
    let file = read(&module.finish());
    assert_eq!(functions(&file.objects[0]), [""; 0]);
    assert!(file.unread[0].contains("vmlinux"), "{:?}", file.unread);

    module.append(sections[0], SectionKind::Data, &[0; 8], 1);
    let file = read(&module.finish());
    assert_eq!(file.objects, []);
    assert!(file.unread[0].contains("72 bytes"), "{:?}", file.unread);
}

/// `patch->objs = …; patch->replace = …; patch->mod = THIS_MODULE` with the patch
/// at rax, as gcc 12 compiles kpatch's livepatch-patch-hook.c.
fn init_code(module: &mut Module, replace: u8) {
    let code = [
        [0x4c, 0x89, 0x60, 0x08].as_slice(),
        &[0xc6, 0x40, 0x18, replace],
        &[0x48, 0xc7, 0x00, 0, 0, 0, 0],
    ]
    .concat();
    let start = module.append(".init.text", SectionKind::Text, &code, 16);
    let this = module.this_module();
    let r_type = elf::R_X86_64_32S;
    module.relocate(start.plus(11), this, RelocationFlags::Elf { r_type });
}

#[test]
fn replace_is_read_from_code() {
    let replace = |values: &[u8]| {
        let mut module = Module::livepatch();
        kpatch_func(&mut module, "vmlinux", "f", 0);
        for value in values {
            init_code(&mut module, *value);
        }
        let file = read(&module.finish());
        assert_eq!(file.unread, [""; 0]);
        file.replace
    };
    assert_eq!(replace(&[1]), Some(true));
    assert_eq!(replace(&[0]), Some(false));
    assert_eq!(replace(&[1, 1]), Some(true));
    assert_eq!(replace(&[1, 0]), None);
    assert_eq!(replace(&[2]), None);
    assert_eq!(replace(&[]), None);
}

/// The same bytes mean something else on another processor.
#[test]
fn code_of_other_processors_is_not_read() {
    let mut module = Module::livepatch_of(Architecture::Aarch64, Endianness::Little);
    kpatch_func(&mut module, "vmlinux", "f", 0);
    init_code(&mut module, 1);
    assert_eq!(read(&module.finish()).replace, None);
}
