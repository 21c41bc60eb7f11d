//! A full disk: a small file system of its own, in a mount namespace of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::rig::{self, Rig};
use crate::upload::names;
use crate::wire::Sent;
use crate::{Case, MOUNTS, Outcome, Scene};

pub(crate) const CASES: &[Case] = &[("a_full_disk_loses_nothing", full)];

fn full(outer: &Scene) -> Outcome {
    if std::env::var_os(MOUNTS).is_none() {
        return Outcome::Skipped("there is no mount namespace to be had");
    }
    let scratch = rig::scratch("hostile-disk");
    let share = scratch.join("share");
    rig::directory(&share, 0, 0, 0o755);
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m,mode=0755", "tmpfs"]).arg(&share).status();
    if !mounted.is_ok_and(|status| status.success()) {
        let _ = fs::remove_dir_all(&scratch);
        return Outcome::Skipped("a tmpfs cannot be mounted here");
    }
    let (alice, bob) = (outer.alice.clone(), outer.bob.clone());
    let rig = Rig::start(scratch, &[alice.clone(), bob.clone()], |_| {});
    let mut scene = Scene { rig, alice, bob };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fill(&scene)));
    let complaints = scene.rig.complaints();
    scene.rig.stop();
    let _ = Command::new("umount").arg(&share).status();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
    assert!(complaints.is_empty(), "{complaints:?}");
    Outcome::Held
}

/// What a refused upload took is given back when its descriptor is closed, which may be after the answer.
fn wait_for_room(place: &Path, bytes: u64) {
    for _ in 0..6_000 {
        let space = rustix::fs::statvfs(place).unwrap();
        if space.f_bavail.saturating_mul(space.f_frsize) >= bytes {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the room of a refused upload did not come back");
}

fn fill(scene: &Scene) {
    let place = scene.place("disk");
    let old = "o".repeat(700_000);
    scene.alices(&place.join("file.txt"), 0o600, &old);
    let too_much = vec![b'n'; 3_000_000];
    assert_eq!(scene.put(&scene.alice, "/disk/file.txt", &too_much), 507, "over a file");
    assert_eq!(fs::read_to_string(place.join("file.txt")).unwrap(), old);
    assert_eq!(scene.put(&scene.alice, "/disk/new.txt", &too_much), 507, "a new file");
    assert_eq!(names(&place), ["file.txt"]);
    let copy = |to: &str| {
        let sent = Sent::new("COPY", "/disk/file.txt").with("Destination", scene.url(to));
        scene.ask(&scene.alice, sent).status
    };
    wait_for_room(&place, 800_000);
    assert_eq!(copy("/disk/second.txt"), 201);
    scene.alices(&place.join("target.txt"), 0o600, "target");
    assert_eq!(copy("/disk/target.txt"), 507, "no room for a third");
    assert_eq!(fs::read_to_string(place.join("target.txt")).unwrap(), "target");
    assert_eq!(copy("/disk/third.txt"), 507);
    assert_eq!(names(&place), ["file.txt", "second.txt", "target.txt"]);
    // Room again, and all is well.
    assert_eq!(scene.ask(&scene.alice, Sent::new("DELETE", "/disk/second.txt")).status, 204);
    assert_eq!(scene.put(&scene.alice, "/disk/new.txt", b"fits"), 201);
    assert_eq!(fs::read_to_string(place.join("new.txt")).unwrap(), "fits");
}
