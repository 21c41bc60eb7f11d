//! The files that are opened, and their end.

use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::op::Target;

/// The client's user id and primary group: throw-away numbers that no account has.
pub(crate) const CLIENT: u32 = 61_801;
/// Another client's user id and primary group.
pub(crate) const ANOTHER: u32 = 61_802;
/// The first of the client's supplementary groups.
const FIRST_GROUP: u32 = 200_000;

/// The groups of a client that shall have `count` of them, its primary group among them.
pub(crate) fn groups(primary: u32, count: u32) -> impl Iterator<Item = u32> {
    let more = count.saturating_sub(1);
    (count > 0).then_some(primary).into_iter().chain(FIRST_GROUP..FIRST_GROUP.saturating_add(more))
}

/// A directory of files, removed on drop.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the directory and its files.
    pub(crate) fn create() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("vicar-bench-{}", std::process::id()));
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        fs::DirBuilder::new().mode(0o755).create(&path).map_err(told)?;
        let scratch = Self { path: path.clone() };
        fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(told)?;
        for (name, owner, mode) in
            [(Target::FILE, CLIENT, 0o644), (Target::OF_CLIENT, CLIENT, 0o600), (Target::OF_SERVER, 0, 0o600)]
        {
            let file = path.join(name);
            fs::write(&file, [b'v'; Target::LEN]).map_err(told)?;
            chown(&file, Some(owner), Some(owner)).map_err(told)?;
            fs::set_permissions(&file, Permissions::from_mode(mode)).map_err(told)?;
        }
        Ok(scratch)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("vicar-bench: {} stays: {error}", self.path.display());
        }
    }
}
