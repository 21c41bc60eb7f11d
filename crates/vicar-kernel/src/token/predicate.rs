//! Questions about a token that have a yes or a no.
//!
//! They say what the token is, not what a thread that wears it may do: test the level first, or ask a
//! [`SubjectContext`](crate::subject::SubjectContext), which does.

use vicar_nt::Privilege;

use super::{Token, TokenKind};

impl Token {
    /// Returns whether the token has the local Administrators group, enabled and not for deny only.
    ///
    /// # NT
    /// `SeTokenIsAdmin`.
    ///
    /// # Source
    /// SeTokenIsAdmin (ntifs.h page); spec/nt-impersonation 2.16.
    #[doc(alias = "SeTokenIsAdmin")]
    pub fn is_admin(&self) -> bool {
        self.state().is_admin()
    }

    /// Returns whether the token has restricting SIDs; a filtered, sandboxed or low token without them is not restricted.
    ///
    /// # NT
    /// `SeTokenIsRestricted`.
    ///
    /// # Source
    /// SeTokenIsRestricted (ntifs.h page); spec/nt-impersonation 2.16.
    #[doc(alias = "SeTokenIsRestricted")]
    pub fn is_restricted(&self) -> bool {
        self.state().is_restricted()
    }

    /// Returns whether the restricting SIDs count for writing only.
    ///
    /// # NT
    /// `SeTokenIsWriteRestricted`.
    #[doc(alias = "SeTokenIsWriteRestricted")]
    pub fn is_write_restricted(&self) -> bool {
        self.state().is_write_restricted()
    }

    /// Returns whether the token is that of an AppContainer.
    ///
    /// # Identity
    /// No is not proof of freedom: a client at level Identification is refused anyway, whatever its token is.
    #[doc(alias = "TokenIsAppContainer")]
    pub fn is_app_container(&self) -> bool {
        self.state().app_container().is_some()
    }

    /// Returns whether this is a primary token.
    ///
    /// # NT
    /// `SeTokenType` compared with `TokenPrimary`.
    pub fn is_primary(&self) -> bool {
        self.kind() == TokenKind::Primary
    }

    /// Returns the terminal session.
    ///
    /// # NT
    /// `SeQuerySessionIdToken`.
    #[doc(alias = "SeQuerySessionIdToken")]
    pub fn session(&self) -> u32 {
        self.state().session()
    }

    /// Returns whether the impersonate privilege is enabled, as the gate sees it.
    ///
    /// # NT
    /// The flag `HAS_IMPERSONATE_PRIVILEGE`.
    pub fn holds_impersonate(&self) -> bool {
        self.state().privileges().is_enabled(Privilege::Impersonate)
    }
}
