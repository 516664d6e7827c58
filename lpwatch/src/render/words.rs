//! Values as text: ages, times, outcomes, error numbers.

use std::time::Duration;

use jiff::Timestamp;

use super::page::Paint;
use super::style::Style;
use crate::model::{
    Blocker, EngineKind, OBJECT_UNKNOWN, Outcome, Phase, TaskKind,
    check::{CheckSummary, ForecastOutcome},
};
use crate::text::NBSP;

/// An age in whole seconds: `4 s`, `2 min 10 s`, `3 h 05 min`, `2 d 3 h`.
/// `None` for a negative number or NaN.
pub(super) fn age(seconds: f64) -> Option<String> {
    let seconds = Duration::try_from_secs_f64(seconds).ok()?.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let words = if days > 0 {
        format!("{days} d {} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {:02} min", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes} min {:02} s", seconds % 60)
    } else {
        format!("{seconds} s")
    };
    Some(no_break(&words))
}

/// How long something took: like an age, but exact below ten seconds.
pub(super) fn duration(seconds: f64) -> Option<String> {
    let exact = Duration::try_from_secs_f64(seconds).ok()?;
    let (whole, millis) = (exact.as_secs(), exact.subsec_millis());
    if whole >= 10 {
        age(seconds)
    } else if whole > 0 {
        Some(no_break(&format!("{whole}.{} s", millis / 100)))
    } else {
        Some(no_break(&format!("{millis} ms")))
    }
}

/// `text` with spaces at which a line is not broken: between a value and its unit.
pub(super) fn no_break(text: &str) -> String {
    text.replace(' ', &NBSP.to_string())
}

/// The time of day in UTC, with its date unless it is today.
pub(super) fn clock(time: Timestamp, now: Timestamp) -> String {
    let is_today = time.strftime("%F").to_string() == now.strftime("%F").to_string();
    no_break(
        &time
            .strftime(if is_today { "%H:%M:%S" } else { "%F %H:%M" })
            .to_string(),
    )
}

/// `text` as the beginning of a sentence.
pub(super) fn capital(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// `1 task`, `2 tasks`.
pub(super) fn counted(number: impl TryInto<u64> + Copy, one: &str) -> String {
    // A number that does not fit is more than one.
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number}{NBSP}{one}{plural}")
}

/// A count with its thousands separated: `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate with about three digits: `0`, `0.04`, `7.50`, `1,250`.
pub(super) fn rate(per_second: f64) -> String {
    if per_second >= 100.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is positive, and a float beyond 2^64 saturates"
        )]
        return count(per_second.round() as u64);
    }
    if per_second >= 10.0 {
        format!("{per_second:.1}")
    } else if per_second > 0.0 {
        format!("{:.2}", per_second.max(0.01))
    } else {
        "0".to_owned()
    }
}

/// What kind of task it is: `kernel thread`, `thread of 812`.
pub(super) fn kind(blocker: &Blocker) -> String {
    if blocker.tid == 0 {
        "idle task".to_owned()
    } else if blocker.kthread {
        "kernel thread".to_owned()
    } else if blocker.kind() == TaskKind::UserWorker {
        format!("worker of {}", blocker.tgid)
    } else if blocker.tid == blocker.tgid {
        "process".to_owned()
    } else {
        format!("thread of {}", blocker.tgid)
    }
}

/// `once`, `2 times`.
pub(super) fn times(number: u32) -> String {
    if number == 1 {
        "once".to_owned()
    } else {
        format!("{number}{NBSP}times")
    }
}

pub(super) fn phase(phase: Phase) -> (&'static str, Paint) {
    match phase {
        Phase::Progressing => ("progressing", Paint::Green),
        Phase::Slow => ("slow", Paint::Yellow),
        Phase::Long => ("long", Paint::Yellow),
        Phase::Stalled => ("stalled", Paint::Alarm),
    }
}

pub(super) fn outcome(outcome: Outcome) -> (&'static str, Paint) {
    match outcome {
        Outcome::Completed => ("completed", Paint::Green),
        Outcome::Reversed => ("reversed", Paint::Yellow),
        Outcome::Forced => ("forced", Paint::Yellow),
        Outcome::Cancelled => ("cancelled by the kernel", Paint::Red),
        Outcome::Refused => ("refused by the kernel", Paint::Red),
        Outcome::Unknown => ("ended with an unknown outcome", Paint::Yellow),
    }
}

/// The course that a check expected.
pub(super) fn course(outcome: ForecastOutcome) -> &'static str {
    match outcome {
        ForecastOutcome::Refused => "a refusal",
        ForecastOutcome::Completes => "completion within seconds",
        ForecastOutcome::AfterSignal => "completion after the kernel's signal",
        ForecastOutcome::Open => "a slow transition",
        ForecastOutcome::Stalls => "a stall",
        ForecastOutcome::Loaded => "nothing: it was already loaded",
        ForecastOutcome::NotKnown => "nothing: the tasks were not inspected",
    }
}

/// What a check expected. A refusal is expected at the time of the check only: the
/// kernel may accept the patch once the cause is gone.
pub(super) fn expected(check: &CheckSummary, was_refused: bool, now: Timestamp) -> String {
    if check.outcome == ForecastOutcome::Refused && !was_refused {
        let at = clock(check.checked_at, now);
        return format!("at {at} the check expected a refusal, had it been loaded then");
    }
    format!("the check expected {}", course(check.outcome))
}

/// The state of a patch whose engine does not report whether it is enabled.
pub(super) const STATE_UNKNOWN: &str = "loaded; unknown whether it is in force";

/// The engine, unless it is the kernel's own livepatch.
pub(super) fn engine(engine: EngineKind) -> Option<&'static str> {
    match engine {
        EngineKind::Livepatch => None,
        EngineKind::Kpatch => Some("kpatch"),
        EngineKind::Kgraft => Some("kGraft"),
        EngineKind::Ksplice => Some("Ksplice"),
        EngineKind::Kernelcare => Some("KernelCare"),
        EngineKind::Openeuler => Some("openEuler"),
    }
}

/// An object of a patch; some systems do not name it.
pub(super) fn object(name: &str, style: &Style) -> String {
    if name == OBJECT_UNKNOWN {
        "an unknown object".to_owned()
    } else {
        style.text(name)
    }
}

/// `EINVAL (22)`, or `error 4095` where the number has no name in this table.
pub(super) fn errno(number: u32) -> String {
    errno_name(number).map_or_else(
        || format!("error{NBSP}{number}"),
        |name| format!("{name}{NBSP}({number})"),
    )
}

/// The errors with which loading a module or enabling a patch can fail. These
/// numbers are the same on every processor that supports livepatch.
fn errno_name(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "EPERM",
        2 => "ENOENT",
        3 => "ESRCH",
        4 => "EINTR",
        5 => "EIO",
        6 => "ENXIO",
        7 => "E2BIG",
        8 => "ENOEXEC",
        9 => "EBADF",
        11 => "EAGAIN",
        12 => "ENOMEM",
        13 => "EACCES",
        14 => "EFAULT",
        16 => "EBUSY",
        17 => "EEXIST",
        19 => "ENODEV",
        22 => "EINVAL",
        24 => "EMFILE",
        28 => "ENOSPC",
        34 => "ERANGE",
        38 => "ENOSYS",
        61 => "ENODATA",
        80 => "ELIBBAD",
        84 => "EILSEQ",
        95 => "EOPNOTSUPP",
        110 => "ETIMEDOUT",
        126 => "ENOKEY",
        127 => "EKEYEXPIRED",
        128 => "EKEYREVOKED",
        129 => "EKEYREJECTED",
        524 => "ENOTSUPP",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_spaces(text: Option<String>) -> String {
        text.unwrap_or_default().replace(NBSP, " ")
    }

    #[test]
    fn ages_are_short() {
        for (seconds, words) in [
            (0.0, "0 s"),
            (4.9, "4 s"),
            (130.0, "2 min 10 s"),
            (11_100.0, "3 h 05 min"),
            (183_600.0, "2 d 3 h"),
            (-1.0, ""),
            (f64::NAN, ""),
        ] {
            assert_eq!(with_spaces(age(seconds)), words);
        }
    }

    #[test]
    fn short_durations_are_exact() {
        for (seconds, words) in [
            (0.042, "42 ms"),
            (1.26, "1.2 s"),
            (9.99, "9.9 s"),
            (41.3, "41 s"),
            (61.0, "1 min 01 s"),
        ] {
            assert_eq!(with_spaces(duration(seconds)), words);
        }
    }

    #[test]
    fn times_have_a_date_unless_it_is_today() {
        let now: Timestamp = "2026-03-02T00:05:00Z".parse().unwrap();
        let earlier: Timestamp = "2026-03-01T23:55:01Z".parse().unwrap();
        assert_eq!(clock(now, now), "00:05:00");
        assert_eq!(clock(earlier, now).replace(NBSP, " "), "2026-03-01 23:55");
    }

    #[test]
    fn numbers_are_readable() {
        for (number, words) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), words);
        }
        for (number, words) in [
            (0.0, "0"),
            (0.001, "0.01"),
            (7.5, "7.50"),
            (99.94, "99.9"),
            (1250.4, "1,250"),
        ] {
            assert_eq!(rate(number), words);
        }
    }

    #[test]
    fn errors_have_names() {
        assert_eq!(errno(22).replace(NBSP, " "), "EINVAL (22)");
        assert_eq!(errno(4000).replace(NBSP, " "), "error 4000");
    }
}
