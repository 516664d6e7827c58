//! Where to listen: `HOST:PORT`, `:PORT`, `unix:PATH`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    Tcp(SocketAddr),
    /// This port on every address of the host, IPv4 and IPv6.
    Everywhere(u16),
    Unix(PathBuf),
}

impl ListenAddress {
    /// For clients on this host only.
    pub const DEFAULT: Self = Self::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9417));
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err("the path is missing: write it like unix:/run/lpwatch/web.sock".to_owned())
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or("write HOST:PORT, :PORT or unix:PATH")?;
        let port = port
            .parse()
            .map_err(|_| format!("`{port}` is not a port (0 to 65535)"))?;
        if host.is_empty() {
            return Ok(Self::Everywhere(port));
        }
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let ip = match (host, bare) {
            ("localhost", _) => Some(Ipv4Addr::LOCALHOST.into()),
            (_, Some(bare)) => bare.parse().ok().filter(IpAddr::is_ipv6),
            (_, None) => host.parse().ok().filter(IpAddr::is_ipv4),
        };
        // No host names: resolving them needs libraries that a static program
        // lacks.
        ip.map(|ip| Self::Tcp(SocketAddr::new(ip, port)))
            .ok_or_else(|| {
                format!(
                    "`{host}` is not an address of this host: write an IPv4 address, an IPv6 \
                     address in brackets, localhost, or nothing for all addresses"
                )
            })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(to, "{address}"),
            Self::Everywhere(port) => write!(to, ":{port}"),
            Self::Unix(path) => write!(to, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_prometheus_writes_them() {
        for (text, shown) in [
            ("127.0.0.1:9417", "127.0.0.1:9417"),
            ("localhost:9417", "127.0.0.1:9417"),
            (":9417", ":9417"),
            ("[::1]:9417", "[::1]:9417"),
            ("[::]:80", "[::]:80"),
            ("unix:/run/a b", "unix:/run/a b"),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
        }
        assert_eq!(ListenAddress::DEFAULT.to_string(), "127.0.0.1:9417");
    }

    #[test]
    fn what_is_no_address_says_why() {
        for (text, why) in [
            ("", "HOST:PORT"),
            ("9417", "HOST:PORT"),
            ("127.0.0.1:", "not a port"),
            ("127.0.0.1:70000", "not a port"),
            ("::1:9417", "brackets"),
            ("[127.0.0.1]:1", "brackets"),
            ("node1:9417", "not an address"),
            ("unix:", "path"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
