//! What a benchmark aims at.

use std::fmt;

/// A figure, and the most that it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    pub name: String,
    pub most: u64,
    pub value: u64,
}

/// A measured value, which is not negative, as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "far below 2 to the 52nd, and not negative"
)]
pub fn rounded(value: f64) -> u64 {
    value.round() as u64
}

impl Goal {
    pub fn is_met(&self) -> bool {
        self.value <= self.most
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, most, value } = self;
        let outcome = if self.is_met() { "met" } else { "missed" };
        write!(f, "{outcome}: {name}: {value}, at most {most}")
    }
}
