//! The examples in docs/api.md have every key of their documents, and no other.

use serde_json::{Map, Value};

use super::{definitions, keys};

const PAGE: &str = include_str!("../../../../docs/api.md");

/// The examples: the link to the section about the document, and its text.
fn examples() -> Vec<(String, String)> {
    let example = |section: &str| {
        let (_, link) = section.split_once("](json.md#")?;
        let (name, _) = link.split_once(')')?;
        let lines = section
            .lines()
            .skip_while(|line| !line.starts_with("    {"));
        let lines: Vec<&str> = lines.take_while(|line| line.starts_with("    ")).collect();
        (!lines.is_empty()).then(|| (name.to_owned(), lines.concat()))
    };
    PAGE.split("\n## ").filter_map(example).collect()
}

struct Comparison<'a> {
    types: &'a Map<String, Value>,
    wrong: Vec<String>,
}

impl Comparison<'_> {
    /// Notes where `value` is not of this type.
    fn compare(&mut self, at: &str, value: &Value, schema: &Value) {
        if value.is_null() && !schema.to_string().contains("\"null\"") {
            self.wrong.push(format!("{at} is never null"));
        }
        let types = self.types;
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            return self.compare(at, value, &types[name]);
        }
        match value {
            Value::Null => {}
            // A value, or null.
            _ if schema["anyOf"].is_array() => self.compare(at, value, &schema["anyOf"][0]),
            Value::Object(object) => {
                let known = keys(schema);
                let others = object.keys().filter(|key| !known.contains_key(*key));
                let others = others.map(|key| format!("{at} has no key {key}"));
                self.wrong.extend(others);
                for (key, schema) in &known {
                    match object.get(key) {
                        Some(value) => self.compare(&format!("{at}.{key}"), value, schema),
                        None => self.wrong.push(format!("{at} lacks {key}")),
                    }
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.compare(at, item, &schema["items"]);
                }
            }
            Value::String(text) => self.compare_text(at, text, schema),
            Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn compare_text(&mut self, at: &str, text: &str, schema: &Value) {
        if let Some(choices) = schema["oneOf"].as_array()
            && !choices.iter().any(|choice| choice["const"] == text)
        {
            self.wrong.push(format!("{at} is never {text:?}"));
        }
        let is_time = schema["format"] == "date-time";
        if is_time && text.len() != "2026-03-01T03:12:45.000Z".len() {
            self.wrong.push(format!("{at} has no milliseconds: {text}"));
        }
    }
}

#[test]
fn the_examples_have_the_keys_of_their_documents() {
    let (documents, types) = definitions();
    let examples = examples();
    assert_eq!(examples.len(), 6, "{examples:?}");
    let mut comparison = Comparison {
        types: &types,
        wrong: Vec::new(),
    };
    for (link, text) in examples {
        let mut names = documents.iter().map(|(_, name)| name);
        let name = names.find(|name| name.to_lowercase() == link).unwrap();
        let value = serde_json::from_str(&text).unwrap();
        comparison.compare(name, &value, &types[name]);
    }
    assert_eq!(comparison.wrong, [""; 0], "in docs/api.md");
}
