//! What the tower layer adds to a request whose client is known: the same service with it and without it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::{Request, Response};
use tower_layer::Layer as _;
use tower_service::Service;
use vicar_os::adapter::tokio::{Clients, reset_threads};
use vicar_os::adapter::tower::{ImpersonateLayer, Impersonated, Refusal};
use vicar_os::{ClientThreadOptions, KernelGid, KernelUid, LogonKind, Server, StartOptions, Starting, UnixIdentity};

use crate::kernel::Figure;

/// Most requests in one window.
const COUNT: u32 = 20_000;

/// Answers at once; looks whether it was told whose request it is, as a service does.
#[derive(Clone)]
struct Answers;

impl Service<Request<()>> for Answers {
    type Response = Response<bool>;
    type Error = Infallible;
    type Future = Ready<Result<Response<bool>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        ready(Ok(Response::new(request.extensions().get::<Impersonated>().is_some())))
    }
}

/// Measures in processes of their own, one a round, because a server starts with one thread.
pub(crate) fn measure(rounds: u32, window: Duration) -> Result<Vec<Figure>, String> {
    let program = std::env::current_exe().map_err(|error| format!("own path: {error}"))?;
    let mut figure = Figure {
        name: "tower_layer",
        label: "tower layer, client known",
        groups: 0,
        nanoseconds: Vec::new(),
        ratios: Vec::new(),
    };
    for _ in 0..rounds {
        let output = Command::new(&program)
            .args(["--layer", "--window-ms", &window.as_millis().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("start of the layer: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.split_whitespace().map(str::parse::<f64>);
        let (Some(Ok(plain)), Some(Ok(layered))) = (numbers.next(), numbers.next()) else {
            return Err(format!("the layer answered {text:?}, {}", output.status));
        };
        figure.nanoseconds.push(layered - plain);
        figure.ratios.push(layered / plain);
    }
    Ok(vec![figure])
}

/// Prints nanoseconds of a request without and with the layer.
pub(crate) fn print(window: Duration) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let server = Starting::begin(StartOptions::default()).map_err(|error| said(&error))?;
    let server = server.finish().map_err(|error| said(&error))?;
    let client = logon(&server)?;
    let threads = server.client_threads(ClientThreadOptions { threads: 1, ..ClientThreadOptions::default() });
    let threads = threads.map_err(|error| said(&error))?;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = reset_threads(&mut builder, &server).build().map_err(|error| said(&error))?;
    let clients = runtime.block_on(Clients::attach(&server, threads)).map_err(|error| said(&error))?;
    let layer = ImpersonateLayer::new(clients, move |_: &http::request::Parts| Ok::<_, Refusal>(client.clone()));
    let (mut plain, mut layered) = (Answers, layer.layer(Answers));
    let (mut without, mut with) = (f64::INFINITY, f64::INFINITY);
    let enough = Instant::now();
    // In turns, so that whatever else the machine does meets both.
    while enough.elapsed() < window.saturating_mul(40) {
        without = without.min(each(&mut plain, false)?);
        with = with.min(each(&mut layered, true)?);
    }
    println!("{without} {with}");
    Ok(())
}

fn logon(server: &Server) -> Result<vicar_os::ClientContext, String> {
    let (uid, gid) = KernelUid::new(61_801).zip(KernelGid::new(61_801)).ok_or("no such id")?;
    let identity = UnixIdentity::new(uid, gid, []).map_err(|error| error.to_string())?;
    server.logon(LogonKind::Network, &identity).map_err(|error| error.to_string())
}

/// Nanoseconds of one request, over many.
fn each<S>(service: &mut S, has_client: bool) -> Result<f64, String>
where
    S: Service<Request<()>, Response = Response<bool>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    let started = Instant::now();
    for _ in 0..COUNT {
        let answer = service.call(black_box(Request::new(())));
        let answer = std::pin::pin!(answer);
        match answer.poll(&mut context) {
            Poll::Ready(Ok(response)) if *response.body() == has_client => {}
            Poll::Ready(_) | Poll::Pending => return Err("the service answered something else".to_owned()),
        }
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / f64::from(COUNT))
}
