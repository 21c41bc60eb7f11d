//! The text form of security descriptors, both ways.
//!
//! [`parse`] accepts what Windows accepts, with its oddities, and yields the bytes Windows yields; [`print`] writes the
//! one canonical form. An error says at which byte of the text it is. No name is ever looked up: account aliases that
//! depend on a domain need that domain as an argument.
//!
//! # Source
//! MS-DTYP 2.5.1 (grammar), and recorded text and byte pairs where the grammar is silent.

mod ace;
mod alias;
mod attribute;
mod condition;
mod condition_text;
mod cursor;
mod error;
mod literal;
mod pair;
mod rights;
mod sid;

use alloc::string::String;
use core::fmt::Write;

pub use error::{PrintError, Problem, SddlError, Unprintable};

use crate::acl::{Acl, AclBuilder, AclRef};
use crate::condition::Condition;
use crate::descriptor::{Builder, Control, Dacl, Descriptor, DescriptorRef, Sacl};
use crate::mask::RequestedMask;
use crate::reading::Readings;
use crate::sid::{Sid, SidRef};
use cursor::Cursor;

/// Reads a security descriptor from text.
///
/// # Inputs
/// - `text`: sections `O:` `G:` `D:` `S:`, each at most once, in any order.
/// - `domain`: the domain that aliases such as `DA` belong to; without one they are an error.
///
/// # Errors
/// - [`SddlError`] with the byte offset of what is wrong.
///
/// # Source
/// MS-DTYP 2.5.1.
///
/// # Examples
/// ```
/// use vicar_nt::sddl;
/// let sd = sddl::parse("O:SYG:SYD:(A;;GA;;;WD)", None).unwrap();
/// assert_eq!(sddl::print(sd.as_ref(), None).unwrap(), "O:SYG:SYD:(A;;GA;;;WD)");
/// assert_eq!(sddl::parse("D:(A;;GA;;;XX)", None).unwrap_err().at, 11);
/// ```
pub fn parse(text: &str, domain: Option<&Sid>) -> Result<Descriptor, SddlError> {
    parse_by(text, domain, Readings::empty())
}

/// As [`parse()`], with the other reading of uncertain rules.
///
/// Of them all only [`Readings::PLAIN_ENTRIES_REFUSE_TYPES`] and [`Readings::NO_SLACK_FOR_TYPES`] are about this.
///
/// # Errors
/// As [`parse()`].
pub fn parse_by(text: &str, domain: Option<&Sid>, readings: Readings) -> Result<Descriptor, SddlError> {
    let mut cursor = Cursor::new(text);
    let mut builder = Descriptor::builder();
    let mut seen = [false; 4];
    loop {
        cursor.skip_white();
        if cursor.is_done() {
            break;
        }
        let at = cursor.at();
        let sections = [("O:", 0usize), ("G:", 1), ("D:", 2), ("S:", 3)];
        let section = sections.into_iter().find(|(name, _)| cursor.eat(name)).map(|(_, index)| index);
        let index = section.ok_or(SddlError::new(at, Problem::Section))?;
        match seen.get_mut(index) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(SddlError::new(at, Problem::SectionTwice)),
        }
        builder = match index {
            0 => builder.owner(sid::parse(&mut cursor, domain)?),
            1 => builder.group(sid::parse(&mut cursor, domain)?),
            2 => parse_list(&mut cursor, domain, readings, List::Dacl, builder)?,
            _ => parse_list(&mut cursor, domain, readings, List::Sacl, builder)?,
        };
    }
    builder.build().map_err(|_| SddlError::new(0, Problem::TooLong))
}

/// Which of the two lists is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Dacl,
    Sacl,
}

impl List {
    const fn protected(self) -> Control {
        match self {
            Self::Dacl => Control::DACL_PROTECTED,
            Self::Sacl => Control::SACL_PROTECTED,
        }
    }

    const fn auto_inherit_req(self) -> Control {
        match self {
            Self::Dacl => Control::DACL_AUTO_INHERIT_REQ,
            Self::Sacl => Control::SACL_AUTO_INHERIT_REQ,
        }
    }

    const fn auto_inherited(self) -> Control {
        match self {
            Self::Dacl => Control::DACL_AUTO_INHERITED,
            Self::Sacl => Control::SACL_AUTO_INHERITED,
        }
    }
}

fn parse_list(
    cursor: &mut Cursor<'_>,
    domain: Option<&Sid>,
    readings: Readings,
    list: List,
    mut builder: Builder,
) -> Result<Builder, SddlError> {
    let start = cursor.at();
    loop {
        cursor.skip_white();
        if cursor.eat("NO_ACCESS_CONTROL") {
            return Ok(match list {
                List::Dacl => builder.null_dacl(),
                List::Sacl => builder.null_sacl(),
            });
        }
        let bits = if cursor.eat("P") {
            list.protected()
        } else if cursor.eat("AR") {
            list.auto_inherit_req()
        } else if cursor.eat("AI") {
            list.auto_inherited()
        } else {
            break;
        };
        builder = builder.control(bits);
    }
    let mut acl: AclBuilder = Acl::builder();
    loop {
        cursor.skip_white();
        if cursor.peek() != Some('(') {
            break;
        }
        acl = ace::parse(cursor, domain, readings, list, acl)?;
    }
    let acl = acl.build().map_err(|_| SddlError::new(start, Problem::TooLong))?;
    Ok(match list {
        List::Dacl => builder.dacl(acl),
        List::Sacl => builder.sacl(acl),
    })
}

/// Writes a security descriptor as text: owner, group, DACL, SACL.
///
/// # Inputs
/// - `domain`: accounts of this domain that have an alias are written as it.
///
/// # Errors
/// - [`PrintError`] naming the entry that has no text form: of an unknown type, or a callback whose data is not a condition.
///
/// # Source
/// MS-DTYP 2.5.1.
pub fn print(descriptor: DescriptorRef<'_>, domain: Option<&Sid>) -> Result<String, PrintError> {
    print_by(descriptor, domain, Readings::empty())
}

/// As [`print()`], with the other reading of uncertain rules.
///
/// Of them all only [`Readings::FLAGS_IN_BIT_ORDER`], [`Readings::KEY_WRITE_IN_LETTERS`],
/// [`Readings::LEAVE_OUT_WHAT_HAS_NO_TEXT`] and [`Readings::ALARMS_HAVE_NO_TEXT`] are about this.
///
/// # Errors
/// As [`print()`]; none with [`Readings::LEAVE_OUT_WHAT_HAS_NO_TEXT`].
pub fn print_by(descriptor: DescriptorRef<'_>, domain: Option<&Sid>, readings: Readings) -> Result<String, PrintError> {
    let mut out = String::new();
    if let Some(owner) = descriptor.owner() {
        out.push_str("O:");
        sid::print(&mut out, owner, domain);
    }
    if let Some(group) = descriptor.group() {
        out.push_str("G:");
        sid::print(&mut out, group, domain);
    }
    match descriptor.dacl() {
        Dacl::Absent => {}
        Dacl::Null => print_list(&mut out, &descriptor, List::Dacl, None, domain, readings)?,
        Dacl::List(acl) => print_list(&mut out, &descriptor, List::Dacl, Some(acl), domain, readings)?,
    }
    match descriptor.sacl() {
        Sacl::Absent => {}
        Sacl::Null => print_list(&mut out, &descriptor, List::Sacl, None, domain, readings)?,
        Sacl::List(acl) => print_list(&mut out, &descriptor, List::Sacl, Some(acl), domain, readings)?,
    }
    Ok(out)
}

fn print_list(
    out: &mut String,
    descriptor: &DescriptorRef<'_>,
    list: List,
    acl: Option<AclRef<'_>>,
    domain: Option<&Sid>,
    readings: Readings,
) -> Result<(), PrintError> {
    out.push_str(match list {
        List::Dacl => "D:",
        List::Sacl => "S:",
    });
    for (bits, name) in [(list.protected(), "P"), (list.auto_inherit_req(), "AR"), (list.auto_inherited(), "AI")] {
        if descriptor.control().contains(bits) {
            out.push_str(name);
        }
    }
    let Some(acl) = acl else {
        out.push_str("NO_ACCESS_CONTROL");
        return Ok(());
    };
    for (index, entry) in (0u16..).zip(acl.aces()) {
        let before = out.len();
        match ace::print(out, &entry, domain, readings) {
            Ok(()) => {}
            Err(_) if readings.contains(Readings::LEAVE_OUT_WHAT_HAS_NO_TEXT) => out.truncate(before),
            Err(reason) => return Err(PrintError { index, reason }),
        }
    }
    Ok(())
}

/// Reads one SID from text, in the forms SDDL allows; the whole text must be the SID.
///
/// # Errors
/// - [`SddlError`] with the byte offset of what is wrong.
pub fn parse_sid(text: &str, domain: Option<&Sid>) -> Result<Sid, SddlError> {
    let mut cursor = Cursor::new(text);
    let sid = sid::parse(&mut cursor, domain)?;
    if cursor.is_done() { Ok(sid) } else { Err(SddlError::new(cursor.at(), Problem::Sid)) }
}

/// Writes a SID as its alias if it has one, else in full.
#[must_use]
pub fn print_sid(sid: SidRef<'_>, domain: Option<&Sid>) -> String {
    let mut out = String::new();
    sid::print(&mut out, sid, domain);
    out
}

/// Reads a condition from text, in parentheses, as it stands in a callback entry.
///
/// # Errors
/// - [`SddlError`] with the byte offset of what is wrong, also for text behind the condition.
pub fn parse_condition(text: &str, domain: Option<&Sid>) -> Result<Condition, SddlError> {
    let mut cursor = Cursor::new(text);
    let data = condition_text::parse(&mut cursor, domain)?;
    cursor.skip_white();
    let end = cursor.error(Problem::Condition);
    if !cursor.is_done() {
        return Err(end);
    }
    // The text of a condition cannot come to bytes that are none.
    Condition::parse(&data).map_err(|_| end)
}

/// Writes a condition as text, in parentheses.
///
/// # Errors
/// - [`Unprintable::Condition`] when a text in it has a quotation mark or half a surrogate pair, or a name is empty.
pub fn print_condition(condition: &Condition, domain: Option<&Sid>) -> Result<String, Unprintable> {
    let mut out = String::new();
    condition::print(&mut out, condition.as_bytes(), domain).ok_or(Unprintable::Condition)?;
    Ok(out)
}

/// Reads a mask from text: a number, or two-letter rights.
///
/// # Errors
/// - [`SddlError`] with the byte offset of what is wrong.
pub fn parse_rights(text: &str) -> Result<RequestedMask, SddlError> {
    rights::parse(text, 0, rights::Names::General).map(RequestedMask)
}

/// Writes a mask as one name, as letters, or as a number, whichever SDDL prefers. Zero is the empty text.
#[must_use]
pub fn print_rights(mask: RequestedMask) -> String {
    let mut out = String::new();
    rights::print(&mut out, mask.0, rights::Names::General, Readings::empty());
    out
}

/// Writes a number as SDDL does.
fn hex(out: &mut String, number: u32) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{number:#x}");
}

#[cfg(test)]
mod tests;
