//! Who takes part.

use vicar_os::{KernelGid, KernelUid, UnixIdentity};

/// How many groups each of the eight has besides its own.
const GROUPS: [u32; 8] = [0, 0, 3, 3, 3, 64, 64, 64];

pub(crate) const COUNT: usize = GROUPS.len();

/// Users that files may belong to or ACLs may name: the eight, and somebody else.
pub(crate) const USERS: [u32; 9] = [61_001, 61_002, 61_003, 61_004, 61_005, 61_006, 61_007, 61_008, 61_099];

/// Groups that files may belong to or ACLs may name.
pub(crate) const NAMED_GROUPS: [u32; 8] = [61_001, 61_003, 61_300, 61_301, 61_302, 61_305, 61_330, 61_399];

pub(crate) fn identity_of(uid: u32, groups: &[u32]) -> UnixIdentity {
    let groups = groups.iter().map(|gid| KernelGid::new(*gid).unwrap());
    UnixIdentity::new(KernelUid::new(uid).unwrap(), KernelGid::new(uid).unwrap(), groups).unwrap()
}

pub(crate) fn identity(who: usize) -> UnixIdentity {
    let start = 61_300 + u32::try_from(who % 3).unwrap();
    identity_of(USERS[who], &(start..start + GROUPS[who]).collect::<Vec<_>>())
}
