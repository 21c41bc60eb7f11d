//! Doing one deed as several identities, one after the other, on one thread.

use super::{Effect, Judges, Passes};
use crate::enter::AsClient;
use crate::fs::FsError;
use crate::switch::calls::Kernel;
use crate::switch::place::{Target, ThreadPlace, die};
use core::cell::RefCell;
use core::fmt;
use std::sync::Arc;

/// A thread that takes on one pass after the other.
pub(crate) trait Turns: fmt::Debug {
    /// Does `deed` once as each pass that has a say; stops at the first that fails.
    fn take(&self, effect: Effect, deed: &mut dyn FnMut(Judges) -> Result<(), FsError>) -> Result<(), FsError>;

    /// What the client's passes are.
    fn passes(&self) -> &Arc<Passes>;
}

/// The thread of a restricted client. Between deeds it is nobody.
#[derive(Debug)]
pub(crate) struct PassThread<'t> {
    place: RefCell<&'t mut ThreadPlace<Kernel>>,
    rest: &'t Arc<Target>,
    passes: Arc<Passes>,
}

impl<'t> PassThread<'t> {
    pub(crate) fn new(place: &'t mut ThreadPlace<Kernel>, rest: &'t Arc<Target>, passes: Arc<Passes>) -> Self {
        Self { place: RefCell::new(place), rest, passes }
    }
}

impl Turns for PassThread<'_> {
    fn take(&self, effect: Effect, deed: &mut dyn FnMut(Judges) -> Result<(), FsError>) -> Result<(), FsError> {
        if !self.passes.may(effect) {
            return Err(FsError::MayNotWrite);
        }
        let Ok(mut place) = self.place.try_borrow_mut() else {
            return Err(FsError::CannotBeDoneTwice { operation: "a deed inside another" });
        };
        let turn = Turn { place: &mut place, rest: self.rest };
        for pass in self.passes.of(effect) {
            turn.place.enter(&pass.target).map_err(FsError::Switch)?;
            deed(pass.judges)?;
        }
        Ok(())
    }

    fn passes(&self) -> &Arc<Passes> {
        &self.passes
    }
}

/// Makes the thread nobody again when a deed is over, also by panic.
struct Turn<'p> {
    place: &'p mut ThreadPlace<Kernel>,
    rest: &'p Arc<Target>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.place.enter(self.rest).is_err() {
            die("a thread cannot become anonymous between two passes");
        }
    }
}

impl AsClient<'_> {
    /// Does a deed that needs permission: once, or for a restricted client as each of its passes. Returns what the first
    /// pass got, if all got the same.
    pub(crate) fn each<T>(
        &self,
        effect: Effect,
        mut deed: impl FnMut(Judges) -> Result<T, FsError>,
        is_same: impl Fn(&T, &T) -> Result<bool, FsError>,
    ) -> Result<T, FsError> {
        let Some(turns) = self.turns() else { return deed(Judges::Everything) };
        let mut first = None;
        turns.take(effect, &mut |judges| {
            let got = deed(judges)?;
            match &first {
                None => first = Some(got),
                Some(known) if is_same(known, &got)? => {}
                Some(_) => return Err(FsError::Changed),
            }
            Ok(())
        })?;
        first.ok_or(FsError::Changed)
    }

    /// Refuses a deed that cannot be done twice when the client is restricted.
    pub(crate) fn once(&self, operation: &'static str) -> Result<(), FsError> {
        match self.turns() {
            None => Ok(()),
            Some(_) => Err(FsError::CannotBeDoneTwice { operation }),
        }
    }
}
