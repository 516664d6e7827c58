//! The reader over a datagram socket, which like the device gives one record a
//! read, and over the device itself where it may be read.

use std::os::unix::net::UnixDatagram;

use super::*;

fn pair() -> (UnixDatagram, LogReader) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    (ours, LogReader::over(theirs.into()))
}

#[test]
fn what_is_there_is_read_and_no_more() {
    let (log, mut reader) = pair();
    assert_eq!(reader.read_available().unwrap(), []);
    for record in ["5,7,1,-;one\n", "no record", "4,8,2,-;two\n DEVICE=x\n"] {
        log.send(record.as_bytes()).unwrap();
    }
    let records = reader.read_available().unwrap();
    let texts: Vec<_> = records.iter().map(|record| record.text.as_str()).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(reader.read_available().unwrap(), []);
    assert_eq!(reader.lost(), 0);
}

#[test]
fn what_a_process_wrote_is_left_out() {
    let (log, mut reader) = pair();
    for record in [
        "12,7,1,-;livepatch: 'lp': patching complete\n",
        "13,8,2,-;kgr: applying patch 'kgr_a'\n",
        "5,9,3,-;livepatch: 'lp': starting patching transition\n",
        "30,10,4,-;kpatch: loaded patch module 'lp'\n",
    ] {
        log.send(record.as_bytes()).unwrap();
    }
    let records = reader.read_available().unwrap();
    let numbers: Vec<_> = records.iter().map(|record| record.seq).collect();
    assert_eq!(numbers, [9]);
    reader.overwritten = true;
    reader.count_lost(14);
    assert_eq!(reader.lost(), 3, "those of processes have numbers, too");
}

#[test]
fn overwritten_records_are_counted() {
    let (_log, mut reader) = pair();
    reader.overwritten = true;
    reader.count_lost(100);
    assert_eq!(reader.lost(), 1, "how many came before is not known");
    reader.count_lost(105);
    assert_eq!(reader.lost(), 1, "the kernel did not say that it lost any");
    reader.overwritten = true;
    reader.count_lost(110);
    assert_eq!(reader.lost(), 5);
    reader.overwritten = true;
    reader.count_lost(3);
    assert_eq!(reader.lost(), 6);
}

#[test]
fn the_longest_record_fits() {
    let (log, mut reader) = pair();
    let text = "x".repeat(8192 - 9);
    log.send(format!("6,1,2,-;{text}\n").as_bytes()).unwrap();
    assert_eq!(reader.read_available().unwrap()[0].text, text);
}

#[test]
fn the_device_is_read_or_the_error_says_what_is_needed() {
    match LogReader::open_from_start() {
        Ok(mut reader) => {
            let records = reader.read_available().unwrap();
            assert!(records.is_sorted_by(|a, b| a.seq < b.seq));
            let mut end = LogReader::open_at_end().unwrap();
            assert!(end.read_available().unwrap().len() <= records.len());
        }
        Err(error) if error.is_permission() => assert!(error.to_string().contains("CAP_SYSLOG")),
        Err(error) => println!("no kernel log here: {error}"),
    }
}
