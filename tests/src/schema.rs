//! Each JSON document that lpwatch prints, or its API answers with, is as
//! docs/schema.json of the same commit says, and has no key besides.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Deserializer, Value, json};

const SCHEMA: &str = include_str!("../../docs/schema.json");

/// Complaints about one document that are shown.
const SHOWN: usize = 5;

/// The types of the documents, and of the lines of `-o jsonl`.
const TYPES: [(&str, &str, &str); 12] = [
    ("status", "StatusDocument", "StatusDocument"),
    ("tasks", "TasksDocument", "TaskDocument"),
    ("explain", "TaskDocument", "TaskDocument"),
    ("wait", "WaitDocument", "WaitDocument"),
    ("calls", "CallsDocument", "CountedFunctionLine"),
    ("verify", "VerifyDocument", "VerifyDocument"),
    ("check", "CheckDocument", "CheckDocument"),
    ("patches", "PatchesDocument", "InventoryPatchLine"),
    ("doctor", "DoctorDocument", "DoctorDocument"),
    ("events", "EventsDocument", "EventLine"),
    ("history", "HistoryDocument", "HistoryRecordLine"),
    ("report", "ReportDocument", "ReportDocument"),
];

/// Checks what a command with these arguments has printed, if that is to be JSON. The
/// last document may be cut short: a command that is killed ends where it is.
pub fn check_output(arguments: &[String], stdout: &[u8]) -> Result<()> {
    let Some(name) = type_of_command(arguments) else {
        return Ok(());
    };
    for document in Deserializer::from_slice(stdout).into_iter::<Value>() {
        match document {
            Ok(document) => check(name, &document)?,
            Err(error) if error.is_eof() => break,
            Err(error) => return Err(error).context("not JSON"),
        }
    }
    Ok(())
}

/// Checks the answer of the API to a request for `path`.
pub fn check_answer(path: &str, body: &str) -> Result<()> {
    let Some(name) = type_of_path(path) else {
        return Ok(());
    };
    check(name, &serde_json::from_str(body).context("not JSON")?)
}

fn type_of_command(arguments: &[String]) -> Option<&'static str> {
    let mut rest = arguments.iter();
    rest.find(|argument| ["-o", "--output"].contains(&argument.as_str()))?;
    let form = rest.next()?;
    let command = |argument: &String| TYPES.iter().find(|(name, ..)| name == argument);
    let (_, document, line) = arguments.iter().find_map(command)?;
    match form.as_str() {
        "json" => Some(document),
        "jsonl" => Some(line),
        _ => None,
    }
}

fn type_of_path(path: &str) -> Option<&'static str> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    match path.strip_prefix("/api/v1/")? {
        "transitions" => Some("TransitionsDocument"),
        name @ ("status" | "tasks" | "calls" | "events" | "history") => {
            let mut all = TYPES.iter();
            all.find(|(of, ..)| *of == name).map(|(_, name, _)| *name)
        }
        _ => None,
    }
}

/// Checks a document of this type.
fn check(name: &'static str, document: &Value) -> Result<()> {
    static VALIDATORS: OnceLock<Mutex<HashMap<&'static str, Validator>>> = OnceLock::new();
    let validators = VALIDATORS.get_or_init(Mutex::default);
    let mut validators = validators.lock().unwrap_or_else(PoisonError::into_inner);
    if !validators.contains_key(name) {
        validators.insert(name, validator(name)?);
    }
    let validator = validators.get(name).context("no validator")?;
    let mut wrong = Vec::new();
    for error in validator.iter_errors(document) {
        complain(&error, &mut wrong);
    }
    wrong.truncate(SHOWN);
    ensure!(
        wrong.is_empty(),
        "no {name} of docs/schema.json: {}",
        wrong.join("; ")
    );
    Ok(())
}

/// What is wrong, in the choice that fits best of those that there are.
fn complain(error: &ValidationError<'_>, wrong: &mut Vec<String>) {
    let place = error.instance_path();
    let mut deepest: Option<&[ValidationError<'_>]> = None;
    if let ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } =
        error.kind()
    {
        // A choice of another type has its fault here.
        let is_inside = |error: &ValidationError<'_>| {
            error.instance_path() != place
                || matches!(
                    error.kind(),
                    ValidationErrorKind::AdditionalProperties { .. }
                        | ValidationErrorKind::Required { .. }
                )
        };
        let mut choices = context.iter();
        deepest = choices
            .find(|errors| errors.iter().any(is_inside))
            .map(Vec::as_slice);
    }
    match deepest {
        Some(errors) => errors.iter().for_each(|error| complain(error, wrong)),
        None => wrong.push(format!("{place}: {}", error.masked())),
    }
}

/// The schema of one type, closed: readers must put up with keys that they do not know,
/// but here such a key is one that nobody has described.
fn validator(name: &str) -> Result<Validator> {
    let whole: Value = serde_json::from_str(SCHEMA)?;
    let types = whole["$defs"].as_object().context("no types")?;
    ensure!(types.contains_key(name), "the schema has no {name}");
    let mut used = serde_json::Map::new();
    collect(types, name, &mut used)?;
    for schema in used.values_mut().filter_map(Value::as_object_mut) {
        if schema.contains_key("properties") {
            schema.insert("additionalProperties".to_owned(), json!(false));
        }
    }
    let schema = json!({
        "$schema": whole["$schema"],
        "$ref": format!("#/$defs/{name}"),
        "$defs": used,
    });
    jsonschema::validator_for(&schema).map_err(|error| anyhow!("the schema: {error}"))
}

/// Adds a type with those that it refers to.
fn collect(
    types: &serde_json::Map<String, Value>,
    name: &str,
    used: &mut serde_json::Map<String, Value>,
) -> Result<()> {
    if used.contains_key(name) {
        return Ok(());
    }
    let schema = types.get(name).context(format!("no type {name}"))?;
    used.insert(name.to_owned(), schema.clone());
    let mut left = vec![schema];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(keys) => {
                if let Some(reference) = keys.get("$ref").and_then(Value::as_str) {
                    let of = reference.rsplit('/').next().unwrap_or_default();
                    collect(types, of, used)?;
                }
                left.extend(keys.values());
            }
            Value::Array(values) => left.extend(values),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A snapshot of the browser's test, which the daemon's types wrote.
    const STATUS: &str = include_str!("../page/snapshots/stalled.json");

    /// The place of the patch in transition.
    const PLACE: usize = 1;

    fn arguments(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn said(text: &str) -> String {
        let checked = check_output(&arguments("status -o json"), text.as_bytes());
        checked
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_document_is_valid_and_one_with_another_key_is_not() {
        let begun = Instant::now();
        assert_eq!(said(STATUS), "");
        println!("the first one: {:?}", begun.elapsed());
        let begun = Instant::now();
        check_answer("/api/v1/status?x=1", STATUS).unwrap();
        println!("the next one: {:?}", begun.elapsed());
        let document: Value = serde_json::from_str(STATUS).unwrap();
        let mut extra = document.clone();
        extra["patches"][PLACE]["transition"]["mood"] = json!("bad");
        let text = said(&extra.to_string());
        assert!(
            text.contains("/transition: ") && text.contains("mood"),
            "{text}"
        );
        let mut missing = document.clone();
        missing.as_object_mut().unwrap().remove("events_lost");
        let text = said(&missing.to_string());
        assert!(text.contains("events_lost"), "{text}");
        let mut wrong = document;
        wrong["patches"][0]["enabled"] = json!("yes");
        let text = said(&wrong.to_string());
        assert!(text.contains("/patches/0/enabled"), "{text}");
    }

    #[test]
    fn what_a_killed_command_leaves_unfinished_is_no_fault() {
        let half = &STATUS[..STATUS.len() / 2];
        assert_eq!(said(&format!("{STATUS}\n{half}")), "");
        assert_eq!(said(half), "");
        assert_eq!(said("lpwatch: no"), "not JSON");
    }

    #[test]
    fn every_type_can_be_checked() {
        let listed: Value = serde_json::from_str(SCHEMA).unwrap();
        let begun = Instant::now();
        let own = TYPES
            .iter()
            .flat_map(|(_, document, line)| [*document, *line]);
        for name in own.chain(["TransitionsDocument"]) {
            let reference = json!({ "$ref": format!("#/$defs/{name}") });
            assert!(
                listed["anyOf"].as_array().unwrap().contains(&reference),
                "{name}"
            );
            validator(name).unwrap();
        }
        println!("all types: {:?}", begun.elapsed());
    }

    #[test]
    fn what_is_no_json_is_left_alone() {
        for line in ["status", "status -o table", "daemon", "history 3 -o"] {
            assert_eq!(type_of_command(&arguments(line)), None, "{line}");
        }
        assert_eq!(
            type_of_command(&arguments("tasks -o jsonl")),
            Some("TaskDocument")
        );
        assert_eq!(type_of_path("/metrics"), None);
        assert_eq!(type_of_path("/api/v1/stream"), None);
    }
}
