//! Extended attributes and ACLs.

use rustix::fs::{Mode, XattrFlags, chmod, getxattr, listxattr, removexattr, setxattr};

use super::error::{Errno, FsError};
use super::node::Node;
use crate::AsClient;
use crate::restricted::Effect;

/// Longest value of an extended attribute in bytes (XATTR_SIZE_MAX).
pub const XATTR_VALUE_LIMIT: usize = 65_536;

const ACCESS_ACL: &str = "system.posix_acl_access";

impl Node {
    /// Returns the value of an extended attribute; `None` when it has none of that name.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not read it, or the file system has no attributes (`EOPNOTSUPP`).
    pub fn xattr(&self, as_client: &AsClient<'_>, name: &str) -> Result<Option<Vec<u8>>, FsError> {
        let read = |_| read(&self.magic_path(), name.as_bytes());
        as_client.each(Effect::Reads, read, |one, other| Ok(one == other))
    }

    /// Sets an extended attribute in one step.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not, or there is no room (`ENOSPC`, `EDQUOT`, `E2BIG`, `ERANGE`).
    pub fn set_xattr(&self, as_client: &AsClient<'_>, name: &str, value: &[u8]) -> Result<(), FsError> {
        as_client.once("set attribute")?;
        setxattr(self.magic_path(), name, value, XattrFlags::empty()).map_err(FsError::os("set attribute"))
    }

    /// Removes an extended attribute; one that is not there is removed already.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not.
    pub fn remove_xattr(&self, as_client: &AsClient<'_>, name: &str) -> Result<(), FsError> {
        as_client.once("remove attribute")?;
        match removexattr(self.magic_path(), name) {
            Ok(()) | Err(Errno::NODATA) => Ok(()),
            Err(errno) => Err(FsError::Os { operation: "remove attribute", errno }),
        }
    }

    /// Returns the names of its extended attributes.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the file system has none (`EOPNOTSUPP`).
    pub fn xattr_names(&self, as_client: &AsClient<'_>) -> Result<Vec<Vec<u8>>, FsError> {
        as_client.each(Effect::Reads, |_| names(&self.magic_path()), |one, other| Ok(one == other))
    }

    /// Copies the ACL and the user attributes of `model`, leaving owner and group alone.
    ///
    /// # Errors
    /// - [`FsError::Os`] when they cannot be read or written.
    pub fn take_attributes(&self, as_client: &AsClient<'_>, model: &Self) -> Result<(), FsError> {
        inherit(as_client, model, &self.magic_path())
    }

    /// Sets the permission bits of something that is not a link.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the kernel refuses.
    pub fn set_mode(&self, as_client: &AsClient<'_>, mode: u32) -> Result<(), FsError> {
        as_client.once("set mode")?;
        chmod(self.magic_path(), Mode::from_raw_mode(mode & 0o7777)).map_err(FsError::os("set mode"))
    }
}

/// Copies every attribute but those that a change of content takes away anyway.
pub(super) fn copy_all(as_client: &AsClient<'_>, from: &str, to: &str) -> Result<(), FsError> {
    as_client.once("copy attributes")?;
    copy_acl(from, to)?;
    copy_where(from, to, |name| {
        let skipped: [&[u8]; 5] = [
            ACCESS_ACL.as_bytes(),
            b"security.capability",
            b"security.ima",
            b"security.evm",
            // The policy gives the new file its label; it is the same directory and the same client.
            b"security.selinux",
        ];
        !skipped.contains(&name)
    })
}

fn copy_user(from: &str, to: &str) -> Result<(), FsError> {
    copy_where(from, to, |name| name.starts_with(b"user."))
}

/// Gives `to` the ACL and the user attributes of `model`; one without an ACL leaves to `to` what its directory gave it.
///
/// Where the ACL cannot be copied the permission bits for group and others are taken away: without their ACL the group
/// bits would be a mask that nothing is behind.
pub(super) fn inherit(as_client: &AsClient<'_>, model: &Node, to: &str) -> Result<(), FsError> {
    as_client.once("copy attributes")?;
    let from = model.magic_path();
    match read(&from, ACCESS_ACL.as_bytes()) {
        Ok(None) => {}
        Err(error) if error.is(Errno::OPNOTSUPP) => {}
        Ok(Some(acl)) => {
            if setxattr(to, ACCESS_ACL, &acl, XattrFlags::empty()).is_err() {
                chmod(to, Mode::from_raw_mode(model.stat().mode & 0o700)).map_err(FsError::os("set mode"))?;
            }
        }
        Err(error) => return Err(error),
    }
    copy_user(&from, to)
}

/// Copies the access ACL, or takes away the one that a default ACL brought.
fn copy_acl(from: &str, to: &str) -> Result<(), FsError> {
    match read(from, ACCESS_ACL.as_bytes()) {
        Ok(Some(acl)) => setxattr(to, ACCESS_ACL, &acl, XattrFlags::empty()).map_err(FsError::os("set ACL")),
        Ok(None) => match removexattr(to, ACCESS_ACL) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
            Err(errno) => Err(FsError::Os { operation: "remove ACL", errno }),
        },
        Err(error) if error.is(Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error),
    }
}

fn copy_where(from: &str, to: &str, wanted: impl Fn(&[u8]) -> bool) -> Result<(), FsError> {
    let names = match names(from) {
        Ok(names) => names,
        Err(error) if error.is(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error),
    };
    for name in names.iter().filter(|name| wanted(name)) {
        if let Some(value) = read(from, name)? {
            setxattr(to, name.as_slice(), &value, XattrFlags::empty()).map_err(FsError::os("set attribute"))?;
        }
    }
    Ok(())
}

fn read(path: &str, name: &[u8]) -> Result<Option<Vec<u8>>, FsError> {
    for size in [4096, XATTR_VALUE_LIMIT] {
        let mut value: Vec<u8> = Vec::with_capacity(size);
        match getxattr(path, name, rustix::buffer::spare_capacity(&mut value)) {
            Ok(_) => return Ok(Some(value)),
            Err(Errno::NODATA) => return Ok(None),
            Err(Errno::RANGE) => {}
            Err(errno) => return Err(FsError::Os { operation: "read attribute", errno }),
        }
    }
    Err(FsError::Os { operation: "read attribute", errno: Errno::RANGE })
}

fn names(path: &str) -> Result<Vec<Vec<u8>>, FsError> {
    for size in [1024, XATTR_VALUE_LIMIT] {
        let mut list: Vec<u8> = Vec::with_capacity(size);
        match listxattr(path, rustix::buffer::spare_capacity(&mut list)) {
            Ok(_) => {
                return Ok(list.split(|&byte| byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect());
            }
            Err(Errno::RANGE) => {}
            Err(errno) => return Err(FsError::Os { operation: "list attributes", errno }),
        }
    }
    Err(FsError::Os { operation: "list attributes", errno: Errno::RANGE })
}
