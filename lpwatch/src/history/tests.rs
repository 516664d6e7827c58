use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::model::{
    Outcome,
    journal::{Entry, Record, samples},
};

use super::{EntryFilter, HistoryWriter, Limits, RecordFilter, Store, file, schema, store::Opened};

const ALL: RecordFilter = RecordFilter {
    id: None,
    patch: None,
    outcome: None,
    since: None,
    limit: 10_000,
    brief: false,
};

/// Times of samples are in the past of any clock.
fn limits() -> Limits {
    Limits {
        age: Duration::from_hours(24 * 365 * 100),
        ..Limits::default()
    }
}

fn open(folder: &Path) -> Store {
    let Opened { store, note } = Store::open(folder, limits()).unwrap();
    assert_eq!(note, None);
    store
}

fn entries(range: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    range
        .map(|id| Entry {
            id,
            ..samples::entry(if id.is_multiple_of(2) {
                "lp_even"
            } else {
                "lp_odd"
            })
        })
        .collect()
}

fn ids(store: &Store, filter: &EntryFilter) -> Vec<u64> {
    let entries = store.entries(filter).unwrap();
    entries.iter().map(|entry| entry.id).collect()
}

#[test]
fn what_is_written_is_read_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let record = samples::completed("lp_fix", 600);
    open(folder.path())
        .add(&entries(1..=3), std::slice::from_ref(&record))
        .unwrap();
    let store = Store::read(folder.path()).unwrap();
    let filter = EntryFilter {
        limit: 9,
        ..EntryFilter::default()
    };
    assert_eq!(ids(&store, &filter), [1, 2, 3]);
    let brief = RecordFilter { brief: true, ..ALL };
    let listed = store.records(&brief).unwrap();
    assert!(
        listed
            .iter()
            .all(|one| one.course.is_empty() && one.blockers.is_empty())
    );
    assert!(!listed.is_empty());
    let kept = store.records(&ALL).unwrap();
    assert_eq!(kept, [Record { id: 1, ..record }]);
    assert_eq!(open(folder.path()).last_id().unwrap(), 3);
}

#[test]
fn filters_select() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let mut reversed = samples::completed("lp_fix", 500);
    reversed.transition.outcome = Outcome::Reversed;
    let records = [
        samples::completed("lp_fix", 600),
        reversed,
        samples::completed("lp_b", 10),
    ];
    store.add(&entries(1..=9), &records).unwrap();
    let filter = EntryFilter {
        patch: Some("lp_odd".to_owned()),
        after: Some(1),
        before: Some(9),
        limit: 2,
        ..EntryFilter::default()
    };
    assert_eq!(ids(&store, &filter), [5, 7], "the newest, in order");
    assert_eq!(store.count(&filter).unwrap(), 3, "without the limit");
    let patches = |filter: RecordFilter| -> Vec<u64> {
        store
            .records(&filter)
            .unwrap()
            .iter()
            .map(|record| record.id)
            .collect()
    };
    assert_eq!(patches(ALL), [3, 2, 1]);
    assert_eq!(
        patches(RecordFilter {
            patch: Some("lp_fix".to_owned()),
            ..ALL
        }),
        [2, 1]
    );
    assert_eq!(
        patches(RecordFilter {
            outcome: Some(Outcome::Reversed),
            ..ALL
        }),
        [2]
    );
    assert_eq!(patches(RecordFilter { id: Some(1), ..ALL }), [1]);
    let since = samples::moment().wall - SignedDuration::from_secs(60);
    assert_eq!(
        patches(RecordFilter {
            since: Some(since),
            ..ALL
        }),
        [3]
    );
}

#[test]
fn a_transition_is_in_the_history_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let known = [
        samples::completed("lp_fix", 600),
        samples::completed("lp_fix", 590),
    ];
    store.add(&[], &known).unwrap();
    store.add(&[], &known).unwrap();
    assert_eq!(store.records(&ALL).unwrap().len(), 2);
    // The log gives the same ones slightly other times, and one that no daemon saw.
    let mut logged = known.to_vec();
    logged.push(samples::completed("lp_fix", 588));
    for record in &mut logged {
        record.ended_boot_seconds += 0.3;
        record.started_boot_seconds = record.started_boot_seconds.map(|started| started - 0.2);
    }
    let missing = store.missing(&logged).unwrap();
    assert_eq!(missing, logged[2..]);
    store.add(&[], &missing).unwrap();
    assert!(store.missing(&logged).unwrap().is_empty());
    // Another boot is another history.
    let other = Record {
        boot_id: Some("other".to_owned()),
        ..logged[0].clone()
    };
    let missing = store.missing(std::slice::from_ref(&other)).unwrap();
    assert_eq!(missing.len(), 1);
    let unknown = Record {
        boot_id: None,
        ..other
    };
    assert!(
        store.missing(&[unknown]).unwrap().is_empty(),
        "of which boot?"
    );
}

#[test]
fn what_was_learned_later_stands_where_it_belongs() {
    let at = |boot: &str, ended: f64| Record {
        boot_id: Some(boot.to_owned()),
        ended_boot_seconds: ended,
        ..samples::completed("lp_fix", 1)
    };
    // The clock of the second boot is behind; the last one was known from the kernel log.
    let mut records = [at("2", 57.9), at("2", 67.5), at("1", 80.0), at("1", 90.0)];
    super::query::newest_first(&mut records);
    let order = records.map(|one| (one.boot_id.unwrap(), one.ended_boot_seconds));
    let expected = [("2", 67.5), ("2", 57.9), ("1", 90.0), ("1", 80.0)];
    assert_eq!(order, expected.map(|(boot, at)| (boot.to_owned(), at)));
}

#[test]
fn a_damaged_file_is_set_aside() {
    for damage in [
        &b"not a database at all, but something else"[..],
        &[0; 4096],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        store.add(&entries(1..=200), &[]).unwrap();
        drop(store);
        let path = file(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        let at = if damage.len() == 4096 { 4096 } else { 0 };
        bytes[at..at + damage.len()].copy_from_slice(damage);
        fs::write(&path, bytes).unwrap();
        let Opened { mut store, note } = Store::open(folder.path(), limits()).unwrap();
        let note = note.unwrap();
        assert!(note.contains("history.db.damaged-"), "{note}");
        store.add(&entries(1..=1), &[]).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

#[test]
fn a_file_of_another_program_is_set_aside_too() {
    let folder = tempfile::tempdir().unwrap();
    let other = Connection::open(file(folder.path())).unwrap();
    other.execute_batch("CREATE TABLE other (a)").unwrap();
    drop(other);
    assert!(Store::read(folder.path()).is_err());
    let opened = Store::open(folder.path(), limits()).unwrap();
    assert!(opened.note.is_some());
}

#[test]
fn an_older_schema_is_brought_up_to_date_and_a_newer_one_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let db = Connection::open(file(folder.path())).unwrap();
    schema::create_first(&db).unwrap();
    let text = serde_json::to_string(&entries(1..=1)[0]).unwrap();
    let row = (1, 0, "lp_fix", "patch_enabled", text);
    db.execute("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5)", row)
        .unwrap();
    drop(db);
    let store = open(folder.path());
    let filter = EntryFilter {
        limit: 9,
        ..EntryFilter::default()
    };
    assert_eq!(ids(&store, &filter), [1]);
    assert_eq!(schema::found(&store.db).unwrap().0, schema::VERSION);
    store.db.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    let error = Store::open(folder.path(), limits())
        .unwrap_err()
        .to_string();
    assert!(error.contains("newer lpwatch"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_thousand_transitions_stay_within_the_size() {
    let folder = tempfile::tempdir().unwrap();
    let size = 1 << 20;
    let bounded = Limits { size, ..limits() };
    let mut store = Store::open(folder.path(), bounded).unwrap().store;
    let mut largest = 0;
    for ten in 0..100 {
        let first = ten * 10 + 1;
        let records: Vec<Record> = (first..first + 10)
            .map(|nth| samples::completed("lp_fix", 10_000 - i64::try_from(nth).unwrap()))
            .collect();
        store
            .add(&entries(first * 4..=first * 4 + 39), &records)
            .unwrap();
        largest = largest.max(fs::metadata(file(folder.path())).unwrap().len());
    }
    assert!(largest < size + size / 4, "{largest} bytes");
    let kept = store.records(&ALL).unwrap();
    assert!(kept.len() < 1000 && kept.len() > 100, "{}", kept.len());
    assert_eq!(kept[0].id, 1000, "the newest stay");
    assert_eq!(store.last_id().unwrap(), 991 * 4 + 39);
}

/// Prints the size of a history of 1,000 transitions.
#[test]
fn a_thousand_transitions_are_small() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let records: Vec<Record> = (0..1000)
        .map(|nth| samples::completed("lp_fix", nth * 3))
        .collect();
    store.add(&entries(1..=4000), &records).unwrap();
    let size = fs::metadata(file(folder.path())).unwrap().len();
    println!("1,000 transitions with 4,000 events: {size} bytes");
    assert!(size < 8 << 20, "{size} bytes");
    assert_eq!(store.records(&ALL).unwrap().len(), 1000);
}

#[test]
fn what_is_too_old_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let records = [
        samples::completed("lp_fix", 86_400 * 3),
        samples::completed("lp_fix", 10),
    ];
    store.add(&entries(1..=2), &records).unwrap();
    store.limits.age = Duration::from_hours(24);
    store.prune(samples::moment().wall).unwrap();
    assert_eq!(store.records(&ALL).unwrap().len(), 1);
    // All too old: ids go on nevertheless.
    store.prune(Timestamp::MAX).unwrap();
    assert!(store.records(&ALL).unwrap().is_empty());
    assert_eq!(store.last_id().unwrap(), 2);
}

#[test]
fn a_full_disk_is_an_error_and_not_a_loss_of_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.add(&entries(1..=1), &[]).unwrap();
    // As SQLite reports a full disk.
    let pages: i64 = store
        .db
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    store
        .db
        .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
        .unwrap();
    let error = store.add(&entries(2..=500), &[]).unwrap_err();
    assert!(
        error.to_string().contains("full") && !error.is_corrupt(),
        "{error}"
    );
    store
        .db
        .pragma_update_and_check(None, "max_page_count", 100_000, |_| Ok(()))
        .unwrap();
    store.add(&entries(2..=500), &[]).unwrap();
    let filter = EntryFilter {
        limit: 999,
        ..EntryFilter::default()
    };
    assert_eq!(ids(&store, &filter).len(), 500);
}

/// What the thread does with a folder that changes below it.
#[test]
fn a_folder_that_vanishes_comes_back_and_nothing_is_lost() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("state");
    let store = open(&folder);
    let mut writer = HistoryWriter::start(folder.clone(), limits(), Some(store), None).unwrap();
    let mut state = writer.state();
    writer.write(entries(1..=1), Vec::new());
    // A file where the folder was: it can be neither written nor made anew.
    while !Store::read(&folder).is_ok_and(|store| store.last_id().unwrap() == 1) {
        std::thread::yield_now();
    }
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    writer.write(entries(2..=2), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(state.changed()).unwrap();
    let note = state.borrow_and_update().clone().unwrap();
    assert!(
        note.text.starts_with("The history cannot be written: ") && !note.is_written,
        "{note:?}"
    );
    fs::remove_file(&folder).unwrap();
    writer.write(entries(3..=3), Vec::new());
    drop(writer);
    // What the file held is gone, and that is said.
    let note = state.borrow().clone().unwrap();
    assert!(note.text.contains("has vanished") && note.is_written);
    let filter = EntryFilter {
        limit: 9,
        ..EntryFilter::default()
    };
    assert_eq!(ids(&Store::read(&folder).unwrap(), &filter), [2, 3]);
}

#[test]
fn the_file_is_not_for_everyone() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    drop(open(&state));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7;
    assert_eq!((mode(&state), mode(&file(&state))), (0, 0));
}
