//! Requests that no proper client sends.

use std::time::{Duration, Instant};

use crate::wire::{PATIENCE, Sent};
use crate::{Case, Outcome, Scene};

pub(crate) const CASES: &[Case] = &[
    ("slow_heads_are_given_up_and_stop_nobody", slow),
    ("huge_heads_are_refused", huge),
    ("no_second_request_hides_in_the_first", smuggling),
    ("bad_passwords_are_refused_every_time", passwords),
];

fn slow(scene: &Scene) -> Outcome {
    let place = scene.place("slow");
    scene.bobs(&place.join("b.txt"), 0o600, "b");
    let begun = Instant::now();
    let mut slow: Vec<_> = (0..100).map(|_| scene.wire()).collect();
    for wire in &mut slow {
        wire.raw(b"GET /slow/b.txt HTTP/1.1\r\nHost: x\r\n").unwrap();
    }
    let mut dribbling = true;
    let mut count = 0;
    while dribbling && begun.elapsed() < PATIENCE {
        assert_eq!(scene.get(&scene.bob, "/slow/b.txt").text(), "b");
        std::thread::sleep(Duration::from_millis(250));
        // A header line now and then, so that no connection is ever silent.
        dribbling = slow.iter_mut().filter_map(|wire| wire.raw(b"X-A: b\r\n").ok()).count() > 0;
        count += 1;
    }
    println!("    100 slow heads were given up after {:?}; bob was served {count} times meanwhile", begun.elapsed());
    assert!(!dribbling, "slow heads are waited for for ever");
    Outcome::Held
}

fn huge(scene: &Scene) -> Outcome {
    scene.place("huge");
    let ask = |sent: Sent| scene.try_ask(&scene.alice, sent).map(|got| got.status);
    for (what, sent) in [
        ("a header of 100 KB", Sent::new("GET", "/huge/").with("X-Large", "x".repeat(100_000))),
        ("a header of 10 MB", Sent::new("GET", "/huge/").with("X-Large", "x".repeat(10_000_000))),
        ("a path of 100 KB", Sent::new("GET", format!("/{}", "x".repeat(100_000)))),
        (
            "2,000 headers",
            (0..2_000).fold(Sent::new("GET", "/huge/"), |sent, number| sent.with("X-Many", number.to_string())),
        ),
    ] {
        match ask(sent) {
            Ok(status) => assert!(matches!(status, 400 | 414 | 431), "{what}: {status}"),
            // The server may go before all of it was sent.
            Err(error) => assert!(
                !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
                "{what}: {error}"
            ),
        }
    }
    let xml = "<a>".repeat(200_000);
    let got = ask(Sent::new("PROPFIND", "/huge/").with("Depth", "0").body(xml)).unwrap();
    assert!((400..500).contains(&got), "deep XML: {got}");
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><D:propfind xmlns:D=\"DAV:\"><D:prop><D:x>&b;</D:x></D:prop></D:propfind>";
    let got = ask(Sent::new("PROPFIND", "/huge/").with("Depth", "0").body(bomb)).unwrap();
    assert!((400..500).contains(&got), "entities: {got}");
    let external = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><D:propfind xmlns:D=\"DAV:\"><D:prop>&a;</D:prop></D:propfind>";
    let got = scene.ask(&scene.alice, Sent::new("PROPFIND", "/huge/").with("Depth", "0").body(external));
    assert!(!got.text().contains("root:"), "an external entity was read");
    Outcome::Held
}

/// Sends bytes, reads what comes until nothing came for a moment, and returns it.
fn exchange(scene: &Scene, bytes: &str, patience: Duration) -> String {
    let mut wire = scene.wire();
    wire.patience(patience).unwrap();
    let _ = wire.raw(bytes.as_bytes());
    String::from_utf8_lossy(&wire.rest_until_quiet()).into_owned()
}

/// Sends two requests in one piece and returns the two answers.
fn answers(scene: &Scene, bytes: &str) -> String {
    let mut wire = scene.wire();
    wire.raw(bytes.as_bytes()).unwrap();
    String::from_utf8_lossy(&wire.until("HTTP/1.1 ", 2)).into_owned()
}

fn smuggling(scene: &Scene) -> Outcome {
    let place = scene.place("smuggle");
    let sign_in =
        String::from_utf8(Sent::new("GET", "/").sign_in(&scene.alice.name, &scene.alice.password).head("x")).unwrap();
    let sign_in = sign_in.lines().find(|line| line.starts_with("Authorization")).unwrap().to_owned();
    let host = scene.rig.address;
    let hidden = format!("DELETE /smuggle/precious.txt HTTP/1.1\r\nHost: {host}\r\n{sign_in}\r\n\r\n");
    let length = hidden.len();
    let chunk = format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n");
    let forms = [
        ("length and chunks", format!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}")),
        (
            "chunks and length",
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        ("two lengths", format!("Content-Length: {length}\r\nContent-Length: 0\r\n\r\n{hidden}")),
        ("two lengths in one", format!("Content-Length: {length}, 0\r\n\r\n{hidden}")),
        ("a signed length", format!("Content-Length: +{length}\r\n\r\n{hidden}")),
        ("a hexadecimal length", format!("Content-Length: 0x{length:x}\r\n\r\n{hidden}")),
        ("a negative length", format!("Content-Length: -1\r\n\r\n{hidden}")),
        ("a huge length", format!("Content-Length: 99999999999999999999999\r\n\r\n{hidden}")),
        ("a space before the colon", format!("Content-Length : {length}\r\n\r\n{hidden}")),
        ("an unknown coding", format!("Transfer-Encoding: xchunked\r\n\r\n{chunk}")),
        ("chunks that are not last", format!("Transfer-Encoding: chunked, identity\r\n\r\n{chunk}")),
        ("chunks twice", format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}")),
        (
            "a folded header",
            format!("X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        ),
        ("a tab in the name", format!("Transfer-Encoding\t: chunked\r\nContent-Length: {length}\r\n\r\n{hidden}")),
        ("a chunk size with a sign", format!("Transfer-Encoding: chunked\r\n\r\n+{chunk}")),
        ("a chunk size with 0x", format!("Transfer-Encoding: chunked\r\n\r\n0x{chunk}")),
        ("bare line feeds", format!("Content-Length: {length}\n\n{hidden}")),
        ("a null in a header", format!("X-A: b\0Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}")),
        (
            "a carriage return in a header",
            format!("X-A: b\rContent-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        ),
    ];
    for (what, rest) in &forms {
        for method in ["PUT", "GET"] {
            scene.alices(&place.join("precious.txt"), 0o600, "precious");
            let log = scene.rig.audit().len();
            let first = format!("{method} /smuggle/first.txt HTTP/1.1\r\nHost: {host}\r\n{sign_in}\r\n{rest}");
            let answer = exchange(scene, &first, Duration::from_millis(250));
            let is_whole = place.join("precious.txt").exists();
            assert!(is_whole, "{method} with {what}: the hidden request was done: {answer}");
            let since = scene.rig.audit()[log..].to_owned();
            assert!(!since.contains("\"delete\""), "{method} with {what}: {since}");
        }
    }
    // A hidden request is one only if two honest ones in a row are two.
    scene.alices(&place.join("precious.txt"), 0o600, "precious");
    let honest =
        format!("PUT /smuggle/first.txt HTTP/1.1\r\nHost: {host}\r\n{sign_in}\r\nContent-Length: 1\r\n\r\nx{hidden}");
    let answer = answers(scene, &honest);
    assert_eq!(answer.matches("HTTP/1.1 2").count(), 2, "{answer}");
    assert!(!place.join("precious.txt").exists());
    // Nor does one person's connection lend another its name.
    scene.bobs(&place.join("b.txt"), 0o600, "b");
    let unsigned = format!(
        "GET /smuggle/first.txt HTTP/1.1\r\nHost: {host}\r\n{sign_in}\r\n\r\nGET /smuggle/first.txt HTTP/1.1\r\nHost: {host}\r\n\r\n"
    );
    let answer = answers(scene, &unsigned);
    assert_eq!((answer.matches("HTTP/1.1 200").count(), answer.matches("HTTP/1.1 401").count()), (1, 1), "{answer}");
    Outcome::Held
}

fn passwords(scene: &Scene) -> Outcome {
    let place = scene.place("passwords");
    scene.alices(&place.join("a.txt"), 0o644, "a");
    let mut wire = scene.wire();
    let good = Sent::new("GET", "/passwords/a.txt").sign_in(&scene.alice.name, &scene.alice.password);
    assert_eq!(wire.ask(&good).unwrap().status, 200);
    for (name, password) in [
        ("alice", ""),
        ("alice", "wrong"),
        ("", ""),
        ("nobody-here", "x"),
        ("root", ""),
        ("alice\0", &scene.alice.password),
        ("ALICE", &scene.alice.password),
    ] {
        let sent = Sent::new("GET", "/passwords/a.txt").sign_in(name, password);
        let got = scene.wire().ask(&sent).unwrap();
        assert!(matches!(got.status, 400 | 401), "{name:?} {password:?}: {}", got.status);
        assert!(got.status != 401 || got.header("www-authenticate").is_some());
    }
    for header in ["Basic", "Basic !!!", "Basic YQ==", "Bearer x", "basic", "Basic YWxpY2U6 YQ=="] {
        let got = scene.wire().ask(&Sent::new("GET", "/passwords/a.txt").with("Authorization", header)).unwrap();
        assert!(matches!(got.status, 400 | 401), "{header:?}: {}", got.status);
    }
    // A wrong password never locks the right one out.
    assert_eq!(wire.ask(&good).unwrap().status, 200);
    Outcome::Held
}
