//! What is added to the history, and removed from it.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::journal::{Entry, Record};

use super::{HistoryError, Store};

/// The log's clock and that of the hooks differ by less than this.
const SAME_END_MS: i64 = 3000;

/// Removing goes on until this share of the largest size is left, in percent.
const KEPT_PERCENT: u64 = 90;

impl Store {
    /// Adds entries and transitions; one that is there already is left as it is. When
    /// this returns, they are on the disk.
    ///
    /// # Errors
    /// [`HistoryError`] if nothing was added.
    pub fn add(&mut self, entries: &[Entry], records: &[Record]) -> Result<(), HistoryError> {
        let rows = Rows::of(entries, records).map_err(|error| self.json_error(error))?;
        let added = self.db.transaction().and_then(|transaction| {
            rows.insert(&transaction)?;
            transaction.commit()
        });
        added.map_err(|error| self.error(error))?;
        self.prune(Timestamp::now())?;
        // Until the next event there may be days.
        let released = self.db.execute_batch("PRAGMA shrink_memory");
        released.map_err(|error| self.error(error))
    }

    /// Those of `earlier` that the history lacks. The kernel log, from which they come,
    /// gives the same transition slightly other times than the hooks.
    ///
    /// # Errors
    /// [`HistoryError`] if the history cannot be read.
    pub fn missing(&self, earlier: &[Record]) -> Result<Vec<Record>, HistoryError> {
        let sql = "SELECT id FROM transitions
            WHERE boot_id = ?1 AND abs(ended_boot_ms - ?4) <= ?5
              AND (patch = ?2 OR patch = '' OR ?2 = '')
              AND (direction = ?3 OR direction = '' OR ?3 = '')
            ORDER BY abs(ended_boot_ms - ?4)";
        let read = || {
            let mut statement = self.db.prepare(sql)?;
            let mut used = Vec::new();
            let mut missing = Vec::new();
            for record in earlier {
                let key = record.key();
                let near = params![
                    key.boot_id,
                    key.patch,
                    key.direction,
                    record.ended_boot_ms(),
                    SAME_END_MS
                ];
                let ids = statement.query_map(near, |row| row.get::<_, i64>(0))?;
                let ids = ids.collect::<rusqlite::Result<Vec<i64>>>()?;
                match ids.into_iter().find(|id| !used.contains(id)) {
                    Some(id) => used.push(id),
                    // Without a boot id it could be one of another boot.
                    None if !key.boot_id.is_empty() => missing.push(record.clone()),
                    None => {}
                }
            }
            Ok(missing)
        };
        read().map_err(|error| self.error(error))
    }

    /// The highest id that an entry ever had; 0 if there was none.
    ///
    /// # Errors
    /// [`HistoryError`] if the history cannot be read.
    pub fn last_id(&self) -> Result<u64, HistoryError> {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
        let found = self.db.query_row(sql, [], |row| row.get::<_, i64>(0));
        let last = found.optional().map_err(|error| self.error(error))?;
        Ok(last.map_or(0, |last| last.try_into().unwrap_or(0)))
    }

    /// Removes what is too old, and the oldest while the file is too large.
    pub(super) fn prune(&mut self, now: Timestamp) -> Result<(), HistoryError> {
        self.prune_by_age(now)
            .and_then(|()| self.prune_by_size())
            .map_err(|error| self.error(error))
    }

    fn prune_by_age(&self, now: Timestamp) -> rusqlite::Result<()> {
        let age = SignedDuration::try_from(self.limits.age).unwrap_or(SignedDuration::MAX);
        let Ok(oldest) = now.checked_sub(age) else {
            return Ok(());
        };
        let oldest = oldest.as_millisecond();
        self.db
            .execute("DELETE FROM transitions WHERE ended_at < ?1", [oldest])?;
        self.db
            .execute("DELETE FROM events WHERE at < ?1", [oldest])?;
        Ok(())
    }

    fn prune_by_size(&self) -> rusqlite::Result<()> {
        if self.size()? <= self.limits.size {
            return Ok(());
        }
        let wanted = self.limits.size / 100 * KEPT_PERCENT;
        loop {
            let tenth = |table: &str| {
                format!(
                    "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY id
                     LIMIT (SELECT count(*) / 10 + 1 FROM {table}))"
                )
            };
            // A transition is worth more than what was said of it.
            let removed = self.db.execute(&tenth("events"), [])?
                + self.db.execute(&tenth("transitions"), [])?;
            let used = self.pragma("page_count")? - self.pragma("freelist_count")?;
            if removed == 0 || used * self.pragma("page_size")? <= wanted {
                break;
            }
        }
        self.db.execute_batch("PRAGMA incremental_vacuum")
    }

    /// The size of the file, in bytes.
    pub(super) fn size(&self) -> rusqlite::Result<u64> {
        Ok(self.pragma("page_count")? * self.pragma("page_size")?)
    }

    fn pragma(&self, name: &str) -> rusqlite::Result<u64> {
        let value = self.db.pragma_query_value(None, name, |row| row.get(0));
        value.map(|value: i64| value.try_into().unwrap_or(0))
    }
}

/// What is to be added, as JSON.
struct Rows<'a> {
    entries: Vec<(&'a Entry, String)>,
    records: Vec<RecordRows<'a>>,
}

struct RecordRows<'a> {
    record: &'a Record,
    text: String,
    blockers: Vec<String>,
}

impl<'a> Rows<'a> {
    fn of(entries: &'a [Entry], records: &'a [Record]) -> serde_json::Result<Self> {
        let entry = |entry: &'a Entry| Ok((entry, serde_json::to_string(entry)?));
        let record = |record: &'a Record| {
            let blockers = record.blockers.iter().map(serde_json::to_string);
            // These have tables of their own.
            let alone = Record {
                course: Vec::new(),
                blockers: Vec::new(),
                ..record.clone()
            };
            Ok(RecordRows {
                record,
                text: serde_json::to_string(&alone)?,
                blockers: blockers.collect::<serde_json::Result<_>>()?,
            })
        };
        Ok(Self {
            entries: entries
                .iter()
                .map(entry)
                .collect::<serde_json::Result<_>>()?,
            records: records
                .iter()
                .map(record)
                .collect::<serde_json::Result<_>>()?,
        })
    }

    fn insert(&self, to: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut insert = to.prepare(
            "INSERT OR IGNORE INTO events (id, at, patch, kind, entry) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for (entry, text) in &self.entries {
            let id = i64::try_from(entry.id).unwrap_or(i64::MAX);
            let at = entry.at.as_millisecond();
            insert.execute(params![id, at, entry.patch, entry.kind.name(), text])?;
        }
        for rows in &self.records {
            rows.insert(to)?;
        }
        Ok(())
    }
}

impl RecordRows<'_> {
    fn insert(&self, to: &Transaction<'_>) -> rusqlite::Result<()> {
        let key = self.record.key();
        let past = &self.record.transition;
        let added = to.execute(
            "INSERT OR IGNORE INTO transitions
                (boot_id, patch, direction, boot_ms, ended_boot_ms, ended_at, outcome, record)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                key.boot_id,
                key.patch,
                key.direction,
                key.boot_ms,
                self.record.ended_boot_ms(),
                past.ended_at.as_millisecond(),
                past.outcome.name(),
                self.text,
            ],
        )?;
        if added == 0 {
            return Ok(());
        }
        let id = to.last_insert_rowid();
        let mut course = to.prepare("INSERT INTO courses VALUES (?1, ?2, ?3)")?;
        for point in &self.record.course {
            course.execute(params![id, point.seconds, point.remaining])?;
        }
        let mut blocker = to.prepare("INSERT INTO blockers VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for (held, text) in self.record.blockers.iter().zip(&self.blockers) {
            blocker.execute(params![
                id,
                held.tid,
                held.comm,
                held.reason.map(crate::model::Reason::name),
                held.last_seconds - held.first_seconds,
                text
            ])?;
        }
        Ok(())
    }
}
