//! A damaged history: an error, or what is left of it.

use std::fs;

use super::hammer;
use crate::{
    history::{EntryFilter, Limits, RecordFilter, Store, file},
    model::journal::samples,
};

#[test]
fn history() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let mut store = Store::open(folder.path(), Limits::default()).unwrap().store;
    let records = [
        samples::completed("lp_fix", 60),
        samples::completed("lp_b", 10),
    ];
    let entries: Vec<_> = ["lp_fix", "lp_b"].map(samples::entry).into();
    store.add(&entries, &records).unwrap();
    drop(store);
    let seed = fs::read(&path).unwrap();
    hammer("history", &[seed], |_, input| {
        fs::write(&path, input).unwrap();
        let read = Store::read(folder.path());
        if let Ok(store) = read {
            let limit = 100;
            let _ = store.entries(&EntryFilter {
                limit,
                ..EntryFilter::default()
            });
            let _ = store.records(&RecordFilter {
                limit,
                ..RecordFilter::default()
            });
        }
        if let Ok(mut opened) = Store::open(folder.path(), Limits::default()) {
            let _ = opened.store.add(&entries, &records);
        }
        for left in fs::read_dir(folder.path()).unwrap() {
            fs::remove_file(left.unwrap().path()).unwrap();
        }
    });
}
