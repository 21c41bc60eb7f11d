//! Roads that take requests, not closures: tried on two files in a directory of their own.

use super::{FIRST_ID, Found, SECOND_ID, TURNS, TrialError, broken, client};
use crate::fs::{BeneathPath, Errno};
use crate::sealed::{FileAccess, FileAnswer, FileError, FileRequest, Plan, Purpose, Seal, SealedWorkers};
use crate::{ClientContext, SelfTest, Server};
use rustix::fs::Mode;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// A directory in which everybody may make files. It and they are gone when it is dropped: the server owns it.
struct Stage {
    path: PathBuf,
}

/// How many names of others are passed over.
const MOST_TRIES: u32 = 100;

impl Stage {
    fn make() -> Found<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut tries = 0_u32;
        let path = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("vicar-trial-{}-{number}", std::process::id()));
            match rustix::fs::mkdir(&path, Mode::RWXU) {
                Ok(()) => break path,
                // Anybody may have taken a name.
                Err(Errno::EXIST) if tries < MOST_TRIES => tries = tries.saturating_add(1),
                Err(errno) => return Err(broken("mkdir")(errno)),
            }
        };
        let stage = Self { path };
        rustix::fs::chmod(&stage.path, Mode::from_raw_mode(0o1777)).map_err(broken("chmod"))?;
        Ok(stage)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed is what somebody else put there meanwhile.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The two clients with their files' names.
fn people(server: &Server) -> Found<[(ClientContext, &'static [u8]); 2]> {
    Ok([(client(server, FIRST_ID, &[SECOND_ID])?, b"first"), (client(server, SECOND_ID, &[])?, b"second")])
}

fn beneath(name: &[u8]) -> Found<BeneathPath> {
    Ok(BeneathPath::parse(name)?)
}

/// Compares what opening a file gave with whether it is the client's own.
fn judge<T>(opened: Result<T, Refusal>, is_own: bool) -> Found<()> {
    match opened {
        Ok(_) if is_own => Ok(()),
        Err(Refusal(Errno::ACCESS)) if !is_own => Ok(()),
        Ok(_) => Err(TrialError::Wrong("a client opened a file that is not for it")),
        Err(Refusal(Errno::ACCESS)) => Err(TrialError::Wrong("a client could not open a file that is for it")),
        Err(Refusal(errno)) => Err(broken("opening a file")(errno)),
    }
}

/// Why a file was not opened.
struct Refusal(Errno);

impl From<FileError> for Refusal {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Os(errno) => Self(Errno::from_raw_os_error(errno)),
            FileError::NotServed => Self(Errno::IO),
        }
    }
}

fn belongs_to(file: &OwnedFd, client: &ClientContext) -> Found<()> {
    let about = rustix::fs::fstat(file).map_err(broken("fstat"))?;
    if about.st_uid == client.identity().uid().raw() && about.st_gid == client.identity().gid().raw() {
        Ok(())
    } else {
        Err(TrialError::Wrong("a file made as a client belongs to somebody else"))
    }
}

impl Server {
    /// Tries sealed workers: one for each of two throw-away clients, which makes a file and opens both.
    ///
    /// # Errors
    /// - As [`Self::try_scoped`].
    pub fn try_sealed(&self, workers: &SealedWorkers) -> Result<SelfTest, TrialError> {
        let started = Instant::now();
        let (stage, people) = (Stage::make()?, people(self)?);
        let plan = Arc::new(Plan::new(Seal::new(Purpose::Files)).at(stage.path.clone()));
        let mut checks = 0_u32;
        for (client, name) in &people {
            let mut worker = workers.take(client, &plan)?;
            let create = FileRequest::Create { path: beneath(name)?, mode: 0o600 };
            for answer in worker.files(&[create])? {
                match answer? {
                    FileAnswer::Opened(file) => belongs_to(&file, client)?,
                    FileAnswer::Seen(_) | FileAnswer::Done => {
                        return Err(TrialError::Wrong("a worker answered something else"));
                    }
                }
                checks = checks.saturating_add(2);
            }
        }
        for _ in 0..TURNS {
            for (client, own) in &people {
                let mut requests = Vec::new();
                for (_, name) in &people {
                    requests.push(FileRequest::Open { path: beneath(name)?, access: FileAccess::Read });
                }
                let mut worker = workers.take(client, &plan)?;
                let answers = worker.files(&requests)?;
                for (answer, (_, name)) in answers.into_iter().zip(&people) {
                    judge(answer.map_err(Refusal::from), name == own)?;
                    checks = checks.saturating_add(1);
                }
            }
        }
        Ok(SelfTest { identities: 2, checks, took: started.elapsed() })
    }
}
