//! DELETE, MKCOL, COPY and MOVE.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

use crate::alone::Test;
use crate::rig::{ALICE, BOB, Rig, TEAM, directory};

pub(crate) const TESTS: &[Test] = &[
    ("mkcol_makes_one_directory", mkcol_makes_one_directory),
    ("delete_removes_what_it_may_and_tells_the_rest", delete_removes_what_it_may_and_tells_the_rest),
    ("delete_has_limits", delete_has_limits),
    ("copy_gives_the_copier_a_copy", copy_gives_the_copier_a_copy),
    ("a_failed_copy_leaves_the_target_whole", a_failed_copy_leaves_the_target_whole),
    ("nothing_goes_into_itself", nothing_goes_into_itself),
    ("move_moves", move_moves),
    ("a_sticky_directory_keeps_what_is_in_it", a_sticky_directory_keeps_what_is_in_it),
    ("destinations_elsewhere_are_refused", destinations_elsewhere_are_refused),
    ("a_private_copy_stays_private", a_private_copy_stays_private),
];

fn to(path: &str) -> String {
    format!("destination: http://share.test{path}")
}

fn mkcol_makes_one_directory() {
    let rig = Rig::new();
    assert_eq!(rig.status(&rig.alice, "MKCOL", "/alice/d", &[], ""), 201);
    let meta = fs::metadata(rig.root.join("alice/d")).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (ALICE, 0o755));
    assert_eq!(rig.status(&rig.alice, "MKCOL", "/alice/d/", &[], ""), 405);
    assert_eq!(rig.status(&rig.alice, "MKCOL", "/alice/x/y", &[], ""), 409);
    assert_eq!(rig.status(&rig.alice, "MKCOL", "/alice/e", &[], "body"), 415);
    assert_eq!(rig.status(&rig.alice, "MKCOL", "/bob/d", &[], ""), 403);
    assert_eq!(rig.status(&rig.alice, "MKCOL", "/", &[], ""), 405);
}

fn delete_removes_what_it_may_and_tells_the_rest() {
    let rig = Rig::new();
    directory(&rig.root.join("alice/d"), ALICE, ALICE, 0o755);
    rig.file("alice/d/f", "x", BOB, BOB, 0o000);
    assert_eq!(rig.status(&rig.alice, "DELETE", "/alice/d", &["depth: 0"], ""), 400);
    assert_eq!(rig.status(&rig.alice, "DELETE", "/alice/d", &[], ""), 204);
    assert!(!rig.root.join("alice/d").exists());
    assert_eq!(rig.status(&rig.alice, "DELETE", "/alice/d", &[], ""), 404);
    assert_eq!(rig.status(&rig.alice, "DELETE", "/alice", &[], ""), 403);
    assert_eq!(rig.status(&rig.alice, "DELETE", "/", &[], ""), 403);
    rig.file("bob/f", "x", BOB, BOB, 0o666);
    assert_eq!(rig.status(&rig.alice, "DELETE", "/bob/f", &[], ""), 403);
    // A directory of somebody else's in one of her own: what is in it is not hers to remove.
    directory(&rig.root.join("alice/d"), ALICE, ALICE, 0o755);
    directory(&rig.root.join("alice/d/his"), BOB, BOB, 0o755);
    rig.file("alice/d/his/f g", "x", BOB, BOB, 0o600);
    rig.file("alice/d/hers", "x", ALICE, ALICE, 0o600);
    let answer = rig.send(&rig.alice, "DELETE", "/alice/d", &[], "");
    assert_eq!(answer.status, 207);
    assert!(answer.text().contains("/alice/d/his/f%20g</D:href><D:status>HTTP/1.1 403"), "{}", answer.text());
    assert!(rig.root.join("alice/d/his/f g").exists() && !rig.root.join("alice/d/hers").exists());
}

fn delete_has_limits() {
    let rig = Rig::with(|options| (options.limits.tree_entries, options.limits.tree_depth) = (5, 2));
    directory(&rig.root.join("alice/d"), ALICE, ALICE, 0o755);
    for name in ["1", "2", "3", "4", "5"] {
        rig.file(&format!("alice/d/{name}"), "x", ALICE, ALICE, 0o600);
    }
    assert_eq!(rig.status(&rig.alice, "DELETE", "/alice/d", &[], ""), 507);
    assert_eq!(rig.names("alice/d").len(), 5, "nothing was removed");
    assert_eq!(rig.status(&rig.alice, "COPY", "/alice/d", &[&to("/alice/e")], ""), 507);
    assert_eq!(rig.names("alice"), ["d"]);
    fs::remove_file(rig.root.join("alice/d/5")).unwrap();
    assert_eq!(rig.status(&rig.alice, "DELETE", "/alice/d", &[], ""), 204);
    directory(&rig.root.join("alice/1"), ALICE, ALICE, 0o755);
    directory(&rig.root.join("alice/1/2"), ALICE, ALICE, 0o755);
    directory(&rig.root.join("alice/1/2/3"), ALICE, ALICE, 0o755);
    assert_eq!(rig.status(&rig.alice, "DELETE", "/alice/1", &[], ""), 507);
    assert!(rig.root.join("alice/1/2/3").exists());
}

fn copy_gives_the_copier_a_copy() {
    let rig = Rig::new();
    let path = rig.file("team/f", "content", BOB, TEAM, 0o4755);
    rustix::fs::setxattr(&path, "user.note", b"kept", rustix::fs::XattrFlags::empty()).unwrap();
    assert_eq!(rig.status(&rig.alice, "COPY", "/team/f", &[&to("/alice/f")], ""), 201);
    let meta = fs::metadata(rig.root.join("alice/f")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (ALICE, ALICE, 0o755), "no set-id bit is copied");
    let mut value = Vec::with_capacity(64);
    rustix::fs::getxattr(rig.root.join("alice/f"), "user.note", rustix::buffer::spare_capacity(&mut value)).unwrap();
    assert_eq!(value, b"kept");
    assert_eq!(rig.status(&rig.alice, "COPY", "/team/f", &[&to("/alice/f"), "overwrite: F"], ""), 412);
    assert_eq!(rig.status(&rig.alice, "COPY", "/team/f", &[&to("/alice/f")], ""), 204);
    assert_eq!(rig.status(&rig.alice, "COPY", "/team/f", &[&to("/alice/no/f")], ""), 409);
    assert_eq!(rig.status(&rig.alice, "COPY", "/team/f", &[&to("/bob/f")], ""), 403);
    assert_eq!(rig.status(&rig.alice, "COPY", "/team/f", &[&to("/alice/x"), "depth: 1"], ""), 400);
    // Trees, with links as links.
    directory(&rig.root.join("alice/d"), ALICE, ALICE, 0o550);
    rig.file("alice/d/1", "1", ALICE, ALICE, 0o400);
    symlink("1", rig.root.join("alice/d/link")).unwrap();
    assert_eq!(rig.status(&rig.alice, "COPY", "/alice/d", &[&to("/alice/e/")], ""), 201);
    assert_eq!((rig.read("alice/e/link"), rig.names("alice/e").len()), ("1".into(), 2));
    assert_eq!(fs::metadata(rig.root.join("alice/e")).unwrap().mode() & 0o777, 0o550);
    assert_eq!(rig.status(&rig.alice, "COPY", "/alice/d", &[&to("/alice/flat"), "depth: 0"], ""), 201);
    assert_eq!(rig.names("alice/flat").len(), 0);
    assert_eq!(rig.names("alice"), ["d", "e", "f", "flat"]);
    // A file in place of a directory, a directory in place of a file.
    assert_eq!(rig.status(&rig.alice, "COPY", "/alice/f", &[&to("/alice/flat")], ""), 204);
    assert!(rig.root.join("alice/flat").is_file());
    directory(&rig.root.join("alice/g"), ALICE, ALICE, 0o755);
    assert_eq!(rig.status(&rig.alice, "COPY", "/alice/g", &[&to("/alice/flat")], ""), 204);
    assert!(rig.root.join("alice/flat").is_dir());
    assert_eq!(rig.names("alice"), ["d", "e", "f", "flat", "g"]);
}

fn a_failed_copy_leaves_the_target_whole() {
    let rig = Rig::new();
    directory(&rig.root.join("team/source"), BOB, TEAM, 0o755);
    rig.file("team/source/open", "x", BOB, TEAM, 0o644);
    rig.file("team/source/closed", "x", BOB, BOB, 0o600);
    directory(&rig.root.join("alice/target"), ALICE, ALICE, 0o755);
    rig.file("alice/target/kept", "kept", ALICE, ALICE, 0o600);
    rig.file("alice/file", "kept", ALICE, ALICE, 0o600);
    assert_eq!(rig.status(&rig.alice, "COPY", "/team/source", &[&to("/alice/target")], ""), 403);
    assert_eq!(rig.status(&rig.alice, "COPY", "/team/source/closed", &[&to("/alice/file")], ""), 403);
    assert_eq!((rig.read("alice/target/kept"), rig.read("alice/file")), ("kept".into(), "kept".into()));
    assert_eq!(rig.names("alice"), ["file", "target"], "nothing half-made stays");
    assert_eq!(rig.status(&rig.alice, "MOVE", "/bob/x", &[&to("/alice/file")], ""), 403);
    assert_eq!(rig.status(&rig.alice, "MOVE", "/alice/nothing", &[&to("/alice/file")], ""), 404);
    assert_eq!(rig.read("alice/file"), "kept");
}

fn nothing_goes_into_itself() {
    let rig = Rig::new();
    directory(&rig.root.join("alice/d"), ALICE, ALICE, 0o755);
    directory(&rig.root.join("alice/d/e"), ALICE, ALICE, 0o755);
    rig.file("alice/d/e/f", "x", ALICE, ALICE, 0o600);
    symlink("d", rig.root.join("alice/link")).unwrap();
    for method in ["COPY", "MOVE"] {
        for (from, onto) in [
            ("/alice/d", "/alice/d"),
            ("/alice/d", "/alice/d/e/g"),
            ("/alice/d", "/alice/link/e/g"),
            ("/alice/d/e", "/alice/d"),
            ("/alice/d/e/f", "/alice/d"),
            ("/alice/link/e", "/alice/d"),
            ("/alice/d", "/"),
            ("/", "/alice/x"),
        ] {
            assert_eq!(rig.status(&rig.alice, method, from, &[&to(onto)], ""), 403, "{method} {from} {onto}");
        }
    }
    assert_eq!(rig.read("alice/d/e/f"), "x");
    assert_eq!((rig.names("alice"), rig.names("alice/d")), (vec!["d".into(), "link".into()], vec!["e".into()]));
}

fn move_moves() {
    let rig = Rig::new();
    let path = rig.file("alice/f", "content", ALICE, TEAM, 0o640);
    let inode = fs::metadata(&path).unwrap().ino();
    assert_eq!(rig.status(&rig.alice, "MOVE", "/alice/f", &[&to("/alice/g"), "depth: 1"], ""), 400);
    assert_eq!(rig.status(&rig.alice, "MOVE", "/alice/", &[&to("/team/g"), "depth: 0"], ""), 400);
    assert_eq!(rig.status(&rig.alice, "MOVE", "/alice/f", &["destination: /alice/g"], ""), 201);
    assert_eq!(fs::metadata(rig.root.join("alice/g")).unwrap().ino(), inode);
    rig.file("alice/h", "other", ALICE, ALICE, 0o600);
    assert_eq!(rig.status(&rig.alice, "MOVE", "/alice/g", &[&to("/alice/h"), "overwrite: F"], ""), 412);
    assert_eq!(rig.status(&rig.alice, "MOVE", "/alice/g", &[&to("/alice/h")], ""), 204);
    assert_eq!((rig.names("alice"), rig.read("alice/h")), (vec!["h".into()], "content".into()));
    directory(&rig.root.join("alice/d"), ALICE, ALICE, 0o755);
    directory(&rig.root.join("alice/e"), ALICE, ALICE, 0o755);
    rig.file("alice/d/new", "new", ALICE, ALICE, 0o600);
    rig.file("alice/e/old", "old", ALICE, ALICE, 0o600);
    let moved = rig.send(&rig.alice, "MOVE", "/alice/d/", &[&to("/alice/e/")], "");
    assert_eq!((moved.status, moved.facts.destination.as_deref()), (204, Some("/alice/e")));
    assert_eq!((rig.names("alice"), rig.names("alice/e")), (vec!["e".into(), "h".into()], vec!["new".into()]));
    assert_eq!(rig.status(&rig.alice, "MOVE", "/alice/h", &[&to("/alice/e")], ""), 204);
    assert_eq!(rig.read("alice/e"), "content");
    assert_eq!(rig.names("alice"), ["e"]);
}

fn a_sticky_directory_keeps_what_is_in_it() {
    let rig = Rig::new();
    directory(&rig.root.join("sticky"), 0, 0, 0o1777);
    rig.file("sticky/his", "his", BOB, BOB, 0o666);
    rig.file("alice/f", "hers", ALICE, ALICE, 0o600);
    assert_eq!(rig.status(&rig.alice, "DELETE", "/sticky/his", &[], ""), 403);
    assert_eq!(rig.status(&rig.alice, "MOVE", "/alice/f", &[&to("/sticky/his")], ""), 403);
    assert_eq!(rig.status(&rig.alice, "COPY", "/alice/f", &[&to("/sticky/his")], ""), 403);
    assert_eq!(rig.status(&rig.alice, "MOVE", "/sticky/his", &[&to("/alice/g")], ""), 403);
    assert_eq!((rig.read("sticky/his"), rig.read("alice/f")), ("his".into(), "hers".into()));
    assert_eq!((rig.names("sticky").len(), rig.names("alice").len()), (1, 1), "nothing half-made stays");
    // The content may be written, in place: the file says so.
    assert_eq!(rig.status(&rig.alice, "PUT", "/sticky/his", &[], "changed"), 204);
    assert_eq!(fs::metadata(rig.root.join("sticky/his")).unwrap().uid(), BOB);
}

fn destinations_elsewhere_are_refused() {
    let rig = Rig::new();
    rig.file("alice/f", "x", ALICE, ALICE, 0o600);
    for (header, status) in [
        ("destination: http://other.test/alice/g", 502),
        ("destination: alice/g", 400),
        ("destination: http://share.test/alice/../bob/g", 400),
        ("destination: http://share.test/alice/%00", 400),
        ("x-no: destination", 400),
    ] {
        assert_eq!(rig.status(&rig.alice, "MOVE", "/alice/f", &[header], ""), status, "{header}");
    }
    assert_eq!(rig.names("alice"), ["f"]);
}

fn a_private_copy_stays_private() {
    let rig = Rig::new();
    rig.file("alice/private", "x", ALICE, ALICE, 0o600);
    directory(&rig.root.join("open"), ALICE, ALICE, 0o777);
    assert_eq!(rig.status(&rig.alice, "COPY", "/alice/private", &[&to("/open/private")], ""), 201);
    let meta = fs::metadata(rig.root.join("open/private")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    assert_eq!(rig.status(&rig.bob, "GET", "/open/private", &[], ""), 403);
    chown(rig.root.join("open"), Some(0), Some(0)).unwrap();
}
