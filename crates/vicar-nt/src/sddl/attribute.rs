//! Resource attributes in text: `("name",type,flags,value,...)`.
//!
//! # Source
//! MS-DTYP 2.5.1.1; the forms of values were observed.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::claim::{Claim, ClaimFlags, ClaimRef, ClaimType, Value};
use crate::sddl::condition::{escape, hex_octets, quote};
use crate::sddl::condition_text::escaped_name;
use crate::sddl::cursor::Cursor;
use crate::sddl::error::{Problem, SddlError};
use crate::sddl::literal::{integer_parts, octets, quoted};
use crate::sddl::{hex, sid};
use crate::sid::Sid;
use crate::utf16::{Utf16, encode};

static TYPES: &[(&str, ClaimType)] = &[
    ("TI", ClaimType::Int64),
    ("TU", ClaimType::Uint64),
    ("TS", ClaimType::Text),
    ("TD", ClaimType::Sid),
    ("TX", ClaimType::Octets),
    ("TB", ClaimType::Boolean),
];

const RESERVED_FLAGS: u32 = 0xFF00;

/// A value that owns what it refers to.
enum Owned {
    Number(i128),
    Truth(bool),
    Text(Vec<u8>),
    Sid(Sid),
    Octets(Vec<u8>),
}

/// Reads an attribute and returns the data of an entry, without padding.
pub(super) fn parse(cursor: &mut Cursor<'_>, domain: Option<&Sid>) -> Result<Vec<u8>, SddlError> {
    let problem = Problem::ResourceAttribute;
    cursor.expect("(", problem)?;
    cursor.expect("\"", problem)?;
    let mut name = Vec::new();
    escaped_name(cursor, &mut name)?;
    if !cursor.eat("\"") {
        return Err(cursor.error(Problem::AttributeName));
    }
    cursor.expect(",", problem)?;
    cursor.skip_white();
    let kind = TYPES.iter().find(|(name, _)| cursor.eat_ignore_case(name)).map(|(_, kind)| *kind);
    let kind = kind.ok_or(cursor.error(problem))?;
    cursor.expect(",", problem)?;
    cursor.skip_white();
    let flags_at = cursor.at();
    let (flags, _, _) = integer_parts(cursor)?;
    let flags = u32::try_from(flags).map_err(|_| SddlError::new(flags_at, Problem::Number))?;
    if flags & RESERVED_FLAGS != 0 {
        return Err(SddlError::new(flags_at, Problem::ReservedFlags));
    }
    let mut values: Vec<Owned> = Vec::new();
    let values_at = cursor.at();
    loop {
        cursor.skip_white();
        if cursor.eat(")") {
            break;
        }
        cursor.expect(",", problem)?;
        cursor.skip_white();
        values.push(value(cursor, kind, domain)?);
    }
    let borrowed: Vec<Value<'_>> = values.iter().filter_map(Owned::borrow).collect();
    let wrong = SddlError::new(values_at, problem);
    let name = Utf16::from_bytes(&name).ok_or(wrong)?;
    let claim = Claim::new(name, kind, ClaimFlags::from_bits_retain(flags), &borrowed).map_err(|_| wrong)?;
    Ok(claim.as_bytes().to_vec())
}

impl Owned {
    fn borrow(&self) -> Option<Value<'_>> {
        match self {
            Self::Number(number) => Some(Value::Integer(*number)),
            Self::Truth(truth) => Some(Value::Boolean(*truth)),
            Self::Text(text) => Utf16::from_bytes(text).map(Value::Text),
            Self::Sid(sid) => Some(Value::Sid(sid.as_ref())),
            Self::Octets(octets) => Some(Value::Octets(octets)),
        }
    }
}

fn value(cursor: &mut Cursor<'_>, kind: ClaimType, domain: Option<&Sid>) -> Result<Owned, SddlError> {
    let at = cursor.at();
    Ok(match kind {
        ClaimType::Int64 | ClaimType::Uint64 => Owned::Number(integer_parts(cursor)?.0),
        ClaimType::Boolean => match integer_parts(cursor)?.0 {
            0 => Owned::Truth(false),
            1 => Owned::Truth(true),
            _ => return Err(SddlError::new(at, Problem::Number)),
        },
        ClaimType::Text => Owned::Text(encode(quoted(cursor)?)),
        ClaimType::Sid => Owned::Sid(sid::parse(cursor, domain)?),
        // It has no letters, so nobody gets here with it.
        ClaimType::Fqbn => return Err(SddlError::new(at, Problem::ResourceAttribute)),
        ClaimType::Octets => {
            let digits = cursor.take_while(|c| c == '#' || c.is_ascii_hexdigit());
            if digits.is_empty() {
                return Err(SddlError::new(at, Problem::Literal));
            }
            Owned::Octets(octets(digits))
        }
    })
}

/// Writes an attribute; `None` when it is malformed or has no text form.
pub(super) fn print(out: &mut String, data: &[u8], domain: Option<&Sid>) -> Option<()> {
    let claim = ClaimRef::parse_in_ace(data).ok()?;
    let (name, _) = TYPES.iter().find(|(_, kind)| *kind == claim.kind())?;
    out.push_str("(\"");
    escape(out, claim.name());
    out.push_str("\",");
    out.push_str(name);
    out.push(',');
    hex(out, claim.flags().bits());
    for value in claim.values() {
        out.push(',');
        match value {
            // Writing to a string cannot fail.
            Value::Integer(number) => write!(out, "{number}").ok()?,
            Value::Boolean(truth) => out.push(if truth { '1' } else { '0' }),
            Value::Text(text) => quote(out, text)?,
            Value::Sid(value) => sid::print(out, value, domain),
            Value::Octets(octets) => hex_octets(out, octets),
            // No entry holds one.
            Value::Fqbn { .. } => return None,
        }
    }
    out.push(')');
    Some(())
}
