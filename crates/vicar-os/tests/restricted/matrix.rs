//! Random rights times restrictions. What is expected is computed by NT's access check on an equivalent descriptor.

use crate::acl::{Dice, Security, Tag};
use crate::scratch::{Scratch, identity, server};
use crate::{GROUPS, NOTHING, filtered, group, restricting};
use vicar_nt::acl::{AceFlags, Acl};
use vicar_nt::check::{AccessRequest, Subject, decide};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::token::{Filter, FilterFlags, TokenState};
use vicar_nt::{GenericMapping, Group, ImpersonationLevel, RequestedMask, Sid, well_known};
use vicar_os::fs::{BeneathPath, Links, Root};
use vicar_os::switch::irrevocable;
use vicar_os::{ClientContext, ClientThreadOptions, Could, Question, Want};

const READ: u32 = 0x1;
const WRITE: u32 = 0x2;
const EXECUTE: u32 = 0x20;

/// The descriptor that says what permission bits and an ACL say: each class in turn allows and, where it is the only one
/// that counts, denies the rest. Among groups one that allows is enough, so all allow before any denies.
fn descriptor(security: &Security) -> Descriptor {
    let rights = |bits: u16| {
        let of = |bit, right| if bits & bit == 0 { 0 } else { right };
        RequestedMask(of(4, READ) | of(2, WRITE) | of(1, EXECUTE))
    };
    let none = AceFlags::empty();
    let mask = if security.entries.is_empty() { 7 } else { security.mask };
    let owner = well_known::unix_user(security.owner);
    let mut acl = Acl::builder();
    acl = acl.allow(&owner, rights(security.owner_bits), none).deny(&owner, rights(!security.owner_bits & 7), none);
    let mut groups = vec![(group(security.group), security.group_bits & mask)];
    // With an empty mask Linux does not look at the entries at all: who is not the owner and not in the file's group is
    // among the others.
    for (tag, bits) in security.entries.iter().filter(|_| mask != 0) {
        let bits = bits & mask;
        match *tag {
            // The owner is judged as the owner and by no entry of its own.
            Tag::User(uid) if uid == security.owner => {}
            Tag::User(uid) => {
                let user = well_known::unix_user(uid);
                acl = acl.allow(&user, rights(bits), none).deny(&user, rights(!bits & 7), none);
            }
            // The file's group may have an entry of its own besides: of the two, one that allows is enough.
            Tag::Group(gid) => match groups.iter_mut().find(|(sid, _)| *sid == group(gid)) {
                Some((_, known)) => *known |= bits,
                None => groups.push((group(gid), bits)),
            },
        }
    }
    for (sid, bits) in &groups {
        acl = acl.allow(sid, rights(*bits), none);
    }
    for (sid, bits) in &groups {
        acl = acl.deny(sid, rights(!*bits & 7), none);
    }
    acl = acl.allow(&well_known::EVERYONE, rights(security.other_bits), none);
    Descriptor::builder().owner(owner).group(group(security.group)).dacl(acl.build().unwrap()).build().unwrap()
}

fn nt_grants(token: &TokenState, descriptor: &Descriptor, right: u32) -> bool {
    let subject = Subject::client(token, ImpersonationLevel::Impersonation, token);
    let desired = RequestedMask(right);
    decide(&AccessRequest::new(subject, descriptor.as_ref(), desired, GenericMapping::FILE)).is_ok()
}

/// What is taken away from the client, by name.
struct Restriction {
    name: &'static str,
    disable: Vec<Sid>,
    restrict: Vec<Group>,
    flags: FilterFlags,
}

fn restrictions() -> Vec<Restriction> {
    let user = well_known::unix_user(61_001);
    let [first, second, third] = GROUPS.map(group);
    let everyone = well_known::EVERYONE;
    let (none, write) = (FilterFlags::empty(), FilterFlags::WRITE_RESTRICTED);
    let make = |name, disable: &[Sid], restrict: &[Sid], flags| Restriction {
        name,
        disable: disable.to_vec(),
        restrict: restricting(restrict),
        flags,
    };
    vec![
        make("nothing", &[], &[], none),
        make("every privilege", &[], &[], FilterFlags::DISABLE_MAX_PRIVILEGE),
        make("one group", &[first], &[], none),
        make("two groups", &[first, second], &[], none),
        make("every group", &[first, second, third, group(61_001)], &[], none),
        make("the user", &[user], &[], none),
        make("the user and a group", &[user, third], &[], none),
        make("a group of how it signed in", &[well_known::NETWORK], &[], none),
        make("all but others", &[], &[everyone], none),
        make("all but a group", &[], &[everyone, first], none),
        make("all but the user", &[], &[everyone, user], none),
        make("all but the user and a group", &[], &[everyone, user, second, well_known::RESTRICTED_CODE], none),
        make("all but a group that it is not in", &[], &[everyone, group(61_303)], none),
        make("a group, and all but another", &[first], &[everyone, third], none),
        make("writing, but for others", &[], &[everyone], write),
        make("writing, but for the user", &[], &[everyone, user, well_known::WRITE_RESTRICTED], write),
        make("a group, and writing but for another", &[second], &[everyone, third], write),
    ]
}

const FILES: u32 = 240;

pub(crate) fn what_nt_grants_is_what_is_opened() {
    let scratch = Scratch::new();
    let mut dice = Dice(20_260);
    let files: Vec<(String, Security)> = (0..FILES)
        .map(|number| {
            let (name, security) = (format!("f{number}"), dice.security());
            std::fs::write(scratch.path(&name), &name).unwrap();
            security.put_on(&scratch.path(&name));
            (name, security)
        })
        .collect();
    // The kernel's own answers about the whole client, before there is a server: a restriction never gives more.
    let whole = irrevocable::ask(&identity(61_001, &GROUPS), || {
        let open = |name: &str, write: bool| {
            std::fs::OpenOptions::new().read(!write).write(write).open(scratch.path(name)).is_ok()
        };
        files.iter().map(|(name, _)| u8::from(open(name, false)) | u8::from(open(name, true)) << 1).collect()
    })
    .unwrap();
    let server = server();
    let root = scratch.path("");
    let threads = server.client_threads(ClientThreadOptions { threads: 2, ..ClientThreadOptions::default() }).unwrap();
    let (mut cells, mut granted, mut lost) = (0, 0, 0);
    for Restriction { name: what, disable, restrict, flags } in restrictions() {
        let client = filtered(&server, &Filter { flags, disable: &disable, restrict: &restrict, delete: &[] });
        let token = client.kernel().token().state();
        let opened: Vec<(bool, bool)> = server
            .run_restricted(&client, |as_client| {
                let root = Root::open(as_client, &root).unwrap();
                let look = |name: &str| {
                    let path = BeneathPath::parse(name.as_bytes()).unwrap();
                    root.look(as_client, &path, Links::Follow).unwrap()
                };
                let open = |name: &str| {
                    let node = look(name);
                    let read = node.open_read(as_client).map(|file| file.read_at(as_client, 0, 99).unwrap());
                    assert!(read.as_ref().map_or(true, |content| content == name.as_bytes()));
                    (read.is_ok(), node.open_write(as_client).is_ok())
                };
                files.iter().map(|(name, _)| open(name)).collect()
            })
            .unwrap();
        for (index, ((name, security), (read, write))) in files.iter().zip(opened).enumerate() {
            let descriptor = descriptor(security);
            for (right, is_open, bit) in [(READ, read, 1), (WRITE, write, 2)] {
                let expected = nt_grants(&token, &descriptor, right);
                assert_eq!(is_open, expected, "without {what}: right {right} on {name}, {security:?}");
                let before = whole[index] & bit != 0;
                assert!(before || !is_open, "without {what}, {name} was gained: {security:?}");
                (cells, granted, lost) =
                    (cells + 1, granted + u32::from(is_open), lost + u32::from(before && !is_open));
            }
            if index % 8 == 0 {
                the_same_by_other_ways(&server, &threads, &client, &root, name, (read, write));
            }
        }
    }
    println!("{cells} answers, {granted} granted, {lost} lost by a restriction");
    assert!(granted > 500 && lost > 500, "{cells} answers, {granted} granted, {lost} lost by a restriction");
}

/// Asking gives the same answer as opening, and so does a client thread.
fn the_same_by_other_ways(
    server: &vicar_os::Server,
    threads: &vicar_os::ClientThreads,
    client: &ClientContext,
    root: &std::path::Path,
    name: &str,
    opened: (bool, bool),
) {
    let path = BeneathPath::parse(name.as_bytes()).unwrap();
    let ask = |want| {
        let question = Question { root: root.to_owned(), path: path.clone(), links: Links::Follow, want };
        let answer = server.could(client, &question).unwrap();
        assert_eq!(threads.could(client, &question), Ok(answer));
        answer == Could::Yes
    };
    assert_eq!((ask(Want::Read), ask(Want::Write)), opened, "{name}");
    let (root, wanted) = (root.to_owned(), path.clone());
    let job = threads.run_restricted(client, move |as_client| {
        let node = Root::open(as_client, &root).unwrap().look(as_client, &wanted, Links::Follow).unwrap();
        (node.open_read(as_client).is_ok(), node.open_write(as_client).is_ok())
    });
    assert_eq!(job.wait(), Ok(opened), "{name}");
}

/// Getting there needs the right to pass, for each pass: a directory that denies to a group denies what is beneath it.
pub(crate) fn directories_are_passed_by_every_pass() {
    let scratch = Scratch::new();
    let beneath = |name: &str, mode: u32, gid: u32| {
        std::fs::create_dir(scratch.path(name)).unwrap();
        std::fs::write(scratch.path(&format!("{name}/f")), name).unwrap();
        std::os::unix::fs::chown(scratch.path(name), Some(0), Some(gid)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(scratch.path(name), mode).unwrap();
    };
    beneath("granted", 0o750, 61_300);
    beneath("denied", 0o705, 61_300);
    beneath("open", 0o755, 61_300);
    beneath("other", 0o750, 61_301);
    let server = server();
    let client = filtered(&server, &Filter { disable: &[group(61_300)], ..NOTHING });
    let root = scratch.path("");
    let seen = server
        .run_restricted(&client, |as_client| {
            let root = Root::open(as_client, &root).unwrap();
            ["granted", "denied", "open", "other"].map(|name| {
                let path = BeneathPath::parse(format!("{name}/f").as_bytes()).unwrap();
                let file = root.look(as_client, &path, Links::Follow).and_then(|node| node.open_read(as_client));
                let list = root
                    .directory(as_client, &BeneathPath::parse(name.as_bytes()).unwrap())
                    .and_then(|directory| directory.list(as_client, 10));
                (file.is_ok(), list.is_ok())
            })
        })
        .unwrap();
    assert_eq!(seen, [(false, false), (false, false), (true, true), (true, true)]);
}
