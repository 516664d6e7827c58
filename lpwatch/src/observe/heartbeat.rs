//! A sign of life, given at an interval while the loop works.

use std::{fmt, time::Duration};

use tokio::time::Instant;

/// Calls a function at an interval, from the loop itself: a loop that hangs
/// gives no sign.
pub struct Heartbeat {
    every: Duration,
    due: Instant,
    beat: Box<dyn Fn() + Send>,
}

impl Heartbeat {
    /// The first beat is due at once.
    pub fn new(every: Duration, beat: impl Fn() + Send + 'static) -> Self {
        Self {
            every,
            due: Instant::now(),
            beat: Box::new(beat),
        }
    }

    /// The latest moment for the next call of [`Self::tick`].
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Beats if a beat is due.
    pub fn tick(&mut self) {
        let now = Instant::now();
        if now >= self.due {
            self.due = now + self.every;
            (self.beat)();
        }
    }
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat")
            .field("every", &self.every)
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_beat_is_given_once_when_it_is_due() {
        let beats = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&beats);
        let every = Duration::from_secs(15);
        let mut heart = Heartbeat::new(every, move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert!(heart.due() <= Instant::now(), "the first one at once");
        heart.tick();
        heart.tick();
        assert_eq!(beats.load(Ordering::Relaxed), 1, "not before it is due");
        assert_eq!(heart.due(), Instant::now() + every);
        tokio::time::advance(every).await;
        heart.tick();
        assert_eq!(beats.load(Ordering::Relaxed), 2);
    }
}
