//! What a guest reports: one line of JSON each.

use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    Work(Work),
    Call(Call),
    Skipped(Skipped),
    Tools(Tools),
    Attach(Attach),
    Transition(Transition),
    Unloading(Unloading),
    Check(Check),
    Taken(Taken),
}

/// What is called in a loop.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(
    clippy::struct_field_names,
    reason = "a record names its work as the others do"
)]
pub struct Work {
    pub work: String,
    pub function: String,
    pub calls_per_part: u64,
    pub bpftrace: Option<String>,
}

/// A loop with one kind of hook.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Call {
    pub work: String,
    pub hook: String,
    pub round: u32,
    pub nanoseconds: f64,
    pub made: u64,
    pub counted: Option<u64>,
}

/// What could not be measured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Skipped {
    pub work: String,
    pub hook: String,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Tools {
    pub bpftrace: Option<String>,
}

/// A tool that hooked so many functions.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Attach {
    pub tool: String,
    pub functions: usize,
    pub round: u32,
    pub seconds: f64,
    /// Open files of the process.
    pub files: u64,
    pub peak_kib: u64,
    pub kernel_bytes: u64,
    pub seconds_to_end: f64,
}

/// One transition.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Transition {
    pub story: String,
    pub condition: String,
    pub direction: String,
    pub turn: u32,
    pub milliseconds: u32,
    pub tries: u32,
    pub tries_after_waking: Option<u32>,
    /// Tasks left after each second.
    pub left: Vec<u32>,
}

/// A livepatch's module unloaded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Unloading {
    pub story: String,
    pub condition: String,
    pub turn: u32,
    pub milliseconds: u32,
    pub held: u32,
}

/// What a daemon takes at one moment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Taken {
    pub when: String,
    pub threads: usize,
    pub resident_kib: u64,
    pub peak_kib: u64,
    pub kernel_bytes: u64,
    /// In percent.
    pub processor: f64,
    pub loop_ms: f64,
}

/// Something that must hold.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Check {
    pub name: String,
    pub passed: bool,
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_line_is_read() {
        let line = r#"{"record":"attach","tool":"lpwatch","functions":10,"round":0,
            "seconds":1.5,"peak_kib":9000,"kernel_bytes":4096,"files":12,"seconds_to_end":0.1}"#;
        let Record::Attach(attach) = serde_json::from_str(line).unwrap() else {
            panic!("another kind")
        };
        assert_eq!((attach.tool.as_str(), attach.functions), ("lpwatch", 10));
        let line = r#"{"record":"check","name":"no stall","passed":true,"detail":""}"#;
        assert!(matches!(
            serde_json::from_str(line).unwrap(),
            Record::Check(Check { passed: true, .. })
        ));
        assert!(serde_json::from_str::<Record>(r#"{"record":"else"}"#).is_err());
    }
}
