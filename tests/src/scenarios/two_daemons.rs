//! Two daemons, a socket that a dead one has left, and a file that is not a
//! socket at all.

use std::fs;
use std::os::unix::net::UnixListener;

use anyhow::{Result, ensure};

use crate::guest;
use crate::lpwatch::{self, Daemon, Running, code};
use crate::trial::Trial;

pub fn run(_: &mut Trial) -> Result<()> {
    second_gives_way()?;
    stale_socket()?;
    not_a_socket()
}

fn second_gives_way() -> Result<()> {
    let first = Daemon::start(&[])?;
    let second = Running::lpwatch(&["daemon"])?.end()?;
    second.expect(&[code::ERROR])?;
    let pid = first.pid().to_string();
    ensure!(
        second.stderr.contains(&pid),
        "does not name {pid}: {}",
        second.stderr
    );
    ensure!(
        !second.stderr.contains("is ending"),
        "waited for one that lives: {}",
        second.stderr
    );
    ensure!(
        lpwatch::look(&[])?.daemon,
        "the first daemon no longer answers"
    );
    first.terminate()?.expect(&[code::WELL])?;
    Ok(())
}

fn stale_socket() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("stale.sock");
    // Dropping the listener closes it and leaves its file, as a crash does.
    drop(UnixListener::bind(&path)?);
    let socket = ["--socket", path.to_str().unwrap_or_default()];
    let daemon = Running::lpwatch(&[&["daemon"], &socket[..]].concat())?;
    guest::wait_until("the daemon answers at the stale socket", || {
        // Until it listens, there is no daemon at this socket, which is an error.
        Ok(lpwatch::look(&[&socket]).is_ok_and(|document| document.daemon))
    })?;
    drop(daemon);
    Ok(())
}

fn not_a_socket() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("precious");
    fs::write(&path, "somebody else's")?;
    let name = path.to_str().unwrap_or_default();
    let ended = Running::lpwatch(&["daemon", "--socket", name])?.end()?;
    ended.expect(&[code::ERROR])?;
    ensure!(
        ended.stderr.contains(name),
        "does not name {name}: {}",
        ended.stderr
    );
    ensure!(
        fs::read(&path)? == b"somebody else's",
        "the file was touched"
    );
    Ok(())
}
