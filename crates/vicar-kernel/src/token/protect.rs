//! Who may open a token: the security descriptors of token objects.

use std::fmt::Write as _;

use vicar_nt::assign::{AssignFlags, NewObject, ObjectKind, assign_by};
use vicar_nt::check::AccessMode;
use vicar_nt::descriptor::{Descriptor, DescriptorRef};
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, NtStatus, Sid, sddl};

use super::{Blueprint, Token, TokenKind, TokenRef};
use crate::impersonate::Impersonation;
use crate::qos::Reach;
use crate::subject::SubjectContext;

impl Token {
    /// Returns who may open this token.
    ///
    /// Unless it was made with another, that is its user, the system and the administrators, nobody below its integrity
    /// level, and its package if it has one.
    ///
    /// # Errors
    /// - `STATUS_INVALID_SECURITY_DESCR` when none can be made; the token cannot be opened by anybody then.
    pub fn descriptor(&self) -> Result<&Descriptor, NtStatus> {
        let made = self.descriptor.get_or_init(|| {
            let state = self.state();
            let mut text = start(&state, &[state.user().sid]);
            label(&mut text, &state, "NWNRNX");
            sddl::parse(&text, None).ok()
        });
        made.as_ref().ok_or(NtStatus::INVALID_SECURITY_DESCR)
    }
}

impl TokenRef {
    /// Makes the copy that is opened instead of a worn token: for the client, the process, the system and the administrators.
    #[track_caller]
    pub(crate) fn copy_on_open(&self, worn: &Impersonation, process: &Self) -> Result<Self, NtStatus> {
        let source = self.state();
        let snapshot = match worn.reach {
            Reach::AllHeld => source,
            Reach::EffectiveOnly => self.stripped(&source),
        };
        let process_state = process.state();
        let mut text = start(&process_state, &[snapshot.user().sid, process_state.user().sid]);
        if snapshot.is_restricted() || process_state.is_restricted() {
            text.push_str("(A;;0xf01ff;;;RC)");
        }
        label(&mut text, &snapshot, "NW");
        let descriptor = sddl::parse(&text, None).map_err(|_| NtStatus::INVALID_SECURITY_DESCR)?;
        let kind = TokenKind::Impersonation(worn.level);
        let charge = Token::charge_with(self.system(), &snapshot, descriptor.as_bytes().len())?;
        let blueprint = Blueprint {
            parent_id: self.parent_id(),
            source: self.source(),
            kind,
            snapshot,
            descriptor: Some(descriptor),
        };
        Ok(Token::assemble(self.system(), self.hold.again(), charge, blueprint))
    }
}

/// Makes the descriptor of a new token from the one that its maker asks for, or a part of one.
///
/// What is not asked for is the maker's: owner, group and default access list of its token. Unless it asks for another
/// label, nobody below the maker's integrity level may read or change the token.
///
/// # Errors
/// - `STATUS_BAD_IMPERSONATION_LEVEL` when a user's request is made for a client that may not act.
/// - `STATUS_INVALID_OWNER`, `STATUS_INVALID_PRIMARY_GROUP`, `STATUS_PRIVILEGE_NOT_HELD` when a user asks for an owner that
///   is not its own to give, audit entries or a label above its own; the kernel may ask for all of these.
///
/// # Source
/// OBJECT_ATTRIBUTES (page), ZwDuplicateToken (ntifs.h page); MS-DTYP 2.5.3.4.
pub fn descriptor_of_new(
    asked: DescriptorRef<'_>,
    maker: &SubjectContext,
    mode: AccessMode,
) -> Result<Descriptor, NtStatus> {
    let token = match mode {
        AccessMode::User => maker.for_authorisation()?,
        AccessMode::Kernel => maker.effective_token_unchecked(),
    };
    let (state, server) = (token.state(), maker.primary().state());
    let label = AssignFlags::MACL_NO_WRITE_UP | AssignFlags::MACL_NO_READ_UP | AssignFlags::MACL_NO_EXECUTE_UP;
    let flags = match mode {
        AccessMode::User => label,
        AccessMode::Kernel => label | AssignFlags::AVOID_PRIVILEGE_CHECK | AssignFlags::AVOID_OWNER_CHECK,
    };
    let new = NewObject {
        parent: None,
        creator: Some(asked),
        token: &state,
        kind: ObjectKind::Leaf,
        flags,
        object_types: &[],
        mapping: GenericMapping::TOKEN,
        server: Some(server.default_owner()),
    };
    assign_by(&new, token.system().policy().readings)
}

/// Owner, group and the entries of those who always have every right.
fn start(owner: &TokenState, allowed: &[Sid]) -> String {
    let user = owner.user().sid;
    let group = owner.primary_group().copied().unwrap_or(user);
    let mut text = format!("O:{user}G:{group}D:");
    for sid in allowed {
        push_allow(&mut text, sid);
    }
    if let Some(container) = owner.app_container() {
        push_allow(&mut text, container.package());
    }
    text.push_str("(A;;0xf01ff;;;SY)(A;;0xf01ff;;;BA)");
    text
}

fn push_allow(text: &mut String, sid: &Sid) {
    // Writing to a string cannot fail.
    let _ = write!(text, "(A;;0xf01ff;;;{sid})");
}

fn label(text: &mut String, state: &TokenState, policy: &str) {
    if let Some(level) = state.integrity() {
        let _ = write!(text, "S:(ML;;{policy};;;{})", level.to_sid());
    }
}
