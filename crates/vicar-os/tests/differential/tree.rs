//! A tree made from numbers, and what is in a tree.

use crate::numbers::Numbers;
use crate::people::{NAMED_GROUPS, USERS};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;

const SUBDIRECTORIES: [&str; 6] = ["d0/e0", "d1/e0", "d2/e0", "d3/e0", "d4/e0", "d4/e0/g0"];
const TARGETS: [&str; 8] = ["f0", "../d1/f1", "../d2/e0", "nowhere", "l0", "..", "/etc/shadow", "../d5/l1"];

fn owner(numbers: &mut Numbers) -> (u32, u32) {
    let uid = if numbers.once_in(5) { 0 } else { USERS[numbers.index(USERS.len())] };
    let gid = if numbers.once_in(6) { 0 } else { NAMED_GROUPS[numbers.index(NAMED_GROUPS.len())] };
    (uid, gid)
}

fn set(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// Makes the tree of `seed` at `root`, as root.
pub(crate) fn build(root: &Path, seed: u64) {
    let mut numbers = Numbers(seed);
    std::fs::create_dir(root).unwrap();
    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o1777)).unwrap();
    let mut directories: Vec<String> = (0..8).map(|index| format!("d{index}")).collect();
    directories.extend(SUBDIRECTORIES.map(str::to_owned));
    let mut files = Vec::new();
    for directory in &directories {
        std::fs::create_dir(root.join(directory)).unwrap();
        for index in 0..6 {
            if numbers.once_in(4) {
                continue;
            }
            let path = root.join(directory).join(format!("f{index}"));
            if !files.is_empty() && numbers.once_in(12) {
                let other: &std::path::PathBuf = &files[numbers.index(files.len())];
                std::fs::hard_link(other, &path).unwrap();
                continue;
            }
            std::fs::write(&path, format!("{seed} {directory} {index}")).unwrap();
            dress(&mut numbers, &path, false);
            files.push(path);
        }
        for index in 0..3 {
            let path = root.join(directory).join(format!("l{index}"));
            symlink(TARGETS[numbers.index(TARGETS.len())], &path).unwrap();
            let (uid, gid) = owner(&mut numbers);
            lchown(&path, Some(uid), Some(gid)).unwrap();
        }
        let path = root.join(directory).join("pipe");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        dress(&mut numbers, &path, false);
    }
    for directory in &directories {
        dress(&mut numbers, &root.join(directory), true);
    }
}

/// Gives a file or directory an owner, a mode, and perhaps an ACL and attributes.
fn dress(numbers: &mut Numbers, path: &Path, is_directory: bool) {
    let (uid, gid) = owner(numbers);
    lchown(path, Some(uid), Some(gid)).unwrap();
    let mut mode = numbers.mode();
    if is_directory {
        // Mostly passable, or nobody would get anywhere.
        mode |= if numbers.once_in(4) { 0 } else { 0o555 };
        mode |= if numbers.once_in(2) { 0 } else { 0o222 };
        mode |= if numbers.once_in(3) { 0o1000 } else { 0 } | if numbers.once_in(3) { 0o2000 } else { 0 };
    } else if numbers.once_in(6) {
        mode |= numbers.below(4) << 10;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    if numbers.once_in(3) {
        set(path, "system.posix_acl_access", &numbers.acl(&USERS, &NAMED_GROUPS));
    }
    if is_directory && numbers.once_in(4) {
        set(path, "system.posix_acl_default", &numbers.acl(&USERS, &NAMED_GROUPS));
    }
    if path.file_name().is_some_and(|name| name != "pipe") && numbers.once_in(4) {
        set(path, "user.a", &numbers.next().to_le_bytes());
    }
    if !is_directory && numbers.once_in(8) {
        set(path, "security.capability", &[1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}

/// Everything in the tree, as root sees it: a line for each name.
pub(crate) fn digest(root: &Path) -> String {
    let mut text = String::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let about = std::fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap();
        write!(text, "{} {:o} {}:{} {}", name.display(), about.mode(), about.uid(), about.gid(), about.nlink())
            .unwrap();
        if about.is_dir() {
            let mut inside: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
            inside.sort_unstable();
            waiting.extend(inside);
        } else if about.is_file() {
            write!(text, " {}", std::fs::read(&path).unwrap().escape_ascii()).unwrap();
        } else if about.is_symlink() {
            write!(text, " -> {}", std::fs::read_link(&path).unwrap().display()).unwrap();
        }
        let mut list = [0_u8; 1024];
        let len = rustix::fs::llistxattr(&path, &mut list[..]).unwrap();
        let mut names: Vec<&[u8]> = list[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        for name in names {
            let mut value = [0_u8; 1024];
            let len = rustix::fs::lgetxattr(&path, name, &mut value[..]).unwrap();
            write!(text, " {}={:?}", name.escape_ascii(), &value[..len]).unwrap();
        }
        text.push('\n');
    }
    text
}
