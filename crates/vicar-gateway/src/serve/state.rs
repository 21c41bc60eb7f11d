//! The state directory: the server's own, and nobody else's.

use core::fmt;
use rustix::fs::{FileType, Mode};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Why a directory cannot hold the server's state.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateError {
    /// The system refused.
    System {
        /// What was being done.
        operation: &'static str,
        /// The directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Somebody else owns it or may write it.
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// It lies in the directory that is served.
    Overlaps {
        /// The state directory.
        path: PathBuf,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { operation, path, error } => write!(f, "cannot {operation} {}: {error}", path.display()),
            Self::NotOurs { path, uid, mode } => write!(
                f,
                "state directory {} belongs to uid {uid} with mode {mode:04o}; it must be this user's own and writable by nobody else",
                path.display()
            ),
            Self::Overlaps { path } => {
                write!(f, "state directory {} lies inside the directory that is served", path.display())
            }
        }
    }
}

impl core::error::Error for StateError {}

/// Makes the state directory if there is none (mode 0700) and checks that it is ours.
///
/// # Inputs
/// - `share`: the directory that is served, links resolved.
///
/// # Returns
/// The directory's path, links resolved.
///
/// # Errors
/// - [`StateError`] when it cannot be made, is not this user's own, or lies in the share.
pub fn open(path: &Path, share: &Path) -> Result<PathBuf, StateError> {
    let failed = |operation| move |error| StateError::System { operation, path: path.to_owned(), error };
    let absolute = std::path::absolute(path).map_err(failed("find"))?;
    // What exists of it says where it will be, before anything is made there.
    let existing = absolute.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    if existing.is_some_and(|existing| existing.starts_with(share)) {
        return Err(StateError::Overlaps { path: absolute });
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create"))?;
    let real = path.canonicalize().map_err(failed("find"))?;
    let stat = rustix::fs::stat(&real).map_err(|errno| failed("look at")(errno.into()))?;
    let mode = Mode::from_raw_mode(stat.st_mode).as_raw_mode() & 0o7777;
    let is_ours = stat.st_uid == rustix::process::geteuid().as_raw() && mode & 0o022 == 0;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory || !is_ours {
        return Err(StateError::NotOurs { path: real, uid: stat.st_uid, mode });
    }
    if real.starts_with(share) {
        return Err(StateError::Overlaps { path: real });
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_directory_is_made_private_and_must_stay_ours_and_outside() {
        let dir = std::env::temp_dir().join(format!("vicar-state-{}", std::process::id()));
        let share = dir.join("share");
        std::fs::create_dir_all(&share).unwrap();
        let (dir, share) = (dir.canonicalize().unwrap(), share.canonicalize().unwrap());
        let state = dir.join("a/b");
        assert_eq!(open(&state, &share).unwrap(), state);
        assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o7777, 0o700);
        assert!(open(&state, &share).is_ok());
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(open(&state, &share), Err(StateError::NotOurs { mode: 0o770, .. })));
        assert!(matches!(open(&share.join("a/state"), &share), Err(StateError::Overlaps { .. })));
        let link = dir.join("link");
        std::os::unix::fs::symlink(&share, &link).unwrap();
        assert!(matches!(open(&link.join("state"), &share), Err(StateError::Overlaps { .. })));
        assert_eq!(std::fs::read_dir(&share).unwrap().count(), 0);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
