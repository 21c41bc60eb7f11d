//! Somebody renames while we look.

use std::cell::Cell;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vicar_os::fs::{BeneathPath, FsError, Kind, Limits, Links, Verdict, remove_tree};

use crate::Test;
use crate::stage::{ALICE, Acting, Stage, name, path};

pub(crate) const TESTS: &[Test] = &[
    ("a_directory_that_becomes_a_link_leads_nowhere", swapped_directory, act_swapped_directory),
    ("a_file_that_becomes_a_fifo_is_never_opened", swapped_file, act_swapped_file),
    ("a_removal_never_leaves_the_tree", swapped_directory, act_swapped_removal),
];

/// Lets a process of root's exchange two names as fast as it can, until this process is gone.
fn exchange_for_ever(stage: &Stage, one: &str, other: &str) {
    let racer = Command::new(std::env::current_exe().unwrap())
        .arg("race")
        .args([stage.root().join(one), stage.root().join(other)])
        .env_remove(crate::ALONE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Nobody waits for it: it ends with its parent.
    drop(racer);
}

/// What that process does.
pub(crate) fn race(one: &str, other: &str) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let parent = getppid();
    let end = Instant::now() + Duration::from_secs(300);
    while Instant::now() < end && getppid() == parent {
        for _ in 0..200 {
            let _ = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
        }
    }
}

fn swapped_directory(stage: &Stage) {
    stage.directory("outside", ALICE, ALICE, 0o777);
    stage.file("outside/f", "outside", ALICE, ALICE, 0o666);
    stage.directory("root/d", ALICE, ALICE, 0o755);
    stage.file("root/d/f", "inside", ALICE, ALICE, 0o600);
    symlink("../outside", stage.root().join("link")).unwrap();
    exchange_for_ever(stage, "d", "link");
}

/// Works for a while, and on until what the race is about was seen, however late the other process gets its turn.
fn for_a_while(mut work: impl FnMut(), seen: impl Fn() -> bool) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) || !seen() {
        assert!(start.elapsed() < Duration::from_secs(120), "nothing was exchanged");
        work();
    }
}

fn act_swapped_directory(acting: &Acting) {
    let (found, refused) = (Cell::new(0_u32), Cell::new(0_u32));
    acting.run(&acting.alice, |as_client, root| {
        for_a_while(
            || {
                let looked = root.look(as_client, &path("d/f"), Links::Follow);
                match looked.and_then(|node| node.open_read(as_client)) {
                    Ok(file) => {
                        assert_eq!(file.read_at(as_client, 0, 100).unwrap(), b"inside");
                        found.set(found.get() + 1);
                    }
                    Err(_) => refused.set(refused.get() + 1),
                }
                let made = root.parent(as_client, &path("d/new")).and_then(|(directory, name)| {
                    let temp = directory.create_temp(as_client, 0o600)?;
                    temp.link_new(as_client, &directory, &name)
                });
                let _ = made;
            },
            || found.get() > 0 && refused.get() > 0,
        );
    });
    assert_eq!(std::fs::read_dir(acting.stage.0.join("outside")).unwrap().count(), 1, "nothing was made outside");
}

fn swapped_file(stage: &Stage) {
    stage.file("root/f", "content", ALICE, ALICE, 0o600);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        stage.root().join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o666),
        0,
    )
    .unwrap();
    std::os::unix::fs::chown(stage.root().join("fifo"), Some(ALICE), Some(ALICE)).unwrap();
    exchange_for_ever(stage, "f", "fifo");
}

fn act_swapped_file(acting: &Acting) {
    let (files, fifos) = (Cell::new(0_u32), Cell::new(0_u32));
    acting.run(&acting.alice, |as_client, root| {
        for_a_while(
            || {
                let node = root.look(as_client, &path("f"), Links::Follow).unwrap();
                match node.open_read(as_client) {
                    Ok(file) => {
                        assert_eq!(file.read_at(as_client, 0, 100).unwrap(), b"content");
                        files.set(files.get() + 1);
                    }
                    Err(error) => {
                        assert_eq!(error, FsError::NotServed { kind: Kind::Fifo });
                        fifos.set(fifos.get() + 1);
                    }
                }
            },
            || files.get() > 0 && fifos.get() > 0,
        );
    });
}

fn act_swapped_removal(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        let directory = root.directory(as_client, &BeneathPath::here()).unwrap();
        let limits = Limits { entries: 100, depth: 10 };
        for_a_while(
            || {
                for made in ["d", "link"] {
                    let _ = directory.make_directory(as_client, &name(made), 0o755);
                    if let Ok((inner, name)) = root.parent(as_client, &path(&format!("{made}/f"))) {
                        let temp = inner.create_temp(as_client, 0o600).unwrap();
                        let _ = temp.link_new(as_client, &inner, &name);
                    }
                }
                let _ = directory.make_link(as_client, &name("link"), &c"../outside".to_owned());
                let _ = remove_tree(as_client, &directory, &name("d"), limits, &mut |_| Verdict::Go);
            },
            || true,
        );
    });
    assert_eq!(std::fs::read_to_string(acting.stage.0.join("outside/f")).unwrap(), "outside");
}
