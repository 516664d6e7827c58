//! The kernel log lines of the systems other than livepatch. They add reasons and
//! times to the readings of those systems and never count alone.

use std::time::Duration;

use crate::model::{
    Direction, EngineKind, Moment, Outcome, Refusal, event::Elsewhere, snapshot::PastTransition,
};

use super::{Model, course::Course};

/// The longest time between the lines and readings of one refusal.
const ONE_STORY: Duration = Duration::from_secs(10);

impl Model {
    /// Applies a line of such a system.
    pub(super) fn elsewhere(&mut self, engine: EngineKind, what: Elsewhere, at: Moment) {
        let course = self
            .others
            .entry(engine)
            .or_insert_with(|| Course::new(engine));
        match what {
            Elsewhere::Begun { patch, direction } => {
                let before = course.begin(patch, direction, at, None);
                self.remember_ended(before, at);
            }
            Elsewhere::Tried => {
                if let Some(running) = course.running_mut() {
                    running.tries = Some(running.tries.unwrap_or(0).saturating_add(1));
                }
            }
            Elsewhere::Forced => {
                if let Some(running) = course.running_mut() {
                    running.turns.forced = true;
                }
            }
            Elsewhere::Refused { patch, text } => self.refused_elsewhere(engine, patch, text, at),
            Elsewhere::Holder { pid, comm } => {
                if let Some(last) = self.last_refusal(engine, None, at) {
                    let refusal = last.refusal.get_or_insert_default();
                    refusal.add_cause(&format!("in the way: {comm} (pid {pid})"));
                }
            }
            // The reading that follows shows it.
            Elsewhere::Changed => {}
        }
    }

    fn refused_elsewhere(
        &mut self,
        engine: EngineKind,
        patch: Option<String>,
        text: String,
        at: Moment,
    ) {
        if let Some(last) = self.last_refusal(engine, patch.as_deref(), at) {
            last.refusal.get_or_insert_default().add_cause(&text);
            return;
        }
        // An enabled patch was not to be enabled again.
        let is_on = self.patches.iter().any(|known| {
            known.engine == engine
                && patch.as_ref() == Some(&known.name)
                && known.enabled == Some(true)
                && !known.in_transition
        });
        let mut past = PastTransition::refused(patch, at.wall, Refusal::because(Some(text)));
        past.engine = Some(engine);
        past.direction = Some(Direction::of_enabled(!is_on));
        self.remember(past);
    }

    /// Applies the transitions that readings show as ended. A refusal in the log
    /// belongs to the same transition.
    pub(super) fn remember_elsewhere(&mut self, past: PastTransition, at: Moment) {
        let refused = past.outcome == Outcome::Refused;
        if let (true, Some(engine)) = (refused, past.engine)
            && let Some(last) = self.last_refusal(engine, past.patch.as_deref(), at)
        {
            last.patch = past.patch;
            last.direction = past.direction;
            let mut refusal = past.refusal.unwrap_or_default();
            if let Some(logged) = last.refusal.take().and_then(|refusal| refusal.cause) {
                refusal.add_cause(&logged);
            }
            last.refusal = Some(refusal);
            return;
        }
        self.remember(past);
    }

    /// The last transition, if this engine refused it just now: of this patch,
    /// where both are known.
    fn last_refusal(
        &mut self,
        engine: EngineKind,
        patch: Option<&str>,
        at: Moment,
    ) -> Option<&mut PastTransition> {
        let last = self.past.front_mut()?;
        let told = last.patch.as_deref();
        let same_patch = patch.is_none() || told.is_none() || patch == told;
        let ago = at.wall.duration_since(last.ended_at).unsigned_abs();
        let is_one = last.engine == Some(engine)
            && last.outcome == Outcome::Refused
            && same_patch
            && ago < ONE_STORY;
        is_one.then_some(last)
    }
}
