//! The four levels: what may be asked, what may be done, and what is out of reach.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test program: a failure is a panic"
)]

mod acl;
#[path = "../alone/mod.rs"]
mod alone;
mod keys;
#[path = "../acting/scratch.rs"]
mod scratch;

use acl::Dice;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use scratch::{Scratch, client, identity, server};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use vicar_nt::NtStatus;
use vicar_os::fs::{BeneathPath, Errno, Links};
use vicar_os::question::AskError;
use vicar_os::switch::irrevocable;
use vicar_os::{
    ClientContext, ClientThread, ClientThreadOptions, Could, DEFAULT_UMASK, DelegatedCredential, DelegationError,
    EnterError, ImpersonationLevel, InitiateError, Initiator, LogonError, LogonKind, Qos, Question, Reach, Server,
    Service, Tracking, Turn, Want,
};

fn main() -> ExitCode {
    alone::run(
        true,
        &[
            ("an_answer_is_what_opening_does", an_answer_is_what_opening_does),
            ("asking_leaves_nothing_behind", asking_leaves_nothing_behind),
            ("what_was_asked_at_identification_is_not_done", what_was_asked_at_identification_is_not_done),
            ("at_anonymous_nothing_is_known", at_anonymous_nothing_is_known),
            ("a_server_without_the_privilege_may_ask", a_server_without_the_privilege_may_ask),
            ("a_failure_is_no_answer", a_failure_is_no_answer),
            ("keys::no_key_of_the_server_is_in_a_clients_reach", keys::no_key_of_the_server_is_in_a_clients_reach),
            ("delegation_needs_a_credential_in_hand", delegation_needs_a_credential_in_hand),
            ("a_credential_is_used_as_far_as_the_gate_allows", a_credential_is_used_as_far_as_the_gate_allows),
        ],
    )
}

fn at(server: &Server, level: ImpersonationLevel, uid: u32, groups: &[u32]) -> ClientContext {
    let qos = Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
    server.logon_with(LogonKind::Network, &identity(uid, groups), qos).unwrap()
}

fn question(root: &Path, path: &str, want: Want) -> Question {
    let path = BeneathPath::parse(path.as_bytes()).unwrap();
    Question { root: root.to_owned(), path, links: Links::Follow, want }
}

const PEOPLE: [(u32, &[u32]); 4] =
    [(61_001, &[61_300]), (61_002, &[61_301, 61_302]), (61_003, &[61_300, 61_301, 61_303]), (61_009, &[])];

const WANTS: [Want; 5] = [Want::Read, Want::Write, Want::ReadAndWrite, Want::Search, Want::ChangeNames];

/// Does for real what a want is about; `None` where it makes no sense.
fn really(root: &Path, path: &str, is_directory: bool, want: Want) -> Option<bool> {
    let open = |flags: OFlags, name: &str| -> Result<std::os::fd::OwnedFd, Errno> {
        let top = openat2(CWD, root, OFlags::PATH | OFlags::DIRECTORY, Mode::empty(), ResolveFlags::NO_MAGICLINKS)?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        openat2(top, name, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    };
    match (want, is_directory) {
        (Want::Read, _) => Some(open(OFlags::RDONLY, path).is_ok()),
        (Want::Write, false) => Some(open(OFlags::WRONLY, path).is_ok()),
        (Want::ReadAndWrite, false) => Some(open(OFlags::RDWR, path).is_ok()),
        (Want::Search, true) => Some(open(OFlags::PATH, &format!("{path}/.")).is_ok()),
        (Want::ChangeNames, true) => {
            let made = open(OFlags::PATH, path).and_then(|directory| {
                rustix::fs::mkdirat(&directory, "vicar-test", Mode::RWXU)?;
                rustix::fs::unlinkat(&directory, "vicar-test", rustix::fs::AtFlags::REMOVEDIR)
            });
            Some(made.is_ok())
        }
        _ => None,
    }
}

/// A tree of random rights, and what there is in it: path and whether it is a directory.
fn random_tree(scratch: &Scratch, seed: u64) -> Vec<(String, bool)> {
    let mut dice = Dice(seed);
    let mut things = Vec::new();
    let mut directories = vec![String::new()];
    for number in 0..160 {
        let parent =
            directories[usize::try_from(dice.below(u32::try_from(directories.len()).unwrap())).unwrap()].clone();
        let path = if parent.is_empty() { format!("n{number}") } else { format!("{parent}/n{number}") };
        let whole = scratch.path(&path);
        match dice.below(8) {
            0 | 1 => {
                std::fs::create_dir(&whole).unwrap();
                directories.push(path.clone());
                things.push((path, true));
            }
            2 if !things.is_empty() => {
                // To something beneath, by a path that may be refused on the way, or out.
                let (to, is_directory): (String, bool) =
                    things[usize::try_from(dice.below(u32::try_from(things.len()).unwrap())).unwrap()].clone();
                let up = "../".repeat(path.matches('/').count());
                symlink(if dice.below(5) == 0 { "/etc/passwd".to_owned() } else { format!("{up}{to}") }, &whole)
                    .unwrap();
                things.push((path, is_directory));
            }
            _ => {
                std::fs::write(&whole, "content").unwrap();
                things.push((path, false));
            }
        }
    }
    // From the deepest up, so that the makers of rights are not stopped by them; root is stopped by nothing anyway.
    for (path, _) in things.iter().rev() {
        let whole = scratch.path(path);
        if !whole.is_symlink() {
            let mut security = dice.security();
            // Half of the directories can be passed by most, or nothing deep would ever be reached.
            if whole.is_dir() && dice.below(2) == 0 {
                (security.other_bits, security.group_bits, security.owner_bits, security.mask) = (5, 5, 7, 7);
                security.entries.clear();
            }
            security.put_on(&whole);
        }
    }
    things
}

fn an_answer_is_what_opening_does() {
    let scratch = Scratch::new();
    let root = scratch.path("");
    let things = random_tree(&scratch, 1_234_567);
    // As the people themselves, for good, before there is a server.
    let opened: Vec<Vec<Option<bool>>> = PEOPLE
        .iter()
        .map(|(uid, groups)| {
            let said = irrevocable::ask(&identity(*uid, groups), || {
                let all = things.iter().flat_map(|(path, is_directory)| {
                    WANTS.iter().map(|want| match really(&root, path, *is_directory, *want) {
                        None => b'-',
                        Some(false) => b'n',
                        Some(true) => b'y',
                    })
                });
                all.collect()
            });
            said.unwrap().into_iter().map(|byte| (byte != b'-').then_some(byte == b'y')).collect()
        })
        .collect();
    let server = server();
    let threads = server.client_threads(ClientThreadOptions { threads: 2, ..ClientThreadOptions::default() }).unwrap();
    let (mut asked, mut yes) = (0, 0);
    for ((uid, groups), opened) in PEOPLE.iter().zip(&opened) {
        let known = at(&server, ImpersonationLevel::Identification, *uid, groups);
        let questions = things.iter().flat_map(|(path, _)| WANTS.iter().map(move |want| (path, *want)));
        for ((path, want), really) in questions.zip(opened) {
            let Some(really) = *really else { continue };
            let question = question(&root, path, want);
            let answer = server.could(&known, &question).unwrap();
            assert_eq!(answer.is_yes(), really, "{uid} {want:?} {path}: {answer:?}");
            assert_eq!(threads.could(&known, &question), Ok(answer), "{uid} {want:?} {path}");
            (asked, yes) = (asked + 1, yes + u32::from(really));
        }
    }
    println!("{asked} questions, {yes} times yes");
    assert!(asked > 1000 && yes > 100 && asked - yes > 100, "{asked} questions, {yes} times yes");
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn uid_line() -> String {
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    text.lines().find(|line| line.starts_with("Uid:")).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn asking_leaves_nothing_behind() {
    let scratch = Scratch::new();
    scratch.file("own", 0o600, 61_001, 61_001);
    let server = server();
    let known = at(&server, ImpersonationLevel::Identification, 61_001, &[]);
    let (before, balance) = (descriptors(), server.system().balance());
    for want in WANTS {
        let _ = server.could(&known, &question(&scratch.path(""), "own", want)).unwrap();
        assert_eq!(uid_line(), "Uid: 0 0 0 0");
    }
    assert_eq!((descriptors(), server.system().balance()), (before, balance));
    // Its content was never opened: nothing but looking changes no time of last access.
    let refused = server.could(&known, &question(&scratch.path(""), "absent", Want::Read)).unwrap();
    assert_eq!(refused, Could::No { errno: Errno::NOENT });
    // At level Impersonation it may be asked as well, and inside a closure it may not.
    let alice = client(&server, 61_001, &[]);
    let own = question(&scratch.path(""), "own", Want::ReadAndWrite);
    assert_eq!(server.could(&alice, &own), Ok(Could::Yes));
    let inside = server.run_as(&alice, |_| server.could(&known, &own)).unwrap();
    assert!(matches!(inside, Err(AskError::Enter(EnterError::Misuse(_)))));
}

/// The thread that asked has the client's kernel identity, and still runs nothing as her.
fn what_was_asked_at_identification_is_not_done() {
    let scratch = Scratch::new();
    scratch.file("own", 0o600, 61_001, 61_001);
    let own = question(&scratch.path(""), "own", Want::Read);
    let server = server();
    let thread = std::thread::spawn(move || {
        let mut thread = ClientThread::adopt(&server, DEFAULT_UMASK).unwrap();
        let known = at(&server, ImpersonationLevel::Identification, 61_001, &[]);
        for _ in 0..3 {
            assert_eq!(thread.could(&known, &own), Ok(Could::Yes));
            let refused = thread.run(&known, |_| unreachable!("ran at Identification")).map(|_: ()| ());
            let level = ImpersonationLevel::Identification;
            assert_eq!(refused, Err(EnterError::BelowImpersonation { level, gate_step: None }));
            // Refused, so the thread is nobody again.
            assert_eq!(uid_line(), "Uid: 65520 65520 0 65520");
        }
        let alice = client(&server, 61_001, &[]);
        assert_eq!(thread.could(&alice, &own), Ok(Could::Yes));
        assert_eq!(thread.run(&alice, |as_client| as_client.shown().uid.raw()), Ok(61_001));
        assert_eq!(thread.could(&known, &own), Ok(Could::Yes));
    });
    thread.join().unwrap();
}

fn at_anonymous_nothing_is_known() {
    let scratch = Scratch::new();
    scratch.file("everybodys", 0o666, 0, 0);
    let server = server();
    let masked = at(&server, ImpersonationLevel::Anonymous, 61_001, &[]);
    assert_eq!(masked.named().map(|_| ()), Err(NtStatus::CANT_OPEN_ANONYMOUS));
    let asked = server.could(&masked, &question(&scratch.path(""), "everybodys", Want::Read));
    assert_eq!(asked, Err(AskError::Enter(EnterError::BelowIdentification)));
    let known = at(&server, ImpersonationLevel::Identification, 61_001, &[]);
    assert_eq!(known.named().unwrap().uid().raw(), 61_001);
    // Whoever logs on as nobody does act, as the identity of its own.
    let nobody = server.logon(LogonKind::Network, &server.anonymous().clone()).unwrap();
    assert_eq!(server.could(&nobody, &question(&scratch.path(""), "everybodys", Want::Read)), Ok(Could::Yes));
}

/// The gate lowers everybody to Identification, which is what asking needs.
fn a_server_without_the_privilege_may_ask() {
    let scratch = Scratch::new();
    scratch.file("own", 0o600, 61_001, 61_001);
    scratch.file("others", 0o600, 61_002, 61_002);
    let server = server();
    let alice = client(&server, 61_001, &[]);
    server.give_up_impersonation();
    assert!(matches!(server.run_as(&alice, |_| ()), Err(EnterError::BelowImpersonation { gate_step: Some(_), .. })));
    assert_eq!(server.could(&alice, &question(&scratch.path(""), "own", Want::Read)), Ok(Could::Yes));
    let others = server.could(&alice, &question(&scratch.path(""), "others", Want::Read));
    assert_eq!(others, Ok(Could::No { errno: Errno::ACCESS }));
}

fn a_failure_is_no_answer() {
    let server = server();
    let known = at(&server, ImpersonationLevel::Identification, 61_001, &[]);
    let proc = server.could(&known, &question(Path::new("/proc"), "self", Want::Read));
    assert!(matches!(proc, Err(AskError::Fs(_))), "{proc:?}");
    let relative = server.could(&known, &question(Path::new("tmp"), "x", Want::Read));
    assert!(matches!(relative, Err(AskError::Fs(_))), "{relative:?}");
}

#[derive(Debug)]
struct Ticket(Option<SystemTime>);

impl DelegatedCredential for Ticket {
    fn mechanism(&self) -> &str {
        "test"
    }

    fn expires(&self) -> Option<SystemTime> {
        self.0
    }

    fn initiate(&self, service: &Service) -> Result<Box<dyn Initiator>, InitiateError> {
        Ok(Box::new(Echo(service.clone())))
    }
}

/// A proof that is the name of the service.
#[derive(Debug)]
struct Echo(Service);

impl Initiator for Echo {
    fn step(&mut self, _token: Option<&[u8]>) -> Result<Turn, InitiateError> {
        Ok(Turn::Done(Some(self.0.as_str().into())))
    }
}

/// What a server does here for a client it may do elsewhere, and no more.
fn a_credential_is_used_as_far_as_the_gate_allows() {
    let server = server();
    let host = Service::new("host", "localhost").unwrap();
    let delegated = || {
        let ticket = Arc::new(Ticket(None));
        server.logon_delegated(LogonKind::Network, &identity(61_001, &[61_300]), ticket).unwrap()
    };
    let initiate = |client: &ClientContext| server.initiate(client, &host).and_then(|mut proof| proof.step(None));
    let alice = delegated();
    assert_eq!(initiate(&alice), Ok(Turn::Done(Some(b"host@localhost".into()))));
    // With less than level Delegation there is none, whoever it is.
    let none = Err(InitiateError::Delegation(DelegationError::NotDelegated));
    assert_eq!(initiate(&client(&server, 61_001, &[61_300])), none);
    let known = at(&server, ImpersonationLevel::Identification, 61_001, &[61_300]);
    assert!(matches!(initiate(&known), Err(InitiateError::Enter(EnterError::BelowImpersonation { .. }))));
    // A revoked client is nobody's any more, and what was begun with its credential goes no further.
    let mut begun = server.initiate(&alice, &host).unwrap();
    alice.revoke();
    assert_eq!(begun.step(None), Err(InitiateError::Delegation(DelegationError::Revoked)));
    assert_eq!(alice.delegated().map(|_| ()), Err(DelegationError::Revoked));
    assert_eq!(initiate(&alice), Err(InitiateError::Enter(EnterError::Revoked)));
    // A server that may not act as the client here does not elsewhere.
    let again = delegated();
    server.give_up_impersonation();
    assert!(matches!(initiate(&again), Err(InitiateError::Enter(EnterError::BelowImpersonation { .. }))));
}

fn delegation_needs_a_credential_in_hand() {
    let server = server();
    let (level, kind) = (ImpersonationLevel::Delegation, LogonKind::Network);
    let none = Err(LogonError::Delegation(DelegationError::NotDelegated));
    let qos = Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
    assert_eq!(server.logon_with(kind, &identity(61_001, &[]), qos).map(|_| ()), none);
    let now = SystemTime::now();
    let logon = |end| server.logon_delegated(kind, &identity(61_001, &[]), Arc::new(Ticket(end)));
    let ended = logon(Some(now)).map(|_| ());
    assert_eq!(ended, Err(LogonError::Delegation(DelegationError::Expired)));
    let client_at = |end| logon(end).unwrap();
    let alice = client_at(Some(now + Duration::from_secs(3600)));
    assert_eq!((alice.level(), alice.delegated().unwrap().mechanism()), (level, "test"));
    assert_eq!(server.run_as(&alice, |as_client| as_client.shown().uid.raw()), Ok(61_001));
    // A token at that level is no credential, not even this client's own.
    assert_eq!(server.context_from_token(alice.kernel().token(), qos).map(|_| ()), none);
    // Nobody else has one.
    assert_eq!(client(&server, 61_001, &[]).delegated().map(|_| ()), Err(DelegationError::NotDelegated));
    assert!(client_at(None).delegated().is_ok());
}
