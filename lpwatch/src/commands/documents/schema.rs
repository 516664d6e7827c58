//! docs/schema.json: the JSON Schema of all documents, written from the types.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};

use super::{SCHEMA_VERSION, definitions, keys};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema.json");

/// A document is one of those in `anyOf`.
fn schema() -> Value {
    let (documents, types) = definitions();
    let reference = |name: &String| json!({ "$ref": format!("#/$defs/{name}") });
    let any_of: Vec<Value> = documents.iter().map(|(_, name)| reference(name)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("The JSON documents of lpwatch, schema_version {SCHEMA_VERSION}"),
        "schema_version": SCHEMA_VERSION,
        "anyOf": any_of,
        "$defs": types,
    })
}

/// The keys of `before` that `after` lacks.
fn missing(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, old) in before {
        let new = after.get(name).map(keys).unwrap_or_default();
        let gone = keys(old).into_keys().filter(|key| !new.contains_key(key));
        missing.extend(gone.map(|key| format!("{name}.{key}")));
    }
    missing
}

/// With `LPWATCH_WRITE_DOCS=1` in the environment the file is written instead.
#[test]
fn the_schema_is_that_of_the_types_and_no_key_goes_without_a_new_version() {
    let schema = schema();
    let path = Path::new(PATH);
    let old: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    if old["schema_version"] == SCHEMA_VERSION {
        let of = |schema: &Value| schema["$defs"].as_object().cloned().unwrap_or_default();
        let missing = missing(&of(&old), &of(&schema));
        assert!(
            missing.is_empty(),
            "keys have gone: give them back, or raise SCHEMA_VERSION: {missing:?}"
        );
    }
    if std::env::var_os("LPWATCH_WRITE_DOCS").is_some() {
        let text = serde_json::to_string_pretty(&schema).unwrap();
        fs::write(path, text + "\n").unwrap();
        return;
    }
    assert!(
        old == schema,
        "docs/schema.json is not that of the types. To write it anew: LPWATCH_WRITE_DOCS=1 cargo \
         test -p lpwatch --lib documents"
    );
}

#[test]
fn a_key_that_goes_is_found() {
    let before = json!({"A": {"properties": {"x": {}, "y": {}}}, "B": {"properties": {"z": {}}}});
    let after = json!({"A": {"properties": {"y": {}, "new": {}}}});
    let of = |value: &Value| value.as_object().unwrap().clone();
    assert_eq!(missing(&of(&before), &of(&after)), ["A.x", "B.z"]);
    assert!(missing(&of(&after), &of(&after)).is_empty());
}
