//! A scratch directory, people, and a server.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use vicar_os::{ClientContext, KernelGid, KernelUid, LogonKind, Server, StartOptions, Starting, UnixIdentity};

/// A directory that everybody may use, removed by a child that kept root's rights.
pub(crate) struct Scratch {
    dir: PathBuf,
    cleaner: std::process::Child,
}

impl Scratch {
    /// Makes the directory; must come before the server gives up its powers.
    pub(crate) fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("vicar-acting-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o1777)).unwrap();
        let mut cleaner = std::process::Command::new("sh");
        cleaner.args(["-c", "read _; rm -rf -- \"$1\"", "sh"]).arg(&dir).stdin(std::process::Stdio::piped());
        Self { dir, cleaner: cleaner.spawn().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes a file whose content is its name.
    pub(crate) fn file(&self, name: &str, mode: u32, uid: u32, gid: u32) {
        let path = self.path(name);
        std::fs::write(&path, name).unwrap();
        chown(&path, Some(uid), Some(gid)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.cleaner.stdin.take());
        let _ = self.cleaner.wait();
    }
}

pub(crate) fn identity(uid: u32, groups: &[u32]) -> UnixIdentity {
    let groups = groups.iter().map(|gid| KernelGid::new(*gid).unwrap());
    UnixIdentity::new(KernelUid::new(uid).unwrap(), KernelGid::new(uid).unwrap(), groups).unwrap()
}

pub(crate) fn server() -> Server {
    Starting::begin(StartOptions::default()).unwrap().finish().unwrap()
}

pub(crate) fn client(server: &Server, uid: u32, groups: &[u32]) -> ClientContext {
    server.logon(LogonKind::Network, &identity(uid, groups)).unwrap()
}
