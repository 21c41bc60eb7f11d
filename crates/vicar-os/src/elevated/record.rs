//! The audit trail of the queue: a JSON line before each task and one after it, and one for each refusal.

use super::task::Task;
use super::wire::Stated;
use core::fmt::Write as _;
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is known of a task.
pub(super) struct Record {
    task: &'static str,
    privilege: &'static str,
    uid: u32,
    gid: u32,
    name: String,
    /// Device and inode of the directory.
    directory: Option<(u64, u64)>,
}

impl Record {
    pub(super) fn new(task: &Task, stated: &Stated) -> Self {
        let mut name = String::new();
        for &byte in task.name().as_bytes() {
            match byte {
                b'"' | b'\\' => name.extend(['\\', char::from(byte)]),
                0x20..=0x7E => name.push(char::from(byte)),
                // Bytes that are no plain character are written as if each was one, so that every name is told apart.
                _ => {
                    let _ = write!(name, "\\u{byte:04x}");
                }
            }
        }
        let privilege = task.privilege().name();
        Self { task: task.word(), privilege, uid: stated.uid.raw(), gid: stated.gid.raw(), name, directory: None }
    }

    pub(super) fn look_at(&mut self, directory: Option<&OwnedFd>) {
        let seen = directory.and_then(|directory| rustix::fs::fstat(directory).ok());
        self.directory = seen.map(|seen| (seen.st_dev, seen.st_ino));
    }

    fn line(&self, what: &str, now: SystemTime) -> String {
        let time = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (device, inode) = self.directory.unwrap_or((0, 0));
        format!(
            "{{\"time\":{}.{:03},\"task\":\"{}\",\"uid\":{},\"gid\":{},\"privilege\":\"{}\",\"device\":{device},\"inode\":{inode},\"name\":\"{}\",\"what\":\"{what}\"}}\n",
            time.as_secs(),
            time.subsec_millis(),
            self.task,
            self.uid,
            self.gid,
            self.privilege,
            self.name,
        )
    }

    /// Writes a line, in one piece.
    pub(super) fn write(&self, audit: &OwnedFd, what: &str) -> Result<(), Errno> {
        let line = self.line(what, SystemTime::now());
        loop {
            match rustix::io::write(audit, line.as_bytes()) {
                Ok(written) if written == line.len() => return Ok(()),
                Ok(_) => return Err(Errno::IO),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Name;
    use crate::{KernelGid, KernelUid};
    use std::time::Duration;
    use vicar_nt::ImpersonationLevel;

    #[test]
    fn a_line_is_one_whatever_the_name() {
        let stated = Stated {
            uid: KernelUid::new(61_001).unwrap(),
            gid: KernelGid::new(61_002).unwrap(),
            level: ImpersonationLevel::Impersonation,
            enabled: 0,
        };
        let name = Name::parse(b"a\"\\\n\xE2\x80\xAE\x7F").unwrap();
        let mut record = Record::new(&Task::TakeOwnership { name }, &stated);
        record.directory = Some((8, 99));
        assert_eq!(
            record.line("begin", UNIX_EPOCH + Duration::from_millis(1_500)),
            "{\"time\":1.500,\"task\":\"take-ownership\",\"uid\":61001,\"gid\":61002,\"privilege\":\"SeTakeOwnershipPrivilege\",\
             \"device\":8,\"inode\":99,\"name\":\"a\\\"\\\\\\u000a\\u00e2\\u0080\\u00ae\\u007f\",\"what\":\"begin\"}\n"
        );
    }
}
