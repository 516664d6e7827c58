//! Modules that the kernel refuses to load because a patch does not fit them.
//!
//! Source: `klp_module_coming` in `kernel/livepatch/core.c`, 5.10 to 7.3. It logs
//! up to three lines: what does not fit, that of the patch and the module with the
//! errno, and the refusal.

use super::LivepatchLine;

/// The lines of one refusal are logged within this time, in microseconds.
const TOGETHER: u64 = 1_000_000;

/// A module that the kernel refused to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedModule {
    pub patch: String,
    pub module: String,
    /// The errno with which loading failed; `None` after a failed callback, whose
    /// error the kernel does not log.
    pub errno: Option<u32>,
    /// What does not fit, in the kernel's words.
    pub cause: Option<String>,
}

/// Joins the lines of each refusal. It takes all lines of livepatch in order.
#[derive(Clone, Debug, Default)]
pub struct RefusalParser {
    cause: Option<(u64, String)>,
    failed: Option<(String, String, u32)>,
}

impl RefusalParser {
    /// The refusal that this line ends.
    pub fn take(&mut self, micros: u64, line: &LivepatchLine) -> Option<RefusedModule> {
        match line {
            LivepatchLine::ObjectFailed {
                patch,
                object,
                errno,
            } => {
                self.failed = Some((patch.clone(), object.clone(), *errno));
                None
            }
            LivepatchLine::ModuleRefused { patch, module } => {
                let failed = self.failed.take();
                let failed = failed.filter(|(of, on, _)| of == patch && on == module);
                let cause = self.cause.take();
                let cause = cause.filter(|(at, _)| micros.saturating_sub(*at) < TOGETHER);
                Some(RefusedModule {
                    patch: patch.clone(),
                    module: module.clone(),
                    errno: failed.map(|(.., errno)| errno),
                    cause: cause.map(|(_, text)| text),
                })
            }
            LivepatchLine::Complaint { patch: None, text } => {
                self.cause = Some((micros, text.clone()));
                None
            }
            _ => {
                *self = Self::default();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kmsg::parse_livepatch;

    fn refusals(lines: &[(u64, &str)]) -> Vec<RefusedModule> {
        let mut parser = RefusalParser::default();
        let lines = lines.iter();
        let refusals = lines.filter_map(|(micros, text)| {
            let line = parse_livepatch(&format!("livepatch: {text}"))?;
            parser.take(*micros, &line)
        });
        refusals.collect()
    }

    fn refused(errno: Option<u32>, cause: Option<&str>) -> Vec<RefusedModule> {
        vec![RefusedModule {
            patch: "lp".to_owned(),
            module: "nfsd".to_owned(),
            errno,
            cause: cause.map(str::to_owned),
        }]
    }

    const REFUSAL: &str = "patch 'lp' failed for module 'nfsd', refusing to load module 'nfsd'";

    #[test]
    fn the_lines_of_a_refusal_are_joined() {
        let cause = "symbol 'gone' not found in symbol table";
        let lines = [
            (10, cause),
            (
                20,
                "failed to initialize patch 'lp' for module 'nfsd' (-22)",
            ),
            (30, REFUSAL),
        ];
        assert_eq!(refusals(&lines), refused(Some(22), Some(cause)));
        let lines = [
            (10, "applying patch 'lp' to loading module 'nfsd'"),
            (20, "failed to patch object 'nfsd'"),
            (25, "failed to apply patch 'lp' to module 'nfsd' (-16)"),
            (30, REFUSAL),
        ];
        let cause = Some("failed to patch object 'nfsd'");
        assert_eq!(refusals(&lines), refused(Some(16), cause));
        // Loading fails with the callback's own error, which is not logged.
        let cause = "pre-patch callback failed for object 'nfsd'";
        let lines = [(10, cause), (30, REFUSAL)];
        assert_eq!(refusals(&lines), refused(None, Some(cause)));
    }

    #[test]
    fn lines_of_something_else_are_not_its_cause() {
        let cause = "symbol 'other' not found in symbol table";
        let late = [(10, cause), (2_000_000, REFUSAL)];
        assert_eq!(refusals(&late), refused(None, None));
        let between = [(10, cause), (20, "enabling patch 'other'"), (30, REFUSAL)];
        assert_eq!(refusals(&between), refused(None, None));
        let failed = "failed to initialize patch 'other' for module 'nfsd' (-22)";
        assert_eq!(
            refusals(&[(10, failed), (30, REFUSAL)]),
            refused(None, None)
        );
    }
}
