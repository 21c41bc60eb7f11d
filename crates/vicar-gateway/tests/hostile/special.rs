//! Things that are neither files nor directories.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::wire::Sent;
use crate::{Case, Outcome, Scene, is_refused, rig};

pub(crate) const CASES: &[Case] = &[("a_pipe_slows_nobody", pipe), ("devices_and_sockets_are_not_opened", devices)];

const WAITING: usize = 64;

fn pipe(scene: &Scene) -> Outcome {
    let place = scene.place("pipe");
    let fifo = place.join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    rig::give(&fifo, scene.alice.uid, scene.alice.gid, 0o600);
    scene.bobs(&place.join("bob.txt"), 0o600, "bob");
    let bobs_slowest = || {
        let mut wire = scene.wire();
        let sent = Sent::new("GET", "/pipe/bob.txt").sign_in(&scene.bob.name, &scene.bob.password);
        let mut times: Vec<Duration> = (0..50)
            .map(|_| {
                let begun = Instant::now();
                assert_eq!(wire.ask(&sent).unwrap().text(), "bob");
                begun.elapsed()
            })
            .collect();
        times.sort();
        (times[25], times[49])
    };
    let (alone, _) = bobs_slowest();
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..WAITING)
            .map(|number| {
                scope.spawn(move || {
                    let sent = match number % 4 {
                        3 => Sent::new("PUT", "/pipe/fifo").body("x"),
                        _ => Sent::new("GET", "/pipe/fifo"),
                    };
                    scene.ask(&scene.alice, sent).status
                })
            })
            .collect();
        let (median, slowest) = bobs_slowest();
        println!("    bob alone {alone:?}, beside {WAITING} requests for a pipe {median:?}, slowest {slowest:?}");
        assert!(slowest < Duration::from_secs(2), "bob waited {slowest:?}");
        for asker in askers {
            let status = asker.join().unwrap();
            assert!(is_refused(status), "a pipe was answered {status}");
        }
    });
    let sent = Sent::new("COPY", "/pipe/fifo").with("Destination", scene.url("/pipe/copy"));
    let status = scene.ask(&scene.alice, sent).status;
    assert!(is_refused(status) || status == 207, "COPY of a pipe: {status}");
    assert_eq!(scene.ask(&scene.alice, Sent::new("PROPFIND", "/pipe/").with("Depth", "1")).status, 207);
    assert_eq!(scene.ask(&scene.alice, Sent::new("DELETE", "/pipe/fifo")).status, 204);
    Outcome::Held
}

fn devices(scene: &Scene) -> Outcome {
    let place = scene.place("devices");
    let nodes = [
        ("null", FileType::CharacterDevice, 1, 3),
        ("zero", FileType::CharacterDevice, 1, 5),
        ("tty", FileType::CharacterDevice, 5, 0),
        ("block", FileType::BlockDevice, 7, 250),
    ];
    for (name, kind, major, minor) in nodes {
        let path = place.join(name);
        if mknodat(CWD, &path, kind, Mode::from_raw_mode(0o666), makedev(major, minor)).is_err() {
            return Outcome::Skipped("device nodes cannot be made here");
        }
        rig::give(&path, scene.alice.uid, scene.alice.gid, 0o666);
    }
    let _socket = UnixListener::bind(place.join("socket")).unwrap();
    rig::give(&place.join("socket"), scene.alice.uid, scene.alice.gid, 0o666);
    for name in ["null", "zero", "tty", "block", "socket"] {
        let path = format!("/devices/{name}");
        for sent in
            [Sent::new("GET", path.clone()), Sent::new("PUT", path.clone()).body("x"), Sent::new("HEAD", path.clone())]
        {
            let method = sent.method;
            let status = scene.ask(&scene.alice, sent).status;
            assert!(is_refused(status), "{method} {path}: {status}");
        }
    }
    assert_eq!(scene.ask(&scene.alice, Sent::new("PROPFIND", "/devices/").with("Depth", "1")).status, 207);
    Outcome::Held
}
