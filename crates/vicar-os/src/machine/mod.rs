//! What this machine and this process allow: the facts that decide which roads are open.
//!
//! [`look`] reads files of `/proc`, `/sys` and `/etc` and asks the kernel for nothing that changes anything. Whether a
//! road really works is another question, which the self-tests of start-up answer.
//!
//! # Source
//! capabilities(7), user_namespaces(7), seccomp(2), proc(5), landlock(7), nfs(5).

mod mount;
#[cfg(test)]
mod tests;

pub use mount::{Caveat, Mount};

use crate::source;
use rustix::thread::CapabilitySet;
use std::os::fd::AsFd as _;
use std::path::Path;

/// Everything that was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The running kernel's release.
    pub kernel: String,
    /// What this process is.
    pub process: Process,
    /// What a process without capabilities may do to get ids of its own.
    pub namespaces: Namespaces,
    /// The system's switch for io_uring.
    pub io_uring: IoUring,
    /// Security modules in the order the kernel asks them; `None` when securityfs is not mounted.
    pub modules: Option<Vec<String>>,
    /// Whether a connected Unix socket gives a descriptor of the very process at its other end (Linux 6.5).
    pub peer_process: bool,
    /// Mounted file systems on which acting as a client is not the whole story.
    pub mounts: Vec<Mount>,
}

/// The calling process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Real user id.
    pub uid: u32,
    /// Names of the effective capabilities, such as `CAP_SETUID`.
    pub effective: Vec<String>,
    /// Names of the capabilities that a program it executes could get.
    pub bounding: Vec<String>,
    /// Whether executing a set-user-ID program gives nothing any more.
    pub no_new_privileges: bool,
    /// Whether a system call filter is installed.
    pub is_filtered: bool,
    /// Whether setgroups(2) is denied in this user namespace, for good.
    pub groups_denied: bool,
}

impl Process {
    /// Whether it may change its threads' users, groups and group lists.
    #[must_use]
    pub fn can_switch(&self) -> bool {
        let has = |name: &str| self.effective.iter().any(|held| held == name);
        has("CAP_SETUID") && has("CAP_SETGID") && !self.groups_denied
    }
}

/// User namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaces {
    /// Whether this process is in the first one, where ids are the kernel's own.
    pub is_first: bool,
    /// How many this user may make; 0 is none.
    pub most: u64,
    /// What the system says against making one without capabilities.
    pub restricted_by: Option<&'static str>,
    /// How many further user and group ids the account has been lent.
    pub lent: (u64, u64),
}

/// `/proc/sys/kernel/io_uring_disabled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoUring {
    /// Everybody may use it.
    Allowed,
    /// Only a process with CAP_SYS_ADMIN or of the system's io_uring group.
    Privileged,
    /// Nobody.
    Disabled,
    /// The kernel has no such switch (before Linux 6.6); it may or may not have io_uring.
    NoSwitch,
}

/// Looks around. What cannot be read is taken for what allows less.
#[must_use]
pub fn look() -> Machine {
    let status = text("/proc/thread-self/status");
    let uid = rustix::process::getuid().as_raw();
    Machine {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        process: process(uid, &status, &text("/proc/self/setgroups")),
        namespaces: Namespaces {
            is_first: crate::capability::namespace_here() == crate::capability::Namespace::First,
            most: number(&text("/proc/sys/user/max_user_namespaces")).unwrap_or(0),
            restricted_by: restricted_by(),
            lent: lent(uid),
        },
        io_uring: io_uring(&text("/proc/sys/kernel/io_uring_disabled")),
        modules: std::fs::read_to_string("/sys/kernel/security/lsm")
            .ok()
            .map(|list| list.trim().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()),
        peer_process: gives_peer_process(),
        mounts: mount::of(&text("/proc/self/mountinfo")),
    }
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn field<'text>(status: &'text str, key: &str) -> Option<&'text str> {
    status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
}

fn process(uid: u32, status: &str, setgroups: &str) -> Process {
    let set = |key| names(field(status, key).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0));
    Process {
        uid,
        effective: set("CapEff"),
        bounding: set("CapBnd"),
        no_new_privileges: field(status, "NoNewPrivs") == Some("1"),
        is_filtered: field(status, "Seccomp").is_some_and(|mode| mode != "0"),
        groups_denied: setgroups.trim() == "deny",
    }
}

fn names(bits: u64) -> Vec<String> {
    CapabilitySet::from_bits_retain(bits).iter_names().map(|(name, _)| format!("CAP_{name}")).collect()
}

fn io_uring(text: &str) -> IoUring {
    match text.trim() {
        "0" => IoUring::Allowed,
        "1" => IoUring::Privileged,
        "" => IoUring::NoSwitch,
        _ => IoUring::Disabled,
    }
}

fn restricted_by() -> Option<&'static str> {
    let set_to = |path: &'static str, value: &str| (text(path).trim() == value).then_some(path);
    // Debian's own switch and Ubuntu's; elsewhere they do not exist.
    set_to("/proc/sys/kernel/unprivileged_userns_clone", "0")
        .or_else(|| set_to("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"))
}

fn lent(uid: u32) -> (u64, u64) {
    let Ok(account) = source::account::by_uid(uid) else { return (0, 0) };
    let count = |path| lent_in(&text(path), &account.name, uid);
    (count("/etc/subuid"), count("/etc/subgid"))
}

/// Ids that the lines of subuid(5) give to an account, by its name or its number.
fn lent_in(lines: &str, name: &str, uid: u32) -> u64 {
    let of = |line: &str| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let is_ours = owner == name || owner.parse() == Ok(uid);
        let count: u64 = fields.nth(1)?.trim().parse().ok()?;
        is_ours.then_some(count)
    };
    lines.lines().filter_map(of).fold(0, u64::saturating_add)
}

/// Asks a socket pair of this process's own.
fn gives_peer_process() -> bool {
    std::os::unix::net::UnixStream::pair()
        .is_ok_and(|(near, _far)| matches!(crate::sys::socket::peer_process(near.as_fd()), Ok(Some(_))))
}

/// The caveat of the file system that a path lies on, if it has one.
#[must_use]
pub fn caveat_of<'machine>(machine: &'machine Machine, path: &Path) -> Option<&'machine Mount> {
    machine.mounts.iter().filter(|mount| path.starts_with(&mount.at)).max_by_key(|mount| mount.at.as_os_str().len())
}
