//! What would happen if the patch were loaded now.

use crate::model::check::{CheckFinding, Course, Forecast};

use super::Ground;

/// The course that the findings and the tasks lead to expect.
pub(super) fn forecast(_ground: &Ground<'_>, _findings: &[CheckFinding]) -> Forecast {
    Forecast {
        course: Course::NotKnown,
        text: String::new(),
        refusal: None,
        at_once: None,
        after_signal: Vec::new(),
        later: Vec::new(),
        never: Vec::new(),
    }
}
