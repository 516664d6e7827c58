//! The snapshot as JSON: the contract of `-o json` and `-o jsonl`.

use crate::model::Snapshot;

/// The document of `-o json`, indented, without a newline at its end.
///
/// # Errors
/// When a number has no JSON form.
pub fn pretty(snapshot: &Snapshot) -> serde_json::Result<String> {
    serde_json::to_string_pretty(snapshot)
}

/// The same document on one line, for `-o jsonl`, without its newline.
///
/// # Errors
/// When a number has no JSON form.
pub fn line(snapshot: &Snapshot) -> serde_json::Result<String> {
    serde_json::to_string(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    #[test]
    fn both_forms_hold_the_same_document() {
        let snapshot = samples::stalled();
        let line = line(&snapshot).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Snapshot>(&line).unwrap(), snapshot);
        let pretty = pretty(&snapshot).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&pretty).unwrap(), snapshot);
    }

    #[test]
    fn an_odd_name_stays_on_its_line() {
        let mut snapshot = samples::stalled();
        snapshot.patches[0].name = "a\nb\u{1b}[2J".to_owned();
        assert!(!line(&snapshot).unwrap().contains(['\n', '\u{1b}']));
    }

    #[test]
    fn what_is_unknown_is_null() {
        let json = line(&samples::stalled()).unwrap();
        assert!(json.contains(r#""stack_order":null"#), "{json}");
    }
}
