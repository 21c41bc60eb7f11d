//! Somebody who exchanges names between two passes.

use crate::scratch::{Scratch, server};
use crate::{NOTHING, alice, filtered, group};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::io::Read as _;
use std::process::{Command, Stdio};
use vicar_nt::token::Filter;
use vicar_os::ClientContext;
use vicar_os::fs::{BeneathPath, Errno, FsError, Links, Root};

/// Set in the process that exchanges two names.
pub(crate) const NAMES: &str = "VICAR_TEST_EXCHANGE";

/// Exchanges two names until this process's input ends.
pub(crate) fn exchange_for_ever(names: &str) {
    let (one, other) = names.split_once('\t').unwrap();
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    loop {
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
    }
}

/// Two directories, one of which only members of a group may pass and the other only everybody else, change places: a path
/// through them is open to the member by the one and to others by the other. To a client whose group may only deny it is
/// open at no moment.
pub(crate) fn what_is_swapped_between_two_passes_is_not_opened() {
    const TRIES: u32 = 30_000;
    let scratch = Scratch::new();
    for (name, mode) in [("here", 0o750), ("there", 0o705)] {
        std::fs::create_dir(scratch.path(name)).unwrap();
        std::fs::write(scratch.path(&format!("{name}/file")), name).unwrap();
        std::os::unix::fs::chown(scratch.path(name), Some(0), Some(61_300)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(scratch.path(name), mode).unwrap();
    }
    let names = format!("{}\t{}", scratch.path("here").display(), scratch.path("there").display());
    let mut racer =
        Command::new(std::env::current_exe().unwrap()).env(NAMES, names).stdin(Stdio::piped()).spawn().unwrap();
    let server = server();
    let (whole, restricted) = (alice(&server), filtered(&server, &Filter { disable: &[group(61_300)], ..NOTHING }));
    let path = BeneathPath::parse(b"here/file").unwrap();
    let directory = scratch.path("");
    let open = |client: &ClientContext, tries: u32| {
        let (mut opened, mut refused, mut swapped) = (0_u32, 0_u32, 0_u32);
        server
            .run_restricted(client, |as_client| {
                let root = Root::open(as_client, &directory).unwrap();
                for _ in 0..tries {
                    match root.look(as_client, &path, Links::Stay).and_then(|node| node.open_read(as_client)) {
                        Ok(_) => opened += 1,
                        Err(FsError::Os { errno: Errno::ACCESS | Errno::AGAIN, .. }) => refused += 1,
                        Err(FsError::Changed) => swapped += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
            .unwrap();
        (opened, refused, swapped)
    };
    let by_whole = open(&whole, TRIES / 10);
    let by_restricted = open(&restricted, TRIES);
    drop(racer.stdin.take());
    racer.wait().unwrap();
    println!("opened, refused, seen to be swapped: whole {by_whole:?}, restricted {by_restricted:?}");
    assert_eq!(by_restricted.0, 0, "{by_restricted:?}");
    // With all of its rights the client gets there whenever the right directory is in place.
    assert!(by_whole.2 == 0 && by_whole.0 + by_whole.1 == TRIES / 10, "{by_whole:?}");
}
