//! Why a patch was refused, by the kernel or by its patching system.

use serde::{Deserialize, Serialize};

/// The refusal of a patch. Unknown values are `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Refusal {
    /// The kernel's error, a positive number, e.g. 22 for EINVAL.
    pub errno: Option<u32>,
    /// The cause, in the words of the kernel or of the patching system.
    pub cause: Option<String>,
    /// What the cause means, in a sentence.
    pub meaning: Option<String>,
}

impl Refusal {
    /// A refusal of which only the cause is known, or not even that.
    #[must_use]
    pub fn because(cause: Option<String>) -> Self {
        Self {
            cause,
            ..Self::default()
        }
    }

    /// The cause and what it means, in one text.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let parts = [self.cause.as_deref(), self.meaning.as_deref()];
        let known: Vec<&str> = parts.into_iter().flatten().collect();
        (!known.is_empty()).then(|| known.join(": "))
    }

    /// Adds another cause, unless the text contains it already.
    pub fn add_cause(&mut self, more: &str) {
        match &mut self.cause {
            None => self.cause = Some(more.to_owned()),
            Some(cause) if cause.contains(more) => {}
            Some(cause) => {
                cause.push_str("; ");
                cause.push_str(more);
            }
        }
    }
}
