//! What a page that somebody stored, or another site, can make a signed-in browser do: nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::wire::Sent;
use crate::{Case, Outcome, Scene, is_refused};

pub(crate) const CASES: &[Case] = &[
    ("stored_pages_are_sandboxed_or_downloads", headers),
    ("a_stored_page_cannot_read_another_file_in_chromium", chromium),
    ("other_sites_cannot_change_anything", origins),
    ("other_host_names_are_not_answered", hosts),
];

const PAGE: &str = "<!doctype html><title>started</title><p id=out>nothing</p><script>\
    document.title = 'ran';\
    fetch('/browser/secret.txt', {credentials: 'include'}).then(r => r.text()).then(t => { document.getElementById('out').textContent = 'got:' + t; \
    new Image().src = '/browser/leak-' + encodeURIComponent(t); fetch('/browser/stolen.txt', {method: 'PUT', body: t}); });</script>\
    <iframe src='/browser/secret.txt'></iframe>";

fn lay(scene: &Scene) {
    if !scene.rig.path("browser").exists() {
        let place = scene.place("browser");
        scene.bobs(&place.join("secret.txt"), 0o600, "bobs-secret");
        for name in ["page.html", "page.svg", "page.xhtml", "page.xml", "page.txt", "page", "page.pdf", "page.js"] {
            scene.alices(&place.join(name), 0o644, PAGE);
        }
    }
}

fn headers(scene: &Scene) -> Outcome {
    lay(scene);
    for (name, is_active) in [
        ("page.html", true),
        ("page.svg", true),
        ("page.xhtml", true),
        ("page.xml", true),
        ("page.txt", false),
        ("page", false),
        ("page.js", false),
    ] {
        for method in ["GET", "HEAD"] {
            let got = scene.ask(&scene.bob, Sent::new(method, format!("/browser/{name}")));
            assert_eq!(got.status, 200, "{name}");
            let header = |wanted: &str| {
                got.header(wanted).unwrap_or_else(|| panic!("{method} {name} lacks {wanted}")).to_ascii_lowercase()
            };
            let policy = header("content-security-policy");
            assert!(
                policy.contains("sandbox") && policy.contains("default-src 'none'") && !policy.contains("allow-"),
                "{policy}"
            );
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("cross-origin-resource-policy"), "same-origin");
            assert_eq!(header("referrer-policy"), "no-referrer");
            assert!(header("cache-control").contains("private"));
            if is_active {
                assert!(header("content-disposition").starts_with("attachment"), "{name} is shown");
            }
        }
    }
    // Directory pages are ours: no script may run there either.
    let page = scene.ask(&scene.bob, Sent::new("GET", "/browser/"));
    let policy = page.header("content-security-policy").unwrap_or_default().to_owned();
    assert!(
        policy.contains("default-src 'none'")
            && !policy.contains("unsafe-inline' 'script")
            && !policy.contains("script-src 'unsafe"),
        "{policy}"
    );
    assert!(
        page.header("x-frame-options").is_some() || policy.contains("frame-ancestors"),
        "the page can be framed: {policy}"
    );
    Outcome::Held
}

/// What a browser makes of a page: its document as text.
fn browse(program: &str, profile: &Path, url: &str) -> String {
    let output = Command::new("timeout")
        .args(["-k", "5", "25", program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--virtual-time-budget=4000", "--dump-dom", &format!("--user-data-dir={}", profile.display()), url])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A server without any care, to see that the page would work there.
fn careless() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 8192];
                let count = stream.read(&mut buffer).unwrap_or(0);
                let is_secret = String::from_utf8_lossy(&buffer[..count]).starts_with("GET /browser/secret.txt");
                let body = if is_secret { "bobs-secret" } else { PAGE };
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length";
                let _ = write!(stream, "{head}: {}\r\n\r\n{body}", body.len());
            });
        }
    });
    address
}

fn chromium(scene: &Scene) -> Outcome {
    lay(scene);
    let programs = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let Some(program) = programs.into_iter().find(|path| Path::new(path).exists()) else {
        return Outcome::Skipped("there is no Chromium");
    };
    let profile = |name: &str| scene.rig.share().with_file_name(format!("profile-{name}"));
    let control = browse(program, &profile("control"), &format!("http://{}/browser/page.html", careless()));
    if !control.contains("got:bobs-secret") {
        return Outcome::Skipped("Chromium does not run the page even where nothing forbids it");
    }
    let names = ["page.html", "page.svg", "page.txt", "page"];
    std::thread::scope(|scope| {
        for name in names {
            let profile = profile(name);
            // Credentials in the URL: the browser is signed in as bob from its first request on.
            let password: String = scene.bob.password.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let url = format!("http://bob:{password}@{}/browser/{name}", scene.rig.address);
            scope.spawn(move || {
                let shown = browse(program, &profile, &url);
                assert!(!shown.contains("bobs-secret") && !shown.contains("<title>ran"), "{name} ran: {shown}");
            });
        }
    });
    assert!(!scene.rig.path("browser/stolen.txt").exists(), "a page wrote a file as bob");
    let log = scene.rig.audit();
    assert!(!log.contains("leak-bobs-secret"), "a page sent the secret away");
    for name in names {
        let was_asked = log.lines().any(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["path"] == format!("/browser/{name}") && line["user"] == "bob" && line["method"] == "GET"
        });
        assert!(was_asked, "the browser never asked for {name} as bob; the test proves nothing");
    }
    Outcome::Held
}

fn origins(scene: &Scene) -> Outcome {
    lay(scene);
    let own = format!("http://{}", scene.rig.address);
    let put = |headers: &[(&'static str, &str)]| {
        let mut sent = Sent::new("PUT", "/browser/origin.txt").body("x");
        for (name, value) in headers {
            sent = sent.with(name, *value);
        }
        scene.ask(&scene.alice, sent).status
    };
    for headers in [
        vec![("Origin", "http://evil.example")],
        vec![("Origin", "null")],
        vec![("Origin", "http://127.0.0.1")],
        vec![("Origin", "http://localhost:1")],
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Sec-Fetch-Site", "same-site")],
        vec![("Origin", own.as_str()), ("Sec-Fetch-Site", "cross-site")],
        vec![("Origin", own.as_str()), ("Origin", "http://evil.example")],
    ] {
        assert_eq!(put(&headers), 403, "{headers:?}");
        assert!(!scene.rig.path("browser/origin.txt").exists());
    }
    for method in ["DELETE", "MKCOL", "MOVE", "COPY", "LOCK", "PROPPATCH", "UNLOCK"] {
        let sent = Sent::new(method, "/browser/page.txt")
            .with("Origin", "http://evil.example")
            .with("Destination", scene.url("/browser/x"));
        assert_eq!(scene.ask(&scene.alice, sent).status, 403, "{method}");
    }
    assert!(matches!(put(&[("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")]), 201));
    assert!(matches!(put(&[]), 204), "programs send neither");
    Outcome::Held
}

fn hosts(scene: &Scene) -> Outcome {
    lay(scene);
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "127.0.0.1:1", "a b", "[::1"] {
        let sent = Sent::new("GET", "/browser/page.txt").with("Host", host);
        // A server that just hangs up refuses, too.
        if let Ok(got) = scene.try_ask(&scene.alice, sent) {
            assert!(is_refused(got.status), "Host {host:?}: {}", got.status);
        }
    }
    let mut wire = scene.wire();
    wire.raw(b"GET /browser/page.txt HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(wire.receive("GET").unwrap().status, 400, "no Host");
    Outcome::Held
}
