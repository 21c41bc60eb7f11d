//! The process that holds the share: it has given up its powers, so the test that arranges files is another one.
//!
//! One JSON value a line, both ways.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use vicar_gateway::share::{BodyError, Caller, Fault, FaultPoint, Reply, RequestBody, Share, ShareOptions};
use vicar_os::{ClientThreadOptions, KernelGid, KernelUid, LogonKind, Server, StartOptions, Starting, UnixIdentity};

use crate::rig::{ALICE, BOB, TEAM};

/// What to serve.
#[derive(Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) root: PathBuf,
    pub(crate) spool: PathBuf,
    pub(crate) listing_entries: usize,
    pub(crate) listings_per_user: usize,
    pub(crate) tree_entries: usize,
    pub(crate) tree_depth: usize,
    pub(crate) spool_bytes: u64,
    pub(crate) locks_per_user: usize,
}

/// A request.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) bob: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<String>,
    pub(crate) length: Option<usize>,
    pub(crate) pieces: Vec<Piece>,
    /// Waits for a line between the head of the answer and its body.
    pub(crate) hold: bool,
    /// Drops the request after so long.
    pub(crate) drop_after: Option<Duration>,
    /// Sent together with this one; its answer comes after.
    pub(crate) beside: Option<Box<Order>>,
}

/// A piece of a request's body.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Piece {
    /// Bytes, in base64.
    Data(String),
    /// The end of the connection.
    Cut,
    /// More than the front takes.
    TooLarge,
}

/// An answer.
#[derive(Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) whole: bool,
    pub(crate) op: String,
    pub(crate) path: String,
    pub(crate) destination: Option<String>,
    pub(crate) shown: Option<(u32, u32)>,
}

pub(crate) fn caller(server: &Server, name: &str, uid: u32) -> Caller {
    let gid = |raw| KernelGid::new(raw).unwrap();
    let identity = UnixIdentity::new(KernelUid::new(uid).unwrap(), gid(uid), [gid(uid), gid(TEAM)]).unwrap();
    Caller { name: Arc::from(name), client: server.logon(LogonKind::NetworkCleartext, &identity).unwrap() }
}

pub(crate) fn run() {
    let mut lines = std::io::stdin().lock().lines();
    let setup: Setup = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let server = Starting::begin(StartOptions::default()).unwrap().finish().unwrap();
    let threads = server.client_threads(ClientThreadOptions { threads: 4, ..Default::default() }).unwrap();
    let mut options = ShareOptions::new(setup.root);
    options.spool = setup.spool;
    options.limits.listing_entries = setup.listing_entries;
    options.limits.listings_per_user = setup.listings_per_user;
    options.limits.tree_entries = setup.tree_entries;
    options.limits.tree_depth = setup.tree_depth;
    options.limits.spool_bytes = setup.spool_bytes;
    options.limits.locks_per_user = setup.locks_per_user;
    options.fault = Some(Fault(Arc::new(|headers| headers.contains_key("x-fault").then_some(FaultPoint::AsClient))));
    let share = Share::open(options, threads.clone()).unwrap();
    let (alice, bob) = (caller(&server, "alice", ALICE), caller(&server, "bob", BOB));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let of = |order: &Order| if order.bob { &bob } else { &alice };
    while let Some(Ok(line)) = lines.next() {
        let order: Order = serde_json::from_str(&line).unwrap();
        let who = of(&order);
        if let Some(other) = &order.beside {
            let told = runtime.block_on(async {
                let both = tokio::join!(share.serve(who, request(&order)), share.serve(of(other), request(other)));
                [tell(both.0).await, tell(both.1).await]
            });
            for told in told {
                println!("{}", serde_json::to_string(&Some(told)).unwrap());
            }
            continue;
        }
        let told = runtime.block_on(async {
            let serving = share.serve(who, request(&order));
            let reply = match order.drop_after {
                Some(limit) => tokio::time::timeout(limit, serving).await.ok()?,
                None => serving.await,
            };
            if order.hold {
                println!("null");
                lines.next();
            }
            Some(tell(reply).await)
        });
        if told.is_none() {
            // What the dropped request left to do is done after these.
            for _ in 0..8 {
                threads.run(&who.client, |_| ()).wait().unwrap();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("{}", serde_json::to_string(&told).unwrap());
        std::io::stdout().flush().unwrap();
    }
}

async fn tell(reply: Reply) -> Told {
    let (head, mut body) = reply.response.into_parts();
    let (mut bytes, mut whole) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().unwrap()),
            Err(_) => whole = false,
        }
    }
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    Told {
        status: head.status.as_u16(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: STANDARD.encode(bytes),
        whole,
        op: reply.facts.op.to_owned(),
        path: reply.facts.path,
        destination: reply.facts.destination,
        shown: reply.facts.shown,
    }
}

fn request(order: &Order) -> Request<RequestBody> {
    let mut request = Request::builder().method(order.method.as_str()).uri(&order.path).header("host", "share.test");
    if let Some(length) = order.length {
        request = request.header("content-length", length);
    }
    for line in &order.headers {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(Pieces(order.pieces.clone().into_iter()).boxed_unsync()).unwrap()
}

struct Pieces(std::vec::IntoIter<Piece>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        std::task::Poll::Ready(self.0.next().map(|piece| match piece {
            Piece::Data(text) => Ok(http_body::Frame::data(STANDARD.decode(text).unwrap().into())),
            Piece::Cut => Err(BodyError::Cut),
            Piece::TooLarge => Err(BodyError::TooLarge { limit: 1 }),
        }))
    }
}
