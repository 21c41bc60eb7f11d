//! Copies of tokens: the rules of who may copy into what, and the copies the kernel makes for itself.

use std::sync::Arc;

use vicar_nt::descriptor::Descriptor;
use vicar_nt::{ImpersonationLevel, NtStatus, Sid};

use super::{Blueprint, Snapshot, Token, TokenKind, TokenRef};
use crate::policy::UnnamedLevel;
use crate::qos::Reach;

/// The type of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "TOKEN_TYPE")]
pub enum DuplicateKind {
    /// For a process.
    Primary,
    /// For a thread.
    Impersonation,
}

impl DuplicateKind {
    /// Reads a `TOKEN_TYPE`.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when the number is not 1 or 2.
    pub const fn parse(raw: u32) -> Result<Self, NtStatus> {
        match raw {
            1 => Ok(Self::Primary),
            2 => Ok(Self::Impersonation),
            0 | 3.. => Err(NtStatus::INVALID_PARAMETER),
        }
    }
}

/// What a copy is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Primary or impersonation.
    pub kind: DuplicateKind,
    /// The level asked for; `None` when the caller gave no quality of service.
    pub level: Option<ImpersonationLevel>,
    /// [`Reach::EffectiveOnly`] removes disabled groups and privileges from the copy; groups that only deny are kept.
    pub reach: Reach,
}

impl TokenRef {
    /// Makes a copy with a new identity.
    ///
    /// The copy keeps logon session, parent, ModifiedId, source and origin. It is not in use by any process.
    ///
    /// # Inputs
    /// - `wanted`: type, level and reach of the copy.
    ///
    /// # Errors
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when this is an impersonation token and a higher level is asked for, whatever the
    ///   type of the copy; or when it is below Impersonation and a primary copy is asked for.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    ///
    /// # Identity
    /// Nobody's rights to this token are tested; a handle layer does that.
    ///
    /// # Cost
    /// One allocation; the state is shared with the original unless something is stripped.
    ///
    /// # NT
    /// `NtDuplicateToken`. Without a level an impersonation token keeps its own; a primary token becomes
    /// [`UnnamedLevel`].
    ///
    /// # Source
    /// NtDuplicateToken (ntifs.h page); spec/nt-impersonation 2.23.
    #[doc(alias = "NtDuplicateToken")]
    #[doc(alias = "ZwDuplicateToken")]
    #[doc(alias = "DuplicateTokenEx")]
    #[track_caller]
    pub fn duplicate(&self, wanted: Duplicate) -> Result<Self, NtStatus> {
        self.may_become(wanted)?;
        self.duplicate_as(wanted, None)
    }

    /// Like [`TokenRef::duplicate`], and who may open the copy is said by a descriptor that `protect` makes.
    ///
    /// # Errors
    /// - as for [`TokenRef::duplicate`], and those of `protect`, which is asked when the levels allow the copy.
    ///
    /// # NT
    /// `NtDuplicateToken` with a security descriptor in the attributes of the new object.
    #[track_caller]
    pub fn duplicate_protected(
        &self,
        wanted: Duplicate,
        protect: impl FnOnce() -> Result<Descriptor, NtStatus>,
    ) -> Result<Self, NtStatus> {
        self.may_become(wanted)?;
        self.duplicate_as(wanted, Some(protect()?))
    }

    fn may_become(&self, wanted: Duplicate) -> Result<(), NtStatus> {
        if let Some(own) = self.level() {
            if wanted.level.is_some_and(|level| level > own) {
                return Err(NtStatus::BAD_IMPERSONATION_LEVEL);
            }
            if wanted.kind == DuplicateKind::Primary && !own.may_act_locally() {
                return Err(NtStatus::BAD_IMPERSONATION_LEVEL);
            }
        }
        Ok(())
    }

    #[track_caller]
    fn duplicate_as(&self, wanted: Duplicate, descriptor: Option<Descriptor>) -> Result<Self, NtStatus> {
        let kind = match wanted.kind {
            DuplicateKind::Primary => TokenKind::Primary,
            DuplicateKind::Impersonation => TokenKind::Impersonation(wanted.level.or(self.level()).unwrap_or({
                match self.system().policy().unnamed_level {
                    UnnamedLevel::Anonymous => ImpersonationLevel::Anonymous,
                    UnnamedLevel::Impersonation => ImpersonationLevel::Impersonation,
                }
            })),
        };
        let source = self.state();
        let snapshot = match wanted.reach {
            Reach::AllHeld => source,
            Reach::EffectiveOnly => self.stripped(&source),
        };
        self.copy(kind, snapshot, descriptor)
    }

    /// Makes an impersonation copy at `level`, as the kernel does for its own use.
    ///
    /// # Errors
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when this is an impersonation token of a lower level.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    ///
    /// # NT
    /// `SeCopyClientToken`.
    ///
    /// # Source
    /// spec/nt-impersonation 2.20.
    #[doc(alias = "SeCopyClientToken")]
    #[track_caller]
    pub fn copy_for_client(&self, level: ImpersonationLevel) -> Result<Self, NtStatus> {
        self.duplicate(Duplicate { kind: DuplicateKind::Impersonation, level: Some(level), reach: Reach::AllHeld })
    }

    /// Like [`TokenRef::copy_for_client`], with the process trust replaced by `trust`.
    #[track_caller]
    pub(crate) fn copy_with_trust(&self, level: ImpersonationLevel, trust: Option<Sid>) -> Result<Self, NtStatus> {
        if self.level().is_some_and(|own| level > own) {
            return Err(NtStatus::BAD_IMPERSONATION_LEVEL);
        }
        let source = self.state();
        let state = source.state.with_trust(trust);
        let snapshot = Snapshot::new(self.system().next_number(), source.modified_id, source.origin, state);
        self.copy(TokenKind::Impersonation(level), Arc::new(snapshot), None)
    }

    /// Returns the part of a state that is in effect; the same snapshot when nothing needs stripping.
    pub(super) fn stripped(&self, source: &Arc<Snapshot>) -> Arc<Snapshot> {
        let state = source.state.effective_only();
        if state == source.state {
            return Arc::clone(source);
        }
        Arc::new(Snapshot::new(self.system().next_number(), source.modified_id, source.origin, state))
    }

    #[track_caller]
    fn copy(&self, kind: TokenKind, snapshot: Arc<Snapshot>, descriptor: Option<Descriptor>) -> Result<Self, NtStatus> {
        let more = descriptor.as_ref().map_or(0, |descriptor| descriptor.as_bytes().len());
        let charge = Token::charge_with(self.system(), &snapshot.state, more)?;
        let blueprint = Blueprint { parent_id: self.parent_id, source: self.source, kind, snapshot, descriptor };
        Ok(Token::assemble(self.system(), self.hold.again(), charge, blueprint))
    }
}
