//! Names and paths at their limits.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::wire::Sent;
use crate::{Case, Outcome, Scene, is_refused, rig};

pub(crate) const CASES: &[Case] = &[
    ("a_name_may_hold_every_byte", every_byte),
    ("a_path_may_be_as_long_as_the_kernel_takes", long_path),
    ("a_directory_may_hold_ten_thousand_entries", many_entries),
    ("depth_infinity_is_refused", infinity),
];

fn encoded(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

fn every_byte(scene: &Scene) -> Outcome {
    let place = scene.place("bytes");
    let bytes: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
    for byte in &bytes {
        let name = [b'n', *byte, b'x'];
        scene.alices(&place.join(OsStr::from_bytes(&name)), 0o644, &format!("content {byte}"));
    }
    let mut wire = scene.wire();
    for byte in &bytes {
        let path = format!("/bytes/{}", encoded(&[b'n', *byte, b'x']));
        let got = wire.ask(&Sent::new("GET", &path).sign_in(&scene.alice.name, &scene.alice.password)).unwrap();
        assert_eq!((got.status, got.text()), (200, format!("content {byte}")), "{path}");
    }
    // A listing must name every one of them so that it can be asked for.
    let got = scene.ask(&scene.alice, Sent::new("PROPFIND", "/bytes/").with("Depth", "1"));
    assert_eq!(got.status, 207);
    let listing = got.text();
    assert!(
        !listing.bytes().any(|byte| byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t')),
        "a control byte in XML"
    );
    let hrefs: Vec<&str> = listing
        .split("href>")
        .filter_map(|part| part.split('<').next())
        .filter(|href| href.starts_with("/bytes/n"))
        .collect();
    assert_eq!(hrefs.len(), bytes.len(), "some names are not listed");
    for href in hrefs {
        let href = href
            .replace("&amp;", "&")
            .replace("&apos;", "'")
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">");
        let got = wire.ask(&Sent::new("GET", &href).sign_in(&scene.alice.name, &scene.alice.password)).unwrap();
        assert_eq!(got.status, 200, "{href} is listed and not there");
    }
    // The page for people, too.
    let page = scene.get(&scene.alice, "/bytes/");
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("n<x") && !page.text().contains("n\"x"), "a name was written as markup");
    // New ones: made with that very name, or refused; never with another name.
    for byte in 1..=255_u8 {
        let name = [b'p', byte, b'y'];
        let path = format!("/bytes/{}", encoded(&name));
        let got =
            wire.ask(&Sent::new("PUT", &path).body("x").sign_in(&scene.alice.name, &scene.alice.password)).unwrap();
        let is_there = byte != b'/' && place.join(OsStr::from_bytes(&name)).exists();
        assert_eq!(got.status == 201, is_there, "{path}: {}", got.status);
        assert!(got.status == 201 || is_refused(got.status), "{path}: {}", got.status);
    }
    assert!(
        scene.rig.audit().lines().all(|line| !line.bytes().any(|byte| byte < 0x20 || byte == 0x7f)),
        "a control byte in the log"
    );
    Outcome::Held
}

fn long_path(scene: &Scene) -> Outcome {
    scene.place("long");
    // 4,095 bytes below the share's root: "long/" and 15 names of 255 and one shorter.
    let mut path = "long".to_owned();
    for _ in 0..15 {
        path.push('/');
        path.push_str(&"d".repeat(255));
        let status = scene.ask(&scene.alice, Sent::new("MKCOL", format!("/{path}/"))).status;
        assert_eq!(status, 201, "{} bytes", path.len());
    }
    let file = format!("{path}/{}", "f".repeat(4095 - path.len() - 1));
    assert_eq!(file.len(), 4095);
    assert_eq!(scene.put(&scene.alice, &format!("/{file}"), b"deep"), 201);
    let got = scene.get(&scene.alice, &format!("/{}", encoded(file.as_bytes()).replace("%2F", "/")));
    assert_eq!((got.status, got.text().as_str()), (200, "deep"));
    assert!(is_refused(scene.get(&scene.bob, &format!("/{file}x")).status), "4,096 bytes");
    assert!(is_refused(scene.get(&scene.alice, &format!("/long/{}", "n".repeat(256))).status), "a name of 256 bytes");
    assert!(is_refused(scene.put(&scene.alice, &format!("/long/{}", "n".repeat(256)), b"x")), "a name of 256 bytes");
    assert!(is_refused(scene.get(&scene.alice, &format!("/{}", "a/".repeat(12_000))).status), "24,000 bytes");
    // All of it can go again.
    let status = scene.ask(&scene.alice, Sent::new("DELETE", format!("/long/{}/", "d".repeat(255)))).status;
    assert_eq!(status, 204);
    assert!(fs::read_dir(scene.rig.path("long")).unwrap().next().is_none());
    Outcome::Held
}

fn many_entries(scene: &Scene) -> Outcome {
    const MANY: usize = 10_000;
    let place = scene.place("many");
    for number in 0..MANY {
        fs::write(place.join(format!("file-{number:05}")), "").unwrap();
    }
    let got = scene.ask(&scene.alice, Sent::new("PROPFIND", "/many/").with("Depth", "1"));
    assert_eq!(got.status, 207);
    assert_eq!(got.text().matches("/many/file-").count(), MANY);
    let page = scene.get(&scene.alice, "/many/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("file-00000") && page.text().contains("file-09999"));
    Outcome::Held
}

fn infinity(scene: &Scene) -> Outcome {
    let place = scene.place("infinity");
    rig::directory(&place.join("a"), scene.alice.uid, scene.alice.gid, 0o755);
    let got = scene.ask(&scene.alice, Sent::new("PROPFIND", "/infinity/").with("Depth", "infinity"));
    assert_eq!(got.status, 403);
    // A request without a depth asks for infinity (RFC 4918 9.1).
    assert_eq!(scene.ask(&scene.alice, Sent::new("PROPFIND", "/infinity/")).status, 403);
    Outcome::Held
}
