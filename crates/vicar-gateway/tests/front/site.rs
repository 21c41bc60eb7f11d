use crate::front::{ALICE, Front, read_reply};
use std::io::Write;
use std::sync::atomic::Ordering;
use vicar_gateway::audit::Necessity;
use vicar_gateway::limit::Limits;

fn raw(front: &Front, request: &str) -> u16 {
    let mut stream = front.connect();
    stream.write_all(request.as_bytes()).unwrap();
    read_reply(&mut stream).status
}

#[test]
fn a_host_that_is_not_ours_is_refused_before_anybody_signs_in() {
    let front = Front::with(Limits::USUAL, Necessity::Required, &["files.example"], None);
    let port = front.address.port();
    for (host, expected) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        (format!("[::1]:{port}"), 200),
        ("files.example".to_owned(), 200),
        (format!("FILES.example:{port}"), 200),
        ("localhost".to_owned(), 421),
        (format!("evil.example:{port}"), 421),
        (format!("localhost:{}", port.wrapping_add(1)), 421),
        (format!("u@localhost:{port}"), 400),
        (String::new(), 400),
    ] {
        assert_eq!(raw(&front, &format!("GET /x HTTP/1.1\r\nHost: {host}\r\n{ALICE}\r\n")), expected, "{host}");
    }
    assert_eq!(raw(&front, &format!("GET /x HTTP/1.1\r\n{ALICE}\r\n")), 400);
    assert_eq!(raw(&front, &format!("GET /x HTTP/1.0\r\n{ALICE}\r\n")), 400);
    let twice = format!("GET /x HTTP/1.1\r\nHost: localhost:{port}\r\nHost: localhost:{port}\r\n{ALICE}\r\n");
    assert_eq!(raw(&front, &twice), 400);
    let absolute = format!("GET http://evil.example/x HTTP/1.1\r\nHost: localhost:{port}\r\n{ALICE}\r\n");
    assert_eq!(raw(&front, &absolute), 400);
    let lines = front.lines.wait(14);
    assert!(lines.iter().filter(|line| line["status"] != 200).all(|line| line["user"].is_null()));
}

#[test]
fn another_sites_page_cannot_change_anything_with_our_password() {
    let front = Front::start(Limits::USUAL);
    let own = format!("Origin: http://{}\r\n", front.address);
    let changing = ["PUT", "POST", "DELETE", "MKCOL", "MOVE", "COPY", "LOCK", "UNLOCK", "PROPPATCH", "PATCH", "FROB"];
    for method in changing {
        for (headers, expected) in [
            ("", 200),
            (own.as_str(), 200),
            ("Sec-Fetch-Site: same-origin\r\n", 200),
            ("Sec-Fetch-Site: none\r\n", 200),
            ("Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n", 200),
            ("Origin: null\r\n", 403),
            ("Origin: http://evil.example\r\n", 403),
            ("Sec-Fetch-Site: cross-site\r\n", 403),
            ("Sec-Fetch-Site: same-site\r\n", 403),
        ] {
            let reply = front.ask(&format!("{method} /x"), &format!("{ALICE}{headers}Content-Length: 0\r\n"));
            assert_eq!(reply.status, expected, "{method} {headers}");
        }
    }
    let before = front.fake.calls.load(Ordering::SeqCst);
    assert_eq!(before, changing.len() * 5);
    for method in ["GET", "HEAD", "OPTIONS", "PROPFIND"] {
        let mut stream = front.connect();
        let headers = format!("{ALICE}Sec-Fetch-Site: cross-site\r\nConnection: close\r\n");
        stream.write_all(front.head(&format!("{method} /x"), &headers).as_bytes()).unwrap();
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut text).unwrap();
        assert!(text.starts_with(b"HTTP/1.1 200"), "{method}");
    }
}
