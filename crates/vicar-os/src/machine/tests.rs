use super::*;
use std::path::PathBuf;

#[test]
fn this_process_is_seen_as_the_kernel_shows_it() {
    let machine = look();
    assert_eq!(machine.kernel, text("/proc/sys/kernel/osrelease").trim());
    assert_eq!(machine.process.uid, rustix::process::getuid().as_raw());
    let own = rustix::thread::capabilities(None).unwrap().effective;
    assert_eq!(machine.process.effective, names(own.bits()));
    assert_eq!(machine.process.can_switch(), own.contains(CapabilitySet::SETUID | CapabilitySet::SETGID));
}

#[test]
fn a_process_is_read_from_its_status() {
    let status = "Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nCapEff:\t00000000000000c0\nCapBnd:\t0000000000000000\n";
    let found = process(7, status, "allow\n");
    assert_eq!(found.effective, ["CAP_SETGID", "CAP_SETUID"]);
    assert!(found.bounding.is_empty() && found.no_new_privileges && found.is_filtered && found.can_switch());
    assert!(!process(7, status, "deny\n").can_switch());
    assert!(!process(7, &status.replace("c0", "80"), "allow\n").can_switch());
    assert!(!process(7, "", "").can_switch());
}

#[test]
fn every_state_of_the_io_uring_switch_is_known() {
    let states = ["0\n", "1\n", "2\n", "", "3"].map(io_uring);
    let (allowed, disabled) = (IoUring::Allowed, IoUring::Disabled);
    assert_eq!(states, [allowed, IoUring::Privileged, disabled, IoUring::NoSwitch, disabled]);
}

#[test]
fn lent_ids_are_counted_by_name_and_by_number() {
    let lines = "alice:100000:65536\n1001:200000:10\nbob:1:5\nalice:nonsense\nalice:1:x\n\n";
    assert_eq!(lent_in(lines, "alice", 1001), 65_546);
    assert_eq!(lent_in(lines, "carol", 1003), 0);
}

#[test]
fn mounts_with_a_caveat_are_told_from_others() {
    let lines = [
        "22 27 0:21 / /proc rw - proc proc rw",
        "30 27 0:40 / /home rw,relatime shared:1 - nfs4 files:/home rw,vers=4.2,sec=sys,clientaddr=192.0.2.1",
        "31 27 0:41 / /safe rw - nfs4 files:/safe rw,sec=krb5p",
        "32 27 0:42 / /a\\040b rw - cifs //files/b rw,username=x",
        "33 27 0:43 / /many rw - cifs //files/m rw,multiuser,sec=krb5",
        "34 27 0:44 / /home/u rw - fuse.sshfs u@h: rw,user_id=1000",
        "35 27 0:45 / /f rw - fuse.x x rw,allow_other",
        "36 27 0:46 / /g rw - fuse x rw,allow_other,default_permissions",
        "nonsense",
        "37 27 0:47 / /t rw - nfs4",
    ];
    let found = of(&lines.join("\n"));
    let shown: Vec<_> = found.iter().map(|mount| (mount.at.to_str().unwrap(), mount.caveat)).collect();
    assert_eq!(
        shown,
        [
            ("/home", Caveat::SixteenGroups),
            ("/safe", Caveat::NeedsTicket),
            ("/a b", Caveat::OneUser),
            ("/many", Caveat::NeedsTicket),
            ("/home/u", Caveat::OnlyItsOwner),
            ("/f", Caveat::AsksItsProcess),
        ]
    );
    let machine = Machine { mounts: found, ..look() };
    let caveat = |path: &str| caveat_of(&machine, &PathBuf::from(path)).map(|mount| mount.caveat);
    assert_eq!(caveat("/home/alice"), Some(Caveat::SixteenGroups));
    assert_eq!(caveat("/home/u/x"), Some(Caveat::OnlyItsOwner));
    assert_eq!(caveat("/homes"), None);
}

use super::mount::of;
