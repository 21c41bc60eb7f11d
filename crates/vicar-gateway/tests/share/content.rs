//! GET, HEAD and PUT.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use base64::Engine as _;

use crate::alone::Test;
use crate::rig::{ALICE, BOB, Rig, TEAM, directory, order};
use crate::worker::{Order, Piece};

pub(crate) const TESTS: &[Test] = &[
    ("each_has_their_own_and_the_team_its", each_has_their_own_and_the_team_its),
    ("negative_groups_deny", negative_groups_deny),
    ("ranges_and_conditions", ranges_and_conditions),
    ("long_files_come_whole_and_short_ones_are_cut", long_files_come_whole_and_short_ones_are_cut),
    ("what_is_no_file_is_neither_opened_nor_waited_for", what_is_no_file_is_neither_opened_nor_waited_for),
    ("links_stay_beneath", links_stay_beneath),
    ("put_makes_a_file_of_the_caller", put_makes_a_file_of_the_caller),
    ("put_keeps_what_the_file_was", put_keeps_what_the_file_was),
    ("put_writes_into_what_it_may_not_replace", put_writes_into_what_it_may_not_replace),
    ("put_needs_write_permission_before_the_body", put_needs_write_permission_before_the_body),
    ("a_cut_upload_changes_nothing", a_cut_upload_changes_nothing),
    ("put_takes_a_body_in_tiny_pieces", put_takes_a_body_in_tiny_pieces),
    ("put_is_refused_where_it_makes_no_sense", put_is_refused_where_it_makes_no_sense),
    ("the_spool_is_limited", the_spool_is_limited),
];

fn each_has_their_own_and_the_team_its() {
    let rig = Rig::new();
    rig.file("alice/a.txt", "hers", ALICE, ALICE, 0o600);
    rig.file("bob/b.txt", "his", BOB, BOB, 0o600);
    rig.file("team/t.txt", "theirs", 0, TEAM, 0o660);
    rig.file("root.txt", "nobody's", 0, 0, 0o600);
    let answer = rig.send(&rig.alice, "GET", "/alice/a.txt", &[], "");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hers"));
    assert_eq!(answer.facts.shown, Some((ALICE, ALICE)));
    assert_eq!((answer.facts.op.as_str(), answer.facts.path.as_str()), ("get", "/alice/a.txt"));
    assert_eq!(rig.status(&rig.alice, "GET", "/bob/b.txt", &[], ""), 403);
    assert_eq!(rig.status(&rig.alice, "GET", "/bob/nothing", &[], ""), 403);
    assert_eq!(rig.status(&rig.alice, "GET", "/nothing", &[], ""), 404);
    assert_eq!(rig.status(&rig.alice, "GET", "/root.txt", &[], ""), 403);
    assert_eq!(rig.send(&rig.alice, "GET", "/team/t.txt", &[], "").text(), "theirs");
    assert_eq!(rig.send(&rig.bob, "GET", "/team/t.txt", &[], "").text(), "theirs");
    for (name, kept) in [
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "private"),
        ("content-type", "text/plain; charset=utf-8"),
        ("content-disposition", ""),
    ] {
        assert_eq!(answer.header(name), kept);
    }
    rig.file("alice/page.html", "<script>", ALICE, ALICE, 0o600);
    let page = rig.send(&rig.alice, "GET", "/alice/page.html", &[], "");
    assert_eq!((page.header("content-type"), page.header("content-disposition")), ("text/html", "attachment"));
}

fn negative_groups_deny() {
    let rig = Rig::new();
    rig.file("kept-from-team", "x", 0, TEAM, 0o604);
    assert_eq!(rig.status(&rig.alice, "GET", "/kept-from-team", &[], ""), 403);
}

fn ranges_and_conditions() {
    let rig = Rig::new();
    rig.file("alice/f", "0123456789", ALICE, ALICE, 0o600);
    let whole = rig.send(&rig.alice, "GET", "/alice/f", &[], "");
    let tag = whole.header("etag").to_owned();
    let part = rig.send(&rig.alice, "GET", "/alice/f", &["range: bytes=2-4"], "");
    assert_eq!((part.status, part.text().as_str(), part.header("content-range")), (206, "234", "bytes 2-4/10"));
    assert_eq!(part.header("content-length"), "3");
    let beyond = rig.send(&rig.alice, "GET", "/alice/f", &["range: bytes=10-"], "");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */10"));
    let none_match = format!("if-none-match: {tag}");
    assert_eq!(rig.status(&rig.alice, "GET", "/alice/f", &[&none_match], ""), 304);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/f", &[&none_match], "x"), 412);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/f", &["if-none-match: *"], "x"), 412);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/g", &["if-none-match: *"], "x"), 201);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/h", &["if-match: *"], "x"), 412);
    assert_eq!(rig.status(&rig.alice, "DELETE", "/alice/f", &["if-match: \"other\""], ""), 412);
    let head = rig.send(&rig.alice, "HEAD", "/alice/f", &[], "");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "10", 0));
    assert_eq!(head.header("etag"), tag);
    // The same length at the same time of change is another version all the same.
    let meta = || fs::metadata(rig.root.join("alice/f")).unwrap();
    let before = meta();
    // The kernel's clock for files goes in steps of milliseconds.
    while (meta().ctime(), meta().ctime_nsec()) == (before.ctime(), before.ctime_nsec()) {
        fs::write(rig.root.join("alice/f"), "9876543210").unwrap();
        let file = fs::File::options().write(true).open(rig.root.join("alice/f")).unwrap();
        file.set_modified(before.modified().unwrap()).unwrap();
    }
    assert_ne!(rig.send(&rig.alice, "HEAD", "/alice/f", &[], "").header("etag"), tag);
}

fn long_files_come_whole_and_short_ones_are_cut() {
    let rig = Rig::new();
    let long: String = (0..200_000).map(|number| format!("{number:07}\n")).collect();
    let path = rig.file("alice/long", &long, ALICE, ALICE, 0o600);
    let answer = rig.send(&rig.alice, "GET", "/alice/long", &[], "");
    assert!(answer.whole && answer.body == long.as_bytes());
    let part = rig.send(&rig.alice, "GET", "/alice/long", &["range: bytes=100000-1500000"], "");
    assert!(part.body == long.as_bytes()[100_000..=1_500_000]);
    let held = Order { hold: true, ..order(rig.alice, "GET", "/alice/long", &[], None, vec![]) };
    let shrink = || fs::File::options().write(true).open(&path).unwrap().set_len(500_000).unwrap();
    let cut = rig.ask(&held, shrink).unwrap();
    assert_eq!((cut.status, cut.header("content-length")), (200, "1600000"));
    assert!(!cut.whole && long.as_bytes().starts_with(&cut.body) && cut.body.len() <= 500_000, "{}", cut.body.len());
}

fn what_is_no_file_is_neither_opened_nor_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let rig = Rig::new();
    mknodat(CWD, rig.root.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    fs::set_permissions(rig.root.join("fifo"), fs::Permissions::from_mode(0o666)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(rig.root.join("socket")).unwrap();
    fs::set_permissions(rig.root.join("socket"), fs::Permissions::from_mode(0o666)).unwrap();
    mknodat(
        CWD,
        rig.root.join("null"),
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o666),
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    fs::set_permissions(rig.root.join("null"), fs::Permissions::from_mode(0o666)).unwrap();
    for name in ["/fifo", "/socket", "/null"] {
        for method in ["GET", "HEAD", "PUT", "PROPFIND", "LOCK"] {
            let body = if method == "LOCK" { crate::lock::EXCLUSIVE } else { "" };
            assert_eq!(rig.status(&rig.alice, method, name, &["depth: 0"], body), 403, "{method} {name}");
        }
    }
    let listing = rig.send(&rig.alice, "GET", "/", &[], "").text();
    assert!(listing.contains("alice/") && !listing.contains("fifo") && !listing.contains("socket"));
}

fn links_stay_beneath() {
    let rig = Rig::new();
    rig.file("alice/f", "content", ALICE, ALICE, 0o600);
    symlink("f", rig.root.join("alice/near")).unwrap();
    symlink("../alice/f", rig.root.join("alice/round")).unwrap();
    symlink("/etc/hostname", rig.root.join("alice/absolute")).unwrap();
    symlink("../../../../../../etc/hostname", rig.root.join("alice/up")).unwrap();
    symlink("/proc/self/root", rig.root.join("alice/magic")).unwrap();
    symlink("nothing", rig.root.join("alice/dangling")).unwrap();
    let outside = rig.scratch.0.join("outside");
    fs::write(&outside, "outside").unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o666)).unwrap();
    symlink("../../outside", rig.root.join("alice/out")).unwrap();
    assert_eq!(rig.send(&rig.alice, "GET", "/alice/near", &[], "").text(), "content");
    assert_eq!(rig.send(&rig.alice, "GET", "/alice/round", &[], "").text(), "content");
    for name in ["absolute", "up", "out", "magic/etc/hostname"] {
        assert_eq!(rig.status(&rig.alice, "GET", &format!("/alice/{name}"), &[], ""), 403, "{name}");
        assert_eq!(rig.status(&rig.alice, "PUT", &format!("/alice/{name}"), &[], "x"), 403, "{name}");
    }
    assert_eq!(rig.status(&rig.alice, "GET", "/alice/dangling", &[], ""), 404);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/dangling", &[], "x"), 409);
    // Through a link the file is written, and the link stays one.
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/near", &[], "new"), 204);
    assert!(fs::symlink_metadata(rig.root.join("alice/near")).unwrap().is_symlink());
    assert_eq!((rig.read("alice/f"), fs::read_to_string(outside).unwrap()), ("new".into(), "outside".into()));
    // Removing a link removes the link.
    assert_eq!(rig.status(&rig.alice, "DELETE", "/alice/out", &[], ""), 204);
    assert!(rig.scratch.0.join("outside").exists());
}

fn put_makes_a_file_of_the_caller() {
    let rig = Rig::new();
    let made = rig.send(&rig.alice, "PUT", "/alice/new", &[], "content");
    assert_eq!(made.status, 201);
    let there = rig.send(&rig.alice, "HEAD", "/alice/new", &[], "");
    assert_eq!(there.header("etag"), made.header("etag"));
    let meta = fs::metadata(rig.root.join("alice/new")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (ALICE, ALICE, 0o644));
    assert_eq!(rig.status(&rig.alice, "PUT", "/team/new", &[], "x"), 201);
    let meta = fs::metadata(rig.root.join("team/new")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (ALICE, TEAM));
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/no/such", &[], "x"), 409);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/new/below", &[], "x"), 409);
    assert_eq!(rig.status(&rig.alice, "PUT", "/bob/new", &[], "x"), 403);
    assert_eq!(rig.status(&rig.alice, "PUT", "/new", &[], "x"), 403);
    assert_eq!(rig.names("alice"), ["new"]);
    let big = "0123456789abcdef".repeat(400_000);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/big", &[], &big), 201);
    assert_eq!(rig.read("alice/big"), big);
}

fn put_keeps_what_the_file_was() {
    let rig = Rig::new();
    let path = rig.file("alice/f", "old", ALICE, TEAM, 0o640);
    rustix::fs::setxattr(&path, "user.note", b"kept", rustix::fs::XattrFlags::empty()).unwrap();
    // user::rw- user:61003:r-- group::r-- mask::r-- other::---
    let acl: Vec<u8> = [
        &2_u32.to_le_bytes()[..],
        &[1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0],
        &61_003_u32.to_le_bytes(),
        &[4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255],
    ]
    .concat();
    let has_acl = rustix::fs::setxattr(&path, "system.posix_acl_access", &acl, rustix::fs::XattrFlags::empty()).is_ok();
    let before = fs::metadata(&path).unwrap();
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/f", &[], "new content"), 204);
    let after = fs::metadata(&path).unwrap();
    assert_ne!(before.ino(), after.ino(), "it was replaced in one step");
    assert_eq!((after.uid(), after.gid(), after.mode()), (ALICE, TEAM, before.mode()));
    assert_eq!(rig.read("alice/f"), "new content");
    let mut value = Vec::with_capacity(64);
    rustix::fs::getxattr(&path, "user.note", rustix::buffer::spare_capacity(&mut value)).unwrap();
    assert_eq!(value, b"kept");
    if has_acl {
        let mut value = Vec::with_capacity(256);
        rustix::fs::getxattr(&path, "system.posix_acl_access", rustix::buffer::spare_capacity(&mut value)).unwrap();
        assert_eq!(value, acl);
    } else {
        println!("skipped: no ACLs on this file system");
    }
    assert_eq!(rig.names("alice"), ["f"]);
}

fn put_writes_into_what_it_may_not_replace() {
    let rig = Rig::new();
    // Somebody else's file that the group may write.
    let path = rig.file("team/t", "a longer old content", 0, TEAM, 0o660);
    let before = fs::metadata(&path).unwrap();
    assert_eq!(rig.status(&rig.alice, "PUT", "/team/t", &[], "new"), 204);
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.ino(), after.uid(), after.gid(), after.mode()), (before.ino(), 0, TEAM, before.mode()));
    assert_eq!(rig.read("team/t"), "new");
    // One's own file with a second name.
    let path = rig.file("alice/one", "old", ALICE, ALICE, 0o600);
    fs::hard_link(&path, rig.root.join("alice/two")).unwrap();
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/one", &[], "new"), 204);
    assert_eq!(rig.read("alice/two"), "new");
    // One's own file in a directory where one may not make any.
    directory(&rig.root.join("fixed"), 0, 0, 0o755);
    rig.file("fixed/f", "old", ALICE, ALICE, 0o600);
    assert_eq!(rig.status(&rig.alice, "PUT", "/fixed/f", &[], "new"), 204);
    assert_eq!(rig.read("fixed/f"), "new");
    assert_eq!(rig.status(&rig.alice, "PUT", "/fixed/g", &[], "new"), 403);
    assert!(fs::read_dir(rig.scratch.0.join("spool")).unwrap().next().is_none());
}

fn put_needs_write_permission_before_the_body() {
    let rig = Rig::new();
    rig.file("alice/read-only", "old", ALICE, ALICE, 0o400);
    rig.file("team/read-only", "old", BOB, TEAM, 0o644);
    for path in ["/alice/read-only", "/team/read-only", "/bob/x"] {
        // The directory may be written, so the name could be replaced; the file is the one that says no.
        let untouched = order(rig.alice, "PUT", path, &[], Some(3), vec![Piece::Cut]);
        assert_eq!(rig.ask(&untouched, || {}).unwrap().status, 403, "{path}");
    }
    assert_eq!(rig.read("alice/read-only"), "old");
}

fn a_cut_upload_changes_nothing() {
    let rig = Rig::new();
    rig.file("alice/f", "old", ALICE, ALICE, 0o600);
    let data = |text: &str| Piece::Data(base64::engine::general_purpose::STANDARD.encode(text));
    for path in ["/alice/f", "/alice/new"] {
        let put = |length, pieces| rig.ask(&order(rig.alice, "PUT", path, &[], length, pieces), || {}).unwrap().status;
        assert_eq!(put(Some(10), vec![data("some"), Piece::Cut]), 400);
        assert_eq!(put(Some(10), vec![data("short")]), 400);
        assert_eq!(put(None, vec![data("x"), Piece::TooLarge]), 413);
    }
    // A client that goes away in the middle.
    for micros in [1, 20, 50, 100, 200, 400, 1000] {
        let pieces = vec![data("some"), data("more"), Piece::Cut];
        let put = order(rig.alice, "PUT", "/alice/new", &[], Some(10), pieces);
        let _ = rig.ask(&Order { drop_after: Some(std::time::Duration::from_micros(micros)), ..put }, || {});
    }
    assert_eq!(rig.read("alice/f"), "old");
    assert_eq!(rig.names("alice"), ["f"]);
}

fn put_takes_a_body_in_tiny_pieces() {
    let rig = Rig::new();
    let text: String = (0..9_000).map(|number| char::from(b'a' + u8::try_from(number % 26).unwrap())).collect();
    let piece = |letter: char| Piece::Data(base64::engine::general_purpose::STANDARD.encode(letter.to_string()));
    let put = order(rig.alice, "PUT", "/alice/f", &[], Some(text.len()), text.chars().map(piece).collect());
    assert_eq!(rig.ask(&put, || {}).unwrap().status, 201);
    assert_eq!(rig.read("alice/f"), text);
}

fn put_is_refused_where_it_makes_no_sense() {
    let rig = Rig::new();
    directory(&rig.root.join("alice/d"), ALICE, ALICE, 0o755);
    rig.file("alice/f", "0123456789", ALICE, ALICE, 0o600);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/d", &[], "x"), 405);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/d/", &[], "x"), 405);
    assert_eq!(rig.status(&rig.alice, "PUT", "/", &[], "x"), 405);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/f", &["content-range: bytes 0-0/10"], "x"), 400);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/..%2fbob/x", &[], "x"), 400);
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/../bob/x", &[], "x"), 400);
    let long = format!("/alice/{}", "n".repeat(256));
    assert_eq!(rig.status(&rig.alice, "PUT", &long, &[], "x"), 414);
    assert_eq!(rig.read("alice/f"), "0123456789");
    let refused = rig.send(&rig.alice, "PATCH", "/alice/f", &[], "x");
    assert!(refused.status == 405 && refused.header("allow").contains("PROPPATCH"));
}

fn the_spool_is_limited() {
    let rig = Rig::with(|options| options.limits.spool_bytes = 10);
    directory(&rig.root.join("fixed"), 0, 0, 0o755);
    rig.file("fixed/f", "old", ALICE, ALICE, 0o600);
    assert_eq!(rig.status(&rig.alice, "PUT", "/fixed/f", &[], "eleven bytes"), 507);
    assert_eq!(rig.read("fixed/f"), "old");
    assert_eq!(rig.status(&rig.alice, "PUT", "/fixed/f", &[], "ten bytes!"), 204);
}
