//! Reads the tasks, from the BPF iterator or from /proc, and inspects each that
//! is left.

use std::time::Duration;

use crate::{
    engine::{frame, inspect, task},
    kernel::{
        ReadError, Roots,
        kallsyms::{self, Symbolizer},
        tasks::read_tasks,
    },
    model::{
        Direction, ObservedFact, Task, TaskSample,
        evidence::{ForeignFrame, Frame, Suspect},
        snapshot::{Probe, Source},
    },
    probe::{CulpritFinder, FRAMES_MARKER, TaskFilter, TaskIterator},
};

/// Tasks that /proc is read for one by one; for further ones only the data of
/// the pass over all tasks is known.
const ASKED: usize = 1024;

/// The same when all tasks of the host are inspected, once.
const ASKED_OF_ALL: usize = 65_536;

/// Up to this many stacks are read from /proc, which has names: that takes about
/// 10 us each, at every look, and reading all symbols of the kernel tens of
/// milliseconds, once.
const FEW: usize = 128;

/// Finding the holder of a program reads every process, so not every second.
const KNOWN_FOR: Duration = Duration::from_secs(10);

/// Reads the tasks.
pub(super) struct TaskSource {
    iterator: Option<Box<TaskIterator>>,
    symbols: Symbolizer,
    /// Why BPF is not used, if it is not.
    no_bpf: String,
    /// The owners of foreign frames, and since when they are known.
    culprits: Option<(Duration, CulpritFinder)>,
    /// Whether the kernel's unwinder knows the frames of BPF, once it is known.
    unwinds_bpf: Option<bool>,
}

/// A look at the tasks, and what was missing from it.
#[derive(Debug, Default)]
pub struct TaskReading {
    pub sample: Option<TaskSample>,
    /// Whether the kernel's unwinder knows the frames of BPF; `None` if no stack
    /// has one.
    pub unwinds_bpf: Option<bool>,
    pub notes: Vec<String>,
}

impl TaskSource {
    /// `iterator`, or why BPF is not used.
    pub fn new(iterator: Result<TaskIterator, String>) -> Self {
        let (iterator, no_bpf) = match iterator {
            Ok(iterator) => (Some(iterator), String::new()),
            Err(why) => (None, why),
        };
        Self {
            no_bpf,
            unwinds_bpf: iterator.as_ref().map(TaskIterator::unwinds_bpf),
            iterator: iterator.map(Box::new),
            symbols: Symbolizer::default(),
            culprits: None,
        }
    }

    /// The BPF side, or why there is none.
    pub fn iterator(&mut self) -> Result<&mut TaskIterator, &str> {
        self.iterator.as_deref_mut().ok_or(&self.no_bpf)
    }

    pub fn source(&self) -> Source {
        if self.iterator.is_some() {
            Source::Bpf
        } else {
            Source::Procfs
        }
    }

    pub fn has_verdicts(&self) -> bool {
        self.iterator
            .as_ref()
            .is_some_and(|iterator| iterator.has_verdicts())
    }

    /// How many tasks have switched, ever; `None` if not every way to is hooked.
    pub fn switched(&self) -> Option<u64> {
        let iterator = self.iterator.as_ref()?;
        Some(iterator.switched()?.all())
    }

    pub fn probe(&self) -> Probe {
        let (kind, target) = match self.source() {
            Source::Bpf => ("iter", "task"),
            Source::Procfs | Source::Sysfs | Source::Prometheus => {
                ("procfs", "/proc/<pid>/task/<tid>/patch_state")
            }
        };
        Probe {
            fact: ObservedFact::Tasks,
            kind: kind.to_owned(),
            target: target.to_owned(),
            attached: true,
            note: None,
        }
    }

    /// Modules and BPF programs may have changed: names are looked up again.
    pub fn forget_symbols(&mut self) {
        self.symbols.forget();
    }

    /// Looks at all tasks, through /proc if the iterator fails. With `into` it
    /// inspects each that is left, otherwise it only counts them.
    pub fn look(
        &mut self,
        roots: &Roots,
        direction: Direction,
        at: Duration,
        into: bool,
    ) -> TaskReading {
        self.look_at(roots, TaskFilter::Left(direction), at, into)
    }

    /// Inspects every task, in a transition or not: the sample contains all of
    /// them, as if a patch that is being applied had left them all.
    pub fn look_at_all(&mut self, roots: &Roots, at: Duration) -> TaskReading {
        self.look_at(roots, TaskFilter::All, at, true)
    }

    fn look_at(
        &mut self,
        roots: &Roots,
        wanted: TaskFilter,
        at: Duration,
        into: bool,
    ) -> TaskReading {
        let most = asked(wanted);
        let mut notes = Vec::new();
        if let Some(iterator) = &mut self.iterator {
            match iterator.look(wanted, at, into) {
                Ok(look) => {
                    let switched = iterator.switched();
                    notes.extend(not_all(look.remaining.len(), into, most));
                    let asked = if into { most } else { 0 };
                    let mut remaining = self.with_stacks(roots, look.remaining, asked, &mut notes);
                    self.name_suspects(roots, &mut remaining, at, &mut notes);
                    let total = look.total;
                    let sample = TaskSample {
                        at,
                        direction: direction_of(wanted),
                        total: Some(total),
                        remaining,
                        unread: 0,
                        switched,
                    };
                    return TaskReading {
                        unwinds_bpf: self.unwinds_bpf(roots, &sample.remaining),
                        sample: Some(sample),
                        notes,
                    };
                }
                Err(error) => notes.push(format!("The tasks were read from /proc: {error}.")),
            }
        }
        let (mut sample, note) = look_at_procfs(roots, wanted, at, into);
        notes.extend(note);
        if let Some(sample) = &mut sample {
            notes.extend(not_all(sample.remaining.len(), into, most));
            self.name_suspects(roots, &mut sample.remaining, at, &mut notes);
        }
        let remaining = sample.iter().flat_map(|sample| &sample.remaining);
        TaskReading {
            unwinds_bpf: self.unwinds_bpf(roots, remaining),
            sample,
            notes,
        }
    }

    /// Whether the kernel's unwinder knows the frames of BPF: only if one of these
    /// tasks has such a frame, because without BPF all symbols are read for it.
    fn unwinds_bpf<'a>(
        &mut self,
        roots: &Roots,
        tasks: impl IntoIterator<Item = &'a Task>,
    ) -> Option<bool> {
        let is_bpf = |frame: &Frame| {
            let kind = ForeignFrame::of(frame);
            kind.is_some_and(|kind| kind != ForeignFrame::Kretprobe)
        };
        let mut frames = tasks.into_iter().flat_map(|task| &task.evidence.stack);
        frames.any(is_bpf).then(|| {
            *self.unwinds_bpf.get_or_insert_with(|| {
                kallsyms::find_names(roots, &[FRAMES_MARKER])
                    .is_ok_and(|found| found.addresses.contains_key(FRAMES_MARKER))
            })
        })
    }

    /// Finds the owners of the foreign frames on the tasks' stacks.
    fn name_suspects(
        &mut self,
        roots: &Roots,
        tasks: &mut [Task],
        at: Duration,
        notes: &mut Vec<String>,
    ) {
        let foreign = |task: &Task| {
            let stack = task.evidence.stack.iter();
            stack.map(ForeignFrame::of).any(|kind| kind.is_some())
        };
        if !tasks.iter().any(foreign) {
            return;
        }
        let known = self
            .culprits
            .take()
            .filter(|(since, _)| at.saturating_sub(*since) < KNOWN_FOR);
        let (since, mut finder) = known.unwrap_or_else(|| (at, self.new_finder(roots)));
        for task in tasks.iter_mut().filter(|task| foreign(task)) {
            task.evidence.suspects = suspects(&mut finder, &task.evidence.stack);
        }
        notes.extend(finder.notes().iter().cloned());
        self.culprits = Some((since, finder));
    }

    fn new_finder(&mut self, roots: &Roots) -> CulpritFinder {
        let programs = match &mut self.iterator {
            Some(iterator) => iterator.programs().map_err(|error| error.to_string()),
            None => Err(self.no_bpf.clone()),
        };
        CulpritFinder::new(roots, programs)
    }

    /// Names the functions on the tasks' stacks; for the first `most` tasks the
    /// rest comes from /proc.
    ///
    /// If the tasks are few, their stacks come from /proc as well.
    fn with_stacks(
        &mut self,
        roots: &Roots,
        mut tasks: Vec<(Task, Vec<u64>)>,
        most: usize,
        notes: &mut Vec<String>,
    ) -> Vec<Task> {
        let few = tasks.len() <= most.min(FEW);
        if few {
            let own = std::process::id();
            for (task, addresses) in &mut tasks {
                // This process runs just now, and never blocks a transition for long.
                let is_named = inspect(roots, task) && !task.evidence.stack.is_empty();
                if is_named || task.tgid == own {
                    addresses.clear();
                }
            }
        }
        notes.extend(self.learn(roots, &tasks));
        let tasks = tasks.into_iter().enumerate();
        let tasks = tasks.map(|(index, (mut task, addresses))| {
            if !addresses.is_empty() {
                let located = addresses.iter();
                let located = located.filter_map(|address| self.symbols.locate(*address));
                task.evidence.stack = located.cloned().map(frame).collect();
            }
            if index < most && !few {
                inspect(roots, &mut task);
            }
            // For the others only the kernel's answer can be known.
            let known = index < most || task.evidence.answers.is_some();
            task.evidence.looked = most > 0 && known;
            task
        });
        tasks.collect()
    }

    /// Looks up the addresses on the stacks; returns what is missing then.
    fn learn(&mut self, roots: &Roots, tasks: &[(Task, Vec<u64>)]) -> Option<String> {
        let addresses = tasks.iter().flat_map(|(_, stack)| stack.iter().copied());
        if let Err(error) = self.symbols.learn(roots, addresses) {
            return Some(format!("Stacks are read from /proc: {error}."));
        }
        self.symbols.is_hidden().then(|| {
            let why = kallsyms::why_hidden(roots);
            format!("Stacks are read from /proc, of the first tasks only: {why}.")
        })
    }
}

/// The note if there are more tasks than are inspected one by one.
fn not_all(left: usize, into: bool, most: usize) -> Option<String> {
    (into && left > most)
        .then(|| format!("Only the first {most} of {left} tasks were inspected one by one."))
}

/// The number of tasks that are inspected one by one.
fn asked(wanted: TaskFilter) -> usize {
    match wanted {
        TaskFilter::Left(_) => ASKED,
        TaskFilter::All => ASKED_OF_ALL,
    }
}

/// The direction of a sample.
fn direction_of(wanted: TaskFilter) -> Direction {
    match wanted {
        TaskFilter::Left(direction) => direction,
        TaskFilter::All => Direction::Patching,
    }
}

fn suspects(finder: &mut CulpritFinder, stack: &[Frame]) -> Vec<Suspect> {
    let functions: Vec<&str> = stack.iter().map(|frame| frame.symbol.as_str()).collect();
    let foreign = stack
        .iter()
        .enumerate()
        .filter(|(_, frame)| ForeignFrame::of(frame).is_some());
    let suspects = foreign.map(|(index, frame)| Suspect {
        frame: index,
        culprits: finder.of_frame(&frame.symbol, &functions),
    });
    suspects.collect()
}

fn look_at_procfs(
    roots: &Roots,
    wanted: TaskFilter,
    at: Duration,
    into: bool,
) -> (Option<TaskSample>, Option<String>) {
    let target = match wanted {
        TaskFilter::Left(direction) => Some(direction.target_state()),
        TaskFilter::All => None,
    };
    let listing = match read_tasks(roots, target) {
        Ok(listing) => listing,
        Err(error) => return (None, Some(unread(&error))),
    };
    // Every host and every container has a process 1: without it others are hidden.
    let hides = roots.is_live() && !roots.procfs.join("1").exists();
    let unread = listing.unreadable.max(u32::from(hides));
    let note = match listing.unreadable {
        _ if hides => Some(
            "Tasks of other users are hidden (/proc is mounted with hidepid); to see all, run as \
             root, or give lpwatch CAP_SYS_PTRACE."
                .to_owned(),
        ),
        0 => None,
        count => Some(format!(
            "{count} tasks could not be read and may be left, too; run as root to see all."
        )),
    };
    let mut remaining: Vec<Task> = listing.remaining.into_iter().map(task).collect();
    let most = if into { asked(wanted) } else { 0 };
    let mut closed = 0;
    for task in remaining.iter_mut().take(most) {
        let is_read = inspect(roots, task);
        // Who runs just now shows it by its state.
        let is_known = is_read || task.evidence.state == Some('R');
        closed += u32::from(!is_known && is_there(roots, task));
        task.evidence.looked = is_known;
    }
    let note = note.or_else(|| (closed > 0).then(|| NO_STACKS.to_owned()));
    let sample = TaskSample {
        at,
        direction: direction_of(wanted),
        total: (!hides).then_some(listing.total),
        remaining,
        unread,
        switched: None,
    };
    (Some(sample), note)
}

/// The kernel asks for both (`proc_pid_stack`, fs/proc/base.c).
const NO_STACKS: &str = "Why tasks have not switched is unknown: without BPF, their stacks are read \
    from /proc/TID/stack, which takes CAP_SYS_ADMIN and CAP_SYS_PTRACE.";

/// Whether the task still exists.
fn is_there(roots: &Roots, task: &Task) -> bool {
    roots.procfs.join(task.tgid.to_string()).exists()
}

fn unread(error: &ReadError) -> String {
    format!("The tasks left are unknown: {error}.")
}
