//! Reads all facts of a host.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    engine,
    error::Error,
    kernel::{Roots, host::Host, patch_file::PatchFile},
    model::{
        PatchView,
        foresee::{Before, foresee},
    },
    observe::observer::{Observer, ObserverOptions},
    probe::CallCounters,
};

use super::{
    Facts, as_view,
    disk::Disk,
    hooks::HookFacts,
    kernel::KernelFacts,
    objects::{Look, ObjectFacts},
    rates::{Counting, Rates},
    tasks::TaskFacts,
};

/// Looks at all tasks are that far apart, and no fewer than that many.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
const LOOKS: u32 = 3;

/// How to look.
#[derive(Clone, Debug)]
pub struct How {
    pub observer: ObserverOptions,
    /// For how long the tasks are looked at.
    pub sample: Duration,
    /// The folder of the file that is checked: others may lie beside it.
    pub beside: Option<PathBuf>,
    /// What a daemon has counted.
    pub counted: Rates,
    /// Calls a second from which on a function is hot; `None` for the usual.
    pub hot: Option<f64>,
}

/// Reads what matters for this patch; `progress` is told of each step.
///
/// # Errors
/// sysfs cannot be read.
pub fn gather(
    how: &How,
    patch: &PatchFile,
    progress: &mut dyn FnMut(&str),
) -> Result<Facts, Error> {
    let roots = &how.observer.roots;
    let mut notes = Vec::new();
    let host = Host::of(roots);
    let disk = Disk::of(roots, &host.release, how.beside.as_deref());
    let systems = engine::read_all(roots)?;
    let patches = (!systems.present.is_empty()).then_some(systems.patches);
    progress("reading the kernel's symbols");
    let objects = ObjectFacts::gather(&Look {
        roots,
        disk: &disk,
        patch,
        patches: patches.as_deref().unwrap_or_default(),
    });
    let mut looker = looker(&how.observer, patches.as_deref(), &mut notes);
    progress("looking for hooks on the functions");
    let iterator = looker.as_mut().and_then(|(looker, _)| looker.iterator());
    let hooks = HookFacts::gather(roots, patch, &objects, iterator, &mut notes);
    let tasks = match looker {
        Some((mut looker, counters)) => {
            let about = About {
                how,
                patch,
                loaded: patches.as_deref().unwrap_or_default(),
                objects: &objects,
            };
            let bpf = counters.zip(looker.iterator());
            let mut counting =
                Counting::begin(roots, patch, &objects, &how.counted, bpf, &mut notes);
            let mut facts = about.look(&mut looker, &mut counting, &mut notes, progress);
            facts.rates = counting.end();
            facts
        }
        None => TaskFacts {
            rates: how.counted.clone(),
            ..TaskFacts::default()
        },
    };
    Ok(Facts {
        kernel: KernelFacts::gather(roots, &host, &disk),
        host,
        patches,
        objects,
        hooks,
        tasks: TaskFacts {
            nohz_full: nohz_full(roots),
            hot: how.hot,
            ..tasks
        },
        notes,
    })
}

/// What looks at the tasks, where that can be done and says something.
fn looker(
    options: &ObserverOptions,
    patches: Option<&[PatchView]>,
    notes: &mut Vec<String>,
) -> Option<(Observer, Option<CallCounters>)> {
    let Some(patches) = patches else {
        notes.push(
            "This kernel has no live patching: what its tasks do says nothing, so they were not \
             looked at."
                .to_owned(),
        );
        return None;
    };
    if patches.iter().any(|patch| patch.in_transition) {
        notes.push(
            "A transition is under way: the tasks were not looked at, so as not to be in its way."
                .to_owned(),
        );
        return None;
    }
    let (looker, counters) = Observer::for_looks(options);
    notes.extend(looker.model().facts().notes.iter().cloned());
    Some((looker, counters))
}

/// What the tasks are looked at for.
struct About<'a> {
    how: &'a How,
    patch: &'a PatchFile,
    loaded: &'a [PatchView],
    objects: &'a ObjectFacts,
}

impl About<'_> {
    /// Looks at all tasks for as long as is asked for.
    fn look(
        &self,
        looker: &mut Observer,
        counting: &mut Counting,
        notes: &mut Vec<String>,
        progress: &mut dyn FnMut(&str),
    ) -> TaskFacts {
        let mut facts = TaskFacts::default();
        let view = as_view(self.patch);
        let before = Before {
            patch: &view,
            loaded: self.loaded,
            code: &self.objects.stand_ins,
            traits: looker.model().facts().traits,
        };
        let started = Instant::now();
        loop {
            progress("looking at what all tasks do");
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
            // We are no obstacle: this process ends first.
            let own = std::process::id();
            sample.remaining.retain(|task| task.tgid != own);
            facts.seconds = started.elapsed().as_secs_f64();
            facts.add(sample.total.unwrap_or_default(), foresee(&sample, &before));
            if started.elapsed() >= self.how.sample && facts.looks >= LOOKS {
                break;
            }
            counting.turn(&self.how.observer.roots, notes);
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
