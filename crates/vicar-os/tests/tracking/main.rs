//! Clients that are processes, and what becomes of them: real ones, that change.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

#[path = "../alone/mod.rs"]
mod alone;
#[path = "../acting/scratch.rs"]
mod scratch;

use rustix::fs::{Gid, Uid};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use scratch::{Scratch, client, server};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use vicar_nt::well_known::unix_group;
use vicar_os::fs::{BeneathPath, Links, Root};
use vicar_os::source::peer;
use vicar_os::{
    ClientContext, ClientThread, DEFAULT_UMASK, EnterError, ImpersonationLevel, KernelGid, KernelUid, LogonError,
    LogonKind, MoreGroups, ProjectError, RefreshError, Server, Stop, Tracked,
};

fn main() -> ExitCode {
    if let Some(socket) = std::env::var_os(CLIENT) {
        be_client(socket.to_str().unwrap());
        return ExitCode::SUCCESS;
    }
    alone::run(
        true,
        &[
            ("what_stays_the_same_is_the_same", what_stays_the_same_is_the_same),
            (
                "a_group_that_was_left_grants_no_more_and_denies_still",
                a_group_that_was_left_grants_no_more_and_denies_still,
            ),
            ("a_group_that_was_got_is_never_the_clients", a_group_that_was_got_is_never_the_clients),
            ("another_user_stops_it_for_good", another_user_stops_it_for_good),
            ("an_ended_process_stops_it_for_good", an_ended_process_stops_it_for_good),
            ("who_changed_before_the_logon_is_refused", who_changed_before_the_logon_is_refused),
            (
                "another_program_of_the_same_user_is_the_same_client",
                another_program_of_the_same_user_is_the_same_client,
            ),
            ("static_clients_stay_as_they_were", static_clients_stay_as_they_were),
            ("without_so_peerpidfd_it_is_the_same", without_so_peerpidfd_it_is_the_same),
        ],
    )
}

/// The socket that a client process connects to, or nothing after it has executed another program.
const CLIENT: &str = "VICAR_TEST_TRACKED";

/// User 61001 who can become anybody again, as a process that was started by root can. Does what its input says, a line a
/// deed: `groups a,b`, `gid n`, `uid n`, `exec`; ends with its input.
fn be_client(socket: &str) {
    let become_user = |uid: u32| {
        set_thread_res_uid(None, Some(Uid::ROOT), None).unwrap();
        let uid = Some(Uid::from_raw(uid));
        set_thread_res_uid(uid, uid, Some(Uid::ROOT)).unwrap();
    };
    let become_group = |gid: u32| {
        let gid = Some(Gid::from_raw(gid));
        set_thread_res_gid(gid, gid, gid).unwrap();
    };
    if !socket.is_empty() {
        set_thread_groups(&[61_300, 61_301].map(Gid::from_raw)).unwrap();
        become_group(61_001);
        become_user(61_001);
        let made = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::connect(&made, &SocketAddrUnix::new(socket).unwrap()).unwrap();
        // Survives the exec, and lasts as long as the process.
        let _ = Box::leak(Box::new(made));
    }
    println!("done");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (what, value) = line.split_once(' ').unwrap_or((&line, ""));
        let as_root = |deed: &dyn Fn()| {
            set_thread_res_uid(None, Some(Uid::ROOT), None).unwrap();
            deed();
            set_thread_res_uid(None, Some(Uid::from_raw(61_001)), None).unwrap();
        };
        match what {
            "groups" => as_root(&|| {
                let groups: Vec<Gid> =
                    value.split(',').filter(|id| !id.is_empty()).map(|id| Gid::from_raw(id.parse().unwrap())).collect();
                set_thread_groups(&groups).unwrap();
            }),
            "gid" => as_root(&|| become_group(value.parse().unwrap())),
            "uid" => become_user(value.parse().unwrap()),
            "exec" => panic!("{}", Command::new(std::env::current_exe().unwrap()).env(CLIENT, "").exec()),
            other => panic!("no such deed: {other}"),
        }
        println!("done");
    }
}

/// A client process, and the connection it made.
struct Tame {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    socket: Option<UnixStream>,
}

impl Tame {
    /// Must happen while this process is still root.
    fn start(scratch: &Scratch) -> Self {
        let listener = UnixListener::bind(scratch.path("socket")).unwrap();
        std::fs::set_permissions(scratch.path("socket"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .env(CLIENT, scratch.path("socket"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut tame = Self { process, orders, answers, socket: None };
        tame.done();
        tame.socket = Some(listener.accept().unwrap().0);
        tame
    }

    fn done(&mut self) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }

    fn does(&mut self, what: &str) {
        writeln!(self.orders, "{what}").unwrap();
        self.done();
    }

    fn logon(&self, server: &Server, more: MoreGroups) -> Result<ClientContext, LogonError> {
        let peer = peer::of(self.socket.as_ref().unwrap()).unwrap();
        assert!(peer.process().is_some());
        server.logon_peer(LogonKind::Network, peer, ImpersonationLevel::Impersonation, more)
    }

    fn end(mut self) {
        drop(self.orders);
        self.process.wait().unwrap();
    }
}

fn groups_line() -> String {
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    text.lines().find(|line| line.starts_with("Groups:")).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn what_stays_the_same_is_the_same() {
    let scratch = Scratch::new();
    let tame = Tame::start(&scratch);
    let server = server();
    let client = tame.logon(&server, MoreGroups::Refuse).unwrap();
    for _ in 0..50 {
        assert_eq!(client.refresh(), Ok(Tracked::Unchanged));
        assert_eq!(server.run_as(&client, |_| groups_line()), Ok("Groups: 61001 61300 61301".to_owned()));
    }
    tame.end();
}

/// What the client may open of two files of a group: one that the group may read, one that the group may not.
fn opens(server: &Server, client: &ClientContext, scratch: &Scratch) -> [bool; 3] {
    let root = scratch.path("");
    server
        .run_restricted(client, |as_client| {
            let root = Root::open(as_client, &root).unwrap();
            ["members", "others", "own"].map(|name| {
                let path = BeneathPath::parse(name.as_bytes()).unwrap();
                root.look(as_client, &path, Links::Stay).and_then(|node| node.open_read(as_client)).is_ok()
            })
        })
        .unwrap()
}

fn files(scratch: &Scratch) {
    scratch.file("members", 0o640, 0, 61_301);
    scratch.file("others", 0o604, 0, 61_301);
    scratch.file("own", 0o600, 61_001, 61_001);
}

fn a_group_that_was_left_grants_no_more_and_denies_still() {
    let scratch = Scratch::new();
    files(&scratch);
    let mut tame = Tame::start(&scratch);
    let server = server();
    let client = tame.logon(&server, MoreGroups::Refuse).unwrap();
    let held = client.clone();
    assert_eq!(opens(&server, &client, &scratch), [true, false, true]);
    tame.does("groups 61300");
    // Static until somebody looks.
    assert_eq!(opens(&server, &client, &scratch), [true, false, true]);
    assert_eq!(client.refresh(), Ok(Tracked::Lowered));
    assert_eq!(opens(&server, &held, &scratch), [false, false, true]);
    let lost = EnterError::Project(ProjectError::DisabledGroup(unix_group(61_301)));
    assert_eq!(server.run_as(&held, |_| ()), Err(lost));
    assert_eq!(client.refresh(), Ok(Tracked::Unchanged));
    // Back in it, the client is not.
    tame.does("groups 61300,61301");
    assert_eq!(client.refresh(), Ok(Tracked::Unchanged));
    assert_eq!(opens(&server, &client, &scratch), [false, false, true]);
    // The primary group is a membership that cannot be taken away alone.
    tame.does("gid 61300");
    let left = Err(RefreshError::Stopped(Stop::PrimaryGroupLeft(KernelGid::new(61_001).unwrap())));
    assert_eq!(client.refresh(), left);
    tame.end();
}

fn a_group_that_was_got_is_never_the_clients() {
    let scratch = Scratch::new();
    scratch.file("members", 0o640, 0, 61_302);
    scratch.file("others", 0o604, 0, 61_302);
    scratch.file("own", 0o600, 61_001, 61_001);
    let mut tame = Tame::start(&scratch);
    let server = server();
    let strict = tame.logon(&server, MoreGroups::Refuse).unwrap();
    let lax = tame.logon(&server, MoreGroups::Ignore).unwrap();
    tame.does("groups 61300,61301,61302");
    let more = Err(RefreshError::MoreGroups(KernelGid::new(61_302).unwrap()));
    assert_eq!((strict.refresh(), lax.refresh()), (more, Ok(Tracked::Unchanged)));
    for client in [&strict, &lax] {
        assert_eq!(opens(&server, client, &scratch), [false, true, true]);
        assert_eq!(server.run_as(client, |_| groups_line()), Ok("Groups: 61001 61300 61301".to_owned()));
    }
    // As long as it has it; a group that it left meanwhile is gone in any case.
    tame.does("groups 61300,61302");
    assert_eq!((strict.refresh(), lax.refresh()), (more, Ok(Tracked::Lowered)));
    assert!(strict.is_restricted().unwrap() && lax.is_restricted().unwrap());
    tame.does("groups 61300");
    assert_eq!((strict.refresh(), lax.refresh()), (Ok(Tracked::Unchanged), Ok(Tracked::Unchanged)));
    tame.end();
}

fn another_user_stops_it_for_good() {
    let scratch = Scratch::new();
    let mut tame = Tame::start(&scratch);
    let server = server();
    let client = tame.logon(&server, MoreGroups::Refuse).unwrap();
    // A thread that holds the identity notices at its next entry.
    let (give, take) = std::sync::mpsc::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let (own, context) = (server.clone(), client.clone());
    let thread = std::thread::spawn(move || {
        let mut thread = ClientThread::adopt(&own, DEFAULT_UMASK).unwrap();
        while take.recv().is_ok() {
            tell.send(thread.run(&context, |as_client| as_client.shown().uid.raw())).unwrap();
        }
    });
    let sticky = || {
        give.send(()).unwrap();
        told.recv().unwrap()
    };
    assert_eq!(sticky(), Ok(61_001));
    tame.does("uid 61002");
    let id = |raw| KernelUid::new(raw).unwrap();
    let stop = Stop::UserChanged { was: id(61_001), is: id(61_002) };
    assert_eq!(client.refresh(), Err(RefreshError::Stopped(stop)));
    let stopped = EnterError::Project(ProjectError::Stopped(stop));
    assert_eq!(sticky(), Err(stopped));
    assert_eq!(server.run_as(&client, |_| ()), Err(stopped));
    assert_eq!(server.run_restricted(&client.clone(), |_| ()), Err(stopped));
    // It comes back, and the context does not.
    tame.does("uid 61001");
    assert_eq!(client.refresh(), Err(RefreshError::Stopped(stop)));
    assert_eq!(server.run_as(&client, |_| ()), Err(stopped));
    // A new logon of the same connection is another context.
    let again = tame.logon(&server, MoreGroups::Refuse).unwrap();
    assert_eq!(server.run_as(&again, |_| ()), Ok(()));
    // Root is another user like any other: a client that becomes root is no root here.
    tame.does("uid 0");
    let stop = Stop::UserChanged { was: id(61_001), is: id(0) };
    assert_eq!(again.refresh(), Err(RefreshError::Stopped(stop)));
    drop(give);
    thread.join().unwrap();
    tame.end();
}

fn an_ended_process_stops_it_for_good() {
    let scratch = Scratch::new();
    let tame = Tame::start(&scratch);
    let server = server();
    let client = tame.logon(&server, MoreGroups::Refuse).unwrap();
    assert_eq!(client.refresh(), Ok(Tracked::Unchanged));
    tame.end();
    assert_eq!(client.refresh(), Err(RefreshError::Stopped(Stop::Ended)));
    let stopped = EnterError::Project(ProjectError::Stopped(Stop::Ended));
    assert_eq!(server.run_as(&client, |_| ()), Err(stopped));
}

fn who_changed_before_the_logon_is_refused() {
    let scratch = Scratch::new();
    let mut tame = Tame::start(&scratch);
    tame.does("uid 61002");
    let server = server();
    let id = |raw| KernelUid::new(raw).unwrap();
    let stop = Stop::UserChanged { was: id(61_001), is: id(61_002) };
    let refused = tame.logon(&server, MoreGroups::Refuse).map(|_| ());
    assert_eq!(refused, Err(LogonError::Tracking(RefreshError::Stopped(stop))));
    // A pair of this process's own tells of nobody but this process.
    let (near, _far) = UnixStream::pair().unwrap();
    let own = peer::of(&near).unwrap();
    let own = server.logon_peer(LogonKind::Network, own, ImpersonationLevel::Impersonation, MoreGroups::Refuse);
    assert_eq!(own.map(|_| ()), Err(LogonError::Tracking(RefreshError::NotTracked)));
    tame.end();
}

fn another_program_of_the_same_user_is_the_same_client() {
    let scratch = Scratch::new();
    let mut tame = Tame::start(&scratch);
    let server = server();
    let client = tame.logon(&server, MoreGroups::Refuse).unwrap();
    tame.does("exec");
    assert_eq!(client.refresh(), Ok(Tracked::Unchanged));
    assert_eq!(server.run_as(&client, |_| ()), Ok(()));
    tame.end();
    assert_eq!(client.refresh(), Err(RefreshError::Stopped(Stop::Ended)));
}

fn static_clients_stay_as_they_were() {
    let scratch = Scratch::new();
    let mut tame = Tame::start(&scratch);
    let server = server();
    let peer = peer::of(tame.socket.as_ref().unwrap()).unwrap();
    let fixed = server.logon(LogonKind::Network, peer.identity()).unwrap();
    tame.does("groups ");
    tame.does("uid 61002");
    assert_eq!(fixed.refresh(), Err(RefreshError::NotTracked));
    assert_eq!(server.run_as(&fixed, |_| groups_line()), Ok("Groups: 61001 61300 61301".to_owned()));
    assert_eq!(client(&server, 61_001, &[]).refresh(), Err(RefreshError::NotTracked));
    tame.end();
}

/// Set in the process whose kernel does not know the option.
const OLD: &str = "VICAR_TEST_OLD_KERNEL";

/// Debian 12's own kernel is 6.1. strace makes the option fail as it does there; the whole life of a client follows.
fn without_so_peerpidfd_it_is_the_same() {
    if std::env::var_os(OLD).is_some() {
        return old_kernel();
    }
    let log = std::env::temp_dir().join(format!("vicar-tracking-{}.strace", std::process::id()));
    let exe = std::env::current_exe().unwrap();
    // Of the three options asked for in turn, the third; two clients are captured.
    let inject = "inject=getsockopt:error=ENOPROTOOPT:when=3+3";
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-e", "trace=getsockopt", "-e", inject, "-o"]).arg(&log);
    match strace.arg(exe).env(OLD, "1").status() {
        Err(error) => println!("skipped: strace: {error}"),
        Ok(status) => {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let _ = std::fs::remove_file(&log);
            assert!(status.success(), "{status}");
            assert_eq!(text.matches("(INJECTED)").count(), 2, "{text}");
        }
    }
}

fn old_kernel() {
    let scratch = Scratch::new();
    files(&scratch);
    let mut tame = Tame::start(&scratch);
    let server = server();
    let client = tame.logon(&server, MoreGroups::Refuse).unwrap();
    assert_eq!(client.refresh(), Ok(Tracked::Unchanged));
    tame.does("groups 61300");
    assert_eq!(client.refresh(), Ok(Tracked::Lowered));
    assert_eq!(opens(&server, &client, &scratch), [false, false, true]);
    // Not what was recorded any more: the identity stands, and there is no process to track.
    let peer = peer::of(tame.socket.as_ref().unwrap()).unwrap();
    assert!(peer.process().is_none());
    let refused = server.logon_peer(LogonKind::Network, peer, ImpersonationLevel::Impersonation, MoreGroups::Refuse);
    assert_eq!(refused.map(|_| ()), Err(LogonError::Tracking(RefreshError::NotTracked)));
    tame.does("uid 61002");
    assert!(matches!(client.refresh(), Err(RefreshError::Stopped(Stop::UserChanged { .. }))));
    tame.end();
}
