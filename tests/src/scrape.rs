//! The daemon's metrics, as a scrape reads them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Where the daemon listens unless told otherwise.
pub const ADDRESS: &str = "127.0.0.1:9417";

/// For an answer that never comes.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a scrape gave.
pub struct Scrape(pub String);

impl Scrape {
    pub fn now() -> Result<Self> {
        let answer = get("/metrics")?;
        ensure!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
        Ok(Self(body.to_owned()))
    }

    /// The value of the series written so, if it is there.
    pub fn find(&self, series: &str) -> Option<f64> {
        let mut lines = self.0.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        value.parse().ok()
    }

    pub fn expect(&self, series: &str, value: f64) -> Result<()> {
        let found = self.find(series);
        ensure!(
            found.is_some_and(|found| (found - value).abs() < f64::EPSILON),
            "{series} is {found:?}, not {value}:\n{}",
            self.0
        );
        Ok(())
    }

    pub fn has_no(&self, name: &str) -> Result<()> {
        ensure!(!self.0.contains(name), "{name} is there:\n{}", self.0);
        Ok(())
    }

    /// How many transitions ended in whatever way.
    pub fn ended(&self, counter: &str) -> f64 {
        let lines = self.0.lines().filter(|line| line.starts_with(counter));
        lines
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }
}

/// The whole answer to a request, head and body.
pub fn get(path: &str) -> Result<String> {
    let stream = TcpStream::connect(ADDRESS).context(ADDRESS)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    exchange(stream, path)
}

/// The body of the answer to a request over a Unix socket.
pub fn ask_socket(socket: &str, path: &str) -> Result<String> {
    let stream = UnixStream::connect(socket).with_context(|| socket.to_owned())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let answer = exchange(stream, path)?;
    ensure!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
    Ok(body.to_owned())
}

fn exchange(mut stream: impl Read + Write, path: &str) -> Result<String> {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
