use crate::front::{ALICE, BOB, Front, WRONG, eventually, read_reply};
use std::io::Write;
use std::sync::atomic::Ordering;
use vicar_gateway::limit::Limits;

#[test]
fn whoever_signs_in_is_who_the_share_sees_on_one_connection() {
    let front = Front::start(Limits::USUAL);
    let mut stream = front.connect();
    for _ in 0..3 {
        for (who, body) in [(ALICE, "alice 61001\n"), (BOB, "bob 61002\n")] {
            stream.write_all(front.head("GET /x", who).as_bytes()).unwrap();
            let reply = read_reply(&mut stream);
            assert_eq!((reply.status, reply.body.as_slice()), (200, body.as_bytes()));
        }
        for who in ["", WRONG, "Authorization: Bearer x\r\n", "Authorization: Basic %%\r\n"] {
            stream.write_all(front.head("GET /x", who).as_bytes()).unwrap();
            let reply = read_reply(&mut stream);
            assert_eq!(reply.status, 401, "{who}");
            assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"vicar\", charset=\"UTF-8\""));
        }
    }
}

#[test]
fn a_panic_costs_its_own_request_and_nothing_else() {
    let front = Front::start(Limits::USUAL);
    let mut stream = front.connect();
    for path in ["/panic", "/panic-early", "/panic-late"] {
        stream.write_all(front.head(&format!("GET {path}"), ALICE).as_bytes()).unwrap();
        let reply = read_reply(&mut stream);
        assert_eq!((reply.status, reply.body.as_slice()), (500, b"500 Internal Server Error\n".as_slice()), "{path}");
        stream.write_all(front.head("GET /x", ALICE).as_bytes()).unwrap();
        assert_eq!(read_reply(&mut stream).status, 200);
    }
}

#[test]
fn a_client_that_waits_for_100_continue_is_told_and_one_that_is_refused_sends_nothing() {
    let front = Front::start(Limits::USUAL);
    let mut stream = front.connect();
    let headers = format!("{ALICE}Content-Length: 5\r\nExpect: 100-continue\r\n");
    stream.write_all(front.head("PUT /body", &headers).as_bytes()).unwrap();
    assert_eq!(read_reply(&mut stream).status, 100);
    stream.write_all(b"12345").unwrap();
    let reply = read_reply(&mut stream);
    assert_eq!((reply.status, reply.body.as_slice()), (200, b"5 bytes\n".as_slice()));
    let headers = format!("{WRONG}Content-Length: 5\r\nExpect: 100-continue\r\n");
    assert_eq!(front.ask("PUT /body", &headers).status, 401);
    assert_eq!(front.fake.calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_body_that_nobody_reads_ends_the_connection_aloud_or_not_at_all() {
    let front = Front::start(Limits::USUAL);
    let small = format!("{ALICE}Content-Length: 5\r\n");
    let mut stream = front.connect();
    for _ in 0..20 {
        stream.write_all(format!("{}12345", front.head("PUT /x", &small)).as_bytes()).unwrap();
        let reply = read_reply(&mut stream);
        assert_eq!((reply.status, reply.header("connection")), (200, None));
    }
    for headers in [
        "Content-Length: 300000\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nExpect: 100-continue\r\n",
    ] {
        for who in [ALICE, WRONG] {
            let reply = front.ask("PUT /x", &format!("{who}{headers}"));
            assert!(matches!(reply.status, 200 | 401));
            assert_eq!(reply.header("connection"), Some("close"), "{headers}");
        }
    }
}

#[test]
fn every_reply_is_private_and_not_sniffed_and_plain_http_never_insists_on_https() {
    let front = Front::start(Limits::USUAL);
    for who in [ALICE, WRONG] {
        let reply = front.ask("GET /x", who);
        assert_eq!(reply.header("cache-control"), Some("private"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("strict-transport-security"), None);
        assert!(reply.header("x-request-id").is_some() && reply.header("date").is_some());
    }
}

#[test]
fn a_request_whose_client_left_is_dropped_while_what_it_started_is_not_the_fronts_to_undo() {
    let front = Front::start(Limits::USUAL);
    let mut stream = front.connect();
    stream.write_all(front.head("GET /held", ALICE).as_bytes()).unwrap();
    front.fake.wait_for_calls(1);
    drop(stream);
    let lines = front.lines.wait(1);
    assert_eq!((&lines[0]["ended"], &lines[0]["status"]), (&"cut".into(), &serde_json::Value::Null));
    assert_eq!(front.ask("GET /x", ALICE).status, 200);
}

#[test]
fn an_upload_that_is_cut_is_written_down_as_cut() {
    let front = Front::start(Limits::USUAL);
    let mut stream = front.connect();
    stream.write_all(front.head("PUT /body", &format!("{ALICE}Content-Length: 100\r\n")).as_bytes()).unwrap();
    stream.write_all(b"half").unwrap();
    eventually(|| front.fake.received.load(Ordering::SeqCst) == 4);
    drop(stream);
    let lines = front.lines.wait(1);
    assert_eq!((&lines[0]["ended"], &lines[0]["bytes_in"]), (&"cut".into(), &4.into()));
}
