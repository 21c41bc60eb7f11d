//! The queue as a hostile server finds it, and the identity that tasks have.

use super::*;
use crate::sys::fork;
use crate::testing::passes_alone;
use rustix::fs::{Mode, OFlags};
use rustix::thread::CapabilitySet;
use std::io::Read as _;
use vicar_nt::ImpersonationLevel;

fn identity(uid: u32, groups: &[u32]) -> UnixIdentity {
    let groups = groups.iter().map(|&group| KernelGid::new(group).unwrap());
    UnixIdentity::new(KernelUid::new(uid).unwrap(), KernelGid::new(uid).unwrap(), groups).unwrap()
}

#[test]
fn nobody_holds_anything_that_was_not_granted() {
    let (user, group) = (KernelUid::new(61_001).unwrap(), KernelGid::new(61_100).unwrap());
    let grants = Grants::nobody().user(user, Privilege::Backup).group(group, Privilege::Restore);
    let held = |uid, groups: &[u32]| grants.of(&identity(uid, groups)).iter().collect::<Vec<_>>();
    assert_eq!(held(61_001, &[]), [Privilege::Backup]);
    assert_eq!(held(61_002, &[61_100]), [Privilege::Restore]);
    assert_eq!(held(61_001, &[61_100]).len(), 2);
    assert_eq!(held(61_002, &[61_001]), []);
    assert!(Grants::nobody().of(&identity(0, &[0])).is_empty());
}

fn nobody() -> UnixIdentity {
    identity(65_520, &[])
}

fn null() -> OwnedFd {
    rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

fn alice_may() -> ElevatedOptions {
    let alice = KernelUid::new(61_001).unwrap();
    ElevatedOptions::new(Grants::nobody().user(alice, Privilege::Backup).user(alice, Privilege::TakeOwnership))
}

fn stated(uid: u32, enabled: u64) -> Stated {
    Stated {
        uid: KernelUid::new(uid).unwrap(),
        gid: KernelGid::new(uid).unwrap(),
        level: ImpersonationLevel::Impersonation,
        enabled,
    }
}

fn backup(name: &str) -> Task {
    Task::OpenForBackup { name: crate::fs::Name::parse(name.as_bytes()).unwrap() }
}

const ALL: u64 = u64::MAX;

#[test]
fn a_server_in_the_hands_of_others_names_nobody_itself() {
    passes_alone("elevated::tests::a_server_in_the_hands_of_others_names_nobody_itself", || {
        let directory = std::env::temp_dir().join(format!("vicar-elevated-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("secret"), "secret").unwrap();
        std::fs::set_permissions(directory.join("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let (queue, registrar) = ElevatedQueue::fork(alice_may(), null(), nobody()).unwrap();
        let place = || vec![OwnedFd::from(std::fs::File::open(&directory).unwrap())];
        let ask = |number, stated, task: Task| queue.ask(number, stated, &task, &place()).map(|file| file.is_some());
        let refused = |refusal| Err(ElevatedError::Refused(refusal));
        let alice = registrar.register(&identity(61_001, &[])).unwrap();
        let bob = registrar.register(&identity(61_002, &[])).unwrap();
        assert_eq!(ask(alice, stated(61_001, ALL), backup("secret")), Ok(true));
        // A number of one's own choice, which it says it vouches for.
        let chosen = SubjectNumber::from_bytes([1; 16]);
        let memory = packet::write_memory(&wire::encode_registration(chosen, &identity(61_001, &[]))).unwrap();
        queue.send(&Message::Register, &[memory.as_fd()]).unwrap();
        assert_eq!(ask(chosen, stated(61_001, ALL), backup("secret")), refused(Refusal::Unknown));
        assert_eq!(queue.register(&identity(61_001, &[])).err(), Some(ElevatedError::Refused(Refusal::NotAllowed)));
        // Somebody else's number, and privileges that nobody granted.
        assert_eq!(ask(bob, stated(61_001, ALL), backup("secret")), refused(Refusal::Mismatch));
        assert_eq!(ask(bob, stated(61_002, ALL), backup("secret")), refused(Refusal::NotHeld));
        assert_eq!(ask(alice, stated(61_001, 0), backup("secret")), refused(Refusal::NotHeld));
        let name = || crate::fs::Name::parse(b"secret").unwrap();
        assert_eq!(
            ask(alice, stated(61_001, ALL), Task::SetMode { name: name(), mode: 0o666 }),
            refused(Refusal::NotHeld)
        );
        for level in [ImpersonationLevel::Identification, ImpersonationLevel::Anonymous] {
            let stated = Stated { level, ..stated(61_001, ALL) };
            assert_eq!(ask(alice, stated, backup("secret")), refused(Refusal::BelowImpersonation));
        }
        // Too few and too many descriptors, and others than a directory.
        let task = backup("secret");
        assert_eq!(queue.ask(alice, stated(61_001, ALL), &task, &[]).err(), refused(Refusal::Malformed).err());
        let two = [place(), place()].into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(queue.ask(alice, stated(61_001, ALL), &task, &two).err(), refused(Refusal::Malformed).err());
        let file = [OwnedFd::from(std::fs::File::open(directory.join("secret")).unwrap())];
        assert_eq!(queue.ask(alice, stated(61_001, ALL), &task, &file).err(), Some(ElevatedError::Os(libc::ENOTDIR)));
        let proc = [OwnedFd::from(std::fs::File::open("/proc/self").unwrap())];
        let status = queue.ask(alice, stated(61_001, ALL), &backup("environ"), &proc);
        assert_eq!(status.err(), Some(ElevatedError::NotServed));
        // Noise, with descriptors; and answers that are to go where nobody reads.
        let (pipe, write) = rustix::pipe::pipe().unwrap();
        let many = [pipe.as_fd(); packet::MAX_DESCRIPTORS];
        let good = wire::encode(&Message::Ask { number: alice, stated: stated(61_001, ALL), task: backup("secret") });
        let place = place();
        for round in 0..300_usize {
            let mut bytes = good.clone();
            bytes[round % good.len()] ^= 0x55;
            let all = &many[..round % packet::MAX_DESCRIPTORS];
            packet::send(queue.inner.apart.socket().as_fd(), &bytes, all, SendFlags::empty()).unwrap();
            packet::send(
                queue.inner.apart.socket().as_fd(),
                &good,
                &[write.as_fd(), place[0].as_fd()],
                SendFlags::empty(),
            )
            .unwrap();
            packet::send(queue.inner.apart.socket().as_fd(), &vec![1; 600], all, SendFlags::empty()).unwrap();
        }
        // What was well-formed is being done, so the queue may be full for a moment; it never stops answering.
        let busy = refused(Refusal::Busy);
        let answers = (0..10_000).map(|_| ask(alice, stated(61_001, ALL), backup("secret")));
        assert_eq!(answers.into_iter().find(|answer| *answer != busy), Some(Ok(true)));
        queue.forget(alice).unwrap();
        assert_eq!(ask(alice, stated(61_001, ALL), backup("secret")), refused(Refusal::Unknown));
        std::fs::remove_dir_all(&directory).unwrap();
    });
}

#[test]
fn limits_and_the_audit_trail_come_first() {
    passes_alone("elevated::tests::limits_and_the_audit_trail_come_first", || {
        let ask = |options: ElevatedOptions, audit: OwnedFd| {
            let (queue, registrar) = ElevatedQueue::fork(options, audit, nobody()).unwrap();
            let alice = registrar.register(&identity(61_001, &[])).unwrap();
            let place = [OwnedFd::from(std::fs::File::open("/").unwrap())];
            queue.ask(alice, stated(61_001, ALL), &backup("etc"), &place).map(|file| file.is_some())
        };
        assert_eq!(ask(alice_may(), null()), Ok(true));
        let late = ElevatedOptions { limit: Duration::ZERO, ..alice_may() };
        assert_eq!(ask(late, null()), Err(ElevatedError::TimedOut));
        let full = ElevatedOptions { waiting: 0, ..alice_may() };
        assert_eq!(ask(full, null()), Err(ElevatedError::Refused(Refusal::Busy)));
        let ended = ElevatedOptions { subject_lifetime: Duration::ZERO, ..alice_may() };
        assert_eq!(ask(ended, null()), Err(ElevatedError::Refused(Refusal::Unknown)));
        let no_room = rustix::fs::open("/dev/full", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        assert_eq!(ask(alice_may(), no_room), Err(ElevatedError::Refused(Refusal::NoAudit)));
    });
}

#[test]
fn one_who_asks_for_much_leaves_room_for_others() {
    passes_alone("elevated::tests::one_who_asks_for_much_leaves_room_for_others", || {
        let bob = KernelUid::new(61_002).unwrap();
        // Nothing is begun, so whoever is let in waits.
        let options = ElevatedOptions { at_once: 0, user_waiting: 3, limit: Duration::from_secs(600), ..alice_may() };
        let options = ElevatedOptions { grants: options.grants.clone().user(bob, Privilege::Backup), ..options };
        let (queue, registrar) = ElevatedQueue::fork(options, null(), nobody()).unwrap();
        let place = OwnedFd::from(std::fs::File::open("/").unwrap());
        let ask = |uid| {
            let number = registrar.register(&identity(uid, &[])).unwrap();
            let (near, far) = packet::pair().unwrap();
            let message = Message::Ask { number, stated: stated(uid, ALL), task: backup("etc") };
            queue.send(&message, &[far.as_fd(), place.as_fd()]).unwrap();
            near
        };
        let told = |answer: &OwnedFd, flags| {
            let mut bytes = [0; 8];
            match packet::receive(answer.as_fd(), &mut bytes, flags) {
                Ok(Received::Message { len: 8, .. }) => wire::decode_told(&bytes),
                Err(Errno::AGAIN) => None,
                other => panic!("{other:?}"),
            }
        };
        let busy = Some(Err(ElevatedError::Refused(Refusal::Busy)));
        let waiting = [ask(61_001), ask(61_001), ask(61_001)];
        assert_eq!(told(&ask(61_001), RecvFlags::empty()), busy);
        let bobs = ask(61_002);
        // Messages are taken in order: when this is answered, bob's was let in.
        assert_eq!(told(&ask(61_001), RecvFlags::empty()), busy);
        for answer in waiting.iter().chain([&bobs]) {
            assert_eq!(told(answer, RecvFlags::DONTWAIT), None);
        }
    });
}

#[test]
fn a_task_has_the_clients_ids_and_one_capability() {
    passes_alone("elevated::tests::a_task_has_the_clients_ids_and_one_capability", || {
        let capabilities = [CapabilitySet::CHOWN, CapabilitySet::DAC_READ_SEARCH, CapabilitySet::FOWNER];
        for capability in capabilities {
            let (read, write) = rustix::pipe::pipe().unwrap();
            if matches!(fork::fork().unwrap(), fork::Side::Child) {
                let alice = identity(61_001, &[61_100, 61_200]);
                crate::switch::raised::take_on(&alice, &nobody(), capability).unwrap();
                let text = std::fs::read("/proc/thread-self/status").unwrap();
                rustix::io::write(&write, &text).unwrap();
                // The client's file is its own, and nobody's is not.
                let own = std::fs::File::open("/proc/thread-self/environ").is_err();
                fork::exit_now(if own { 0 } else { 1 });
            }
            drop(write);
            let mut text = String::new();
            std::fs::File::from(read).read_to_string(&mut text).unwrap();
            let line = |key: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
                line.split_whitespace().collect::<Vec<_>>().join(" ")
            };
            let (one, none) = (format!("{:016x}", capability.bits()), "0".repeat(16));
            assert_eq!(
                (line("Uid"), line("Gid")),
                ("65520 61001 61001 61001".into(), "65520 61001 61001 61001".into())
            );
            assert_eq!(line("Groups"), "61001 61100 61200");
            assert_eq!((line("CapPrm"), line("CapEff")), (one.clone(), one));
            assert_eq!((line("CapBnd"), line("CapInh"), line("CapAmb")), (none.clone(), none.clone(), none));
            assert_eq!(line("NoNewPrivs"), "1");
        }
    });
}
