//! The process of one client: reads what strangers send, and keeps what this client delegated.

use super::KerberosOptions;
use super::wire::{self, MAX_MESSAGE_LEN, MAX_TEXT_LEN, Reply, Request, Rule};
use super::{MAX_PRINCIPAL_LEN, MAX_TOKEN_LEN};
use crate::delegation::MechanismRefusal;
use crate::packet::{self, Received};
use crate::sealed::WITHOUT_SIGNALS;
use crate::supervisor::apart::{be_apart, descriptor};
use crate::switch::irrevocable::drop_to;
use crate::sys::seccomp::{self, Rule as Call, Verdict, When};
use crate::sys::{fork, gss};
use core::ffi::CStr;
use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext as _, ServerCtx};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_MECH_SPNEGO, GSS_NT_HOSTBASED_SERVICE};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::SystemTime;

/// Most proofs at a time with one credential.
const MOST_PROOFS: usize = 32;
/// Most bytes of a keytab.
const MAX_KEYTAB_LEN: u64 = 1 << 20;
/// Most memory, the program's own included, and most descriptors.
const MOST_MEMORY: u64 = 1 << 30;
const MOST_DESCRIPTORS: u64 = 64;

/// Serves one client until the server hangs up, and ends the process.
pub(super) fn main(line: OwnedFd, replay: &OwnedFd, options: &KerberosOptions, parent: Pid) -> ! {
    // A panic must not unwind into the code of the process that forked this one.
    let code = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        if shape(&line, replay, parent).is_err() {
            return 71;
        }
        // Nothing of a client has been read yet: this part has the rights that the server was started with.
        let acceptor = acquire(options, replay);
        let sealed = drop_to(&options.identity).is_ok() && end_with(parent).is_ok() && seal().is_ok();
        let mut desk = match (acceptor, sealed) {
            (_, false) => {
                let _ = answer(&line, &Reply::Against(Rule::Seal));
                return 71;
            }
            (Err(reply), true) => {
                let _ = answer(&line, &reply);
                return 72;
            }
            (Ok((acceptor, keys)), true) => Client::new(acceptor, keys),
        };
        desk.serve(&line)
    }));
    fork::exit_now(code.unwrap_or(70))
}

/// Takes on the shape of a helper: a session of its own, the parent's death as its own, nothing open but its line and the replay
/// cache.
fn shape(line: &OwnedFd, replay: &OwnedFd, parent: Pid) -> Result<(), Errno> {
    let mut kept = [descriptor(line), descriptor(replay)];
    be_apart(c"vicar-krb5", &mut kept, Mode::from_raw_mode(0o077)).map_err(|(_operation, errno)| errno)?;
    end_with(parent)?;
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, Mode::empty())?;
    rustix::stdio::dup2_stderr(&null)
}

/// Ends when the parent does. To be said again after a change of ids, which takes it back (PR_SET_PDEATHSIG(2const)).
fn end_with(parent: Pid) -> Result<(), Errno> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have ended before the line above.
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH) }
}

/// Reads the keytab and makes the acceptor's credential of it. The keys are kept in memory without a name, which the library
/// opens again when it needs them: by then this process could not open the file.
fn acquire(options: &KerberosOptions, replay: &OwnedFd) -> Result<(Cred, OwnedFd), Reply> {
    let unreadable = |errno: Errno| Reply::Against(Rule::Keytab(errno.raw_os_error()));
    let bytes = read_keytab(options).map_err(unreadable)?;
    let keys = packet::write_memory(&bytes).map_err(unreadable)?;
    gss::find_nothing_by_oneself().map_err(unreadable)?;
    let store = |kind: &str, open: &OwnedFd| CString::new(format!("{kind}:/proc/self/fd/{}", open.as_raw_fd()));
    // Numbers and fixed words have no zero byte.
    let (Ok(keytab), Ok(cache), Ok(service)) =
        (store("FILE", &keys), store("file2", replay), CString::new(options.service.as_str()))
    else {
        return Err(unreadable(Errno::INVAL));
    };
    let acceptor = gss::acquire_acceptor(&service, &keytab, &cache).map_err(refused)?;
    Ok((acceptor, keys))
}

fn read_keytab(options: &KerberosOptions) -> Result<zeroize::Zeroizing<Vec<u8>>, Errno> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let file = std::fs::File::open(&options.keytab).map_err(failed)?;
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(4096));
    file.take(MAX_KEYTAB_LEN.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if len > MAX_KEYTAB_LEN { Err(Errno::FBIG) } else { Ok(bytes) }
}

/// What a process that reads a stranger's bytes needs none of, besides tasks, programs and keys: sending signals.
const SIGNALS: [libc::c_long; 6] = [
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
];

/// The same as fcntl's F_SETOWN by ioctl: FIOSETOWN and SIOCSPGRP of asm-generic/sockios.h.
const NAMING_AN_OWNER: [u32; 2] = [0x8901, 0x8902];

fn seal() -> Result<(), Errno> {
    for (resource, limit) in [(Resource::As, MOST_MEMORY), (Resource::Nofile, MOST_DESCRIPTORS)] {
        let limit = rustix::process::getrlimit(resource).maximum.map_or(limit, |most| most.min(limit));
        rustix::process::setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    seccomp::refuse_tasks_programs_and_keys()?;
    let fail = |call, when| Call { call, when, verdict: Verdict::Fail(Errno::PERM) };
    let mut rules = SIGNALS.map(|call| fail(call, When::Always)).to_vec();
    rules.extend_from_slice(WITHOUT_SIGNALS);
    rules.extend(NAMING_AN_OWNER.map(|value| fail(libc::SYS_ioctl, When::Is { argument: 1, value })));
    // Helpers of other clients have the same user, whose limits would be an end for them. 0 is the caller.
    rules.push(fail(libc::SYS_prlimit64, When::AnyBit { argument: 0, bits: u32::MAX }));
    seccomp::install(&rules, Verdict::Allow)
}

fn answer(line: &OwnedFd, reply: &Reply) -> Result<(), Errno> {
    packet::send(line.as_fd(), &wire::encode_reply(reply), &[], SendFlags::empty())
}

/// One client, from its first token to the end of what it delegated.
struct Client {
    accepting: Option<Accepting>,
    delegated: Option<Cred>,
    proofs: BTreeMap<u32, ClientCtx>,
}

struct Accepting {
    context: ServerCtx,
    /// Keeps the keys open, which the library opens again by this descriptor's name.
    _keys: OwnedFd,
}

impl Client {
    fn new(acceptor: Cred, keys: OwnedFd) -> Self {
        let accepting = Accepting { context: ServerCtx::new(Some(acceptor)), _keys: keys };
        Self { accepting: Some(accepting), delegated: None, proofs: BTreeMap::new() }
    }

    fn serve(&mut self, line: &OwnedFd) -> i32 {
        let mut buffer = vec![0; MAX_MESSAGE_LEN];
        loop {
            let len = match packet::receive(line.as_fd(), &mut buffer, RecvFlags::empty()) {
                Ok(Received::Message { len, .. }) => len,
                Ok(Received::End) => return 0,
                Ok(Received::TooLong) | Err(_) => return 74,
            };
            let Some(request) = buffer.get(..len).and_then(wire::decode_request) else { return 65 };
            let (reply, is_over) = match request {
                Request::Accept(token) => self.accept(token),
                Request::Begin { number, service } => (self.begin(number, service), false),
                Request::Step { number, token } => (self.step(number, token), false),
                Request::End { number } => {
                    self.proofs.remove(&number);
                    continue;
                }
            };
            if answer(line, &reply).is_err() || is_over {
                return 0;
            }
        }
    }

    /// Returns the answer, and whether this process is of no use any more.
    fn accept(&mut self, token: &[u8]) -> (Reply, bool) {
        let Some(mut accepting) = self.accepting.take() else { return (Reply::Against(Rule::OutOfTurn), true) };
        let sent = match accepting.context.step(token, None) {
            Ok(sent) => sent.map_or_else(Vec::new, |sent| sent.to_vec()),
            Err(error) => return (refused(error), true),
        };
        if sent.len() > MAX_TOKEN_LEN {
            return (Reply::Against(Rule::TooLong), true);
        }
        if !accepting.context.is_complete() {
            self.accepting = Some(accepting);
            return (Reply::Continue(sent), false);
        }
        // From here on the keys are closed and the acceptor's credential is released, whatever comes of it.
        match proved(accepting.context) {
            Ok(Proved { principal, delegated }) => {
                let delegated_until = delegated.as_ref().map(|(_, end)| *end);
                self.delegated = delegated.map(|(credential, _)| credential);
                (Reply::Accepted { token: sent, principal, delegated_until }, self.delegated.is_none())
            }
            Err(reply) => (reply, true),
        }
    }

    fn begin(&mut self, number: u32, service: &str) -> Reply {
        let Some(credential) = self.delegated.clone() else { return Reply::Against(Rule::OutOfTurn) };
        if self.proofs.contains_key(&number) {
            return Reply::Against(Rule::OutOfTurn);
        }
        if self.proofs.len() >= MOST_PROOFS {
            return Reply::Against(Rule::TooMany);
        }
        let target = match Name::new(service.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE)) {
            Ok(target) => target,
            Err(error) => return refused(error),
        };
        // Mutual: the client's name is proved to the service that was named, and to no other. Not delegated any further.
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG | CtxFlags::GSS_C_CONF_FLAG;
        let context = ClientCtx::new(Some(credential), target, flags, Some(GSS_MECH_SPNEGO));
        self.turn(number, context, None)
    }

    fn step(&mut self, number: u32, token: &[u8]) -> Reply {
        match self.proofs.remove(&number) {
            Some(context) => self.turn(number, context, Some(token)),
            None => Reply::Against(Rule::OutOfTurn),
        }
    }

    fn turn(&mut self, number: u32, mut context: ClientCtx, token: Option<&[u8]>) -> Reply {
        let sent = match context.step(token, None) {
            Ok(sent) => sent.map_or_else(Vec::new, |sent| sent.to_vec()),
            Err(error) => return refused(error),
        };
        if sent.len() > MAX_TOKEN_LEN {
            return Reply::Against(Rule::TooLong);
        }
        if context.is_complete() {
            return Reply::Done(sent);
        }
        self.proofs.insert(number, context);
        Reply::Continue(sent)
    }
}

struct Proved {
    principal: String,
    /// With the second of the Unix epoch at which it ends.
    delegated: Option<(Cred, u64)>,
}

/// Looks at what a complete context proves.
fn proved(mut context: ServerCtx) -> Result<Proved, Reply> {
    let flags = context.flags().map_err(refused)?;
    if context.mechanism().map_err(refused)? != GSS_MECH_KRB5 {
        return Err(Reply::Against(Rule::Mechanism));
    }
    if flags.contains(CtxFlags::GSS_C_ANON_FLAG) {
        return Err(Reply::Against(Rule::Anonymous));
    }
    let principal = text_of(&context.source_name().map_err(refused)?)?;
    let delegated = match context.take_delegated_cred() {
        Some(credential) if flags.contains(CtxFlags::GSS_C_DELEG_FLAG) => Some(kept(&credential, &principal)?),
        Some(_) | None => None,
    };
    Ok(Proved { principal, delegated })
}

/// The name of the cache that this process keeps the client's ticket in: in memory, and nobody else's.
const CACHE: &CStr = c"MEMORY:delegated";

/// Keeps what the client handed over, if it is its own, as a credential that can be negotiated with.
fn kept(handed_over: &Cred, principal: &str) -> Result<(Cred, u64), Reply> {
    let is_its_own = |credential: &Cred| Ok(text_of(&credential.name().map_err(refused)?)? == principal);
    if !is_its_own(handed_over)? {
        return Err(Reply::Against(Rule::ForeignCredential));
    }
    let name = CACHE.to_str().unwrap_or_default();
    handed_over.store_into(name, true, false, CredUsage::Initiate, Some(GSS_MECH_KRB5)).map_err(refused)?;
    let credential = gss::acquire_initiator(CACHE).map_err(refused)?;
    if !is_its_own(&credential)? {
        return Err(Reply::Against(Rule::ForeignCredential));
    }
    // The clock is read first: whatever comes between makes the end too early, never too late.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let end = now.saturating_add(credential.lifetime().map_err(refused)?).as_secs();
    Ok((credential, end))
}

fn text_of(name: &Name) -> Result<String, Reply> {
    let bytes = name.display_name().map_err(refused)?;
    let text = core::str::from_utf8(&bytes).map_err(|_not_text| Reply::Against(Rule::Principal))?;
    if text.len() > MAX_PRINCIPAL_LEN { Err(Reply::Against(Rule::Principal)) } else { Ok(text.to_owned()) }
}

fn refused(error: Error) -> Reply {
    let printable = |byte: u8| if wire::is_printable(byte) { char::from(byte) } else { '?' };
    let text: String = error.to_string().bytes().take(MAX_TEXT_LEN).map(printable).collect();
    Reply::Refused(MechanismRefusal { major: error.major.bits(), minor: error.minor, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::signal;

    #[test]
    fn a_sealed_helper_reaches_no_other_of_its_user() {
        crate::testing::passes_alone(
            "source::kerberos::helper::tests::a_sealed_helper_reaches_no_other_of_its_user",
            || {
                let (near, _far) = packet::pair().unwrap();
                let (own, parent) = (rustix::process::getpid(), rustix::process::getppid().unwrap());
                seal().unwrap();
                let number = own.as_raw_nonzero().get();
                assert_eq!(signal::own(&near, libc::F_GETFL, 0), Ok(()));
                for (command, value) in [(libc::F_SETOWN, number), (10, libc::SIGKILL)] {
                    assert_eq!(signal::own(&near, command, value), Err(Errno::PERM), "{command}");
                }
                assert_eq!(rustix::process::kill_process(own, Signal::CONT), Err(Errno::PERM));
                let limit = || rustix::process::getrlimit(Resource::Cpu);
                assert_eq!(rustix::process::prlimit(Some(parent), Resource::Cpu, limit()).err(), Some(Errno::PERM));
                assert!(rustix::process::prlimit(None, Resource::Cpu, limit()).is_ok());
            },
        );
    }
}
