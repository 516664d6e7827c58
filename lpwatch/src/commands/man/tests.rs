use super::*;

fn pages() -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let args = Args {
        directory: Some(folder.path().to_owned()),
    };
    run(&args, crate::commands::command_line()).unwrap();
    let mut pages: Vec<(String, String)> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    pages.sort();
    pages
}

#[test]
fn every_page_has_its_sections() {
    let pages = pages();
    assert!(pages.len() > 14, "{}", pages.len());
    for (name, text) in &pages {
        for section in ["EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"] {
            let heading = format!(".SH \"{section}\"\n");
            assert_eq!(text.matches(&heading).count(), 1, "{name}: {section}");
        }
        assert!(!text.contains(".SH EXTRA"), "{name}");
    }
}

#[test]
fn every_page_that_is_named_exists() {
    let pages = pages();
    for (name, text) in &pages {
        for word in text.split([' ', '\n', ',']) {
            let plain = word
                .replace("\\fB", "")
                .replace("\\fR", "")
                .replace("\\-", "-");
            let Some(page) = plain.strip_suffix("(1)") else {
                continue;
            };
            let exists = pages.iter().any(|(file, _)| *file == format!("{page}.1"));
            assert!(
                exists || !page.starts_with("lpwatch"),
                "{name} names {page}(1)"
            );
        }
    }
}

#[test]
fn examples_stay_as_they_are_written() {
    let pages = pages();
    let (_, text) = pages.iter().find(|(name, _)| name == "lpwatch.1").unwrap();
    let examples = text.split(".SH \"EXAMPLES\"\n.nf\n").nth(1).unwrap();
    assert!(
        examples.starts_with("  lpwatch status                      the state of every patch\n"),
        "{examples}"
    );
}

#[test]
fn what_roff_would_take_as_a_request_is_escaped() {
    assert_eq!(escaped(".TP a-b\\c"), "\\&.TP a\\-b\\ec");
}
