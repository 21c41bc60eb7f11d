//! Linux capabilities and NT privileges: which of the one is which of the other.
//!
//! A privilege is in a token only if every capability behind it is permitted, and enabled only if they are all effective.
//! Where Linux has no such right, or gives it to everybody, the table says so. What a capability allows and NT has no
//! name for is listed apart, see [`without_nt_name`].
//!
//! The table describes; it never grants. While a thread acts as a client its effective set is empty.

use rustix::thread::CapabilitySet;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::{Privilege, PrivilegeSet};

/// What a process needs on Linux for what a privilege allows on NT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// All of these capabilities.
    All(CapabilitySet),
    /// One of these capabilities.
    Any(CapabilitySet),
    /// Nothing: everybody may.
    Nothing,
    /// Something that is not a capability, or nothing on Linux at all: never reported as held.
    NoCapability,
}

/// Where capabilities count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// The first user namespace: over everything.
    First,
    /// Another one: only over what belongs to it, which makes a switch of identity possible and little else.
    Other,
}

/// Returns what a privilege needs on Linux.
///
/// # Source
/// capabilities(7); learn.microsoft.com, "Privilege Constants". `SeChangeNotifyPrivilege` is not mapped on purpose:
/// traversal is always checked here, and CAP_DAC_READ_SEARCH would be far too wide.
#[must_use]
pub const fn need(privilege: Privilege) -> Need {
    use CapabilitySet as Cap;
    match privilege {
        Privilege::Backup => Need::All(Cap::DAC_READ_SEARCH),
        Privilege::Restore => Need::All(Cap::DAC_OVERRIDE.union(Cap::CHOWN).union(Cap::FOWNER).union(Cap::FSETID)),
        Privilege::TakeOwnership => Need::All(Cap::CHOWN.union(Cap::FOWNER)),
        Privilege::Security => Need::All(Cap::AUDIT_CONTROL.union(Cap::AUDIT_READ)),
        Privilege::Audit => Need::All(Cap::AUDIT_WRITE),
        Privilege::Debug => Need::All(Cap::SYS_PTRACE),
        Privilege::LoadDriver => Need::All(Cap::SYS_MODULE),
        Privilege::Shutdown => Need::All(Cap::SYS_BOOT),
        Privilege::Systemtime => Need::All(Cap::SYS_TIME),
        Privilege::SystemEnvironment => Need::All(Cap::SYS_ADMIN.union(Cap::LINUX_IMMUTABLE)),
        Privilege::SystemProfile => Need::All(Cap::PERFMON),
        Privilege::ProfileSingleProcess => Need::Any(Cap::SYS_PTRACE.union(Cap::PERFMON)),
        Privilege::IncreaseBasePriority => Need::All(Cap::SYS_NICE),
        Privilege::IncreaseQuota => Need::All(Cap::SYS_RESOURCE),
        Privilege::LockMemory => Need::All(Cap::IPC_LOCK),
        Privilege::CreatePagefile | Privilege::ManageVolume => Need::All(Cap::SYS_ADMIN),
        Privilege::Tcb | Privilege::CreateToken => Need::All(Cap::SETUID.union(Cap::SETGID).union(Cap::SETPCAP)),
        Privilege::AssignPrimaryToken | Privilege::Impersonate => Need::All(Cap::SETUID.union(Cap::SETGID)),
        Privilege::Relabel => Need::All(Cap::MAC_ADMIN),
        Privilege::IncreaseWorkingSet | Privilege::CreateSymbolicLink => Need::Nothing,
        Privilege::ChangeNotify
        | Privilege::MachineAccount
        | Privilege::SyncAgent
        | Privilege::CreatePermanent
        | Privilege::CreateGlobal
        | Privilege::RemoteShutdown
        | Privilege::Undock
        | Privilege::EnableDelegation
        | Privilege::TrustedCredManAccess
        | Privilege::TimeZone
        | Privilege::DelegateSessionUserImpersonate => Need::NoCapability,
    }
}

/// Returns the privileges that capabilities amount to.
///
/// # Inputs
/// - `effective`, `permitted`: as capget(2) shows them.
///
/// # Returns
/// Privileges whose need is permitted; those whose need is effective are enabled.
#[must_use]
pub fn privileges(effective: CapabilitySet, permitted: CapabilitySet, namespace: Namespace) -> PrivilegeSet {
    let mut held = PrivilegeSet::NONE;
    for privilege in Privilege::ALL {
        let need = need(privilege);
        let counts = match namespace {
            Namespace::First => true,
            Namespace::Other => privilege == Privilege::Impersonate || need == Need::Nothing,
        };
        if counts && satisfies(permitted, need) {
            let state =
                if satisfies(effective, need) { PrivilegeState::EnabledByDefault } else { PrivilegeState::Disabled };
            held = held.with(privilege, state);
        }
    }
    held
}

const fn satisfies(held: CapabilitySet, need: Need) -> bool {
    match need {
        Need::All(all) => held.contains(all),
        Need::Any(any) => held.intersects(any),
        Need::Nothing => true,
        Need::NoCapability => false,
    }
}

/// Names, in the manner of NT, of capabilities that no NT privilege stands for.
const WITHOUT_NT_NAME: [(CapabilitySet, &str); 19] = [
    (CapabilitySet::KILL, "LinuxKillPrivilege"),
    (CapabilitySet::NET_BIND_SERVICE, "LinuxNetBindServicePrivilege"),
    (CapabilitySet::NET_BROADCAST, "LinuxNetBroadcastPrivilege"),
    (CapabilitySet::NET_ADMIN, "LinuxNetAdminPrivilege"),
    (CapabilitySet::NET_RAW, "LinuxNetRawPrivilege"),
    (CapabilitySet::IPC_OWNER, "LinuxIpcOwnerPrivilege"),
    (CapabilitySet::SYS_RAWIO, "LinuxRawIoPrivilege"),
    (CapabilitySet::SYS_CHROOT, "LinuxChrootPrivilege"),
    (CapabilitySet::SYS_PACCT, "LinuxProcessAccountingPrivilege"),
    (CapabilitySet::SYS_TTY_CONFIG, "LinuxTtyConfigPrivilege"),
    (CapabilitySet::MKNOD, "LinuxMknodPrivilege"),
    (CapabilitySet::LEASE, "LinuxLeasePrivilege"),
    (CapabilitySet::SETFCAP, "LinuxSetFileCapabilitiesPrivilege"),
    (CapabilitySet::MAC_OVERRIDE, "LinuxMacOverridePrivilege"),
    (CapabilitySet::SYSLOG, "LinuxSyslogPrivilege"),
    (CapabilitySet::WAKE_ALARM, "LinuxWakeAlarmPrivilege"),
    (CapabilitySet::BLOCK_SUSPEND, "LinuxBlockSuspendPrivilege"),
    (CapabilitySet::BPF, "LinuxBpfPrivilege"),
    (CapabilitySet::CHECKPOINT_RESTORE, "LinuxCheckpointRestorePrivilege"),
];

/// Returns names for the capabilities in `held` that no NT privilege stands for.
pub fn without_nt_name(held: CapabilitySet) -> impl Iterator<Item = &'static str> {
    WITHOUT_NT_NAME.into_iter().filter(move |(capability, _)| held.contains(*capability)).map(|(_, name)| name)
}

/// Which user namespace this process is in; another one than the first when `/proc` cannot say.
///
/// # Source
/// user_namespaces(7): the first namespace maps every id to itself. Another may be made to do so too; namespaces(7): the
/// link in `/proc/self/ns` tells which one it is, and the kernel gives the first one the inode 0xEFFFFFFD.
#[must_use]
pub fn namespace_here() -> Namespace {
    const FIRST: &str = "user:[4026531837]";
    if !std::fs::read_link("/proc/self/ns/user").is_ok_and(|link| link.as_os_str() == FIRST) {
        return Namespace::Other;
    }
    let is_first = |map: std::io::Result<String>| map.is_ok_and(|map| crate::source::peer::is_whole_map(&map));
    if is_first(std::fs::read_to_string("/proc/self/uid_map")) { Namespace::First } else { Namespace::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(effective: CapabilitySet, permitted: CapabilitySet, namespace: Namespace) -> Vec<(&'static str, bool)> {
        let set = privileges(effective, permitted, namespace);
        set.present().iter().map(|privilege| (privilege.name(), set.is_enabled(privilege))).collect()
    }

    #[test]
    fn nobody_has_what_everybody_has_and_nothing_else() {
        let none = CapabilitySet::empty();
        let everybody = [("SeIncreaseWorkingSetPrivilege", true), ("SeCreateSymbolicLinkPrivilege", true)];
        assert_eq!(names(none, none, Namespace::First), everybody);
        assert_eq!(names(none, none, Namespace::Other), everybody);
    }

    #[test]
    fn a_server_with_two_capabilities_may_impersonate_and_start_processes() {
        let two = CapabilitySet::SETUID | CapabilitySet::SETGID;
        let held = names(two, two, Namespace::First);
        assert!(held.contains(&("SeImpersonatePrivilege", true)));
        assert!(held.contains(&("SeAssignPrimaryTokenPrivilege", true)));
        assert_eq!(held.len(), 4);
        let one = names(CapabilitySet::SETUID, CapabilitySet::SETUID, Namespace::First);
        assert!(!one.iter().any(|(name, _)| *name == "SeImpersonatePrivilege"));
    }

    #[test]
    fn permitted_is_present_and_effective_is_enabled() {
        let held = names(CapabilitySet::empty(), CapabilitySet::DAC_READ_SEARCH, Namespace::First);
        assert!(held.contains(&("SeBackupPrivilege", false)));
    }

    #[test]
    fn in_another_namespace_only_impersonation_counts() {
        let held = names(CapabilitySet::all(), CapabilitySet::all(), Namespace::Other);
        assert!(held.contains(&("SeImpersonatePrivilege", true)));
        assert!(
            !held
                .iter()
                .any(|(name, _)| matches!(*name, "SeTcbPrivilege" | "SeBackupPrivilege" | "SeSystemtimePrivilege"))
        );
    }

    /// The whole table, both ways: a privilege is held exactly when what it needs is permitted, and enabled exactly when
    /// that is effective; one capability less is none of it.
    #[test]
    fn every_privilege_is_exactly_its_capabilities() {
        let none = CapabilitySet::empty();
        let state = |privilege, effective, permitted| {
            let set = privileges(effective, permitted, Namespace::First);
            (set.present().contains(privilege), set.is_enabled(privilege))
        };
        let mut by_capability = 0;
        for privilege in Privilege::ALL {
            match need(privilege) {
                Need::All(all) => {
                    by_capability += 1;
                    assert!(!all.is_empty());
                    assert_eq!(state(privilege, none, all), (true, false), "{privilege:?}");
                    assert_eq!(state(privilege, all, all), (true, true), "{privilege:?}");
                    assert_eq!(state(privilege, none, CapabilitySet::all().difference(all)), (false, false));
                    for one in all.iter() {
                        let rest = all.difference(one);
                        assert_eq!(state(privilege, rest, rest), (false, false), "{privilege:?} without {one:?}");
                        assert_eq!(state(privilege, rest, all), (true, false), "{privilege:?} without {one:?}");
                    }
                }
                Need::Any(any) => {
                    by_capability += 1;
                    for one in any.iter() {
                        assert_eq!(state(privilege, none, one), (true, false), "{privilege:?} by {one:?}");
                        assert_eq!(state(privilege, one, one), (true, true), "{privilege:?} by {one:?}");
                    }
                    assert_eq!(state(privilege, none, CapabilitySet::all().difference(any)), (false, false));
                }
                Need::Nothing => assert_eq!(state(privilege, none, none), (true, true), "{privilege:?}"),
                Need::NoCapability => {
                    assert_eq!(state(privilege, CapabilitySet::all(), CapabilitySet::all()), (false, false));
                }
            }
        }
        assert_eq!(by_capability, 22);
    }

    #[test]
    fn every_capability_is_behind_a_privilege_or_has_a_name() {
        for (_, capability) in CapabilitySet::all().iter_names() {
            let is_needed = Privilege::ALL.iter().any(|privilege| match need(*privilege) {
                Need::All(set) | Need::Any(set) => set.contains(capability),
                Need::Nothing | Need::NoCapability => false,
            });
            let names = without_nt_name(capability).count();
            assert_eq!(usize::from(is_needed) + names, 1, "{capability:?}");
        }
    }

    #[test]
    fn everything_is_less_than_nt_has() {
        let held = names(CapabilitySet::all(), CapabilitySet::all(), Namespace::First);
        assert!(!held.iter().any(|(name, _)| *name == "SeChangeNotifyPrivilege"));
        assert_eq!(held.len(), 24);
        assert_eq!(without_nt_name(CapabilitySet::all()).count(), WITHOUT_NT_NAME.len());
        assert_eq!(without_nt_name(CapabilitySet::empty()).count(), 0);
    }
}
