//! The HTTP client: one connection for everybody, kept alive, so that a server which remembers the wrong person is found out.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::net::TcpStream;

use super::tls::Trust;

/// How long a connection, and then each answer, may take.
const TIME: Duration = Duration::from_secs(20);
/// Most of an answer's body that is looked at, in bytes.
const MOST_BYTES: usize = 1_048_576;

/// What is written as %XX in a path segment.
const ENCODED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    is_tls: bool,
    host: String,
    authority: String,
    port: u16,
    /// Begins with `/` and does not end with it; empty for the root.
    base: String,
}

/// Why a URL is not one we can ask.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TargetError {
    NotAUrl,
    Scheme,
    Credentials,
    Query,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "the URL cannot be read",
            Self::Scheme => "the URL must begin with http:// or https://",
            Self::Credentials => "the URL must not hold a name or a password; use --as",
            Self::Query => "the URL must not have a query",
        })
    }
}

impl Target {
    /// Reads the URL of the directory that the server serves.
    pub(crate) fn parse(url: &str) -> Result<Self, TargetError> {
        let uri: Uri = url.parse().map_err(|_| TargetError::NotAUrl)?;
        let (is_tls, usual_port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            Some(_) | None => return Err(TargetError::Scheme),
        };
        let authority = uri.authority().ok_or(TargetError::NotAUrl)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::Credentials);
        }
        if uri.query().is_some() {
            return Err(TargetError::Query);
        }
        Ok(Self {
            is_tls,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            authority: authority.as_str().to_owned(),
            port: authority.port_u16().unwrap_or(usual_port),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The path of the request for a file below the served directory.
    fn path(&self, below: &str) -> String {
        format!("{}/{}", self.base, utf8_percent_encode(below, ENCODED))
    }

    /// The same as a whole URL, for a Destination header.
    fn url(&self, below: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path(below))
    }
}

/// A name and a password.
#[derive(Clone, Copy)]
pub(crate) struct SignIn<'a> {
    pub(crate) name: &'a str,
    pub(crate) password: &'a str,
}

impl fmt::Debug for SignIn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What is asked of the server.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: String,
    pub(crate) to: Option<String>,
    pub(crate) body: String,
    pub(crate) sign_in: Option<SignIn<'a>>,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    /// The ways to sign in that a 401 offers.
    pub(crate) challenges: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    Connect(std::io::Error),
    Tls(String),
    Http(hyper::Error),
    Request(http::Error),
    Slow,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Tls(error) => write!(f, "no TLS: {error}"),
            Self::Http(error) => write!(f, "no answer: {error}"),
            Self::Request(error) => write!(f, "cannot ask: {error}"),
            Self::Slow => write!(f, "no answer within {} s", TIME.as_secs()),
        }
    }
}

/// One connection, opened again when the server closes it.
pub(crate) struct Client {
    target: Target,
    trust: Trust,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(target: Target, trust: Trust) -> Self {
        Self { target, trust, open: None }
    }

    /// Asks once; asks again on a new connection if the kept one turns out to be closed.
    ///
    /// Redirects are not followed. A second try may find its work done by the first: verdicts look at the files, not at the status.
    pub(crate) async fn ask(&mut self, ask: &Ask<'_>) -> Result<Response, ClientError> {
        let was_kept = self.open.as_ref().is_some_and(|open| !open.is_closed());
        match tokio::time::timeout(TIME, self.try_once(ask)).await {
            Ok(Err(ClientError::Http(_))) if was_kept => {
                self.open = None;
                tokio::time::timeout(TIME, self.try_once(ask)).await.unwrap_or(Err(ClientError::Slow))
            }
            Ok(result) => result,
            Err(_) => {
                self.open = None;
                Err(ClientError::Slow)
            }
        }
    }

    async fn try_once(&mut self, ask: &Ask<'_>) -> Result<Response, ClientError> {
        let request = self.request(ask).map_err(ClientError::Request)?;
        let mut sender = match self.open.take() {
            Some(mut kept) => match kept.ready().await {
                Ok(()) => kept,
                Err(_) => self.connect().await?,
            },
            None => self.connect().await?,
        };
        let response = sender.send_request(request).await.map_err(ClientError::Http)?;
        let (head, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        let mut is_whole = true;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    if let Some(data) = frame.data_ref() {
                        bytes.extend_from_slice(data);
                    }
                }
                // What came before the break still counts: a leak is a leak.
                Err(_) => {
                    is_whole = false;
                    break;
                }
            }
            if bytes.len() > MOST_BYTES {
                is_whole = false;
                break;
            }
        }
        if is_whole {
            self.open = Some(sender);
        }
        let challenges = head
            .headers
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .filter_map(|value| value.split_whitespace().next())
            .map(str::to_owned)
            .collect();
        Ok(Response { status: head.status, body: bytes, challenges })
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
        let method = Method::from_bytes(ask.method.as_bytes())?;
        let mut builder = Request::builder()
            .method(method)
            .uri(self.target.path(&ask.path))
            .header(header::HOST, &self.target.authority)
            .header(header::USER_AGENT, concat!("vicar-prove/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT_ENCODING, "identity");
        if let Some(sign_in) = ask.sign_in {
            let text = format!("{}:{}", sign_in.name, sign_in.password);
            let mut value =
                HeaderValue::from_str(&format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text)))?;
            value.set_sensitive(true);
            builder = builder.header(header::AUTHORIZATION, value);
        }
        if ask.method == "PROPFIND" {
            builder = builder.header("depth", "1");
        }
        if let Some(to) = &ask.to {
            builder = builder.header("destination", self.target.url(to)).header("overwrite", "T");
        }
        if ask.method == "PUT" {
            builder = builder.header(header::CONTENT_TYPE, "text/plain");
        }
        builder.body(Full::new(Bytes::from(ask.body.clone())))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let tcp =
            TcpStream::connect((self.target.host.as_str(), self.target.port)).await.map_err(ClientError::Connect)?;
        let _ = tcp.set_nodelay(true);
        if self.target.is_tls {
            let connector = self.trust.connector().map_err(ClientError::Tls)?;
            let name = rustls::pki_types::ServerName::try_from(self.target.host.clone())
                .map_err(|error| ClientError::Tls(error.to_string()))?;
            let tls = connector.connect(name, tcp).await.map_err(|error| ClientError::Tls(error.to_string()))?;
            let (sender, connection) = handshake(TokioIo::new(tls)).await.map_err(ClientError::Http)?;
            tokio::spawn(connection);
            Ok(sender)
        } else {
            let (sender, connection) = handshake(TokioIo::new(tcp)).await.map_err(ClientError::Http)?;
            tokio::spawn(connection);
            Ok(sender)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, path: &str, destination: &str) {
        let target = Target::parse(url).unwrap();
        assert_eq!(target.path("d/a b%.txt"), path, "{url}");
        assert_eq!(target.url("d/x"), destination, "{url}");
    }

    #[test]
    fn a_url_names_the_served_directory() {
        check("http://127.0.0.1:8080", "/d/a%20b%25.txt", "http://127.0.0.1:8080/d/x");
        check("http://127.0.0.1:8080/", "/d/a%20b%25.txt", "http://127.0.0.1:8080/d/x");
        check("https://[::1]:8443/dav//", "/dav/d/a%20b%25.txt", "https://[::1]:8443/dav/d/x");
        assert_eq!(Target::parse("https://[::1]:8443/dav").unwrap().host, "::1");
    }

    #[test]
    fn a_url_that_cannot_be_asked_is_refused() {
        for (url, error) in [
            ("ftp://h/", TargetError::Scheme),
            ("h", TargetError::Scheme),
            ("http://", TargetError::NotAUrl),
            ("http://a:b@h/", TargetError::Credentials),
            ("http://h/?q", TargetError::Query),
        ] {
            assert_eq!(Target::parse(url).unwrap_err(), error, "{url}");
        }
    }
}
