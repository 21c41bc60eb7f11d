//! Who connected: what the kernel says about processes of other users, and what it cannot be talked into.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

mod alone;

use rustix::fs::{Gid, Uid};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use vicar_os::source::{SourceError, own, peer};

fn main() -> ExitCode {
    if let Some(plan) = std::env::var_os(CLIENT) {
        client(plan.to_str().unwrap());
        return ExitCode::SUCCESS;
    }
    if let Some(path) = std::env::var_os(JUDGE) {
        judge(path.into());
        return ExitCode::SUCCESS;
    }
    alone::run(
        true,
        &[
            ("a_peer_is_its_effective_ids_and_all_its_groups", a_peer_is_its_effective_ids_and_all_its_groups),
            ("group_lists_are_whole_at_every_boundary", group_lists_are_whole_at_every_boundary),
            ("a_uid_beyond_two_billion_is_itself", a_uid_beyond_two_billion_is_itself),
            ("user_65534_is_nobody_we_know", user_65534_is_nobody_we_know),
            ("a_peer_that_was_killed_is_an_error_and_not_root", a_peer_that_was_killed_is_an_error_and_not_root),
            ("what_the_peer_becomes_later_is_not_seen", what_the_peer_becomes_later_is_not_seen),
            (
                "a_program_the_peer_becomes_keeps_the_first_identity",
                a_program_the_peer_becomes_keeps_the_first_identity,
            ),
            ("an_impersonating_peer_is_its_client", an_impersonating_peer_is_its_client),
            ("names_of_sockets_say_nothing", names_of_sockets_say_nothing),
            ("ids_that_are_not_mapped_here_are_errors", ids_that_are_not_mapped_here_are_errors),
            ("an_unconnected_socket_has_no_peer", an_unconnected_socket_has_no_peer),
            ("a_changed_process_is_not_plain", a_changed_process_is_not_plain),
        ],
    )
}

/// The plan of a client process: see [`client`].
const CLIENT: &str = "VICAR_TEST_CLIENT";
/// The socket at which a process in another user namespace judges who connects.
const JUDGE: &str = "VICAR_TEST_JUDGE";

/// A directory of the test's own that everybody may enter, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = std::env::temp_dir().join(format!("vicar-source-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// A socket that everybody may connect to.
    fn listen(&self) -> UnixListener {
        use std::os::unix::fs::PermissionsExt as _;
        let listener = UnixListener::bind(self.socket()).unwrap();
        std::fs::set_permissions(self.socket(), std::fs::Permissions::from_mode(0o777)).unwrap();
        listener
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts a client process that follows `plan` and returns once it says that it is ready.
fn start(plan: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(CLIENT, plan)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn stop(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// A client: words `groups a,b`, `gid r,e,s`, `uid r,e,s`, `bind NAME` (abstract), `connect PATH`, `sleep` in order. Says that
/// it is ready at the end, or before `sleep`, which becomes another program that waits for its input to end.
fn client(plan: &str) {
    let mut bind = None;
    let mut socket = None;
    let mut words = plan.split(' ');
    let three = |text: &str| {
        let ids: Vec<u32> = text.split(',').map(|id| id.parse().unwrap()).collect();
        let [real, effective, saved] = ids[..] else { panic!("three ids") };
        [real, effective, saved]
    };
    while let Some(word) = words.next() {
        match word {
            "groups" => {
                let list = words.next().unwrap();
                let groups: Vec<Gid> = match list.strip_prefix("range:") {
                    Some(count) => (100_000..100_000 + count.parse::<u32>().unwrap()).map(Gid::from_raw).collect(),
                    None => list
                        .split(',')
                        .filter(|id| !id.is_empty())
                        .map(|id| Gid::from_raw(id.parse().unwrap()))
                        .collect(),
                };
                rustix::thread::set_thread_groups(&groups).unwrap();
            }
            "gid" => {
                let [real, effective, saved] = three(words.next().unwrap()).map(Gid::from_raw);
                rustix::thread::set_thread_res_gid(real, effective, saved).unwrap();
            }
            "uid" => {
                let [real, effective, saved] = three(words.next().unwrap()).map(Uid::from_raw);
                rustix::thread::set_thread_res_uid(real, effective, saved).unwrap();
            }
            "bind" => bind = Some(words.next().unwrap().to_owned()),
            "connect" => {
                let made = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
                if let Some(name) = &bind {
                    let name = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
                    rustix::net::bind(&made, &name).unwrap();
                }
                rustix::net::connect(&made, &SocketAddrUnix::new(words.next().unwrap()).unwrap()).unwrap();
                socket = Some(made);
            }
            "sleep" => {
                use std::os::unix::process::CommandExt as _;
                println!("ready");
                // The descriptor survives the exec: it was made without close-on-exec.
                panic!("{}", Command::new("/bin/cat").exec());
            }
            other => panic!("no such word: {other}"),
        }
    }
    println!("ready");
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).unwrap();
    drop(socket);
}

/// Captures who connects first, after another process has followed `plan`.
fn captured(plan: &str) -> Result<String, SourceError> {
    let scratch = Scratch::new();
    let listener = scratch.listen();
    let child = start(&plan.replace("HERE", scratch.socket().to_str().unwrap()));
    let (socket, _) = listener.accept().unwrap();
    let peer = peer::of(&socket);
    let peer = peer.map(|peer| {
        assert_eq!(peer.pid(), child.id());
        assert!(!peer.is_this_process());
        peer.identity().to_string()
    });
    stop(child);
    peer
}

fn a_peer_is_its_effective_ids_and_all_its_groups() {
    let peer = captured("groups 61300,61100 gid 61010,61010,61010 uid 61001,61001,61001 connect HERE");
    assert_eq!(peer, Ok("uid 61001 gid 61010 groups 61010,61100,61300".into()));
}

fn group_lists_are_whole_at_every_boundary() {
    for count in [0, 1, 63, 64, 65, 1023, 1024, 1025, 65_535] {
        let peer = captured(&format!("groups range:{count} gid 61010,61010,61010 uid 61001,61001,61001 connect HERE"))
            .unwrap();
        let mut expected = "uid 61001 gid 61010 groups 61010".to_owned();
        for gid in 100_000..100_000 + count {
            write!(expected, ",{gid}").unwrap();
        }
        assert!(peer == expected, "{count} groups");
    }
    // All that the kernel keeps, the primary group among them.
    let peer = captured("groups range:65536 gid 100000,100000,100000 uid 61001,61001,61001 connect HERE").unwrap();
    assert_eq!(peer.split(',').count(), 65_536);
    // One more with the primary group is more than an identity may have, and none is left out.
    let peer = captured("groups range:65536 gid 61010,61010,61010 uid 61001,61001,61001 connect HERE");
    assert_eq!(peer, Err(SourceError::TooManyGroups { count: 65_537 }));
}

fn a_uid_beyond_two_billion_is_itself() {
    let peer = captured(
        "groups 4000000002 gid 4000000001,4000000001,4000000001 uid 4000000000,4000000000,4000000000 connect HERE",
    );
    assert_eq!(peer, Ok("uid 4000000000 gid 4000000001 groups 4000000001,4000000002".into()));
}

fn user_65534_is_nobody_we_know() {
    let peer = captured("groups  gid 61010,61010,61010 uid 65534,65534,65534 connect HERE");
    assert_eq!(peer, Err(SourceError::UnknownUser));
    // Group 65534 is a group like others where every group has a name.
    let peer = captured("groups 65534 gid 61010,61010,61010 uid 61001,61001,61001 connect HERE");
    assert_eq!(peer, Ok("uid 61001 gid 61010 groups 61010,65534".into()));
}

fn a_peer_that_was_killed_is_an_error_and_not_root() {
    let scratch = Scratch::new();
    let listener = scratch.listen();
    for _ in 0..20 {
        let mut child = start(&format!("groups  uid 61001,61001,61001 connect {}", scratch.socket().display()));
        let (socket, _) = listener.accept().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(peer::of(&socket).unwrap_err(), SourceError::Gone);
    }
    // Its end of the socket lives on in another process: still, the process that connected is gone.
    let (near, far) = UnixStream::pair().unwrap();
    assert!(peer::of(&near).unwrap().is_this_process());
    drop(far);
    assert_eq!(peer::of(&near).unwrap_err(), SourceError::Gone);
}

fn what_the_peer_becomes_later_is_not_seen() {
    let peer =
        captured("groups 61100 uid 0,61001,0 connect HERE uid 0,0,0 groups 61200 gid 0,0,0 uid 61002,61002,61002");
    assert_eq!(peer, Ok("uid 61001 gid 0 groups 0,61100".into()));
}

fn a_program_the_peer_becomes_keeps_the_first_identity() {
    let peer = captured("groups  gid 61010,61010,61010 uid 61001,61001,61001 connect HERE sleep");
    assert_eq!(peer, Ok("uid 61001 gid 61010 groups 61010".into()));
}

fn an_impersonating_peer_is_its_client() {
    // Real and saved ids are another's, root's even: only the effective ones count.
    let peer = captured("groups 61100 gid 0,61010,0 uid 0,61001,0 connect HERE");
    assert_eq!(peer, Ok("uid 61001 gid 61010 groups 61010,61100".into()));
}

fn names_of_sockets_say_nothing() {
    for name in [";uid=0;", "uid=0;pid=1;socket=/run/x", "@root", "0", "\u{1}\u{7f}:/../etc"] {
        let peer = captured(&format!(
            "bind {name}-{} groups  gid 61010,61010,61010 uid 61001,61001,61001 connect HERE",
            std::process::id()
        ));
        assert_eq!(peer, Ok("uid 61001 gid 61010 groups 61010".into()), "{name:?}");
    }
}

/// In a user namespace where only user 0 and group 0 are mapped: says who the first two are.
fn judge(path: PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    println!("ready");
    for _ in 0..2 {
        let (socket, _) = listener.accept().unwrap();
        let peer = peer::of(&socket).map(|peer| peer.identity().to_string());
        println!("{peer:?}");
    }
    std::io::stdout().flush().unwrap();
}

fn ids_that_are_not_mapped_here_are_errors() {
    let scratch = Scratch::new();
    let mut judge = Command::new("unshare")
        .args(["--user", "--map-root-user", "--"])
        .arg(std::env::current_exe().unwrap())
        .env(JUDGE, scratch.socket())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(judge.stdout.take().unwrap()).lines();
    if lines.next().is_none() {
        judge.wait().unwrap();
        eprintln!("skipped: this system makes no user namespaces");
        return;
    }
    let here = scratch.socket();
    let unknown = start(&format!("groups  gid 61010,61010,61010 uid 61001,61001,61001 connect {}", here.display()));
    assert_eq!(lines.next().unwrap().unwrap(), "Err(UnknownUser)");
    stop(unknown);
    let member = start(&format!("groups 61100 connect {}", here.display()));
    assert_eq!(lines.next().unwrap().unwrap(), "Err(UnknownGroup)");
    stop(member);
    judge.wait().unwrap();
}

fn an_unconnected_socket_has_no_peer() {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    assert!(peer::of(&UnixStream::from(socket)).is_err());
}

fn a_changed_process_is_not_plain() {
    assert!(own::own().unwrap().is_plain);
    let effective = Some(Uid::from_raw(61_001));
    rustix::thread::set_thread_res_uid(None, effective, None).unwrap();
    let own = own::own().unwrap();
    assert!(!own.is_plain && own.effective.is_empty() && !own.permitted.is_empty());
    assert_eq!(own.identity.uid().raw(), 61_001);
}
