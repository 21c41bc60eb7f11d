use crate::server::{Scratch, is_root, status};
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

/// Longer than anything takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// Announces more than it sends, and returns when the server has said that it takes it.
fn begin_upload(stream: &mut std::net::TcpStream, address: &str) {
    let head = format!(
        "PUT /slow.txt HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic YWxpY2U6YWxpY2U=\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"
    );
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut said = [0; 25];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"12345").unwrap();
}

/// A server that drains accepts no more connections.
fn wait_until_it_drains(address: &str) {
    let told = Instant::now();
    while std::net::TcpStream::connect(address).is_ok() {
        assert!(told.elapsed() < PATIENCE, "it accepts still");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_lets_an_upload_end_and_the_file_is_whole() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("drain", &["alice@61801:61801"]);
    std::os::unix::fs::chown(scratch.path("share"), Some(61_801), None).unwrap();
    // Neither the drain nor the upload ends by itself while this test waits.
    let mut server = scratch.start(&["--drain-time", "3600", "--body-idle", "3600"]);
    let mut slow = std::net::TcpStream::connect(server.address()).unwrap();
    begin_upload(&mut slow, server.address());
    server.signal(Signal::TERM);
    wait_until_it_drains(server.address());
    slow.write_all(b"67890").unwrap();
    assert_eq!(status(&mut slow), 201);
    assert_eq!(server.wait(), (Some(0), String::new()));
    assert_eq!(std::fs::read_to_string(scratch.path("share").join("slow.txt")).unwrap(), "1234567890");
}

#[test]
fn the_second_signal_ends_at_once_and_leaves_nothing_half_done() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("second", &["alice@61801:61801"]);
    std::os::unix::fs::chown(scratch.path("share"), Some(61_801), None).unwrap();
    let mut server = scratch.start(&["--drain-time", "3600", "--body-idle", "3600"]);
    let mut slow = std::net::TcpStream::connect(server.address()).unwrap();
    begin_upload(&mut slow, server.address());
    server.signal(Signal::INT);
    wait_until_it_drains(server.address());
    assert!(server.child.try_wait().unwrap().is_none(), "it waits for the upload");
    server.signal(Signal::TERM);
    let told = Instant::now();
    while server.child.try_wait().unwrap().is_none() {
        assert!(told.elapsed() < PATIENCE, "the second signal did not end it");
        std::thread::sleep(Duration::from_millis(10));
    }
    let (code, said) = server.wait();
    assert_eq!(code, Some(0));
    assert!(said.contains("some requests were cut"), "{said}");
    assert_eq!(std::fs::read_dir(scratch.path("share")).unwrap().count(), 0);
    let log = std::fs::read_to_string(scratch.path("state").join("audit.jsonl")).unwrap();
    assert!(log.contains("\"ended\":\"cut\""), "{log}");
}
