//! Capabilities, programs, threads and memory: what is left while a server acts.

use crate::files::{FILE_CAPABILITY, directory};
use crate::world::{Who, World, every_road, every_server_road, every_sticky_road, raw_word, status, word};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev};
use rustix::process::{DumpableBehavior, Pid, dumpable_behavior, test_kill_process};
use std::process::Command;
use vicar_os::{EnterError, Misuse};

const NONE: &str = "0000000000000000";
const TWO: &str = "00000000000000c0";

/// CVE-2009-1072 (nfsd): CAP_MKNOD left by a switch of the file-system ids only.
pub(crate) fn v04_no_device_can_be_made() {
    every_road(
        |scratch| directory(scratch, "own", 0o700, 61_001, 61_001),
        |world| {
            let permitted = if world.is_irrevocable() { NONE } else { TWO };
            let said = world.act(&world.client(61_001, &[]), |dir| {
                let make = |kind, name: &str| {
                    let device = makedev(1, 3);
                    raw_word(rustix::fs::mknodat(CWD, dir.join("own").join(name), kind, Mode::RUSR, device))
                };
                let made = [make(FileType::CharacterDevice, "c"), make(FileType::BlockDevice, "b")];
                format!("{} {} {}", made.join(" "), status("CapEff"), status("CapPrm"))
            });
            assert_eq!(said, format!("EPERM EPERM {NONE} {permitted}"));
        },
    );
}

/// Found by experiment: a switch of the file-system ids leaves CAP_SETFCAP, SYS_ADMIN, KILL and more.
pub(crate) fn v05_no_file_capability_can_be_planted() {
    every_road(
        |scratch| {
            scratch.file("own", 0o755, 61_001, 61_001);
            scratch.file("others", 0o666, 61_002, 61_002);
        },
        |world| {
            let said = world.act(&world.client(61_001, &[]), |dir| {
                let plant = |name: &str, value: &[u8]| {
                    raw_word(rustix::fs::setxattr(dir.join("own"), name, value, XattrFlags::empty()))
                };
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
                [
                    plant("security.capability", &FILE_CAPABILITY),
                    plant("trusted.x", b"y"),
                    plant("security.x", b"y"),
                    word(std::fs::set_permissions(dir.join("others"), mode)),
                    word(std::os::unix::fs::chown(dir.join("own"), Some(61_002), None)),
                    raw_word(test_kill_process(Pid::INIT)),
                ]
                .join(" ")
            });
            assert_eq!(said, "EPERM EPERM EPERM EPERM EPERM EPERM");
        },
    );
}

/// CVE-1999-0035, CVE-1999-1326 (ftpd): a signal handler that runs while the thread is somebody.
pub(crate) fn v29_no_handler_runs_on_a_client_thread() {
    every_sticky_road(
        |_| {},
        |world| {
            let alice = world.client(61_001, &[]);
            // Every signal that can be blocked is; the C library keeps two for itself.
            assert_eq!(world.act(&alice, |_| status("SigBlk")), "fffffffe7ffbfeff");
        },
    );
}

/// tokio's blocking pool, found by experiment: a thread made while acting keeps the client's identity for life.
pub(crate) fn v35_no_thread_is_made_while_acting() {
    every_server_road(
        |_| {},
        |world| {
            let (alice, bob) = (world.client(61_001, &[]), world.client(61_002, &[]));
            let (server, bob) = (world.server().clone(), bob.context.unwrap());
            let said = world.act(&alice, move |_| {
                let made = std::thread::Builder::new().spawn(move || server.run_as(&bob, |_| ()).err());
                match made {
                    Ok(thread) => format!("{:?}", thread.join().unwrap()),
                    Err(error) => word::<()>(Err(error)),
                }
            });
            let foreign = format!("{:?}", Some(EnterError::Misuse(Misuse::ForeignThread)));
            // On a thread of the caller's own the promise is: never more than the client, and never another client.
            assert_eq!(said, if world.road == "scoped" { foreign } else { "EPERM".to_owned() });
            // Threads made outside are the server's.
            let outside = std::thread::spawn(|| format!("{} {}", status("Uid"), status("CapEff"))).join().unwrap();
            assert_eq!(outside, format!("0 0 0 0 {TWO}"));
        },
    );
}

/// dash, `system`: a program takes its effective user from the real one, so the real one must be nobody.
pub(crate) fn v36_a_program_is_powerless() {
    every_road(
        |_| {},
        |world| {
            let script = "grep -E '^(Uid|Gid|Cap(Inh|Prm|Eff|Amb)|NoNewPrivs)' /proc/self/status; id -u";
            let said = world.act(&world.client(61_001, &[61_300]), move |_| {
                match Command::new("/bin/sh").args(["-c", script]).output() {
                    Ok(output) => String::from_utf8(output.stdout).unwrap(),
                    Err(error) => word::<()>(Err(error)),
                }
            });
            if !world.is_irrevocable() && world.road != "scoped" {
                return assert_eq!(said, "EPERM");
            }
            let powerless = |id: &str| id == "61001" || id == "65520";
            for line in said.lines() {
                let fields: Vec<&str> = line.split_whitespace().skip(1).collect();
                match line.split_once(':') {
                    Some(("NoNewPrivs", _)) => assert_eq!(fields, ["1"]),
                    Some(("Uid" | "Gid", _)) => assert!(fields.iter().all(|id| powerless(id)), "{said}"),
                    Some(_) => assert_eq!(fields, [NONE], "{said}"),
                    None => assert!(powerless(line), "{said}"),
                }
            }
            assert_eq!(said.lines().count(), 8, "{said}");
        },
    );
}

/// Found by experiment: a process that may be dumped hands its memory to whoever it acts as.
pub(crate) fn v38_memory_is_never_the_clients() {
    every_road(
        |_| {},
        |world| {
            let people = [world.client(61_001, &[61_300]), world.client(61_002, &[])];
            let sealed = |world: &World, who: &Who| {
                let said = world.act(who, |_| {
                    let dumpable = dumpable_behavior().unwrap() != DumpableBehavior::NotDumpable;
                    let about = std::fs::metadata("/proc/thread-self/mem");
                    let owner = about.map(|about| std::os::unix::fs::MetadataExt::uid(&about));
                    let open = std::fs::OpenOptions::new().write(true).open("/proc/thread-self/mem");
                    format!("{dumpable} {owner:?} {}", word(open))
                });
                assert_eq!(said, "false Ok(0) EACCES");
            };
            for round in 0..20 {
                sealed(world, &people[round % 2]);
                sealed(world, &people[round % 2]);
                if !world.is_irrevocable() {
                    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
                }
            }
        },
    );
}
