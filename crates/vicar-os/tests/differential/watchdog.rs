//! A thread that reads every thread's ids all the time: each is the server, nobody, or a client it may be.

use crate::people;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Who each thread says it acts for, with a number that changes whenever it says something else.
#[derive(Default)]
pub(crate) struct Declared(Mutex<HashMap<i32, (u64, Option<usize>)>>);

impl Declared {
    /// Declares that this thread acts for `who` until the value is dropped.
    pub(crate) fn acts_for(self: &Arc<Self>, who: usize) -> Acting {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        self.say(thread, Some(who));
        Acting { declared: Arc::clone(self), thread }
    }

    fn say(&self, thread: i32, who: Option<usize>) {
        let mut all = self.0.lock().unwrap();
        let number = all.get(&thread).map_or(0, |(number, _)| *number);
        all.insert(thread, (number + 1, who));
    }

    fn of(&self, thread: i32) -> Option<(u64, Option<usize>)> {
        self.0.lock().unwrap().get(&thread).copied()
    }
}

pub(crate) struct Acting {
    declared: Arc<Declared>,
    thread: i32,
}

impl Drop for Acting {
    fn drop(&mut self) {
        self.declared.say(self.thread, None);
    }
}

pub(crate) struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Watched>,
}

/// How much was seen.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) readings: u64,
    /// Readings of a thread in the middle of a client's job.
    pub(crate) acting: u64,
}

const NONE: &str = "0000000000000000";
const TWO: &str = "00000000000000c0";

impl Watchdog {
    pub(crate) fn start(declared: &Arc<Declared>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, declared) = (Arc::clone(&stop), Arc::clone(declared));
        let groups = lines("/proc/self/status").unwrap()["Groups"].clone();
        let thread = std::thread::spawn(move || {
            let mut watched = Watched::default();
            while !ended.load(Ordering::Relaxed) {
                for task in std::fs::read_dir("/proc/self/task").unwrap() {
                    watch(task.unwrap().file_name().to_str().unwrap(), &declared, &groups, &mut watched);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            watched
        });
        Self { stop, thread }
    }

    /// Ends it; panics when it saw what must not be.
    pub(crate) fn end(self) -> Watched {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn lines(path: &str) -> Option<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = |line: &str| {
        let (key, value) = line.split_once(':')?;
        Some((key.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
    };
    Some(text.lines().filter_map(line).collect())
}

/// `Uid` or `Gid` line of a thread that acts as `id`.
fn acting(id: u32) -> String {
    format!("65520 {id} 0 {id}")
}

/// The same of one that has no way back.
fn for_good(id: u32) -> String {
    format!("65520 {id} 65520 {id}")
}

/// Looks at one thread. One in the middle of a change that has declared nothing so far is looked at again: what it passes
/// through has an end, what it should not be has none.
fn watch(task: &str, declared: &Declared, servers_groups: &str, watched: &mut Watched) {
    let mut seen = String::new();
    for _ in 0..30_000 {
        match look(task, declared, servers_groups, watched) {
            Ok(()) => return,
            Err(what) => seen = what,
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("{seen}");
}

/// One reading; an error says what a thread may only be for a moment. Panics at what it must never be.
fn look(task: &str, declared: &Declared, servers_groups: &str, watched: &mut Watched) -> Result<(), String> {
    let thread = task.parse().unwrap();
    let before = declared.of(thread);
    // A thread that ended meanwhile is none.
    let Some(shown) = lines(&format!("/proc/self/task/{task}/status")) else { return Ok(()) };
    let is_settled = before == declared.of(thread);
    watched.readings += 1;
    let (users, groups, list) = (&shown["Uid"], &shown["Gid"], &shown["Groups"]);
    let is_nobody = *users == acting(65_520) && *groups == *users && list == "65520";
    let is_client_thread = shown["Name"].starts_with("client-") || shown["Seccomp"] == "2";
    if let Some((_, Some(who))) = before
        && is_settled
    {
        let wanted = people::identity(who);
        let wanted_groups = wanted.groups().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let is_client = *users == acting(wanted.uid().raw()) && *groups == acting(wanted.gid().raw());
        let holds_nothing = shown["CapEff"] == NONE && shown["CapPrm"] == TWO && shown["CapInh"] == NONE;
        assert!(is_client && *list == wanted_groups && holds_nothing, "thread {task} acts for {wanted}: {shown:?}");
        watched.acting += 1;
        return Ok(());
    }
    // Between jobs, or in the middle of a change: whoever has a client's user has exactly its group and groups.
    let effective: u32 = users.split(' ').nth(1).unwrap().parse().unwrap();
    if effective == 0 {
        // Client threads are the server for no longer than the change from one client to the next.
        let is_server = users == "0 0 0 0" && groups == "0 0 0 0" && list == servers_groups;
        if !(is_server || before.is_some() || !is_settled || is_client_thread) {
            return Err(format!("thread {task} is {shown:?}"));
        }
    } else if !is_nobody {
        let who = people::USERS.iter().take(people::COUNT).position(|uid| *uid == effective);
        let wanted = people::identity(who.unwrap_or_else(|| panic!("thread {task} is {shown:?}")));
        let wanted_groups = wanted.groups().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        // Whose identity a ring keeps is the client for good, and ends.
        let is_kept = shown["Name"] == "ring-capture" && *users == for_good(effective) && shown["CapEff"] == NONE;
        let is_whole = *users == *groups && *list == wanted_groups && (*users == acting(effective) || is_kept);
        assert!(is_whole, "thread {task} is {shown:?}");
        if !(before.is_some() || !is_settled || is_client_thread || is_kept) {
            return Err(format!("thread {task} acts for nobody: {shown:?}"));
        }
    }
    Ok(())
}
