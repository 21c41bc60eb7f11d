//! A key distribution centre on loopback, accounts of the test's own, and the other sides of a conversation.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use vicar_os::source::kerberos::{Kerberos, KerberosOptions};
use vicar_os::source::principal::RealmRule;
use vicar_os::supervisor::admission::Policy;
use vicar_os::supervisor::{Supervisor, SupervisorOptions};
use vicar_os::{KernelGid, KernelUid, Server, StartOptions, Starting, UnixIdentity};

/// Set in the process whose account files are the test's own.
const APART: &str = "VICAR_TEST_MOUNTS";
/// Whom helpers become.
pub(crate) const HELPER: u32 = 61_987;
pub(crate) const ALICE: u32 = 61_001;

const ACCOUNTS: &str = "root:x:0:0:root:/root:/bin/sh\nsystem:x:200:200::/:/bin/false\n\
    alice:x:61001:61001::/home/alice:/bin/sh\nbob:x:61002:61002::/home/bob:/bin/sh\n\
    toor:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
const GROUPS: &str = "root:x:0:\nalice:x:61001:\nbob:x:61002:\nteam:x:61100:alice\nnogroup:x:65534:\n";

/// The realm VICAR.TEST, the realm EVIL that it trusts, and a directory for both.
pub(crate) struct Realm {
    dir: PathBuf,
    kdc: Child,
    /// Kept open, so that it may say more.
    _says: BufReader<ChildStderr>,
}

impl Realm {
    /// Starts the realms. The process has account files of its own, and an environment that names credentials of the server: nobody
    /// may take them.
    pub(crate) fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("vicar-kerberos-{}", std::process::id()));
        if std::env::var_os(APART).is_none() {
            // The same process, as another copy of this program.
            let error = Command::new("unshare")
                .args(["--mount", "--propagation", "private", "--"])
                .arg(std::env::current_exe().unwrap())
                .env(APART, "1")
                .env("KRB5_CONFIG", dir.join("krb5.conf"))
                .env("KRB5_KDC_PROFILE", dir.join("kdc.conf"))
                .env("KRB5_KTNAME", dir.join("http.keytab"))
                .env("KRB5CCNAME", format!("FILE:{}", dir.join("server").display()))
                .exec();
            panic!("unshare: {error}");
        }
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (kdc, says) = start(&dir);
        let realm = Self { dir, kdc, _says: says };
        for (name, text) in
            [("passwd", ACCOUNTS), ("group", GROUPS), ("nsswitch.conf", "passwd: files\ngroup: files\n")]
        {
            realm.instead_of(name, text);
        }
        realm
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Puts a file over one of the system's, for this process and its children.
    fn instead_of(&self, name: &str, text: &str) {
        let (path, system) = (self.path(name), Path::new("/etc").join(name));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        if system.exists() {
            run(Command::new("mount").arg("--bind").arg(path).arg(system));
        }
    }

    /// Gets a ticket for somebody and returns the name of its cache; the password is the name.
    pub(crate) fn kinit(&self, principal: &str, arguments: &[&str]) -> String {
        let number = std::fs::read_dir(&self.dir).unwrap().count();
        let cache = format!("FILE:{}", self.path(&format!("cache-{number}")).display());
        let password = principal.split(['@', '/']).next().unwrap();
        let mut kinit = Command::new("kinit");
        kinit.args(["-c", &cache]).args(arguments).arg(principal).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut kinit = kinit.spawn().unwrap();
        writeln!(kinit.stdin.take().unwrap(), "{password}").unwrap();
        assert!(kinit.wait().unwrap().success(), "kinit {principal}");
        cache
    }

    /// How tokens to HTTP are accepted here.
    pub(crate) fn options(&self) -> KerberosOptions {
        KerberosOptions::new("HTTP", self.path("http.keytab"), self.path("replay"), helper())
    }

    /// Starts a server, with what accepts tokens for each of the options.
    pub(crate) fn serve<const COUNT: usize>(&self, options: [KerberosOptions; COUNT]) -> ([Kerberos; COUNT], World) {
        let mut starting = Starting::begin(StartOptions::default()).unwrap();
        let kerberos = options.map(|options| starting.fork_kerberos(options).unwrap());
        let (root, anonymous) = (KernelUid::new(0).unwrap(), starting.anonymous().uid());
        let supervisor =
            starting.fork_supervisor(SupervisorOptions::new(Policy::strict(1000, root, anonymous))).unwrap();
        let server = starting.finish().unwrap();
        (kerberos, World { server, supervisor, rule: RealmRule::new("VICAR.TEST", 1000).unwrap() })
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        let _ = self.kdc.kill();
        let _ = self.kdc.wait();
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            eprintln!("skipped: {} is left: {error}", self.dir.display());
        }
    }
}

/// A server and what it needs to sign principals in.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) supervisor: Supervisor,
    pub(crate) rule: RealmRule,
}

pub(crate) fn helper() -> UnixIdentity {
    UnixIdentity::new(KernelUid::new(HELPER).unwrap(), KernelGid::new(HELPER).unwrap(), []).unwrap()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes the databases and starts the centre on a free port; another one if somebody was faster.
fn start(dir: &Path) -> (Child, BufReader<ChildStderr>) {
    for attempt in 0..20 {
        let port = free_port();
        configure(dir, port);
        if attempt == 0 {
            make_databases(dir);
        }
        // Ends with the process that started it, however that ends.
        let mut kdc = Command::new("setpriv");
        kdc.args(["--pdeathsig", "KILL", "krb5kdc", "-n", "-r", "VICAR.TEST", "-r", "EVIL"]);
        let mut kdc = kdc.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // It says that it starts when its sockets are open; one that has none says nothing and ends.
        let mut line = String::new();
        let mut says = BufReader::new(kdc.stderr.take().unwrap());
        says.read_line(&mut line).unwrap();
        if line.contains("starting") {
            return (kdc, says);
        }
        let _ = kdc.kill();
        let _ = kdc.wait();
    }
    panic!("no key distribution centre starts: {}", std::fs::read_to_string(dir.join("kdc.log")).unwrap_or_default());
}

fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn configure(dir: &Path, port: u16) {
    let here = dir.display();
    let realms = ["VICAR.TEST", "EVIL"];
    let kdc = format!("{{ kdc = 127.0.0.1:{port} }}");
    let kdc = kdc.replace("{ ", "{\n  ").replace(" }", "\n }");
    let client = format!(
        "[libdefaults]\n default_realm = VICAR.TEST\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n \
         dns_canonicalize_hostname = false\n[realms]\n VICAR.TEST = {kdc}\n EVIL = {kdc}\n[domain_realm]\n localhost = VICAR.TEST\n"
    );
    let mut server =
        format!("[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n[realms]\n");
    for realm in realms {
        server.push_str(&format!(
            " {realm} = {{\n  database_name = {here}/db-{realm}\n  key_stash_file = {here}/stash-{realm}\n  \
             acl_file = {here}/acl\n  kdc_listen = 127.0.0.1:{port}\n  kdc_tcp_listen = 127.0.0.1:{port}\n }}\n"
        ));
    }
    server.push_str(&format!("[logging]\n kdc = FILE:{here}/kdc.log\n"));
    std::fs::write(dir.join("krb5.conf"), client).unwrap();
    std::fs::write(dir.join("kdc.conf"), server).unwrap();
}

fn make_databases(dir: &Path) {
    let mut keys = Vec::new();
    let keytab = |name: &str| dir.join(name).display().to_string();
    for person in ["alice", "alice/admin", "bob", "carol", "root", "toor", "system", "nobody", "ALICE"] {
        keys.push(format!("addprinc -pw {} {person}", person.split('/').next().unwrap()));
    }
    keys.push("addprinc -pw 65534 65534".to_owned());
    for service in ["HTTP/localhost", "host/localhost"] {
        keys.push(format!("addprinc -randkey {service}"));
    }
    // The same principal's former keys.
    keys.push(format!("ktadd -k {} HTTP/localhost", keytab("old.keytab")));
    keys.push(format!("ktadd -k {} HTTP/localhost", keytab("http.keytab")));
    keys.push(format!("ktadd -k {} host/localhost", keytab("http.keytab")));
    keys.push(format!("ktadd -norandkey -k {} host/localhost", keytab("host.keytab")));
    keys.push("addprinc -pw between krbtgt/VICAR.TEST@EVIL".to_owned());
    let evil =
        ["addprinc -pw alice alice@EVIL", "addprinc -pw root root@EVIL", "addprinc -pw between krbtgt/VICAR.TEST@EVIL"];
    for (realm, lines) in [("VICAR.TEST", keys.join("\n")), ("EVIL", evil.join("\n"))] {
        run(Command::new("kdb5_util").args(["-r", realm, "create", "-s", "-P", "master"]));
        let mut admin = Command::new("kadmin.local");
        admin.args(["-r", realm]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut admin = admin.spawn().unwrap();
        admin.stdin.take().unwrap().write_all(format!("{lines}\n").as_bytes()).unwrap();
        assert!(admin.wait().unwrap().success());
    }
}

/// Tries something with a ticket that ends soon: sooner than a slow machine gets there, with one that ends later.
pub(crate) fn with_short_tickets<R>(attempt: impl FnMut(u64) -> Option<R>) -> R {
    [4, 16, 64, 256].into_iter().find_map(attempt).unwrap()
}

/// Another side of a conversation, in a process of its own: a client, or another service.
pub(crate) struct Other {
    child: Child,
    say: Option<ChildStdin>,
    hear: BufReader<ChildStdout>,
}

/// What the other side said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// This token.
    Token(Vec<u8>),
    /// That both sides are proved, and who it is talking to.
    Done(String),
    /// That it failed.
    Failed(String),
}

impl Other {
    /// A client of `HTTP` or `host` on localhost, with the tickets of a cache.
    pub(crate) fn client(cache: &str, service: &str, how: &str) -> Self {
        Self::start(&[("KRB5CCNAME", cache), (super::other::ROLE, "client")], &[service, how])
    }

    /// The service `host`, with its keytab.
    pub(crate) fn service(realm: &Realm) -> Self {
        let keytab = realm.path("host.keytab");
        let replay = format!("file2:{}", realm.path("other-replay").display());
        let names =
            [("KRB5_KTNAME", keytab.to_str().unwrap()), ("KRB5RCACHENAME", &replay), (super::other::ROLE, "service")];
        Self::start(&names, &[])
    }

    fn start(environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command.envs(environment.iter().copied());
        let mut child = command.spawn().unwrap();
        let (say, hear) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, say, hear }
    }

    /// Hands it a token, nothing to begin with.
    pub(crate) fn step(&mut self, token: &[u8]) -> Said {
        writeln!(self.say.as_mut().unwrap(), "{}", hex(token)).unwrap();
        self.hear()
    }

    pub(crate) fn hear(&mut self) -> Said {
        let mut line = String::new();
        self.hear.read_line(&mut line).unwrap();
        let (word, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        match word {
            "token" => Said::Token(unhex(rest)),
            "done" => Said::Done(rest.to_owned()),
            _ => Said::Failed(line),
        }
    }

    /// Its first token.
    pub(crate) fn token(&mut self) -> Vec<u8> {
        match self.hear() {
            Said::Token(token) => token,
            said => panic!("{said:?}"),
        }
    }

    /// Its first token, unless its ticket has ended meanwhile.
    pub(crate) fn token_in_time(&mut self) -> Option<Vec<u8>> {
        match self.hear() {
            Said::Token(token) => Some(token),
            Said::Done(_) | Said::Failed(_) => None,
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.say.take());
        let _ = self.child.wait();
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}
