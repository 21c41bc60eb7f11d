//! A share over a scratch directory, in a process of its own, and requests to it.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vicar_gateway::share::{ShareLimits, ShareOptions};

use crate::worker::{Order, Piece, Setup, Told};

pub(crate) const ALICE: u32 = 61_001;
pub(crate) const BOB: u32 = 61_002;
/// A group both are in.
pub(crate) const TEAM: u32 = 61_100;

/// A directory of the test's own, gone with it.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("vicar-share-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Alice,
    Bob,
}

pub(crate) struct Rig {
    pub(crate) alice: Who,
    pub(crate) bob: Who,
    /// The share: `alice/` 0700, `bob/` 0700, `team/` 2770, all three their own.
    pub(crate) root: PathBuf,
    pub(crate) scratch: Scratch,
    worker: RefCell<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        let (child, _, _) = self.worker.get_mut();
        let _ = child.kill();
        let _ = child.wait();
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as it should.
    pub(crate) whole: bool,
    pub(crate) facts: Told,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, wanted: &str) -> &str {
        self.headers.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }
}

/// Who, method, path, headers and body.
pub(crate) type Asked<'a> = (Who, &'a str, &'a str, &'a [&'a str], &'a str);

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut ShareOptions)) -> Self {
        let scratch = Scratch::new();
        let root = scratch.0.join("share");
        let mut options = ShareOptions::new(&root);
        options.spool = scratch.0.join("spool");
        directory(&root, 0, 0, 0o755);
        directory(&options.spool, 0, 0, 0o1777);
        directory(&root.join("alice"), ALICE, ALICE, 0o700);
        directory(&root.join("bob"), BOB, BOB, 0o700);
        directory(&root.join("team"), 0, TEAM, 0o2770);
        change(&mut options);
        let ShareLimits {
            listing_entries,
            listings_per_user,
            tree_entries,
            tree_depth,
            spool_bytes,
            locks_per_user,
            ..
        } = options.limits;
        let setup = Setup {
            root: options.root,
            spool: options.spool,
            listing_entries,
            listings_per_user,
            tree_entries,
            tree_depth,
            spool_bytes,
            locks_per_user,
        };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        writeln!(input, "{}", serde_json::to_string(&setup).unwrap()).unwrap();
        Self { alice: Who::Alice, bob: Who::Bob, root, scratch, worker: RefCell::new((child, input, output)) }
    }

    fn hear<T: serde::de::DeserializeOwned>(&self) -> T {
        let mut line = String::new();
        self.worker.borrow_mut().2.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn say(&self, line: &str) {
        writeln!(self.worker.borrow_mut().1, "{line}").unwrap();
    }

    /// Sends a request; `between` happens after the head of the answer and before its body. `None` if it was dropped.
    pub(crate) fn ask(&self, order: &Order, between: impl FnOnce()) -> Option<Answer> {
        self.say(&serde_json::to_string(order).unwrap());
        if order.hold {
            self.hear::<()>();
            between();
            self.say("");
        }
        self.answer()
    }

    /// Sends two requests at once; neither body is read before both heads are there.
    pub(crate) fn both(&self, one: Asked<'_>, other: Asked<'_>) -> [Answer; 2] {
        let [mut one, other] = [one, other].map(|(who, method, path, headers, body)| {
            let pieces = vec![Piece::Data(STANDARD.encode(body))];
            order(who, method, path, headers, Some(body.len()), pieces)
        });
        one.beside = Some(Box::new(other));
        self.say(&serde_json::to_string(&one).unwrap());
        [(); 2].map(|()| self.answer().unwrap())
    }

    fn answer(&self) -> Option<Answer> {
        let mut told: Told = self.hear::<Option<Told>>()?;
        let body = STANDARD.decode(std::mem::take(&mut told.body)).unwrap();
        let headers = std::mem::take(&mut told.headers);
        Some(Answer { status: told.status, headers, body, whole: told.whole, facts: told })
    }

    /// One line of request headers an entry: `Name: value`.
    pub(crate) fn send(&self, who: &Who, method: &str, path: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let pieces = body.chunks(100_000).map(|piece| Piece::Data(STANDARD.encode(piece))).collect();
        self.ask(&order(*who, method, path, headers, Some(body.len()), pieces), || {}).unwrap()
    }

    pub(crate) fn status(&self, who: &Who, method: &str, path: &str, headers: &[&str], body: &str) -> u16 {
        self.send(who, method, path, headers, body).status
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }

    /// Puts a file there, as the administrator.
    pub(crate) fn file(&self, path: &str, content: &str, uid: u32, gid: u32, mode: u32) -> PathBuf {
        let path = self.root.join(path);
        fs::write(&path, content).unwrap();
        chown(&path, Some(uid), Some(gid)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Every name in a directory, to see that nothing was left behind.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.root.join(path))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn directory(path: &Path, uid: u32, gid: u32, mode: u32) {
    fs::create_dir(path).unwrap();
    chown(path, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn order(
    who: Who,
    method: &str,
    path: &str,
    headers: &[&str],
    length: Option<usize>,
    pieces: Vec<Piece>,
) -> Order {
    Order {
        bob: who == Who::Bob,
        method: method.to_owned(),
        path: path.to_owned(),
        headers: headers.iter().map(|line| (*line).to_owned()).collect(),
        length,
        pieces,
        hold: false,
        drop_after: None,
        beside: None,
    }
}
