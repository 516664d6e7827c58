//! One moment on both clocks.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// One moment on both clocks: durations use the boot clock; the wall clock is only
/// for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Since boot, suspend included (`CLOCK_BOOTTIME`).
    pub boot: Duration,
    pub wall: Timestamp,
}

impl Moment {
    /// The moment at `boot`, relative to this one. Setting the clock changes the wall
    /// time, never a duration.
    #[must_use]
    pub fn at(&self, boot: Duration) -> Self {
        let wall = SignedDuration::try_from(self.boot.saturating_sub(boot))
            .and_then(|ago| self.wall.checked_sub(ago));
        Self {
            boot,
            wall: wall.map_or(self.wall, to_milliseconds),
        }
    }

    /// How long ago `earlier` was; zero for the future.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        self.boot.saturating_sub(earlier.boot)
    }
}

/// Two clocks that are read one after the other agree only to the millisecond.
fn to_milliseconds(wall: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall)
}

/// As fractional seconds, for people and JSON.
pub(super) fn seconds(duration: Duration) -> f64 {
    three_digits(duration.as_secs_f64())
}

/// As fractional milliseconds.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    three_digits(duration.as_secs_f64() * 1e3)
}

/// Three decimal places, which is the precision of the clocks.
pub(in crate::model) fn three_digits(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
