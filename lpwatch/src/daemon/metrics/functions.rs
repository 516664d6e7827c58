//! Metrics of calls: old code, new code, and whether the new code runs.

use crate::model::{
    Snapshot,
    snapshot::{Calls, Function},
};

use super::{Metrics, MetricsResult, flag};

impl Metrics {
    pub(super) fn functions(&self, snapshot: &Snapshot) -> MetricsResult {
        let help = "Calls of a patched function, by the code they ran.";
        let labels = ["patch", "object", "function", "code"];
        let calls = self.counter("lpwatch_function_calls_total", help, &labels)?;
        let help = "Whether the new code was found to run: 1 or 0; absent where unknown.";
        let labels = ["patch", "object", "function"];
        let effective = self.gauge("lpwatch_function_effective", help, &labels)?;
        let count = |patch: &str, object: &str, function: &str, counted: &Calls| {
            for (code, number) in [("old", counted.old), ("new", counted.new)] {
                calls
                    .with_label_values(&[patch, object, function, code])
                    .inc_by(number);
            }
        };
        for patch in &snapshot.patches {
            for object in &patch.objects {
                for function in &object.functions {
                    let Some(counted) = &function.calls else {
                        continue;
                    };
                    let name = label(function);
                    count(&patch.name, &object.name, &name, counted);
                    if let Some(is_effective) = counted.effective {
                        effective
                            .with_label_values(&[&patch.name, &object.name, &name])
                            .set(flag(is_effective));
                    }
                }
            }
        }
        // Watched before a patch is loaded: there is no patch to name.
        for watched in &snapshot.watched {
            if let Some(counted) = &watched.calls {
                count("", &watched.object, &watched.name, counted);
            }
        }
        Ok(())
    }
}

/// `function`, with its position where several have that name.
fn label(function: &Function) -> String {
    match function.sympos {
        0 | 1 => function.name.clone(),
        place => format!("{},{place}", function.name),
    }
}
