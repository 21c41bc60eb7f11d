//! Threads that were made by a thread acting as a client, and inherited its identity.

use super::calls::CredentialCalls;
use super::place::{Base, die};
use rustix::io::Errno;

/// What a new thread was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Born {
    /// The server, as it should be.
    Server,
    /// A client of the server; it is the server now.
    Client,
}

/// Makes the calling thread, which is new and has done nothing, exactly the server.
///
/// A thread that is neither the server nor one of its clients, or that cannot get back, ends the process: it would do
/// the work of everybody under an identity nobody knows.
///
/// # Source
/// credentials(7): a new thread has the credentials of the thread that made it.
pub(crate) fn become_the_server<C: CredentialCalls>(calls: &C, base: &Base) -> Born {
    let Ok(observed) = calls.observe() else { die("a new thread cannot read its identity") };
    if base.is_server(&observed) {
        return Born::Server;
    }
    let [_, _, saved] = observed.user_ids;
    if saved != base.uid.as_raw() || observed.permitted != base.capabilities {
        die("a new thread is neither the server nor a client of it");
    }
    let back = || -> Result<bool, Errno> {
        if observed.effective != base.capabilities && base.uid.as_raw() != 0 {
            calls.set_capabilities(base.capabilities, base.capabilities)?;
        }
        calls.set_user_ids(Some(base.uid), Some(base.uid), Some(base.uid))?;
        calls.set_group_ids(Some(base.gid), Some(base.gid), Some(base.gid))?;
        calls.set_groups(&base.groups)?;
        Ok(base.is_server(&calls.observe()?))
    };
    match back() {
        Ok(true) => Born::Client,
        Ok(false) | Err(_) => die("a new thread cannot become the server"),
    }
}
