//! Making a security descriptor.

use alloc::vec::Vec;
use core::fmt;

use crate::acl::Acl;
use crate::descriptor::{Control, Descriptor, HEADER_LEN, Layout, Span};
use crate::sid::Sid;

/// The parts do not fit in the offsets of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorTooLong;

impl fmt::Display for DescriptorTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("descriptor exceeds 4 GiB")
    }
}
impl core::error::Error for DescriptorTooLong {}

#[derive(Clone, Debug)]
enum Part {
    Absent,
    Null,
    List(Acl),
}

/// Puts a descriptor together. The bytes stand in the order Windows writes them: header, SACL, DACL, owner, group.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    control: Control,
    owner: Option<Sid>,
    group: Option<Sid>,
    sacl: Part,
    dacl: Part,
    resource_manager: Option<u8>,
}

impl Builder {
    pub(crate) const fn new() -> Self {
        Self {
            control: Control::SELF_RELATIVE,
            owner: None,
            group: None,
            sacl: Part::Absent,
            dacl: Part::Absent,
            resource_manager: None,
        }
    }

    /// Sets the owner.
    pub fn owner(mut self, sid: Sid) -> Self {
        self.owner = Some(sid);
        self
    }

    /// Sets the group.
    pub fn group(mut self, sid: Sid) -> Self {
        self.group = Some(sid);
        self
    }

    /// Sets the DACL.
    pub fn dacl(mut self, acl: Acl) -> Self {
        self.dacl = Part::List(acl);
        self
    }

    /// Sets a NULL DACL: everyone may do everything.
    pub fn null_dacl(mut self) -> Self {
        self.dacl = Part::Null;
        self
    }

    /// Sets the SACL.
    pub fn sacl(mut self, acl: Acl) -> Self {
        self.sacl = Part::List(acl);
        self
    }

    /// Sets a NULL SACL.
    pub fn null_sacl(mut self) -> Self {
        self.sacl = Part::Null;
        self
    }

    /// Sets the byte that belongs to the resource manager.
    pub fn resource_manager_byte(mut self, byte: u8) -> Self {
        self.resource_manager = Some(byte);
        self
    }

    /// Adds control bits. Those that say what is present follow from the parts.
    pub fn control(mut self, bits: Control) -> Self {
        self.control |= bits.difference(Control::DACL_PRESENT | Control::SACL_PRESENT | Control::RM_CONTROL_VALID);
        self
    }

    /// Makes the descriptor.
    ///
    /// # Errors
    /// - [`DescriptorTooLong`] when an offset needs more than 32 bits, which cannot happen with parts of legal size.
    pub fn build(self) -> Result<Descriptor, DescriptorTooLong> {
        let mut control = self.control;
        if self.resource_manager.is_some() {
            control |= Control::RM_CONTROL_VALID;
        }
        let mut tail: Vec<u8> = Vec::new();
        let sacl = match &self.sacl {
            Part::Absent => None,
            Part::Null => {
                control |= Control::SACL_PRESENT;
                None
            }
            Part::List(acl) => {
                control |= Control::SACL_PRESENT;
                Some(append(&mut tail, acl.as_ref().as_bytes())?)
            }
        };
        let dacl = match &self.dacl {
            Part::Absent => None,
            Part::Null => {
                control |= Control::DACL_PRESENT;
                None
            }
            Part::List(acl) => {
                control |= Control::DACL_PRESENT;
                Some(append(&mut tail, acl.as_ref().as_bytes())?)
            }
        };
        let owner = self.owner.map(|sid| append(&mut tail, sid.as_bytes())).transpose()?;
        let group = self.group.map(|sid| append(&mut tail, sid.as_bytes())).transpose()?;
        let [low, high] = control.bits().to_le_bytes();
        let mut bytes: Vec<u8> = Vec::with_capacity(HEADER_LEN.saturating_add(tail.len()));
        bytes.extend_from_slice(&[1, self.resource_manager.unwrap_or(0), low, high]);
        for span in [owner, group, sacl, dacl] {
            let offset = span.map_or(0, |span| span.start.get());
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        bytes.extend_from_slice(&tail);
        Ok(Descriptor { bytes: bytes.into(), layout: Layout { control, owner, group, sacl, dacl } })
    }
}

fn append(tail: &mut Vec<u8>, bytes: &[u8]) -> Result<Span, DescriptorTooLong> {
    let start = HEADER_LEN.saturating_add(tail.len());
    tail.extend_from_slice(bytes);
    Span::new(start, bytes.len()).ok_or(DescriptorTooLong)
}
