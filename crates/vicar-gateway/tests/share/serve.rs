//! A small server for litmus and other clients.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use vicar_gateway::body::{ReplyBody, empty};
use vicar_gateway::share::{BodyError, Caller, Share, ShareOptions};
use vicar_os::{ClientThreadOptions, Server, StartOptions, Starting};

use crate::worker::caller;

struct Door {
    server: Server,
    share: Share,
    callers: Mutex<HashMap<String, Caller>>,
}

pub(crate) fn run(directory: &str) {
    let server = Starting::begin(StartOptions::default()).unwrap().finish().unwrap();
    let threads = server.client_threads(ClientThreadOptions::default()).unwrap();
    let share = Share::open(ShareOptions::new(directory), threads).unwrap();
    let door = Arc::new(Door { server, share, callers: Mutex::default() });
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}/", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let door = Arc::clone(&door);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&door), request));
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

async fn answer(door: Arc<Door>, request: Request<Incoming>) -> Result<Response<ReplyBody>, Infallible> {
    let Some(caller) = who(&door, &request) else {
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.headers_mut().insert("www-authenticate", "Basic realm=\"share\"".parse().unwrap());
        return Ok(response);
    };
    let request = request.map(|body| body.map_err(|_| BodyError::Cut).boxed_unsync());
    Ok(door.share.serve(&caller, request).await.response)
}

fn who(door: &Door, request: &Request<Incoming>) -> Option<Caller> {
    let basic = request.headers().get("authorization")?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(basic).ok()?).ok()?;
    let (name, _) = pair.split_once(':')?;
    let uid: u32 = name.strip_prefix('u')?.parse().ok()?;
    let mut callers = door.callers.lock().unwrap();
    Some(callers.entry(name.to_owned()).or_insert_with(|| caller(&door.server, name, uid)).clone())
}
