use crate::server::{Scratch, is_root, status};
use std::io::Write as _;
use std::time::Duration;

/// Every limit that one request can meet, by its flag: what is asked, and what it is answered with and without the flag.
#[test]
fn each_limit_has_a_flag_and_a_status() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("limits", &["alice@61801:61801"]);
    std::os::unix::fs::chown(scratch.path("share"), Some(61_801), None).unwrap();
    let usual = scratch.start(&[]);
    for name in ["one", "two", "three"] {
        assert_eq!(usual.ask(&format!("MKCOL /{name}"), "alice", ""), 201);
    }
    assert_eq!(usual.ask("MKCOL /one/deep", "alice", ""), 201);
    let infinity = "PROPFIND / HTTP/1.1\r\nDepth: infinity\r\nX-Rest:";
    let many = format!("GET / HTTP/1.1\r\n{}X-Rest:", "X: y\r\n".repeat(60));
    let large = format!("GET / HTTP/1.1\r\nX-Large: {}\r\nX-Rest:", "x".repeat(9_000));
    for (flags, line, body, otherwise, limited) in [
        (&["--body-bytes", "10"][..], "PUT /f.txt", "12345678901", 201, 413),
        (&["--header-bytes", "8K"], large.as_str(), "", 200, 431),
        (&["--header-fields", "50"], many.as_str(), "", 200, 431),
        (&["--listing-entries", "2"], "GET /", "", 200, 507),
        (&["--tree-entries", "1"], "DELETE /one", "", 204, 507),
        (&[], infinity, "", 403, 403),
    ] {
        let server = scratch.start(flags);
        assert_eq!(server.ask(line, "alice", body), limited, "{flags:?}");
        // The status without the limit, on a server that has it usual.
        assert_eq!(usual.ask(line, "alice", body), otherwise, "{flags:?}");
    }
    for (flags, sent, expected) in [
        (["--header-time", "0.3"], "GET / HTTP/1.1\r\nHost: x", 408),
        (
            ["--body-idle", "0.3"],
            "PUT /g.txt HTTP/1.1\r\nHost: HOST\r\nAuthorization: Basic YWxpY2U6YWxpY2U=\r\nContent-Length: 9\r\n\r\n12",
            408,
        ),
        (["--idle-time", "0.3"], "", 0),
    ] {
        let server = scratch.start(&flags);
        let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(sent.replace("HOST", server.address()).as_bytes()).unwrap();
        assert_eq!(status(&mut stream), expected, "{flags:?}");
    }
    assert!(!scratch.path("share").join("g.txt").exists(), "a cut upload leaves nothing");
}
