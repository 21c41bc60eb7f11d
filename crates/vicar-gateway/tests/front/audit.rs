use crate::front::{ALICE, Front, WRONG, eventually};
use vicar_gateway::audit::Necessity;
use vicar_gateway::limit::Limits;

#[test]
fn every_request_leaves_one_line_with_what_the_kernel_showed() {
    let front = Front::start(Limits::USUAL);
    assert_eq!(front.ask("GET /a%20b%0A", ALICE).status, 200);
    assert_eq!(front.ask("GET /secret", WRONG).status, 401);
    assert_eq!(front.ask("GET /none", "").status, 401);
    assert_eq!(front.ask("PUT /x", &format!("{ALICE}Origin: http://evil.example\r\n")).status, 403);
    let lines = front.lines.wait(4);
    let field = |index: usize, name: &str| lines[index][name].clone();
    let row =
        |index| ["method", "op", "user", "uid", "gid", "status", "ended", "reason"].map(|name| field(index, name));
    let null = serde_json::Value::Null;
    let text = |text: &str| serde_json::Value::from(text);
    assert_eq!(
        row(0),
        [text("GET"), text("fake"), text("alice"), 61_001.into(), 7.into(), 200.into(), text("done"), null.clone()]
    );
    assert_eq!(field(0, "bytes_out"), 12);
    for (index, method, user, status, reason) in [
        (1, "GET", text("alice"), 401, "password"),
        (2, "GET", null.clone(), 401, "no-credentials"),
        (3, "PUT", null.clone(), 403, "cross-site"),
    ] {
        assert_eq!(
            row(index),
            [text(method), text("-"), user, null.clone(), null.clone(), status.into(), text("refused"), text(reason)]
        );
    }
    let mut ids: Vec<_> = lines.iter().map(|line| line["request"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert!(lines.iter().all(|line| line["remote"].as_str().unwrap().starts_with("127.0.0.1:")));
}

#[test]
fn a_log_that_cannot_be_written_stops_service_until_it_can() {
    for (necessity, expected) in [(Necessity::Required, 503), (Necessity::Optional, 200)] {
        let front = Front::with(Limits::USUAL, necessity, &[], None);
        assert_eq!(front.ask("GET /x", ALICE).status, 200);
        let _ = front.lines.wait(1);
        front.lines.0.lock().unwrap().is_full = true;
        let first = front.ask("GET /x", ALICE).status;
        assert_eq!(first, 200, "the one that finds out is served already");
        // Its line is written after it was answered, and others are served until that has failed.
        eventually(|| front.lines.0.lock().unwrap().refused > 0);
        eventually(|| front.ask("GET /x", ALICE).status == expected);
        assert!((0..20).all(|_| front.ask("GET /x", ALICE).status == expected));
        front.lines.0.lock().unwrap().is_full = false;
        eventually(|| front.ask("GET /x", ALICE).status == 200);
    }
}
