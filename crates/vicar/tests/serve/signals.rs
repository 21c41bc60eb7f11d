use crate::server::{Scratch, is_root, status};
use rustix::process::Signal;
use std::io::Write as _;
use std::time::{Duration, Instant};

#[test]
fn a_signal_lets_an_upload_end_and_the_file_is_whole() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("drain", &["alice@61801:61801"]);
    std::os::unix::fs::chown(scratch.path("share"), Some(61_801), None).unwrap();
    let mut server = scratch.start(&[]);
    // Announces more than it has sent.
    let mut slow = std::net::TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "PUT /slow.txt HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic YWxpY2U6YWxpY2U=\r\nContent-Length: 10\r\n\r\n12345",
        server.address()
    );
    slow.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server.signal(Signal::TERM);
    let told = Instant::now();
    while std::net::TcpStream::connect(server.address()).is_ok() {
        assert!(told.elapsed() < Duration::from_secs(20), "it accepts still");
        std::thread::sleep(Duration::from_millis(10));
    }
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
    let mut server = scratch.start(&[]);
    let mut slow = std::net::TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "PUT /slow.txt HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic YWxpY2U6YWxpY2U=\r\nContent-Length: 10\r\n\r\n12345",
        server.address()
    );
    slow.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(200));
    assert!(server.child.try_wait().unwrap().is_none(), "it waits for the upload");
    let start = Instant::now();
    server.signal(Signal::TERM);
    let (code, said) = server.wait();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(code, Some(0));
    assert!(said.contains("some requests were cut"), "{said}");
    assert_eq!(std::fs::read_dir(scratch.path("share")).unwrap().count(), 0);
    let log = std::fs::read_to_string(scratch.path("state").join("audit.jsonl")).unwrap();
    assert!(log.contains("\"ended\":\"cut\""), "{log}");
}
