//! What frees a task that is still on old code: a closed table.
//!
//! Each advice is safe to follow and true wherever it is given. lpwatch prints
//! the commands in it and runs none. What concerns the whole transition, such
//! as not to force it, is in `next_steps`.
//!
//! An advice is one or two sentences. A command follows on a line of its own, so
//! that it can be copied. Names come from elsewhere and are escaped: a newline in
//! one must not look like the start of a command.

pub(super) mod other_engines;
pub(super) mod outlook;

use std::time::Duration;

use super::{
    Blocker, Cause, Culprit, Direction, EngineKind, Phase, Reason, TaskKind, evidence::calls_main,
};
use crate::text::{printable, quoted};
use outlook::{is_stopped, never_leaves_main, signal_frees};

/// Seconds between two signals of the kernel to the tasks left
/// (`SIGNALS_TIMEOUT` tries, one a second, kernel/livepatch/transition.c).
const SIGNAL_EVERY: u32 = 15;
/// After this many signals without effect the advice is no longer to wait for
/// the next one.
const ENOUGH_SIGNALS: u32 = 2;

/// The transition that a task blocks.
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
    /// How often the kernel has signalled: as counted, or as the age implies.
    fn signals(&self) -> u32 {
        let by_age = || self.age.map(|age| age.as_secs() / u64::from(SIGNAL_EVERY));
        self.signals
            .or_else(|| u32::try_from(by_age()?).ok())
            .unwrap_or(0)
    }

    /// Whether the kernel's signal has had no effect so far.
    fn signalled_in_vain(&self) -> bool {
        self.signals() >= ENOUGH_SIGNALS
    }

    /// When the kernel's next signal comes.
    fn next_signal(&self) -> &'static str {
        if self.signals() == 0 {
            "15 s after the start"
        } else {
            "every 15 s"
        }
    }
}

/// The command that reverses a transition of livepatch.
pub(super) fn reversal(patch: &str, direction: Direction) -> String {
    let value = match direction {
        Direction::Patching => 0,
        Direction::Unpatching => 1,
    };
    let path = quoted(&format!("/sys/kernel/livepatch/{patch}/enabled"));
    format!("echo {value} > {path}")
}

/// What frees this task; `None` until it has been inspected.
pub(super) fn advice(blocker: &Blocker, situation: &Situation<'_>) -> Option<String> {
    if situation.engine != EngineKind::Livepatch {
        return other_engines::advice(situation.engine, blocker);
    }
    let advice = match blocker.reason? {
        _ if never_leaves_main(blocker) => never_leaves(blocker, situation),
        Reason::SleepingOnFunction | Reason::UnreliableStack | Reason::WaitingForSignal
            if is_stopped(blocker) =>
        {
            stopped(blocker)
        }
        Reason::SleepingOnFunction | Reason::WaitingForSignal if blocker.kthread => {
            sleeping_kthread(blocker, situation)
        }
        Reason::SleepingOnFunction | Reason::WaitingForSignal
            if blocker.kind() == TaskKind::UserWorker =>
        {
            sleeping_worker(blocker, situation)
        }
        Reason::SleepingOnFunction | Reason::WaitingForSignal => by_signal(blocker, situation),
        Reason::UnreliableStack => unreliable(blocker, situation),
        Reason::NoUnwindData => no_unwind_data(blocker, situation),
        Reason::Uninterruptible => uninterruptible(blocker),
        Reason::Running if !blocker.kind().is_user() => {
            "It switches when the kernel finds it off its CPU \
             and outside the patched functions. Reduce the load that keeps it busy."
                .to_owned()
        }
        Reason::Running => "It switches when it next returns to user space, or when the kernel \
             finds it off its CPU and outside the patched functions."
            .to_owned(),
        Reason::KvmVcpu => format!(
            "It switches when it leaves its guest for user space. The kernel's signal, {}, makes \
             it do so.",
            situation.next_signal()
        ),
        Reason::Idle => idle(blocker),
        Reason::Pending => "Wait: the kernel tries again every second.".to_owned(),
    };
    Some(advice)
}

fn stopped(blocker: &Blocker) -> String {
    let tgid = blocker.tgid;
    if blocker.state == Some('t') {
        "A debugger holds it. It switches once the debugger lets it continue.".to_owned()
    } else {
        format!("It is stopped. It switches once it continues:\nkill -CONT {tgid}")
    }
}

/// The kernel only wakes kernel threads, and not those in state I.
fn sleeping_kthread(blocker: &Blocker, situation: &Situation<'_>) -> String {
    let reversal = reversal(situation.patch, situation.direction);
    if blocker.state == Some('I') {
        return format!(
            "It switches once its own work has woken it and it has left the function. To end the \
             transition now, reverse it:\n{reversal}"
        );
    }
    if blocker.kind() == TaskKind::Kworker {
        return work_item(blocker, situation);
    }
    if situation.signalled_in_vain() {
        return format!(
            "It sleeps until it has work: the kernel wakes it every 15 s, so far without effect. To \
             end the transition now, reverse it:\n{reversal}"
        );
    }
    "Wait: the kernel wakes it every 15 s. It switches once it has left the function.".to_owned()
}

/// A worker of a workqueue leaves a function of its work item when that ends. The
/// workers belong to the kernel: none can be stopped.
fn work_item(blocker: &Blocker, situation: &Situation<'_>) -> String {
    let runs = |frame: &String| frame.starts_with("process_one_work+");
    let runs = blocker.stack.iter().position(runs);
    let item = runs.and_then(|index| blocker.stack.get(index.checked_sub(1)?));
    let item = item.map(|frame| frame.split('+').next().unwrap_or(frame));
    let item = item.map_or_else(String::new, |function| format!(" {}", printable(function)));
    // `kworker/u8:1+writeback`; behind a minus is the workqueue of its last work.
    let queue = blocker.comm.split_once('+');
    let queue = queue.map_or_else(String::new, |(_, queue)| {
        format!(" of workqueue {}", printable(queue))
    });
    if situation.signalled_in_vain() {
        let reversal = reversal(situation.patch, situation.direction);
        return format!(
            "Its work item{item}{queue} stays in the function. To end the transition now, reverse \
             it:\n{reversal}"
        );
    }
    format!(
        "Wait: the kernel wakes it every 15 s. It switches once its work item{item}{queue} has left \
         the function."
    )
}

/// Some such sleeps can be killed, which /proc does not show. The kernel's signal in
/// a transition does not end any of them.
fn uninterruptible(blocker: &Blocker) -> String {
    match &blocker.vfork_child {
        Some(child) => format!(
            "It waits for its child {} (pid {}), which it started by vfork. It switches once the \
             child runs another program or ends.",
            printable(&child.comm),
            child.pid
        ),
        None => "The kernel's signal does not reach it. It switches once what it waits for, often \
                 I/O, completes; its stack shows what that is."
            .to_owned(),
    }
}

/// What is asleep in its own main function stays there.
fn never_leaves(blocker: &Blocker, situation: &Situation<'_>) -> String {
    let reversal = reversal(situation.patch, situation.direction);
    let owner = match blocker.kind() {
        TaskKind::UserWorker => format!(
            "It ends with process {}, for which it works. To end the transition without that",
            blocker.tgid
        ),
        _ => "To end the transition".to_owned(),
    };
    format!("It does not leave this function, its own main loop. {owner}, reverse it:\n{reversal}")
}

/// The kernel's signal wakes a user worker (`set_notify_signal`), and the request
/// that it works on fails: with EINTR on 6.1 and 6.12, with 512 on 5.10.223 (Debian,
/// with the `io_uring` of 5.15) and 7.2.13. On 5.10 the worker then runs without a pause
/// until the kernel finds it off its CPU, because its signal stays pending as long as
/// the transition does (`recalc_sigpending`, kernel/signal.c).
fn sleeping_worker(blocker: &Blocker, situation: &Situation<'_>) -> String {
    let tgid = blocker.tgid;
    if situation.signalled_in_vain() {
        let reversal = reversal(situation.patch, situation.direction);
        return format!(
            "The kernel's signal has not moved it so far. It ends with process {tgid}, for which \
             it works. To end the transition without that, reverse it:\n{reversal}"
        );
    }
    format!(
        "Wait: the kernel's signal, {}, wakes it. The request of process {tgid} that it works on \
         then fails (EINTR, on 5.10 and 7.x error 512).",
        situation.next_signal()
    )
}

/// Whether the blocking function is the one that the kernel thread or user worker
/// was started with.
pub(crate) fn in_main_function(blocker: &Blocker) -> bool {
    !blocker.kind().is_user()
        && blocker
            .blocking_frame
            .and_then(|index| blocker.stack.get(index + 1))
            .is_some_and(|frame| calls_main(frame.split('+').next().unwrap_or_default()))
}

fn by_signal(blocker: &Blocker, situation: &Situation<'_>) -> String {
    if situation.signalled_in_vain() {
        return format!(
            "The kernel's signal has not moved it so far. {}",
            by_hand(blocker)
        );
    }
    format!(
        "Wait: the kernel signals it {}. It switches on its way back to user space.",
        situation.next_signal()
    )
}

/// What an operator can do about a user task.
fn by_hand(blocker: &Blocker) -> String {
    let tgid = blocker.tgid;
    if tgid == 1 {
        // It ignores SIGSTOP, and it cannot be restarted.
        return "Leave process 1 alone: it switches when it next returns to user space.".to_owned();
    }
    format!(
        "Restart its service, or pause it for a moment:\n\
         kill -STOP {tgid} && sleep 1 && kill -CONT {tgid}"
    )
}

/// A task asleep above a trampoline has to return through it once more, even
/// after the program that placed the trampoline has ended.
fn unreliable(blocker: &Blocker, situation: &Situation<'_>) -> String {
    let signal_helps = signal_frees(blocker, situation);
    let (stop, command) = match blocker.cause {
        Some(Cause::BpfTrampoline) => (
            stop_program(blocker.program.as_ref()),
            stop_command(blocker.program.as_ref()),
        ),
        Some(Cause::Kretprobe) => (
            stop_kretprobe(blocker),
            Some("cat /sys/kernel/debug/kprobes/list".to_owned()),
        ),
        Some(Cause::Unknown) | None if blocker.kthread || blocker.state == Some('D') => {
            return "The kernel checks it again every second. The stack shows where it is."
                .to_owned();
        }
        Some(Cause::Unknown) | None if blocker.kind() == TaskKind::UserWorker => {
            return sleeping_worker(blocker, situation);
        }
        Some(Cause::Unknown) | None => return by_signal(blocker, situation),
    };
    let sentences = if signal_helps {
        format!(
            "Wait: the kernel's signal, {}, frees it. If more tasks get stuck there, {stop}.",
            situation.next_signal()
        )
    } else {
        format!(
            "To free it, {stop}. It switches when it next returns from {}.",
            returns_from(blocker)
        )
    };
    match command {
        Some(command) => format!("{sentences}\n{command}"),
        None => sentences,
    }
}

/// Nothing but its own way out of that code frees it: waiting is no advice.
fn no_unwind_data(blocker: &Blocker, situation: &Situation<'_>) -> String {
    let (code, user) = match blocker.blocking_module().map(printable) {
        Some(module) => (
            format!("the code of module {module}"),
            "what uses the module",
        ),
        None => ("that code".to_owned(), "what uses it"),
    };
    format!(
        "It switches only when it leaves {code}. Stop {user}, or reverse the transition:\n{}",
        reversal(situation.patch, situation.direction)
    )
}

fn returns_from(blocker: &Blocker) -> String {
    let attached = blocker
        .program
        .as_ref()
        .and_then(|program| program.attached_to.as_deref());
    attached
        .or(blocker.function.as_deref())
        .map_or_else(|| "the traced function".to_owned(), printable)
}

/// `stop loader (pid 311), which holds fexit program count_sleep (id 42)`
pub(crate) fn stop_program(program: Option<&Culprit>) -> String {
    let Some(program) = program.filter(|program| is_named(program)) else {
        let function = program.and_then(|program| program.attached_to.as_deref());
        let function = function.map_or_else(|| "that function".to_owned(), printable);
        return format!("find and stop the BPF program on {function}");
    };
    let what = described(program);
    match (owner(program), &program.pinned) {
        (Some(owner), None) => format!("stop {owner}, which holds {what}"),
        (Some(owner), Some(_)) => {
            format!("stop {owner}, which holds {what}, and remove the program's pin")
        }
        (None, Some(_)) => format!("remove the pin that holds {what}"),
        (None, None) => format!("find and stop what holds {what}"),
    }
}

/// The command that goes with [`stop_program`]: it removes the pin, or shows who
/// holds the program.
pub(crate) fn stop_command(program: Option<&Culprit>) -> Option<String> {
    let Some(program) = program.filter(|program| is_named(program)) else {
        return Some("bpftool link list".to_owned());
    };
    match (owner(program), &program.pinned, program.id) {
        (_, Some(pin), _) => Some(format!("rm {}", quoted(pin))),
        (Some(_), None, _) => None,
        (None, None, Some(id)) => Some(format!("bpftool prog show id {id}")),
        (None, None, None) => Some("bpftool link list".to_owned()),
    }
}

fn is_named(program: &Culprit) -> bool {
    program.name.is_some() || program.id.is_some()
}

/// The process to stop. Process 1 cannot be stopped.
pub(crate) fn owner(program: &Culprit) -> Option<String> {
    if program.owner_pid == Some(1) {
        return None;
    }
    let comm = program.owner_comm.as_deref().map(printable);
    match (comm, program.owner_pid) {
        (Some(comm), Some(pid)) => Some(format!("{comm} (pid {pid})")),
        (Some(comm), None) => Some(comm),
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
    printable(&format!("{kind} program{name}{id}"))
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
    printable(&format!("find and stop the tool that placed {name}{on}"))
}

/// The name of an idle task ends in the number of its CPU.
fn idle(blocker: &Blocker) -> String {
    let cpu = blocker
        .comm
        .strip_prefix("swapper/")
        .and_then(|cpu| cpu.parse::<u32>().ok());
    match cpu {
        Some(cpu) => {
            format!("An idle CPU switches when it next wakes. To wake it:\ntaskset -c {cpu} true")
        }
        None => "An idle CPU switches when it next wakes.".to_owned(),
    }
}

#[cfg(test)]
mod tests;
