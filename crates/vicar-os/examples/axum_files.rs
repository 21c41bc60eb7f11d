//! Axum on a Unix socket: `GET /NAME` is the file NAME beneath DIRECTORY, if the kernel lets the caller read it.
//!
//! `axum_files SOCKET DIRECTORY`, as root; then `curl --unix-socket SOCKET http://localhost/NAME` as anybody.

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Path, State};
use axum::http::{StatusCode, request};
use axum::serve::{IncomingStream, Listener};
use axum::{Router, routing::get};
use std::path::PathBuf;
use std::{env, error::Error, sync::Arc};
use tokio::net::{UnixListener, UnixStream};
use vicar_os::adapter::tokio::{Clients, reset_threads};
use vicar_os::adapter::tower::{ImpersonateLayer, Impersonated, Refusal};
use vicar_os::fs::{BeneathPath, Errno, FsError, Links, Root};
use vicar_os::{ClientContext, ClientThreadOptions, LogonKind, Server, StartOptions, Starting, source};

/// Connections, each with the client that the kernel says made it.
struct Peers {
    socket: UnixListener,
    server: Server,
}

impl Listener for Peers {
    type Io = UnixStream;
    type Addr = Option<ClientContext>;

    async fn accept(&mut self) -> (UnixStream, Option<ClientContext>) {
        let (stream, _) = Listener::accept(&mut self.socket).await;
        let peer = source::peer::of(&stream).ok();
        let client = peer.and_then(|peer| self.server.logon(LogonKind::Network, peer.identity()).ok());
        (stream, client)
    }

    fn local_addr(&self) -> std::io::Result<Option<ClientContext>> {
        Ok(None)
    }
}

/// Who made the connection that a request came by; nobody when no client could be made of it.
#[derive(Clone)]
struct Who(Option<ClientContext>);

impl Connected<IncomingStream<'_, Peers>> for Who {
    fn connect_info(stream: IncomingStream<'_, Peers>) -> Self {
        Self(stream.remote_addr().clone())
    }
}

fn whose(head: &request::Parts) -> Result<ClientContext, Refusal> {
    let who = head.extensions.get::<ConnectInfo<Who>>();
    who.and_then(|ConnectInfo(Who(client))| client.clone()).ok_or(Refusal(StatusCode::FORBIDDEN))
}

async fn file(
    State(directory): State<Arc<PathBuf>>,
    Path(name): Path<String>,
    who: Impersonated,
) -> Result<Vec<u8>, StatusCode> {
    let name = BeneathPath::parse(name.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let read = who.run(move |as_client| {
        let found = Root::open(as_client, &directory)?.look(as_client, &name, Links::Follow)?;
        let file = found.open_read(as_client)?;
        let len_bytes = usize::try_from(file.stat_now(as_client)?.size).unwrap_or(usize::MAX).min(1 << 20);
        file.read_at(as_client, 0, len_bytes)
    });
    let read = read.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    read.map_err(|error: FsError| if error.is(Errno::NOENT) { StatusCode::NOT_FOUND } else { StatusCode::FORBIDDEN })
}

fn main() -> Result<(), Box<dyn Error>> {
    let [socket, directory] =
        env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "axum_files SOCKET DIRECTORY")?;
    let server = Starting::begin(StartOptions::default())?.finish()?; // before there are threads
    let threads = server.client_threads(ClientThreadOptions::default())?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = reset_threads(builder.enable_all(), &server).build()?;
    runtime.block_on(async {
        let clients = Clients::attach(&server, threads).await?;
        let files = Router::new().route("/{*name}", get(file)).with_state(Arc::new(PathBuf::from(directory)));
        let service = files.layer(ImpersonateLayer::new(clients, whose));
        let peers = Peers { socket: UnixListener::bind(socket)?, server };
        axum::serve(peers, service.into_make_service_with_connect_info::<Who>()).await?;
        Ok(())
    })
}
