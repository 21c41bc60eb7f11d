//! Vulnerabilities of Windows that are about files, accounts and libraries: what they would be on this system.
//!
//! The others of the same list are tests of `vicar-kernel`; both are named by the same numbers.

use crate::audit::{Call, INNER, body, trace};
use crate::files::directory;
use crate::scratch::{Scratch, client, identity, server};
use crate::world::{every_road, every_server_road, every_sticky_road, status, word};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use vicar_os::fs::{BeneathPath, Errno, FsError, Links, Name, Root};
use vicar_os::source::account::{self, AccountError};
use vicar_os::{
    AsClient, ClientContext, ClientThreadOptions, EnterError, ImpersonationLevel, LogonKind, Qos, Reach, Server,
    Tracking, sidmap,
};

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

fn beneath(text: &str) -> BeneathPath {
    BeneathPath::parse(text.as_bytes()).unwrap()
}

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Does the same on the calling thread and on a client thread.
fn both_ways(server: &Server, client: &ClientContext, work: impl Fn(&AsClient<'_>, &str) + Clone + Send + 'static) {
    server.run_as(client, |as_client| work(as_client, "scoped")).unwrap();
    let threads = server.client_threads(ClientThreadOptions::default()).unwrap();
    threads.run_blocking(client, move |as_client| work(as_client, "thread")).unwrap();
}

const PEOPLE: [u32; 4] = [61_001, 61_002, 61_003, 61_004];

/// For each a home that nobody else may enter, and in it what everybody might read.
fn homes(scratch: &Scratch) {
    for uid in PEOPLE {
        directory(scratch, &format!("home-{uid}"), 0o700, uid, uid);
        directory(scratch, &format!("home-{uid}/view"), 0o755, uid, uid);
        scratch.file(&format!("home-{uid}/view/library"), 0o644, uid, uid);
    }
}

/// CVE-2015-1644 (drive letters): names were resolved in the view of the client, which chose what they led to. The view
/// of a Linux thread is its working directory: no client leaves one to another or to the server.
pub(crate) fn cv06_no_client_leaves_its_view_to_another() {
    every_sticky_road(homes, |world| {
        let before = std::env::current_dir().unwrap();
        let people: Vec<_> = PEOPLE.iter().map(|uid| (*uid, world.client(*uid, &[]))).collect();
        for round in 0..16 {
            let (uid, who) = &people[round % PEOPLE.len()];
            let uid = *uid;
            let said = world.act(who, move |dir| {
                let own = dir.join(format!("home-{uid}/view"));
                let found = std::fs::read_to_string("library").unwrap_or_default();
                let here = std::env::current_dir().map(|here| here == Path::new("/") || here == own);
                let umask = rustix::process::umask(rustix::fs::Mode::empty()).as_raw_mode();
                std::env::set_current_dir(&own).unwrap();
                format!("{found} {here:?} {umask:o} {:?}", std::fs::read_to_string("library").unwrap())
            });
            let own = format!("home-{uid}/view/library");
            let expected = [format!(" Ok(true) 22 {own:?}"), format!("{own} Ok(true) 0 {own:?}")];
            assert!(expected.contains(&said), "{uid} in round {round}: {said}");
        }
        assert_eq!(std::env::current_dir().unwrap(), before);
    });
}

/// The other half: a root does not depend on where the thread is, and who may only be known resolves nothing.
pub(crate) fn cv06_a_root_is_resolved_in_no_view() {
    let scratch = Scratch::new();
    homes(&scratch);
    let (home, outside) = (scratch.path("home-61001"), scratch.path("home-61002/view"));
    symlink("/etc", home.join("view/drive")).unwrap();
    symlink("/proc/self/root", home.join("view/magic")).unwrap();
    symlink(&outside, home.join("view/other")).unwrap();
    std::env::set_current_dir(&home).unwrap();
    let server = server();
    let alice = client(&server, PEOPLE[0], &[]);
    let view = home.join("view");
    both_ways(&server, &alice, move |as_client, way| {
        let relative = Root::open(as_client, Path::new("view"));
        assert!(matches!(relative, Err(FsError::Os { errno: Errno::INVAL, .. })), "{way}");
        let root = Root::open(as_client, &view).unwrap();
        assert!(root.look(as_client, &beneath("library"), Links::Follow).is_ok());
        for (path, expected) in [("drive/passwd", Errno::XDEV), ("other/library", Errno::XDEV)] {
            let found = root.look(as_client, &beneath(path), Links::Follow).map(|node| node.stat().id);
            assert!(matches!(&found, Err(FsError::Os { errno, .. }) if *errno == expected), "{way} {path}: {found:?}");
        }
        let magic = root.look(as_client, &beneath("magic/etc"), Links::Follow);
        assert!(matches!(magic, Err(FsError::Os { errno: Errno::LOOP | Errno::XDEV, .. })), "{way}");
    });
    // An identity that may only be known resolves nothing at all.
    let session = server.logon(LogonKind::Network, &identity(PEOPLE[1], &[])).unwrap();
    let level = ImpersonationLevel::Identification;
    let qos = Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
    let known = server.context_from_token(session.kernel().token(), qos).unwrap();
    let refused = server.run_as(&known, |_| std::fs::read("library"));
    assert!(matches!(refused, Err(EnterError::BelowImpersonation { level: found, .. }) if found == level));
}

/// CVE-2018-0826 (storage service): the first step as the client, the second on whatever the path led to by then.
pub(crate) fn cv20_a_second_step_acts_on_what_the_first_one_saw() {
    let scratch = Scratch::new();
    for way in ["scoped", "thread"] {
        directory(&scratch, way, 0o755, 61_001, 61_001);
        directory(&scratch, &format!("{way}/own"), 0o755, 61_001, 61_001);
        // The client could change these by name, so only the descriptor keeps the second step off them.
        directory(&scratch, &format!("{way}/victim"), 0o755, 61_001, 61_001);
        scratch.file(&format!("{way}/own/report"), 0o600, 61_001, 61_001);
        scratch.file(&format!("{way}/victim/report"), 0o600, 61_001, 61_001);
    }
    let dir = scratch.path("");
    let server = server();
    let (alice, bob) = (client(&server, 61_001, &[]), client(&server, 61_002, &[]));
    both_ways(&server, &alice, move |as_client, way| {
        let (own, victim) = (dir.join(way).join("own"), dir.join(way).join("victim"));
        let root = Root::open(as_client, &dir.join(way)).unwrap();
        let (parent, _) = root.parent(as_client, &beneath("own/report")).unwrap();
        let report = parent.look(as_client, &name("report")).unwrap();
        let file = report.open_write(as_client).unwrap();
        let temp = parent.create_temp(as_client, 0o644).unwrap();
        // Between the two steps the whole path comes to lead somewhere else.
        std::fs::rename(own.join("report"), own.join("moved")).unwrap();
        symlink(victim.join("report"), own.join("report")).unwrap();
        std::fs::rename(&own, dir.join(way).join("away")).unwrap();
        symlink(&victim, &own).unwrap();
        let away = dir.join(way).join("away");

        report.set_mode(as_client, 0o640).unwrap();
        file.write_at(as_client, 0, b"second").unwrap();
        temp.write_at(as_client, 0, b"new").unwrap();
        temp.replace(as_client, &parent, &name("new")).unwrap();
        parent.make_link(as_client, &name("link"), &CString::new("nowhere").unwrap()).unwrap();
        assert_eq!((mode_of(&away.join("moved")), mode_of(&victim.join("report"))), (0o640, 0o600), "{way}");
        assert!(std::fs::read(away.join("moved")).unwrap().starts_with(b"second"));
        assert!(!std::fs::read(victim.join("report")).unwrap().starts_with(b"second"));
        assert_eq!(std::fs::read(away.join("new")).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 1, "{way}");
    });
    // What one client opened is no second step of another.
    let root = server.run_as(&alice, |as_client| Root::open(as_client, Path::new("/")).unwrap()).unwrap();
    let second = server.run_as(&bob, |as_client| root.directory(as_client, &beneath("tmp")).map(drop)).unwrap();
    assert!(matches!(second, Err(FsError::ForeignRoot)), "{second:?}");
}

/// CVE-2020-0787 (BITS): one step of several was not done as the client. Here every step that asks the kernel takes the
/// witness; that a call without it does not compile is shown beside the module.
pub(crate) fn cv22_every_step_takes_the_witness() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fs");
    let (mut with, mut without) = (0, Vec::new());
    for entry in std::fs::read_dir(sources).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let calls = system_calls(code);
        let starts: Vec<usize> =
            code.match_indices("pub fn ").chain(code.match_indices("pub const fn ")).map(|m| m.0).collect();
        for start in starts {
            let function = code[start..].split("\n    }\n").next().unwrap();
            let (signature, rest) = function.split_once('{').unwrap();
            if signature.contains("AsClient<'_>") {
                with += 1;
                continue;
            }
            for call in &calls {
                assert!(!rest.contains(&format!("{call}(")), "{call} without the witness: {signature}");
            }
            without.push(signature.split('(').next().unwrap().rsplit(' ').next().unwrap().to_owned());
        }
    }
    assert!(with >= 40, "{with}");
    without.sort_unstable();
    without.dedup();
    // Names and numbers, and what a node was when it was looked at. A new one is added here by somebody who looked.
    const PURE: &[&str] = &[
        "as_bytes",
        "as_os",
        "components",
        "contains",
        "errno",
        "here",
        "id",
        "is",
        "is_directory",
        "is_here",
        "is_regular",
        "is_served",
        "join",
        "len_bytes",
        "node",
        "of",
        "parse",
        "split_last",
        "stat",
    ];
    let strange: Vec<&String> = without.iter().filter(|name| !PURE.contains(&name.as_str())).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

/// The functions that a file has from rustix.
fn system_calls(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for import in code.split("use rustix::").skip(1) {
        let import = import.split(';').next().unwrap();
        let listed = import.split(['{', '}', ',', ':']).map(str::trim);
        let is_function = |word: &&str| word.starts_with(|letter: char| letter.is_ascii_lowercase());
        names.extend(listed.filter(is_function).map(str::to_owned));
    }
    names
}

/// CVE-2020-17103 (cloud files): the settings of an anonymous user were looked up, and a shared default was found.
pub(crate) fn cv23_the_anonymous_user_has_no_account_and_no_default() {
    for text in ["S-1-5-7", "S-1-0-0", "S-1-1-0", "S-1-5-18", "S-1-5-19", "S-1-5-20", "S-1-5-32-544", "S-1-5-32-546"] {
        let sid = text.parse().unwrap();
        assert_eq!((sidmap::resolve_user(&sid), sidmap::resolve_group(&sid)), (None, None), "{text}");
    }
    for text in ["ANONYMOUS LOGON", "NT AUTHORITY\\ANONYMOUS LOGON", "anonymous logon", "S-1-5-7", ".DEFAULT", ""] {
        assert!(account::by_name(text).is_err(), "{text}");
    }
    every_server_road(
        |scratch| {
            directory(scratch, "open", 0o777, 0, 0);
            scratch.file("nobodys", 0o600, 65_534, 65_534);
            scratch.file("roots", 0o600, 0, 0);
        },
        |world| {
            let nobody = world.server().anonymous().clone();
            let (uid, gid) = (nobody.uid().raw(), nobody.gid().raw());
            assert!(uid != 0 && uid != 65_534);
            if nobody.uid().raw() == 65_520 {
                assert_eq!(account::by_uid(uid), Err(AccountError::Unknown));
            }
            let who = world.client_of(nobody);
            let said = world.act(&who, move |dir| {
                std::fs::write(dir.join("open/made"), "x").unwrap();
                let made = std::fs::metadata(dir.join("open/made")).unwrap();
                std::fs::remove_file(dir.join("open/made")).unwrap();
                let read = |name: &str| word(std::fs::read(dir.join(name)));
                format!("{}:{} {} {}, {}", made.uid(), made.gid(), read("nobodys"), read("roots"), status("Groups"))
            });
            assert_eq!(said, format!("{uid}:{gid} EACCES EACCES, {gid}"));
        },
    );
}

/// A library loaded under the client's view of the file system: whatever may load one is refused while a thread acts.
pub(crate) fn cv28_nothing_is_looked_up_while_acting() {
    every_road(
        |scratch| scratch.file("own", 0o600, 61_001, 61_001),
        |world| {
            // Another thread asks meanwhile, and is answered.
            assert!(account::by_name("root").is_ok());
            let said = world.act(&world.client(61_001, &[]), |dir| {
                let by_name = account::by_name("root").map(|account| account.name);
                let by_uid = account::by_uid(0).map(|account| account.name);
                let group = account::group_name(vicar_os::KernelGid::new(0).unwrap());
                format!("{by_name:?} {by_uid:?} {group:?} {}", word(std::fs::read(dir.join("own"))))
            });
            // Who dropped for good is himself: he may ask, as any program may.
            let refused = |lookup| format!("Err(Failed {{ lookup: {lookup}, errno: {} }})", libc::EPERM);
            let expected = format!("{} {} None ok", refused("Name"), refused("Uid"));
            let as_himself = "Ok(\"root\") Ok(\"root\") Some(\"root\") ok";
            assert_eq!(said, if world.is_irrevocable() { as_himself } else { &expected });
            assert!(account::by_name("root").is_ok());
        },
    );
}

/// The other half: of all that is done on every road, nothing brings code into the process.
pub(crate) fn cv28_nothing_is_loaded_while_acting() {
    if std::env::var_os(INNER).is_some() {
        return body();
    }
    let Some(calls) = trace("mmap,mprotect,execve,execveat,setresuid") else { return };
    let (mut acting, mut loaded, mut acted): (BTreeMap<u32, bool>, u32, u32) = (BTreeMap::new(), 0, 0);
    for Call { thread, name, rest } in &calls {
        let is_acting = acting.entry(*thread).or_insert(false);
        match name.as_str() {
            "setresuid" => {
                *is_acting = rest.split(", ").nth(1).is_some_and(|uid| uid.starts_with("6100"));
                acted += u32::from(*is_acting);
            }
            "execve" | "execveat" => assert!(!*is_acting, "{name}({rest}"),
            // Code comes with a file behind it, or is made of what was written.
            _ if rest.contains("PROT_EXEC") => {
                assert!(!*is_acting, "{name}({rest}");
                loaded += 1;
            }
            _ => {}
        }
    }
    // The loader's own work at the beginning is seen, so what comes later would be.
    assert!(loaded > 0 && acted > 60, "{loaded} {acted}");
}
