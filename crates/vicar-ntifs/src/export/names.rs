//! `SeExports`: the privileges and well-known SIDs, by name.

use std::ffi::c_void;

use crate::layout::{LUID, PSID};
use crate::ptr::Export;

/// A SID of `N` sub-authorities as C reads it.
#[repr(C)]
struct Known<const N: usize> {
    revision: u8,
    count: u8,
    authority: [u8; 6],
    sub_authorities: [u32; N],
}

impl<const N: usize> Known<N> {
    const fn new(count: u8, authority: u8, sub_authorities: [u32; N]) -> Self {
        Self { revision: 1, count, authority: [0, 0, 0, 0, 0, authority], sub_authorities }
    }
}

macro_rules! exports {
    (
        luids { $($luid:ident = $number:literal,)* }
        sids { $($sid:ident: $count:literal = $authority:literal, [$($sub:literal),*];)* }
        order { $($member:ident: $type:ident = $form:ident,)* }
    ) => {
        $(
            const $luid: LUID = LUID { LowPart: $number, HighPart: 0 };
        )*
        $(
            static $sid: Known<$count> = Known::new($count, $authority, [$($sub),*]);
        )*

        /// The privileges and SIDs that drivers read by name.
        ///
        /// # Source
        /// ntifs.h, `SE_EXPORTS`.
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct SE_EXPORTS {
            $(
                #[doc = concat!("`", stringify!($member), "`.")]
                pub $member: $type,
            )*
        }

        static EXPORTS: Export<SE_EXPORTS> = Export::new(SE_EXPORTS { $($member: exports!(@ $form $member),)* });
    };
    (@ luid $member:ident) => { $member };
    (@ sid $member:ident) => { (&raw const $member).cast_mut().cast::<c_void>() };
}

exports! {
    luids {
        SeCreateTokenPrivilege = 2,
        SeAssignPrimaryTokenPrivilege = 3,
        SeLockMemoryPrivilege = 4,
        SeIncreaseQuotaPrivilege = 5,
        SeUnsolicitedInputPrivilege = 6,
        SeTcbPrivilege = 7,
        SeSecurityPrivilege = 8,
        SeTakeOwnershipPrivilege = 9,
        SeLoadDriverPrivilege = 10,
        SeCreatePagefilePrivilege = 15,
        SeIncreaseBasePriorityPrivilege = 14,
        SeSystemProfilePrivilege = 11,
        SeSystemtimePrivilege = 12,
        SeProfileSingleProcessPrivilege = 13,
        SeCreatePermanentPrivilege = 16,
        SeBackupPrivilege = 17,
        SeRestorePrivilege = 18,
        SeShutdownPrivilege = 19,
        SeDebugPrivilege = 20,
        SeAuditPrivilege = 21,
        SeSystemEnvironmentPrivilege = 22,
        SeChangeNotifyPrivilege = 23,
        SeRemoteShutdownPrivilege = 24,
        SeUndockPrivilege = 25,
        SeSyncAgentPrivilege = 26,
        SeEnableDelegationPrivilege = 27,
        SeManageVolumePrivilege = 28,
        SeImpersonatePrivilege = 29,
        SeCreateGlobalPrivilege = 30,
        SeTrustedCredManAccessPrivilege = 31,
        SeRelabelPrivilege = 32,
        SeIncreaseWorkingSetPrivilege = 33,
        SeTimeZonePrivilege = 34,
        SeCreateSymbolicLinkPrivilege = 35,
    }
    sids {
        SeNullSid: 1 = 0, [0];
        SeWorldSid: 1 = 1, [0];
        SeLocalSid: 1 = 2, [0];
        SeCreatorOwnerSid: 1 = 3, [0];
        SeCreatorGroupSid: 1 = 3, [1];
        SeNtAuthoritySid: 0 = 5, [];
        SeDialupSid: 1 = 5, [1];
        SeNetworkSid: 1 = 5, [2];
        SeBatchSid: 1 = 5, [3];
        SeInteractiveSid: 1 = 5, [4];
        SeLocalSystemSid: 1 = 5, [18];
        SeAliasAdminsSid: 2 = 5, [32, 544];
        SeAliasUsersSid: 2 = 5, [32, 545];
        SeAliasGuestsSid: 2 = 5, [32, 546];
        SeAliasPowerUsersSid: 2 = 5, [32, 547];
        SeAliasAccountOpsSid: 2 = 5, [32, 548];
        SeAliasSystemOpsSid: 2 = 5, [32, 549];
        SeAliasPrintOpsSid: 2 = 5, [32, 550];
        SeAliasBackupOpsSid: 2 = 5, [32, 551];
        SeAuthenticatedUsersSid: 1 = 5, [11];
        SeRestrictedSid: 1 = 5, [12];
        SeAnonymousLogonSid: 1 = 5, [7];
        SeLocalServiceSid: 1 = 5, [19];
        SeNetworkServiceSid: 1 = 5, [20];
        SeIUserSid: 1 = 5, [17];
        SeUntrustedMandatorySid: 1 = 16, [0];
        SeLowMandatorySid: 1 = 16, [4096];
        SeMediumMandatorySid: 1 = 16, [8192];
        SeHighMandatorySid: 1 = 16, [12288];
        SeSystemMandatorySid: 1 = 16, [16384];
        SeOwnerRightsSid: 1 = 3, [4];
    }
    order {
        SeCreateTokenPrivilege: LUID = luid,
        SeAssignPrimaryTokenPrivilege: LUID = luid,
        SeLockMemoryPrivilege: LUID = luid,
        SeIncreaseQuotaPrivilege: LUID = luid,
        SeUnsolicitedInputPrivilege: LUID = luid,
        SeTcbPrivilege: LUID = luid,
        SeSecurityPrivilege: LUID = luid,
        SeTakeOwnershipPrivilege: LUID = luid,
        SeLoadDriverPrivilege: LUID = luid,
        SeCreatePagefilePrivilege: LUID = luid,
        SeIncreaseBasePriorityPrivilege: LUID = luid,
        SeSystemProfilePrivilege: LUID = luid,
        SeSystemtimePrivilege: LUID = luid,
        SeProfileSingleProcessPrivilege: LUID = luid,
        SeCreatePermanentPrivilege: LUID = luid,
        SeBackupPrivilege: LUID = luid,
        SeRestorePrivilege: LUID = luid,
        SeShutdownPrivilege: LUID = luid,
        SeDebugPrivilege: LUID = luid,
        SeAuditPrivilege: LUID = luid,
        SeSystemEnvironmentPrivilege: LUID = luid,
        SeChangeNotifyPrivilege: LUID = luid,
        SeRemoteShutdownPrivilege: LUID = luid,
        SeNullSid: PSID = sid,
        SeWorldSid: PSID = sid,
        SeLocalSid: PSID = sid,
        SeCreatorOwnerSid: PSID = sid,
        SeCreatorGroupSid: PSID = sid,
        SeNtAuthoritySid: PSID = sid,
        SeDialupSid: PSID = sid,
        SeNetworkSid: PSID = sid,
        SeBatchSid: PSID = sid,
        SeInteractiveSid: PSID = sid,
        SeLocalSystemSid: PSID = sid,
        SeAliasAdminsSid: PSID = sid,
        SeAliasUsersSid: PSID = sid,
        SeAliasGuestsSid: PSID = sid,
        SeAliasPowerUsersSid: PSID = sid,
        SeAliasAccountOpsSid: PSID = sid,
        SeAliasSystemOpsSid: PSID = sid,
        SeAliasPrintOpsSid: PSID = sid,
        SeAliasBackupOpsSid: PSID = sid,
        SeAuthenticatedUsersSid: PSID = sid,
        SeRestrictedSid: PSID = sid,
        SeAnonymousLogonSid: PSID = sid,
        SeUndockPrivilege: LUID = luid,
        SeSyncAgentPrivilege: LUID = luid,
        SeEnableDelegationPrivilege: LUID = luid,
        SeLocalServiceSid: PSID = sid,
        SeNetworkServiceSid: PSID = sid,
        SeManageVolumePrivilege: LUID = luid,
        SeImpersonatePrivilege: LUID = luid,
        SeCreateGlobalPrivilege: LUID = luid,
        SeTrustedCredManAccessPrivilege: LUID = luid,
        SeRelabelPrivilege: LUID = luid,
        SeIncreaseWorkingSetPrivilege: LUID = luid,
        SeTimeZonePrivilege: LUID = luid,
        SeCreateSymbolicLinkPrivilege: LUID = luid,
        SeIUserSid: PSID = sid,
        SeUntrustedMandatorySid: PSID = sid,
        SeLowMandatorySid: PSID = sid,
        SeMediumMandatorySid: PSID = sid,
        SeHighMandatorySid: PSID = sid,
        SeSystemMandatorySid: PSID = sid,
        SeOwnerRightsSid: PSID = sid,
    }
}

/// The privileges and well-known SIDs of the system: a pointer, as NT exports it.
#[unsafe(no_mangle)]
pub static SeExports: Export<*const Export<SE_EXPORTS>> = Export::new(&raw const EXPORTS);
