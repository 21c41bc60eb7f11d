//! The account databases, through the C library's name service switch.
#![expect(unsafe_code, reason = "getpwnam_r(3), getpwuid_r(3), getgrgid_r(3) and getgrouplist(3) fill buffers of ours")]

use core::ffi::{CStr, c_char, c_int};
use core::mem::MaybeUninit;
use rustix::io::Errno;

/// Largest text buffer offered to one look-up; an entry that needs more is an error, not a shorter entry.
const MAX_TEXT_LEN: usize = 1 << 20;

/// Most groups asked for: twice what the kernel keeps, because the list may repeat a group.
const MAX_LISTED_GROUPS: usize = 131_072;

/// One line of the account database, copied out of the C library's buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: Vec<u8>,
    pub(crate) shell: Vec<u8>,
}

/// Looks an account up by name; `None` when there is none.
///
/// # Source
/// getpwnam(3).
pub(crate) fn by_name(name: &CStr) -> Result<Option<Entry>, Errno> {
    lookup(|entry, text, found| {
        // SAFETY:
        // 1. `name` is a live C string.
        // 2. `entry` and `found` are live and of the right types; `text` is writable for the length given with it.
        // 3. the call keeps none of these pointers; what it stores in `entry` points into `text`.
        unsafe { libc::getpwnam_r(name.as_ptr(), entry, text.as_mut_ptr().cast(), text.len(), found) }
    })
}

/// Looks an account up by user id; `None` when there is none.
///
/// # Source
/// getpwuid(3).
pub(crate) fn by_uid(uid: u32) -> Result<Option<Entry>, Errno> {
    lookup(|entry, text, found| {
        // SAFETY:
        // 1. `entry` and `found` are live and of the right types; `text` is writable for the length given with it.
        // 2. the call keeps none of these pointers; what it stores in `entry` points into `text`.
        unsafe { libc::getpwuid_r(uid, entry, text.as_mut_ptr().cast(), text.len(), found) }
    })
}

fn lookup(ask: impl Fn(*mut libc::passwd, &mut [u8], *mut *mut libc::passwd) -> c_int) -> Result<Option<Entry>, Errno> {
    with_growing_text(|text| {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut found = core::ptr::null_mut();
        answer(ask(entry.as_mut_ptr(), text, &raw mut found))?;
        if found.is_null() {
            return Ok(None);
        }
        // SAFETY: the call succeeded and set `found`, so it has filled `entry`.
        let entry = unsafe { entry.assume_init() };
        Ok(Some(Entry {
            name: copy(entry.pw_name),
            uid: entry.pw_uid,
            gid: entry.pw_gid,
            home: copy(entry.pw_dir),
            shell: copy(entry.pw_shell),
        }))
    })
}

/// Looks a group's name up; `None` when there is none.
///
/// # Source
/// getgrgid(3).
pub(crate) fn group_name(gid: u32) -> Result<Option<Vec<u8>>, Errno> {
    with_growing_text(|text| {
        let mut entry = MaybeUninit::<libc::group>::uninit();
        let mut found = core::ptr::null_mut();
        // SAFETY:
        // 1. `entry` and `found` are live and of the right types; `text` is writable for the length given with it.
        // 2. the call keeps none of these pointers; what it stores in `entry` points into `text`.
        let result =
            unsafe { libc::getgrgid_r(gid, entry.as_mut_ptr(), text.as_mut_ptr().cast(), text.len(), &raw mut found) };
        answer(result)?;
        if found.is_null() {
            return Ok(None);
        }
        // SAFETY: the call succeeded and set `found`, so it has filled `entry`.
        let entry = unsafe { entry.assume_init() };
        Ok(Some(copy(entry.gr_name)))
    })
}

/// Returns the groups of account `name`, `primary` among them.
///
/// The list may repeat a group and is exactly as long as the database says: never cut, never padded.
///
/// # Source
/// getgrouplist(3).
pub(crate) fn groups_of(name: &CStr, primary: u32) -> Result<Vec<u32>, Errno> {
    with_growing_list(|list| {
        let mut count = c_int::try_from(list.len()).map_err(|_too_long| Errno::INVAL)?;
        // SAFETY:
        // 1. `name` is a live C string.
        // 2. `list` is writable for `count` ids, which is what the call is told.
        // 3. the call keeps none of these pointers.
        let result = unsafe { libc::getgrouplist(name.as_ptr(), primary, list.as_mut_ptr(), &raw mut count) };
        let count = usize::try_from(count).map_err(|_negative| Errno::IO)?;
        Ok(if result < 0 { Listed::Needs(count) } else { Listed::Whole(count) })
    })
}

/// What one attempt to read a group list said.
enum Listed {
    /// The list is whole and has this many ids.
    Whole(usize),
    /// The buffer was too short; the number is what the database says it needs, if it says so.
    Needs(usize),
}

/// Asks again with a longer list until the answer is whole.
fn with_growing_list(mut ask: impl FnMut(&mut [u32]) -> Result<Listed, Errno>) -> Result<Vec<u32>, Errno> {
    let mut len: usize = 64;
    loop {
        // An id that nobody wrote is one that no identity accepts, never group 0.
        let mut list = vec![u32::MAX; len];
        match ask(&mut list)? {
            Listed::Whole(count) if count <= len => {
                list.truncate(count);
                return Ok(list);
            }
            Listed::Whole(_) => return Err(Errno::IO),
            Listed::Needs(_) if len >= MAX_LISTED_GROUPS => return Err(Errno::OVERFLOW),
            Listed::Needs(count) => len = count.max(len.saturating_mul(2)).min(MAX_LISTED_GROUPS),
        }
    }
}

/// Asks again with a longer text buffer until the entry fits.
fn with_growing_text<T>(mut ask: impl FnMut(&mut [u8]) -> Result<Option<T>, Errno>) -> Result<Option<T>, Errno> {
    let mut len: usize = 1024;
    loop {
        let mut text = vec![0; len];
        match ask(&mut text) {
            Err(Errno::RANGE) if len < MAX_TEXT_LEN => len = len.saturating_mul(2),
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

/// Tells "there is none" from "the database could not say".
///
/// # Source
/// getpwnam(3), RETURN VALUE: `ENOENT` and `ESRCH` are used by some databases for "not found".
fn answer(result: c_int) -> Result<(), Errno> {
    match result {
        0 | libc::ENOENT | libc::ESRCH => Ok(()),
        error => Err(Errno::from_raw_os_error(error)),
    }
}

/// Copies a C string that the C library stored in a buffer which is still alive.
fn copy(text: *const c_char) -> Vec<u8> {
    if text.is_null() {
        return Vec::new();
    }
    // SAFETY:
    // 1. the pointer is not null (checked) and was stored by a successful look-up.
    // 2. it points to a zero-terminated string in the look-up's buffer, which the callers keep alive during this call.
    unsafe { CStr::from_ptr(text) }.to_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database whose list of `has` groups is refused until the buffer is long enough.
    fn list_from(has: usize, tells: bool) -> Result<Vec<u32>, Errno> {
        with_growing_list(|list| {
            let Some(target) = list.get_mut(..has) else {
                return Ok(Listed::Needs(if tells { has } else { list.len() }));
            };
            for (slot, gid) in target.iter_mut().zip(70_000_u32..) {
                *slot = gid;
            }
            Ok(Listed::Whole(has))
        })
    }

    #[test]
    fn group_lists_are_whole_at_every_boundary_and_never_padded() {
        for tells in [true, false] {
            for has in [0, 1, 63, 64, 65, 1023, 1024, 1025, 65_536] {
                let list = list_from(has, tells).unwrap();
                assert_eq!(list.len(), has);
                assert!(list.iter().zip(70_000_u32..).all(|(seen, expected)| *seen == expected), "{has}");
            }
        }
        assert_eq!(list_from(MAX_LISTED_GROUPS + 1, true), Err(Errno::OVERFLOW));
    }

    #[test]
    fn a_database_that_claims_more_than_it_wrote_is_an_error() {
        assert_eq!(with_growing_list(|list| Ok(Listed::Whole(list.len() + 1))), Err(Errno::IO));
    }

    #[test]
    fn a_failing_database_is_an_error_and_not_an_absent_account() {
        assert_eq!(with_growing_text(|_| Err::<Option<()>, _>(Errno::IO)), Err(Errno::IO));
        assert_eq!(with_growing_text(|_| Err::<Option<()>, _>(Errno::RANGE)), Err(Errno::RANGE));
        assert_eq!(
            with_growing_text(|text| if text.len() < 70_000 { Err(Errno::RANGE) } else { Ok(Some(1)) }),
            Ok(Some(1))
        );
    }

    #[test]
    fn root_is_found_and_an_absent_account_is_none() {
        assert_eq!(by_uid(0).unwrap().unwrap().name, b"root");
        assert_eq!(by_name(c"root").unwrap().unwrap().uid, 0);
        assert_eq!(by_name(c"no-such-account-of-vicar").unwrap(), None);
        assert_eq!(group_name(0).unwrap().as_deref(), Some(&b"root"[..]));
    }
}
