//! Why Ksplice aborted an update.

use strum::{Display, EnumString};

/// The words of `abort_cause` (`abort_cause_show` in `kmodsrc/ksplice.c` of
/// 0.9.9; `none` is an older `ok`).
#[derive(Clone, Debug, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum AbortCause {
    NoMatch,
    BadSystemMap,
    CodeBusy,
    ModuleBusy,
    OutOfMemory,
    FailedToFind,
    AlreadyReversed,
    MissingExport,
    UnexpectedRunningTask,
    TargetNotLoaded,
    CallFailed,
    ColdUpdateLoaded,
    Unexpected,
    /// `unknown`, and every word that lpwatch does not know.
    #[strum(default)]
    Other(String),
}

impl AbortCause {
    /// `None` if nothing was aborted.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "ok" | "none" => None,
            word => word.parse().ok(),
        }
    }

    /// Its meaning, as a clause: "the update was refused: …".
    #[must_use]
    pub fn meaning(&self) -> String {
        match self {
            Self::NoMatch => {
                "the running kernel's code is not what the update was built against".into()
            }
            Self::BadSystemMap => "its System.map is not that of the running kernel".into(),
            Self::CodeBusy => "a function it changes was on some task's stack at every try".into(),
            Self::ModuleBusy => "a module it needs is being loaded or unloaded".into(),
            Self::OutOfMemory => "the kernel had no memory for it".into(),
            Self::FailedToFind => "a symbol it needs was not found".into(),
            Self::AlreadyReversed => {
                "it was applied and reversed before: its modules must be unloaded first".into()
            }
            Self::MissingExport => "a symbol that the kernel exports is not as expected".into(),
            Self::UnexpectedRunningTask => {
                "a task was running while the whole machine should have been stopped".into()
            }
            Self::TargetNotLoaded => "a module that it changes is not loaded".into(),
            Self::CallFailed => "a function that the update itself runs before refused".into(),
            Self::ColdUpdateLoaded => "the same update is already there as a cold one".into(),
            Self::Unexpected => "of an error Ksplice did not expect".into(),
            Self::Other(word) => format!("of a cause that lpwatch does not know ({word})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_its_own_name_and_has_a_meaning() {
        for word in [
            "no_match",
            "bad_system_map",
            "code_busy",
            "module_busy",
            "out_of_memory",
            "failed_to_find",
            "already_reversed",
            "missing_export",
            "unexpected_running_task",
            "target_not_loaded",
            "call_failed",
            "cold_update_loaded",
            "unexpected",
        ] {
            let cause = AbortCause::parse(word).unwrap();
            assert_eq!(cause.to_string(), word);
            assert!(!matches!(cause, AbortCause::Other(_)), "{word}");
            assert!(!cause.meaning().ends_with('.'), "{word}");
        }
        for word in ["unknown", "code busy"] {
            let cause = AbortCause::parse(word).unwrap();
            assert_eq!(cause, AbortCause::Other(word.to_owned()));
            assert!(cause.meaning().contains(word));
        }
        assert_eq!(AbortCause::parse("ok"), None);
        assert_eq!(AbortCause::parse("none"), None);
    }
}
