//! Making an ACL.

use alloc::vec::Vec;
use core::fmt;

use crate::acl::entry::Entry;
use crate::acl::{Ace, AceFlags, AceKind, Acl, HEADER_LEN};
use crate::guid::Guid;
use crate::integrity::IntegrityLevel;
use crate::mask::RequestedMask;
use crate::sid::SidRef;
use crate::wire::{Malformed, ParseError};

/// The entries do not fit in the 65,532 bytes an ACL can have.
///
/// # NT
/// STATUS_ALLOTTED_SPACE_EXCEEDED when an entry is added to a full ACL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclTooLong;

impl fmt::Display for AclTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("ACL exceeds 65532 bytes")
    }
}
impl core::error::Error for AclTooLong {}

/// Puts an ACL together, entry by entry, in the order it will be evaluated. It cannot make an invalid one.
///
/// The revision is the lowest that holds the entries: 4 with an object entry, 3 with a compound one, else 2.
///
/// # Examples
/// ```
/// use vicar_nt::acl::{Acl, AceFlags};
/// use vicar_nt::{RequestedMask, well_known};
/// let acl = Acl::builder()
///     .deny(&well_known::GUESTS, RequestedMask::GENERIC_ALL, AceFlags::empty())
///     .allow(&well_known::USERS, RequestedMask::GENERIC_READ, AceFlags::empty())
///     .build()
///     .unwrap();
/// assert_eq!(acl.as_ref().count(), 2);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AclBuilder {
    bytes: Vec<u8>,
    count: usize,
    revision: u8,
    slack: usize,
    is_too_long: bool,
}

/// The longest ACL whose size is a multiple of four.
const MAX_LEN: usize = 65_532;
/// An entry without SID and data: header, mask, object flags, two object types, and padding.
const LONGEST_WITHOUT_SID: usize = 48;

impl AclBuilder {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), count: 0, revision: 2, slack: 0, is_too_long: false }
    }

    /// Adds an entry that grants rights.
    pub fn allow<'s>(self, sid: impl Into<SidRef<'s>>, mask: impl Into<RequestedMask>, flags: AceFlags) -> Self {
        self.entry(AceKind::Allow, flags, mask.into(), None, sid.into(), &[])
    }

    /// Adds an entry that refuses rights.
    pub fn deny<'s>(self, sid: impl Into<SidRef<'s>>, mask: impl Into<RequestedMask>, flags: AceFlags) -> Self {
        self.entry(AceKind::Deny, flags, mask.into(), None, sid.into(), &[])
    }

    /// Adds an entry that asks for an audit record; the flags say for which outcome.
    pub fn audit<'s>(self, sid: impl Into<SidRef<'s>>, mask: impl Into<RequestedMask>, flags: AceFlags) -> Self {
        self.entry(AceKind::Audit, flags, mask.into(), None, sid.into(), &[])
    }

    /// Adds a mandatory label: the level, and what it forbids (1 no-write-up, 2 no-read-up, 4 no-execute-up).
    pub fn label(self, level: IntegrityLevel, policy: u32, flags: AceFlags) -> Self {
        self.entry(AceKind::MandatoryLabel, flags, RequestedMask(policy), None, level.to_sid().as_ref(), &[])
    }

    /// Adds an entry that grants rights to a client only while `server` acts for it.
    ///
    /// # NT
    /// `COMPOUND_ACCESS_ALLOWED_ACE`.
    pub fn allow_through<'s, 'c>(
        mut self,
        server: impl Into<SidRef<'s>>,
        client: impl Into<SidRef<'c>>,
        mask: impl Into<RequestedMask>,
        flags: AceFlags,
    ) -> Self {
        const IMPERSONATION: [u8; 4] = [1, 0, 0, 0];
        let kind = AceKind::AllowCompound;
        let mut ace: Vec<u8> = alloc::vec![kind.number(), flags.bits(), 0, 0];
        ace.extend_from_slice(&mask.into().0.to_le_bytes());
        ace.extend_from_slice(&IMPERSONATION);
        ace.extend_from_slice(server.into().as_bytes());
        ace.extend_from_slice(client.into().as_bytes());
        self.raise_revision(kind);
        self.sized(ace)
    }

    /// Adds an entry of any type.
    pub fn with<'e>(self, entry: impl Into<Entry<'e>>) -> Self {
        let entry: Entry<'e> = entry.into();
        match entry.server {
            Some(server) => self.allow_through(&server, &entry.sid, entry.mask, entry.flags),
            None => self.entry(entry.kind, entry.flags, entry.mask, entry.object_types, entry.sid.as_ref(), entry.data),
        }
    }

    /// Adds an entry as it is, byte for byte.
    pub fn verbatim(mut self, ace: &Ace<'_>) -> Self {
        self.raise_revision(ace.kind());
        self.append(ace.as_bytes());
        self
    }

    /// Adds an entry given as bytes.
    ///
    /// # Errors
    /// - [`ParseError`] when the bytes are not one entry and nothing else.
    pub fn parse_entry(self, bytes: &[u8]) -> Result<Self, ParseError> {
        match Ace::parse(bytes)? {
            (ace, []) => Ok(self.verbatim(&ace)),
            (ace, _) => Err(ParseError::at(Malformed::Acl, ace.as_bytes().len(), "end of ACE")),
        }
    }

    /// Adds an entry of any type that has a SID directly or after object types, with data behind it, padded to 4 bytes.
    pub(crate) fn entry(
        mut self,
        kind: AceKind,
        flags: AceFlags,
        mask: RequestedMask,
        object_types: Option<(Option<Guid>, Option<Guid>)>,
        sid: SidRef<'_>,
        data: &[u8],
    ) -> Self {
        let longest = LONGEST_WITHOUT_SID.saturating_add(sid.as_bytes().len()).saturating_add(data.len());
        let mut ace: Vec<u8> = Vec::with_capacity(longest);
        ace.extend_from_slice(&[kind.number(), flags.bits(), 0, 0]);
        ace.extend_from_slice(&mask.0.to_le_bytes());
        if let Some((object_type, inherited)) = object_types {
            let present = u32::from(object_type.is_some()) | u32::from(inherited.is_some()).wrapping_shl(1);
            ace.extend_from_slice(&present.to_le_bytes());
            for guid in [object_type, inherited].into_iter().flatten() {
                ace.extend_from_slice(&guid.0);
            }
        }
        ace.extend_from_slice(sid.as_bytes());
        ace.extend_from_slice(data);
        ace.resize(ace.len().next_multiple_of(4), 0);
        self.raise_revision(kind);
        self.sized(ace)
    }

    /// Writes the size into an entry and adds it.
    fn sized(mut self, mut ace: Vec<u8>) -> Self {
        match (u16::try_from(ace.len()), ace.first_chunk_mut::<4>()) {
            (Ok(size), Some([_, _, low, high])) => [*low, *high] = size.to_le_bytes(),
            _ => self.is_too_long = true,
        }
        self.append(&ace);
        self
    }

    /// Reserves bytes after the entries and revision 4, which is what Windows leaves behind for an object entry that
    /// turned out to be a plain one.
    pub(crate) fn object_slack(mut self, len: usize) -> Self {
        self.revision = 4;
        self.slack = self.slack.saturating_add(len);
        self
    }

    fn raise_revision(&mut self, kind: AceKind) {
        let needed = if kind.has_object_types() {
            4
        } else if kind == AceKind::AllowCompound {
            3
        } else {
            2
        };
        self.revision = self.revision.max(needed);
    }

    fn append(&mut self, ace: &[u8]) {
        self.count = self.count.saturating_add(1);
        if self.bytes.len().saturating_add(ace.len()) <= MAX_LEN {
            self.bytes.extend_from_slice(ace);
        } else {
            self.is_too_long = true;
        }
    }

    /// Makes the ACL.
    ///
    /// # Errors
    /// - [`AclTooLong`] when the entries need more than 65,532 bytes.
    pub fn build(self) -> Result<Acl, AclTooLong> {
        let size = HEADER_LEN.saturating_add(self.bytes.len()).saturating_add(self.slack);
        if self.is_too_long || size > MAX_LEN {
            return Err(AclTooLong);
        }
        let (Ok(size_field), Ok(count)) = (u16::try_from(size), u16::try_from(self.count)) else {
            return Err(AclTooLong);
        };
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(&[self.revision, 0]);
        bytes.extend_from_slice(&size_field.to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&self.bytes);
        bytes.resize(size, 0);
        Ok(Acl { bytes: bytes.into() })
    }
}
