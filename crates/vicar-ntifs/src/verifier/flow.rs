//! What a driver does between taking a client on and letting it go.
//!
//! A refused impersonation is no fault, and neither is one at level Identification. Going on as if nothing had happened is.
//! So for each thread of the world it is kept what its last impersonation came to, whoever asked for it: the thread itself
//! or another one. It is looked at where the thread works on objects as whoever it is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vicar_kernel::{Outcome, ThreadRef, TokenRef};
use vicar_nt::{ImpersonationLevel, NtStatus};

use crate::convert;
use crate::current;
use crate::entry::Call;
use crate::layout::{KPROCESSOR_MODE, KernelMode, PACCESS_TOKEN, SECURITY_SUBJECT_CONTEXT};
use crate::ptr;
use crate::verifier::{Mode, Rule, Site, book, mode, report_at};
use crate::world;

/// An impersonation that was refused.
#[derive(Clone, Copy, Debug)]
struct Refused {
    site: Site,
    status: NtStatus,
    /// Another thread had asked for it.
    by_another: bool,
}

/// An impersonation that came to no more than level Identification.
#[derive(Clone, Copy, Debug)]
struct Lowered {
    site: Site,
    by_another: bool,
    /// The level was written where the driver could read it; whether it did cannot be seen.
    was_shown: bool,
}

/// What the last impersonation of a thread came to, as far as nobody has reacted to it.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    refused: Option<Refused>,
    lowered: Option<Lowered>,
}

/// By the thread's number; only threads of which there is something to remember.
static FLOWS: Mutex<BTreeMap<u64, Flow>> = Mutex::new(BTreeMap::new());

fn flows() -> MutexGuard<'static, BTreeMap<u64, Flow>> {
    FLOWS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets everything: the world is another one.
pub(crate) fn clear() {
    flows().clear();
}

/// Forgets a thread that has ended.
pub(crate) fn forget(thread: u64) {
    flows().remove(&thread);
}

/// Changes what is known of a thread, if there is something.
fn change<R>(thread: u64, action: impl FnOnce(&mut Flow) -> R) -> Option<R> {
    flows().get_mut(&thread).map(action)
}

fn own() -> u64 {
    current::seat().host.thread.id()
}

/// Notes what an impersonation of a thread came to.
pub(crate) fn impersonated(call: &Call, thread: u64, result: Result<Outcome, NtStatus>) -> Result<(), NtStatus> {
    if call.is_verified() {
        let (site, by_another) = (call.site(), thread != own());
        let flow = Flow {
            refused: result.err().map(|status| Refused { site, status, by_another }),
            lowered: match result {
                Ok(Outcome::Downgraded { .. }) => Some(Lowered { site, by_another, was_shown: false }),
                Ok(Outcome::AsRequested) | Err(_) => None,
            },
        };
        let before = match flow.refused.is_some() || flow.lowered.is_some() {
            true => flows().insert(thread, flow),
            false => flows().remove(&thread),
        };
        tell_unseen(before);
    }
    result.map(drop)
}

/// Notes that the driver asks something that is answered by the level at which the calling thread acts.
pub(crate) fn looked(call: &Call) {
    if call.is_verified() {
        looked_at(call, own());
    }
}

/// Notes that the driver asks at which level a thread acts.
pub(crate) fn looked_at(call: &Call, thread: u64) {
    if call.is_verified() {
        change(thread, |flow| flow.lowered = None);
    }
}

/// Notes that the driver asks for the level of a token: of every subject context that has it, and every thread that wears it.
pub(crate) fn looked_at_token(call: &Call, pointer: PACCESS_TOKEN, token: &TokenRef) {
    if !call.is_verified() {
        return;
    }
    book::tested(pointer.addr());
    let lowered: Vec<u64> =
        flows().iter().filter(|(_, flow)| flow.lowered.is_some()).map(|(thread, _)| *thread).collect();
    for id in lowered {
        let host = world::current().find_thread(id);
        let worn = host.and_then(|host| host.thread.reference_impersonation());
        if worn.is_some_and(|worn| worn.token.is_same(token)) {
            looked_at(call, id);
        }
    }
}

/// Notes that the level at which a thread acts is written into a structure of the driver's.
pub(crate) fn shown(call: &Call, thread: &ThreadRef) {
    if call.is_verified() {
        change(thread.id(), |flow| {
            if let Some(lowered) = &mut flow.lowered {
                lowered.was_shown = true;
            }
        });
    }
}

/// Notes that a subject context is asked something whose answer goes by the client's level, and reports one whose level or
/// tokens the driver has made more of than was captured.
pub(crate) fn answers_by_level(call: &Call, at: *const SECURITY_SUBJECT_CONTEXT) {
    if !call.is_verified() {
        return;
    }
    looked(call);
    let Some(context) = ptr::read(at) else { return };
    if context.ClientToken.is_null() {
        if let Some(level) = book::captured_level(at.addr(), context.PrimaryToken.addr())
            && !level.may_act_locally()
        {
            let detail = format!("the token of a client at level {level} stands where the process's was");
            call.report(Rule::LevelNotTested, detail);
        }
        return;
    }
    book::tested(context.ClientToken.addr());
    if let Some(level) = book::captured_level(at.addr(), context.ClientToken.addr())
        && !level.may_act_locally()
        && context.ImpersonationLevel > convert::level(level)
    {
        let detail =
            format!("the level in the subject context is {}; {level} was captured", context.ImpersonationLevel);
        call.report(Rule::LevelNotTested, detail);
    }
}

/// Reports the token of a client below level Impersonation that is asked for, and was not tested before.
#[cold]
pub(crate) fn asks_for_token(call: &Call, context: &SECURITY_SUBJECT_CONTEXT) {
    if !book::was_tested(context.ClientToken.addr()) {
        let level = context.ImpersonationLevel;
        call.report(Rule::LevelNotTested, format!("the client is at level {level}, and its token decides nothing"));
        book::tested(context.ClientToken.addr());
    }
}

/// Reports a token that something is decided by, if the driver has it from a subject context whose client is below level
/// Impersonation and has not tested that.
pub(crate) fn decides_by(call: &Call, token: PACCESS_TOKEN) {
    below(call, token, ImpersonationLevel::Impersonation, "decides nothing");
}

/// Reports a token that is asked whose it is, if its client is at level Anonymous; as [`decides_by`] does.
pub(crate) fn identifies(call: &Call, token: PACCESS_TOKEN) {
    below(call, token, ImpersonationLevel::Identification, "must not be asked who it is");
}

/// Reports a token that a thread is to act as at a higher level than its client was captured at; as [`decides_by`] does.
pub(crate) fn takes_on(call: &Call, token: PACCESS_TOKEN, level: ImpersonationLevel) {
    below(call, token, level, "acts at no higher level");
}

fn below(call: &Call, token: PACCESS_TOKEN, needed: ImpersonationLevel, why: &str) {
    if call.is_verified()
        && let Some((level, site)) = book::untested(token.addr())
        && level < needed
    {
        call.report(
            Rule::LevelNotTested,
            format!("the client captured at {site} is at level {level}, and its token {why}"),
        );
        book::tested(token.addr());
    }
}

/// Notes that the calling thread is itself again, or gives the request up.
pub(crate) fn ended() {
    if mode() != Mode::Off {
        ended_of(own());
    }
}

/// Notes that a thread is itself again.
pub(crate) fn ended_of(thread: u64) {
    if mode() != Mode::Off {
        let before = flows().remove(&thread);
        tell_unseen(before);
    }
}

const fn whose(by_another: bool) -> &'static str {
    if by_another { "the impersonation that another thread asked for" } else { "the impersonation" }
}

/// Notes that the thread works on an object as whoever it acts as.
pub(crate) fn works(call: &Call, what: &str) {
    if !call.is_verified() {
        return;
    }
    let seat = current::seat();
    let thread = &seat.host.thread;
    if let Some(Refused { site, status, by_another }) = change(thread.id(), |flow| flow.refused.take()).flatten() {
        let whose = whose(by_another);
        let detail = format!("{what} as the server: {whose} at {site} had failed with {status}");
        call.report(Rule::ServedAsItself, detail);
    }
    // What was put aside meanwhile has no say in it.
    if thread.is_impersonating()
        && let Some(Lowered { site, by_another, .. }) = change(thread.id(), |flow| flow.lowered.take()).flatten()
    {
        let whose = whose(by_another);
        let detail = format!("{what} at level Identification: {whose} at {site} succeeded, and allows no more");
        call.report(Rule::DowngradeUnseen, detail);
    }
}

/// Notes that access is decided for a user; without a client it is the server's own.
pub(crate) fn decides(call: &Call, mode: KPROCESSOR_MODE, has_client: bool) {
    if mode == KernelMode || has_client {
        return;
    }
    if let Some(Refused { site, status, by_another }) = change(own(), |flow| flow.refused.take()).flatten() {
        let whose = whose(by_another);
        let detail = format!("access was decided as the server's: {whose} at {site} had failed with {status}");
        call.report(Rule::ServedAsItself, detail);
    }
}

/// Reports a downgrade that is over, and whose level nobody can have looked at.
fn tell_unseen(flow: Option<Flow>) {
    if let Some(Lowered { site, was_shown: false, .. }) = flow.and_then(|flow| flow.lowered) {
        let detail = "the client was taken on at level Identification, and nobody looked at the level".to_owned();
        report_at(Rule::DowngradeUnseen, "the end of an impersonation", site, detail);
    }
}

/// Notes that a check is made in a mode; the thread may work for a user.
pub(crate) fn checks(call: &Call, mode: KPROCESSOR_MODE) {
    if call.is_verified() && mode == KernelMode && current::seat().previous_mode.get() != KernelMode {
        call.report(Rule::KernelModeForUser, "the mode is KernelMode, and the thread works for a user");
    }
}
