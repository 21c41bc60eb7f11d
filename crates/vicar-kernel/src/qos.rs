//! What a client allows a server to do with its identity.
//!
//! [`Qos`] is the quality of service a client grants; it has no default, because nobody's identity has a default strength.
//! Its wire form is the twelve-byte `SECURITY_QUALITY_OF_SERVICE`. Nothing here decides anything.

use vicar_nt::{ImpersonationLevel, NtStatus};

/// Whether the server sees the client's token as it was at capture or as it is at use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "SECURITY_CONTEXT_TRACKING_MODE")]
pub enum Tracking {
    /// A private copy, frozen at capture.
    #[doc(alias = "SECURITY_STATIC_TRACKING")]
    Static,
    /// The client's live token: privileges it enables later are seen, a different token it takes on later is not.
    #[doc(alias = "SECURITY_DYNAMIC_TRACKING")]
    Dynamic,
}

/// Whether the server may also enable what the client holds but has disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Only what the client has enabled exists for the server.
    EffectiveOnly,
    /// The server may enable groups and privileges that the client has disabled.
    AllHeld,
}

impl Reach {
    /// Returns the narrower of two reaches.
    pub const fn narrowed_by(self, other: Self) -> Self {
        match (self, other) {
            (Self::AllHeld, Self::AllHeld) => Self::AllHeld,
            (Self::EffectiveOnly, Self::EffectiveOnly | Self::AllHeld) | (Self::AllHeld, Self::EffectiveOnly) => {
                Self::EffectiveOnly
            }
        }
    }

    /// Returns whether only enabled groups and privileges exist.
    pub const fn is_effective_only(self) -> bool {
        matches!(self, Self::EffectiveOnly)
    }
}

/// Where the server of a request runs, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "ServerIsRemote")]
pub enum Locality {
    /// On this machine.
    Local,
    /// On another machine; passing a client on needs level Delegation.
    Remote,
}

/// How a client lets a server use its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "SECURITY_QUALITY_OF_SERVICE")]
pub struct Qos {
    /// The most the server may do.
    pub level: ImpersonationLevel,
    /// Copy or live token.
    pub tracking: Tracking,
    /// Enabled things only, or everything held.
    pub reach: Reach,
}

impl Qos {
    /// The size of the wire form in bytes.
    pub const SIZE: usize = 12;

    /// Reads the wire form as a kernel-mode caller passes it; the length field is not looked at.
    ///
    /// # Inputs
    /// - `wire`: length, level, tracking and effective-only of a `SECURITY_QUALITY_OF_SERVICE`; padding is ignored.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when the level is not 0 to 3.
    ///
    /// # NT
    /// Row C1 of the capture table: the range test comes before anything about the client.
    ///
    /// # Source
    /// SECURITY_QUALITY_OF_SERVICE (winnt.h page); spec/nt-impersonation 1.3, 3.1 C1.
    pub fn parse(wire: [u8; Self::SIZE]) -> Result<Self, NtStatus> {
        let [_, _, _, _, l0, l1, l2, l3, tracking, effective_only, _, _] = wire;
        Ok(Self {
            level: ImpersonationLevel::from_number(u32::from_le_bytes([l0, l1, l2, l3]))
                .ok_or(NtStatus::INVALID_PARAMETER)?,
            tracking: if tracking == 0 { Tracking::Static } else { Tracking::Dynamic },
            reach: if effective_only == 0 { Reach::AllHeld } else { Reach::EffectiveOnly },
        })
    }

    /// Returns the wire form, with the length field set to 12.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let [l0, l1, l2, l3] = self.level.number().to_le_bytes();
        let tracking = match self.tracking {
            Tracking::Static => 0,
            Tracking::Dynamic => 1,
        };
        let effective_only = u8::from(self.reach.is_effective_only());
        [12, 0, 0, 0, l0, l1, l2, l3, tracking, effective_only, 0, 0]
    }
}
