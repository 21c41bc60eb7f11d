//! What a token says about itself, in the structures of C.
//!
//! A structure and what it points to are one block: the pointers in it lead into the block itself, wherever it is put.

use vicar_kernel::handle::TokenHandle;
use vicar_kernel::token::query::{AccessInformation, Statistics};
use vicar_kernel::token::{Info, InfoClass, serialise_claims};
use vicar_kernel::{TokenKind, TokenRef};
use vicar_nt::privilege::PrivilegeSet;
use vicar_nt::token::Elevation;
use vicar_nt::{Group, GroupAttributes, IntegrityLevel, Luid, NtStatus, Sid};

use crate::entry::{Call, Routine, enter_status, routine};
use crate::ex::pool;
use crate::handle::{self, Table};
use crate::layout::{HANDLE, NTSTATUS, PACCESS_TOKEN, PVOID, ULONG};
use crate::ptr;
use crate::se::subject;
use crate::se::token::look;
use crate::verifier::{Rule, flow};
use crate::zw::{previous_mode, probe, probe_optional};
use vicar_nt::check::AccessMode;

static QUERY: Routine = routine!(SeQueryInformationToken, PASSIVE_LEVEL, "SeQueryInformationToken (ntifs.h page)");
static ZW_QUERY: Routine = routine!(ZwQueryInformationToken, PASSIVE_LEVEL, "ZwQueryInformationToken (ntifs.h page)");
static NT_QUERY: Routine = routine!(NtQueryInformationToken, PASSIVE_LEVEL, "NtQueryInformationToken (ntifs.h page)");

/// The size of `SID_AND_ATTRIBUTES_HASH`.
const HASH_SIZE: usize = 272;

/// A block that is written at offsets and read at an address.
struct Block {
    bytes: Vec<u8>,
    base: usize,
}

impl Block {
    fn new(base: usize, head: usize) -> Self {
        Self { bytes: vec![0; head], base }
    }

    /// Makes room at the end and returns where.
    fn grow(&mut self, more: usize) -> usize {
        let at = self.bytes.len();
        self.bytes.resize(at.saturating_add(more), 0);
        at
    }

    fn put(&mut self, at: usize, value: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(at).zip(value) {
            *to = *from;
        }
    }

    fn number(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    fn pointer(&mut self, at: usize, to: usize) {
        let address = u64::try_from(self.base.wrapping_add(to)).unwrap_or(0);
        self.put(at, &address.to_le_bytes());
    }

    fn luid(&mut self, at: usize, luid: Luid) {
        self.put(at, &luid.to_u64().to_le_bytes());
    }

    /// Appends bytes and makes the pointer at `at` lead there.
    fn append(&mut self, at: usize, bytes: &[u8]) {
        let to = self.grow(bytes.len());
        self.put(to, bytes);
        self.pointer(at, to);
    }

    fn count(&mut self, at: usize, count: usize) {
        self.number(at, u32::try_from(count).unwrap_or(0));
    }

    /// Writes an array of SIDs with attributes whose entries have room at `at`; the SIDs are appended.
    fn sids(&mut self, at: usize, groups: &[Group]) {
        for (index, group) in groups.iter().enumerate() {
            let entry = at.saturating_add(index.saturating_mul(16));
            self.number(entry.saturating_add(8), group.attributes.bits());
            self.append(entry, group.sid.as_bytes());
        }
    }

    /// Writes an array of privileges that has room at `at`.
    fn privileges(&mut self, at: usize, privileges: PrivilegeSet) {
        for (index, entry) in privileges.entries().enumerate() {
            let at = at.saturating_add(index.saturating_mul(12));
            self.luid(at, entry.luid);
            self.number(at.saturating_add(8), entry.attributes.bits());
        }
    }

    fn optional_sid(&mut self, at: usize, sid: Option<&Sid>) {
        if let Some(sid) = sid {
            self.append(at, sid.as_bytes());
        }
    }
}

fn array(groups: &[Group]) -> usize {
    groups.len().saturating_mul(16)
}

fn kind(kind: TokenKind) -> (u32, u32) {
    match kind {
        TokenKind::Primary => (1, 0),
        TokenKind::Impersonation(level) => (2, level.number()),
    }
}

fn statistics(block: &mut Block, of: &Statistics) {
    let (kind, level) = kind(of.kind);
    block.luid(0, of.token_id);
    block.luid(8, of.authentication_id);
    // It never ends.
    block.put(16, &i64::MAX.to_le_bytes());
    block.number(24, kind);
    block.number(28, level);
    block.number(32, of.dynamic_charged);
    block.number(40, of.group_count);
    block.number(44, of.privilege_count);
    block.luid(48, of.modified_id);
}

/// Appends a `SID_AND_ATTRIBUTES_HASH` and makes the pointer at `at` lead there. The hash itself is of no meaning to
/// anybody but the kernel, and zero.
fn hash(block: &mut Block, at: usize, groups: &[Group]) {
    let to = block.grow(HASH_SIZE);
    block.pointer(at, to);
    block.count(to, groups.len());
    let entries = block.grow(array(groups));
    block.pointer(to.saturating_add(8), entries);
    block.sids(entries, groups);
    // What follows holds pointers again.
    let padding = block.bytes.len().next_multiple_of(8).saturating_sub(block.bytes.len());
    block.grow(padding);
}

fn access(block: &mut Block, of: &AccessInformation) {
    let state = &of.state;
    let mut groups = vec![*state.user()];
    groups.extend_from_slice(state.groups());
    if let Some(level) = state.integrity() {
        groups.push(integrity(level));
    }
    let (kind, level) = kind(of.kind);
    hash(block, 0, &groups);
    hash(block, 8, state.restricting_sids());
    block.luid(24, of.authentication_id);
    block.number(32, kind);
    block.number(36, level);
    block.number(40, state.mandatory_policy().bits());
    block.number(44, of.flags.bits());
    if let Some(container) = state.app_container() {
        block.append(56, container.package().as_bytes());
        let padding = block.bytes.len().next_multiple_of(8).saturating_sub(block.bytes.len());
        block.grow(padding);
        hash(block, 64, container.capabilities());
    }
    block.optional_sid(72, state.trust());
    let entries = state.privileges().entries().count();
    let list = block.grow(entries.saturating_mul(12).saturating_add(4));
    block.pointer(16, list);
    block.count(list, entries);
    block.privileges(list.saturating_add(4), state.privileges());
}

fn integrity(level: IntegrityLevel) -> Group {
    Group::new(level.to_sid(), GroupAttributes::INTEGRITY | GroupAttributes::INTEGRITY_ENABLED)
}

/// Writes an answer as the structure of its class, for a block that will be at `base`.
///
/// # Errors
/// - as for [`handle::insert`], for the linked token.
pub(crate) fn marshal(call: &Call, info: &Info, base: usize, table: Table) -> Result<Vec<u8>, NtStatus> {
    let mut block = Block::new(base, 0);
    match info {
        Info::Sid(group) => {
            let at = block.grow(16);
            block.sids(at, std::slice::from_ref(group));
        }
        Info::Sids(groups) => {
            block.grow(8);
            block.count(0, groups.len());
            let at = block.grow(array(groups));
            block.sids(at, groups);
        }
        Info::Privileges(privileges) => {
            let count = privileges.entries().count();
            block.grow(4);
            block.count(0, count);
            let at = block.grow(count.saturating_mul(12));
            block.privileges(at, *privileges);
        }
        Info::Pointer(sid) => {
            block.grow(8);
            block.optional_sid(0, sid.as_ref());
        }
        Info::Dacl(acl) => {
            block.grow(8);
            if let Some(acl) = acl {
                block.append(0, acl.as_ref().as_bytes());
            }
        }
        Info::Source(source) => {
            block.grow(16);
            block.put(0, &source.name);
            block.luid(8, source.identifier);
        }
        Info::Type(of) => {
            block.grow(4);
            block.number(0, kind(*of).0);
        }
        Info::Level(level) => {
            block.grow(4);
            block.number(0, level.number());
        }
        Info::Statistics(of) => {
            block.grow(56);
            statistics(&mut block, of);
        }
        Info::GroupsAndPrivileges(groups, restricting, privileges, session) => {
            let count = privileges.entries().count();
            block.grow(56);
            let of_groups = block.grow(array(groups));
            let of_restricting = block.grow(array(restricting));
            let of_privileges = block.grow(count.saturating_mul(12));
            for (at, list, entries) in [(0, groups, of_groups), (16, restricting, of_restricting)] {
                block.count(at, list.len());
                let length = list.iter().map(|group| group.sid.as_bytes().len()).sum::<usize>();
                block.count(at.saturating_add(4), length.saturating_add(array(list)));
                block.pointer(at.saturating_add(8), entries);
                block.sids(entries, list);
            }
            block.count(32, count);
            block.count(36, count.saturating_mul(12));
            block.pointer(40, of_privileges);
            block.privileges(of_privileges, *privileges);
            block.luid(48, *session);
        }
        Info::Origin(session) => {
            block.grow(8);
            block.luid(0, *session);
        }
        Info::ElevationType(elevation) => {
            block.grow(4);
            block.number(
                0,
                match elevation {
                    Elevation::Default => 1,
                    Elevation::Full => 2,
                    Elevation::Limited => 3,
                },
            );
        }
        Info::LinkedToken(token) => {
            block.grow(8);
            // A block that is only measured names nothing.
            if base != 0 {
                let opened = TokenHandle::with_rights(token.clone(), vicar_kernel::handle::right::ALL);
                let named = handle::insert(call, table, |handles| handles.add_token(opened))?;
                block.put(0, &u64::try_from(named.addr()).unwrap_or(0).to_le_bytes());
            }
        }
        Info::Access(of) => {
            block.grow(88);
            access(&mut block, of);
        }
        Info::MandatoryPolicy(policy) => {
            block.grow(4);
            block.number(0, policy.bits());
        }
        Info::Number(number) => {
            block.grow(4);
            block.number(0, *number);
        }
        Info::Flag(flag) => {
            block.grow(4);
            block.number(0, u32::from(*flag));
        }
        Info::Claims(claims) => block.bytes = serialise_claims(claims, u64::try_from(base).unwrap_or(0)),
        // The kernel's answers may become more.
        _ => return Err(NtStatus::INVALID_INFO_CLASS),
    }
    Ok(block.bytes)
}

/// Returns the value of a class that `SeQueryInformationToken` stores in the pointer's place.
fn in_place(class: InfoClass, info: &Info) -> Option<u32> {
    match (class, info) {
        (InfoClass::Elevation, _) => None,
        (InfoClass::IntegrityLevel, Info::Sid(group)) => group.sid.rid(),
        (_, Info::Number(number)) => Some(*number),
        (_, Info::Flag(flag)) => Some(u32::from(*flag)),
        _ => None,
    }
}

/// Says whether the level of a token is in the answer.
fn shows_level(class: InfoClass) -> bool {
    matches!(class, InfoClass::ImpersonationLevel | InfoClass::Statistics | InfoClass::AccessInformation)
}

/// Answers one question about a token in a block of pool, at every level.
///
/// # Returns
/// `STATUS_SUCCESS`: the caller frees the block with `ExFreePool`, except for the classes whose answer is one number or
/// flag, and the integrity level, whose RID it is: these are stored in the pointer's place as 32 bits.
/// `STATUS_INVALID_INFO_CLASS` for a class that there is none of, or not for this type of token;
/// `STATUS_NO_SUCH_LOGON_SESSION` for the linked token when there is none, `STATUS_NOT_FOUND` for a logon SID;
/// `STATUS_INVALID_PARAMETER` for null; `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED`. The output is null or
/// unchanged then.
///
/// # Safety
/// `Token` is a token that the caller references; `TokenInformation` is null or points to room for a pointer.
///
/// # Source
/// SeQueryInformationToken (ntifs.h page); spec/nt-impersonation 2.15.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeQueryInformationToken(
    Token: PACCESS_TOKEN,
    TokenInformationClass: i32,
    TokenInformation: *mut PVOID,
) -> NTSTATUS {
    enter_status(&QUERY, |call| {
        if TokenInformation.is_null() {
            call.report(Rule::NullArgument, "TokenInformation is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let class = InfoClass::parse(TokenInformationClass.cast_unsigned())?;
        let token = look(call, Token)?;
        let info = token.query_information(class)?;
        if shows_level(class) {
            flow::looked_at_token(call, Token, &token);
        } else if class != InfoClass::Type {
            flow::identifies(call, Token);
        }
        if let Some(number) = in_place(class, &info) {
            ptr::write(TokenInformation.cast::<u32>(), number);
            return Ok(());
        }
        let length = marshal(call, &info, 0, Table::Kernel)?.len();
        let block = pool::allocate(call, length, *b"SeTi", 0)?;
        match marshal(call, &info, block.addr(), Table::Kernel) {
            Ok(bytes) => {
                ptr::write_bytes(block, &bytes);
                ptr::write(TokenInformation, block);
                Ok(())
            }
            Err(status) => {
                pool::free(call, block);
                Err(status)
            }
        }
    })
}

/// The buffer of a query.
struct Room {
    at: PVOID,
    length: ULONG,
    needed: *mut ULONG,
}

fn query(call: &Call, token: HANDLE, class: i32, room: &Room, mode: AccessMode) -> Result<(), NtStatus> {
    let class = InfoClass::parse(class.cast_unsigned())?;
    probe(call, room.needed, mode)?;
    ptr::write(room.needed, 0);
    if mode == AccessMode::User && room.length != 0 {
        probe_optional(call, room.at.cast::<ULONG>().cast_const(), mode)?;
    }
    let opened = handle::token(call, token, mode)?;
    let token: &TokenRef = opened.token_unchecked();
    let info = match mode {
        AccessMode::Kernel => token.query_information(class)?,
        AccessMode::User => {
            opened.query_information(&subject::of_caller(), class, usize::MAX).map_err(|error| error.status)?
        }
    };
    let length = marshal(call, &info, 0, Table::Own)?.len();
    ptr::write(room.needed, ULONG::try_from(length).unwrap_or(ULONG::MAX));
    if shows_level(class) {
        flow::looked_at_token(call, PVOID::default(), token);
    }
    if usize::try_from(room.length).unwrap_or(0) < length {
        return Err(NtStatus::BUFFER_TOO_SMALL);
    }
    if room.at.is_null() {
        return Err(NtStatus::ACCESS_VIOLATION);
    }
    let table = match mode {
        AccessMode::Kernel => Table::Kernel,
        AccessMode::User => Table::Own,
    };
    ptr::write_bytes(room.at, &marshal(call, &info, room.at.addr(), table)?);
    Ok(())
}

/// Answers one question about a token in the caller's buffer, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_INFO_CLASS`; `STATUS_ACCESS_VIOLATION` and `STATUS_DATATYPE_MISALIGNMENT` for the
/// pointers; the handle statuses; `STATUS_BUFFER_TOO_SMALL` with the bytes that are needed; and as for
/// [`SeQueryInformationToken`]. `*ReturnLength` is the length of the answer, or zero when there is none.
///
/// # Safety
/// `TokenInformation` is null or points to as many bytes as the length says; `ReturnLength` is null or points to a number.
///
/// # Source
/// ZwQueryInformationToken (ntifs.h page); spec/nt-impersonation 2.15.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwQueryInformationToken(
    TokenHandle: HANDLE,
    TokenInformationClass: i32,
    TokenInformation: PVOID,
    TokenInformationLength: ULONG,
    ReturnLength: *mut ULONG,
) -> NTSTATUS {
    let room = Room { at: TokenInformation, length: TokenInformationLength, needed: ReturnLength };
    enter_status(&ZW_QUERY, |call| query(call, TokenHandle, TokenInformationClass, &room, AccessMode::Kernel))
}

/// [`ZwQueryInformationToken`] for whoever the calling thread works for: the handle must allow it.
///
/// # Safety
/// As for [`ZwQueryInformationToken`].
///
/// # Source
/// NtQueryInformationToken (ntifs.h page); spec/nt-impersonation 2.15.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtQueryInformationToken(
    TokenHandle: HANDLE,
    TokenInformationClass: i32,
    TokenInformation: PVOID,
    TokenInformationLength: ULONG,
    ReturnLength: *mut ULONG,
) -> NTSTATUS {
    let room = Room { at: TokenInformation, length: TokenInformationLength, needed: ReturnLength };
    enter_status(&NT_QUERY, |call| query(call, TokenHandle, TokenInformationClass, &room, previous_mode()))
}
