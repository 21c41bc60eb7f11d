//! The processes behind it: what a helper has, and when it ends.

use crate::realm::{ALICE, HELPER, Other, Realm};
use crate::{accept, sign_in};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::os::fd::OwnedFd;
use std::time::Duration;
use vicar_os::source::kerberos::{Accept, AcceptError, Kerberos, KerberosOptions};
use vicar_os::supervisor::{ForkError, Unavailable};
use vicar_os::{InitiateError, KernelUid, StartError, StartOptions, Starting, UnixIdentity};

/// A line of a process's status.
fn status(process: u32, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The helpers that are there now.
pub(crate) fn helpers(kerberos: &Kerberos) -> Vec<u32> {
    let parent = kerberos.pid().to_string();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_helper = |process: &u32| {
        status(*process, "PPid").as_ref() == Some(&parent)
            && status(*process, "State").is_some_and(|state| !state.starts_with('Z'))
    };
    all.filter(is_helper).collect()
}

/// The one helper that is there, when those that are no longer needed have ended.
pub(crate) fn only_helper(kerberos: &Kerberos) -> u32 {
    loop {
        if let [helper] = helpers(kerberos)[..] {
            return helper;
        }
        std::thread::yield_now();
    }
}

/// Waits for the end of a process that is there now.
pub(crate) struct End(OwnedFd);

pub(crate) fn watch(process: u32) -> End {
    End(rustix::process::pidfd_open(pid(process), PidfdFlags::empty()).unwrap())
}

impl End {
    pub(crate) fn wait(self) {
        let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
        assert_eq!(
            rustix::event::poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit)),
            Ok(1),
            "it has not ended"
        );
    }
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(i32::try_from(process).unwrap()).unwrap()
}

/// Forks what accepts tokens in a process that keeps its rights: it is no server yet.
fn fork(options: KerberosOptions) -> Result<Kerberos, StartError> {
    Starting::begin(StartOptions::default()).unwrap().fork_kerberos(options)
}

pub(crate) fn a_helper_has_nothing() {
    let realm = Realm::new();
    let cache = realm.kinit("alice", &["-f"]);
    let kerberos = fork(realm.options()).unwrap();
    assert_eq!(status(kerberos.pid(), "Name").as_deref(), Some("vicar-kerberos"));
    // In the middle of a conversation, and with a ticket in its memory.
    let mut accepting = kerberos.accept().unwrap();
    let mut client = Other::client(&cache, "HTTP", "plain,third");
    assert!(matches!(accepting.step(&client.token()), Ok(Accept::Continue(_))));
    let delegated = accept(&kerberos, &cache, "delegate").unwrap();
    let there = helpers(&kerberos);
    assert_eq!(there.len(), 2);
    for helper in &there {
        let ids = [HELPER; 4].map(|id| id.to_string()).join(" ");
        for (name, expected) in [
            ("Name", "vicar-krb5"),
            ("Uid", ids.as_str()),
            ("Gid", ids.as_str()),
            ("Groups", &HELPER.to_string()),
            ("Threads", "1"),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
        ] {
            assert_eq!(status(*helper, name).as_deref(), Some(expected), "{name}");
        }
        for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(status(*helper, name).as_deref(), Some("0000000000000000"), "{name}");
        }
        let open = std::fs::read_dir(format!("/proc/{helper}/fd")).unwrap();
        let mut open: Vec<String> =
            open.map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap().display().to_string()).collect();
        open.retain(|name| {
            name != "/dev/null" && !name.starts_with("socket:") && *name != realm.path("replay").display().to_string()
        });
        // The keys, as long as it needs them.
        assert!(open.iter().all(|name| name.starts_with("/memfd:")) && open.len() <= 1, "{open:?}");
    }
    let ends: Vec<_> = there.into_iter().map(watch).collect();
    drop((accepting, delegated));
    ends.into_iter().for_each(End::wait);
    // And its maker goes with the last that holds it.
    let end = watch(kerberos.pid());
    drop(kerberos);
    end.wait();
}

pub(crate) fn a_helper_that_hangs_is_given_up() {
    let realm = Realm::new();
    let cache = realm.kinit("alice", &[]);
    let mut options = realm.options();
    options.limit = Duration::from_millis(200);
    let kerberos = fork(options).unwrap();
    let mut accepting = kerberos.accept().unwrap();
    let helper = only_helper(&kerberos);
    rustix::process::kill_process(pid(helper), Signal::STOP).unwrap();
    let end = watch(helper);
    let token = Other::client(&cache, "HTTP", "plain").token();
    assert_eq!(accepting.step(&token).map(|_| ()), Err(AcceptError::Unavailable(Unavailable::TimedOut)));
    end.wait();
}

pub(crate) fn there_are_no_more_helpers_than_allowed() {
    let realm = Realm::new();
    let cache = realm.kinit("alice", &["-f"]);
    let mut options = realm.options();
    options.most = 2;
    let ([kerberos], world) = realm.serve([options]);
    let alice = sign_in(&world, &kerberos, &cache, "delegate");
    let again = sign_in(&world, &kerberos, &cache, "delegate");
    let token = Other::client(&cache, "HTTP", "plain").token();
    let refused = kerberos.accept().unwrap().step(&token).map(|_| ());
    assert_eq!(refused, Err(AcceptError::Unavailable(Unavailable::Busy)));
    // Those who are in are not disturbed, and when one goes there is room.
    let ends: Vec<_> = helpers(&kerberos).into_iter().map(watch).collect();
    assert_eq!(ends.len(), 2);
    drop((alice, again));
    ends.into_iter().for_each(End::wait);
    // The end of a helper is noted a moment after it.
    loop {
        match kerberos.accept().unwrap().step(&token) {
            Ok(Accept::Done(_)) => break,
            Err(AcceptError::Unavailable(Unavailable::Busy)) => std::thread::yield_now(),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn when_its_process_dies_everybody_is_told() {
    let realm = Realm::new();
    let cache = realm.kinit("alice", &["-f"]);
    let ([kerberos], world) = realm.serve([realm.options()]);
    let alice = sign_in(&world, &kerberos, &cache, "delegate");
    let mut accepting = kerberos.accept().unwrap();
    let token = Other::client(&cache, "HTTP", "plain").token();
    let mut ends: Vec<_> = helpers(&kerberos).into_iter().map(watch).collect();
    ends.push(watch(kerberos.pid()));
    // It has the server's user id.
    rustix::process::kill_process(pid(kerberos.pid()), Signal::KILL).unwrap();
    ends.into_iter().for_each(End::wait);
    assert_eq!(accepting.step(&token).map(|_| ()), Err(AcceptError::Unavailable(Unavailable::Crashed)));
    assert_eq!(kerberos.accept().map(|_| ()), Err(Unavailable::Dead));
    let host = vicar_os::Service::new("host", "localhost").unwrap();
    let mut proof = world.server.initiate(&alice, &host).unwrap();
    assert_eq!(proof.step(None), Err(InitiateError::Unavailable(Unavailable::Crashed)));
    // Local work goes on.
    assert_eq!(world.server.run_as(&alice, |as_client| as_client.shown().uid.raw()), Ok(ALICE));
}

pub(crate) fn options_that_cannot_be_start_nothing() {
    let realm = Realm::new();
    let errno = |change: &dyn Fn(&mut KerberosOptions)| {
        let mut options = realm.options();
        change(&mut options);
        match fork(options) {
            Err(StartError::Supervisor(ForkError::Failed { errno, .. })) => errno,
            other => panic!("{:?}", other.map(|_| ())),
        }
    };
    let somebody = |uid: u32| {
        let gid = vicar_os::KernelGid::new(HELPER).unwrap();
        UnixIdentity::new(KernelUid::new(uid).unwrap(), gid, []).unwrap()
    };
    const INVALID: i32 = 22;
    assert_eq!(errno(&|options| options.identity = somebody(0)), INVALID);
    assert_eq!(errno(&|options| options.identity = somebody(65_520)), INVALID);
    assert_eq!(errno(&|options| options.service = String::new()), INVALID);
    assert_eq!(errno(&|options| options.service = "HTTP@localhost".to_owned()), INVALID);
    assert_eq!(errno(&|options| options.keytab = "http.keytab".into()), INVALID);
    assert_eq!(errno(&|options| options.replay_cache = "replay".into()), INVALID);
    assert_eq!(errno(&|options| options.most = 0), INVALID);
    assert_eq!(errno(&|options| options.replay_cache = "/dev/null".into()), INVALID);
    assert_eq!(errno(&|options| options.replay_cache = realm.path("none/replay")), 2);
    // A link to a file of somebody's.
    std::fs::write(realm.path("victim"), "").unwrap();
    std::os::unix::fs::symlink(realm.path("victim"), realm.path("link")).unwrap();
    std::fs::hard_link(realm.path("victim"), realm.path("hard")).unwrap();
    assert_eq!(errno(&|options| options.replay_cache = realm.path("link")), 40);
    assert_eq!(errno(&|options| options.replay_cache = realm.path("hard")), INVALID);
}
