//! What a helper process does: one question, one answer, and it ends.

use super::SupervisorOptions;
use super::admission::admit;
use super::apart::{be_apart, descriptor};
use super::error::{Operation, PamStep, SignInError, Unavailable};
use super::wire::{self, Answer, Ask, SignIn};
use crate::source::account::{by_name, by_uid};
use crate::source::{Account, AccountError};
use crate::sys::{fork, pam};
use core::ffi::CStr;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

/// Bytes in front of an answer in the pipe: the delay wanted by PAM modules in microseconds, and the answer's length.
pub(crate) const HEAD_LEN: usize = 8;

/// Answers one question through `pipe` and ends the process.
pub(crate) fn main(ask: Ask, options: &SupervisorOptions, pipe: OwnedFd, supervisor: Pid) -> ! {
    // A panic must not unwind into the code of the supervisor that forked this process.
    let code = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        let name = match ask {
            Ask::Name(_) | Ask::Uid(_) => c"vicar-names",
            Ask::SignIn(_) => c"vicar-pam",
        };
        let (answer, delay_us) = match shape(name, &mut [descriptor(&pipe)], supervisor) {
            Ok(()) => work(ask, options),
            Err((operation, errno)) => {
                (Err(SignInError::Unavailable(Unavailable::Failed { operation, errno: errno.raw_os_error() })), 0)
            }
        };
        i32::from(deliver(&pipe, &answer, delay_us).is_err())
    }));
    fork::exit_now(code.unwrap_or(70))
}

/// Takes on the shape of a helper: its own session, the parent's death as its own, no descriptor but those `kept` and a
/// silent standard input, output and error.
fn shape(name: &CStr, kept: &mut [u32], parent: Pid) -> Result<(), (Operation, Errno)> {
    be_apart(name, kept, Mode::from_raw_mode(0o077))?;
    let shape = |errno| (Operation::Shape, errno);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(shape)?;
    // The parent may have ended before the line above; nobody reads the answer then.
    if rustix::process::getppid() != Some(parent) {
        return Err((Operation::Shape, Errno::SRCH));
    }
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).map_err(shape)?;
    rustix::stdio::dup2_stderr(&null).map_err(shape)
}

fn deliver(pipe: &OwnedFd, answer: &Answer, delay_us: u32) -> Result<(), Errno> {
    let answer = wire::encode_answer(answer);
    let mut frame = Vec::with_capacity(answer.len().saturating_add(HEAD_LEN));
    frame.extend_from_slice(&delay_us.to_le_bytes());
    frame.extend_from_slice(&u32::try_from(answer.len()).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend_from_slice(&answer);
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        match rustix::io::write(pipe, rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Finds the answer, and how long PAM modules want it held back.
fn work(ask: Ask, options: &SupervisorOptions) -> (Answer, u32) {
    match ask {
        Ask::Name(name) => (by_name(&name).map_err(SignInError::Account), 0),
        Ask::Uid(uid) => (by_uid(uid).map_err(SignInError::Account), 0),
        Ask::SignIn(sign_in) => authenticate(&sign_in, options),
    }
}

fn authenticate(sign_in: &SignIn, options: &SupervisorOptions) -> (Answer, u32) {
    // Accounts that may not sign in never get as far as PAM: their passwords cannot be tried here, and nobody can lock
    // them out by trying.
    match by_name(&sign_in.user) {
        Ok(account) => {
            if let Err(refusal) = admit(&options.admission, &account) {
                return (Err(SignInError::NotAdmitted(refusal)), 0);
            }
        }
        // PAM may know the user by another name; if not, it takes as long as for a user that exists.
        Err(AccountError::Unknown) => {}
        Err(error) => return (Err(SignInError::Account(error)), 0),
    }
    match converse(sign_in, options) {
        Ok(outcome) => {
            let account = outcome.user.map_err(sign_in_error).and_then(|user| admitted(user, options));
            (account, outcome.delay_us)
        }
        Err(error) => (Err(error), 0),
    }
}

fn converse(sign_in: &SignIn, options: &SupervisorOptions) -> Result<pam::Outcome, SignInError> {
    use super::error::Field;
    // The decoder has refused zero bytes already.
    let text = |bytes: &[u8], field| CString::new(bytes).map_err(|_has_zero| SignInError::Malformed(field));
    let service = text(sign_in.service.as_bytes(), Field::Service)?;
    let user = text(sign_in.user.as_bytes(), Field::User)?;
    let remote_host = match &sign_in.remote_host {
        Some(host) => Some(text(host.as_bytes(), Field::RemoteHost)?),
        None => None,
    };
    let confdir = match &options.confdir {
        Some(path) => Some(text(path.as_os_str().as_bytes(), Field::Service)?),
        None => None,
    };
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(sign_in.password.expose().len().saturating_add(1)));
    bytes.extend_from_slice(sign_in.password.expose());
    bytes.push(0);
    let password = CStr::from_bytes_with_nul(&bytes).map_err(|_has_zero| SignInError::Malformed(Field::Password))?;
    let question = pam::Question {
        service: &service,
        user: &user,
        password,
        remote_host: remote_host.as_deref(),
        confdir: confdir.as_deref(),
    };
    Ok(pam::sign_in(&question, options.unasked))
}

/// Resolves the user that PAM ended with.
fn admitted(user: Vec<u8>, options: &SupervisorOptions) -> Result<Account, SignInError> {
    let name = String::from_utf8(user).map_err(|_not_text| SignInError::Account(AccountError::Inconsistent))?;
    let account = by_name(&name).map_err(SignInError::Account)?;
    admit(&options.admission, &account).map_err(SignInError::NotAdmitted)?;
    Ok(account)
}

/// What PAM's result means to the one who signs in.
///
/// # Source
/// pam_authenticate(3), pam_acct_mgmt(3): RETURN VALUES; the numbers are those of Linux-PAM.
const fn sign_in_error(failure: pam::Failure) -> SignInError {
    const PERM_DENIED: i32 = 6;
    const AUTH_ERR: i32 = 7;
    const CRED_INSUFFICIENT: i32 = 8;
    const USER_UNKNOWN: i32 = 10;
    const MAXTRIES: i32 = 11;
    const NEW_AUTHTOK_REQD: i32 = 12;
    const ACCT_EXPIRED: i32 = 13;
    const AUTHTOK_EXPIRED: i32 = 27;
    match failure {
        pam::Failure::NoLibrary => SignInError::NoPam,
        pam::Failure::NoFunction => SignInError::OldPam,
        pam::Failure::Prompted => SignInError::Prompted,
        pam::Failure::NotAsked => SignInError::NotAsked,
        pam::Failure::Code(
            pam::Step::Authenticate,
            PERM_DENIED | AUTH_ERR | CRED_INSUFFICIENT | USER_UNKNOWN | MAXTRIES,
        ) => SignInError::WrongCredentials,
        pam::Failure::Code(pam::Step::Authenticate | pam::Step::AccountManagement, ACCT_EXPIRED) => {
            SignInError::AccountExpired
        }
        pam::Failure::Code(
            pam::Step::Authenticate | pam::Step::AccountManagement,
            NEW_AUTHTOK_REQD | AUTHTOK_EXPIRED,
        ) => SignInError::PasswordExpired,
        pam::Failure::Code(pam::Step::AccountManagement, PERM_DENIED | AUTH_ERR | USER_UNKNOWN) => {
            SignInError::AccountDenied
        }
        pam::Failure::Code(step, code) => SignInError::Pam {
            step: match step {
                pam::Step::Start => PamStep::Start,
                pam::Step::SetItem => PamStep::SetItem,
                pam::Step::Authenticate => PamStep::Authenticate,
                pam::Step::AccountManagement => PamStep::AccountManagement,
                pam::Step::GetUser => PamStep::GetUser,
            },
            code,
        },
    }
}
