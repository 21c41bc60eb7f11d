//! Pages, OPTIONS and faults.

use crate::alone::Test;
use crate::rig::{ALICE, BOB, Rig, directory};

pub(crate) const TESTS: &[Test] = &[
    ("options_says_what_there_is", options_says_what_there_is),
    ("a_directory_has_a_page", a_directory_has_a_page),
    ("a_panic_in_a_job_is_one_bad_answer", a_panic_in_a_job_is_one_bad_answer),
    ("a_share_on_procfs_is_none", a_share_on_procfs_is_none),
    ("the_way_to_the_share_is_walked_as_the_client", the_way_to_the_share_is_walked_as_the_client),
];

fn options_says_what_there_is() {
    let rig = Rig::new();
    for path in ["/", "/alice/", "/bob/f", "*"] {
        let answer = rig.send(&rig.alice, "OPTIONS", path, &[], "");
        assert_eq!((answer.status, answer.header("dav"), answer.header("ms-author-via")), (200, "1, 2, 3", "DAV"));
        assert!(answer.header("allow").contains("LOCK"));
    }
}

fn a_directory_has_a_page() {
    let rig = Rig::new();
    directory(&rig.root.join("alice/sub dir"), ALICE, ALICE, 0o755);
    rig.file("alice/<b>.txt", "x", BOB, BOB, 0o640);
    let redirect = rig.send(&rig.alice, "GET", "/alice", &[], "");
    assert_eq!((redirect.status, redirect.header("location")), (301, "/alice/"));
    let page = rig.send(&rig.alice, "GET", "/alice/", &[], "");
    let text = page.text();
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    for part in
        ["./sub%20dir/", "&lt;b&gt;.txt", "61002", "-rw-r-----", "signed in as <b>alice</b>", "<a href=\"../\">"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("<script") && !text.contains("http:") && !text.contains("https:"));
    assert_eq!(rig.send(&rig.alice, "HEAD", "/alice/", &[], "").body.len(), 0);
    assert_eq!(rig.status(&rig.alice, "GET", "/bob/", &[], ""), 403);
    assert!(rig.send(&rig.alice, "GET", "/alice/sub%20dir/", &[], "").text().contains("Nothing here"));
}

fn a_panic_in_a_job_is_one_bad_answer() {
    let rig = Rig::new();
    rig.file("alice/f", "x", ALICE, ALICE, 0o600);
    for _ in 0..10 {
        assert_eq!(rig.status(&rig.alice, "GET", "/alice/f", &["x-fault: 1"], ""), 500);
        assert_eq!(rig.status(&rig.alice, "GET", "/alice/f", &[], ""), 200);
        assert_eq!(rig.status(&rig.bob, "GET", "/alice/f", &[], ""), 403);
    }
}

fn a_share_on_procfs_is_none() {
    let rig = Rig::with(|options| options.root = "/proc".into());
    for path in ["/", "/version", "/self/status"] {
        assert_eq!(rig.status(&rig.alice, "GET", path, &[], ""), 403, "{path}");
    }
}

fn the_way_to_the_share_is_walked_as_the_client() {
    use std::os::unix::fs::PermissionsExt as _;
    let rig = Rig::new();
    rig.file("alice/f", "x", ALICE, ALICE, 0o600);
    std::fs::set_permissions(&rig.scratch.0, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(rig.status(&rig.alice, "GET", "/alice/f", &[], ""), 403);
    std::fs::set_permissions(&rig.scratch.0, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(rig.status(&rig.alice, "GET", "/alice/f", &[], ""), 200);
}
