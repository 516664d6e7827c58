//! The dashboard: whole, and every query of it answered by a real Prometheus.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::checks::Figures;
use super::deployed;
use super::prometheus::Prometheus;

/// What stands for a variable in a query. An interval is six scrapes.
const VARIABLES: [(&str, &str); 4] = [
    ("$job", "lpwatch"),
    ("$patch", ".*"),
    ("$instance", ".*"),
    ("$__rate_interval", "1m"),
];

/// Panels that stay empty on the simulated fleet, where all lpwatches are well
/// and all new code runs.
const MAY_BE_EMPTY: [&str; 1] = ["New code that does not run"];
/// Queries with nothing to find there, beside others of the same panel.
const NOTHING_THERE: [&str; 1] = ["lpwatch_probe_attached"];

/// One query of the dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The panel's title.
    pub panel: String,
    pub expr: String,
}

/// Reads the dashboard, and checks that nothing of it hangs in the air.
pub fn read(figures: &mut Figures) -> Result<Vec<Query>> {
    let text = fs::read_to_string(deployed("grafana/lpwatch-rollout.json"))?;
    let dashboard: Value = serde_json::from_str(&text).context("the dashboard is no JSON")?;
    let queries = queries(&dashboard)?;
    figures.add("queries", queries.len());
    Ok(queries)
}

fn queries(dashboard: &Value) -> Result<Vec<Query>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut ids = BTreeSet::new();
    let mut queries = Vec::new();
    for panel in list(&dashboard["panels"]) {
        let title = panel["title"].as_str().context("a panel has no title")?;
        if !ids.insert(panel["id"].as_u64().context("a panel has no id")?) {
            bail!("`{title}` has the id of another panel");
        }
        let targets = list(&panel["targets"]);
        if targets.is_empty() != (panel["type"] == "row") {
            bail!("`{title}` asks for nothing, or is a row that asks");
        }
        for target in targets {
            if target["datasource"]["uid"] != "${datasource}" {
                bail!("`{title}` asks a data source that others do not have");
            }
            let expr = target["expr"].as_str().context("a target has no query")?;
            queries.push(Query {
                panel: title.to_owned(),
                expr: substituted(expr)?,
            });
        }
    }
    for variable in list(&dashboard["templating"]["list"]) {
        if variable["type"] == "query" {
            let query = variable["query"]["query"].as_str();
            queries.push(variable_query(query.context("a variable has no query")?)?);
        }
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        let expr = annotation["expr"]
            .as_str()
            .context("an annotation has no query")?;
        queries.push(Query {
            panel: "(annotations)".to_owned(),
            expr: substituted(expr)?,
        });
    }
    Ok(queries)
}

/// `label_values(QUERY, LABEL)`: the query gives something with that label.
fn variable_query(text: &str) -> Result<Query> {
    let inside = text
        .strip_prefix("label_values(")
        .and_then(|rest| rest.strip_suffix(')'));
    let (query, label) = inside
        .and_then(|inside| inside.rsplit_once(','))
        .with_context(|| format!("`{text}` is no query of a variable"))?;
    Ok(Query {
        panel: format!("(variable {})", label.trim()),
        expr: format!("count by ({}) ({})", label.trim(), substituted(query)?),
    })
}

fn substituted(expr: &str) -> Result<String> {
    let mut text = expr.to_owned();
    for (name, value) in VARIABLES {
        text = text.replace(name, value);
    }
    if text.contains('$') {
        bail!("`{expr}` has a variable that is not known here");
    }
    Ok(text)
}

/// Runs every query; those that must find something do.
pub fn run(queries: &[Query], prometheus: &Prometheus, figures: &mut Figures) -> Result<()> {
    let mut empty = Vec::new();
    let mut slowest = (Duration::ZERO, "");
    for Query { panel, expr } in queries {
        let started = Instant::now();
        let found = prometheus
            .query(expr)
            .with_context(|| format!("the query of `{panel}` fails: {expr}"))?;
        slowest = slowest.max((started.elapsed(), panel.as_str()));
        let may_be = MAY_BE_EMPTY.contains(&panel.as_str())
            || NOTHING_THERE.iter().any(|start| expr.contains(start));
        if found.is_empty() && !may_be {
            empty.push(format!("  {panel}: {expr}"));
        }
    }
    figures.add("queries", queries.len());
    let (took, panel) = slowest;
    figures.add("slowest", format!("{:.2} s ({panel})", took.as_secs_f64()));
    if !empty.is_empty() {
        bail!("these find nothing:\n{}", empty.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dashboard_is_whole() {
        let queries = read(&mut Figures::default()).unwrap();
        assert!(queries.len() > 30, "{}", queries.len());
        assert!(
            queries
                .iter()
                .any(|query| query.panel == "(variable patch)")
        );
    }

    #[test]
    fn what_hangs_in_the_air_is_found() {
        let of = |target: &str| {
            let text = format!(
                r#"{{"panels": [{{"id": 1, "title": "t", "type": "stat", "targets": [{target}]}}]}}"#
            );
            queries(&serde_json::from_str(&text).unwrap())
        };
        let good = r#"{"datasource": {"uid": "${datasource}"}, "expr": "up{job=\"$job\"}"}"#;
        assert_eq!(of(good).unwrap()[0].expr, "up{job=\"lpwatch\"}");
        assert!(of("").is_err(), "a panel that asks nothing");
        assert!(of(&good.replace("${datasource}", "abc")).is_err());
        assert!(of(&good.replace("$job", "$cluster")).is_err());
    }

    #[test]
    fn a_variable_is_a_query_too() {
        let query = variable_query("label_values(up{job=~\"$job\"}, instance)").unwrap();
        assert_eq!(query.expr, "count by (instance) (up{job=~\"lpwatch\"})");
        assert!(variable_query("metrics(up)").is_err());
    }
}
