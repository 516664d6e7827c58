//! docs/json.md: every key of every JSON document, written from the types, so that
//! none is missed.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

use super::{
    fleet::wait::FleetWaitReport, verify::VerifyDocument, version::VersionDocument,
    wait::WaitDocument,
};
use crate::{
    daemon::api::TransitionHistory,
    model::{
        Snapshot,
        calls::report::{CallsReport, CountedFunction},
        check::CheckReport,
        doctor::DoctorReport,
        document::{DocumentHead, DocumentLine, SCHEMA_VERSION},
        inventory::{Inventory, InventoryPatch},
        journal::{Entry, EventsDocument, HistoryDocument, Record},
        report::ReportDocument,
        task_report::{TaskDocument, TasksDocument},
    },
    render::fleet::{HostLine, Hosts, Status},
};

mod examples;
mod schema;

const HEAD: &str = include_str!("documents/head.md");

/// Adds a type with all its parts; its name.
fn name<T: JsonSchema>(generator: &mut SchemaGenerator) -> String {
    generator.subschema_for::<T>();
    T::schema_name().into_owned()
}

/// Each document: what prints it, and the name of its type.
fn documents(generator: &mut SchemaGenerator) -> Vec<(&'static str, String)> {
    let mut list = Vec::new();
    let mut add = |title, name: String| list.push((title, name));
    add(
        "`lpwatch status`, `GET /api/v1/status`, each event of `GET /api/v1/stream`",
        name::<Snapshot>(generator),
    );
    add(
        "`lpwatch tasks`, `GET /api/v1/tasks`",
        name::<TasksDocument<'_>>(generator),
    );
    add(
        "`lpwatch explain`, each line of `lpwatch tasks -o jsonl`",
        name::<TaskDocument<'_>>(generator),
    );
    add("`lpwatch wait`", name::<WaitDocument<'_>>(generator));
    add(
        "`lpwatch calls`, `GET /api/v1/calls`",
        name::<CallsReport>(generator),
    );
    add(
        "each line of `lpwatch calls -o jsonl`",
        name::<DocumentLine<'_, CountedFunction>>(generator),
    );
    add("`lpwatch verify`", name::<VerifyDocument<'_>>(generator));
    add(
        "`lpwatch check`, the body of `POST /api/v1/checks`",
        name::<CheckReport>(generator),
    );
    add("`lpwatch patches`", name::<Inventory>(generator));
    add(
        "each line of `lpwatch patches -o jsonl`",
        name::<DocumentLine<'_, InventoryPatch>>(generator),
    );
    add("`lpwatch doctor`", name::<DoctorReport>(generator));
    add(
        "`GET /api/v1/transitions`",
        name::<TransitionHistory<'_>>(generator),
    );
    add(
        "`lpwatch events`, `GET /api/v1/events`",
        name::<EventsDocument>(generator),
    );
    add(
        "each line of `lpwatch events -o jsonl` and each event of `GET /api/v1/events/stream`",
        name::<DocumentLine<'_, Entry>>(generator),
    );
    add(
        "`lpwatch history`, `GET /api/v1/history`",
        name::<HistoryDocument>(generator),
    );
    add(
        "each line of `lpwatch history -o jsonl`",
        name::<DocumentLine<'_, Record>>(generator),
    );
    add("`lpwatch report`", name::<ReportDocument>(generator));
    add("`lpwatch fleet status`", name::<Status>(generator));
    add("`lpwatch fleet hosts`", name::<Hosts>(generator));
    add(
        "each line of `lpwatch fleet hosts -o jsonl`",
        name::<HostLine<'_>>(generator),
    );
    add(
        "`lpwatch fleet wait`",
        name::<FleetWaitReport<'_>>(generator),
    );
    add("`lpwatch version`", name::<VersionDocument>(generator));
    list
}

/// The types, by name.
fn definitions() -> (Vec<(&'static str, String)>, Map<String, Value>) {
    let mut generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    generator.subschema_for::<DocumentHead>();
    let documents = documents(&mut generator);
    (documents, generator.take_definitions(true))
}

fn text(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    // rustdoc's links lead nowhere here.
    words.join(" ").replace("[`", "`").replace("`]", "`")
}

/// The type of a value, in words; types of their own are links.
fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(choices) = schema[key].as_array() {
            let words: Vec<String> = choices.iter().map(type_of).collect();
            return words.join(" or ");
        }
    }
    if let Some(constant) = schema.get("const") {
        return format!("`{constant}`");
    }
    let word = |kind: &str| match kind {
        "array" => format!("list of {}", type_of(&schema["items"])),
        "integer" | "number" => "number".to_owned(),
        "string" if schema["format"] == "date-time" => "time".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(kind) => word(kind),
        Value::Array(kinds) => {
            let words: Vec<String> = kinds.iter().filter_map(Value::as_str).map(word).collect();
            words.join(" or ")
        }
        _ => "value".to_owned(),
    }
}

/// The keys of an object: those of its own, and those of flattened types.
fn keys(schema: &Value) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        all.insert(key.clone(), value.clone());
    }
    for part in ["allOf", "oneOf", "anyOf"] {
        for schema in schema[part].as_array().into_iter().flatten() {
            all.extend(keys(schema));
        }
    }
    all
}

/// The type of these keys.
const DOCUMENT_HEAD: &str = "DocumentHead";

/// The keys with which every document begins.
const HEAD_KEYS: [&str; 5] = ["schema_version", "host", "kernel", "taken_at", "source"];

/// For a document it leaves out the keys with which every document begins.
fn table(out: &mut String, schema: &Value, is_document: bool) {
    let mut keys = keys(schema);
    if is_document {
        out.push_str("The keys of [DocumentHead](#documenthead), and:\n\n");
        keys.retain(|key, _| !HEAD_KEYS.contains(&key.as_str()));
    }
    if keys.is_empty() {
        out.push_str("| value | meaning |\n|---|---|\n");
        values(out, schema);
        return;
    }
    out.push_str("| key | type | meaning |\n|---|---|---|\n");
    for (key, value) in keys {
        let (kind, text) = (type_of(&value), text(&value));
        let _ = writeln!(out, "| `{key}` | {kind} | {text} |");
    }
}

/// The values of an enum.
fn values(out: &mut String, schema: &Value) {
    for choice in schema["oneOf"].as_array().into_iter().flatten() {
        if let Some(value) = choice["const"].as_str() {
            let _ = writeln!(out, "| `{value}` | {} |", text(choice));
        } else {
            values_without_text(out, choice);
        }
    }
    values_without_text(out, schema);
}

fn values_without_text(out: &mut String, schema: &Value) {
    for value in schema["enum"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "| `{}` | |", value.as_str().unwrap_or_default());
    }
}

fn section(out: &mut String, name: &str, schema: &Value, is_document: bool) {
    let _ = write!(out, "\n### {name}\n\n{}\n\n", text(schema));
    // The keys of the item stand once.
    if let Some(item) = name.strip_suffix("Line").filter(|_| is_document) {
        let link = item.to_lowercase();
        let _ = writeln!(
            out,
            "The keys of [DocumentHead](#documenthead), and those of [{item}](#{link})."
        );
    } else {
        table(out, schema, is_document);
    }
}

fn page() -> String {
    let (documents, types) = definitions();
    let mut page = HEAD.replace("SCHEMA_VERSION", &SCHEMA_VERSION.to_string());
    let (mut listed, mut tables) = (String::new(), String::new());
    for (title, name) in &documents {
        let _ = writeln!(listed, "| {title} | [{name}](#{}) |", name.to_lowercase());
    }
    let of_documents: Vec<&String> = documents.iter().map(|(_, name)| name).collect();
    tables.push_str("\n## Documents\n");
    section(&mut tables, DOCUMENT_HEAD, &types[DOCUMENT_HEAD], false);
    for name in &of_documents {
        section(&mut tables, name, &types[*name], true);
    }
    tables.push_str("\n## Parts of documents\n");
    for (name, schema) in &types {
        if !of_documents.contains(&name) && name != DOCUMENT_HEAD {
            section(&mut tables, name, schema, false);
        }
    }
    page = page.replace("DOCUMENTS\n", &listed);
    page.push_str(&tables);
    page
}

/// With `LPWATCH_WRITE_DOCS=1` in the environment the file is written instead.
#[test]
fn the_page_about_json_has_every_key() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/json.md"));
    let page = page();
    if std::env::var_os("LPWATCH_WRITE_DOCS").is_some() {
        fs::write(path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(path).unwrap() == page,
        "docs/json.md is not that of the types. To write it anew: LPWATCH_WRITE_DOCS=1 cargo \
         test -p lpwatch --lib the_page_about_json_has_every_key"
    );
}

/// The texts of a type: its own, and those of its keys or values.
fn texts(schema: &Value) -> Vec<(String, String)> {
    let mut all = vec![(String::new(), text(schema))];
    let keys = keys(schema);
    if keys.is_empty() {
        let choices = schema["oneOf"].as_array().into_iter().flatten();
        for choice in choices.chain([schema]) {
            let value = choice["const"].as_str();
            all.extend(value.map(|value| (value.to_owned(), text(choice))));
            // Values without a comment are a list.
            let values = choice["enum"].as_array().into_iter().flatten();
            all.extend(values.map(|value| (value.to_string(), String::new())));
        }
    }
    all.extend(keys.into_iter().map(|(key, value)| (key, text(&value))));
    all
}

#[test]
fn every_key_and_every_value_has_a_meaning_of_its_own() {
    let (_, types) = definitions();
    let mut wrong = Vec::new();
    for (name, schema) in &types {
        let texts = texts(schema);
        for (key, text) in &texts {
            // A reader of JSON knows nothing of Rust.
            let is_rust = ["`None`", "`Some", "::"]
                .iter()
                .any(|word| text.contains(word));
            let alike = texts.iter().filter(|(_, other)| other == text).count();
            if text.is_empty() || is_rust || alike > 1 {
                wrong.push(format!("{name}.{key}: {text:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "give each a comment of its own, for readers of JSON:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_document_begins_with_the_same_keys() {
    let (documents, types) = definitions();
    for (title, name) in documents {
        let keys = keys(&types[&name]);
        for key in HEAD_KEYS {
            assert!(keys.contains_key(key), "{title} lacks {key}: {keys:?}");
        }
    }
}

#[test]
fn every_key_is_always_there() {
    let (_, types) = definitions();
    for (name, schema) in &types {
        for choice in schema["oneOf"].as_array().into_iter().flatten() {
            assert_eq!(keys(choice).len(), keys(schema).len(), "{name}");
        }
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for key in schema["properties"].as_object().into_iter().flatten() {
            assert!(
                required.contains(&key.0.as_str()),
                "{name}.{} can be absent",
                key.0
            );
        }
    }
}
