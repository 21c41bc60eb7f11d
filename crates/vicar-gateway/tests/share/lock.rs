//! LOCK, UNLOCK and what locks keep out.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::alone::Test;
use crate::rig::{ALICE, Answer, BOB, Rig, TEAM, Who, directory};

pub(crate) const TESTS: &[Test] = &[
    ("a_lock_needs_write_permission", a_lock_needs_write_permission),
    ("a_lock_keeps_others_out_and_lets_its_holder_in", a_lock_keeps_others_out_and_lets_its_holder_in),
    ("only_the_holder_sees_the_token", only_the_holder_sees_the_token),
    (
        "a_deep_lock_blocks_nobody_where_its_holder_cannot_write",
        a_deep_lock_blocks_nobody_where_its_holder_cannot_write,
    ),
    ("a_lock_on_nothing_makes_an_empty_file", a_lock_on_nothing_makes_an_empty_file),
    (
        "locks_are_for_an_hour_at_most_and_refreshed_by_their_holder",
        locks_are_for_an_hour_at_most_and_refreshed_by_their_holder,
    ),
    ("one_user_has_only_so_many_locks", one_user_has_only_so_many_locks),
    ("a_lock_stays_on_a_file_that_is_put", a_lock_stays_on_a_file_that_is_put),
    ("the_if_header_is_obeyed", the_if_header_is_obeyed),
    ("locks_inside_a_tree_keep_it", locks_inside_a_tree_keep_it),
    ("of_two_locks_at_once_one_beneath_the_other_is_refused", of_two_locks_at_once_one_beneath_the_other_is_refused),
    ("locks_and_new_directories_obey_conditions", locks_and_new_directories_obey_conditions),
];

pub(crate) const EXCLUSIVE: &str = "<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope><locktype><write/></locktype><owner>me &amp; you</owner></lockinfo>";
const SHARED: &str = "<lockinfo xmlns='DAV:'><lockscope><shared/></lockscope><locktype><write/></locktype></lockinfo>";
const DISCOVERY: &str = "<propfind xmlns='DAV:'><prop><lockdiscovery/></prop></propfind>";

fn lock(rig: &Rig, who: &Who, path: &str) -> Answer {
    rig.send(who, "LOCK", path, &["depth: infinity"], EXCLUSIVE)
}

fn token(answer: &Answer) -> String {
    assert!(matches!(answer.status, 200 | 201), "{}", answer.status);
    answer.header("lock-token").to_owned()
}

fn with(token: &str) -> String {
    format!("if: ({token})")
}

fn a_lock_needs_write_permission() {
    let rig = Rig::new();
    rig.file("team/readable", "x", BOB, TEAM, 0o640);
    rig.file("team/writable", "x", BOB, TEAM, 0o660);
    directory(&rig.root.join("readable"), 0, 0, 0o755);
    assert_eq!(lock(&rig, &rig.alice, "/team/readable").status, 403);
    assert_eq!(lock(&rig, &rig.alice, "/readable/").status, 403);
    assert_eq!(lock(&rig, &rig.alice, "/readable/new").status, 403);
    assert_eq!(lock(&rig, &rig.alice, "/bob/x").status, 403);
    assert_eq!(lock(&rig, &rig.alice, "/").status, 403);
    assert_eq!(lock(&rig, &rig.alice, "/alice/no/x").status, 409);
    assert_eq!(lock(&rig, &rig.alice, "/team/writable").status, 200);
    assert_eq!(rig.status(&rig.alice, "LOCK", "/alice/", &["depth: 1"], EXCLUSIVE), 400);
    assert_eq!(rig.status(&rig.alice, "LOCK", "/alice/", &[], "<x/>"), 400);
}

fn a_lock_keeps_others_out_and_lets_its_holder_in() {
    let rig = Rig::new();
    rig.file("team/f", "old", BOB, TEAM, 0o660);
    let held = token(&lock(&rig, &rig.alice, "/team/f"));
    let to = "destination: /team/g";
    for (method, headers, body) in [
        ("PUT", &[][..], "x"),
        ("DELETE", &[], ""),
        ("MOVE", &[to], ""),
        ("LOCK", &[], EXCLUSIVE),
        ("LOCK", &[], SHARED),
        ("PROPPATCH", &[], crate::property::SET),
    ] {
        let answer = rig.send(&rig.bob, method, "/team/f", headers, body);
        assert_eq!(answer.status, 423, "{method}");
        // Somebody else's token opens nothing, even if it became known.
        let stolen = with(&held);
        let headers = [headers, &[stolen.as_str()]].concat();
        let status = rig.status(&rig.bob, method, "/team/f", &headers, body);
        assert!(matches!(status, 412 | 423), "{method} {status}");
        // The holder needs the token too.
        if method != "LOCK" {
            assert_eq!(rig.status(&rig.alice, method, "/team/f", &headers[..headers.len() - 1], body), 423, "{method}");
        }
    }
    rig.file("team/source", "x", BOB, TEAM, 0o660);
    assert_eq!(rig.status(&rig.bob, "COPY", "/team/source", &["destination: /team/f"], ""), 423);
    assert_eq!(rig.status(&rig.bob, "MOVE", "/team/source", &["destination: /team/f"], ""), 423);
    assert_eq!(rig.read("team/f"), "old");
    assert_eq!(rig.status(&rig.alice, "PUT", "/team/f", &[&with(&held)], "new"), 204);
    assert_eq!(rig.status(&rig.bob, "UNLOCK", "/team/f", &[&format!("lock-token: {held}")], ""), 409);
    assert_eq!(rig.status(&rig.alice, "UNLOCK", "/team/source", &[&format!("lock-token: {held}")], ""), 409);
    assert_eq!(rig.status(&rig.alice, "UNLOCK", "/team/f", &[&format!("lock-token: {held}")], ""), 204);
    assert_eq!(rig.status(&rig.bob, "PUT", "/team/f", &[], "his"), 204);
}

fn only_the_holder_sees_the_token() {
    let rig = Rig::new();
    rig.file("team/f", "x", BOB, TEAM, 0o660);
    let held = token(&lock(&rig, &rig.alice, "/team/f"));
    let bare = held.trim_matches(['<', '>']);
    let hers = rig.send(&rig.alice, "PROPFIND", "/team/f", &["depth: 0"], DISCOVERY).text();
    let his = rig.send(&rig.bob, "PROPFIND", "/team/", &["depth: 1"], DISCOVERY).text();
    assert!(hers.contains(bare) && hers.contains("me &amp; you"), "{hers}");
    assert!(his.contains("<D:activelock>") && !his.contains(bare) && !his.contains("locktoken"), "{his}");
    let refused = rig.send(&rig.bob, "PUT", "/team/f", &[], "x").text();
    assert!(refused.contains("lock-token-submitted") && !refused.contains(bare));
}

fn a_deep_lock_blocks_nobody_where_its_holder_cannot_write() {
    let rig = Rig::new();
    rig.file("team/hers", "x", ALICE, TEAM, 0o660);
    rig.file("team/his", "x", BOB, BOB, 0o600);
    directory(&rig.root.join("team/dir"), BOB, BOB, 0o700);
    rig.file("team/dir/f", "x", BOB, BOB, 0o600);
    let held = token(&lock(&rig, &rig.alice, "/team/"));
    assert_eq!(rig.status(&rig.bob, "PUT", "/team/hers", &[], "y"), 423);
    assert_eq!(rig.status(&rig.bob, "PUT", "/team/new", &[], "y"), 423);
    assert_eq!(rig.status(&rig.bob, "PUT", "/team/his", &[], "y"), 204);
    assert_eq!(rig.status(&rig.bob, "PUT", "/team/dir/f", &[], "y"), 204);
    assert_eq!(rig.status(&rig.bob, "PUT", "/team/dir/g", &[], "y"), 201);
    assert_eq!(rig.status(&rig.bob, "DELETE", "/team/dir/g", &[], ""), 204);
    assert_eq!(lock(&rig, &rig.bob, "/team/dir/f").status, 200);
    let tagged = format!("if: <http://share.test/team/> ({held})");
    assert_eq!(rig.status(&rig.alice, "PUT", "/team/new", &[], "y"), 423);
    assert_eq!(rig.status(&rig.alice, "PUT", "/team/new", &[&tagged], "y"), 201);
    assert_eq!(rig.status(&rig.alice, "PUT", "/team/newer", &[&with(&held)], "y"), 201, "covered before it is there");
}

fn a_lock_on_nothing_makes_an_empty_file() {
    let rig = Rig::new();
    let answer = lock(&rig, &rig.alice, "/alice/new");
    assert_eq!(answer.status, 201);
    let meta = fs::metadata(rig.root.join("alice/new")).unwrap();
    assert_eq!((meta.uid(), meta.len()), (ALICE, 0));
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/new", &[&with(&token(&answer))], "x"), 204);
}

fn locks_are_for_an_hour_at_most_and_refreshed_by_their_holder() {
    let rig = Rig::new();
    rig.file("team/f", "x", BOB, TEAM, 0o660);
    let answer = rig.send(&rig.alice, "LOCK", "/team/f", &["timeout: Infinite, Second-4100000000"], EXCLUSIVE);
    assert!(answer.text().contains("<D:timeout>Second-3600</D:timeout>"), "{}", answer.text());
    let held = with(&token(&answer));
    let answer = rig.send(&rig.alice, "LOCK", "/team/f", &[&held, "timeout: Second-60"], "");
    assert!(answer.status == 200 && answer.text().contains("Second-60<") && answer.header("lock-token").is_empty());
    assert_eq!(rig.status(&rig.bob, "LOCK", "/team/f", &[&held], ""), 412);
    assert_eq!(rig.status(&rig.alice, "LOCK", "/team/f", &[], ""), 400);
    assert_eq!(rig.status(&rig.alice, "LOCK", "/team/f", &[&held, "timeout: Second-1"], ""), 200);
    let begun = std::time::Instant::now();
    loop {
        match rig.status(&rig.bob, "PUT", "/team/f", &[], "his") {
            204 => break,
            423 if begun.elapsed().as_secs() < 60 => std::thread::sleep(std::time::Duration::from_millis(50)),
            other => panic!("{other} after {:?}", begun.elapsed()),
        }
    }
}

fn one_user_has_only_so_many_locks() {
    let rig = Rig::with(|options| options.limits.locks_per_user = 2);
    assert_eq!(lock(&rig, &rig.alice, "/alice/1").status, 201);
    assert_eq!(lock(&rig, &rig.alice, "/alice/2").status, 201);
    assert_eq!(lock(&rig, &rig.alice, "/alice/3").status, 507);
    assert_eq!(lock(&rig, &rig.bob, "/bob/1").status, 201);
}

fn a_lock_stays_on_a_file_that_is_put() {
    let rig = Rig::new();
    let path = rig.file("team/f", "x", ALICE, TEAM, 0o660);
    let held = token(&lock(&rig, &rig.alice, "/team/f"));
    let before = fs::metadata(&path).unwrap().ino();
    assert_eq!(rig.status(&rig.alice, "PUT", "/team/f", &[&with(&held)], "y"), 204);
    assert_ne!(fs::metadata(&path).unwrap().ino(), before);
    assert_eq!(rig.status(&rig.bob, "PUT", "/team/f", &[], "z"), 423);
    // A lock protects its holder's writing. When the holder may write no more, it protects nothing.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o060)).unwrap();
    std::os::unix::fs::chown(&path, Some(ALICE), Some(BOB)).unwrap();
    assert_eq!(rig.status(&rig.bob, "PUT", "/team/f", &[], "z"), 204);
}

fn the_if_header_is_obeyed() {
    let rig = Rig::new();
    rig.file("alice/f", "x", ALICE, ALICE, 0o600);
    let tag = rig.send(&rig.alice, "HEAD", "/alice/f", &[], "").header("etag").to_owned();
    let status = |header: String| rig.status(&rig.alice, "PROPPATCH", "/alice/f", &[&header], crate::property::SET);
    assert_eq!(status("if: ([\"other\"])".into()), 412);
    assert_eq!(status("if: (<DAV:no-lock>)".into()), 412);
    assert_eq!(status(format!("if: </alice/g> ([{tag}])")), 412);
    assert_eq!(status(format!("if: <http://other.test/alice/f> ([{tag}])")), 412);
    assert_eq!(status("if: (".into()), 400);
    assert_eq!(status(format!("if: ([\"other\"]) (Not <DAV:no-lock> [{tag}])")), 207);
}

fn of_two_locks_at_once_one_beneath_the_other_is_refused() {
    let rig = Rig::new();
    for round in 0..40 {
        for path in ["", "/b", "/b/c"] {
            directory(&rig.root.join(format!("team/{round}{path}")), BOB, TEAM, 0o2770);
        }
        rig.file(&format!("team/{round}/b/c/f"), "x", BOB, TEAM, 0o660);
        let (above, beneath) = (format!("/team/{round}/"), format!("/team/{round}/b/c/f"));
        let top = (Who::Alice, "LOCK", above.as_str(), &["depth: infinity"][..], EXCLUSIVE);
        let low = (Who::Bob, "LOCK", beneath.as_str(), &["depth: 0"][..], EXCLUSIVE);
        let answers = if round % 2 == 0 { rig.both(top, low) } else { rig.both(low, top) };
        let statuses = answers.each_ref().map(|answer| answer.status);
        assert!(matches!(statuses, [200, 423] | [423, 200]), "round {round}: {statuses:?}");
        // The next round begins without any lock.
        let held = format!("lock-token: {}{}", answers[0].header("lock-token"), answers[1].header("lock-token"));
        let given_back = rig.status(&rig.alice, "UNLOCK", &above, &[&held], "") == 204
            || rig.status(&rig.bob, "UNLOCK", &beneath, &[&held], "") == 204;
        assert!(given_back, "round {round}");
    }
}

fn locks_and_new_directories_obey_conditions() {
    let rig = Rig::new();
    rig.file("alice/f", "x", ALICE, ALICE, 0o600);
    let tag = rig.send(&rig.alice, "HEAD", "/alice/f", &[], "").header("etag").to_owned();
    let (right, wrong) = (format!("if-match: {tag}"), "if-match: \"other\"");
    let status = |method, path, header: &str, body| rig.status(&rig.alice, method, path, &[header], body);
    for header in [wrong, "if-none-match: *", &format!("if-none-match: {tag}")] {
        assert_eq!(status("LOCK", "/alice/f", header, EXCLUSIVE), 412, "{header}");
    }
    assert_eq!(status("LOCK", "/alice/new", "if-match: *", EXCLUSIVE), 412);
    assert!(!rig.root.join("alice/new").exists());
    assert_eq!(status("LOCK", "/alice/new", "if-none-match: *", EXCLUSIVE), 201);
    let held = token(&rig.send(&rig.alice, "LOCK", "/alice/f", &[&right], EXCLUSIVE));
    assert_eq!(rig.status(&rig.alice, "LOCK", "/alice/f", &[&with(&held), wrong], ""), 412);
    assert_eq!(rig.status(&rig.alice, "LOCK", "/alice/f", &[&with(&held), &right], ""), 200);
    let given_back = format!("lock-token: {held}");
    assert_eq!(rig.status(&rig.alice, "UNLOCK", "/alice/f", &[&given_back, wrong], ""), 412);
    assert_eq!(rig.status(&rig.alice, "UNLOCK", "/alice/f", &[&given_back, &right], ""), 204);
    assert_eq!(status("MKCOL", "/alice/d", "if-match: *", ""), 412);
    assert!(!rig.root.join("alice/d").exists());
    assert_eq!(status("MKCOL", "/alice/d", "if-none-match: *", ""), 201);
}

fn locks_inside_a_tree_keep_it() {
    let rig = Rig::new();
    directory(&rig.root.join("team/d"), BOB, TEAM, 0o770);
    rig.file("team/d/f", "x", BOB, TEAM, 0o660);
    let held = token(&rig.send(&rig.alice, "LOCK", "/team/d/f", &["depth: 0"], EXCLUSIVE));
    assert_eq!(rig.status(&rig.bob, "DELETE", "/team/d", &[], ""), 423);
    assert_eq!(rig.status(&rig.bob, "MOVE", "/team/d", &["destination: /team/e"], ""), 423);
    assert_eq!(lock(&rig, &rig.bob, "/team/d").status, 423);
    // By another name of the directory the lock is met on the way.
    std::os::unix::fs::symlink("d", rig.root.join("team/link")).unwrap();
    fs::hard_link(rig.root.join("team/d/f"), rig.root.join("team/other")).unwrap();
    let tagged = format!("if: <http://share.test/team/d/f> ({held})");
    assert_eq!(rig.status(&rig.alice, "DELETE", "/team/d", &[&tagged], ""), 204);
    assert_eq!(rig.status(&rig.bob, "DELETE", "/team/other", &[], ""), 204, "the lock ended with its file");
}
