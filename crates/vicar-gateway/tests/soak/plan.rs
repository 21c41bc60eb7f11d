//! What the clients do: the files that are there at the start, and the next request.

use std::path::Path;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::cast::{CROWD, TEAM, User};
use crate::chance::Chance;
use crate::kernel::{ACL, DEFAULT_ACL};
use crate::rig;

/// The tree that the server is asked for; its twin for the kernel is beside it.
pub(crate) const ASKED: &str = "asked";
pub(crate) const JUDGED: &str = "judged";
/// Files that nobody changes, in the asked tree.
pub(crate) const SHARED: &str = "shared";
/// A large file for everybody.
pub(crate) const BIG: &str = "shared/big.bin";
pub(crate) const BIG_BYTES: usize = 2_000_000;

const MODES: [u32; 10] = [0o600, 0o640, 0o644, 0o604, 0o660, 0o606, 0o666, 0o400, 0o040, 0o004];
/// Whoever writes such a file takes the set-id bits away.
const SET_ID_MODES: [u32; 4] = [0o4755, 0o2775, 0o6777, 0o4644];
/// Names in each directory.
const SLOTS: usize = 4;
/// Names of directories in each directory.
const DIRECTORIES: usize = 2;

/// Which method, on what kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Get,
    Head,
    GetShared,
    ListShared,
    Put,
    PutLarge,
    Delete,
    MakeDirectory,
    RemoveDirectory,
    Copy,
    Move,
    Look,
    List,
    Lock,
}

/// How often, in a thousand.
const WEIGHTS: [(Kind, usize); 14] = [
    (Kind::Get, 200),
    (Kind::Head, 40),
    (Kind::GetShared, 130),
    (Kind::ListShared, 20),
    (Kind::Put, 190),
    (Kind::PutLarge, 10),
    (Kind::Delete, 60),
    (Kind::MakeDirectory, 30),
    (Kind::RemoveDirectory, 20),
    (Kind::Copy, 70),
    (Kind::Move, 70),
    (Kind::Look, 70),
    (Kind::List, 60),
    (Kind::Lock, 30),
];

impl Kind {
    pub(crate) const fn is_write(self) -> bool {
        match self {
            Self::Put
            | Self::PutLarge
            | Self::Delete
            | Self::MakeDirectory
            | Self::RemoveDirectory
            | Self::Copy
            | Self::Move
            | Self::Lock => true,
            Self::Get | Self::Head | Self::GetShared | Self::ListShared | Self::Look | Self::List => false,
        }
    }

    fn pick(chance: &mut Chance) -> Self {
        let mut at = chance.below(1000);
        for (kind, weight) in WEIGHTS {
            match at.checked_sub(weight) {
                Some(rest) => at = rest,
                None => return kind,
            }
        }
        Self::Get
    }
}

/// What happens to a request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Whole,
    /// The connection is cut before the body is whole, or while the answer comes.
    CutHalfWay,
    /// The connection is cut when everything is sent and nothing was read.
    CutUnread,
    /// The job panics as the client.
    PanicAsClient,
    /// The handler panics before any job.
    PanicInHandler,
}

impl Fate {
    /// At least five in a hundred are cut, and one panics; locks are left alone.
    fn pick(chance: &mut Chance) -> Self {
        match chance.below(1000) {
            0..28 => Self::CutHalfWay,
            28..56 => Self::CutUnread,
            56..63 => Self::PanicAsClient,
            63..70 => Self::PanicInHandler,
            _ => Self::Whole,
        }
    }
}

/// One step of a worker. Paths are relative to a tree.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Which of the worker's two users.
    pub(crate) actor: usize,
    pub(crate) kind: Kind,
    pub(crate) fate: Fate,
    pub(crate) path: String,
    pub(crate) to: String,
    pub(crate) overwrite: bool,
    pub(crate) body: String,
}

/// What one worker may touch, and the next name in each place.
#[derive(Debug)]
pub(crate) struct Plan {
    chance: Chance,
    area: String,
    /// Counts up when a name is given up; per directory and slot, the last slots being directories.
    generations: Vec<[usize; SLOTS + DIRECTORIES]>,
    count: usize,
}

const PLACES: [&str; 4] = ["first", "second", "team", "open"];

impl Plan {
    pub(crate) fn new(worker: usize, seed: u64) -> Self {
        Self {
            chance: Chance::new(seed ^ (worker as u64 + 1)),
            area: area(worker),
            generations: vec![[0; SLOTS + DIRECTORIES]; PLACES.len()],
            count: 0,
        }
    }

    pub(crate) fn next(&mut self, shared: &[String]) -> Step {
        self.count += 1;
        let chance = &mut self.chance;
        let kind = Kind::pick(chance);
        let mut fate = Fate::pick(chance);
        if kind == Kind::Lock {
            fate = Fate::Whole;
        }
        // Mostly in turn, sometimes the same again.
        let actor = if chance.percent(90) { self.count % 2 } else { chance.below(2) };
        let overwrite = chance.percent(60);
        let path = match kind {
            Kind::GetShared if fate == Fate::CutHalfWay => BIG.to_owned(),
            Kind::GetShared => chance.pick(shared).clone(),
            Kind::ListShared => format!("{SHARED}/d-{}", chance.below(8)),
            Kind::List => self.place(),
            Kind::MakeDirectory | Kind::RemoveDirectory => self.directory(),
            Kind::Get
            | Kind::Head
            | Kind::Put
            | Kind::PutLarge
            | Kind::Delete
            | Kind::Copy
            | Kind::Move
            | Kind::Look
            | Kind::Lock => self.file(),
        };
        let mut to = self.file();
        while to == path {
            to = self.file();
        }
        let body = match kind {
            Kind::PutLarge => format!("{path} {} {}\n", self.count, "x".repeat(300_000)),
            _ => format!("{path} {}\n", self.count),
        };
        Step { actor, kind, fate, path, to, overwrite, body }
    }

    fn place(&mut self) -> String {
        format!("{}/{}", self.area, self.chance.pick(&PLACES))
    }

    fn file(&mut self) -> String {
        let (place, slot) = (self.chance.below(PLACES.len()), self.chance.below(SLOTS));
        file_name(&self.area, place, slot, self.generations[place][slot])
    }

    fn directory(&mut self) -> String {
        let (place, slot) = (self.chance.below(PLACES.len()), SLOTS + self.chance.below(DIRECTORIES));
        file_name(&self.area, place, slot, self.generations[place][slot])
    }

    /// Never asks for this name again: what became of it is known only at the end.
    pub(crate) fn give_up(&mut self, path: &str) {
        for place in 0..PLACES.len() {
            for slot in 0..SLOTS + DIRECTORIES {
                if file_name(&self.area, place, slot, self.generations[place][slot]) == path {
                    self.generations[place][slot] += 1;
                }
            }
        }
    }
}

fn file_name(area: &str, place: usize, slot: usize, generation: usize) -> String {
    let kind = if slot < SLOTS { 'f' } else { 'd' };
    format!("{area}/{}/{kind}{slot}-{generation}", PLACES[place])
}

fn area(worker: usize) -> String {
    format!("w-{worker:02}")
}

/// Lays the files of one worker and its two users.
pub(crate) fn lay_area(tree: &Path, worker: usize, users: [&User; 2], seed: u64) {
    let mut chance = Chance::new(seed ^ 0x5eed ^ worker as u64);
    let [first, second] = users;
    let home = tree.join(area(worker));
    rig::directory(&home, 0, 0, 0o755);
    rig::directory(&home.join("first"), first.uid, first.gid, 0o755);
    rig::directory(&home.join("second"), second.uid, TEAM, 0o750);
    rig::directory(&home.join("team"), 0, TEAM, 0o2770);
    rig::directory(&home.join("open"), 0, 0, 0o1777);
    // What is made in one of them inherits a list.
    set_acl(&home.join(PLACES[worker % PLACES.len()]), DEFAULT_ACL, &mut chance, second.uid);
    for (place, name) in PLACES.iter().enumerate() {
        for slot in 0..SLOTS - 1 {
            let owner = users[chance.below(2)];
            let gid = *chance.pick(&[owner.gid, TEAM, CROWD]);
            let mode = if chance.percent(15) { *chance.pick(&SET_ID_MODES) } else { *chance.pick(&MODES) };
            let path = tree.join(file_name(&area(worker), place, slot, 0));
            rig::file(&path, owner.uid, gid, mode, format!("seed {worker} {name} {slot}\n").as_bytes());
            // A list could take the group's x away, and then g+s is no set-id bit but the mark of a locked file.
            if mode & 0o6000 == 0 && chance.percent(40) {
                let named = users[chance.below(2)].uid;
                set_acl(&path, ACL, &mut chance, named);
            }
        }
    }
}

/// Gives a file a list with a named user and a named group in it; their rights are drawn.
fn set_acl(path: &Path, which: &str, chance: &mut Chance, named: u32) {
    const NOBODY: u32 = u32::MAX;
    let mut rights = || u16::try_from(chance.below(4)).unwrap() * 2;
    let entries: [(u16, u16, u32); 6] = [
        (0x01, 6, NOBODY),
        (0x02, rights(), named),
        (0x04, rights(), NOBODY),
        (0x08, rights(), TEAM),
        (0x10, 6, NOBODY),
        (0x20, rights(), NOBODY),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, perm, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(perm.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    match rustix::fs::setxattr(path, which, &bytes, XattrFlags::empty()) {
        // A file system without lists is soaked without lists.
        Ok(()) | Err(Errno::OPNOTSUPP) => {}
        Err(errno) => panic!("{}: {errno}", path.display()),
    }
}

/// Lays the files that nobody changes and names those that can be asked for.
pub(crate) fn lay_shared(tree: &Path, users: &[User]) -> Vec<String> {
    let shared = tree.join(SHARED);
    rig::directory(&shared, 0, 0, 0o755);
    rig::file(&tree.join(BIG), 0, 0, 0o644, &vec![b'b'; BIG_BYTES]);
    let mut names = Vec::new();
    for (number, user) in users.iter().enumerate() {
        let directory = format!("{SHARED}/d-{number}");
        let mode = [0o755, 0o711, 0o700, 0o750, 0o705, 0o770, 0o751, 0o744][number % 8];
        rig::directory(&tree.join(&directory), user.uid, TEAM, mode);
        for mode in MODES {
            for gid in [user.gid, TEAM, CROWD] {
                let name = format!("{directory}/m-{mode:04o}-{gid}.txt");
                rig::file(&tree.join(&name), user.uid, gid, mode, format!("{name}\n").as_bytes());
                names.push(name);
            }
        }
    }
    names
}
