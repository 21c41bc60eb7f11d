//! The bijection between Unix ids and security identifiers.
//!
//! User `n` is `S-1-22-1-n`, group `n` is `S-1-22-2-n`, and nothing else resolves to an id: a well-known SID never
//! becomes a uid, and an id never becomes a well-known SID.

use crate::{KernelGid, KernelUid};
use vicar_nt::Sid;

const UNIX_AUTHORITY: u64 = 22;
const USERS: u32 = 1;
const GROUPS: u32 = 2;

/// Returns the SID of a Unix user.
///
/// # Source
/// The scheme Samba uses for unmapped ids.
#[must_use]
pub fn user_sid(uid: KernelUid) -> Sid {
    vicar_nt::well_known::unix_user(uid.raw())
}

/// Returns the SID of a Unix group.
#[must_use]
pub fn group_sid(gid: KernelGid) -> Sid {
    vicar_nt::well_known::unix_group(gid.raw())
}

/// Returns the user that `sid` names, or `None` when it names no Unix user.
#[must_use]
pub fn resolve_user(sid: &Sid) -> Option<KernelUid> {
    resolve(sid, USERS).and_then(KernelUid::new)
}

/// Returns the group that `sid` names, or `None` when it names no Unix group.
#[must_use]
pub fn resolve_group(sid: &Sid) -> Option<KernelGid> {
    resolve(sid, GROUPS).and_then(KernelGid::new)
}

fn resolve(sid: &Sid, kind: u32) -> Option<u32> {
    if sid.authority() != UNIX_AUTHORITY {
        return None;
    }
    let mut parts = sid.sub_authorities();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(found), Some(id), None) if found == kind => Some(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_there_and_back() {
        for raw in [0, 1, 1000, 65_520, 65_534, 4_000_000_000, u32::MAX - 1] {
            let uid = KernelUid::new(raw).unwrap();
            let gid = KernelGid::new(raw).unwrap();
            assert_eq!(resolve_user(&user_sid(uid)), Some(uid));
            assert_eq!(resolve_group(&group_sid(gid)), Some(gid));
            assert_eq!(resolve_group(&user_sid(uid)), None);
            assert_eq!(resolve_user(&group_sid(gid)), None);
        }
    }

    #[test]
    fn nothing_else_is_an_id() {
        for text in
            ["S-1-5-18", "S-1-1-0", "S-1-5-32-544", "S-1-22-1-4294967295", "S-1-22-1-5-5", "S-1-22-1", "S-1-22-3-5"]
        {
            let sid: Sid = text.parse().unwrap();
            assert_eq!(resolve_user(&sid), None, "{text}");
            assert_eq!(resolve_group(&sid), None, "{text}");
        }
    }
}
