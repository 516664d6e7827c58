//! Reads all facts of a host.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    daemon::observer::{Observer, ObserverOptions},
    engine,
    error::Error,
    kernel::{Roots, host::Host, patch_file::PatchFile},
    model::{PatchView, evidence::Traits, foresee::foresee},
};

use super::{
    Facts, as_view,
    disk::Disk,
    hooks::HookFacts,
    kernel::KernelFacts,
    objects::{Look, ObjectFacts},
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
    let patches = engine::read_all(roots)?;
    progress("reading the kernel's symbols");
    let objects = ObjectFacts::gather(&Look {
        roots,
        disk: &disk,
        patch,
        patches: patches.as_deref().unwrap_or_default(),
    });
    let mut looker = looker(&how.observer, patches.as_deref(), &mut notes);
    progress("looking for hooks on the functions");
    let iterator = looker.as_mut().and_then(Observer::iterator);
    let hooks = HookFacts::gather(roots, patch, &objects, iterator, &mut notes);
    let tasks = match &mut looker {
        Some(looker) => {
            let loaded = patches.as_deref().unwrap_or_default();
            look(looker, how.sample, patch, loaded, &mut notes, progress)
        }
        None => TaskFacts::default(),
    };
    Ok(Facts {
        kernel: KernelFacts::gather(roots, &host, &disk),
        host,
        patches,
        objects,
        hooks,
        tasks: TaskFacts {
            nohz_full: nohz_full(roots),
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
) -> Option<Observer> {
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
    let looker = Observer::for_looks(options);
    notes.extend(looker.model().facts.notes.iter().cloned());
    Some(looker)
}

/// Looks at all tasks for that long.
fn look(
    looker: &mut Observer,
    time: Duration,
    patch: &PatchFile,
    loaded: &[PatchView],
    notes: &mut Vec<String>,
    progress: &mut dyn FnMut(&str),
) -> TaskFacts {
    let mut facts = TaskFacts::default();
    let view = as_view(patch);
    let traits: Traits = looker.model().facts.traits;
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
        facts.add(
            sample.total.unwrap_or_default(),
            foresee(&sample, &view, loaded, traits),
        );
        if started.elapsed() >= time && facts.looks >= LOOKS {
            break;
        }
        thread::sleep(BETWEEN_LOOKS.saturating_sub(look_began.elapsed()));
    }
    facts
}

fn nohz_full(roots: &Roots) -> Option<String> {
    let path = roots.sysfs.join("devices/system/cpu/nohz_full");
    let text = std::fs::read_to_string(path).ok()?;
    let cpus = text.trim();
    // The kernel prints "(null)" where none is configured.
    (!cpus.is_empty() && cpus != "(null)").then(|| cpus.to_owned())
}
