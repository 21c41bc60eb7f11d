//! Ways out of the share, and ways to another's files: dots, links, and links that change while they are looked at.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::wire::Sent;
use crate::{Case, Outcome, Scene, is_refused, rig};

pub(crate) const CASES: &[Case] = &[
    ("dots_do_not_leave_the_share", dots),
    ("links_that_lead_outside_are_refused", outside),
    ("links_that_stay_inside_are_followed_as_the_client", inside),
    ("a_directory_swapped_for_a_link_leads_nowhere", swapped_directory),
    ("a_file_swapped_for_anothers_is_never_given", swapped_file),
    ("a_permission_taken_away_between_two_requests_counts", revoked),
];

fn dots(scene: &Scene) -> Outcome {
    scene.place("dots");
    for path in [
        "/../outside.txt",
        "/dots/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/dots/%2e%2e/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/dots/..%2f..%2foutside.txt",
        "/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/%252e%252e/outside.txt",
        "/./../outside.txt",
        "/.%2e/outside.txt",
        "//../outside.txt",
        "/dots/..\\..\\outside.txt",
        "/%00/../outside.txt",
        "/dots/%00",
    ] {
        let got = scene.get(&scene.alice, path);
        assert!(is_refused(got.status), "{path}: {}", got.status);
        assert!(!got.text().contains("outside\n") && !got.text().contains("root:"), "{path}");
    }
    scene.alices(&scene.rig.path("dots/a.txt"), 0o644, "a");
    for to in ["/../escaped.txt", "/%2e%2e/escaped.txt", "/dots/..%2f..%2fescaped.txt"] {
        for method in ["COPY", "MOVE"] {
            let sent = Sent::new(method, "/dots/a.txt").with("Destination", scene.url(to));
            let got = scene.ask(&scene.alice, sent);
            assert!(is_refused(got.status), "{method} {to}: {}", got.status);
        }
        assert!(is_refused(scene.put(&scene.alice, to, b"x")), "PUT {to}");
    }
    let elsewhere = Sent::new("COPY", "/dots/a.txt").with("Destination", "http://other.example/dots/b.txt");
    assert!(is_refused(scene.ask(&scene.alice, elsewhere).status) || !scene.rig.path("dots/b.txt").exists());
    assert!(!scene.rig.share().with_file_name("escaped.txt").exists());
    assert_eq!(fs::read_to_string(scene.rig.path("dots/a.txt")).unwrap(), "a");
    Outcome::Held
}

fn outside(scene: &Scene) -> Outcome {
    let place = scene.place("outside");
    let target = scene.rig.share().with_file_name("outside.txt");
    let links = [
        ("absolute", target.to_string_lossy().into_owned()),
        ("relative", "../../outside.txt".to_owned()),
        ("passwd", "/etc/passwd".to_owned()),
        ("parent", "../..".to_owned()),
        ("proc", "/proc/self/environ".to_owned()),
        ("root", "/".to_owned()),
        ("self", "self".to_owned()),
        ("into-share", scene.rig.path("outside/real.txt").to_string_lossy().into_owned()),
    ];
    scene.alices(&place.join("real.txt"), 0o644, "real");
    for (name, to) in &links {
        symlink(to, place.join(name)).unwrap();
        lchown(place.join(name), Some(scene.alice.uid), Some(scene.alice.gid)).unwrap();
        for path in [format!("/outside/{name}"), format!("/outside/{name}/"), format!("/outside/{name}/outside.txt")] {
            let got = scene.get(&scene.alice, &path);
            assert!(got.status != 200, "{path}: {}", got.text());
        }
        let status = scene.ask(&scene.alice, Sent::new("PROPFIND", format!("/outside/{name}/")).with("Depth", "1"));
        assert!(!status.text().contains("outside.txt"), "{name}: {}", status.text());
    }
    // Over a link: the link may be replaced, what it points to may not change.
    for (name, _) in &links {
        let _ = scene.put(&scene.alice, &format!("/outside/{name}"), b"overwritten");
        let sent = Sent::new("COPY", "/outside/real.txt").with("Destination", scene.url(&format!("/outside/{name}")));
        let _ = scene.ask(&scene.alice, sent);
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "outside\n");
    assert!(fs::read_to_string("/etc/passwd").unwrap().contains("root:"));
    // Removing a link to a directory removes the link alone.
    rig::directory(&place.join("dir"), scene.alice.uid, scene.alice.gid, 0o755);
    scene.alices(&place.join("dir/inner.txt"), 0o644, "inner");
    symlink("dir", place.join("to-dir")).unwrap();
    lchown(place.join("to-dir"), Some(scene.alice.uid), Some(scene.alice.gid)).unwrap();
    let _ = scene.ask(&scene.alice, Sent::new("DELETE", "/outside/to-dir"));
    assert_eq!(fs::read_to_string(place.join("dir/inner.txt")).unwrap(), "inner");
    Outcome::Held
}

fn inside(scene: &Scene) -> Outcome {
    let place = scene.place("inside");
    scene.alices(&place.join("private.txt"), 0o600, "private");
    scene.alices(&place.join("public.txt"), 0o644, "public");
    for name in ["private", "public"] {
        symlink(format!("{name}.txt"), place.join(format!("to-{name}"))).unwrap();
        lchown(place.join(format!("to-{name}")), Some(scene.bob.uid), Some(scene.bob.gid)).unwrap();
    }
    assert_eq!(scene.get(&scene.alice, "/inside/to-private").text(), "private");
    assert!(is_refused(scene.get(&scene.bob, "/inside/to-private").status));
    assert_eq!(scene.get(&scene.bob, "/inside/to-public").text(), "public");
    Outcome::Held
}

/// Swaps two names back and forth until told to stop.
fn swapping<R>(first: &std::path::Path, second: &std::path::Path, work: impl FnOnce() -> R) -> R {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let racer = scope.spawn(|| {
            let mut swaps = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, first, CWD, second, RenameFlags::EXCHANGE).expect("swap");
                swaps += 1;
            }
            swaps
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        let swaps = racer.join().unwrap();
        assert!(swaps > 100, "the racer swapped {swaps} times only");
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn swapped_directory(scene: &Scene) -> Outcome {
    let place = scene.place("race");
    let elsewhere = scene.rig.share().with_file_name("elsewhere");
    rig::directory(&elsewhere, 0, 0, 0o777);
    rig::file(&elsewhere.join("file.txt"), 0, 0, 0o666, b"outside");
    rig::directory(&place.join("real"), scene.alice.uid, scene.alice.gid, 0o755);
    scene.alices(&place.join("real/file.txt"), 0o644, "inside");
    symlink(&elsewhere, place.join("link")).unwrap();
    let mut statuses = [0; 2];
    swapping(&place.join("real"), &place.join("link"), || {
        let mut wire = scene.wire();
        for number in 0..1_500 {
            let base = |method, path: String| Sent::new(method, path).sign_in(&scene.alice.name, &scene.alice.password);
            let got = wire.ask(&base("GET", "/race/real/file.txt".into())).unwrap();
            assert_ne!(got.text(), "outside", "a link outside was followed");
            statuses[usize::from(got.status == 200)] += 1;
            let path = "/race/real/file.txt".to_owned();
            match number % 5 {
                0 => drop(wire.ask(&base("PUT", path).body("inside")).unwrap()),
                1 => drop(wire.ask(&base("PUT", format!("/race/real/new-{number}.txt")).body("inside")).unwrap()),
                2 => drop(wire.ask(&base("DELETE", format!("/race/real/new-{}.txt", number - 1))).unwrap()),
                3 => drop(wire.ask(&base("MKCOL", format!("/race/real/dir-{number}"))).unwrap()),
                _ => {
                    let to = scene.url(&format!("/race/real/copy-{number}.txt"));
                    drop(wire.ask(&base("COPY", path).with("Destination", to)).unwrap());
                }
            }
        }
    });
    println!("    race: {} times given, {} times refused", statuses[1], statuses[0]);
    assert!(statuses[1] > 0, "the file was never given");
    let names: Vec<_> = fs::read_dir(&elsewhere).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["file.txt"], "something was made outside");
    assert_eq!(fs::read_to_string(elsewhere.join("file.txt")).unwrap(), "outside");
    Outcome::Held
}

fn swapped_file(scene: &Scene) -> Outcome {
    let place = scene.place("race-file");
    scene.alices(&place.join("secret.txt"), 0o600, "alice's secret");
    scene.bobs(&place.join("open.txt"), 0o666, "for everybody");
    swapping(&place.join("secret.txt"), &place.join("open.txt"), || {
        let mut wire = scene.wire();
        for number in 0..1_500 {
            let sent = Sent::new("GET", "/race-file/open.txt").sign_in(&scene.bob.name, &scene.bob.password);
            let got = wire.ask(&sent).unwrap();
            assert!(got.text() != "alice's secret", "bob got it");
            assert!(got.status == 403 || got.text() == "for everybody", "{} {}", got.status, got.text());
            if number % 10 == 0 {
                let sent = Sent::new("PUT", "/race-file/open.txt").sign_in(&scene.bob.name, &scene.bob.password);
                let got = wire.ask(&sent.body("for everybody")).unwrap();
                assert!(matches!(got.status, 200 | 201 | 204) || is_refused(got.status), "{}", got.status);
            }
        }
    });
    let contents = ["secret.txt", "open.txt"].map(|name| fs::read_to_string(place.join(name)).unwrap());
    assert!(contents.contains(&"alice's secret".to_owned()), "alice's file was overwritten");
    Outcome::Held
}

fn revoked(scene: &Scene) -> Outcome {
    let place = scene.place("revoked");
    scene.alices(&place.join("file.txt"), 0o644, "once");
    let mut wire = scene.wire();
    let sent = Sent::new("GET", "/revoked/file.txt").sign_in(&scene.bob.name, &scene.bob.password);
    assert_eq!(wire.ask(&sent).unwrap().text(), "once");
    rig::give(&place.join("file.txt"), scene.alice.uid, scene.alice.gid, 0o600);
    assert!(is_refused(wire.ask(&sent).unwrap().status));
    rig::give(&place.join("file.txt"), scene.alice.uid, scene.alice.gid, 0o644);
    assert_eq!(wire.ask(&sent).unwrap().status, 200);
    rig::give(&place, scene.alice.uid, scene.alice.gid, 0o700);
    assert!(is_refused(wire.ask(&sent).unwrap().status));
    Outcome::Held
}
