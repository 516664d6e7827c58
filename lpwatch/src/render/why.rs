//! Why a task has not switched: text shared by all tables.

use super::style::Style;
use super::words;
use crate::model::{Blocker, Cause, Culprit, Reason, TaskKind};
use crate::text;

/// A longer path is truncated.
const LONGEST_PATH: usize = 60;

/// Why the task has not switched; `None` until it has been inspected.
pub(super) fn why(blocker: &Blocker, style: &Style) -> Option<String> {
    let function = blocker
        .function
        .as_deref()
        .map(|function| style.text(function));
    let within = function
        .as_ref()
        .map_or_else(String::new, |function| format!(" in {function}"));
    let Some(reason) = blocker.reason else {
        return function.map(|function| format!("in {function}"));
    };
    Some(match reason {
        Reason::SleepingOnFunction if function.is_none() => {
            "asleep in a patched function".to_owned()
        }
        Reason::SleepingOnFunction => format!("asleep{within}"),
        Reason::Running => format!("running{within}"),
        // The owner of the program is in the summary and in the advice.
        Reason::UnreliableStack => match (what(blocker.cause), &blocker.program) {
            (Some(what), Some(program)) => {
                format!("stack unreliable: {}", foreign_name(program, what, style))
            }
            (Some(what), None) => format!("stack unreliable: {what}"),
            (None, _) => "stack unreliable".to_owned(),
        },
        Reason::NoUnwindData => format!("no unwind data for {}", code(blocker, style)),
        Reason::WaitingForSignal => "waits for the kernel's signal".to_owned(),
        Reason::Idle => "idle CPU".to_owned(),
        Reason::Uninterruptible => format!("uninterruptible (D state){within}"),
        Reason::KvmVcpu => "virtual CPU, in its guest".to_owned(),
        Reason::Pending => "no reason found; the kernel tries again each second".to_owned(),
    })
}

/// The blocking frame's code: `module blob (blob_sleep)`; `its code` if unknown.
pub(super) fn code(blocker: &Blocker, style: &Style) -> String {
    let function = blocker.function.as_deref();
    let function = function.map(|function| style.text(function));
    let module = blocker.blocking_module().map(|module| style.text(module));
    match (module, function) {
        (Some(module), Some(function)) => format!("module {module} ({function})"),
        (Some(module), None) => format!("module {module}"),
        (None, Some(function)) => function,
        (None, None) => "its code".to_owned(),
    }
}

fn what(cause: Option<Cause>) -> Option<&'static str> {
    match cause? {
        Cause::BpfTrampoline => Some("BPF program"),
        Cause::Kretprobe => Some("kretprobe"),
        Cause::Unknown => None,
    }
}

/// What makes the stack unreliable, and who owns it: `fexit program count_sleep
/// (id 42) on hrtimer_nanosleep, held by loader (pid 311)`; `None` if it is unknown.
pub(super) fn foreign(blocker: &Blocker, style: &Style) -> Option<String> {
    let what = what(blocker.cause)?;
    Some(match &blocker.program {
        Some(program) => culprit(program, what, style),
        None => format!("{what}{}", on(blocker.function.as_deref(), style)),
    })
}

fn culprit(program: &Culprit, what: &str, style: &Style) -> String {
    let mut words = foreign_name(program, what, style);
    words.push_str(&on(program.attached_to.as_deref(), style));
    words.push_str(&held(program, style));
    words
}

fn on(function: Option<&str>, style: &Style) -> String {
    function.map_or_else(String::new, |function| {
        format!(" on {}", style.text(function))
    })
}

/// `fexit program count_sleep (id 42)`; `what` where the kind is unknown.
pub(super) fn foreign_name(program: &Culprit, what: &str, style: &Style) -> String {
    let mut words = match program.kind.as_deref() {
        Some(kind) if what == "BPF program" => format!("{} program", style.text(kind)),
        Some(_) | None => what.to_owned(),
    };
    if let Some(name) = program.name.as_deref() {
        words.push(' ');
        words.push_str(&words::no_break(&style.text(name)));
    }
    if let Some(id) = program.id {
        words.push_str(&words::no_break(&format!(" (id {id})")));
    }
    words
}

/// `, held by loader (pid 311), pinned at /sys/fs/bpf/count`
pub(super) fn held(program: &Culprit, style: &Style) -> String {
    let comm = program
        .owner_comm
        .as_deref()
        .map(|comm| words::no_break(&style.text(comm)));
    let owner = match (comm, program.owner_pid) {
        (Some(comm), Some(pid)) => Some(format!(
            "{comm} {}",
            words::no_break(&format!("(pid {pid})"))
        )),
        (Some(comm), None) => Some(comm),
        (None, Some(pid)) => Some(words::no_break(&format!("pid {pid}"))),
        (None, None) => None,
    };
    let mut words = owner.map_or_else(String::new, |owner| format!(", held by {owner}"));
    if let Some(pin) = program.pinned.as_deref() {
        let pin = text::truncate(&style.text(pin), LONGEST_PATH, style.ellipsis());
        words.push_str(", pinned at ");
        words.push_str(&words::no_break(&pin));
    }
    words
}

/// The name and ids of a task: `nginx (pid 1201)`, `java (tid 8123 of 8100, 17 of 9 in its
/// container)`, `khugepaged (kernel thread 39)`.
pub(super) fn who(blocker: &Blocker, style: &Style) -> (String, String) {
    let Blocker { tid, tgid, .. } = blocker;
    let inside = match (blocker.ns_tid, blocker.ns_tgid) {
        (Some(tid), Some(tgid)) if tid != tgid => format!(", {tid} of {tgid} in its container"),
        (Some(tid), _) => format!(", {tid} in its container"),
        (None, _) => String::new(),
    };
    let ids = if *tid == 0 {
        "(idle task)".to_owned()
    } else if blocker.kthread {
        format!("(kernel thread {tid})")
    } else if blocker.kind() == TaskKind::UserWorker {
        format!("(tid {tid}, a worker of pid {tgid}{inside})")
    } else if tid == tgid {
        format!("(pid {tid}{inside})")
    } else {
        format!("(tid {tid} of {tgid}{inside})")
    };
    (name(blocker, style), words::no_break(&ids))
}

/// The name of a task, not broken at spaces.
pub(super) fn name(blocker: &Blocker, style: &Style) -> String {
    words::no_break(&style.text(&blocker.comm))
}
