//! What the kernel is, and what it accepts.

use crate::kernel::Roots;

/// Facts for the rules `kernel` and `busy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelFacts {
    /// `kernel.ftrace_enabled`.
    pub ftrace_enabled: Option<bool>,
}

impl KernelFacts {
    #[must_use]
    pub fn gather(roots: &Roots) -> Self {
        Self {
            ftrace_enabled: crate::kernel::ftrace::is_enabled(roots),
        }
    }
}
