//! What frees a task that is still on old code: a closed table.
//!
//! Each line is safe to follow and true wherever it is given. lpwatch prints
//! the commands in it and runs none. What concerns the whole transition, such
//! as not to force it, stands once in `next_steps`.

pub(super) mod elsewhere;

use std::time::Duration;

use super::{Blocker, Cause, Culprit, Direction, EngineKind, Phase, Reason};

/// How often the kernel signals the tasks left (`SIGNALS_TIMEOUT` tries, one
/// a second, kernel/livepatch/transition.c).
const SIGNAL_EVERY: u32 = 15;
/// So many signals in vain, and waiting for the next is no advice any more.
const ENOUGH_SIGNALS: u32 = 2;

/// The transition a task is in the way of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation<'a> {
    pub engine: EngineKind,
    pub patch: &'a str,
    pub direction: Direction,
    pub age: Option<Duration>,
    /// How often the kernel has signalled the tasks left.
    pub signals: Option<u32>,
}

impl Situation<'_> {
    /// How often the kernel has signalled, told or by age.
    fn signals(&self) -> u32 {
        let by_age = || self.age.map(|age| age.as_secs() / u64::from(SIGNAL_EVERY));
        self.signals
            .or_else(|| u32::try_from(by_age()?).ok())
            .unwrap_or(0)
    }

    /// Whether the signal has had its chance.
    fn signalled_in_vain(&self) -> bool {
        self.signals() >= ENOUGH_SIGNALS
    }

    /// When the kernel's next signal comes.
    fn when(&self) -> &'static str {
        if self.signals() == 0 {
            "15 s after the start"
        } else {
            "every 15 s"
        }
    }

    /// The command that turns the transition round.
    fn reversal(&self) -> String {
        let (verb, value) = match self.direction {
            Direction::Patching => ("take the patch back", 0),
            Direction::Unpatching => ("keep the patch", 1),
        };
        let path = quoted(&format!("/sys/kernel/livepatch/{}/enabled", self.patch));
        format!("{verb}: echo {value} > {path}")
    }
}

/// What frees this task; `None` until it has been looked into.
pub(super) fn advice(blocker: &Blocker, situation: &Situation<'_>) -> Option<String> {
    if situation.engine != EngineKind::Livepatch {
        return elsewhere::advice(situation.engine, blocker);
    }
    let advice = match blocker.reason? {
        // Neither the kernel's signal nor a check reaches a task that is not
        // to run at all.
        Reason::SleepingOnFunction | Reason::UnreliableStack | Reason::WaitingForSignal
            if matches!(blocker.state, Some('T' | 't')) && !blocker.kthread =>
        {
            stopped(blocker)
        }
        Reason::SleepingOnFunction | Reason::WaitingForSignal if blocker.kthread => {
            sleeping_kthread(blocker, situation)
        }
        Reason::SleepingOnFunction | Reason::WaitingForSignal => by_signal(blocker, situation),
        Reason::UnreliableStack => unreliable(blocker, situation),
        Reason::Uninterruptible => "No signal reaches it: it switches once what it waits for, \
             often I/O, is there. Its stack shows what that is."
            .to_owned(),
        Reason::Running if blocker.kthread => "It switches when the kernel finds it off its CPU \
             and out of the patched functions. Ease the load that keeps it busy."
            .to_owned(),
        Reason::Running => "It switches when it next returns to user space, or when the kernel \
             finds it off its CPU and out of the patched functions."
            .to_owned(),
        Reason::KvmVcpu => format!(
            "It switches when it leaves its guest for user space. The kernel's signal, {}, makes \
             it do so.",
            situation.when()
        ),
        Reason::Idle => idle(blocker),
        Reason::Pending => "Wait: the kernel tries again every second.".to_owned(),
    };
    Some(advice)
}

fn stopped(blocker: &Blocker) -> String {
    let tgid = blocker.tgid;
    if blocker.state == Some('t') {
        "A debugger holds it: it switches when the debugger lets it run on.".to_owned()
    } else {
        format!("It is stopped: it switches once it may run on (kill -CONT {tgid}).")
    }
}

/// The kernel only wakes kernel threads, and not those in state I.
fn sleeping_kthread(blocker: &Blocker, situation: &Situation<'_>) -> String {
    let reversal = situation.reversal();
    if in_main_function(blocker) {
        return format!(
            "It does not leave this function, its own main loop. To end this, {reversal}"
        );
    }
    if blocker.state == Some('I') {
        return format!(
            "It switches once its own work has woken it and it has left the function. If that \
             must be now, {reversal}"
        );
    }
    if situation.signalled_in_vain() {
        return format!(
            "The kernel wakes it every 15 s, so far in vain. If this must end now, {reversal}"
        );
    }
    "Wait: the kernel wakes it every 15 s, and it switches once it has left the function."
        .to_owned()
}

/// Whether the function in its way is the one the thread was started with:
/// the frame around it is then `kthread`'s.
fn in_main_function(blocker: &Blocker) -> bool {
    blocker
        .blocking_frame
        .and_then(|index| blocker.stack.get(index + 1))
        .is_some_and(|frame| frame.split('+').next() == Some("kthread"))
}

fn by_signal(blocker: &Blocker, situation: &Situation<'_>) -> String {
    if situation.signalled_in_vain() {
        return format!(
            "The kernel's signal has not moved it so far. {}",
            by_hand(blocker)
        );
    }
    format!(
        "Wait: the kernel signals it {}, and it switches on its way back to user space.",
        situation.when()
    )
}

/// What an operator's signal or restart does.
fn by_hand(blocker: &Blocker) -> String {
    let tgid = blocker.tgid;
    if tgid == 1 {
        // It ignores SIGSTOP, and it cannot be restarted.
        return "Leave process 1 alone: it switches when it next returns to user space.".to_owned();
    }
    format!(
        "Restart its service, or pause it for a moment: kill -STOP {tgid}; sleep 1; \
         kill -CONT {tgid}"
    )
}

/// A task asleep above a trampoline has to return through it once more, even
/// when what put the trampoline there is gone.
fn unreliable(blocker: &Blocker, situation: &Situation<'_>) -> String {
    let signal_helps =
        !blocker.kthread && blocker.state != Some('D') && !situation.signalled_in_vain();
    let stop = match blocker.cause {
        Some(Cause::BpfTrampoline) => Some(stop_program(blocker.program.as_ref())),
        Some(Cause::Kretprobe) => Some(stop_kretprobe(blocker)),
        Some(Cause::Unknown) | None => None,
    };
    match (stop, signal_helps) {
        (Some(stop), true) => format!(
            "Wait: the kernel's signal, {}, frees it. If more tasks get stuck there, {stop}.",
            situation.when()
        ),
        (Some(stop), false) => format!(
            "To free it, {stop}. It switches when it next returns from {}.",
            returns_from(blocker)
        ),
        (None, _) if blocker.kthread || blocker.state == Some('D') => {
            "The kernel looks again every second. The stack shows where it is.".to_owned()
        }
        (None, _) => by_signal(blocker, situation),
    }
}

fn returns_from(blocker: &Blocker) -> &str {
    let attached = blocker
        .program
        .as_ref()
        .and_then(|program| program.attached_to.as_deref());
    attached
        .or(blocker.function.as_deref())
        .unwrap_or("the traced function")
}

/// `stop loader (pid 311), which holds fexit program count_sleep (id 42)`
pub(crate) fn stop_program(program: Option<&Culprit>) -> String {
    let known = program.filter(|program| program.name.is_some() || program.id.is_some());
    let Some(program) = known else {
        let function = program.and_then(|program| program.attached_to.as_deref());
        let function = function.unwrap_or("that function");
        return format!("stop the BPF program on {function} (bpftool link list shows them)");
    };
    let what = described(program);
    match (owner(program), &program.pinned) {
        (Some(owner), None) => format!("stop {owner}, which holds {what}"),
        (Some(owner), Some(pin)) => {
            format!("stop {owner}, which holds {what}, and rm {}", quoted(pin))
        }
        (None, Some(pin)) => format!("remove the pin that holds {what}: rm {}", quoted(pin)),
        (None, None) => match program.id {
            Some(id) => format!("stop what holds {what} (bpftool prog show id {id})"),
            None => format!("stop what holds {what} (bpftool link list)"),
        },
    }
}

/// The process to stop; process 1 is none that can be.
pub(crate) fn owner(program: &Culprit) -> Option<String> {
    if program.owner_pid == Some(1) {
        return None;
    }
    match (program.owner_comm.as_deref(), program.owner_pid) {
        (Some(comm), Some(pid)) => Some(format!("{comm} (pid {pid})")),
        (Some(comm), None) => Some(comm.to_owned()),
        (None, Some(pid)) => Some(format!("process {pid}")),
        (None, None) => None,
    }
}

/// `fexit program count_sleep (id 42)`
pub(crate) fn described(program: &Culprit) -> String {
    let kind = program.kind.as_deref().unwrap_or("BPF");
    let name = program
        .name
        .as_deref()
        .map(|name| format!(" {name}"))
        .unwrap_or_default();
    let id = program
        .id
        .map(|id| format!(" (id {id})"))
        .unwrap_or_default();
    format!("{kind} program{name}{id}")
}

fn stop_kretprobe(blocker: &Blocker) -> String {
    let probe = blocker.program.as_ref();
    let name = probe.and_then(|probe| probe.name.as_deref()).map_or_else(
        || "the kretprobe".to_owned(),
        |name| format!("kretprobe {name}"),
    );
    let on = probe
        .and_then(|probe| probe.attached_to.as_deref())
        .map(|function| format!(" on {function}"))
        .unwrap_or_default();
    format!("stop what placed {name}{on} (see /sys/kernel/debug/kprobes/list)")
}

/// The name of an idle task ends in the number of its CPU.
fn idle(blocker: &Blocker) -> String {
    let cpu = blocker
        .comm
        .strip_prefix("swapper/")
        .and_then(|cpu| cpu.parse::<u32>().ok());
    let wake = cpu
        .map(|cpu| format!(" (taskset -c {cpu} true wakes it)"))
        .unwrap_or_default();
    format!("An idle CPU switches when it next wakes{wake}.")
}

/// A path as the shell takes it.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_-.,:@%+=".contains(c);
    if path.chars().all(is_plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
