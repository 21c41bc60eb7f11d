//! What a driver did wrong, where, and which page says so.
//!
//! A [`Finding`] names the rule, the routine that noticed, the line that called it and the page. In [`Mode::Fatal`] the
//! first one ends the process with its text; in [`Mode::Collected`] they are kept for whoever asks. Nothing here changes
//! what a routine answers, except that a reference which is not there is not given back.
//!
//! The books of what must be given back are kept only while the verifier is on.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::entry::{self, Routine};

pub(crate) mod book;
pub(crate) mod flow;
mod rule;
mod site;

pub use rule::Rule;
pub use site::Site;

/// What happens when something is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is looked for.
    Off,
    /// Findings are kept.
    Collected,
    /// The first finding ends the process.
    Fatal,
}

impl Mode {
    /// Reads a mode from its number in `vicar_test.h`.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Off),
            1 => Some(Self::Collected),
            2 => Some(Self::Fatal),
            3.. => None,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Collected => 1,
            Self::Fatal => 2,
        }
    }
}

/// One thing that was done wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// The routine that noticed, or what was going on.
    pub routine: &'static str,
    /// Who called it.
    pub site: Site,
    /// The page that states the rule.
    pub page: &'static str,
    /// What exactly.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, routine, site, page, detail } = self;
        write!(f, "{rule}: {detail}\n  in {routine}, called from {site}\n  rule: {page}")
    }
}

static MODE: AtomicU8 = AtomicU8::new(0);
static FINDINGS: Mutex<Vec<Finding>> = Mutex::new(Vec::new());

/// Returns what happens when something is found.
pub fn mode() -> Mode {
    Mode::from_number(u32::from(MODE.load(Ordering::SeqCst))).unwrap_or(Mode::Fatal)
}

/// Says what happens from now on; only a new world turns the verifier on or off.
pub(crate) fn set_mode(mode: Mode) {
    MODE.store(mode.number(), Ordering::SeqCst);
    entry::attend(entry::VERIFYING, mode != Mode::Off);
}

fn list() -> MutexGuard<'static, Vec<Finding>> {
    FINDINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns what was found so far, in order.
pub fn findings() -> Vec<Finding> {
    list().clone()
}

/// Returns how much was found so far.
pub fn count() -> usize {
    list().len()
}

/// Returns one finding.
pub fn finding(index: usize) -> Option<Finding> {
    list().get(index).cloned()
}

/// Forgets what was found so far, and returns it.
pub fn take_findings() -> Vec<Finding> {
    std::mem::take(&mut *list())
}

/// Reports a finding about a call.
#[cold]
pub(crate) fn report(rule: Rule, routine: &'static Routine, site: Site, detail: String) {
    let page = if rule.is_of_the_routine() { routine.page } else { rule.page() };
    file(Finding { rule, routine: routine.name, site, page, detail });
}

/// Reports a finding that belongs to no single call.
#[cold]
pub(crate) fn report_at(rule: Rule, what: &'static str, site: Site, detail: String) {
    file(Finding { rule, routine: what, site, page: rule.page(), detail });
}

fn file(finding: Finding) {
    match mode() {
        Mode::Off => {}
        Mode::Collected => list().push(finding),
        Mode::Fatal => {
            eprintln!("vicar-ntifs: {finding}");
            std::process::abort();
        }
    }
}
