use crate::server::{Scratch, is_root};
use serde_json::Value;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

/// The fields of a thread's status that say who it is: name, ids, permitted, effective and bounding capabilities.
fn threads(pid: u32) -> Vec<[String; 6]> {
    std::fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .map(|task| {
            let text = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            ["Name", "Uid", "Gid", "CapPrm", "CapEff", "CapBnd"].map(|field| {
                let prefix = format!("{field}:");
                let line = text.lines().find_map(|line| line.strip_prefix(prefix.as_str())).unwrap();
                line.split_whitespace().collect::<Vec<_>>().join(" ")
            })
        })
        .collect()
}

#[test]
fn every_thread_is_the_server_without_powers_or_nobody() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("threads", &["alice@61801:61801"]);
    scratch.lay("a.txt", 61_801, 0o600);
    let server = scratch.start(&["--threads", "3"]);
    assert_eq!(server.ask("GET /a.txt", "alice", ""), 200);
    let nobody = server.told["anonymous_uid"].to_string();
    let resting = format!("{nobody} {nobody} 0 {nobody}");
    // A client thread keeps a client that asks nothing only for a while.
    for _ in 0..3_000 {
        let rests = |[name, uids, ..]: &[String; 6]| !name.starts_with("client-") || *uids == resting;
        if threads(server.child.id()).iter().all(rests) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut clients = 0;
    for [name, uids, gids, permitted, effective, bounding] in threads(server.child.id()) {
        assert_eq!(bounding, "00000000000000c0", "{name}");
        assert_eq!(permitted, "00000000000000c0", "{name}");
        if name.starts_with("client-") {
            clients += 1;
            assert_eq!((uids, gids), (resting.clone(), resting.clone()), "{name}");
            assert_eq!(effective, "0000000000000000", "{name}");
        } else {
            assert_eq!(
                (uids.as_str(), gids.as_str(), effective.as_str()),
                ("0 0 0 0", "0 0 0 0", "00000000000000c0"),
                "{name}"
            );
        }
    }
    assert_eq!(clients, 3);
}

#[test]
fn the_kernel_decides_and_the_log_has_its_ids() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("kernel", &["alice@61801:61801", "bob@61802:61802"]);
    scratch.lay("a.txt", 61_801, 0o600);
    std::os::unix::fs::chown(scratch.path("share"), Some(61_801), None).unwrap();
    let server = scratch.start(&["--umask", "077"]);
    assert_eq!(server.ask("GET /a.txt", "alice", ""), 200);
    assert_eq!(server.ask("GET /a.txt", "bob", ""), 403);
    assert_eq!(server.ask("PUT /new.txt", "alice", "text"), 201);
    assert_eq!(server.ask("PUT /bobs.txt", "bob", "text"), 403);
    assert_eq!(server.ask("GET /a.txt", "nobody", ""), 401);
    let new = scratch.path("share").join("new.txt").metadata().unwrap();
    assert_eq!((new.uid(), new.gid(), new.mode() & 0o7777), (61_801, 61_801, 0o600));
    let audit = scratch.path("state").join("audit.jsonl");
    assert_eq!(audit.metadata().unwrap().mode() & 0o7777, 0o600);
    let lines: Vec<Value> =
        std::fs::read_to_string(&audit).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> =
        lines.iter().map(|line| (line["user"].as_str(), line["uid"].as_u64(), line["status"].as_u64())).collect();
    assert_eq!(
        seen,
        [
            (Some("alice"), Some(61_801), Some(200)),
            (Some("bob"), Some(61_802), Some(403)),
            (Some("alice"), Some(61_801), Some(201)),
            (Some("bob"), Some(61_802), Some(403)),
            (Some("nobody"), None, Some(401)),
        ]
    );
}

#[test]
fn a_server_without_powers_says_so_and_serves_its_own_user_only() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("powerless", &["me@61803:61803", "other@61804:61804"]);
    scratch.lay("mine.txt", 61_803, 0o600);
    scratch.lay("other.txt", 61_804, 0o604);
    let server = scratch.start_as(61_803);
    assert!(server.told["powerless"].as_str().unwrap().contains("own user"), "{}", server.told);
    assert_eq!(server.told["privileges_kept"], serde_json::json!([]));
    assert_eq!(server.told["self_test"], Value::Null);
    assert_eq!(server.ask("GET /mine.txt", "me", ""), 200);
    assert_eq!(server.ask("GET /other.txt", "me", ""), 200);
    assert_eq!(server.ask("GET /other.txt", "other", ""), 403, "it cannot act as somebody else, nor does it as itself");
}

#[test]
fn the_start_is_told_in_full() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("told", &["alice@61801:61801"]);
    let server = scratch.start(&[]);
    let told = &server.told;
    assert_eq!(told["privileges_kept"], serde_json::json!(["CAP_SETGID", "CAP_SETUID"]));
    assert_eq!(told["bounding_set_cut"], true);
    assert!(told["self_test"]["checks"].as_u64().unwrap() > 50, "{told}");
    assert_eq!(told["sign_in"], serde_json::json!({"method": "password-file", "file": "passwords", "people": 1}));
    assert!(told["anonymous_uid"].as_u64().unwrap() > 0);
    assert!(told.get("tls").is_none());
}
