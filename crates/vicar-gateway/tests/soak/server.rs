//! The server process: the whole gateway on loopback, put together as `vicar serve` does it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use vicar_gateway::audit::{AuditLog, Necessity};
use vicar_gateway::limit::Limits;
use vicar_gateway::origin::Names;
use vicar_gateway::serve::{Gateway, Listener, Parts, Transport, signal};
use vicar_gateway::share::{Fault, FaultPoint, Share, ShareOptions};
use vicar_gateway::signin::file::{PasswordFile, Person, Root};
use vicar_gateway::signin::hash::{Cost, PasswordHash};
use vicar_gateway::signin::write::put_line;
use vicar_gateway::signin::{Method, SignIn, SignInLimits};
use vicar_os::{ClientThreadOptions, StartOptions, Starting};

use crate::rig::{Order, Ready};

/// The server's whole life.
pub(crate) fn live(order: &str) {
    let order: Order = serde_json::from_str(order).unwrap();
    // Everything that needs the starting rights comes first, while there is one thread.
    let passwords = order.state.join("passwords");
    for (name, password, ids) in &order.users {
        let person = Person::parse(&format!("{name}@{ids}")).unwrap();
        put_line(&passwords, &person, &PasswordHash::of(password, Cost::Random).unwrap()).unwrap();
    }
    let file = PasswordFile::read(&passwords, &order.share, Root::Refused).unwrap();
    let audit = AuditLog::open(&order.state.join("audit.jsonl"), Necessity::Required).unwrap();
    let spool = order.state.with_file_name("spool");
    fs::create_dir(&spool).unwrap();
    fs::set_permissions(&spool, fs::Permissions::from_mode(0o1777)).unwrap();
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap(), Transport::Plain).unwrap();
    let Listener::Tcp { address, .. } = listener else { unreachable!("a TCP listener") };

    let server = Starting::begin(StartOptions::default()).unwrap().finish().unwrap();
    let anonymous = (server.anonymous().uid().raw(), server.anonymous().gid().raw());
    let threads =
        ClientThreadOptions { threads: order.client_threads, per_client: order.client_threads, ..Default::default() };
    let threads = server.client_threads(threads).unwrap();

    let mut options = ShareOptions::new(&order.share);
    options.spool = spool;
    options.fault = order.faults.then(|| {
        Fault(Arc::new(|headers: &http::HeaderMap| match headers.get("x-vicar-fault")?.as_bytes() {
            b"client" => Some(FaultPoint::AsClient),
            b"handler" => Some(FaultPoint::Handler),
            _ => None,
        }))
    });
    let share = Share::open(options, threads).unwrap();
    let limits = SignInLimits { parallel: 2, waiting: 256 };
    let sign_in = SignIn::new(Method::File(file), None, Box::new(server), limits).unwrap();
    let mut limits = Limits { connections_per_address: 2_000, requests_per_user: 1_000, ..Limits::USUAL };
    if let Some(seconds) = order.head_seconds {
        limits.header_time = Duration::from_secs(seconds);
        limits.body_idle = Duration::from_secs(seconds);
    }
    let parts = Parts { handler: Arc::new(share), sign_in, audit, names: Names::default(), limits };
    let gateway = Gateway::new(parts, vec![listener]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        signal::stop_on_signals(gateway.stopper()).unwrap();
        println!("{}", serde_json::to_string(&Ready { address, anonymous }).unwrap());
        gateway.run().await.unwrap();
    });
}
