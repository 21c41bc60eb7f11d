//! What can be asked of the queue: a closed list, each with one privilege and one capability.

use crate::fs::Name;
use crate::packet::{Reader, put_text};
use crate::{KernelGid, KernelUid};
use rustix::thread::CapabilitySet;
use vicar_nt::Privilege;

/// Something that a client may have done with one privilege it holds. A name is one component; the directory comes as a
/// descriptor, so no path is walked with more rights than the client's.
///
/// | task | privilege | capability | answer |
/// |---|---|---|---|
/// | [`OpenForBackup`](Self::OpenForBackup) | `SeBackupPrivilege` | CAP_DAC_READ_SEARCH | a descriptor, for reading |
/// | [`OpenForRestore`](Self::OpenForRestore) | `SeRestorePrivilege` | CAP_DAC_OVERRIDE | a descriptor, for writing |
/// | [`TakeOwnership`](Self::TakeOwnership) | `SeTakeOwnershipPrivilege` | CAP_CHOWN | – |
/// | [`SetOwner`](Self::SetOwner) | `SeRestorePrivilege` | CAP_CHOWN | – |
/// | [`SetMode`](Self::SetMode) | `SeRestorePrivilege` | CAP_FOWNER | – |
/// | [`Link`](Self::Link) | `SeBackupPrivilege` | CAP_DAC_READ_SEARCH | – |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Task {
    /// Opens a regular file or a directory for reading, whatever its permission bits say.
    OpenForBackup {
        /// The name in the directory.
        name: Name,
    },
    /// Opens an existing regular file for writing, whatever its permission bits say; it keeps its content.
    OpenForRestore {
        /// The name in the directory.
        name: Name,
    },
    /// Makes the client the owner; the group stays. Nobody else can be made the owner. The kernel refuses a file with
    /// set-user-ID or set-group-ID bits (`EPERM`): taking those away would be a second capability's work.
    TakeOwnership {
        /// The name in the directory.
        name: Name,
    },
    /// Sets owner and group, of files as for [`Self::TakeOwnership`]. User 0 and group 0 are refused unless the options allow
    /// them.
    SetOwner {
        /// The name in the directory.
        name: Name,
        /// The new owner.
        owner: KernelUid,
        /// The new group.
        group: KernelGid,
    },
    /// Sets the permission bits; set-user-ID and set-group-ID cannot be among them.
    SetMode {
        /// The name in the directory.
        name: Name,
        /// Permission bits and the sticky bit, 0 to 0o1777.
        mode: u32,
    },
    /// Gives an open file, the second descriptor, one more name in a directory that the client may write.
    Link {
        /// The new name.
        name: Name,
    },
}

/// Bits of a mode that can be set.
const MODE: u32 = 0o1777;

impl Task {
    /// The name in the audit trail.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::OpenForBackup { .. } => "open-for-backup",
            Self::OpenForRestore { .. } => "open-for-restore",
            Self::TakeOwnership { .. } => "take-ownership",
            Self::SetOwner { .. } => "set-owner",
            Self::SetMode { .. } => "set-mode",
            Self::Link { .. } => "link",
        }
    }

    /// The privilege that the client must hold and have enabled.
    #[must_use]
    pub const fn privilege(&self) -> Privilege {
        match self {
            Self::OpenForBackup { .. } | Self::Link { .. } => Privilege::Backup,
            Self::OpenForRestore { .. } | Self::SetOwner { .. } | Self::SetMode { .. } => Privilege::Restore,
            Self::TakeOwnership { .. } => Privilege::TakeOwnership,
        }
    }

    /// The one capability that the work is done with, beside the client's own rights.
    pub(super) const fn capability(&self) -> CapabilitySet {
        match self {
            Self::OpenForBackup { .. } | Self::Link { .. } => CapabilitySet::DAC_READ_SEARCH,
            Self::OpenForRestore { .. } => CapabilitySet::DAC_OVERRIDE,
            Self::TakeOwnership { .. } | Self::SetOwner { .. } => CapabilitySet::CHOWN,
            Self::SetMode { .. } => CapabilitySet::FOWNER,
        }
    }

    pub(super) const fn name(&self) -> &Name {
        match self {
            Self::OpenForBackup { name }
            | Self::OpenForRestore { name }
            | Self::TakeOwnership { name }
            | Self::SetOwner { name, .. }
            | Self::SetMode { name, .. }
            | Self::Link { name } => name,
        }
    }

    /// How many descriptors come with it: the directory, and a file to link.
    pub(super) const fn descriptors(&self) -> usize {
        match self {
            Self::Link { .. } => 2,
            Self::OpenForBackup { .. }
            | Self::OpenForRestore { .. }
            | Self::TakeOwnership { .. }
            | Self::SetOwner { .. }
            | Self::SetMode { .. } => 1,
        }
    }

    /// Whether every part can be what it is said to be.
    pub(super) const fn is_sound(&self) -> bool {
        match self {
            Self::SetMode { mode, .. } => *mode & !MODE == 0,
            Self::OpenForBackup { .. }
            | Self::OpenForRestore { .. }
            | Self::TakeOwnership { .. }
            | Self::SetOwner { .. }
            | Self::Link { .. } => true,
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let tag = match self {
            Self::OpenForBackup { .. } => 1,
            Self::OpenForRestore { .. } => 2,
            Self::TakeOwnership { .. } => 3,
            Self::SetOwner { .. } => 4,
            Self::SetMode { .. } => 5,
            Self::Link { .. } => 6,
        };
        out.push(tag);
        put_text(out, self.name().as_bytes());
        match self {
            Self::SetOwner { owner, group, .. } => {
                out.extend_from_slice(&owner.raw().to_le_bytes());
                out.extend_from_slice(&group.raw().to_le_bytes());
            }
            Self::SetMode { mode, .. } => out.extend_from_slice(&mode.to_le_bytes()),
            Self::OpenForBackup { .. }
            | Self::OpenForRestore { .. }
            | Self::TakeOwnership { .. }
            | Self::Link { .. } => {}
        }
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Option<Self> {
        let tag = reader.byte()?;
        let name = Name::parse(reader.text(Name::MAX_LEN)?).ok()?;
        let task = match tag {
            1 => Self::OpenForBackup { name },
            2 => Self::OpenForRestore { name },
            3 => Self::TakeOwnership { name },
            4 => {
                let (owner, group) = (KernelUid::new(reader.number()?)?, KernelGid::new(reader.number()?)?);
                Self::SetOwner { name, owner, group }
            }
            5 => Self::SetMode { name, mode: reader.number()? },
            6 => Self::Link { name },
            _ => return None,
        };
        task.is_sound().then_some(task)
    }
}

/// The capabilities that tasks of these privileges need.
pub(super) fn capabilities(privileges: impl Iterator<Item = Privilege>) -> CapabilitySet {
    const RESTORING: CapabilitySet =
        CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::CHOWN).union(CapabilitySet::FOWNER);
    const NEEDED: [(Privilege, CapabilitySet); 3] = [
        (Privilege::Backup, CapabilitySet::DAC_READ_SEARCH),
        (Privilege::Restore, RESTORING),
        (Privilege::TakeOwnership, CapabilitySet::CHOWN),
    ];
    let of = |privilege| NEEDED.into_iter().find(|(known, _)| *known == privilege).map(|(_, needed)| needed);
    privileges.filter_map(of).fold(CapabilitySet::empty(), CapabilitySet::union)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::capability::{Need, need};

    pub(in super::super) fn every() -> Vec<Task> {
        let name = || Name::parse(b"it").unwrap();
        let (owner, group) = (KernelUid::new(61_001).unwrap(), KernelGid::new(61_100).unwrap());
        vec![
            Task::OpenForBackup { name: name() },
            Task::OpenForRestore { name: Name::parse(&[0xFF; 255]).unwrap() },
            Task::TakeOwnership { name: name() },
            Task::SetOwner { name: name(), owner, group },
            Task::SetMode { name: name(), mode: 0o1640 },
            Task::Link { name: name() },
        ]
    }

    #[test]
    fn a_capability_is_one_and_belongs_to_its_privilege() {
        for task in every() {
            let capability = task.capability();
            assert_eq!(capability.bits().count_ones(), 1, "{task:?}");
            let Need::All(all) = need(task.privilege()) else { panic!("{task:?}") };
            assert!(all.contains(capability), "{task:?}");
            assert!(capabilities([task.privilege()].into_iter()).contains(capability));
        }
    }
}
