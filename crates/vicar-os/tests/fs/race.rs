//! Somebody renames while we look.

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
    let end = Instant::now() + Duration::from_secs(20);
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

fn for_a_while(mut work: impl FnMut()) {
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        work();
    }
}

fn act_swapped_directory(acting: &Acting) {
    let (mut found, mut refused) = (0_u32, 0_u32);
    acting.run(&acting.alice, |as_client, root| {
        for_a_while(|| {
            let looked = root.look(as_client, &path("d/f"), Links::Follow);
            match looked.and_then(|node| node.open_read(as_client)) {
                Ok(file) => {
                    assert_eq!(file.read_at(as_client, 0, 100).unwrap(), b"inside");
                    found += 1;
                }
                Err(_) => refused += 1,
            }
            let made = root.parent(as_client, &path("d/new")).and_then(|(directory, name)| {
                let temp = directory.create_temp(as_client, 0o600)?;
                temp.link_new(as_client, &directory, &name)
            });
            let _ = made;
        });
    });
    assert!(found > 0 && refused > 0, "{found} {refused}");
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
    let (mut files, mut fifos) = (0_u32, 0_u32);
    acting.run(&acting.alice, |as_client, root| {
        for_a_while(|| {
            let node = root.look(as_client, &path("f"), Links::Follow).unwrap();
            match node.open_read(as_client) {
                Ok(file) => {
                    assert_eq!(file.read_at(as_client, 0, 100).unwrap(), b"content");
                    files += 1;
                }
                Err(error) => {
                    assert_eq!(error, FsError::NotServed { kind: Kind::Fifo });
                    fifos += 1;
                }
            }
        });
    });
    assert!(files > 0 && fifos > 0, "{files} {fifos}");
}

fn act_swapped_removal(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        let directory = root.directory(as_client, &BeneathPath::here()).unwrap();
        let limits = Limits { entries: 100, depth: 10 };
        for_a_while(|| {
            for made in ["d", "link"] {
                let _ = directory.make_directory(as_client, &name(made), 0o755);
                if let Ok((inner, name)) = root.parent(as_client, &path(&format!("{made}/f"))) {
                    let temp = inner.create_temp(as_client, 0o600).unwrap();
                    let _ = temp.link_new(as_client, &inner, &name);
                }
            }
            let _ = directory.make_link(as_client, &name("link"), &c"../outside".to_owned());
            let _ = remove_tree(as_client, &directory, &name("d"), limits, &mut |_| Verdict::Go);
        });
    });
    assert_eq!(std::fs::read_to_string(acting.stage.0.join("outside/f")).unwrap(), "outside");
}
