//! A front with a fake share, and a client that speaks plain bytes.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use vicar_gateway::audit::{AuditLog, Necessity};
use vicar_gateway::body::{BodyError, RequestBody, full};
use vicar_gateway::limit::Limits;
use vicar_gateway::origin::Names;
use vicar_gateway::serve::{Answer, Answering, Gateway, Handler, Listener, Parts, Stopped, Stopper, Transport};
use vicar_gateway::signin::account::{Logon, LogonRefused, SignedIn};
use vicar_gateway::signin::file::{PasswordFile, Root};
use vicar_gateway::signin::hash::{Cost, PasswordHash};
use vicar_gateway::signin::{Method, SignIn, SignInLimits};
use vicar_os::UnixIdentity;

pub(crate) const ALICE: &str = "Authorization: Basic YWxpY2U6YQ==\r\n";
pub(crate) const BOB: &str = "Authorization: Basic Ym9iOmI=\r\n";
pub(crate) const WRONG: &str = "Authorization: Basic YWxpY2U6Yg==\r\n";

/// A body of this many pieces of 64 KiB.
struct Pieces(usize);

impl Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        Poll::Ready(left.map(|_| Ok(Frame::data(Bytes::from_static(&[b'x'; 65_536])))))
    }
}

/// Longer than anything takes, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds.
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Closed until the test says how many requests may pass.
struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

/// Does what the path says.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    pub(crate) calls: Arc<AtomicUsize>,
    /// Bytes of the bodies that were read so far.
    pub(crate) received: Arc<AtomicUsize>,
    held: Arc<Gate>,
}

impl Handler<u32> for Fake {
    fn answer(&self, person: Arc<SignedIn<u32>>, request: Request<RequestBody>) -> Answering<'_> {
        assert!(request.uri().path() != "/panic-early", "asked to panic early");
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let path = request.uri().path().to_owned();
            let mut status = StatusCode::OK;
            let mut text = format!("{} {}\n", person.name, person.client).into_bytes();
            match path.as_str() {
                "/panic" => panic!("asked to panic"),
                "/panic-late" => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    panic!("asked to panic late");
                }
                "/held" => self.held.0.acquire().await.unwrap().forget(),
                "/body" => match self.read(request.into_body()).await {
                    Ok(count) => text = format!("{count} bytes\n").into_bytes(),
                    Err(BodyError::TooLarge { .. }) => status = StatusCode::INSUFFICIENT_STORAGE,
                    Err(_) => status = StatusCode::BAD_REQUEST,
                },
                _ => {}
            }
            let body = if path == "/big" { Pieces(1_024).boxed_unsync() } else { full(text) };
            let mut response = Response::new(body);
            *response.status_mut() = status;
            Answer { response, op: "fake", path, destination: None, shown: Some((person.client, 7)) }
        })
    }
}

impl Fake {
    async fn read(&self, mut body: RequestBody) -> Result<usize, BodyError> {
        let mut count = 0;
        while let Some(frame) = body.frame().await {
            let len = frame?.data_ref().map_or(0, Bytes::len);
            count += len;
            self.received.fetch_add(len, Ordering::SeqCst);
        }
        Ok(count)
    }

    /// Waits until the share has been asked `count` times.
    pub(crate) fn wait_for_calls(&self, count: usize) {
        eventually(|| self.calls.load(Ordering::SeqCst) >= count);
    }

    /// Lets this many requests for `/held` end.
    pub(crate) fn let_go(&self, count: usize) {
        self.held.0.add_permits(count);
    }
}

impl Logon<u32> for Fake {
    fn logon(&self, identity: &UnixIdentity) -> Result<u32, LogonRefused> {
        Ok(identity.uid().raw())
    }
}

/// What the audit log of a test is written to.
#[derive(Clone, Default)]
pub(crate) struct Lines(pub(crate) Arc<Mutex<Log>>);

/// What is in it, and whether there is room for more.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) is_full: bool,
    /// Writes that found no room.
    pub(crate) refused: usize,
    bytes: Vec<u8>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut inner = self.0.lock().unwrap();
        if inner.is_full {
            inner.refused += 1;
            return Err(std::io::Error::from_raw_os_error(28));
        }
        inner.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The lines so far, once there are `count` of them.
    pub(crate) fn wait(&self, count: usize) -> Vec<serde_json::Value> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let text = String::from_utf8(self.0.lock().unwrap().bytes.clone()).unwrap();
            let lines: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            if lines.len() >= count {
                return lines;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no {count} audit lines: {:?}", String::from_utf8_lossy(&self.0.lock().unwrap().bytes));
    }
}

/// A running front.
pub(crate) struct Front {
    runtime: Runtime,
    pub(crate) address: SocketAddr,
    pub(crate) fake: Fake,
    pub(crate) lines: Lines,
    pub(crate) stopper: Stopper,
    running: Option<JoinHandle<std::io::Result<Stopped>>>,
}

impl Front {
    pub(crate) fn start(limits: Limits) -> Self {
        Self::with(limits, Necessity::Required, &[], None)
    }

    pub(crate) fn with(limits: Limits, necessity: Necessity, names: &[&str], other: Option<Listener>) -> Self {
        let (fake, lines) = (Fake::default(), Lines::default());
        let hash = |password: &str| PasswordHash::of(password, Cost::Random).unwrap().as_str().to_owned();
        let text = format!("alice@61001:61001:{}\nbob@61002:61002:{}\n", hash("a"), hash("b"));
        let file = PasswordFile::parse(text.as_bytes(), Path::new("p"), Root::Refused).unwrap();
        let sign_in_limits = SignInLimits { parallel: 2, waiting: 64 };
        let sign_in = SignIn::new(Method::File(file), None, Box::new(fake.clone()), sign_in_limits).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = match other {
            Some(listener) => listener,
            None => Listener::tcp("127.0.0.1:0".parse().unwrap(), Transport::Plain).unwrap(),
        };
        let address = match &listener {
            Listener::Tcp { address, .. } => *address,
            Listener::Unix { .. } => "127.0.0.1:1".parse().unwrap(),
        };
        let parts = Parts {
            handler: Arc::new(fake.clone()),
            sign_in,
            audit: AuditLog::to(lines.clone(), necessity),
            names: Names::new(names.iter().copied()).unwrap(),
            limits,
        };
        let gateway = Gateway::new(parts, vec![listener]);
        let stopper = gateway.stopper();
        let running = Some(runtime.spawn(gateway.run()));
        Self { runtime, address, fake, lines, stopper, running }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A request with this server's Host; `headers` end in CRLF each.
    pub(crate) fn head(&self, line: &str, headers: &str) -> String {
        format!("{line} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address)
    }

    /// Asks on a connection of its own.
    pub(crate) fn ask(&self, line: &str, headers: &str) -> Reply {
        let mut stream = self.connect();
        stream.write_all(self.head(line, headers).as_bytes()).unwrap();
        read_reply(&mut stream)
    }

    /// Waits for the end and says how it ended.
    pub(crate) fn join(&mut self) -> Stopped {
        let running = self.running.take().unwrap();
        let ended = async { tokio::time::timeout(PATIENCE, running).await };
        self.runtime.block_on(ended).unwrap().unwrap().unwrap()
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Waits until the other end closes or resets a connection on which it says nothing; `false` when it does neither for as
/// long as anything may take.
pub(crate) fn is_closed(stream: &mut impl Read) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Reads one reply with a content length; status 0 when the connection ends first.
pub(crate) fn read_reply(stream: &mut impl Read) -> Reply {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) | Err(_) => return Reply { status: 0, head: String::from_utf8(head).unwrap(), body: Vec::new() },
        }
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut reply = Reply { status, head, body: Vec::new() };
    let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
    reply.body.resize(length, 0);
    stream.read_exact(&mut reply.body).unwrap();
    reply
}
