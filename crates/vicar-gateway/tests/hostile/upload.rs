//! Uploads and copies that do not end well: what stood there still stands, whole.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::wire::{PATIENCE, Sent};
use crate::{Case, Outcome, Scene, cast, is_refused, rig};

pub(crate) const CASES: &[Case] = &[
    ("an_upload_that_is_cut_leaves_the_old_file_whole", cut),
    ("a_chunked_upload_counts_only_with_its_end", chunked),
    ("an_upload_that_stalls_is_given_up", stalled),
    ("a_copy_of_what_may_not_be_read_leaves_its_target_whole", unreadable_source),
    ("a_move_that_is_refused_leaves_both_ends_whole", refused_move),
    ("an_upload_keeps_owner_mode_and_links", kept),
    ("a_file_cut_short_while_it_is_sent_is_not_padded", shortened),
];

/// Names in a directory, sorted; what an upload leaves behind would show here.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Gives the server a moment, and then as long as it needs to leave nothing but these names.
fn settle(path: &Path, wanted: &[&str]) {
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(300));
    while names(path) != wanted {
        assert!(begun.elapsed() < PATIENCE, "{:?} stay in {}", names(path), path.display());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn cut(scene: &Scene) -> Outcome {
    let place = scene.place("cut");
    let old = "old ".repeat(100_000);
    scene.alices(&place.join("file.txt"), 0o600, &old);
    for (path, part) in [
        ("/cut/file.txt", 0),
        ("/cut/file.txt", 1),
        ("/cut/file.txt", 150_000),
        ("/cut/file.txt", 299_999),
        ("/cut/new.txt", 150_000),
    ] {
        let mut wire = scene.wire();
        let sent = Sent::new("PUT", path).sign_in(&scene.alice.name, &scene.alice.password).body("new".repeat(100_000));
        wire.send_part(&sent, part).unwrap();
        // Some end politely, some just go.
        if part % 2 == 0 {
            wire.finish_sending().unwrap();
            if let Ok(got) = wire.receive("PUT") {
                assert!(is_refused(got.status), "{path} after {part} bytes: {}", got.status);
            }
        }
        drop(wire);
        settle(&place, &["file.txt"]);
        assert_eq!(fs::read_to_string(place.join("file.txt")).unwrap(), old, "after {part} bytes");
    }
    // Where the client may write the file and not beside it.
    let shared = scene.rig.path("cut-shared");
    rig::directory(&shared, 0, 0, 0o755);
    rig::file(&shared.join("team.txt"), 0, cast::TEAM, 0o660, b"team");
    let sent = Sent::new("PUT", "/cut-shared/team.txt")
        .sign_in(&scene.alice.name, &scene.alice.password)
        .body("new".repeat(100_000));
    let mut wire = scene.wire();
    wire.send_part(&sent, 150_000).unwrap();
    drop(wire);
    settle(&shared, &["team.txt"]);
    assert_eq!(fs::read_to_string(shared.join("team.txt")).unwrap(), "team");
    assert_eq!(scene.put(&scene.alice, "/cut-shared/team.txt", b"whole"), 204);
    assert_eq!(fs::read_to_string(shared.join("team.txt")).unwrap(), "whole");
    assert_eq!(fs::metadata(shared.join("team.txt")).unwrap().uid(), 0);
    assert_eq!(names(&shared), ["team.txt"]);
    Outcome::Held
}

fn chunked(scene: &Scene) -> Outcome {
    let place = scene.place("chunked");
    scene.alices(&place.join("file.txt"), 0o600, "old");
    for ending in [
        "3\r\nnew\r\n",
        "3\r\nnew\r\n0\r\n",
        "3\r\nnewer\r\n0\r\n\r\n",
        "zz\r\nnew\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\nnew",
    ] {
        let host = scene.rig.address.to_string();
        let sent = Sent::new("PUT", "/chunked/file.txt")
            .sign_in(&scene.alice.name, &scene.alice.password)
            .with("Transfer-Encoding", "chunked");
        let mut wire = scene.wire();
        wire.raw(&sent.head(&host)).unwrap();
        let _ = wire.raw(ending.as_bytes());
        let _ = wire.finish_sending();
        let _ = wire.rest();
        settle(&place, &["file.txt"]);
        assert_eq!(fs::read_to_string(place.join("file.txt")).unwrap(), "old", "{ending:?}");
    }
    let host = scene.rig.address.to_string();
    let sent = Sent::new("PUT", "/chunked/file.txt")
        .sign_in(&scene.alice.name, &scene.alice.password)
        .with("Transfer-Encoding", "chunked");
    let mut wire = scene.wire();
    wire.raw(&sent.head(&host)).unwrap();
    wire.raw(b"3\r\nnew\r\n2\r\ner\r\n0\r\n\r\n").unwrap();
    assert_eq!(wire.receive("PUT").unwrap().status, 204);
    assert_eq!(fs::read_to_string(place.join("file.txt")).unwrap(), "newer");
    Outcome::Held
}

fn stalled(scene: &Scene) -> Outcome {
    let place = scene.place("stalled");
    scene.alices(&place.join("file.txt"), 0o600, "old");
    let sent =
        Sent::new("PUT", "/stalled/file.txt").sign_in(&scene.alice.name, &scene.alice.password).body("x".repeat(1000));
    let mut wire = scene.wire();
    wire.send_part(&sent, 10).unwrap();
    // Not answered, or answered so; never waited for without an end.
    match wire.receive("PUT") {
        Ok(got) => assert_eq!(got.status, 408),
        Err(error) => assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
    }
    settle(&place, &["file.txt"]);
    assert_eq!(fs::read_to_string(place.join("file.txt")).unwrap(), "old");
    Outcome::Held
}

fn unreadable_source(scene: &Scene) -> Outcome {
    let place = scene.place("copy");
    scene.bobs(&place.join("bob.txt"), 0o600, "bob");
    scene.alices(&place.join("target.txt"), 0o600, "target");
    let copy = |from: &str, to: &str| {
        let sent = Sent::new("COPY", from).with("Destination", scene.url(to)).with("Overwrite", "T");
        scene.ask(&scene.alice, sent).status
    };
    assert!(is_refused(copy("/copy/bob.txt", "/copy/target.txt")));
    assert_eq!(fs::read_to_string(place.join("target.txt")).unwrap(), "target");
    // A tree of which a part may not be read, over a tree.
    for name in ["tree", "over"] {
        rig::directory(&place.join(name), scene.alice.uid, scene.alice.gid, 0o755);
    }
    scene.alices(&place.join("tree/a.txt"), 0o644, "a");
    scene.bobs(&place.join("tree/b.txt"), 0o600, "b");
    scene.alices(&place.join("over/precious.txt"), 0o644, "precious");
    let status = copy("/copy/tree/", "/copy/over/");
    assert!(status == 207 || is_refused(status), "a part may not be read: {status}");
    assert_eq!(
        fs::read_to_string(place.join("over/precious.txt")).unwrap(),
        "precious",
        "the target was emptied for half a copy"
    );
    assert!(!place.join("over/b.txt").exists(), "bob's file was copied");
    // Onto itself, into itself, and through a link.
    assert!(is_refused(copy("/copy/target.txt", "/copy/target.txt")));
    assert_eq!(fs::read_to_string(place.join("target.txt")).unwrap(), "target");
    let status = copy("/copy/over/", "/copy/over/inner/");
    assert!(is_refused(status) || status == 201, "{status}");
    assert_eq!(fs::read_to_string(place.join("over/precious.txt")).unwrap(), "precious");
    symlink("target.txt", place.join("same")).unwrap();
    let _ = copy("/copy/same", "/copy/target.txt");
    assert_eq!(fs::read_to_string(place.join("target.txt")).unwrap(), "target");
    Outcome::Held
}

fn refused_move(scene: &Scene) -> Outcome {
    let place = scene.place("move");
    rig::directory(&place.join("bobs"), scene.bob.uid, scene.bob.gid, 0o755);
    scene.bobs(&place.join("bobs/b.txt"), 0o644, "b");
    scene.alices(&place.join("a.txt"), 0o644, "a");
    let mv = |from: &str, to: &str| {
        let sent = Sent::new("MOVE", from).with("Destination", scene.url(to)).with("Overwrite", "T");
        scene.ask(&scene.alice, sent).status
    };
    let status = mv("/move/bobs/b.txt", "/move/a.txt");
    assert!(is_refused(status) || status == 207, "{status}");
    let status = mv("/move/a.txt", "/move/bobs/b.txt");
    assert!(is_refused(status) || status == 207, "{status}");
    assert_eq!(fs::read_to_string(place.join("a.txt")).unwrap(), "a");
    assert_eq!(fs::read_to_string(place.join("bobs/b.txt")).unwrap(), "b");
    // A directory over a directory that cannot be emptied.
    rig::directory(&place.join("mine"), scene.alice.uid, scene.alice.gid, 0o755);
    scene.alices(&place.join("mine/m.txt"), 0o644, "m");
    let status = mv("/move/mine/", "/move/bobs/");
    assert!(is_refused(status) || status == 207, "{status}");
    // Her own directory holds both names, so the kernel lets her rename them; neither may be lost.
    for (file, content) in [("m.txt", "m"), ("b.txt", "b")] {
        let found: Vec<_> =
            ["mine", "bobs"].iter().filter_map(|name| fs::read_to_string(place.join(name).join(file)).ok()).collect();
        assert_eq!(found, [content], "{file} after {status}");
    }
    Outcome::Held
}

fn kept(scene: &Scene) -> Outcome {
    let place = scene.place("kept");
    scene.alices(&place.join("file.txt"), 0o640, "old");
    rig::give(&place.join("file.txt"), scene.alice.uid, cast::TEAM, 0o640);
    scene.alices(&place.join("linked.txt"), 0o600, "old");
    fs::hard_link(place.join("linked.txt"), place.join("other-name.txt")).unwrap();
    for name in ["file.txt", "linked.txt"] {
        assert_eq!(scene.put(&scene.alice, &format!("/kept/{name}"), b"new"), 204);
    }
    let meta = fs::metadata(place.join("file.txt")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (scene.alice.uid, cast::TEAM, 0o640));
    assert_eq!(
        fs::read_to_string(place.join("other-name.txt")).unwrap(),
        "new",
        "the other name of the file kept old content"
    );
    assert_eq!(fs::metadata(place.join("linked.txt")).unwrap().nlink(), 2);
    assert_eq!(names(&place), ["file.txt", "linked.txt", "other-name.txt"]);
    Outcome::Held
}

fn shortened(scene: &Scene) -> Outcome {
    let place = scene.place("shortened");
    let path = place.join("file.bin");
    rig::file(&path, scene.alice.uid, scene.alice.gid, 0o644, &vec![b'x'; 64 << 20]);
    let mut wire = scene.wire();
    wire.send(&Sent::new("GET", "/shortened/file.bin").sign_in(&scene.alice.name, &scene.alice.password)).unwrap();
    // When the head is there the file is open; most of the content waits for us to take it.
    let (status, headers) = wire.receive_head().unwrap();
    assert_eq!(status, 200);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1000).unwrap();
    match wire.receive_body(&headers) {
        Ok(body) => {
            assert!(body.iter().all(|byte| *byte == b'x') && body.len() == 64 << 20, "padded or short: {}", body.len());
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}"),
    }
    Outcome::Held
}
