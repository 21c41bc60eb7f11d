//! One entry of an ACL.

use core::fmt;

use crate::acl::kind::{AceKind, Shape};
use crate::guid::Guid;
use crate::mask::RequestedMask;
use crate::sid::SidRef;
use crate::wire::{Malformed, ParseError, Reader};

bitflags::bitflags! {
    /// The flags of an entry.
    ///
    /// # Source
    /// MS-DTYP 2.4.4.1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct AceFlags: u8 {
        /// Objects that are not containers inherit the entry.
        const OBJECT_INHERIT = 0x01;
        /// Containers inherit the entry.
        const CONTAINER_INHERIT = 0x02;
        /// Whoever inherits the entry does not pass it on.
        const NO_PROPAGATE_INHERIT = 0x04;
        /// The entry is only there to be inherited; it takes no part in any evaluation.
        const INHERIT_ONLY = 0x08;
        /// The entry was inherited.
        const INHERITED = 0x10;
        /// The entry of an allow type must not be removed by an editor.
        const CRITICAL = 0x20;
        /// Granted accesses are audited. On an access filter: only a trusted caller may remove it.
        const SUCCESSFUL_ACCESS = 0x40;
        /// Refused accesses are audited.
        const FAILED_ACCESS = 0x80;
    }
}

/// What a compound entry says beyond its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound<'a> {
    /// 1 means impersonation; no other number is defined.
    pub kind: u16,
    /// Who the server must be.
    pub server: SidRef<'a>,
}

/// What an entry of a known type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AceParts<'a> {
    /// The rights, not yet mapped. On a label: what integrity forbids.
    pub mask: RequestedMask,
    /// The object type the entry is about; `None` means the object itself.
    pub object_type: Option<Guid>,
    /// The object type that inherits the entry; `None` means any.
    pub inherited_object_type: Option<Guid>,
    /// Whom the entry is about.
    pub sid: SidRef<'a>,
    /// The server of a compound entry.
    pub compound: Option<Compound<'a>>,
    /// Everything after the SID, padding included: a condition, a claim, or nothing.
    pub data: &'a [u8],
}

/// One entry of an ACL, in the bytes it came in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ace<'a> {
    bytes: &'a [u8],
    kind: AceKind,
    flags: AceFlags,
    parts: Option<AceParts<'a>>,
}

impl<'a> Ace<'a> {
    /// Reads one entry from the front of `wire`.
    ///
    /// # Errors
    /// - [`ParseError`] when the header or the size it gives does not fit, the size is not a multiple of 4, or an entry
    ///   of a known type is too short for what its type needs or holds a malformed SID.
    ///
    /// # Source
    /// MS-DTYP 2.4.4.
    #[inline]
    pub fn parse(wire: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let mut header = Reader::new(Malformed::Acl, wire);
        let kind = AceKind::from_number(header.u8("ACE type")?);
        let flags = AceFlags::from_bits_retain(header.u8("ACE flags")?);
        let size = usize::from(header.u16("ACE size")?);
        if size < 4 || !size.is_multiple_of(4) {
            return Err(ParseError::at(Malformed::Acl, 2, "ACE size"));
        }
        let Some((bytes, rest)) = wire.split_at_checked(size) else {
            return Err(ParseError::at(Malformed::Acl, wire.len(), "ACE size"));
        };
        let parts = read_parts(kind, bytes)?;
        Ok((Self { bytes, kind, flags, parts }, rest))
    }

    /// Returns the encoded entry, header included.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the type.
    #[must_use]
    #[inline]
    pub const fn kind(&self) -> AceKind {
        self.kind
    }

    /// Returns the flags.
    #[must_use]
    #[inline]
    pub const fn flags(&self) -> AceFlags {
        self.flags
    }

    /// Returns whether the entry takes part in evaluations of its object.
    #[must_use]
    #[inline]
    pub const fn is_effective(&self) -> bool {
        !self.flags.contains(AceFlags::INHERIT_ONLY)
    }

    /// Returns what the entry says, or `None` when its type is unknown.
    #[must_use]
    #[inline]
    pub const fn parts(&self) -> Option<&AceParts<'a>> {
        self.parts.as_ref()
    }
}

impl fmt::Debug for Ace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Ace");
        out.field("kind", &self.kind).field("flags", &self.flags);
        match &self.parts {
            Some(parts) => out.field("mask", &parts.mask).field("sid", &parts.sid).finish_non_exhaustive(),
            None => out.field("bytes", &self.bytes).finish(),
        }
    }
}

const OBJECT_TYPE_PRESENT: u32 = 1;
const INHERITED_OBJECT_TYPE_PRESENT: u32 = 2;

#[inline]
fn read_parts(kind: AceKind, bytes: &[u8]) -> Result<Option<AceParts<'_>>, ParseError> {
    let shape = kind.shape();
    if shape == Shape::Opaque {
        return Ok(None);
    }
    let mut reader = Reader::starting_at(Malformed::Acl, bytes, 4, "ACE mask")?;
    let mask = RequestedMask(reader.u32("ACE mask")?);
    let mut object_type = None;
    let mut inherited_object_type = None;
    let mut compound = None;
    match shape {
        Shape::Object | Shape::ObjectAndData => {
            let present = reader.u32("ACE object flags")?;
            if present & OBJECT_TYPE_PRESENT != 0 {
                object_type = Some(Guid(reader.array("ACE object type")?));
            }
            if present & INHERITED_OBJECT_TYPE_PRESENT != 0 {
                inherited_object_type = Some(Guid(reader.array("ACE inherited object type")?));
            }
        }
        Shape::Compound => {
            let kind = reader.u16("compound ACE kind")?;
            reader.u16("compound ACE padding")?;
            compound = Some(Compound { kind, server: read_sid(&mut reader)? });
        }
        Shape::Sid | Shape::SidAndData | Shape::Opaque => {}
    }
    let sid = read_sid(&mut reader)?;
    Ok(Some(AceParts { mask, object_type, inherited_object_type, sid, compound, data: reader.rest() }))
}

#[inline]
fn read_sid<'a>(reader: &mut Reader<'a>) -> Result<SidRef<'a>, ParseError> {
    // A malformed SID inside an ACE is a malformed ACL.
    let at = reader.at();
    let wrong = |error: ParseError| ParseError::at(Malformed::Acl, at.saturating_add(error.at_byte()), error.item());
    let (sid, _) = SidRef::parse(reader.rest()).map_err(wrong)?;
    reader.take(sid.as_bytes().len(), "SID")?;
    Ok(sid)
}
