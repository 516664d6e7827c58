//! Loads the BPF programs and attaches what the policy chooses.

use aya::{
    Btf, Ebpf,
    programs::{FEntry, Iter, KProbe, RawTracePoint},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    kernel::{Roots, kallsyms},
    model::{ObservedFact, snapshot::Probe},
};

use super::{
    CallCounters, Hooks, ProbeError, TaskIterator,
    error::is_locked_down,
    layout::Layout,
    loader,
    map_sizes::{self, MapUses},
    object::{self, program},
    patch_walk,
    policy::{self, EntryHook, HookKind, Tracepoint, probe},
    programs, stops,
    types::{KernelTypes, kernel_types},
    verdicts::Verdicts,
};

/// Options of loading.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Size of the event ring, in bytes; a power of two of at least a page.
    pub ring_buffer_bytes: Option<u32>,
    /// Let the programs log their own diagnostics.
    pub bpf_log: bool,
}

/// The iterator and the counters, without any hook on livepatch.
pub(super) const COUNTERS_ALONE: MapUses = MapUses {
    answers: false,
    calls: true,
    events: false,
};

/// Loads what a single look needs: the task iterator and, if `verdicts` are
/// requested and available, the hook on them.
///
/// # Errors
/// [`ProbeError`] says what is missing on this host.
pub fn load_task_iterator(
    roots: &Roots,
    verdicts: bool,
) -> Result<(TaskIterator, Vec<Probe>), ProbeError> {
    let types = kernel_types(roots)?;
    let layout = Layout::of_tasks(&types.for_layout)?;
    let uses = MapUses {
        answers: verdicts && answers(&types).is_ok(),
        calls: false,
        events: false,
    };
    let mut bpf = load_object(&types.for_loading, &layout, &LoadOptions::default(), uses)?;
    task_iterator(&mut bpf, &types.for_loading)?;
    let mut probes = Vec::new();
    if verdicts {
        probes.push(attach_verdicts(&mut bpf, &types));
    }
    let verdicts = watched_verdicts(&mut bpf, &probes)?;
    Ok((iterator(bpf, verdicts, false, &types)?, probes))
}

/// Loads the task iterator and the counters, and attaches nothing.
///
/// # Errors
/// [`ProbeError`] says what is missing on this host.
pub fn load_iterator_and_counters(
    roots: &Roots,
) -> Result<(TaskIterator, CallCounters), ProbeError> {
    let types = kernel_types(roots)?;
    let layout = Layout::of_tasks(&types.for_layout)?;
    let mut bpf = load_object(
        &types.for_loading,
        &layout,
        &LoadOptions::default(),
        COUNTERS_ALONE,
    )?;
    task_iterator(&mut bpf, &types.for_loading)?;
    // For `check`, which counts a few functions for a short time.
    let counters = CallCounters::new(&mut bpf, false, false)?;
    Ok((iterator(bpf, None, false, &types)?, counters))
}

fn iterator(
    bpf: Ebpf,
    verdicts: Option<Verdicts>,
    watches_ways: bool,
    types: &KernelTypes,
) -> Result<TaskIterator, ProbeError> {
    let mut iterator = TaskIterator::new(bpf, verdicts, watches_ways)?;
    iterator.unwinds_bpf = types.for_layout.has_function(policy::FRAMES_MARKER);
    Ok(iterator)
}

/// The verdicts' maps, if their hook is among `probes`.
fn watched_verdicts(bpf: &mut Ebpf, probes: &[Probe]) -> Result<Option<Verdicts>, ProbeError> {
    let watched = probes
        .iter()
        .any(|probe| probe.fact == ObservedFact::Verdict && probe.attached);
    watched.then(|| Verdicts::new(bpf)).transpose()
}

/// Loads the task iterator and all hooks.
///
/// # Errors
/// [`ProbeError`] says what is missing on this host. A hook that cannot be
/// attached is no error: it is listed as missing.
pub fn load_hooks(
    roots: &Roots,
    options: &LoadOptions,
    in_transition: bool,
) -> Result<(TaskIterator, Hooks), ProbeError> {
    let types = kernel_types(roots)?;
    let layout = Layout::of_tasks(&types.for_layout)?.with_hooks(&types.for_layout, roots);
    let uses = MapUses {
        answers: answers(&types).is_ok(),
        calls: true,
        events: true,
    };
    let mut bpf = load_object(&types.for_loading, &layout, options, uses)?;
    task_iterator(&mut bpf, &types.for_loading)?;
    programs::load(&mut bpf, &types.for_loading);
    patch_walk::load(&mut bpf, &types.for_loading);
    // The epoch is set before any hook can move it.
    let counters = CallCounters::new(&mut bpf, in_transition, may_group(&types))?;
    let mut probes = Vec::new();
    for hook in &policy::ENTRY_HOOKS {
        probes.push(match unusable(hook, &layout, roots) {
            Some(why) => probe(hook.fact, "none", hook.function, false, &[why]),
            None => attach(&mut bpf, hook, &types),
        });
    }
    for tracepoint in &policy::TRACEPOINTS {
        probes.push(attach_tracepoint(&mut bpf, tracepoint));
    }
    probes.push(attach_verdicts(&mut bpf, &types));
    let named = if layout.addresses.is_empty() {
        Err(no_addresses("report what stops the machine", roots))
    } else {
        Ok(())
    };
    probes.push(stops::attach(&mut bpf, &types.for_layout, named));
    let verdicts = watched_verdicts(&mut bpf, &probes)?;
    let marked = types.for_layout.has_function(policy::SHARING_MARKER);
    let shares = policy::sharing(marked, std::env::consts::ARCH).is_ok();
    let hooks = Hooks::new(&mut bpf, probes, counters, shares, options.bpf_log)?;
    let watches_ways = hooks.has(ObservedFact::Switched);
    let mut iterator = iterator(bpf, verdicts, watches_ways, &types)?;
    iterator.walks_patches = layout.walks_patches;
    Ok((iterator, hooks))
}

pub(super) fn load_object(
    btf: &Btf,
    layout: &Layout,
    options: &LoadOptions,
    uses: MapUses,
) -> Result<Ebpf, ProbeError> {
    let object = object::bytes().ok_or(ProbeError::NotBuilt)?;
    raise_limits();
    let mut loader = loader::new();
    loader.btf(Some(btf));
    for (name, offset) in &layout.offsets {
        loader.override_global(name, offset, true);
    }
    for (name, address) in &layout.addresses {
        loader.override_global(name, address, true);
    }
    map_sizes::set(&mut loader, uses)?;
    if let Some(bytes) = options.ring_buffer_bytes {
        loader.map_max_entries("EVENTS", bytes);
    }
    let level = if options.bpf_log { &u8::MAX } else { &0 };
    loader.override_global(aya_log::LEVEL, level, false);
    loader
        .load(object)
        .map_err(|error| ProbeError::new("load the BPF programs", &error))
}

/// Raises the limits of this process that BPF needs, as far as its rights allow.
pub fn raise_limits() {
    raise_memlock();
    raise_files();
}

/// Before 5.11 BPF maps count against `RLIMIT_MEMLOCK`. A failure shows when
/// the maps are created.
fn raise_memlock() {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    if getrlimit(Resource::Memlock) != unlimited {
        let _ = setrlimit(Resource::Memlock, unlimited);
    }
}

/// Each counter takes some files.
fn raise_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

pub(super) fn task_iterator(bpf: &mut Ebpf, btf: &Btf) -> Result<(), ProbeError> {
    let program: &mut Iter = program(bpf, "tasks")?;
    program
        .load("task", btf)
        .map_err(|error| ProbeError::new("load the BPF task iterator", &error))
}

/// Why a hook would report nothing: how a task switches is known only while the target
/// of the transition is.
fn unusable(hook: &EntryHook, layout: &Layout, roots: &Roots) -> Option<String> {
    let is_usable = hook.fact != ObservedFact::Switched || layout.knows_target();
    (!is_usable).then(|| no_addresses("count how tasks switch", roots))
}

/// Why the kernel's own variables cannot be read.
pub(super) fn no_addresses(action: &'static str, roots: &Roots) -> String {
    if is_locked_down() {
        return ProbeError::LockedDown { action }.to_string();
    }
    format!("cannot {action}: {}", kallsyms::why_hidden(roots))
}

/// Attaches the first kind that works; notes why each other did not.
fn attach(bpf: &mut Ebpf, hook: &EntryHook, types: &KernelTypes) -> Probe {
    let in_btf = types.for_layout.has_function(hook.function);
    let mut notes = Vec::new();
    if !in_btf {
        notes.push("not in the BTF, so no fentry".to_owned());
    }
    for kind in policy::choices(in_btf) {
        let attached = match kind {
            HookKind::Fentry => attach_fentry(bpf, hook, &types.for_loading),
            HookKind::Kprobe => attach_kprobe(bpf, hook),
        };
        match attached {
            Ok(()) => return probe(hook.fact, kind.name(), hook.function, true, &notes),
            Err(error) => notes.push(format!("{}: {error}", kind.name())),
        }
    }
    tracing::warn!(
        fact = hook.fact.name(),
        function = hook.function,
        ?notes,
        "no hook"
    );
    probe(hook.fact, "none", hook.function, false, &notes)
}

fn attach_fentry(bpf: &mut Ebpf, hook: &EntryHook, btf: &Btf) -> Result<(), ProbeError> {
    let program: &mut FEntry = program(bpf, hook.fentry)?;
    let attached = program
        .load(hook.function, btf)
        .and_then(|()| program.attach());
    attached
        .map(drop)
        .map_err(|error| ProbeError::new("attach fentry", &error))
}

fn attach_kprobe(bpf: &mut Ebpf, hook: &EntryHook) -> Result<(), ProbeError> {
    let program: &mut KProbe = program(bpf, hook.kprobe)?;
    let attached = program
        .load()
        .and_then(|()| program.attach(hook.function, 0));
    attached
        .map(drop)
        .map_err(|error| ProbeError::kprobe("attach a kprobe", &error))
}

fn attach_tracepoint(bpf: &mut Ebpf, tracepoint: &Tracepoint) -> Probe {
    let Tracepoint {
        fact,
        name,
        program: ours,
    } = tracepoint;
    let attached = program::<RawTracePoint>(bpf, ours).and_then(|program| {
        let attached = program.load().and_then(|()| program.attach(name));
        attached
            .map(drop)
            .map_err(|error| ProbeError::new("attach the tracepoint", &error))
    });
    let error = attached.as_ref().err().map(ToString::to_string);
    let notes: Vec<String> = error.into_iter().collect();
    probe(*fact, "raw_tracepoint", name, attached.is_ok(), &notes)
}

/// Whether the kernel's check of a task may be hooked, or why not.
fn answers(types: &KernelTypes) -> Result<(), &'static str> {
    let exists = types.for_layout.has_function(policy::VERDICT_FUNCTION);
    policy::verdicts(exists, std::env::consts::ARCH)
}

/// Whether many functions of the kernel may be hooked at once.
fn may_group(types: &KernelTypes) -> bool {
    policy::multi_here(|function| types.for_layout.has_function(function))
        .inspect_err(|why| tracing::debug!(why, "functions are hooked one by one"))
        .is_ok()
}

/// The entry and the return of the kernel's check, or neither.
fn attach_verdicts(bpf: &mut Ebpf, types: &KernelTypes) -> Probe {
    let attached = answers(types).map_err(str::to_owned).and_then(|()| {
        // The return first: an entry without a return would only cost time.
        ["check_kretprobe", "check_kprobe"]
            .into_iter()
            .try_for_each(|name| {
                let program: &mut KProbe = program(bpf, name).map_err(|error| error.to_string())?;
                let attached = program
                    .load()
                    .and_then(|()| program.attach(policy::VERDICT_FUNCTION, 0));
                attached
                    .map(drop)
                    .map_err(|error| ProbeError::kprobe("attach a kretprobe", &error).to_string())
            })
    });
    let notes: Vec<String> = attached.as_ref().err().cloned().into_iter().collect();
    let kind = if attached.is_ok() {
        "kretprobe"
    } else {
        "none"
    };
    probe(
        ObservedFact::Verdict,
        kind,
        policy::VERDICT_FUNCTION,
        attached.is_ok(),
        &notes,
    )
}
