//! SIDs in text.
//!
//! # Source
//! MS-DTYP 2.4.2.1, 2.5.1.1; the leniencies were observed.

use alloc::string::String;
use core::fmt::Write;

use crate::sddl::alias::{self, Alias};
use crate::sddl::cursor::Cursor;
use crate::sddl::error::{Problem, SddlError};
use crate::sid::{Sid, SidRef};

/// Reads a SID. White space may stand around an alias, not behind `S-1-...`.
pub(super) fn parse(cursor: &mut Cursor<'_>, domain: Option<&Sid>) -> Result<Sid, SddlError> {
    cursor.skip_white();
    let at = cursor.at();
    if cursor.eat_ignore_case("S-") {
        return parse_numbers(cursor, at);
    }
    let name = cursor.rest().get(..2).ok_or(SddlError::new(at, Problem::Sid))?;
    let alias = alias::find(name).ok_or(SddlError::new(at, Problem::Sid))?;
    cursor.eat(name);
    cursor.skip_white();
    match (alias, domain) {
        (Alias::Fixed(sid), _) => Ok(sid),
        (Alias::Domain(rid), Some(domain)) => domain.child(rid).ok_or(SddlError::new(at, Problem::SidSubAuthorities)),
        (Alias::Domain(_), None) => Err(SddlError::new(at, Problem::AliasNeedsDomain)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Radix {
    Decimal,
    Hexadecimal,
}

fn parse_numbers(cursor: &mut Cursor<'_>, at: usize) -> Result<Sid, SddlError> {
    let mut radix = Radix::Decimal;
    let revision_at = cursor.at();
    // A hexadecimal revision makes every number after it hexadecimal.
    let revision = number(cursor, &mut radix, Problem::Sid)?;
    if revision != 1 {
        return Err(SddlError::new(revision_at, Problem::SidRevision));
    }
    if !cursor.eat("-") {
        return Err(cursor.error(Problem::Sid));
    }
    let authority_at = cursor.at();
    let authority = number(cursor, &mut { radix }, Problem::SidAuthority)?;
    let authority = u64::try_from(authority).ok().filter(|value| *value <= Sid::MAX_AUTHORITY);
    let authority = authority.ok_or(SddlError::new(authority_at, Problem::SidAuthority))?;
    let mut subs = [0u32; Sid::MAX_SUB_AUTHORITIES];
    let mut count: usize = 0;
    while cursor.eat("-") {
        let value = number(cursor, &mut { radix }, Problem::SidSubAuthorities)?;
        let slot = subs.get_mut(count).ok_or(SddlError::new(at, Problem::SidSubAuthorities))?;
        *slot = u32::try_from(value).unwrap_or(u32::MAX);
        count = count.saturating_add(1);
    }
    let subs = subs.get(..count).filter(|subs| !subs.is_empty());
    let subs = subs.ok_or(cursor.error(Problem::SidSubAuthorities))?;
    Sid::new(authority, subs).ok_or(SddlError::new(at, Problem::Sid))
}

/// So many digits fit in 64 bits in either radix.
const FIT_IN_64_BITS: usize = 15;

/// Reads a number that saturates. `0x` makes it, and `radix`, hexadecimal.
fn number(cursor: &mut Cursor<'_>, radix: &mut Radix, problem: Problem) -> Result<u128, SddlError> {
    cursor.skip_white();
    if cursor.eat_ignore_case("0x") {
        *radix = Radix::Hexadecimal;
    }
    let base = match radix {
        Radix::Decimal => 10,
        Radix::Hexadecimal => 16,
    };
    let mut ahead = *cursor;
    let digits = match radix {
        Radix::Decimal => ahead.take_bytes_while(|byte| byte.is_ascii_digit()),
        Radix::Hexadecimal => ahead.take_bytes_while(|byte| byte.is_ascii_hexdigit()),
    };
    // "...-512D:" ends before the next section, also where D is a digit.
    let digits = match digits.strip_suffix(['D', 'd']) {
        Some(shorter) if ahead.rest().starts_with(':') => shorter,
        _ => digits,
    };
    if digits.is_empty() {
        return Err(cursor.error(problem));
    }
    cursor.skip(digits.len());
    if digits.len() <= FIT_IN_64_BITS {
        let add = |value: u64, c: char| {
            value.wrapping_mul(u64::from(base)).wrapping_add(u64::from(c.to_digit(base).unwrap_or(0)))
        };
        return Ok(u128::from(digits.chars().fold(0, add)));
    }
    let add = |value: u128, c: char| {
        value.saturating_mul(u128::from(base)).saturating_add(u128::from(c.to_digit(base).unwrap_or(0)))
    };
    Ok(digits.chars().fold(0, add))
}

/// Writes the alias if there is one, else the numbers.
pub(super) fn print(out: &mut String, sid: SidRef<'_>, domain: Option<&Sid>) {
    match alias::name_of(sid, domain) {
        Some(name) => out.push_str(name),
        None => {
            // Writing to a string cannot fail.
            let _ = write!(out, "{sid}");
        }
    }
}
