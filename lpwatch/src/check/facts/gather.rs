//! Reads all facts of a host.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    engine,
    error::Error,
    kernel::{Roots, btf::KernelBtf, host::Host, kallsyms::keep_symbols, patch_file::PatchFile},
    model::{
        PatchView,
        prediction::{PredictionContext, predict_blockers},
    },
    observe::observer::{Observer, ObserverOptions},
    probe::CallCounters,
};

use super::{
    CheckFacts, as_view,
    disk::Disk,
    hooks::HookFacts,
    kernel::KernelFacts,
    objects::{ObjectFacts, ObjectQuery},
    rates::{Counting, Rates},
    real_time::RealTimeFacts,
    tasks::TaskFacts,
};

/// The time between two samples of all tasks, and the least number of samples.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
const LOOKS: u32 = 3;

/// Why BPF is not used where the tasks are not inspected.
const NOT_SUPPORTED: &str = "BPF is not used, because this kernel does not support live patching";
const IN_TRANSITION: &str = "BPF is not used, so as not to disturb the transition in progress";
const NO_COUNTERS: &str = "the counters could not be loaded";

/// What to read, and how.
#[derive(Clone, Debug)]
pub struct GatherOptions {
    pub observer: ObserverOptions,
    /// How long to sample the tasks.
    pub sample: Duration,
    /// The folder of the file to check; it may contain other patch files.
    pub beside: Option<PathBuf>,
    /// The call rates that a daemon has measured.
    pub counted: Rates,
    /// A function with more than this many calls a second is hot; `None` for the
    /// default.
    pub hot: Option<f64>,
}

/// Reads all facts that the rules need for this patch; calls `progress` at each
/// step.
///
/// # Errors
/// sysfs cannot be read.
pub fn gather(
    options: &GatherOptions,
    patch: &PatchFile,
    progress: &mut dyn FnMut(&str),
) -> Result<CheckFacts, Error> {
    let roots = &options.observer.roots;
    let mut notes = Vec::new();
    // All parts below then share one reading of the kernel's types.
    let types = KernelBtf::open(roots).ok().flatten();
    let host = Host::of(roots);
    let disk = Disk::of(roots, &host.release, options.beside.as_deref());
    let systems = engine::read_all(roots)?;
    let patches = (!systems.present.is_empty()).then_some(systems.patches);
    progress("reading the kernel's symbols");
    let symbols = keep_symbols(roots);
    let objects = ObjectFacts::gather(&ObjectQuery {
        roots,
        disk: &disk,
        patch,
        patches: patches.as_deref().unwrap_or_default(),
    });
    let mut looker = looker(&options.observer, patches.as_deref(), &mut notes);
    progress("searching for hooks on the functions");
    let iterator = match &mut looker {
        Some((looker, _)) => looker.iterator(),
        None if patches.is_none() => Err(NOT_SUPPORTED),
        None => Err(IN_TRANSITION),
    };
    let hooks = HookFacts::gather(roots, patch, &objects, iterator, &mut notes);
    // Modules may come and go while the tasks are sampled.
    drop(symbols);
    let tasks = match looker {
        Some((mut looker, counters)) => {
            let sampler = TaskSampler {
                options,
                patch,
                loaded: patches.as_deref().unwrap_or_default(),
                objects: &objects,
            };
            let bpf = looker
                .iterator()
                .and_then(|iterator| Ok((counters.ok_or(NO_COUNTERS)?, iterator)));
            let mut counting =
                Counting::begin(roots, patch, &objects, &options.counted, bpf, &mut notes);
            let mut facts = sampler.look(&mut looker, &mut counting, &mut notes, progress);
            facts.rates = counting.end();
            drop(types);
            facts
        }
        None => TaskFacts {
            rates: options.counted.clone(),
            ..TaskFacts::default()
        },
    };
    Ok(CheckFacts {
        kernel: KernelFacts::gather(roots, &host, &disk),
        host,
        patches,
        objects,
        hooks,
        tasks: TaskFacts {
            nohz_full: nohz_full(roots),
            hot: options.hot,
            ..tasks
        },
        real_time: RealTimeFacts::gather(roots),
        notes,
    })
}

/// The observer that samples the tasks; `None` where that is not possible or
/// not useful.
fn looker(
    options: &ObserverOptions,
    patches: Option<&[PatchView]>,
    notes: &mut Vec<String>,
) -> Option<(Observer, Option<CallCounters>)> {
    let Some(patches) = patches else {
        notes.push(
            "The tasks were not inspected, because this kernel does not support live patching."
                .to_owned(),
        );
        return None;
    };
    if patches.iter().any(|patch| patch.in_transition) {
        notes.push(
            "The tasks were not inspected, so as not to disturb the transition in progress."
                .to_owned(),
        );
        return None;
    }
    let (looker, counters) = Observer::for_looks(options);
    notes.extend(looker.model().facts().notes.iter().cloned());
    Some((looker, counters))
}

/// The inputs of a task sampling.
struct TaskSampler<'a> {
    options: &'a GatherOptions,
    patch: &'a PatchFile,
    loaded: &'a [PatchView],
    objects: &'a ObjectFacts,
}

impl TaskSampler<'_> {
    /// Samples all tasks for the requested time.
    fn look(
        &self,
        looker: &mut Observer,
        counting: &mut Counting,
        notes: &mut Vec<String>,
        progress: &mut dyn FnMut(&str),
    ) -> TaskFacts {
        let mut facts = TaskFacts::default();
        let view = as_view(self.patch);
        let started = Instant::now();
        loop {
            progress("sampling all tasks");
            let look_began = Instant::now();
            let looked = looker.look_at_all();
            for note in looked.notes {
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            let Some(mut sample) = looked.sample else {
                break;
            };
            // This process is no blocker: it ends before the patch is loaded.
            let own = std::process::id();
            sample.remaining.retain(|task| task.tgid != own);
            let before = PredictionContext {
                patch: &view,
                loaded: self.loaded,
                code: &self.objects.stand_ins,
                traits: looker.model().facts().traits,
            };
            facts.source = Some(looker.model().facts().source);
            facts.seconds = started.elapsed().as_secs_f64();
            facts.unread = sample.unread;
            facts.add(
                sample.total.unwrap_or_default(),
                predict_blockers(&sample, &before),
            );
            if started.elapsed() >= self.options.sample && facts.looks >= LOOKS {
                break;
            }
            counting.update(&self.options.observer.roots, notes);
            thread::sleep(BETWEEN_LOOKS.saturating_sub(look_began.elapsed()));
        }
        facts
    }
}

fn nohz_full(roots: &Roots) -> Option<String> {
    let path = roots.sysfs.join("devices/system/cpu/nohz_full");
    let text = std::fs::read_to_string(path).ok()?;
    let cpus = text.trim();
    // The kernel prints "(null)" where none is configured.
    (!cpus.is_empty() && cpus != "(null)").then(|| cpus.to_owned())
}
