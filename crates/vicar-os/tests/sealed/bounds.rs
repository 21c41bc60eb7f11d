//! Landlock, by trying.

use crate::scratch::identity;
use crate::world::World;
use std::os::unix::fs::chown;
use std::sync::Arc;
use vicar_os::sealed::{Beneath, Bounds, Plan, Purpose, Seal, landlock_version};

pub(crate) fn read_only_and_beneath_hold_in_a_worker() {
    if let Err(why) = landlock_version() {
        eprintln!("skipped: {why}");
        return;
    }
    let world = World::new(|scratch| {
        for directory in ["in", "out"] {
            std::fs::create_dir(scratch.path(directory)).unwrap();
            chown(scratch.path(directory), Some(61_001), Some(61_001)).unwrap();
            scratch.file(&format!("{directory}/f"), 0o644, 61_001, 61_001);
        }
    });
    let alice = world.client(&identity(61_001, &[]));
    let (inside, outside) = (world.dir().join("in"), world.dir().join("out"));
    let tries = format!(
        "r {0}/f\nw {0}/f\nm {0}/f\nc {0}/n\nr {1}/f\nw {1}/f\nm {1}/f\nc {1}/n\nw /dev/null",
        inside.display(),
        outside.display()
    );
    let remover = world.client(&identity(61_001, &[]));
    let said = |bounds: Bounds| {
        let plan = Arc::new(Plan::new(Seal::new(Purpose::Files).within(bounds)));
        // The server itself may not remove what is alice's.
        let (one, other) = (world.scratch.path("in/n"), world.scratch.path("out/n"));
        let _ =
            world.server.run_as(&remover, |_| [std::fs::remove_file(one).is_ok(), std::fs::remove_file(other).is_ok()]);
        world.text(&alice, &plan, "try", tries.as_bytes())
    };
    let beneath = || Beneath::new(inside.clone());
    // EACCES is Landlock's answer, EPERM the filter's.
    assert_eq!(said(Bounds::Everything), "ok ok ok ok ok ok ok ok ok");
    assert_eq!(said(Bounds::ReadOnly), "ok 13 1 13 ok 13 1 13 ok");
    assert_eq!(said(Bounds::Beneath(beneath())), "ok ok 1 ok 13 13 1 13 ok");
    assert_eq!(said(Bounds::Beneath(beneath().read_only())), "ok 13 1 13 13 13 1 13 ok");
    let both = beneath().and(outside.clone());
    assert_eq!(said(Bounds::Beneath(both)), "ok ok 1 ok ok ok 1 ok ok");
    // The program that a worker starts is bound too.
    let bounds = Bounds::Beneath(beneath().with_programs());
    let plan = Arc::new(Plan::new(Seal::new(Purpose::Execute).within(bounds)));
    let script = format!("cat {}/f; cat {}/f; kill -CONT {}", inside.display(), outside.display(), std::process::id());
    let said = world.text(&alice, &plan, "shell", script.as_bytes());
    assert!(said.contains("in/f") && !said.contains("\nout/f") && said.contains("denied"), "{said}");
}
