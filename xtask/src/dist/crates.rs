//! The crates that are linked into the program, with their licences: whoever
//! hands the program on has to be able to say.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{paths, process};

const HEAD: &str = "The Rust crates linked into lpwatch: name, version, licence, source.\n\n";

/// One line a crate.
pub fn list() -> Result<String> {
    let text = table(&metadata()?).context("cargo's metadata has another form than is known")?;
    Ok(format!("{HEAD}{text}"))
}

fn metadata() -> Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(paths::workspace());
    command.args(["metadata", "--format-version", "1", "--locked"]);
    command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    Ok(serde_json::from_str(&process::run(&mut command)?)?)
}

fn table(metadata: &Value) -> Option<String> {
    let nodes = metadata["resolve"]["nodes"].as_array()?;
    let by_id: HashMap<&str, &Value> = nodes
        .iter()
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let packages = metadata["packages"].as_array()?;
    let root = packages
        .iter()
        .find(|package| package["name"] == "lpwatch" && package["source"].is_null())?;
    let mut wanted = vec![root["id"].as_str()?];
    let mut linked = HashSet::new();
    while let Some(id) = wanted.pop() {
        if linked.insert(id) {
            wanted.extend(by_id.get(id)?["deps"].as_array()?.iter().filter_map(normal));
        }
    }
    let lines: BTreeSet<String> = packages
        .iter()
        .filter(|package| package["id"].as_str().is_some_and(|id| linked.contains(id)))
        .filter(|package| !package["source"].is_null())
        .map(line)
        .collect();
    Some(lines.into_iter().collect())
}

/// A dependency that is linked, not one for building or testing.
fn normal(dependency: &Value) -> Option<&str> {
    let kinds = dependency["dep_kinds"].as_array()?;
    let linked = kinds.iter().any(|kind| kind["kind"].is_null());
    linked.then(|| dependency["pkg"].as_str())?
}

fn line(package: &Value) -> String {
    let field = |name: &str| package[name].as_str().unwrap_or("-").to_owned();
    let mut line = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        line,
        "{:<28} {:<12} {:<40} {}",
        field("name"),
        field("version"),
        field("license"),
        field("repository")
    );
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_listed() {
        let crate_of = |name: &str, source: Value| {
            serde_json::json!({"id": name, "name": name, "version": "1.0.0",
                "license": "MIT", "source": source})
        };
        let dep = |name: &str, kind: Value| serde_json::json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = serde_json::json!({
            "packages": [crate_of("lpwatch", Value::Null), crate_of("aya", "r".into()),
                crate_of("cc", "r".into()), crate_of("log", "r".into())],
            "resolve": {"nodes": [
                {"id": "lpwatch", "deps": [dep("aya", Value::Null), dep("cc", "build".into())]},
                {"id": "aya", "deps": [dep("log", Value::Null)]},
                {"id": "log", "deps": []}, {"id": "cc", "deps": []}]},
        });
        let text = table(&metadata).unwrap();
        let names: Vec<_> = text
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(names, ["aya", "log"]);
    }

    /// The licences that deny.toml allows.
    fn allowed() -> Vec<String> {
        let text = std::fs::read_to_string(paths::workspace().join("deny.toml")).unwrap();
        let (_, list) = text.split_once("allow = [").unwrap();
        let lines = list.lines().take_while(|line| *line != "]");
        lines
            .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","))
            .map(str::to_owned)
            .collect()
    }

    /// What `cargo deny check licenses` judges, without building it: crates for
    /// building and testing as well.
    #[test]
    fn every_licence_is_allowed() {
        let allowed = allowed();
        assert!(allowed.contains(&"MIT".to_owned()));
        let metadata = metadata().unwrap();
        let mut others: Vec<String> = Vec::new();
        for package in metadata["packages"].as_array().unwrap() {
            let stated = package["license"].as_str().unwrap_or_default();
            let fits =
                spdx::Expression::parse_mode(stated, spdx::ParseMode::LAX).is_ok_and(|licence| {
                    licence.evaluate(|required| {
                        let name = required.license.id().map(|id| id.name);
                        name.is_some_and(|name| allowed.iter().any(|one| one == name))
                    })
                });
            if !fits {
                others.push(format!("{} ({stated})", package["name"]));
            }
        }
        assert!(others.is_empty(), "deny.toml does not allow: {others:?}");
    }
}
