//! Privilege checks.

use vicar_nt::Privilege;
use vicar_nt::check::AccessMode;
use vicar_nt::privilege::{LuidAndAttributes, Need, PrivilegeAttributes};

use crate::convert;
use crate::current;
use crate::entry::{Routine, enter, routine};
use crate::layout::{
    BOOLEAN, KPROCESSOR_MODE, LUID, LUID_AND_ATTRIBUTES, PRIVILEGE_SET, SECURITY_SUBJECT_CONTEXT, ULONG,
};
use crate::ptr;
use crate::se::subject;
use crate::verifier::{Rule, flow};

static CHECK: Routine = routine!(SePrivilegeCheck, PASSIVE_LEVEL, "SePrivilegeCheck (ntifs.h page)");
static SINGLE: Routine = routine!(SeSinglePrivilegeCheck, PASSIVE_LEVEL, "SeSinglePrivilegeCheck (ntddk.h page)");

/// `PRIVILEGE_SET_ALL_NECESSARY`.
const ALL_NECESSARY: ULONG = 1;
/// More privileges than there are, several times over.
const MOST: ULONG = 0x400;

/// Where the entries of a set are.
fn entries(set: *mut PRIVILEGE_SET) -> *mut LUID_AND_ATTRIBUTES {
    set.wrapping_byte_add(8).cast()
}

/// The privileges that a caller asks about.
pub(crate) struct Required {
    pub(crate) wanted: Vec<LuidAndAttributes>,
    pub(crate) need: Need,
}

impl Required {
    /// Reads a set; `None` for null and for far more privileges than there are.
    pub(crate) fn read(set: *mut PRIVILEGE_SET) -> Option<Self> {
        let head: *const ULONG = set.cast_const().cast();
        let (count, control) = (ptr::read(head).filter(|count| *count <= MOST)?, ptr::read_at(head, 1)?);
        let wanted = (0..usize::try_from(count).unwrap_or(0)).filter_map(|index| ptr::read_at(entries(set), index));
        let wanted = wanted.map(|entry| LuidAndAttributes {
            luid: convert::from_luid(entry.Luid),
            attributes: PrivilegeAttributes::from_bits_retain(entry.Attributes),
        });
        let need = if control & ALL_NECESSARY == 0 { Need::Any } else { Need::All };
        Some(Self { wanted: wanted.collect(), need })
    }

    /// Marks those that are in force in the caller's set.
    pub(crate) fn write_back(&self, set: *mut PRIVILEGE_SET) {
        for (index, entry) in self.wanted.iter().enumerate() {
            let entry = LUID_AND_ATTRIBUTES { Luid: convert::luid(entry.luid), Attributes: entry.attributes.bits() };
            ptr::write_at(entries(set), index, entry);
        }
    }
}

/// Says whether privileges are in force for a subject context, and marks those that are.
///
/// # Safety
/// `RequiredPrivileges` is null or points to a set with as many entries as it says, which are written to; `SubjectContext`
/// is null or points to a subject context.
///
/// # Source
/// SePrivilegeCheck (ntifs.h page); spec/nt-impersonation 2.17.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SePrivilegeCheck(
    RequiredPrivileges: *mut PRIVILEGE_SET,
    SubjectContext: *const SECURITY_SUBJECT_CONTEXT,
    AccessMode: KPROCESSOR_MODE,
) -> BOOLEAN {
    enter(&CHECK, |call| {
        flow::checks(call, AccessMode);
        if RequiredPrivileges.is_null() {
            call.report(Rule::NullArgument, "RequiredPrivileges is NULL");
        }
        let Some(mut set) = Required::read(RequiredPrivileges) else { return 0 };
        let mode = convert::mode(AccessMode);
        let (wanted, need) = (&mut set.wanted, set.need);
        let holds = subject::with_tokens(call, SubjectContext, |tokens| tokens.privilege_check(wanted, need, mode));
        let Some(holds) = holds else { return 0 };
        flow::answers_by_level(call, SubjectContext);
        set.write_back(RequiredPrivileges);
        u8::from(holds)
    })
}

/// Says whether whoever the calling thread acts as has a privilege in force.
///
/// # Safety
/// None needed.
///
/// # Source
/// SeSinglePrivilegeCheck (ntddk.h page); spec/nt-impersonation 2.18.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeSinglePrivilegeCheck(PrivilegeValue: LUID, PreviousMode: KPROCESSOR_MODE) -> BOOLEAN {
    enter(&SINGLE, |call| {
        flow::checks(call, PreviousMode);
        flow::looked(call);
        let mode = convert::mode(PreviousMode);
        u8::from(match Privilege::from_luid(convert::from_luid(PrivilegeValue)) {
            Some(privilege) => current::seat().host.thread.holds(privilege, mode),
            None => mode == AccessMode::Kernel,
        })
    })
}
