//! Counted references to tokens.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;

use super::Token;

/// A counted reference to a [`Token`]. Cloning references, dropping dereferences.
///
/// The last reference deletes the token, and with it perhaps the logon session: termination routines run where it is
/// dropped. No reference is dropped while a lock of this crate is held.
///
/// # NT
/// `PsReferencePrimaryToken`, `PsReferenceImpersonationToken` and `ObReferenceObject` on one side,
/// `PsDereferencePrimaryToken`, `PsDereferenceImpersonationToken` and `ObDereferenceObject` on the other.
#[doc(alias = "PsDereferencePrimaryToken")]
#[doc(alias = "PsDereferenceImpersonationToken")]
pub struct TokenRef {
    token: Arc<Token>,
    taken_at: &'static Location<'static>,
}

impl TokenRef {
    #[track_caller]
    pub(super) fn adopt(token: Arc<Token>) -> Self {
        let taken_at = Location::caller();
        token.system.tally_take(token.number, taken_at);
        Self { token, taken_at }
    }

    /// Returns whether both references are to the same token object.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.token, &other.token)
    }

    /// Returns the number of references to this token at the moment.
    pub fn reference_count(&self) -> usize {
        Arc::strong_count(&self.token)
    }

    /// Returns the source line that took this reference.
    pub fn taken_at(&self) -> &'static Location<'static> {
        self.taken_at
    }
}

impl Clone for TokenRef {
    #[track_caller]
    fn clone(&self) -> Self {
        Self::adopt(Arc::clone(&self.token))
    }
}

impl Drop for TokenRef {
    fn drop(&mut self) {
        self.token.system.tally_give(self.token.number, self.taken_at);
    }
}

impl Deref for TokenRef {
    type Target = Token;

    fn deref(&self) -> &Token {
        &self.token
    }
}

impl fmt::Debug for TokenRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.token, f)
    }
}
