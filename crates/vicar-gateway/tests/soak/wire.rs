//! A small HTTP client on a blocking socket: it can keep a connection, cut it anywhere, and send what no proper client sends.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;

/// How long one read or write may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) method: &'static str,
    /// As it stands in the request line: already encoded.
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

impl Sent {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn sign_in(self, name: &str, password: &str) -> Self {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
        self.with("Authorization", format!("Basic {text}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Everything before the body.
    pub(crate) fn head(&self, host: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("Host: {host}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// Names and values, in order.
pub(crate) type Headers = Vec<(String, String)>;

fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    host: String,
    pending: Vec<u8>,
}

impl Wire {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host: address.to_string(), pending: Vec::new() })
    }

    /// Sends and receives.
    pub(crate) fn ask(&mut self, sent: &Sent) -> io::Result<Got> {
        self.send(sent)?;
        self.receive(sent.method)
    }

    /// Sends head and body in one write where that is possible.
    pub(crate) fn send(&mut self, sent: &Sent) -> io::Result<()> {
        let mut bytes = sent.head(&self.host);
        if let Some(body) = &sent.body {
            bytes.extend_from_slice(body);
        }
        self.raw(&bytes)
    }

    /// Sends the head and the first `count` bytes of the body.
    pub(crate) fn send_part(&mut self, sent: &Sent, count: usize) -> io::Result<()> {
        let mut bytes = sent.head(&self.host);
        bytes.extend(sent.body.iter().flatten().take(count));
        self.raw(&bytes)
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    pub(crate) fn patience(&self, time: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(time))
    }

    /// Reads one answer to a request with this method; 100 Continue is passed over.
    pub(crate) fn receive(&mut self, method: &str) -> io::Result<Got> {
        loop {
            let (status, headers) = self.receive_head()?;
            if status == 100 {
                continue;
            }
            let has_none = method == "HEAD" || matches!(status, 204 | 304);
            let body = if has_none { Vec::new() } else { self.receive_body(&headers)? };
            return Ok(Got { status, headers, body });
        }
    }

    /// Reads the body that a head announces.
    pub(crate) fn receive_body(&mut self, headers: &Headers) -> io::Result<Vec<u8>> {
        if find(headers, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            self.chunks()
        } else if let Some(length) = find(headers, "content-length") {
            self.exactly(length.trim().parse().map_err(|_| bad("content-length"))?)
        } else {
            self.rest()
        }
    }

    pub(crate) fn receive_head(&mut self) -> io::Result<(u16, Headers)> {
        let status_line = self.line()?;
        let status =
            status_line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| bad("status line"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad("header"))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| bad("chunk size"))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            self.line()?;
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|pair| pair == b"\r\n") {
                let mut line: Vec<u8> = self.pending.drain(..end + 2).collect();
                line.truncate(end);
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.fill()? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
    }

    fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.pending.len() < count {
            if self.fill()? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
        Ok(self.pending.drain(..count).collect())
    }

    /// Everything until the other side closes.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.pending))
    }

    /// Everything until a text was there so many times, or the other side closes.
    pub(crate) fn until(&mut self, text: &str, times: usize) -> Vec<u8> {
        while String::from_utf8_lossy(&self.pending).matches(text).count() < times && matches!(self.fill(), Ok(1..)) {}
        std::mem::take(&mut self.pending)
    }

    /// Everything until the other side closes or is silent for as long as reads may take.
    pub(crate) fn rest_until_quiet(&mut self) -> Vec<u8> {
        while matches!(self.fill(), Ok(1..)) {}
        std::mem::take(&mut self.pending)
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16_384];
        let count = self.stream.read(&mut buffer)?;
        self.pending.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
