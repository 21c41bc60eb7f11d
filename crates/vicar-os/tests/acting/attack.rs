//! What a client, or code in the client's closure, tries.

use crate::scratch::{Scratch, client, server};
use crate::{NONE, TWO, status};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::process::Command;
use vicar_os::{EnterError, Misuse};

/// A shell takes its effective user from its real one when they differ, so the real one must be nobody.
pub(crate) fn a_program_run_inside_the_closure_is_powerless() {
    let server = server();
    let alice = client(&server, 61_001, &[61_300]);
    let output = server
        .run_as(&alice, |_| {
            Command::new("/bin/sh").args(["-c", "grep -E '^(Uid|Gid|Cap(Prm|Eff|Amb))' /proc/self/status"]).output()
        })
        .unwrap()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let nobody = server.anonymous().uid().raw().to_string();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().skip(1).collect();
        if line.starts_with("Cap") {
            assert_eq!(fields, [NONE], "{text}");
        } else {
            assert!(fields.iter().all(|id| *id == nobody || *id == "61001"), "{text}");
        }
    }
    assert_eq!(text.lines().count(), 5, "{text}");
}

pub(crate) fn a_thread_made_inside_the_closure_serves_nobody() {
    let server = server();
    let (alice, bob) = (client(&server, 61_001, &[]), client(&server, 61_002, &[]));
    let refused = server
        .run_as(&alice, |_| {
            let (server, bob) = (server.clone(), bob.clone());
            std::thread::spawn(move || server.run_as(&bob, |_| ())).join().unwrap()
        })
        .unwrap();
    assert_eq!(refused, Err(EnterError::Misuse(Misuse::ForeignThread)));
}

/// spec: capabilities that file servers forgot to give up: FOWNER, FSETID, MKNOD, SETFCAP, KILL, SYS_ADMIN.
pub(crate) fn no_capability_is_left_while_acting() {
    let scratch = Scratch::new();
    scratch.file("own.txt", 0o644, 61_001, 61_001);
    scratch.file("others.txt", 0o666, 61_002, 61_002);
    let server = server();
    let alice = client(&server, 61_001, &[]);
    server
        .run_as(&alice, |_| {
            let own = scratch.path("own.txt");
            let capability = [1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let flags = rustix::fs::XattrFlags::empty();
            let eperm = Some(rustix::io::Errno::PERM);
            assert_eq!(rustix::fs::setxattr(&own, "security.capability", &capability, flags).err(), eperm);
            assert_eq!(rustix::fs::setxattr(&own, "trusted.x", b"y", flags).err(), eperm);
            let node = scratch.path("device");
            let device = rustix::fs::makedev(1, 3);
            let made = rustix::fs::mknodat(
                rustix::fs::CWD,
                &node,
                rustix::fs::FileType::CharacterDevice,
                rustix::fs::Mode::RUSR,
                device,
            );
            assert_eq!(made.err(), eperm);
            let mode = std::fs::Permissions::from_mode(0o777);
            assert_eq!(
                std::fs::set_permissions(scratch.path("others.txt"), mode).unwrap_err().raw_os_error(),
                Some(libc::EPERM)
            );
            assert_eq!(chown(&own, Some(61_002), None).unwrap_err().raw_os_error(), Some(libc::EPERM));
            let init = rustix::process::Pid::from_raw(1).unwrap();
            assert_eq!(rustix::process::test_kill_process(init).err(), eperm);
            assert_eq!([status("CapEff"), status("CapPrm")], [NONE, TWO]);
        })
        .unwrap();
}

pub(crate) fn the_client_cannot_signal_or_trace_the_server() {
    let server = server();
    let alice = client(&server, 61_001, &[]);
    let (acting, go) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let body = {
        let (server, told) = (server.clone(), acting.0);
        move || {
            server
                .run_as(&alice, |_| {
                    told.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
                    go.1.recv().unwrap();
                })
                .unwrap();
        }
    };
    let thread = std::thread::spawn(body);
    let tid = acting.1.recv().unwrap();
    // alice, as a process of her own. Our two capabilities are enough to start it; it keeps none.
    let script = format!(
        "id -u; kill -0 {pid} 2>/dev/null && echo signalled; kill -0 {tid} 2>/dev/null && echo signalled; \
         cat /proc/{pid}/task/{tid}/environ /proc/{pid}/task/{tid}/maps 2>/dev/null | head -c 1; \
         dd if=/proc/{pid}/task/{tid}/mem bs=1 count=1 skip=4096 2>/dev/null | head -c 1; echo end",
        pid = std::process::id()
    );
    let output = as_alice(&script);
    go.0.send(()).unwrap();
    thread.join().unwrap();
    assert_eq!(output, "61001\nend\n");
}

/// Runs a shell as user 61001 and nothing else, all three ids.
fn as_alice(script: &str) -> String {
    use std::os::unix::process::CommandExt as _;
    let output = Command::new("/bin/sh").args(["-c", script]).uid(61_001).gid(61_001).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// CVE-2022-0358 and CVE-2018-13405: a file made in a set-group-id directory by somebody who is no member.
pub(crate) fn a_set_group_directory_leaks_no_server_group() {
    let scratch = Scratch::new();
    let dir = scratch.path("team");
    std::fs::create_dir(&dir).unwrap();
    chown(&dir, Some(0), Some(61_300)).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o2777)).unwrap();
    let server = server();
    let alice = client(&server, 61_001, &[]);
    server
        .run_as(&alice, |_| {
            let made = dir.join("made");
            std::fs::write(&made, "x").unwrap();
            std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o2755)).unwrap();
            let about = std::fs::metadata(&made).unwrap();
            assert_eq!((about.uid(), about.gid(), about.mode() & 0o7777), (61_001, 61_300, 0o755));
            assert_eq!(status("Groups"), "61001");
        })
        .unwrap();
}
