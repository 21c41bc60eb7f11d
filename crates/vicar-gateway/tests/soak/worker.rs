//! One client: two users on one connection, an area of its own, and a twin of that area where the kernel is asked.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::cast::User;
use crate::count::Count;
use crate::kernel::{Answer, Done, Kernel, Op, State, state};
use crate::plan::{ASKED, Fate, JUDGED, Kind, Plan, Step};
use crate::wire::{Got, Sent, Wire};

/// What all workers share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) share: PathBuf,
    pub(crate) shared_files: Vec<String>,
    pub(crate) count: Count,
}

impl World {
    fn asked(&self, path: &str) -> String {
        format!("{}/{ASKED}/{path}", self.share.display())
    }

    fn judged(&self, path: &str) -> String {
        format!("{}/{JUDGED}/{path}", self.share.display())
    }
}

/// The names of a request that was cut after it was sent: all are as before, or all as after.
#[derive(Debug)]
pub(crate) struct GivenUp {
    pub(crate) names: Vec<Name>,
}

#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) path: String,
    pub(crate) before: Option<State>,
    pub(crate) after: Option<State>,
}

/// One of the user's children and its user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actor<'a> {
    pub(crate) user: &'a User,
    pub(crate) kernel: &'a Kernel,
}

#[derive(Debug)]
pub(crate) struct Worker<'a> {
    world: &'a World,
    actors: [Actor<'a>; 2],
    plan: Plan,
    wire: Option<Wire>,
    /// What was done before, for the complaints.
    last: String,
    given_up: Vec<GivenUp>,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(world: &'a World, actors: [Actor<'a>; 2], plan: Plan) -> Self {
        Self { world, actors, plan, wire: None, last: String::new(), given_up: Vec::new() }
    }

    /// Does `requests` requests and returns the names whose end is open.
    pub(crate) fn work(mut self, requests: usize) -> Vec<GivenUp> {
        for _ in 0..requests {
            let step = self.plan.next(&self.world.shared_files);
            self.world.count.request(step.kind, step.fate);
            self.step(&step);
            self.last = format!("{:?} {:?}", step.kind, step.fate);
        }
        self.given_up
    }

    fn step(&mut self, step: &Step) {
        let request = self.request(step);
        let op = self.op(step);
        match step.fate {
            Fate::Whole if step.kind == Kind::Lock => self.lock(step),
            Fate::Whole => {
                let answer = self.actors[step.actor].kernel.ask(&op);
                match self.ask(&request) {
                    Ok(got) => self.compare(step, &answer, &got),
                    Err(error) => {
                        self.complain(step, &answer, &format!("no answer: {error}, after {}", self.last));
                        self.give_up(&step.path);
                        self.give_up(&step.to);
                    }
                }
            }
            Fate::CutHalfWay => self.cut_half_way(step, &request),
            Fate::CutUnread => {
                self.open_end(step, &op);
                let sent = self.connected().and_then(|wire| wire.send(&request));
                drop(sent);
                self.wire = None;
            }
            Fate::PanicAsClient | Fate::PanicInHandler => {
                self.open_end(step, &op);
                let point = if step.fate == Fate::PanicAsClient { "client" } else { "handler" };
                match self.ask(&request.with("X-Vicar-Fault", point)) {
                    Ok(got) if got.status == 500 => {}
                    Ok(got) if is_refused(got.status) => {}
                    Ok(got) => self.world.count.complain(format!("{step:?}: a panic was answered {}", got.status)),
                    // The connection may go with the handler, never the server: the next request shows that.
                    Err(_) => self.wire = None,
                }
            }
        }
    }

    /// The kernel does it on the twin; what the server did is looked at when all is over.
    fn open_end(&mut self, step: &Step, op: &Op) {
        if !step.kind.is_write() {
            return;
        }
        let paths = self.touched(step);
        let before: Vec<_> = paths.iter().map(|path| state(&self.world.judged(path))).collect();
        let _ = self.actors[step.actor].kernel.ask(op);
        let mut names = Vec::new();
        for (path, before) in paths.into_iter().zip(before) {
            let after = state(&self.world.judged(&path));
            self.plan.give_up(&path);
            names.push(Name { path, before, after });
        }
        self.given_up.push(GivenUp { names });
    }

    /// A body that never becomes whole must change nothing; an answer that is not read must harm nobody.
    fn cut_half_way(&mut self, step: &Step, request: &Sent) {
        let result = self.connected().and_then(|wire| match request.body.as_ref().map(Vec::len) {
            Some(length @ 2..) => wire.send_part(request, length / 2),
            Some(_) | None if step.kind.is_write() => {
                wire.raw(format!("{} {} HTTP/1.1\r\nHost", request.method, request.path).as_bytes())
            }
            Some(_) | None => wire.send(request),
        });
        drop(result);
        self.wire = None;
    }

    fn connected(&mut self) -> io::Result<&mut Wire> {
        if self.wire.is_none() {
            self.wire = Some(Wire::open(self.world.address)?);
        }
        self.wire.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
    }

    fn ask(&mut self, request: &Sent) -> io::Result<Got> {
        let result = self.connected().and_then(|wire| wire.ask(request));
        match &result {
            Ok(got) => {
                self.world.count.status(got.status);
                if got.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                    self.wire = None;
                }
            }
            Err(_) => self.wire = None,
        }
        result
    }

    fn request(&self, step: &Step) -> Sent {
        let user = self.actors[step.actor].user;
        let url = |path: &str| format!("/{ASKED}/{path}");
        let base = |method, path: &str| Sent::new(method, url(path)).sign_in(&user.name, &user.password);
        let carry = |method| {
            base(method, &step.path)
                .with("Destination", format!("http://{}{}", self.world.address, url(&step.to)))
                .with("Overwrite", if step.overwrite { "T" } else { "F" })
        };
        match step.kind {
            Kind::Get | Kind::GetShared => base("GET", &step.path),
            Kind::Head => base("HEAD", &step.path),
            Kind::Put | Kind::PutLarge => base("PUT", &step.path).body(step.body.as_bytes()),
            Kind::Delete | Kind::RemoveDirectory => base("DELETE", &step.path),
            Kind::MakeDirectory => base("MKCOL", &step.path),
            Kind::Copy => carry("COPY"),
            Kind::Move => carry("MOVE"),
            Kind::Look => base("PROPFIND", &step.path).with("Depth", "0"),
            Kind::List | Kind::ListShared => base("PROPFIND", &format!("{}/", step.path)).with("Depth", "1"),
            Kind::Lock => base("LOCK", &step.path).with("Timeout", "Second-60").with("Content-Type", "text/xml").body(
                "<?xml version=\"1.0\"?><D:lockinfo xmlns:D=\"DAV:\"><D:lockscope><D:exclusive/></D:lockscope>\
                 <D:locktype><D:write/></D:locktype></D:lockinfo>",
            ),
        }
    }

    /// The same for the kernel. What nobody changes is asked about where it is, the rest in the twin.
    fn op(&self, step: &Step) -> Op {
        let path = match step.kind {
            Kind::GetShared | Kind::ListShared => self.world.asked(&step.path),
            Kind::Get
            | Kind::Head
            | Kind::Put
            | Kind::PutLarge
            | Kind::Delete
            | Kind::MakeDirectory
            | Kind::RemoveDirectory
            | Kind::Copy
            | Kind::Move
            | Kind::Look
            | Kind::List
            | Kind::Lock => self.world.judged(&step.path),
        };
        let to = self.world.judged(&step.to);
        match step.kind {
            Kind::Get | Kind::GetShared | Kind::Head => Op::Read { path },
            Kind::Put | Kind::PutLarge => Op::Write { path, body: step.body.clone() },
            Kind::Delete => Op::Unlink { path },
            Kind::RemoveDirectory => Op::RemoveDirectory { path },
            Kind::MakeDirectory => Op::MakeDirectory { path },
            Kind::Copy => Op::Copy { from: path, to, overwrite: step.overwrite },
            Kind::Move => Op::Rename { from: path, to, overwrite: step.overwrite },
            Kind::Look => Op::Stat { path },
            Kind::List | Kind::ListShared => Op::List { path },
            Kind::Lock => Op::OpenForWriting { path },
        }
    }

    fn touched(&self, step: &Step) -> Vec<String> {
        match step.kind {
            Kind::Copy | Kind::Move => vec![step.path.clone(), step.to.clone()],
            Kind::Put | Kind::PutLarge | Kind::Delete | Kind::MakeDirectory | Kind::RemoveDirectory | Kind::Lock => {
                vec![step.path.clone()]
            }
            Kind::Get | Kind::Head | Kind::GetShared | Kind::ListShared | Kind::Look | Kind::List => Vec::new(),
        }
    }

    fn give_up(&mut self, path: &str) {
        self.plan.give_up(path);
        let now = state(&self.world.judged(path));
        let name = Name { path: path.to_owned(), before: now.clone(), after: now };
        self.given_up.push(GivenUp { names: vec![name] });
    }

    fn complain(&self, step: &Step, answer: &Answer, what: &str) {
        let user = &self.actors[step.actor].user;
        let short = match answer {
            Answer::Done(_) => "did it".to_owned(),
            Answer::Failed(errno) => io::Error::from_raw_os_error(*errno).to_string(),
        };
        let to = if matches!(step.kind, Kind::Copy | Kind::Move) {
            format!(" to {} ({})", step.to, step.overwrite)
        } else {
            String::new()
        };
        self.world.count.complain(format!(
            "{} {:?} {}{to}: the kernel: {short}; the server: {what}",
            user.name, step.kind, step.path
        ));
    }

    fn compare(&mut self, step: &Step, answer: &Answer, got: &Got) {
        if !is_expected(step, answer, got.status, &self.world.judged(&step.to)) {
            self.complain(step, answer, &format!("HTTP {}", got.status));
            self.give_up(&step.path);
            self.give_up(&step.to);
            return;
        }
        if let Answer::Done(done) = answer {
            match self.wrong_content(step, done, got) {
                Some(what) => self.complain(step, answer, &what),
                None => self.world.count.compared(),
            }
        }
        for path in self.touched(step) {
            let (asked, judged) = (state(&self.world.asked(&path)), state(&self.world.judged(&path)));
            self.world.count.compared();
            if asked != judged {
                self.complain(step, answer, &format!("{path} is {}, should be {}", brief(&asked), brief(&judged)));
                self.give_up(&path);
            }
        }
    }

    /// What is wrong with a body, if anything.
    fn wrong_content(&self, step: &Step, done: &Done, got: &Got) -> Option<String> {
        match step.kind {
            Kind::Get | Kind::GetShared => {
                let content = done.content.as_deref().unwrap_or_default();
                (got.body != content)
                    .then(|| format!("{} bytes that are not the file's {}", got.body.len(), content.len()))
            }
            Kind::Head => {
                let length = done.content.as_deref().unwrap_or_default().len().to_string();
                let shown = got.header("content-length");
                (shown != Some(length.as_str())).then(|| format!("length {shown:?}, is {length}"))
            }
            Kind::List | Kind::ListShared => {
                let shown = listed(&got.text(), &format!("/{ASKED}/{}/", step.path));
                let is_open = |name: &String| {
                    let path = format!("{}/{name}", step.path);
                    self.given_up.iter().flat_map(|given| &given.names).any(|name| name.path == path)
                };
                let wanted: Vec<_> = done.names.iter().flatten().filter(|name| !is_open(name)).cloned().collect();
                let shown: Vec<_> = shown.into_iter().filter(|name| !is_open(name)).collect();
                (shown != wanted).then(|| format!("listed {shown:?}, is {wanted:?}"))
            }
            Kind::Put
            | Kind::PutLarge
            | Kind::Delete
            | Kind::MakeDirectory
            | Kind::RemoveDirectory
            | Kind::Copy
            | Kind::Move
            | Kind::Look
            | Kind::Lock => None,
        }
    }

    /// Locks, lets the other user try, unlocks; the kernel's word is whether each may write.
    fn lock(&mut self, step: &Step) {
        let path = self.world.judged(&step.path);
        if state(&path).is_none() {
            return;
        }
        let op = Op::OpenForWriting { path };
        let other_step = Step { actor: 1 - step.actor, kind: Kind::Put, ..step.clone() };
        let may = self.actors[step.actor].kernel.ask(&op);
        let other_may = matches!(self.actors[other_step.actor].kernel.ask(&op), Answer::Done(_));
        let got = match self.ask(&self.request(step)) {
            Ok(got) => got,
            Err(error) => return self.complain(step, &may, &format!("no answer: {error}")),
        };
        match (&may, got.status) {
            (Answer::Done(_), 200) => {}
            (Answer::Failed(_), 403 | 404) => return,
            _ => return self.complain(step, &may, &format!("HTTP {}", got.status)),
        }
        let Some(token) = got.header("lock-token").map(str::to_owned) else {
            return self.complain(step, &may, "a lock without a token");
        };
        let unlock = |worker: &mut Self, actor: usize| {
            let user = worker.actors[actor].user;
            let sent = Sent::new("UNLOCK", format!("/{ASKED}/{}", step.path))
                .sign_in(&user.name, &user.password)
                .with("Lock-Token", token.clone());
            worker.ask(&sent)
        };
        // The other has no token, and would get nothing by having it.
        match self.ask(&self.request(&other_step)) {
            Ok(got) if other_may && got.status == 423 => {}
            Ok(got) if !other_may && matches!(got.status, 403 | 404 | 423) => {}
            Ok(got) => self.complain(&other_step, &may, &format!("over another's lock: HTTP {}", got.status)),
            Err(error) => self.complain(&other_step, &may, &format!("no answer: {error}")),
        }
        match unlock(self, other_step.actor) {
            Ok(got) if matches!(got.status, 400 | 403 | 404 | 409 | 423) => {}
            Ok(got) => self.complain(step, &may, &format!("another's UNLOCK: HTTP {}", got.status)),
            Err(error) => self.complain(step, &may, &format!("no answer: {error}")),
        }
        match unlock(self, step.actor) {
            Ok(got) if got.status == 204 => {}
            Ok(got) => self.complain(step, &may, &format!("UNLOCK: HTTP {}", got.status)),
            Err(error) => self.complain(step, &may, &format!("no answer: {error}")),
        }
        for path in self.touched(step) {
            if state(&self.world.asked(&path)) != state(&self.world.judged(&path)) {
                self.complain(step, &may, &format!("{path} changed under a lock"));
                self.give_up(&path);
            }
        }
    }
}

fn is_refused(status: u16) -> bool {
    matches!(status, 403 | 404)
}

/// Whether a status says what the kernel said.
fn is_expected(step: &Step, answer: &Answer, status: u16, to: &str) -> bool {
    let done = match answer {
        Answer::Failed(errno) => return is_expected_failure(step, *errno, status, to),
        Answer::Done(done) => done,
    };
    match step.kind {
        Kind::Get | Kind::GetShared | Kind::Head | Kind::Lock => status == 200,
        Kind::Put | Kind::PutLarge | Kind::Copy | Kind::Move => {
            if done.is_new {
                status == 201
            } else {
                status == 204
            }
        }
        Kind::Delete | Kind::RemoveDirectory => status == 204,
        Kind::MakeDirectory => status == 201,
        Kind::Look | Kind::List | Kind::ListShared => status == 207,
    }
}

fn is_expected_failure(step: &Step, errno: i32, status: u16, to: &str) -> bool {
    let carries = matches!(step.kind, Kind::Copy | Kind::Move);
    // Two reasons to refuse, and the server may see either first.
    if carries && status == 412 {
        return !step.overwrite && state(to).is_some();
    }
    match Errno::from_raw_os_error(errno) {
        Errno::ACCESS | Errno::PERM => is_refused(status),
        Errno::NOENT => status == 404,
        Errno::EXIST if step.kind == Kind::MakeDirectory => status == 405 || status == 403,
        _ => false,
    }
}

/// The names that a multistatus shows below `base`, sorted.
fn listed(xml: &str, base: &str) -> Vec<String> {
    let mut names: Vec<String> = xml
        .split("href>")
        .filter_map(|part| part.split('<').next())
        .filter_map(|href| href.trim().strip_prefix(base))
        .map(|name| name.trim_end_matches('/').to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort();
    names.dedup();
    names
}

pub(crate) fn brief(state: &Option<State>) -> String {
    match state {
        None => "not there".to_owned(),
        Some(State { uid, gid, mode, acl, content }) => {
            let acl = acl
                .as_ref()
                .map(|acl| format!(" list {}", acl.iter().map(|byte| format!("{byte:02x}")).collect::<String>()));
            let content =
                content.as_ref().map_or_else(|| "directory".to_owned(), |bytes| format!("{} bytes", bytes.len()));
            format!("{uid}:{gid} {mode:o} {content}{}", acl.unwrap_or_default())
        }
    }
}
