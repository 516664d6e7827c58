//! The tables, and how an older file gets them.

use rusqlite::Connection;

/// Marks the file as one of lpwatch: `lpwh`.
pub(super) const APPLICATION_ID: u32 = 0x6c70_7768;

/// The steps to the present schema. A file has applied as many as its `user_version`
/// says. A step that was released never changes.
const STEPS: [&str; 2] = [
    "CREATE TABLE transitions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        boot_id TEXT NOT NULL,
        patch TEXT NOT NULL,
        direction TEXT NOT NULL,
        boot_ms INTEGER NOT NULL,
        ended_boot_ms INTEGER NOT NULL,
        ended_at INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        record TEXT NOT NULL,
        UNIQUE (boot_id, patch, direction, boot_ms)
    ) STRICT;
    CREATE TABLE courses (
        transition_id INTEGER NOT NULL REFERENCES transitions ON DELETE CASCADE,
        seconds REAL NOT NULL,
        remaining INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX courses_of ON courses (transition_id);
    CREATE TABLE blockers (
        transition_id INTEGER NOT NULL REFERENCES transitions ON DELETE CASCADE,
        tid INTEGER NOT NULL,
        comm TEXT NOT NULL,
        reason TEXT,
        held_seconds REAL NOT NULL,
        blocker TEXT NOT NULL
    ) STRICT;
    CREATE INDEX blockers_of ON blockers (transition_id);
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        patch TEXT,
        kind TEXT NOT NULL,
        entry TEXT NOT NULL
    ) STRICT;",
    // The newest are asked for, and the oldest are removed, by time.
    "CREATE INDEX transitions_by_end ON transitions (ended_at);
    CREATE INDEX events_by_time ON events (at);",
];

/// The schema that this lpwatch writes.
pub(super) const VERSION: u32 = 2;

const _: () = assert!(STEPS.len() == VERSION as usize, "one step per version");

/// The schema and the application of an open file.
pub(super) fn found(db: &Connection) -> rusqlite::Result<(u32, u32)> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get(0));
    Ok((pragma("user_version")?, pragma("application_id")?))
}

/// Applies the steps that the file lacks, all or none.
pub(super) fn migrate(db: &mut Connection, from: u32) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    for step in STEPS.iter().skip(from as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()
}

/// A file of the first schema, as an older lpwatch wrote it.
#[cfg(test)]
pub(super) fn create_first(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(STEPS[0])?;
    db.pragma_update(None, "user_version", 1)?;
    db.pragma_update(None, "application_id", APPLICATION_ID)
}
