//! Writes one line of a password file.

use super::file::{FileError, PasswordFile, Person, Root, open_own};
use super::hash::PasswordHash;
use core::fmt;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Whether a name was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Its line was replaced.
    Replaced,
    /// A line was added.
    Added,
}

/// Why the line was not written. The old file is as it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteError {
    /// The file that is there is not used.
    File(FileError),
    /// The system refused.
    System {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::System { operation, path, error } => write!(f, "cannot {operation} {}: {error}", path.display()),
        }
    }
}

impl core::error::Error for WriteError {}

/// Puts a person's line into a password file, in place of the line with the same name or at the end.
///
/// A file that does not exist is made with mode 0600. Comments and other lines stay as they are. The new content is
/// written beside the file and renamed over it, so that a reader sees the old file or the new one; two writers take turns.
///
/// # Errors
/// - [`WriteError`]; the file is unchanged.
///
/// # Identity
/// Writes as the caller; the file must be the caller's own.
pub fn put_line(path: &Path, person: &Person, hash: &PasswordHash) -> Result<Written, WriteError> {
    let (path, file, mode) = open_locked(path)?;
    let system = |operation| {
        let path = path.clone();
        move |error: std::io::Error| WriteError::System { operation, path, error }
    };
    let mut old = Vec::new();
    (&file).read_to_end(&mut old).map_err(system("read"))?;
    // Also proves that what is kept is a password file and not something else.
    PasswordFile::parse(&old, &path, Root::Allowed).map_err(WriteError::File)?;
    let (new, written) = replace(&old, person, hash);
    let (temporary, mut out) = create_beside(&path, mode).map_err(system("write beside"))?;
    let result = out
        .write_all(&new)
        .and_then(|()| out.sync_all())
        .and_then(|()| std::fs::rename(&temporary, &path))
        .and_then(|()| sync_directory(&path));
    if let Err(error) = result {
        // It may have been renamed already; then there is nothing to remove.
        let _ = std::fs::remove_file(&temporary);
        return Err(system("write")(error));
    }
    drop(file);
    Ok(written)
}

/// Opens and locks the file that `path` names now; makes it if there is none.
fn open_locked(path: &Path) -> Result<(PathBuf, File, u32), WriteError> {
    loop {
        let system = |operation, error| WriteError::System { operation, path: path.to_owned(), error };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(_made) => {}
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(system("create", error.into())),
        }
        let real = path.canonicalize().map_err(|error| system("find", error))?;
        let (file, mode) = open_own(&real).map_err(WriteError::File)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|error| system("lock", error.into()))?;
        // Another writer may have renamed a new file here while we waited for the lock of the old one.
        let (ours, there) = (rustix::fs::fstat(&file), rustix::fs::stat(&real));
        match (ours, there) {
            (Ok(ours), Ok(there)) if (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino) => {
                return Ok((real, file, mode));
            }
            (Ok(_), Ok(_)) | (_, Err(rustix::io::Errno::NOENT)) => {}
            (Err(error), _) | (_, Err(error)) => return Err(system("look at", error.into())),
        }
    }
}

/// The old lines with the person's one put in; every other byte is kept.
fn replace(old: &[u8], person: &Person, hash: &PasswordHash) -> (Vec<u8>, Written) {
    let line = format!("{person}:{}\n", hash.as_str());
    let mut new = Vec::with_capacity(old.len().saturating_add(line.len()).saturating_add(1));
    let mut written = Written::Added;
    for raw in old.split_inclusive(|byte| *byte == b'\n') {
        if written == Written::Added && is_line_of(raw, &person.name) {
            new.extend_from_slice(line.as_bytes());
            written = Written::Replaced;
        } else {
            new.extend_from_slice(raw);
        }
    }
    if written == Written::Added {
        if new.last().is_some_and(|last| *last != b'\n') {
            new.push(b'\n');
        }
        new.extend_from_slice(line.as_bytes());
    }
    (new, written)
}

fn is_line_of(raw: &[u8], name: &str) -> bool {
    let Ok(text) = core::str::from_utf8(raw) else { return false };
    let person = text.trim_end().rsplit_once(':').map(|(person, _)| Person::parse(person));
    matches!(person, Some(Ok(person)) if person.name == name)
}

fn create_beside(path: &Path, mode: u32) -> std::io::Result<(PathBuf, File)> {
    let mut salt = [0_u8; 8];
    getrandom::fill(&mut salt).map_err(|_| std::io::Error::other("no randomness"))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.new", u64::from_le_bytes(salt)));
    let temporary = path.with_file_name(name);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::open(&temporary, flags, Mode::from_raw_mode(mode & 0o600))?;
    // The mode that the file had, whatever the umask is.
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode & 0o7777))?;
    Ok((temporary, File::from(fd)))
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::hash::Cost;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn lines_are_added_replaced_and_everything_else_is_kept() {
        let dir = std::env::temp_dir().join(format!("vicar-put-line-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let path = dir.join("passwords");
        let hash = PasswordHash::of("x", Cost::Random).unwrap();
        let put = |text: &str| put_line(&path, &Person::parse(text).unwrap(), &hash).unwrap();
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(put("alice"), Written::Added);
        assert_eq!(mode(), 0o600);
        let h = hash.as_str();
        std::fs::write(&path, format!("# people\nalice:{h}\n\n  \nbob@5:6:{h}")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(put("carol@61003:61003,61050"), Written::Added);
        assert_eq!(put("alice@61001:61001"), Written::Replaced);
        let expected = format!("# people\nalice@61001:61001:{h}\n\n  \nbob@5:6:{h}\ncarol@61003:61003,61050:{h}\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(mode(), 0o640);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        std::fs::write(&path, "not a password file\n").unwrap();
        assert!(put_line(&path, &Person::parse("alice").unwrap(), &hash).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a password file\n");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn two_writers_at_once_lose_no_line() {
        let dir = std::env::temp_dir().join(format!("vicar-put-lines-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let path = dir.join("passwords");
        let hash = PasswordHash::of("x", Cost::Random).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (path, hash) = (&path, &hash);
                scope.spawn(move || {
                    for index in 0..10 {
                        put_line(path, &Person::parse(&format!("p{thread}-{index}")).unwrap(), hash).unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 40);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
