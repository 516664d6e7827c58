//! What is read from the history.

use jiff::Timestamp;
use rusqlite::{Row, Statement, named_params};
use serde::de::DeserializeOwned;

use crate::model::{
    Outcome,
    journal::{Entry, Record},
    snapshot::TrendPoint,
};

use super::{HistoryError, Store};

/// Which entries to read.
#[derive(Clone, Debug, Default)]
pub struct EntryFilter {
    pub patch: Option<String>,
    pub since: Option<Timestamp>,
    /// Only later ones than the one with this id.
    pub after: Option<u64>,
    /// Only earlier ones than the one with this id.
    pub before: Option<u64>,
    /// At most so many: the newest.
    pub limit: usize,
}

/// Which transitions to read.
#[derive(Clone, Debug, Default)]
pub struct RecordFilter {
    pub id: Option<u64>,
    pub patch: Option<String>,
    pub outcome: Option<Outcome>,
    /// Those that ended at this time or later.
    pub since: Option<Timestamp>,
    /// At most so many: the newest.
    pub limit: usize,
    /// Without the tasks that were left and the course, which are most of what is stored.
    pub brief: bool,
}

/// Which rows of the table an [`EntryFilter`] selects.
const ENTRIES: &str = "WHERE (:patch IS NULL OR patch = :patch)
    AND (:since IS NULL OR at >= :since)
    AND (:after IS NULL OR id > :after) AND (:before IS NULL OR id < :before)";

impl EntryFilter {
    /// Whether `entry` is one of those, apart from the limit.
    #[must_use]
    pub fn matches(&self, entry: &Entry) -> bool {
        let is_of = |patch: &String| entry.patch.as_ref() == Some(patch);
        self.patch.as_ref().is_none_or(is_of)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.after.is_none_or(|after| entry.id > after)
            && self.before.is_none_or(|before| entry.id < before)
    }
}

/// Those that were learned later from the kernel log of the same boot are put where they
/// belong. The boots are in the order of their ids: clocks can be set.
pub(super) fn newest_first(records: &mut [Record]) {
    for of_boot in records.chunk_by_mut(|one, next| one.boot_id == next.boot_id) {
        of_boot.sort_by(|one, next| next.ended_boot_seconds.total_cmp(&one.ended_boot_seconds));
    }
}

fn number(value: Option<u64>) -> Option<i64> {
    value.map(|value| value.try_into().unwrap_or(i64::MAX))
}

fn limit(value: usize) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

impl Store {
    /// The entries that `filter` selects, oldest first.
    ///
    /// # Errors
    /// [`HistoryError`] if the file cannot be read.
    pub fn entries(&self, filter: &EntryFilter) -> Result<Vec<Entry>, HistoryError> {
        let sql = format!("SELECT entry FROM events {ENTRIES} ORDER BY id DESC LIMIT :limit");
        let wanted = named_params! {
            ":patch": filter.patch,
            ":since": filter.since.map(Timestamp::as_millisecond),
            ":after": number(filter.after),
            ":before": number(filter.before),
            ":limit": limit(filter.limit),
        };
        let mut entries = self.read_json::<Entry>(&sql, wanted)?;
        entries.reverse();
        Ok(entries)
    }

    /// How many entries `filter` selects, without its limit.
    ///
    /// # Errors
    /// [`HistoryError`] if the file cannot be read.
    pub fn count(&self, filter: &EntryFilter) -> Result<u64, HistoryError> {
        let sql = format!("SELECT count(*) FROM events {ENTRIES}");
        let wanted = named_params! {
            ":patch": filter.patch,
            ":since": filter.since.map(Timestamp::as_millisecond),
            ":after": number(filter.after),
            ":before": number(filter.before),
        };
        let counted = self.db.query_row(&sql, wanted, |row| row.get::<_, i64>(0));
        let counted = counted.map_err(|error| self.error(error))?;
        Ok(counted.try_into().unwrap_or(0))
    }

    /// The transitions that `filter` selects, newest first.
    ///
    /// # Errors
    /// [`HistoryError`] if the file cannot be read.
    pub fn records(&self, filter: &RecordFilter) -> Result<Vec<Record>, HistoryError> {
        let sql = "SELECT id, record FROM transitions
            WHERE (:id IS NULL OR id = :id) AND (:patch IS NULL OR patch = :patch)
              AND (:outcome IS NULL OR outcome = :outcome)
              AND (:since IS NULL OR ended_at >= :since)
            ORDER BY id DESC LIMIT :limit";
        let wanted = named_params! {
            ":id": number(filter.id),
            ":patch": filter.patch,
            ":outcome": filter.outcome.map(Outcome::name),
            ":since": filter.since.map(Timestamp::as_millisecond),
            ":limit": limit(filter.limit),
        };
        let read = || {
            let mut statement = self.db.prepare(sql)?;
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
            let rows = statement.query_map(wanted, row)?;
            rows.collect::<rusqlite::Result<Vec<(i64, String)>>>()
        };
        let rows = read().map_err(|error| self.error(error))?;
        let mut parts = Parts::of(self).map_err(|error| self.error(error))?;
        let read = rows.into_iter();
        let read = read.map(|(id, text)| {
            let parts = (!filter.brief).then_some(&mut parts);
            self.record(id, &text, parts)
        });
        let mut records = read.collect::<Result<Vec<Record>, HistoryError>>()?;
        newest_first(&mut records);
        Ok(records)
    }

    fn record(
        &self,
        id: i64,
        text: &str,
        parts: Option<&mut Parts<'_>>,
    ) -> Result<Record, HistoryError> {
        let mut record: Record =
            serde_json::from_str(text).map_err(|error| self.json_error(error))?;
        record.id = id.try_into().unwrap_or(0);
        let Some(parts) = parts else {
            return Ok(record);
        };
        let blockers = parts.blockers(id).map_err(|error| self.error(error))?;
        record.blockers = self.parse(&blockers)?;
        record.course = parts.course(id).map_err(|error| self.error(error))?;
        Ok(record)
    }

    fn read_json<T: DeserializeOwned>(
        &self,
        sql: &str,
        values: &[(&str, &dyn rusqlite::ToSql)],
    ) -> Result<Vec<T>, HistoryError> {
        let read = || {
            let mut statement = self.db.prepare(sql)?;
            let rows = statement.query_map(values, |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        };
        let texts = read().map_err(|error| self.error(error))?;
        self.parse(&texts)
    }

    fn parse<T: DeserializeOwned>(&self, texts: &[String]) -> Result<Vec<T>, HistoryError> {
        let parsed = texts.iter().map(|text| serde_json::from_str(text));
        parsed
            .collect::<serde_json::Result<_>>()
            .map_err(|error| self.json_error(error))
    }
}

/// What is read of one transition after the other, from tables of their own.
struct Parts<'a> {
    blockers: Statement<'a>,
    courses: Statement<'a>,
}

impl<'a> Parts<'a> {
    fn of(store: &'a Store) -> rusqlite::Result<Self> {
        let blockers = "SELECT blocker FROM blockers WHERE transition_id = ?1 ORDER BY rowid";
        let courses = "SELECT seconds, remaining FROM courses WHERE transition_id = ?1
            ORDER BY rowid";
        Ok(Self {
            blockers: store.db.prepare(blockers)?,
            courses: store.db.prepare(courses)?,
        })
    }

    fn blockers(&mut self, id: i64) -> rusqlite::Result<Vec<String>> {
        let rows = self.blockers.query_map([id], |row| row.get(0))?;
        rows.collect()
    }

    fn course(&mut self, id: i64) -> rusqlite::Result<Vec<TrendPoint>> {
        let point = |row: &Row<'_>| {
            Ok(TrendPoint {
                seconds: row.get(0)?,
                remaining: row.get(1)?,
            })
        };
        self.courses.query_map([id], point)?.collect()
    }
}
