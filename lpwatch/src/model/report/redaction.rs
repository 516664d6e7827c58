//! Replaces names in a report.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Stands for the name of the host.
pub const HOST: &str = "HOST";

/// Stands, with a number, for the name of a program.
const PROGRAM: &str = "PROGRAM";

/// The key of the kernel's own lines.
const KERNEL_LOG: &str = "kernel_log";

/// The keys whose values are names.
const NAMES: [&str; 4] = ["host", "comm", "owner_comm", "pinned"];

/// The names to replace, and what stands for each.
#[derive(Clone, Debug, Default)]
pub struct ReplacedNames {
    replacements: BTreeMap<String, String>,
    programs: usize,
    users: usize,
}

impl ReplacedNames {
    /// The name of a host, with and without its domain.
    pub fn add_host(&mut self, name: &str) {
        self.add(name, HOST.to_owned());
        if let Some((short, domain)) = name.split_once('.') {
            self.add(short, HOST.to_owned());
            self.add(domain, "DOMAIN".to_owned());
        }
    }

    /// The name of a program, or the path to one of its files.
    pub fn add_program(&mut self, name: &str) {
        if !self.replacements.contains_key(name) {
            self.programs += 1;
            self.add(name, format!("{PROGRAM}{}", self.programs));
        }
    }

    /// The name of a user.
    pub fn add_user(&mut self, name: &str) {
        if !self.replacements.contains_key(name) {
            self.users += 1;
            self.add(name, format!("USER{}", self.users));
        }
    }

    fn add(&mut self, name: &str, replacement: String) {
        if !name.is_empty() {
            self.replacements
                .entry(name.to_owned())
                .or_insert(replacement);
        }
    }

    /// `document` with the names replaced: where a value is such a name, and in each
    /// text of several words. A single word elsewhere is a value of a fixed set, or a
    /// name that the kernel or a patch gives.
    ///
    /// # Errors
    /// It cannot be written as JSON and read again.
    pub fn replace_in<T: Serialize + DeserializeOwned>(
        &self,
        document: &T,
    ) -> serde_json::Result<T> {
        let mut value = serde_json::to_value(document)?;
        self.replace_below("", &mut value);
        serde_json::from_value(value)
    }

    fn replace_below(&self, key: &str, value: &mut Value) {
        if key == KERNEL_LOG {
            self.replace_in_log(value);
            return;
        }
        match value {
            Value::String(text) => {
                if NAMES.contains(&key) || text.contains(char::is_whitespace) {
                    *text = self.replaced(text);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.replace_below(key, item);
                }
            }
            Value::Object(keys) => {
                for (key, item) in keys {
                    self.replace_below(key, item);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The kernel's own words stay, also if a program is called so: it writes a program's
    /// name with its thread, `worker:812`.
    fn replace_in_log(&self, lines: &mut Value) {
        for line in lines.as_array_mut().into_iter().flatten() {
            if let Some(Value::String(text)) = line.get_mut("text") {
                *text = self.replaced_if(text, |stands, after| {
                    !stands.starts_with(PROGRAM) || is_thread(after)
                });
            }
        }
    }

    /// `text` with each name replaced where it is a whole word, the longest first.
    fn replaced(&self, text: &str) -> String {
        self.replaced_if(text, |_, _| true)
    }

    /// The same where `is_meant` of what would stand for the name, and what follows it.
    fn replaced_if(&self, text: &str, is_meant: impl Fn(&str, &str) -> bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut before = None;
        while let Some(first) = rest.chars().next() {
            let found = self
                .replacements
                .iter()
                .filter(|(name, stands)| {
                    is_word(name, rest, before) && is_meant(stands, &rest[name.len()..])
                })
                .max_by_key(|(name, _)| name.len());
            let (length, word) = match found {
                Some((name, replacement)) => (name.len(), replacement.as_str()),
                None => (first.len_utf8(), &rest[..first.len_utf8()]),
            };
            out.push_str(word);
            before = rest[..length].chars().next_back();
            rest = &rest[length..];
        }
        out
    }
}

/// Whether `:812` follows.
fn is_thread(after: &str) -> bool {
    let digits = after.strip_prefix(':');
    digits.is_some_and(|digits| digits.starts_with(|first: char| first.is_ascii_digit()))
}

/// Whether `text` begins with `name`, and the name is not a part of a longer word.
fn is_word(name: &str, text: &str, before: Option<char>) -> bool {
    let Some(after) = text.strip_prefix(name) else {
        return false;
    };
    !before.is_some_and(in_word) && !after.chars().next().is_some_and(in_word)
}

fn in_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_a_fixed_set_stay() {
        let mut names = ReplacedNames::default();
        names.add_program("running");
        let before = json!({"reason": "running", "comm": "running", "message": "running is busy"});
        assert_eq!(
            names.replace_in::<Value>(&before).unwrap(),
            json!({"reason": "running", "comm": "PROGRAM1", "message": "PROGRAM1 is busy"})
        );
    }

    #[test]
    fn the_kernels_own_words_stay() {
        let mut names = ReplacedNames::default();
        names.add_host("web");
        for name in ["livepatch", "patching", "my app"] {
            names.add_program(name);
        }
        let line = |text: &str| json!({"kernel_log": [{"boot_seconds": 1.0, "text": text}]});
        for (before, after) in [
            (
                "livepatch: 'lp_fix': starting patching transition",
                "livepatch: 'lp_fix': starting patching transition",
            ),
            (
                "livepatch: klp_check_and_switch_task: my app:812 is running on web",
                "livepatch: klp_check_and_switch_task: PROGRAM3:812 is running on HOST",
            ),
        ] {
            let replaced = names.replace_in::<Value>(&line(before)).unwrap();
            assert_eq!(replaced, line(after));
        }
    }

    #[test]
    fn whole_words_are_replaced_the_longest_first() {
        let mut names = ReplacedNames::default();
        names.add_host("web.example.org");
        names.add_program("sh");
        names.add_program("sh-worker");
        names.add_user("");
        assert_eq!(
            names.replaced("sh, sh-worker, flush and sh_x on web.example.org (web): /usr/sh"),
            "PROGRAM1, PROGRAM2, flush and sh_x on HOST (HOST): /usr/PROGRAM1"
        );
        assert_eq!(names.replaced("ä sh ö"), "ä PROGRAM1 ö");
    }
}
