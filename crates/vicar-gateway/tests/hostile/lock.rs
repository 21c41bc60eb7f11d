//! Locks are no way to keep others from their own files.

use crate::wire::{Got, Sent};
use crate::{Case, Outcome, Scene, cast, is_refused, rig};

pub(crate) const CASES: &[Case] = &[
    ("alice_cannot_lock_the_root", root),
    ("a_deep_lock_stops_nobody_where_its_holder_may_not_write", deep),
    ("bob_cannot_use_refresh_see_or_undo_alices_lock", another),
    ("a_lock_needs_the_right_to_write", needs_write),
];

fn lock(path: &str, depth: &str) -> Sent {
    Sent::new("LOCK", path).with("Depth", depth).with("Timeout", "Infinite, Second-4100000000").with("Content-Type", "text/xml").body(
        "<?xml version=\"1.0\"?><D:lockinfo xmlns:D=\"DAV:\"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>\
         <D:owner>somebody</D:owner></D:lockinfo>",
    )
}

fn token(got: &Got) -> String {
    got.header("lock-token").expect("a lock token").to_owned()
}

fn root(scene: &Scene) -> Outcome {
    let place = scene.place("lock-root");
    rig::directory(&place.join("bobs"), scene.bob.uid, scene.bob.gid, 0o755);
    for depth in ["infinity", "0"] {
        let got = scene.ask(&scene.alice, lock("/", depth));
        assert!(is_refused(got.status), "LOCK / with depth {depth}: {}", got.status);
    }
    assert_eq!(scene.put(&scene.bob, "/lock-root/bobs/b.txt", b"b"), 201);
    Outcome::Held
}

fn deep(scene: &Scene) -> Outcome {
    let place = scene.place("lock-deep");
    rig::directory(&place.join("bobs"), scene.bob.uid, scene.bob.gid, 0o755);
    let got = scene.ask(&scene.alice, lock("/lock-deep/", "infinity"));
    assert!(matches!(got.status, 200 | 201), "alice may lock her own directory: {}", got.status);
    assert_eq!(scene.put(&scene.bob, "/lock-deep/bobs/b.txt", b"b"), 201, "bob's own directory below alice's lock");
    assert_eq!(scene.ask(&scene.bob, Sent::new("DELETE", "/lock-deep/bobs/b.txt")).status, 204);
    // Her own files are locked, to herself too.
    assert_eq!(scene.put(&scene.alice, "/lock-deep/a.txt", b"a"), 423);
    let got = scene.ask(&scene.alice, Sent::new("UNLOCK", "/lock-deep/").with("Lock-Token", token(&got)));
    assert_eq!(got.status, 204);
    Outcome::Held
}

fn another(scene: &Scene) -> Outcome {
    let place = scene.place("lock-another");
    rig::file(&place.join("file.txt"), scene.alice.uid, cast::TEAM, 0o666, b"old");
    let got = scene.ask(&scene.alice, lock("/lock-another/file.txt", "0"));
    assert_eq!(got.status, 200);
    let alices = token(&got);
    let seconds: u64 = got
        .text()
        .split("Second-")
        .nth(1)
        .and_then(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok())
        .expect("a time limit");
    assert!(seconds <= 3600, "a lock for {seconds} s");
    let bare = alices.trim_matches(['<', '>']).to_owned();
    let with_token = |sent: Sent| sent.with("If", format!("({alices})"));
    // Bob may write the file, and has the token, and still: it is not his lock.
    assert_eq!(scene.put(&scene.bob, "/lock-another/file.txt", b"bob"), 423);
    for sent in [
        Sent::new("PUT", "/lock-another/file.txt").body("bob"),
        Sent::new("LOCK", "/lock-another/file.txt").with("Timeout", "Second-600"),
        lock("/lock-another/file.txt", "0"),
        Sent::new("DELETE", "/lock-another/file.txt"),
    ] {
        let method = sent.method;
        let status = scene.ask(&scene.bob, with_token(sent)).status;
        assert!(is_refused(status), "bob's {method} with alice's token: {status}");
    }
    let status =
        scene.ask(&scene.bob, Sent::new("UNLOCK", "/lock-another/file.txt").with("Lock-Token", alices.clone())).status;
    assert!(is_refused(status), "bob's UNLOCK: {status}");
    let body = "<?xml version=\"1.0\"?><D:propfind xmlns:D=\"DAV:\"><D:prop><D:lockdiscovery/></D:prop></D:propfind>";
    for (user, is_holder) in [(&scene.bob, false), (&scene.alice, true)] {
        for sent in [
            Sent::new("PROPFIND", "/lock-another/file.txt").with("Depth", "0").body(body),
            Sent::new("PROPFIND", "/lock-another/").with("Depth", "1").body(body),
        ] {
            let got = scene.ask(user, sent);
            assert_eq!(got.text().contains(&bare), is_holder, "{} sees: {}", user.name, got.text());
        }
    }
    assert_eq!(std::fs::read(place.join("file.txt")).unwrap(), b"old");
    assert_eq!(
        scene.ask(&scene.alice, with_token(Sent::new("PUT", "/lock-another/file.txt").body("alice"))).status,
        204
    );
    assert_eq!(
        scene.ask(&scene.alice, Sent::new("UNLOCK", "/lock-another/file.txt").with("Lock-Token", alices)).status,
        204
    );
    assert_eq!(scene.put(&scene.bob, "/lock-another/file.txt", b"bob"), 204, "after the lock is gone");
    Outcome::Held
}

fn needs_write(scene: &Scene) -> Outcome {
    let place = scene.place("lock-write");
    scene.alices(&place.join("read-only.txt"), 0o644, "a");
    assert!(is_refused(scene.ask(&scene.bob, lock("/lock-write/read-only.txt", "0")).status));
    assert!(is_refused(scene.ask(&scene.bob, lock("/lock-write/new.txt", "0")).status));
    assert!(is_refused(scene.ask(&scene.bob, lock("/lock-write/", "infinity")).status));
    assert_eq!(crate::upload::names(&place), ["read-only.txt"], "a lock made a file");
    assert_eq!(scene.put(&scene.alice, "/lock-write/read-only.txt", b"b"), 204);
    Outcome::Held
}
