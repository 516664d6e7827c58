//! Sockets to listen on: opened here, or passed by systemd.

use std::{
    fs::{self, Permissions},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream as StdUnixStream,
    },
    path::{Path, PathBuf},
};

use listenfd::ListenFd;
use rustix::net::sockopt::set_ipv6_v6only;
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::error::Error;

use super::ListenAddress;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// A listening socket and its name.
pub(in crate::daemon) struct Listener {
    pub socket: Socket,
    pub name: String,
    _file: Option<SocketFile>,
}

pub(in crate::daemon) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Removes the file when dropped.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "the socket cannot be removed");
        }
    }
}

impl Listener {
    pub fn bind(address: &ListenAddress) -> Result<Self, Error> {
        let failed = |source| Error::Listen {
            address: address.to_string(),
            source,
        };
        let bound = match address {
            ListenAddress::Tcp(address) => listen_on(*address).map(Self::tcp),
            ListenAddress::Everywhere(port) => everywhere(*port).map(Self::tcp),
            ListenAddress::Unix(path) => at_path(path).map(|(listener, file)| Self {
                _file: Some(file),
                ..Self::unix(listener, address.to_string())
            }),
        };
        bound.map_err(failed)
    }

    fn tcp(listener: TcpListener) -> Self {
        let address = listener.local_addr();
        Self {
            name: address.map_or_else(|error| error.to_string(), |address| address.to_string()),
            socket: Socket::Tcp(listener),
            _file: None,
        }
    }

    /// A socket whose file, if any, is removed by another process.
    pub fn unix(listener: UnixListener, name: String) -> Self {
        Self {
            socket: Socket::Unix(listener),
            name,
            _file: None,
        }
    }

    /// The sockets that systemd opened for lpwatch (`LISTEN_FDS`).
    pub fn from_systemd() -> Result<Vec<Self>, Error> {
        let mut handed = ListenFd::from_env();
        if handed.len() == 0 {
            return Err(Error::SystemdSocket(
                "systemd passed no socket (LISTEN_FDS is not set): start lpwatch by a systemd \
                 .socket unit, or give an address with --web.listen-address"
                    .to_owned(),
            ));
        }
        (0..handed.len())
            .map(|nth| {
                take(&mut handed, nth).map_err(|error| {
                    Error::SystemdSocket(format!("systemd socket {nth} is unusable: {error}"))
                })
            })
            .collect()
    }
}

fn take(handed: &mut ListenFd, nth: usize) -> io::Result<Listener> {
    let gone = || io::Error::other("it is already closed");
    if let Ok(tcp) = handed.take_tcp_listener(nth) {
        let tcp = tcp.ok_or_else(gone)?;
        tcp.set_nonblocking(true)?;
        return Ok(Listener::tcp(TcpListener::from_std(tcp)?));
    }
    let unix = handed.take_unix_listener(nth)?.ok_or_else(gone)?;
    unix.set_nonblocking(true)?;
    let name = format!("unix:{:?}", unix.local_addr()?);
    Ok(Listener::unix(UnixListener::from_std(unix)?, name))
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restarted daemon does not wait for old connections to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// IPv6 and IPv4 in one socket; IPv4 alone on a host without IPv6.
fn everywhere(port: u16) -> io::Result<TcpListener> {
    let both = || -> io::Result<TcpListener> {
        let socket = TcpSocket::new_v6()?;
        set_ipv6_v6only(&socket, false)?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv6Addr::UNSPECIFIED, port).into())?;
        socket.listen(BACKLOG)
    };
    match both() {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            tracing::debug!(%error, "listening on IPv4 only");
            listen_on((Ipv4Addr::UNSPECIFIED, port).into())
        }
        result => result,
    }
}

/// Listens at a path. A socket left behind there, on which nothing listens, is
/// removed; any other file stays.
fn at_path(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::other("the file exists and is not a socket"));
        }
        Ok(_) => match StdUnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?;
            }
            Ok(_) | Err(_) => return Err(io::ErrorKind::AddrInUse.into()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok((listener, file))
}
