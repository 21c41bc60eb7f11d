//! Groups: all of the client's, none of the server's, at every length, on every road.

use crate::numbers::Numbers;
use crate::scratch::{Scratch, identity};
use crate::world::{every_dropped_road, every_keeping_road, every_road, every_server_road, status, word};
use rustix::fs::Gid;
use std::process::Command;
use vicar_os::{IdentityError, KernelGid, KernelUid, UnixIdentity};

/// Gives this process, which is root, groups that no client has, as a server started from a busy account would have.
fn servers_groups() {
    rustix::thread::set_thread_groups(&[0, 61_500, 61_501].map(Gid::from_raw)).unwrap();
}

/// CVE-2018-1000028 (nfsd): lists that were not sorted gave wrong memberships.
pub(crate) fn v06_any_order_of_groups_is_the_same_set() {
    const GROUPS: std::ops::Range<u32> = 61_300..61_310;
    every_road(
        |scratch| GROUPS.for_each(|group| scratch.file(&group.to_string(), 0o040, 0, group)),
        |world| {
            let seed = 6;
            let mut numbers = Numbers(seed);
            for _ in 0..40 {
                let length = numbers.below(70);
                let mut list = Vec::new();
                for _ in 0..length {
                    // Some that count, some that do not, and duplicates.
                    let group = if numbers.below(2) == 0 { 61_300 + numbers.below(10) } else { numbers.below(900) + 1 };
                    list.push(group);
                }
                let said = world.act(&world.client(61_001, &list), |dir| {
                    GROUPS
                        .filter(|group| std::fs::read(dir.join(group.to_string())).is_ok())
                        .map(|group| group.to_string())
                        .collect::<Vec<_>>()
                        .join(" ")
                });
                let expected: Vec<String> =
                    GROUPS.filter(|group| list.contains(group)).map(|group| group.to_string()).collect();
                assert_eq!(said, expected.join(" "), "seed {seed}, groups {list:?}");
            }
        },
    );
}

fn negative(scratch: &Scratch) {
    scratch.file("not-team", 0o604, 0, 61_300);
    scratch.file("others", 0o604, 0, 61_999);
}

/// CVE-2014-8989: a group that is left out grants what was denied to it.
pub(crate) fn v16_a_denied_group_stays_denied_at_every_length() {
    every_road(negative, |world| {
        for length in [1_u32, 2, 31, 64, 65, 1000, 65_535] {
            // A list of the greatest length takes 10 ms and more to set: once is enough.
            let positions: &[u32] = if length > 1000 { &[1] } else { &[100_000, 1, 61_300] };
            // The one that counts is the last, the first and in the middle.
            for &at in positions {
                let mut groups: Vec<u32> = (at..at + length - 1).filter(|group| *group != 61_300).collect();
                groups.push(61_300);
                let said = world.act(&world.client(61_001, &groups), |dir| {
                    format!("{} {}", word(std::fs::read(dir.join("not-team"))), word(std::fs::read(dir.join("others"))))
                });
                assert!(
                    said == "EACCES ok" || (groups.contains(&61_999) && said == "EACCES EACCES"),
                    "{length} from {at}: {said}"
                );
            }
        }
    });
    // One more than the kernel keeps is an error, and never a shorter list.
    let all = (100_000..165_536).map(|gid| KernelGid::new(gid).unwrap());
    let one_more = UnixIdentity::new(KernelUid::new(61_001).unwrap(), KernelGid::new(61_300).unwrap(), all);
    assert_eq!(one_more, Err(IdentityError::TooManyGroups { count: 65_537 }));
}

/// CVE-2022-36109 (moby), CVE-2023-25173 (containerd), CVE-2022-2989 (podman): the primary group missing in the list.
pub(crate) fn v17_the_primary_group_is_in_the_list() {
    every_road(negative, |world| {
        let gid = |raw| KernelGid::new(raw).unwrap();
        let uid = KernelUid::new(61_001).unwrap();
        for groups in [vec![], vec![gid(61_400)]] {
            let who = world.client_of(UnixIdentity::new(uid, gid(61_300), groups.clone()).unwrap());
            let said = world.act(&who, |dir| {
                let refused = word(std::fs::read(dir.join("not-team")));
                format!("{refused} {} {}", word(std::fs::read(dir.join("others"))), status("Groups"))
            });
            let expected = if groups.is_empty() { "61300" } else { "61300 61400" };
            assert_eq!(said, format!("EACCES ok {expected}"));
        }
    });
}

/// CVE-2021-41617 (sshd): a program started for a user with the groups of the daemon.
pub(crate) fn v18_a_program_has_the_clients_groups() {
    every_road(
        |_| servers_groups(),
        |world| {
            let said = world.act(&world.client(61_001, &[61_300, 61_301]), |_| {
                match Command::new("/bin/sh").args(["-c", "grep ^Groups: /proc/self/status"]).output() {
                    Ok(output) => {
                        let text = String::from_utf8(output.stdout).unwrap();
                        text.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
                    }
                    Err(error) => word::<()>(Err(error)),
                }
            });
            // A client thread starts no program at all.
            let starts_programs = world.is_irrevocable() || world.road == "scoped";
            assert_eq!(said, if starts_programs { "61001 61300 61301" } else { "EPERM" });
        },
    );
}

fn servers_group_file(scratch: &Scratch) {
    servers_groups();
    scratch.file("daemons", 0o040, 0, 61_500);
    scratch.file("roots", 0o040, 0, 0);
    scratch.file("team", 0o040, 0, 61_300);
}

/// CVE-2015-0278 (libuv): set-user-id without setgroups.
pub(crate) fn v19_a_dropped_process_has_no_group_of_the_server() {
    every_dropped_road(servers_group_file, |world| {
        for (groups, expected) in
            [(vec![], "61001 EACCES EACCES EACCES"), (vec![61_300], "61001 61300 EACCES EACCES ok")]
        {
            let said = world.act(&world.client(61_001, &groups), |dir| {
                let read = |name: &str| word(std::fs::read(dir.join(name)));
                format!("{} {} {} {}", status("Groups"), read("daemons"), read("roots"), read("team"))
            });
            assert_eq!(said, expected);
        }
    });
}

/// CVE-2009-2084 (Slurm): the daemon's groups, or the last client's, while acting for the next one.
pub(crate) fn v20_the_next_client_has_no_group_of_the_last() {
    every_server_road(servers_group_file, |world| {
        let people = [
            (world.client(61_001, &[61_300]), "61001 61300 EACCES EACCES ok"),
            (world.client(61_002, &[]), "61002 EACCES EACCES EACCES"),
            (world.client(61_003, &[61_301, 61_302]), "61003 61301 61302 EACCES EACCES EACCES"),
        ];
        for round in 0..60 {
            for index in [0, 1, 2, 1, 0, 0, 2] {
                let (who, expected) = &people[index];
                let said = world.act(who, |dir| {
                    let read = |name: &str| word(std::fs::read(dir.join(name)));
                    format!("{} {} {} {}", status("Groups"), read("daemons"), read("roots"), read("team"))
                });
                assert_eq!(said, *expected, "round {round}");
            }
        }
    });
}

/// RUSTSEC-2025-0040 (`users`): lists padded with zeros, which is root's group.
pub(crate) fn v21_no_list_is_padded() {
    every_road(
        |_| servers_groups(),
        |world| {
            for count in [0_u32, 1, 63, 64, 65, 1023, 1024, 1025, 65_535] {
                let groups: Vec<u32> = (100_000..100_000 + count).collect();
                let said = world.act(&world.client(61_001, &groups), |_| {
                    let list = rustix::process::getgroups().unwrap();
                    format!("{} {}", list.len(), list.iter().any(|group| group.as_raw() == 0))
                });
                assert_eq!(said, format!("{} false", count + 1));
            }
            // Who has it, has it.
            let said = world.act(&world.client(61_001, &[0]), |_| status("Groups"));
            assert_eq!(said, "0 61001");
        },
    );
}

/// mergerfs 1546: a cache of groups that outlived the groups.
pub(crate) fn v33_a_new_logon_brings_new_groups() {
    every_keeping_road(servers_group_file, |world| {
        let read = |dir: &std::path::Path| word(std::fs::read(dir.join("team")));
        let before = world.client(61_001, &[61_300]);
        assert_eq!(world.act(&before, move |dir| read(dir)), "ok");
        let after = world.client(61_001, &[]);
        if let (Some(before), Some(after)) = (&before.context, &after.context) {
            assert_ne!(before.generation(), after.generation());
        }
        for _ in 0..20 {
            assert_eq!(world.act(&after, move |dir| read(dir)), "EACCES");
            assert_eq!(world.act(&before, move |dir| read(dir)), "ok");
        }
    });
}

/// CVE-2023-49938 (Slurm): a group from the request.
pub(crate) fn v40_only_captured_groups_count() {
    every_road(
        |scratch| scratch.file("own", 0o644, 61_001, 61_001),
        |world| {
            let alice = world.client(61_001, &[61_300]);
            let said = world.act(&alice, |dir| {
                let give = |gid| word(std::os::unix::fs::chown(dir.join("own"), None, Some(gid)));
                format!("{} {} {} {}", give(61_300), give(61_301), give(0), give(61_500))
            });
            assert_eq!(said, "ok EPERM EPERM EPERM");
            assert_eq!(alice.identity, identity(61_001, &[61_300]));
        },
    );
}
