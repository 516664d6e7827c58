//! Metrics of the patches that are loaded.

use crate::model::snapshot::{Object, Patch};

use super::{Metrics, MetricsResult, flag};

impl Metrics {
    pub(super) fn patches(&self, patches: &[Patch]) -> MetricsResult {
        let help = "A loaded patch, its engine, and whether it replaces all others; always 1.";
        let info = self.gauge("lpwatch_patch_info", help, &["patch", "engine", "replace"])?;
        let help = "Whether the patch is enabled: 1 or 0; absent where unknown.";
        let enabled = self.gauge("lpwatch_patch_enabled", help, &["patch"])?;
        let help = "Whether calls in the object are redirected: 1 or 0.";
        let object_patched =
            self.gauge("lpwatch_patch_object_patched", help, &["patch", "object"])?;
        let help = "The kernel last refused to load this module, because the patch does not fit \
                    it: 1, or absent.";
        let labels = ["patch", "object"];
        let module_refused = self.gauge("lpwatch_patch_module_refused", help, &labels)?;
        for patch in patches {
            let replace = match patch.replace {
                Some(true) => "true",
                Some(false) => "false",
                None => "unknown",
            };
            info.with_label_values(&[patch.name.as_str(), patch.engine.name(), replace])
                .set(1.0);
            if let Some(is_enabled) = patch.enabled {
                enabled
                    .with_label_values(&[&patch.name])
                    .set(flag(is_enabled));
            }
            for Object {
                name,
                patched,
                refusal,
                ..
            } in &patch.objects
            {
                if refusal.is_some() {
                    module_refused
                        .with_label_values(&[&patch.name, name])
                        .set(1.0);
                }
                if let Some(patched) = patched {
                    object_patched
                        .with_label_values(&[&patch.name, name])
                        .set(flag(*patched));
                }
            }
        }
        Ok(())
    }
}
