//! Rights: mapped, compared.

use vicar_nt::RequestedMask;

use crate::convert;
use crate::entry::{Routine, enter, routine};
use crate::layout::{ACCESS_MASK, BOOLEAN, GENERIC_MAPPING};
use crate::ptr;
use crate::verifier::Rule;

static MAP: Routine = routine!(RtlMapGenericMask, HIGH_LEVEL, "RtlMapGenericMask (wdm.h page)");
static ALL: Routine = routine!(RtlAreAllAccessesGranted, HIGH_LEVEL, "AreAllAccessesGranted (securitybaseapi.h page)");
static ANY: Routine = routine!(RtlAreAnyAccessesGranted, HIGH_LEVEL, "AreAnyAccessesGranted (securitybaseapi.h page)");

/// Replaces the generic bits of a mask by what they mean for a type.
///
/// # Safety
/// `AccessMask` is null or points to a mask, `GenericMapping` is null or points to a mapping.
///
/// # Source
/// RtlMapGenericMask (wdm.h page); MS-DTYP 2.4.3.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlMapGenericMask(AccessMask: *mut ACCESS_MASK, GenericMapping: *const GENERIC_MAPPING) {
    enter(&MAP, |call| {
        let (Some(mask), Some(mapping)) = (ptr::read(AccessMask), ptr::read(GenericMapping)) else {
            return call.report(Rule::NullArgument, "AccessMask or GenericMapping is NULL");
        };
        ptr::write(AccessMask, convert::mapping(mapping).map(RequestedMask(mask)).bits());
    });
}

/// Returns whether every right that is wanted is granted.
///
/// # Safety
/// None needed.
///
/// # Source
/// AreAllAccessesGranted (securitybaseapi.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlAreAllAccessesGranted(
    GrantedAccess: ACCESS_MASK,
    DesiredAccess: ACCESS_MASK,
) -> BOOLEAN {
    enter(&ALL, |_| u8::from(GrantedAccess & DesiredAccess == DesiredAccess))
}

/// Returns whether some right that is wanted is granted.
///
/// # Safety
/// None needed.
///
/// # Source
/// AreAnyAccessesGranted (securitybaseapi.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlAreAnyAccessesGranted(
    GrantedAccess: ACCESS_MASK,
    DesiredAccess: ACCESS_MASK,
) -> BOOLEAN {
    enter(&ANY, |_| u8::from(GrantedAccess & DesiredAccess != 0))
}
