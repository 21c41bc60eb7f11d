//! A server that is attacked by its own client while it acts for it.

use crate::hostile::attack;
use crate::road::ROADS;
use crate::scratch::{client, server};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use vicar_os::fs::Name;
use vicar_os::ring::FilesOptions;

/// Samba's way, found by experiment: with the client as the real user the client could signal, and so kill, the server.
pub(crate) fn v37_the_client_cannot_touch_the_server() {
    let Some(mut attacker) = attack(61_001, "all") else { return };
    let server = server();
    let alice = client(&server, 61_001, &[61_300]);
    let bob = client(&server, 61_002, &[]);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // The scoped road in a thread of its own, the others from here: all of them act as alice nearly all the time.
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                server.run_as(&alice, |_| std::thread::sleep(Duration::from_millis(5))).unwrap();
            }
        });
        let acts: Vec<_> = ROADS.iter().map(|road| (road.start)(&server)).collect();
        let files = server.files(&FilesOptions::default()).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) || !attacker.has_been_round(20) {
            assert!(begun.elapsed() < Duration::from_secs(120), "nobody attacks");
            for who in [&alice, &bob] {
                let home = files.blocking().root(who, Path::new("/")).unwrap().unwrap();
                let seen = files.blocking().stat(who, &home, &Name::parse(b"tmp").unwrap()).unwrap();
                assert!(seen.is_ok(), "{seen:?}");
            }
            for act in &acts {
                let nap = || {
                    std::thread::sleep(Duration::from_millis(3));
                    String::new()
                };
                act(&alice, Box::new(nap)).unwrap();
                act(&bob, Box::new(String::new)).unwrap();
                act(&alice, Box::new(nap)).unwrap();
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    let report = attacker.end();
    println!("{} attempts in {} rounds", report.tries, report.rounds);
    // Not even to slow it down, which goes by the effective user: the thread's permitted capabilities stand in the way.
    report.all_refused();
}
