//! What a transition waits for if it is no task, and since when.

use std::time::Duration;

use crate::model::{TransitionHold, WaitReason, time::seconds, waits::CallbackKind};

use super::super::{Details, EntryKind, news::Draft, words::time};

/// What it waits for, and since when.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    since: Duration,
    reason: WaitReason,
    callback: Option<&'static str>,
    tid: Option<u32>,
    comm: Option<String>,
}

impl Wait {
    /// The wait for this, known at `now`.
    pub fn of(hold: &TransitionHold, now: Duration) -> Self {
        let since = hold.since_seconds;
        let since = since.and_then(|since| Duration::try_from_secs_f64(since).ok());
        Self {
            since: now.saturating_sub(since.unwrap_or_default()),
            reason: hold.reason,
            callback: hold.callback.map(CallbackKind::name),
            tid: hold.tid,
            comm: hold.comm.clone(),
        }
    }

    /// Whether it is the wait for this.
    pub fn is_for(&self, hold: &TransitionHold) -> bool {
        let callback = hold.callback.map(CallbackKind::name);
        (self.reason, self.callback, self.tid) == (hold.reason, callback, hold.tid)
    }

    fn what(&self) -> String {
        match (self.reason, self.callback) {
            (WaitReason::Callback, Some(callback)) => format!("the callback {callback}"),
            (WaitReason::Callback, None) => "a callback".to_owned(),
            (WaitReason::CpuHeld, _) => "a CPU that a real-time task holds".to_owned(),
            (WaitReason::Kernel, _) => "the kernel's own work".to_owned(),
        }
    }

    fn details(&self, details: &Details) -> Details {
        Details {
            callback: self.callback.map(str::to_owned),
            tid: self.tid,
            comm: self.comm.clone(),
            ..details.clone()
        }
    }

    pub fn begun(&self, name: &str, hold: &TransitionHold, details: &Details) -> Draft {
        let kind = if self.reason == WaitReason::Callback {
            EntryKind::CallbackBegun
        } else {
            EntryKind::WaitBegun
        };
        let function = hold.function.as_deref();
        let function = function.map_or_else(String::new, |function| format!(" ({function})"));
        let text = format!(
            "The transition of {name} waits for {}{function}.",
            self.what()
        );
        let mut details = self.details(details);
        details.functions = hold.function.iter().cloned().collect();
        Draft::new(kind, text).of(name).warning().with(details)
    }

    pub fn ended(&self, name: &str, now: Duration, details: &Details) -> Draft {
        let kind = if self.reason == WaitReason::Callback {
            EntryKind::CallbackEnded
        } else {
            EntryKind::WaitEnded
        };
        let waited = seconds(now.saturating_sub(self.since));
        let text = format!(
            "The transition of {name} no longer waits for {}, after {}.",
            self.what(),
            time(waited)
        );
        let details = Details {
            seconds: Some(waited),
            ..self.details(details)
        };
        Draft::new(kind, text).of(name).with(details)
    }
}
