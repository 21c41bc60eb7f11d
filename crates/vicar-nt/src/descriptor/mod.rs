//! Security descriptors in self-relative form.
//!
//! [`DescriptorRef`] is a view into bytes that were checked once, completely; [`Descriptor`] owns such bytes. No part is
//! copied or rewritten: what is not understood is still there. A NULL DACL and an empty one are different words
//! ([`Dacl::Null`], and [`Dacl::List`] without entries), because they mean opposite things.

mod build;

use alloc::boxed::Box;
use core::fmt;
use core::num::NonZeroU32;

pub use build::{Builder, DescriptorTooLong};

use crate::acl::AclRef;
use crate::sid::SidRef;
use crate::wire::{Malformed, ParseError, Reader};

bitflags::bitflags! {
    /// The control bits of a descriptor.
    ///
    /// # Source
    /// MS-DTYP 2.4.6.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Control: u16 {
        /// The owner came from a default.
        const OWNER_DEFAULTED = 0x0001;
        /// The group came from a default.
        const GROUP_DEFAULTED = 0x0002;
        /// There is a DACL, perhaps a NULL one.
        const DACL_PRESENT = 0x0004;
        /// The DACL came from a default.
        const DACL_DEFAULTED = 0x0008;
        /// There is a SACL, perhaps a NULL one.
        const SACL_PRESENT = 0x0010;
        /// The SACL came from a default.
        const SACL_DEFAULTED = 0x0020;
        /// The ACL comes from a trusted source.
        const DACL_TRUSTED = 0x0040;
        /// Allow entries are to become compound entries naming the server.
        const SERVER_SECURITY = 0x0080;
        /// The DACL is to be inherited.
        const DACL_AUTO_INHERIT_REQ = 0x0100;
        /// The SACL is to be inherited.
        const SACL_AUTO_INHERIT_REQ = 0x0200;
        /// The DACL was inherited.
        const DACL_AUTO_INHERITED = 0x0400;
        /// The SACL was inherited.
        const SACL_AUTO_INHERITED = 0x0800;
        /// The DACL does not inherit.
        const DACL_PROTECTED = 0x1000;
        /// The SACL does not inherit.
        const SACL_PROTECTED = 0x2000;
        /// The second byte belongs to the resource manager.
        const RM_CONTROL_VALID = 0x4000;
        /// Offsets, not pointers.
        const SELF_RELATIVE = 0x8000;
    }
}

/// What a descriptor says about discretionary access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dacl<'a> {
    /// Nothing was said: the same as [`Null`](Self::Null) to a check, but not the same text or bytes.
    Absent,
    /// No policy at all: every right is granted to everyone. Never produced by a builder unless asked for by name.
    Null,
    /// A policy. With no entries it grants nothing beyond what the owner has by owning.
    List(AclRef<'a>),
}

/// What a descriptor says to the system: audits, labels, resource attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sacl<'a> {
    /// Nothing was said.
    Absent,
    /// Present without a list.
    Null,
    /// A list.
    List(AclRef<'a>),
}

impl<'a> Sacl<'a> {
    /// Returns the list; an empty one when there is none.
    #[must_use]
    pub const fn entries(self) -> AclRef<'a> {
        match self {
            Self::Absent | Self::Null => AclRef::EMPTY,
            Self::List(list) => list,
        }
    }
}

/// Where one part of a validated descriptor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    /// Behind the header, so never 0.
    start: NonZeroU32,
    len: u16,
}

impl Span {
    fn new(start: usize, len: usize) -> Option<Self> {
        let start = NonZeroU32::new(u32::try_from(start).ok()?)?;
        Some(Self { start, len: u16::try_from(len).ok()? })
    }

    #[inline]
    fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(usize::try_from(self.start.get()).ok()?..)?.get(..usize::from(self.len))
    }
}

/// Where the parts of a validated descriptor stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    control: Control,
    owner: Option<Span>,
    group: Option<Span>,
    sacl: Option<Span>,
    dacl: Option<Span>,
}

/// A validated self-relative descriptor inside bytes that belong to somebody else.
///
/// # NT
/// `SECURITY_DESCRIPTOR_RELATIVE` that passed `RtlValidRelativeSecurityDescriptor`.
///
/// # Source
/// MS-DTYP 2.4.6.
#[derive(Clone, Copy)]
pub struct DescriptorRef<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

/// A validated self-relative descriptor.
#[derive(Clone, PartialEq, Eq)]
pub struct Descriptor {
    bytes: Box<[u8]>,
    layout: Layout,
}

const HEADER_LEN: usize = 20;

impl Layout {
    fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() < HEADER_LEN {
            return Err(ParseError::at(Malformed::Descriptor, bytes.len(), "descriptor header"));
        }
        let mut reader = Reader::new(Malformed::Descriptor, bytes);
        if reader.u8("descriptor revision")? != 1 {
            return Err(ParseError::at(Malformed::Revision, 0, "descriptor revision"));
        }
        reader.u8("resource manager byte")?;
        let control = Control::from_bits_retain(reader.u16("descriptor control")?);
        if !control.contains(Control::SELF_RELATIVE) {
            return Err(ParseError::at(Malformed::Descriptor, 2, "self-relative bit"));
        }
        let sid = |at: usize| SidRef::parse(bytes.get(at..).unwrap_or(&[])).map(|(sid, _)| sid.as_bytes().len());
        let acl = |at: usize| AclRef::parse(bytes.get(at..).unwrap_or(&[])).map(|(acl, _)| acl.as_bytes().len());
        let owner = part(&mut reader, bytes, "owner offset", &sid)?;
        let group = part(&mut reader, bytes, "group offset", &sid)?;
        let sacl = match control.contains(Control::SACL_PRESENT) {
            true => part(&mut reader, bytes, "SACL offset", &acl)?,
            // The offset of an ACL that is not present is not read.
            false => reader.u32("SACL offset").map(|_| None)?,
        };
        let dacl = match control.contains(Control::DACL_PRESENT) {
            true => part(&mut reader, bytes, "DACL offset", &acl)?,
            false => reader.u32("DACL offset").map(|_| None)?,
        };
        Ok(Self { control, owner, group, sacl, dacl })
    }
}

/// Reads one offset and measures what stands there.
fn part(
    reader: &mut Reader<'_>,
    bytes: &[u8],
    item: &'static str,
    measure: &impl Fn(usize) -> Result<usize, ParseError>,
) -> Result<Option<Span>, ParseError> {
    let at = reader.at();
    let wrong = ParseError::at(Malformed::Descriptor, at, item);
    let offset = usize::try_from(reader.u32(item)?).map_err(|_| wrong)?;
    if offset == 0 {
        return Ok(None);
    }
    if offset < HEADER_LEN || !offset.is_multiple_of(4) || offset >= bytes.len() {
        return Err(wrong);
    }
    let len = measure(offset).map_err(|error| error.inside(offset))?;
    Span::new(offset, len).map(Some).ok_or(wrong)
}

impl<'a> DescriptorRef<'a> {
    /// Validates a descriptor that starts at the front of `bytes`.
    ///
    /// Parts may stand in any order, overlap, and leave gaps; bytes behind the last part are ignored. An owner is not
    /// required here: [`owner`](Self::owner) says whether there is one.
    ///
    /// # Errors
    /// - [`ParseError`] naming item and byte: too short, revision not 1, not self-relative, an offset that is unaligned,
    ///   inside the header or beyond the end, a malformed SID or ACL. Its [`status`](ParseError::status) is what NT answers.
    ///
    /// # Cost
    /// One pass over all entries of both ACLs. No allocation.
    ///
    /// # Source
    /// MS-DTYP 2.4.6.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Layout::parse(bytes).map(|layout| Self { bytes, layout })
    }

    /// Returns the encoded descriptor, with whatever followed it.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the control bits.
    #[must_use]
    pub const fn control(&self) -> Control {
        self.layout.control
    }

    /// Returns the resource manager's byte, if it is valid.
    #[must_use]
    pub fn resource_manager_byte(&self) -> Option<u8> {
        let byte = self.bytes.get(1).copied();
        byte.filter(|_| self.control().contains(Control::RM_CONTROL_VALID))
    }

    /// Returns the owner, if there is one.
    #[must_use]
    pub fn owner(&self) -> Option<SidRef<'a>> {
        self.sid(self.layout.owner)
    }

    /// Returns the group, if there is one.
    #[must_use]
    pub fn group(&self) -> Option<SidRef<'a>> {
        self.sid(self.layout.group)
    }

    /// Returns the DACL.
    #[must_use]
    pub fn dacl(&self) -> Dacl<'a> {
        match self.layout.dacl {
            Some(span) => Dacl::List(self.acl(span)),
            None if self.control().contains(Control::DACL_PRESENT) => Dacl::Null,
            None => Dacl::Absent,
        }
    }

    /// Returns the SACL.
    #[must_use]
    pub fn sacl(&self) -> Sacl<'a> {
        match self.layout.sacl {
            Some(span) => Sacl::List(self.acl(span)),
            None if self.control().contains(Control::SACL_PRESENT) => Sacl::Null,
            None => Sacl::Absent,
        }
    }

    fn sid(&self, span: Option<Span>) -> Option<SidRef<'a>> {
        span?.of(self.bytes).map(SidRef::validated)
    }

    /// Should a validated span not fit after all, the list is empty: less is granted, never more.
    fn acl(&self, span: Span) -> AclRef<'a> {
        span.of(self.bytes).map_or(AclRef::EMPTY, AclRef::validated)
    }

    /// Copies the descriptor out.
    #[must_use]
    pub fn to_descriptor(&self) -> Descriptor {
        Descriptor { bytes: self.bytes.into(), layout: self.layout }
    }

    /// Returns whether both views are of the same bytes in memory.
    #[must_use]
    pub fn is_same_object(&self, other: &DescriptorRef<'_>) -> bool {
        core::ptr::eq(self.bytes, other.bytes)
    }
}

impl PartialEq for DescriptorRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl Eq for DescriptorRef<'_> {}
impl fmt::Debug for DescriptorRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Descriptor");
        out.field("control", &self.control()).field("owner", &self.owner()).field("group", &self.group());
        out.field("dacl", &self.dacl()).field("sacl", &self.sacl()).finish_non_exhaustive()
    }
}
impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_ref(), f)
    }
}

impl Descriptor {
    /// Copies and validates a descriptor.
    ///
    /// # Errors
    /// - [`ParseError`] as for [`DescriptorRef::parse`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Layout::parse(bytes).map(|layout| Self { bytes: bytes.into(), layout })
    }

    /// Starts a descriptor.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Borrows the descriptor as a view, without validating it again.
    #[must_use]
    pub fn as_ref(&self) -> DescriptorRef<'_> {
        DescriptorRef { bytes: &self.bytes, layout: self.layout }
    }

    /// Returns the encoded descriptor.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests;
