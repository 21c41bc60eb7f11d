use crate::front::{ALICE, Front, is_closed, read_reply};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vicar_gateway::audit::Necessity;
use vicar_gateway::limit::Limits;
use vicar_gateway::serve::{Listener, Transport};
use vicar_gateway::tls::{Fingerprint, Identity};

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("vicar-front-{name}-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    dir
}

/// Takes every certificate and remembers it.
#[derive(Debug, Default)]
struct Seen(Mutex<Option<Fingerprint>>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = Some(Fingerprint::of(end_entity));
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[test]
fn tls_shows_the_certificate_whose_fingerprint_is_printed_and_insists_only_on_a_given_one() {
    let state = scratch("tls");
    let own = Identity::self_signed(&state, &[]).unwrap();
    let file = state.join("tls-self-signed.pem");
    let given = Identity::from_files(&file, &file).unwrap();
    for (identity, insists) in [(own, None), (given, Some("max-age=31536000"))] {
        shows(&identity, insists);
    }
    std::fs::remove_dir_all(&state).unwrap();
}

fn shows(identity: &Identity, insists: Option<&str>) {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap(), Transport::Tls(identity.clone())).unwrap();
    assert!(listener.url().starts_with("https://127.0.0.1:"));
    let front = Front::with(Limits::USUAL, Necessity::Required, &[], Some(listener));
    let seen = Arc::new(Seen::default());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, front.connect());
    for _ in 0..2 {
        stream.write_all(front.head("GET /x", ALICE).as_bytes()).unwrap();
        let reply = read_reply(&mut stream);
        assert_eq!((reply.status, reply.header("strict-transport-security")), (200, insists));
    }
    assert_eq!(*seen.0.lock().unwrap(), Some(identity.fingerprint()));
}

#[test]
fn a_handshake_that_never_comes_is_given_up() {
    let state = scratch("handshake");
    let identity = Identity::self_signed(&state, &[]).unwrap();
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap(), Transport::Tls(identity)).unwrap();
    let limits = Limits { header_time: Duration::from_millis(300), ..Limits::USUAL };
    let front = Front::with(limits, Necessity::Required, &[], Some(listener));
    let mut stream = front.connect();
    stream.write_all(&[0x16, 0x03]).unwrap();
    assert!(is_closed(&mut stream));
    std::fs::remove_dir_all(&state).unwrap();
}

#[test]
fn a_unix_socket_serves_and_a_stale_one_is_replaced() {
    let dir = scratch("unix");
    let path = dir.join("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = Listener::unix(&path).unwrap();
    assert!(Listener::unix(&path).is_err(), "somebody listens");
    let mut front = Front::with(Limits::USUAL, Necessity::Required, &["files.example"], Some(listener));
    let mut stream = UnixStream::connect(&path).unwrap();
    for (host, expected) in [("localhost", 200), ("files.example", 200), ("evil.example", 421)] {
        stream.write_all(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n{ALICE}\r\n").as_bytes()).unwrap();
        assert_eq!(read_reply(&mut stream).status, expected, "{host}");
    }
    let remote = front.lines.wait(1)[0]["remote"].clone();
    assert_eq!(remote, format!("unix:uid={}", rustix::process::getuid().as_raw()));
    drop(stream);
    front.stopper.drain();
    let _ = front.join();
    assert!(!path.exists());
    std::fs::write(&path, "a file").unwrap();
    assert!(Listener::unix(&path).is_err(), "a file is not replaced");
    std::fs::remove_dir_all(&dir).unwrap();
}
