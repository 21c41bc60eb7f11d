//! Files arranged as root, and clients who meet them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use vicar_os::fs::{BeneathPath, Name, Root};
use vicar_os::{
    AsClient, ClientContext, KernelGid, KernelUid, LogonKind, Server, StartOptions, Starting, UnixIdentity,
};

pub(crate) const ALICE: u32 = 61_001;
pub(crate) const BOB: u32 = 61_002;
/// A group that alice is in and bob is not.
pub(crate) const TEAM: u32 = 61_100;

/// A scratch directory with `root/`, in which alice may make files.
pub(crate) struct Stage(pub(crate) PathBuf);

pub(crate) fn prepare(scratch: &Path) {
    let _ = fs::remove_dir_all(scratch);
    for path in [scratch.to_owned(), scratch.join("root")] {
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    chown(scratch.join("root"), Some(ALICE), Some(ALICE)).unwrap();
}

impl Stage {
    pub(crate) fn of(path: &str) -> Self {
        Self(PathBuf::from(path))
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    pub(crate) fn file(&self, path: &str, content: &str, uid: u32, gid: u32, mode: u32) {
        let path = self.0.join(path);
        fs::write(&path, content).unwrap();
        chown(&path, Some(uid), Some(gid)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn directory(&self, path: &str, uid: u32, gid: u32, mode: u32) {
        let path = self.0.join(path);
        fs::create_dir(&path).unwrap();
        chown(&path, Some(uid), Some(gid)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Gives up this process's powers.
    pub(crate) fn act(self) -> Acting {
        let server = Starting::begin(StartOptions::default()).unwrap().finish().unwrap();
        let client = |uid, groups: &[u32]| {
            let gid = |raw: &u32| KernelGid::new(*raw).unwrap();
            let identity = UnixIdentity::new(KernelUid::new(uid).unwrap(), gid(&uid), groups.iter().map(gid)).unwrap();
            server.logon(LogonKind::NetworkCleartext, &identity).unwrap()
        };
        let (alice, bob) = (client(ALICE, &[TEAM]), client(BOB, &[]));
        Acting { server, alice, bob, stage: self }
    }
}

pub(crate) struct Acting {
    server: Server,
    pub(crate) alice: ClientContext,
    pub(crate) bob: ClientContext,
    pub(crate) stage: Stage,
}

impl Acting {
    /// Acts as a client beneath `root/`.
    pub(crate) fn run<R>(&self, client: &ClientContext, work: impl FnOnce(&AsClient<'_>, &Root) -> R) -> R {
        self.server
            .run_as(client, |as_client| {
                let root = Root::open(as_client, &self.stage.root()).unwrap();
                work(as_client, &root)
            })
            .unwrap()
    }

    pub(crate) fn run_plain<R>(&self, client: &ClientContext, work: impl FnOnce(&AsClient<'_>) -> R) -> R {
        self.server.run_as(client, work).unwrap()
    }
}

pub(crate) fn path(text: &str) -> BeneathPath {
    BeneathPath::parse(text.as_bytes()).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}
