//! The parts of a test run.

/// A part that can be asked for by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Formatting and lints.
    Lint,
    Unit,
    /// The status page in a browser.
    Page,
    /// A Prometheus over simulated hosts and a real kernel.
    Fleet,
    /// The package and the image.
    Dist,
    /// The scenarios in real kernels.
    Vm,
}

impl Part {
    pub const ALL: [Self; 6] = [
        Self::Lint,
        Self::Unit,
        Self::Page,
        Self::Fleet,
        Self::Dist,
        Self::Vm,
    ];

    /// As on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Lint => "lint",
            Self::Unit => "unit",
            Self::Page => "page",
            Self::Fleet => "fleet",
            Self::Dist => "dist",
            Self::Vm => "vm",
        }
    }

    /// As in the summary.
    pub fn title(self) -> &'static str {
        match self {
            Self::Lint => "formatting and lints",
            Self::Unit => "unit tests",
            Self::Page => "status page",
            Self::Fleet => "fleet",
            Self::Dist => "package and image",
            Self::Vm => "kernels",
        }
    }
}
