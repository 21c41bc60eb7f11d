//! Takes connections from one socket.

use super::connection::drive;
use super::listen::{Listener, Transport};
use super::{Connection, Phase, Shared};
use crate::limit::network;
use crate::origin::{Arrival, Scheme};
use core::pin::Pin;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// How long to rest when the system has no more descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

type Accepting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What an accepted connection takes with it.
struct Accepted<C> {
    shared: Arc<Shared<C>>,
    phase: watch::Receiver<Phase>,
    /// One of the connections that the server has in all.
    _place: OwnedSemaphorePermit,
}

/// Gives a socket to the runtime; the future accepts until the server drains.
pub(super) fn accept<C: Send + Sync + 'static>(
    listener: Listener,
    shared: Arc<Shared<C>>,
    places: Arc<Semaphore>,
    mut phase: watch::Receiver<Phase>,
) -> io::Result<Accepting> {
    let later = phase.clone();
    let place = move || {
        let place = Arc::clone(&places).try_acquire_owned().ok()?;
        Some(Accepted { shared: Arc::clone(&shared), phase: later.clone(), _place: place })
    };
    match listener {
        Listener::Tcp { socket, transport, .. } => {
            let socket = TcpListener::from_std(socket)?;
            Ok(Box::pin(async move {
                while *phase.borrow() == Phase::Running {
                    tokio::select! {
                        accepted = socket.accept() => match (accepted, place()) {
                            (Ok((stream, remote)), Some(accepted)) => {
                                tokio::spawn(tcp(stream, remote, transport.clone(), accepted));
                            }
                            (Ok(_), None) => {}
                            (Err(error), _) => rest(&error).await,
                        },
                        _ = phase.changed() => {}
                    }
                }
            }))
        }
        Listener::Unix { socket, path } => {
            let socket = UnixListener::from_std(socket)?;
            Ok(Box::pin(async move {
                while *phase.borrow() == Phase::Running {
                    tokio::select! {
                        accepted = socket.accept() => match (accepted, place()) {
                            (Ok((stream, _)), Some(accepted)) => {
                                tokio::spawn(unix(stream, accepted));
                            }
                            (Ok(_), None) => {}
                            (Err(error), _) => rest(&error).await,
                        },
                        _ = phase.changed() => {}
                    }
                }
                // A stale one is replaced at the next start, should this fail.
                let _ = std::fs::remove_file(path);
            }))
        }
    }
}

/// A connection that ended before it was taken is nothing; a full table needs time.
async fn rest(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
    }
}

/// The head and the first piece of a body leave in two writes; without this the second waits for an acknowledgement.
fn send_at_once(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

async fn tcp<C: Send + Sync + 'static>(
    stream: TcpStream,
    remote: SocketAddr,
    transport: Transport,
    accepted: Accepted<C>,
) {
    send_at_once(&stream);
    let Accepted { shared, phase, _place } = accepted;
    let address = remote.ip().to_canonical();
    let held = shared.addresses.take(network(address));
    // One too many gets an answer, soon, if not too many get one already.
    let refusing = if held.is_none() { Some(Arc::clone(&shared.refusals).try_acquire_owned()) } else { None };
    if matches!(refusing, Some(Err(_))) {
        return;
    }
    let (scheme, issuer) = match &transport {
        Transport::Plain => (Scheme::Http, None),
        Transport::Tls(identity) => (Scheme::Https, Some(identity.issuer())),
    };
    let connection = Arc::new(Connection {
        arrival: Arrival { scheme, local: stream.local_addr().ok() },
        remote: SocketAddr::new(address, remote.port()).to_string(),
        remote_host: address.to_string(),
        address: Some(address),
        issuer,
        is_one_too_many: held.is_none(),
        activity: Connection::clock(),
    });
    let header_time = shared.limits.header_time;
    let serving = async move {
        match transport {
            Transport::Plain => drive(stream, shared, connection, phase).await,
            Transport::Tls(identity) => {
                let handshake = TlsAcceptor::from(Arc::clone(identity.config())).accept(stream);
                if let Ok(Ok(stream)) = tokio::time::timeout(header_time, handshake).await {
                    drive(stream, shared, connection, phase).await;
                }
            }
        }
    };
    if held.is_some() {
        serving.await;
    } else {
        // Whether it asked or not, it ends.
        let _ = tokio::time::timeout(header_time, serving).await;
    }
}

async fn unix<C: Send + Sync + 'static>(stream: UnixStream, accepted: Accepted<C>) {
    let Accepted { shared, phase, _place } = accepted;
    let remote = stream.peer_cred().map_or_else(|_| "unix".to_owned(), |peer| format!("unix:uid={}", peer.uid()));
    let connection = Arc::new(Connection {
        arrival: Arrival { scheme: Scheme::Either, local: None },
        remote_host: "localhost".to_owned(),
        remote,
        address: None,
        issuer: None,
        is_one_too_many: false,
        activity: Connection::clock(),
    });
    drive(stream, shared, connection, phase).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reply_in_two_writes_waits_for_no_acknowledgement() {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
        let (stream, _) = socket.accept().await.unwrap();
        assert!(!stream.nodelay().unwrap());
        send_at_once(&stream);
        assert!(stream.nodelay().unwrap());
    }
}
