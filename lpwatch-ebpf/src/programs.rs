//! The BPF programs of the host, and the links that attach them. They show who owns
//! the trampoline on a blocked task's stack.
//!
//! Iterators need the same capabilities as the hooks (`CAP_BPF` and `CAP_PERFMON`).
//! To list programs by id (`BPF_PROG_GET_NEXT_ID`) needs `CAP_SYS_ADMIN`. The
//! iterator over programs exists since 5.9, the one over links since 5.19. In 5.19
//! the attachment moved from the program to its link.

use aya_ebpf::{
    Global,
    bindings::seq_file,
    helpers::{bpf_probe_read_kernel_str_bytes, generated::bpf_seq_write},
};
use lpwatch_common::program::{
    ATTACHED_NO, ATTACHED_UNKNOWN, ATTACHED_YES, FUNCTION_NAME_LEN, LinkRecord, PROGRAM_NAME_LEN,
    ProgramRecord, TAG_LEN,
};

use crate::kernel::{ABSENT_OFFSET, constants, read_member};

constants! {
    /// `struct bpf_prog.aux`
    OFF_PROG_AUX: u32 = ABSENT_OFFSET;
    /// `struct bpf_prog.type`
    OFF_PROG_TYPE: u32 = ABSENT_OFFSET;
    /// `struct bpf_prog.expected_attach_type`
    OFF_PROG_ATTACH_TYPE: u32 = ABSENT_OFFSET;
    /// `struct bpf_prog.tag`
    OFF_PROG_TAG: u32 = ABSENT_OFFSET;
    /// `struct bpf_prog_aux.id`
    OFF_AUX_ID: u32 = ABSENT_OFFSET;
    /// `struct bpf_prog_aux.name`
    OFF_AUX_NAME: u32 = ABSENT_OFFSET;
    /// `struct bpf_prog_aux.attach_btf_id`
    OFF_AUX_FUNCTION: u32 = ABSENT_OFFSET;
    /// `struct bpf_prog_aux.attach_btf`, since 5.11
    OFF_AUX_BTF: u32 = ABSENT_OFFSET;
    /// `struct bpf_prog_aux.attach_func_name`
    OFF_AUX_FUNCTION_NAME: u32 = ABSENT_OFFSET;
    /// `struct bpf_prog_aux.ksym`
    OFF_AUX_KSYM: u32 = ABSENT_OFFSET;
    /// `struct bpf_ksym.name`
    OFF_KSYM_NAME: u32 = ABSENT_OFFSET;
    /// `struct bpf_prog_aux.tramp_hlist`, before 5.19
    OFF_AUX_NODE: u32 = ABSENT_OFFSET;
    /// `struct hlist_node.pprev`
    OFF_NODE_PREVIOUS: u32 = ABSENT_OFFSET;
    /// `struct btf.id`
    OFF_BTF_ID: u32 = ABSENT_OFFSET;
    /// `struct bpf_link.type`
    OFF_LINK_TYPE: u32 = ABSENT_OFFSET;
    /// `struct bpf_link.id`
    OFF_LINK_ID: u32 = ABSENT_OFFSET;
    /// `struct bpf_link.prog`
    OFF_LINK_PROG: u32 = ABSENT_OFFSET;
    /// `struct bpf_tracing_link.trampoline`; its link is its first member
    OFF_LINK_TRAMPOLINE: u32 = ABSENT_OFFSET;
    /// `struct bpf_trampoline.key`
    OFF_TRAMPOLINE_KEY: u32 = ABSENT_OFFSET;
}

/// `BPF_LINK_TYPE_TRACING` (include/uapi/linux/bpf.h).
const LINK_TRACING: u32 = 2;

/// The beginning of `struct bpf_iter_meta` (include/linux/bpf.h).
#[repr(C)]
struct Meta {
    seq: *mut seq_file,
}

/// `struct bpf_iter__bpf_prog` (`kernel/bpf/prog_iter.c`) and
/// `struct bpf_iter__bpf_link` (`kernel/bpf/link_iter.c`); the object is null once all
/// have been shown.
#[repr(C)]
pub struct IterObject {
    meta: *const Meta,
    object: *const u8,
}

/// # Safety
/// `ctx` must be the iterator's context as the kernel gives it.
#[inline(always)]
pub unsafe fn parts(ctx: *const IterObject) -> (*mut seq_file, *const u8) {
    // SAFETY: see above; the verifier knows the context's pointers.
    unsafe { ((*(*ctx).meta).seq, (*ctx).object) }
}

/// If there is no room, the kernel shows the same object again.
#[inline(always)]
fn write<T>(seq: *mut seq_file, record: &T) {
    let bytes: *const T = record;
    // SAFETY: `record` is initialised, has no padding (its size is asserted)
    // and is as long as the length given.
    unsafe { bpf_seq_write(seq, bytes.cast(), size_of::<T>() as u32) };
}

/// The object that a pointer in the member at `offset` leads to, or null.
fn follow(base: *const u8, offset: &Global<u32>) -> *const u8 {
    read_member(base, offset).unwrap_or(core::ptr::null())
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_prog")]
pub extern "C" fn programs(ctx: *const IterObject) -> i32 {
    // SAFETY: `ctx` is the kernel's.
    let (seq, program) = unsafe { parts(ctx) };
    if program.is_null() {
        return 0;
    }
    let aux = follow(program, &OFF_PROG_AUX);
    write(
        seq,
        &ProgramRecord {
            id: read_member(aux, &OFF_AUX_ID).unwrap_or(0),
            kind: read_member(program, &OFF_PROG_TYPE).unwrap_or(0),
            attach_type: read_member(program, &OFF_PROG_ATTACH_TYPE).unwrap_or(0),
            attached: attached(aux),
            function: read_member(aux, &OFF_AUX_FUNCTION).unwrap_or(0),
            btf: read_member(follow(aux, &OFF_AUX_BTF), &OFF_BTF_ID).unwrap_or(0),
            tag: read_member(program, &OFF_PROG_TAG).unwrap_or([0; TAG_LEN]),
            name: read_member(aux, &OFF_AUX_NAME).unwrap_or([0; PROGRAM_NAME_LEN]),
            function_name: string(follow(aux, &OFF_AUX_FUNCTION_NAME)),
            symbol_name: string(symbol_name(aux)),
        },
    );
    0
}

/// A node that is in no list has no predecessor (`hlist_unhashed`).
fn attached(aux: *const u8) -> u32 {
    let node = OFF_AUX_NODE.load();
    if node == ABSENT_OFFSET {
        return ATTACHED_UNKNOWN;
    }
    match read_member::<u64>(aux.wrapping_add(node as usize), &OFF_NODE_PREVIOUS) {
        Some(0) => ATTACHED_NO,
        Some(_) => ATTACHED_YES,
        None => ATTACHED_UNKNOWN,
    }
}

/// The start of the name in `bpf_prog_<tag>_<name>`, or null.
fn symbol_name(aux: *const u8) -> *const u8 {
    const BEFORE: usize = "bpf_prog_".len() + 2 * TAG_LEN + "_".len();
    let (ksym, name) = (OFF_AUX_KSYM.load(), OFF_KSYM_NAME.load());
    if aux.is_null() || ksym == ABSENT_OFFSET || name == ABSENT_OFFSET {
        return core::ptr::null();
    }
    aux.wrapping_add(ksym as usize + name as usize + BEFORE)
}

fn string(text: *const u8) -> [u8; FUNCTION_NAME_LEN] {
    let mut name = [0; FUNCTION_NAME_LEN];
    if !text.is_null() {
        // A failed read leaves the name empty.
        // SAFETY: the helper checks the address and fails rather than faults.
        let _ = unsafe { bpf_probe_read_kernel_str_bytes(text, &mut name) };
    }
    name
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_link")]
pub extern "C" fn links(ctx: *const IterObject) -> i32 {
    // SAFETY: `ctx` is the kernel's.
    let (seq, link) = unsafe { parts(ctx) };
    if link.is_null() || read_member(link, &OFF_LINK_TYPE) != Some(LINK_TRACING) {
        return 0;
    }
    let aux = follow(follow(link, &OFF_LINK_PROG), &OFF_PROG_AUX);
    let trampoline = follow(link, &OFF_LINK_TRAMPOLINE);
    // Without a key it is attached to no trampoline.
    let Some(key) = read_member(trampoline, &OFF_TRAMPOLINE_KEY) else {
        return 0;
    };
    write(
        seq,
        &LinkRecord {
            key,
            id: read_member(link, &OFF_LINK_ID).unwrap_or(0),
            program: read_member(aux, &OFF_AUX_ID).unwrap_or(0),
        },
    );
    0
}
