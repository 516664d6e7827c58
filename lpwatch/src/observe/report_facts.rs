//! What a report needs from its host besides the snapshot: the kernel log of that time,
//! and the names of users to replace.

use std::fs;

use crate::{
    kernel::{Roots, kmsg},
    model::report::{KernelLine, ReplacedNames, ReportDocument, ReportTime},
};

/// The kernel's own lines of that time; what is missing is noted.
pub(crate) fn kernel_log(
    roots: &Roots,
    patch: Option<&str>,
    span: &ReportTime,
    notes: &mut Vec<String>,
) -> Vec<KernelLine> {
    if !span.is_now() || !roots.is_live() {
        notes.push(
            "The kernel log of that time is not in the report: it was another boot or host."
                .to_owned(),
        );
        return Vec::new();
    }
    let (from, to) = span.bounds();
    match kmsg::about_patches(patch, from, to) {
        Ok(records) => records
            .into_iter()
            .map(|record| KernelLine {
                boot_seconds: record.seconds(),
                text: record.text,
            })
            .collect(),
        Err(error) => {
            notes.push(format!("The kernel log is not in the report: {error}."));
            Vec::new()
        }
    }
}

/// The first and the last id of a person's account (`UID_MIN` and `UID_MAX` in
/// login.defs(5)).
const PEOPLE: std::ops::RangeInclusive<u32> = 1000..=60_000;

/// `document` without names. The users of this host are those in passwd(5); if it cannot
/// be read, as in a container's image, a note says so.
pub(crate) fn redacted(mut document: ReportDocument) -> serde_json::Result<ReportDocument> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_else(|error| {
        let note = format!("Names of users are not replaced: cannot read /etc/passwd: {error}.");
        document.notes.push(note);
        String::new()
    });
    document.redacted(&names_of_users(&users))
}

fn names_of_users(text: &str) -> ReplacedNames {
    let mut names = ReplacedNames::default();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (name, id) = (fields.next(), fields.nth(1));
        if let (Some(name), Some(Ok(id))) = (name, id.map(str::parse))
            && PEOPLE.contains(&id)
        {
            names.add_user(name);
        }
    }
    names
}
