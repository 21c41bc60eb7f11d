//! Impersonation that ends, or comes back, with a value's life.

use std::marker::PhantomData;
use std::panic::Location;

use vicar_nt::NtStatus;

use crate::client::ClientContext;
use crate::thread::ThreadRef;

use super::Impersonation;

/// A thread whose impersonation is set aside; dropping this puts it back.
///
/// What the thread takes on meanwhile is replaced then, and no gate is asked again: it was asked already.
///
/// # NT
/// `SE_IMPERSONATION_STATE` between `PsDisableImpersonation` and `PsRestoreImpersonation`.
///
/// # Source
/// PsDisableImpersonation (ntifs.h page); spec/nt-impersonation 2.12.
///
/// # Examples
/// It cannot be handed to another thread, which would put the impersonation back at a time of its own:
/// ```compile_fail,E0277
/// fn hand_over(thread: &vicar_kernel::ThreadRef) {
///     let disabled = thread.disable_impersonation();
///     std::thread::spawn(move || drop(disabled));
/// }
/// ```
#[derive(Debug)]
#[must_use = "dropping it puts the impersonation back at once"]
#[doc(alias = "PsRestoreImpersonation")]
pub struct Disabled {
    thread: ThreadRef,
    saved: Option<Impersonation>,
    _of_one_thread: PhantomData<*const ()>,
}

impl Disabled {
    /// Returns what was set aside.
    pub fn saved(&self) -> Option<&Impersonation> {
        self.saved.as_ref()
    }
}

impl Drop for Disabled {
    fn drop(&mut self) {
        drop(self.thread.exchange_unshown(self.saved.take()));
    }
}

/// Puts back what a thread wore before a scope began, or nothing.
struct Restore<'a> {
    thread: &'a ThreadRef,
    before: Option<Impersonation>,
    at: &'static Location<'static>,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        let is_end = self.before.is_none();
        let left = self.thread.exchange(self.before.take());
        self.thread.note_end(self.at, is_end && left.old.is_some());
        drop(left);
    }
}

impl ThreadRef {
    /// Sets impersonation aside until the returned value is dropped.
    ///
    /// # Returns
    /// `None` when the thread wears nobody; there is nothing to put back then.
    ///
    /// # NT
    /// `PsDisableImpersonation`.
    ///
    /// # Source
    /// PsDisableImpersonation (ntifs.h page); spec/nt-impersonation 2.12.
    #[doc(alias = "PsDisableImpersonation")]
    pub fn disable_impersonation(&self) -> Option<Disabled> {
        let saved = self.take_off()?;
        Some(Disabled { thread: self.clone(), saved: Some(saved), _of_one_thread: PhantomData })
    }

    /// Takes off what this thread wears and returns it: the reference is moved, not counted again.
    ///
    /// For callers who cannot keep a [`Disabled`]; whoever can, should.
    ///
    /// # Returns
    /// `None` when the thread wears nobody; there is nothing to put back then.
    ///
    /// # NT
    /// `PsDisableImpersonation` with the caller's own `SE_IMPERSONATION_STATE`.
    pub fn take_off(&self) -> Option<Impersonation> {
        if !self.is_impersonating() {
            return None;
        }
        self.exchange_unshown(None).old
    }

    /// Puts back what was taken off by [`ThreadRef::take_off`], in place of what the thread took on meanwhile.
    ///
    /// No gate is asked: it was asked when the thread took it on. So whatever is passed here is worn, whether the process
    /// may wear it or not. A thread that has exited, or is of another system, takes nothing on. What is no longer worn is
    /// given back here. As with [`Disabled`], the thread's block does not show it.
    ///
    /// # NT
    /// `PsRestoreImpersonation` with the caller's own `SE_IMPERSONATION_STATE`.
    pub fn put_back_unchecked(&self, saved: Impersonation) {
        if saved.token.system().is_same(self.system()) {
            drop(self.exchange_unshown(Some(saved)));
        }
    }

    /// Runs `work` as the process, whomever this thread wears, and puts that back afterwards, even when `work` panics.
    ///
    /// A guard that is forgotten would leave the thread in the process's identity; a closure cannot be forgotten.
    ///
    /// # NT
    /// `PsDisableImpersonation` and `PsRestoreImpersonation` around a call.
    pub fn with_impersonation_set_aside<R>(&self, work: impl FnOnce() -> R) -> R {
        let _disabled = self.disable_impersonation();
        work()
    }

    /// Runs `work` while this thread wears `client`, and puts back what it wore before, even when `work` panics.
    ///
    /// # Errors
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when the client may only be identified, by its own wish or because the gate
    ///   downgraded; `work` does not run.
    /// - as for [`ThreadRef::prepare`]; `work` does not run.
    #[track_caller]
    pub fn with_client<R>(&self, client: &ClientContext, work: impl FnOnce() -> R) -> Result<R, NtStatus> {
        let pending = self.prepare(client)?;
        if !pending.level().may_act_locally() {
            return Err(NtStatus::BAD_IMPERSONATION_LEVEL);
        }
        let at = Location::caller();
        let _restore = Restore { thread: self, before: self.reference_impersonation(), at };
        let _ = pending.commit();
        Ok(work())
    }
}
