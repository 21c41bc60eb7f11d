//! Which names this server answers to, and which pages may change things on it.
//!
//! [`Names::judge`] checks the Host of every request: a page of another site that had its name point here (DNS
//! rebinding) is answered 421 before anything else is looked at. [`same_site`] checks the methods that change things: a
//! browser says where a request comes from, and only our own pages may send one with the user's remembered password.
//!
//! Nothing here knows who signed in.

use core::fmt;
use http::header::{HOST, HeaderName, ORIGIN};
use http::{HeaderMap, Method, Uri, Version};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The scheme a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// TLS.
    Https,
    /// Plain text on a network socket.
    Http,
    /// A Unix socket: a proxy in front may have spoken either.
    Either,
}

impl Scheme {
    fn default_port(self) -> Option<u16> {
        match self {
            Self::Https => Some(443),
            Self::Http => Some(80),
            Self::Either => None,
        }
    }
}

/// Where a connection arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The scheme it speaks.
    pub scheme: Scheme,
    /// The local address, where it has one.
    pub local: Option<SocketAddr>,
}

/// A host and port as a client wrote them, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads `host`, `host:port` or `[v6]:port`; user names, empty hosts and empty ports are none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']')?;
                let address: Ipv6Addr = address.parse().ok()?;
                (format!("[{address}]"), after)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                let (host, after) = text.split_at_checked(end)?;
                if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
                    return None;
                }
                (host.to_ascii_lowercase(), after)
            }
        };
        let port = match port.strip_prefix(':') {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            None if port.is_empty() => None,
            Some(_) | None => return None,
        };
        Some(Self { host, port })
    }

    fn address(&self) -> Option<IpAddr> {
        match self.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => self.host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }

    fn equals(&self, other: &Self, default_port: Option<u16>) -> bool {
        self.host == other.host && self.port.or(default_port) == other.port.or(default_port)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// A configured name that is not `NAME` or `NAME:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    /// What was given.
    pub given: String,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected a host name or NAME:PORT, found \"{}\"", self.given.escape_default())
    }
}

impl core::error::Error for NameError {}

/// Why a request's Host is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostRefusal {
    /// There is none, there are several, or it cannot be read (400).
    Malformed,
    /// It names somebody else (421).
    NotOurs,
}

/// The names this server answers to.
///
/// A connection that arrived on a loopback address also answers to `localhost`, 127.0.0.1 and `[::1]` with its port, and
/// every connection to the numeric address and port it arrived on: other sites cannot make a browser send those.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<Authority>);

impl Names {
    /// Reads the configured names; one without a port is ours on any port.
    ///
    /// # Errors
    /// - [`NameError`] naming the first that is not a host name.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, NameError> {
        names
            .into_iter()
            .map(|name| Authority::parse(name).ok_or_else(|| NameError { given: name.to_owned() }))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The configured names, in lower case.
    pub fn iter(&self) -> impl Iterator<Item = &Authority> {
        self.0.iter()
    }

    /// Finds the one authority that a request names and checks that it is ours.
    ///
    /// # Errors
    /// - [`HostRefusal::Malformed`] for no Host (also in HTTP/1.0), several, or one that disagrees with the request line.
    /// - [`HostRefusal::NotOurs`] for a name that is not configured.
    ///
    /// # Source
    /// RFC 9110 7.2 and 7.4, RFC 9112 3.2.
    pub fn judge(
        &self,
        version: Version,
        uri: &Uri,
        headers: &HeaderMap,
        arrival: Arrival,
    ) -> Result<Authority, HostRefusal> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().map_err(|_| HostRefusal::Malformed)?,
            (Some(_), Some(_)) | (None, _) => return Err(HostRefusal::Malformed),
        };
        let host = Authority::parse(host).ok_or(HostRefusal::Malformed)?;
        if version < Version::HTTP_10 {
            return Err(HostRefusal::Malformed);
        }
        if let Some(line) = uri.authority() {
            let line = Authority::parse(line.as_str()).ok_or(HostRefusal::Malformed)?;
            if !line.equals(&host, arrival.scheme.default_port()) {
                return Err(HostRefusal::Malformed);
            }
        }
        if self.is_ours(&host, arrival) { Ok(host) } else { Err(HostRefusal::NotOurs) }
    }

    fn is_ours(&self, host: &Authority, arrival: Arrival) -> bool {
        let default_port = arrival.scheme.default_port();
        if self.0.iter().any(|ours| ours.host == host.host && (ours.port.is_none() || ours.equals(host, default_port)))
        {
            return true;
        }
        let Some(local) = arrival.local else {
            return host.host == "localhost";
        };
        let here = local.ip().to_canonical();
        let is_here = match host.address() {
            Some(address) => address == here || (address.is_loopback() && here.is_loopback()),
            None => host.host == "localhost" && here.is_loopback(),
        };
        is_here && host.port.or(default_port) == Some(local.port())
    }
}

/// Whether a method may change anything; those that may not are GET, HEAD, OPTIONS and PROPFIND.
#[must_use]
pub fn is_changing(method: &Method) -> bool {
    !(matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || method.as_str() == "PROPFIND")
}

/// Whether a request that changes things comes from our own page or from no page at all.
///
/// `Sec-Fetch-Site` cannot be set by a page, so where it is sent it decides: `same-origin` and `none` are ours. A page with
/// a strict referrer policy then sends the origin `null`, which counts as nothing said. Without it the Origin, where one
/// is sent, must be the authority that the request itself names. Programs send neither.
///
/// # Source
/// Fetch standard (Origin header); W3C Fetch Metadata 2.
#[must_use]
pub fn same_site(headers: &HeaderMap, own: &Authority, scheme: Scheme) -> bool {
    let mut sites = headers.get_all(HeaderName::from_static("sec-fetch-site")).iter().peekable();
    let browser_decides = sites.peek().is_some();
    if !sites.all(|site| site == "same-origin" || site == "none") {
        return false;
    }
    headers.get_all(ORIGIN).iter().all(|origin| {
        let Ok(origin) = origin.to_str() else { return false };
        (browser_decides && origin == "null") || is_own_origin(origin, own, scheme)
    })
}

fn is_own_origin(origin: &str, own: &Authority, scheme: Scheme) -> bool {
    let Some((said, authority)) = origin.split_once("://") else { return false };
    let said = match said {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return false,
    };
    let fits = match scheme {
        Scheme::Https | Scheme::Http => said == scheme,
        Scheme::Either => true,
    };
    fits && Authority::parse(authority).is_some_and(|authority| authority.equals(own, said.default_port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn judge(names: &[&str], scheme: Scheme, local: Option<&str>, host: &str) -> Result<(), HostRefusal> {
        let names = Names::new(names.iter().copied()).unwrap();
        let arrival = Arrival { scheme, local: local.map(|local| local.parse().unwrap()) };
        names.judge(Version::HTTP_11, &Uri::from_static("/x"), &headers(&[("host", host)]), arrival).map(drop)
    }

    #[test]
    fn a_host_is_ours_by_name_or_by_the_address_it_arrived_on() {
        let no = Err(HostRefusal::NotOurs);
        for (names, scheme, local, host, expected) in [
            (&[][..], Scheme::Http, Some("127.0.0.1:8080"), "127.0.0.1:8080", Ok(())),
            (&[], Scheme::Http, Some("127.0.0.1:8080"), "localhost:8080", Ok(())),
            (&[], Scheme::Http, Some("127.0.0.1:8080"), "LOCALHOST:8080", Ok(())),
            (&[], Scheme::Http, Some("127.0.0.1:8080"), "[::1]:8080", Ok(())),
            (&[], Scheme::Http, Some("127.0.0.1:8080"), "localhost", no),
            (&[], Scheme::Http, Some("127.0.0.1:8080"), "localhost:8081", no),
            (&[], Scheme::Http, Some("127.0.0.1:8080"), "evil.example:8080", no),
            (&[], Scheme::Http, Some("127.0.0.1:8080"), "localhost.evil.example:8080", no),
            (&[], Scheme::Http, Some("127.0.0.1:80"), "localhost", Ok(())),
            (&[], Scheme::Https, Some("127.0.0.1:443"), "localhost", Ok(())),
            (&[], Scheme::Https, Some("192.0.2.7:8443"), "192.0.2.7:8443", Ok(())),
            (&[], Scheme::Https, Some("[::ffff:192.0.2.7]:8443"), "192.0.2.7:8443", Ok(())),
            (&[], Scheme::Https, Some("192.0.2.7:8443"), "localhost:8443", no),
            (&[], Scheme::Https, Some("192.0.2.7:8443"), "127.0.0.1:8443", no),
            (&["files.example"], Scheme::Https, Some("192.0.2.7:8443"), "Files.Example:9", Ok(())),
            (&["files.example:443"], Scheme::Https, Some("192.0.2.7:443"), "files.example", Ok(())),
            (&["files.example:443"], Scheme::Https, Some("192.0.2.7:443"), "files.example:8443", no),
            (&["files.example"], Scheme::Either, None, "files.example", Ok(())),
            (&[], Scheme::Either, None, "localhost", Ok(())),
            (&[], Scheme::Either, None, "files.example", no),
        ] {
            assert_eq!(judge(names, scheme, local, host), expected, "{names:?} {local:?} {host}");
        }
    }

    #[test]
    fn a_host_that_is_not_one_authority_is_malformed() {
        for host in
            ["", "a b", "user@localhost:80", "localhost:", "localhost:+80", "localhost:99999", "[::1", "[zz]:80", "a/b"]
        {
            assert_eq!(judge(&[], Scheme::Http, Some("127.0.0.1:80"), host), Err(HostRefusal::Malformed), "{host}");
        }
        let names = Names::default();
        let arrival = Arrival { scheme: Scheme::Http, local: "127.0.0.1:80".parse().ok() };
        let uri = Uri::from_static("/x");
        let check = |uri: &Uri, pairs: &[(&'static str, &str)]| {
            names.judge(Version::HTTP_11, uri, &headers(pairs), arrival).map(drop)
        };
        assert_eq!(check(&uri, &[]), Err(HostRefusal::Malformed));
        assert_eq!(check(&uri, &[("host", "localhost"), ("host", "localhost")]), Err(HostRefusal::Malformed));
        let absolute = Uri::from_static("http://evil.example/x");
        assert_eq!(check(&absolute, &[("host", "localhost")]), Err(HostRefusal::Malformed));
        assert_eq!(check(&Uri::from_static("http://localhost:80/x"), &[("host", "localhost")]), Ok(()));
    }

    #[test]
    fn only_our_own_page_or_no_page_at_all_may_change_things() {
        let own = Authority::parse("localhost:8443").unwrap();
        for (pairs, expected) in [
            (&[][..], true),
            (&[("origin", "https://localhost:8443")], true),
            (&[("origin", "http://localhost:8443")], false),
            (&[("origin", "https://localhost")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("origin", "")], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-origin, cross-site")], false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "null")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://localhost:8443")], false),
            (&[("origin", "https://localhost:8443"), ("origin", "https://evil.example")], false),
        ] {
            assert_eq!(same_site(&headers(pairs), &own, Scheme::Https), expected, "{pairs:?}");
        }
        let default = Authority::parse("files.example").unwrap();
        assert!(same_site(&headers(&[("origin", "https://files.example:443")]), &default, Scheme::Https));
        assert!(same_site(&headers(&[("origin", "https://files.example")]), &default, Scheme::Either));
    }

    #[test]
    fn every_method_we_do_not_know_counts_as_changing() {
        for (method, expected) in [
            ("GET", false),
            ("HEAD", false),
            ("OPTIONS", false),
            ("PROPFIND", false),
            ("PUT", true),
            ("POST", true),
            ("LOCK", true),
            ("get", true),
            ("XYZ", true),
        ] {
            assert_eq!(is_changing(&Method::from_bytes(method.as_bytes()).unwrap()), expected, "{method}");
        }
    }

    #[test]
    fn a_configured_name_must_be_a_host() {
        assert_eq!(Names::new(["https://x"]).map(drop), Err(NameError { given: "https://x".into() }));
    }
}
