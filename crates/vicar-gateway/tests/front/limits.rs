use crate::front::{ALICE, BOB, Front, eventually, is_closed, read_reply};
use std::io::{Read, Write};
use std::time::Duration;
use vicar_gateway::limit::Limits;

const SHORT: Duration = Duration::from_millis(400);

/// Long enough for a head to come in time on a busy machine.
const MODERATE: Duration = Duration::from_secs(4);

#[test]
fn a_head_that_comes_too_slowly_is_answered_408() {
    let front = Front::start(Limits { header_time: SHORT, ..Limits::USUAL });
    let mut stream = front.connect();
    let mut reader = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for byte in b"GET /x HTTP/1.1\r\nHost: x\r\nX-Slow: 1234567890" {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(40));
        }
    });
    assert_eq!(read_reply(&mut reader).status, 408);
    writer.join().unwrap();
    assert_eq!(front.lines.wait(1)[0]["reason"], "head-too-slow");
}

#[test]
fn a_head_that_is_too_large_is_answered_431_and_no_http_at_all_400() {
    let front = Front::start(Limits { header_bytes: 8_192, header_fields: 20, ..Limits::USUAL });
    assert_eq!(front.ask("GET /x", &format!("{ALICE}X-Large: {}\r\n", "x".repeat(7_000))).status, 200);
    assert_eq!(front.ask("GET /x", &format!("{ALICE}X-Large: {}\r\n", "x".repeat(9_000))).status, 431);
    assert_eq!(front.ask("GET /x", &"X: y\r\n".repeat(40)).status, 431);
    let mut stream = front.connect();
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut stream).status, 400);
    let lines = front.lines.wait(4);
    assert_eq!(lines.iter().filter(|line| line["status"] == 431).count(), 2);
}

#[test]
fn a_body_that_stops_is_answered_408() {
    let front = Front::start(Limits { body_idle: SHORT, ..Limits::USUAL });
    let mut stream = front.connect();
    let head = front.head("PUT /body", &format!("{ALICE}Content-Length: 100\r\n"));
    stream.write_all(format!("{head}12345").as_bytes()).unwrap();
    assert_eq!(read_reply(&mut stream).status, 408);
    let line = &front.lines.wait(1)[0];
    assert_eq!((&line["status"], &line["bytes_in"]), (&408.into(), &5.into()));
}

#[test]
fn a_body_that_is_too_large_is_answered_413_announced_or_not() {
    let front = Front::start(Limits { body_bytes: 10, ..Limits::USUAL });
    let announced = |length: usize| {
        let mut stream = front.connect();
        let headers = format!("{ALICE}Content-Length: {length}\r\n");
        stream.write_all(front.head("PUT /body", &headers).as_bytes()).unwrap();
        // It may be refused before it was sent.
        let _ = stream.write_all(&vec![b'x'; length]);
        read_reply(&mut stream)
    };
    assert_eq!(announced(10).status, 200);
    assert_eq!(announced(11).status, 413);
    assert_eq!(announced(100_000).header("connection"), Some("close"));
    let mut stream = front.connect();
    let headers = format!("{ALICE}Transfer-Encoding: chunked\r\n");
    stream.write_all(front.head("PUT /body", &headers).as_bytes()).unwrap();
    stream.write_all(b"6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut stream).status, 413);
}

#[test]
fn a_client_that_sends_on_after_a_refusal_still_reads_the_refusal() {
    let front = Front::start(Limits { body_bytes: 10, ..Limits::USUAL });
    for _ in 0..5 {
        let mut stream = front.connect();
        let headers = format!("{ALICE}Content-Length: 400000\r\n");
        stream.write_all(front.head("PUT /body", &headers).as_bytes()).unwrap();
        let sent = stream.write_all(&vec![b'x'; 400_000]);
        assert_eq!(read_reply(&mut stream).status, 413, "{sent:?}");
    }
}

#[test]
fn a_connection_that_asks_nothing_is_closed() {
    let front = Front::start(Limits { idle: MODERATE, ..Limits::USUAL });
    let mut stream = front.connect();
    stream.write_all(front.head("GET /x", ALICE).as_bytes()).unwrap();
    assert_eq!(read_reply(&mut stream).status, 200);
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn a_client_that_does_not_take_its_reply_is_cut() {
    let front = Front::start(Limits { body_idle: SHORT, ..Limits::USUAL });
    let mut stream = front.connect();
    stream.write_all(front.head("GET /big", ALICE).as_bytes()).unwrap();
    let line = &front.lines.wait(1)[0];
    assert_eq!((&line["status"], &line["ended"]), (&200.into(), &"cut".into()));
}

#[test]
fn an_address_with_too_many_connections_gets_503_and_a_place_when_one_ends() {
    let front = Front::start(Limits { connections_per_address: 2, ..Limits::USUAL });
    let mut first = front.connect();
    let second = front.connect();
    first.write_all(front.head("GET /x", ALICE).as_bytes()).unwrap();
    assert_eq!(read_reply(&mut first).status, 200);
    let refused = front.ask("GET /x", ALICE);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(front.lines.wait(2).iter().any(|line| line["reason"] == "connections-per-address"));
    drop(second);
    eventually(|| front.ask("GET /x", ALICE).status == 200);
}

#[test]
fn a_crowd_from_one_address_is_not_kept_waiting_for_ever() {
    let limits = Limits { connections_per_address: 1, header_time: MODERATE, ..Limits::USUAL };
    let front = Front::start(limits);
    let mut first = front.connect();
    first.write_all(front.head("GET /x", ALICE).as_bytes()).unwrap();
    assert_eq!(read_reply(&mut first).status, 200);
    for mut silent in (0..100).map(|_| front.connect()).collect::<Vec<_>>() {
        assert!(is_closed(&mut silent));
    }
}

#[test]
fn connections_beyond_all_places_are_closed() {
    let front = Front::start(Limits { connections: 1, ..Limits::USUAL });
    let mut first = front.connect();
    first.write_all(front.head("GET /x", ALICE).as_bytes()).unwrap();
    assert_eq!(read_reply(&mut first).status, 200);
    assert!(is_closed(&mut front.connect()));
}

#[test]
fn a_user_with_too_many_requests_gets_429_and_others_go_on() {
    let front = Front::start(Limits { requests_per_user: 2, ..Limits::USUAL });
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = front.connect();
            stream.write_all(front.head("GET /held", ALICE).as_bytes()).unwrap();
            stream
        })
        .collect();
    front.fake.wait_for_calls(2);
    let refused = front.ask("GET /x", ALICE);
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(front.ask("GET /x", BOB).status, 200);
    front.fake.let_go(2);
    for mut stream in busy {
        assert_eq!(read_reply(&mut stream).status, 200);
    }
    // A place is free when the server has done with its request, which is after the client has its reply.
    eventually(|| front.ask("GET /x", ALICE).status == 200);
}
