//! The life of a transition: entry hooks on the kernel's livepatch functions.
//!
//! Each hook exists as fentry and as kprobe. User space loads the one that this
//! kernel allows. All are entry hooks, so no frame of lpwatch stays on a stack.
//!
//! The error of a refused patch comes from the tracepoint `initcall_finish`, which
//! has the return value of the module's init function. A return probe on
//! `klp_enable_patch` would do harm: on 5.10 it makes the stack of the loading task
//! unreliable, and so delays the transition that lpwatch watches.

use aya_ebpf::{
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
        generated::bpf_ktime_get_boot_ns,
    },
    macros::{fentry, kprobe, map, raw_tracepoint},
    maps::{LruHashMap, PerCpuArray, RingBuf},
    programs::{FEntryContext, ProbeContext, RawTracePointContext},
};
use aya_log_ebpf::debug;
use lpwatch_common::{
    COMM_LEN, PATCH_NAME_LEN,
    transition::{DIRECTION_UNKNOWN, REPLACE_UNKNOWN, TransitionKind, TransitionRecord},
};

use crate::{calls, kernel, verdicts};

/// A transition writes about one record a second, so 64 KiB hold ten minutes.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(64 * 1024, 0);

/// Records that were lost because [`EVENTS`] was full.
#[map]
static EVENTS_LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Threads inside the init function of a livepatch module, and its patch.
/// Loading is serialised in practice; 64 leaves room for threads that died.
#[map]
static ENABLING: LruHashMap<u32, [u8; PATCH_NAME_LEN]> = LruHashMap::with_max_entries(64, 0);

/// What a hook reads of its patch.
struct PatchFacts {
    name: [u8; PATCH_NAME_LEN],
    replace: u32,
}

/// What a hook knows beyond what every record carries.
struct HookEvent {
    kind: TransitionKind,
    direction: i32,
    errno: i32,
    replace: u32,
    patch: [u8; PATCH_NAME_LEN],
}

impl HookEvent {
    /// An event of the current transition.
    fn now(kind: TransitionKind) -> Self {
        let patch = kernel::transition_patch();
        Self {
            kind,
            direction: kernel::target_state(),
            errno: 0,
            replace: kernel::patch_replace(patch),
            patch: kernel::patch_name(patch),
        }
    }

    fn begun(patch: PatchFacts, state: i32) -> Self {
        let PatchFacts { name, replace } = patch;
        Self {
            kind: TransitionKind::Begun,
            direction: state,
            errno: 0,
            replace,
            patch: name,
        }
    }

    fn refused(patch: [u8; PATCH_NAME_LEN], errno: i32) -> Self {
        Self {
            kind: TransitionKind::Refused,
            direction: DIRECTION_UNKNOWN,
            errno,
            replace: REPLACE_UNKNOWN,
            patch,
        }
    }

    /// Something that happens to a module.
    fn of_module(kind: TransitionKind, module: *const u8) -> Self {
        Self {
            kind,
            direction: DIRECTION_UNKNOWN,
            errno: 0,
            replace: REPLACE_UNKNOWN,
            patch: kernel::module_name(module),
        }
    }

    fn send(self) {
        let Some(mut entry) = EVENTS.reserve::<TransitionRecord>(0) else {
            count_loss();
            return;
        };
        let Self {
            kind,
            direction,
            errno,
            replace,
            patch,
        } = self;
        entry.write(TransitionRecord {
            // SAFETY: the helper has no preconditions.
            boot_ns: unsafe { bpf_ktime_get_boot_ns() },
            kind: kind as u32,
            direction,
            errno,
            tries: kernel::tries(),
            replace,
            tid: current_tid(),
            comm: bpf_get_current_comm().unwrap_or([0; COMM_LEN]),
            patch,
            epoch: calls::epoch(),
            uid: current_uid(),
            login_uid: kernel::login_uid(),
            padding: 0,
        });
        entry.submit(0);
    }
}

fn count_loss() {
    if let Some(lost) = EVENTS_LOST.get_ptr_mut(0) {
        // SAFETY: a valid pointer to this CPU's own element.
        unsafe { *lost += 1 };
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half of pid_tgid is the thread id"
)]
fn current_tid() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half of uid_gid is the user"
)]
fn current_uid() -> u32 {
    bpf_get_current_uid_gid() as u32
}

fn enabling(name: [u8; PATCH_NAME_LEN]) {
    // A full map evicts its oldest entry, so this cannot fail for good.
    let _ = ENABLING.insert(current_tid(), name, 0);
}

fn begun(patch: PatchFacts, state: i32) {
    calls::transition_begins();
    verdicts::forget();
    HookEvent::begun(patch, state).send();
}

fn complete() {
    // All tasks have switched: the patches alone decide which code a call runs.
    calls::transition_ends();
    HookEvent::now(TransitionKind::Complete).send();
}

fn reversed() {
    verdicts::forget();
    HookEvent::now(TransitionKind::Reversed).send();
}

macro_rules! entry_hooks {
    ($($fentry:ident, $kprobe:ident, $what:literal: |$ctx:ident $(, $args:ident)?| $body:expr;)*) => {$(
        #[fentry]
        pub fn $fentry($ctx: FEntryContext) -> u32 {
            debug!(&$ctx, $what);
            $(let $args = FentryArgs(&$ctx);)?
            $body;
            0
        }

        #[kprobe]
        pub fn $kprobe($ctx: ProbeContext) -> u32 {
            debug!(&$ctx, $what);
            $(let $args = KprobeArgs(&$ctx);)?
            $body;
            0
        }
    )*};
}

struct FentryArgs<'a>(&'a FEntryContext);

impl FentryArgs<'_> {
    #[inline(always)]
    fn patch_name(&self, n: usize) -> [u8; PATCH_NAME_LEN] {
        // SAFETY: the verifier knows the types of the hooked function's arguments.
        unsafe { kernel::typed_patch_name(self.0.arg(n)) }
    }

    #[inline(always)]
    fn patch(&self, n: usize) -> PatchFacts {
        PatchFacts {
            name: self.patch_name(n),
            // SAFETY: as above.
            replace: unsafe { kernel::typed_patch_replace(self.0.arg(n)) },
        }
    }

    fn int(&self, n: usize) -> i32 {
        self.0.arg(n)
    }
}

struct KprobeArgs<'a>(&'a ProbeContext);

impl KprobeArgs<'_> {
    fn patch_name(&self, n: usize) -> [u8; PATCH_NAME_LEN] {
        kernel::patch_name(self.pointer(n))
    }

    fn patch(&self, n: usize) -> PatchFacts {
        PatchFacts {
            name: self.patch_name(n),
            replace: kernel::patch_replace(self.pointer(n)),
        }
    }

    fn pointer(&self, n: usize) -> *const u8 {
        self.0.arg(n).unwrap_or(core::ptr::null())
    }

    fn int(&self, n: usize) -> i32 {
        self.0.arg(n).unwrap_or(DIRECTION_UNKNOWN)
    }
}

entry_hooks! {
    enable_fentry, enable_kprobe, "klp_enable_patch": |ctx, args| enabling(args.patch_name(0));
    begun_fentry, begun_kprobe, "klp_init_transition": |ctx, args|
        begun(args.patch(0), args.int(1));
    try_fentry, try_kprobe, "klp_try_complete_transition": |ctx|
        HookEvent::now(TransitionKind::Try).send();
    complete_fentry, complete_kprobe, "klp_complete_transition": |ctx|
        complete();
    reversed_fentry, reversed_kprobe, "klp_reverse_transition": |ctx|
        reversed();
    forced_fentry, forced_kprobe, "klp_force_transition": |ctx|
        HookEvent::now(TransitionKind::Forced).send();
    cancelled_fentry, cancelled_kprobe, "klp_cancel_transition": |ctx|
        HookEvent::now(TransitionKind::Cancelled).send();
}

/// `initcall_finish(initcall_t func, int ret)` (include/trace/events/initcall.h).
#[raw_tracepoint]
pub fn init_finished(ctx: RawTracePointContext) -> i32 {
    let tid = current_tid();
    // SAFETY: the element is copied at once; only this thread writes its key.
    let Some(patch) = (unsafe { ENABLING.get(tid) }).copied() else {
        return 0;
    };
    let _ = ENABLING.remove(tid);
    let errno: i32 = ctx.arg(1);
    if errno < 0 {
        HookEvent::refused(patch, errno).send();
    }
    0
}

/// `module_load(struct module *mod)` (include/trace/events/module.h): its
/// functions can be hooked from here on.
#[raw_tracepoint]
pub fn module_loaded(ctx: RawTracePointContext) -> i32 {
    HookEvent::of_module(TransitionKind::ModuleLoaded, ctx.arg(0)).send();
    0
}

/// `module_free(struct module *mod)`.
#[raw_tracepoint]
pub fn module_freed(ctx: RawTracePointContext) -> i32 {
    HookEvent::of_module(TransitionKind::ModuleFreed, ctx.arg(0)).send();
    0
}
