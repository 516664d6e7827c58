//! Tests the counters on a kernel function that only reads a number: the entry of
//! getppid(2).

use std::time::{Duration, Instant};

use rustix::process::getppid;

use crate::{
    kernel::{
        Roots,
        btf::KernelBtf,
        kallsyms::{self, Symbol, VMLINUX},
        offers::{Offers, Rights},
    },
    model::{
        PatchView,
        doctor::{Calibration, CounterOutcome, CounterTrial, FactSource},
    },
    probe::{self, CountAt, CountKind, CountersAlone, ProgramIds, SHARING_MARKER, program_ids},
};

use super::{DoctorOptions, in_transition, readiness::is_ftrace_off};

/// The names of the function, for each processor.
const NAMES: [&str; 6] = [
    "__do_sys_getppid",
    "__x64_sys_getppid",
    "__arm64_sys_getppid",
    "__s390x_sys_getppid",
    "__se_sys_getppid",
    "sys_getppid",
];

const CALLS: u32 = 1000;

/// The number of calls in one timed batch.
const BATCH: u32 = 100;

/// The number of attempts: calls of other processes can disturb a trial.
const TRIES: usize = 3;

/// The kernel frees a program a little later than its last user closes it.
const FREED_WITHIN: Duration = Duration::from_secs(5);

/// Tests each kind of counter that the policy uses on this host.
pub(super) fn calibrate(
    options: &DoctorOptions,
    host: &Offers,
    patches: &[PatchView],
) -> Calibration {
    let tried =
        not_to_try(options, host, patches).map_or_else(|| try_all(&options.roots, patches), Err);
    tried.unwrap_or_else(|why| Calibration {
        function: None,
        call: "getppid".to_owned(),
        trials: Vec::new(),
        left_behind: None,
        not_tried: Some(why),
    })
}

fn not_to_try(options: &DoctorOptions, host: &Offers, patches: &[PatchView]) -> Option<String> {
    let patch = in_transition(patches);
    let why = match () {
        () if !options.roots.is_live() => "a recorded tree is read",
        () if options.no_bpf => "BPF is disabled (--no-bpf)",
        () if !host.livepatch => {
            "this kernel does not support live patching, so its tasks have no patch state for the counters"
        }
        () if is_ftrace_off(host) => "ftrace is switched off",
        () if host.rights.as_ref().and_then(Rights::may_trace) == Some(false) => {
            "no permission to load BPF programs; run lpwatch as root"
        }
        () => {
            return patch.map(|patch| {
                format!("{patch} is in transition; try again when the transition has ended")
            });
        }
    };
    Some(why.to_owned())
}

fn try_all(roots: &Roots, patches: &[PatchView]) -> Result<Calibration, String> {
    let types = KernelBtf::open(roots).ok().flatten();
    let types = types.ok_or("the kernel has no BTF, which BPF needs")?;
    let (function, address) = function(roots, &types, patches)?;
    let before = program_ids();
    let mut counters = CountersAlone::load(roots).map_err(|error| error.to_string())?;
    let plain_ns = per_call();
    let mut during = before.clone();
    let mut trial = |kind| {
        let at = CountAt {
            address,
            symbol: function.clone(),
            kind,
        };
        try_one(&mut counters, &at, plain_ns, &mut during)
    };
    let kprobe = trial(CountKind::Kprobe);
    let fentry = match probe::sharing(types.has_function(SHARING_MARKER)) {
        Ok(()) => trial(CountKind::Fentry),
        Err(why) => CounterTrial {
            why: Some(format!("not used here: {why}")),
            ..unjudged(CountKind::Fentry, CounterOutcome::NotTried)
        },
    };
    drop(counters);
    Ok(Calibration {
        function: Some(function),
        call: "getppid".to_owned(),
        trials: vec![kprobe, fentry],
        left_behind: left_behind(before, during),
        not_tried: None,
    })
}

/// The function and its address.
fn function(
    roots: &Roots,
    types: &KernelBtf,
    patches: &[PatchView],
) -> Result<(String, u64), String> {
    let names = NAMES.map(|name| Symbol {
        object: VMLINUX.to_owned(),
        name: name.to_owned(),
    });
    let found = kallsyms::find_functions(roots, &names, &[]).map_err(|error| error.to_string())?;
    if found.hidden {
        return Err("the kernel hides its symbols' addresses (kptr_restrict)".to_owned());
    }
    let mut known: Vec<(&str, u64)> = names
        .iter()
        .filter_map(|symbol| match found.addresses.get(symbol)?[..] {
            [address] => Some((symbol.name.as_str(), address)),
            _ => None,
        })
        .collect();
    // fentry needs the name in the BTF, a kprobe accepts any.
    known.sort_by_key(|(name, _)| !types.has_function(name));
    let (name, address) = *known
        .first()
        .ok_or("the entry function of getppid(2) was not found")?;
    let patched = patches
        .iter()
        .flat_map(|patch| &patch.objects)
        .any(|object| {
            let mut functions = object.functions.iter();
            functions.any(|(function, _)| known.iter().any(|(name, _)| function == name))
        });
    if patched {
        return Err(format!("a live patch changes {name}, the test function"));
    }
    Ok((name.to_owned(), address))
}

/// Counts some calls, and repeats if calls of other processes disturb the count.
/// Adds the programs that exist meanwhile to `programs`.
fn try_one(
    counters: &mut CountersAlone,
    at: &CountAt,
    plain_ns: f64,
    programs: &mut Option<ProgramIds>,
) -> CounterTrial {
    let mut best: Option<CounterTrial> = None;
    for _ in 0..TRIES {
        let counted = counters.count(at, || {
            let nanoseconds = per_call();
            if let Some(programs) = programs {
                programs.extend(program_ids().unwrap_or_default());
            }
            nanoseconds
        });
        let trial = match counted {
            Ok((counted_ns, counted)) => CounterTrial {
                counted: Some(counted),
                plain_ns: Some(plain_ns),
                counted_ns: Some(counted_ns),
                ..unjudged(at.kind, CounterOutcome::of(CALLS.into(), counted))
            },
            Err(error) => CounterTrial {
                why: Some(error.to_string()),
                ..unjudged(at.kind, CounterOutcome::Failed)
            },
        };
        let again = trial.outcome == CounterOutcome::WithOthers;
        if best
            .as_ref()
            .is_none_or(|best| trial.counted < best.counted)
        {
            best = Some(trial);
        }
        if !again {
            break;
        }
    }
    best.unwrap_or_else(|| unjudged(at.kind, CounterOutcome::NotTried))
}

fn unjudged(kind: CountKind, outcome: CounterOutcome) -> CounterTrial {
    CounterTrial {
        kind: match kind {
            CountKind::Fentry => FactSource::Fentry,
            CountKind::Kprobe | CountKind::KprobeMulti => FactSource::Kprobe,
        },
        outcome,
        calls: CALLS.into(),
        counted: None,
        plain_ns: None,
        counted_ns: None,
        why: None,
    }
}

/// Makes all calls. Returns the nanoseconds for one call in the fastest batch,
/// because first runs and interruptions take longer.
fn per_call() -> f64 {
    let batches = (0..CALLS / BATCH).map(|_| {
        let started = Instant::now();
        for _ in 0..BATCH {
            std::hint::black_box(getppid());
        }
        started.elapsed()
    });
    let fastest = batches.min().unwrap_or_default();
    fastest.as_secs_f64() * 1e9 / f64::from(BATCH)
}

/// How many of our programs still exist; `None` if unknown.
fn left_behind(before: Option<ProgramIds>, during: Option<ProgramIds>) -> Option<u32> {
    let before = before?;
    let ours: ProgramIds = during?.difference(&before).copied().collect();
    let deadline = Instant::now() + FREED_WITHIN;
    loop {
        let left = program_ids()?.intersection(&ours).count();
        if left == 0 || Instant::now() > deadline {
            return u32::try_from(left).ok();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
