//! What a driver does between taking a client on and letting it go.
//!
//! A refused impersonation is no fault, and neither is one at level Identification. Going on as if nothing had happened is.
//! So each thread of the program keeps what happened last, and it is looked at where the thread works on objects as whoever
//! it is.

use std::cell::Cell;

use vicar_kernel::Outcome;
use vicar_nt::NtStatus;

use crate::current::{self, Seat};
use crate::entry::Call;
use crate::layout::{KPROCESSOR_MODE, KernelMode};
use crate::verifier::{Mode, Rule, Site, mode, report_at};

/// What the last impersonation on a thread came to, as far as nobody has reacted to it.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// It failed: where, and with which status.
    refused: Cell<Option<(Site, NtStatus)>>,
    /// It came to no more than level Identification, and nobody has looked.
    lowered: Cell<Option<Site>>,
}

/// Notes what an impersonation on the calling thread came to.
pub(crate) fn impersonated(call: &Call, result: Result<Outcome, NtStatus>) -> Result<(), NtStatus> {
    if call.is_verified() {
        let seat = current::seat();
        tell_unseen(&seat);
        seat.flow.refused.set(result.err().map(|status| (call.site(), status)));
        seat.flow.lowered.set(match result {
            Ok(Outcome::Downgraded { .. }) => Some(call.site()),
            Ok(Outcome::AsRequested) | Err(_) => None,
        });
    }
    result.map(drop)
}

/// Notes that the driver asks at which level the thread acts.
pub(crate) fn looked(call: &Call) {
    if call.is_verified() {
        current::seat().flow.lowered.set(None);
    }
}

/// Notes that the thread is itself again, or gives the request up.
pub(crate) fn ended() {
    if mode() != Mode::Off {
        let seat = current::seat();
        tell_unseen(&seat);
        seat.flow.refused.set(None);
    }
}

/// Notes that the thread works on an object as whoever it acts as.
pub(crate) fn works(call: &Call, what: &str) {
    if !call.is_verified() {
        return;
    }
    let seat = current::seat();
    if let Some((site, status)) = seat.flow.refused.take() {
        let detail = format!("{what} as the server: the impersonation at {site} had failed with {status}");
        call.report(Rule::ServedAsItself, detail);
    }
    // What was put aside meanwhile has no say in it.
    if seat.host.thread.is_impersonating()
        && let Some(site) = seat.flow.lowered.take()
    {
        let detail =
            format!("{what} at level Identification: the impersonation at {site} succeeded, and allows no more");
        call.report(Rule::DowngradeUnseen, detail);
    }
}

/// Notes that access is decided for a user; without a client it is the server's own.
pub(crate) fn decides(call: &Call, mode: KPROCESSOR_MODE, has_client: bool) {
    let seat = current::seat();
    if mode == KernelMode || has_client {
        return;
    }
    if let Some((site, status)) = seat.flow.refused.take() {
        let detail =
            format!("access was decided as the server's: the impersonation at {site} had failed with {status}");
        call.report(Rule::ServedAsItself, detail);
    }
}

#[cold]
fn tell(site: Site) {
    let detail = "the client was taken on at level Identification, and nobody looked at the level".to_owned();
    report_at(Rule::DowngradeUnseen, "the end of an impersonation", site, detail);
}

fn tell_unseen(seat: &Seat) {
    if let Some(site) = seat.flow.lowered.take() {
        tell(site);
    }
}

/// Notes that a check is made in a mode; the thread may work for a user.
pub(crate) fn checks(call: &Call, mode: KPROCESSOR_MODE) {
    if call.is_verified() && mode == KernelMode && current::seat().previous_mode.get() != KernelMode {
        call.report(Rule::KernelModeForUser, "the mode is KernelMode, and the thread works for a user");
    }
}
