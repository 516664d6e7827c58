//! The few fields of `/proc/<pid>/task/<tid>/stat` that identify a thread.
//!
//! Source: `proc_pid_stat(5)`; `do_task_stat` in `fs/proc/array.c`, 5.10 to 7.3.

use super::ProcTask;

/// `PF_EXITING` of `include/linux/sched.h`, the same in 5.10 to 7.3.
const PF_EXITING: u64 = 0x0000_0004;

/// Fields from the closing parenthesis on: `state` is the third of the line,
/// `flags` the ninth, `starttime` the 22nd.
const FLAGS_AFTER_NAME: usize = 6;
const STARTED_AFTER_FLAGS: usize = 12;

/// Parses `tid (comm) state ppid …`; what a line that is cut or malformed lacks
/// is left out. The name may hold any byte, parentheses, spaces and newlines
/// too, and is not escaped: it ends at the *last* `)`, as only numbers follow it.
pub(in crate::kernel) fn parse(line: &[u8], tid: u32, tgid: u32) -> ProcTask {
    let ids = ProcTask {
        tid,
        tgid,
        ..ProcTask::default()
    };
    let Some((comm, rest)) = split(line) else {
        return ids;
    };
    let mut fields = rest.split_ascii_whitespace();
    let (state, flags) = state_and_flags(&mut fields);
    let started = fields
        .nth(STARTED_AFTER_FLAGS)
        .and_then(|field| field.parse().ok());
    ProcTask {
        comm: String::from_utf8_lossy(comm).into_owned(),
        flags,
        state,
        started,
        ..ids
    }
}

/// How a thread is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduling {
    /// The CPU on which it last ran.
    pub cpu: u32,
    /// `SCHED_*` (include/uapi/linux/sched.h).
    pub policy: u32,
    /// 1 to 99 for `SCHED_FIFO` and `SCHED_RR`, otherwise 0.
    pub priority: u32,
    /// The time that it has run, in clock ticks.
    pub ticks: u64,
}

/// How the thread of this line is scheduled; `None` if the line is malformed.
pub(in crate::kernel) fn scheduling(line: &[u8]) -> Option<Scheduling> {
    let (_, rest) = split(line)?;
    // The state is the third field of the line.
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let small = |field| u32::try_from(number(field)?).ok();
    Some(Scheduling {
        cpu: small(39)?,
        policy: small(41)?,
        priority: small(40)?,
        ticks: number(14)?.saturating_add(number(15)?),
    })
}

/// Whether the thread is ending or has ended, by this line; `None` if it is
/// malformed.
pub(in crate::kernel) fn is_exiting(line: &[u8]) -> Option<bool> {
    let (_, rest) = split(line)?;
    let (state, flags) = state_and_flags(&mut rest.split_ascii_whitespace());
    let has_ended = matches!(state?, 'Z' | 'X');
    Some(has_ended || flags? & PF_EXITING != 0)
}

fn state_and_flags<'a>(
    fields: &mut (impl Iterator<Item = &'a str> + Clone),
) -> (Option<char>, Option<u64>) {
    let state = fields.clone().next().and_then(|field| field.chars().next());
    let flags = fields
        .nth(FLAGS_AFTER_NAME)
        .and_then(|field| field.parse().ok());
    (state, flags)
}

/// The name, and what follows it.
fn split(line: &[u8]) -> Option<(&[u8], &str)> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let rest = str::from_utf8(line.get(close + 1..)?).ok()?;
    Some((line.get(open + 1..close)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[u8]) -> ProcTask {
        parse(line, 7, 6)
    }

    #[test]
    fn flags_and_the_start_are_read() {
        assert_eq!(
            parse(b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0\n", 2, 2),
            ProcTask {
                tid: 2,
                tgid: 2,
                comm: "kthreadd".to_owned(),
                flags: Some(2_129_984),
                state: Some('S'),
                started: None,
            }
        );
        let line = b"1 (systemd) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 42 99\n";
        let task = parsed(line);
        assert_eq!(task.flags, Some(4_194_560));
        assert_eq!(task.started, Some(42));
    }

    #[test]
    fn the_scheduling_is_read() {
        // As /proc shows it on 6.12: a SCHED_FIFO task on the second CPU.
        let line = b"201 (h) g) R 1 163 1 0 -1 4194304 27 0 0 0 1203 4 0 0 -91 0 1 0 5321 770048 \
            1 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 90 1 0 0 0 0 0 0 0 0 0 0 0\n";
        let expected = Scheduling {
            cpu: 1,
            policy: 1,
            priority: 90,
            ticks: 1207,
        };
        assert_eq!(scheduling(line), Some(expected));
        assert_eq!(scheduling(b"7 (a) R 1 2 3"), None);
    }

    #[test]
    fn the_name_ends_at_the_last_parenthesis() {
        let task = parsed(b"7 (a) R 1 (b\n c) D 1 7 7 0 -1 64 0\n");
        assert_eq!(task.comm, "a) R 1 (b\n c");
        assert_eq!(task.state, Some('D'));
    }

    #[test]
    fn odd_names_are_kept_and_cut_lines_say_less() {
        let task = parsed(b"7 (\xff\x01) S");
        assert_eq!(task.comm, "\u{fffd}\u{1}");
        assert_eq!((task.state, task.flags), (Some('S'), None));
        let ids = ProcTask {
            tid: 7,
            tgid: 6,
            ..ProcTask::default()
        };
        let garbage = [
            &b"7 ()"[..],
            b"",
            b"7",
            b"7 (a",
            b"7 )a(",
            b"\xff(\xff)\xff",
        ];
        for line in garbage {
            assert_eq!(parsed(line), ids, "{line:?}");
        }
    }
}
