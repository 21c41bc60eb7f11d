//! File systems whose server, not this kernel, has the last word.

use core::fmt;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// A mounted file system with something to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub at: PathBuf,
    /// Its type, such as `nfs4`.
    pub kind: String,
    /// What to know.
    pub caveat: Caveat,
}

/// What is different on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caveat {
    /// NFS with AUTH_SYS: the call carries the client's uid and 16 of its groups (RFC 5531 A.2); a 17th does not count
    /// unless the server looks groups up itself. Root is squashed, which does not matter to clients.
    SixteenGroups,
    /// NFS with Kerberos: the server believes tickets, and a client that signed in here has none.
    NeedsTicket,
    /// SMB mounted for one user: whoever acts here, the server sees that one.
    OneUser,
    /// A FUSE file system that only the user who mounted it may enter.
    OnlyItsOwner,
    /// A FUSE file system that leaves permissions to its own process.
    AsksItsProcess,
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SixteenGroups => "the NFS server is told 16 groups of a client at most (sec=sys)",
            Self::NeedsTicket => "the NFS server wants a Kerberos ticket, which no client has here",
            Self::OneUser => "the SMB server sees one user, whoever acts here (no multiuser)",
            Self::OnlyItsOwner => "only the user who mounted it may enter (FUSE without allow_other)",
            Self::AsksItsProcess => "its own process decides who may do what (FUSE without default_permissions)",
        })
    }
}

/// The mounts of `/proc/self/mountinfo` that have a caveat.
pub(super) fn of(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().filter_map(mount).collect()
}

/// One line: see proc_pid_mountinfo(5). Optional fields end with a lone hyphen.
fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let at = unescape(before.split(' ').nth(4)?);
    let mut fields = after.split(' ');
    let kind = fields.next()?;
    let options = fields.nth(1)?;
    let has = |name: &str| options.split(',').any(|option| option == name);
    let security = options.split(',').find_map(|option| option.strip_prefix("sec="));
    let caveat = match kind {
        "nfs" | "nfs4" if security.is_some_and(|how| how.starts_with("krb5")) => Caveat::NeedsTicket,
        "nfs" | "nfs4" => Caveat::SixteenGroups,
        "cifs" | "smb3" if !has("multiuser") => Caveat::OneUser,
        "cifs" | "smb3" => Caveat::NeedsTicket,
        _ if (kind == "fuse" || kind.starts_with("fuse.")) && !has("allow_other") => Caveat::OnlyItsOwner,
        _ if (kind == "fuse" || kind.starts_with("fuse.")) && !has("default_permissions") => Caveat::AsksItsProcess,
        _ => return None,
    };
    Some(Mount { at, kind: kind.to_owned(), caveat })
}

/// Space, tab, line feed and backslash are written as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = tail.get(..3).filter(|_| byte == b'\\').and_then(|digits| {
            let digits = core::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { tail.get(3..).unwrap_or_default() } else { tail };
    }
    PathBuf::from(OsString::from_vec(bytes))
}
