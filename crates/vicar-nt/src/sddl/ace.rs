//! Entries in text: `(type;flags;rights;object;inherited object;sid[;data])`.
//!
//! # Source
//! MS-DTYP 2.5.1.1; the leniencies were observed.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::acl::{Ace, AceFlags, AceKind, AclBuilder, Data, Role};
use crate::guid::Guid;
use crate::mask::RequestedMask;
use crate::reading::Readings;
use crate::sddl::cursor::Cursor;
use crate::sddl::error::{Problem, SddlError, Unprintable};
use crate::sddl::pair::Pairs;
use crate::sddl::{List, attribute, condition, condition_text, rights, sid};
use crate::sid::Sid;
use crate::well_known;

static TYPES: &[(&str, AceKind)] = &[
    ("A", AceKind::Allow),
    ("D", AceKind::Deny),
    ("AU", AceKind::Audit),
    ("AL", AceKind::Alarm),
    ("OA", AceKind::AllowObject),
    ("OD", AceKind::DenyObject),
    ("OU", AceKind::AuditObject),
    ("OL", AceKind::AlarmObject),
    ("XA", AceKind::AllowCallback),
    ("XD", AceKind::DenyCallback),
    ("ZA", AceKind::AllowCallbackObject),
    ("XU", AceKind::AuditCallback),
    ("ML", AceKind::MandatoryLabel),
    ("RA", AceKind::ResourceAttribute),
    ("SP", AceKind::ScopedPolicy),
    ("TL", AceKind::TrustLabel),
    ("FL", AceKind::AccessFilter),
];

static FLAGS: &[(&str, AceFlags)] = &[
    ("OI", AceFlags::OBJECT_INHERIT),
    ("CI", AceFlags::CONTAINER_INHERIT),
    ("NP", AceFlags::NO_PROPAGATE_INHERIT),
    ("IO", AceFlags::INHERIT_ONLY),
    ("ID", AceFlags::INHERITED),
    ("SA", AceFlags::SUCCESSFUL_ACCESS),
    ("FA", AceFlags::FAILED_ACCESS),
    ("CR", AceFlags::CRITICAL),
    ("TP", AceFlags::SUCCESSFUL_ACCESS),
];

static PLACES_OF_TYPES: Pairs = Pairs::of(TYPES);
static PLACES_OF_FLAGS: Pairs = Pairs::of(FLAGS);

/// Reads one entry and adds it.
pub(super) fn parse(
    cursor: &mut Cursor<'_>,
    domain: Option<&Sid>,
    readings: Readings,
    list: List,
    acl: AclBuilder,
) -> Result<AclBuilder, SddlError> {
    cursor.expect("(", Problem::Parenthesis)?;
    let (type_at, field) = take_field(cursor)?;
    let kind = match *field.as_bytes() {
        [b'A' | b'a'] => Some(AceKind::Allow),
        [b'D' | b'd'] => Some(AceKind::Deny),
        [first, second] => PLACES_OF_TYPES.find(first, second).and_then(|at| TYPES.get(at)).map(|(_, kind)| *kind),
        _ => None,
    };
    let kind = kind.ok_or(SddlError::new(type_at, Problem::AceType))?;
    if list == List::Dacl && !matches!(kind.role(), Role::Allow | Role::Deny) {
        return Err(SddlError::new(type_at, Problem::AceTypeInList));
    }
    let (at, field) = take_field(cursor)?;
    let flags = parse_flags(field, at)?;
    let (at, field) = take_field(cursor)?;
    let names = if kind == AceKind::MandatoryLabel { rights::Names::Label } else { rights::Names::General };
    let mask = RequestedMask(rights::parse(field, at, names)?);
    let types_at = cursor.at();
    let object_type = take_guid(cursor)?;
    let inherited_type = take_guid(cursor)?;
    cursor.skip_white();
    let sid_at = cursor.at();
    let trustee = sid::parse(cursor, domain)?;
    let data = parse_data(cursor, kind, domain)?;
    if !cursor.eat(")") {
        return Err(cursor.error(if cursor.peek() == Some(';') { Problem::Fields } else { Problem::Parenthesis }));
    }
    if kind == AceKind::ResourceAttribute && trustee != well_known::EVERYONE {
        return Err(SddlError::new(sid_at, Problem::ResourceAttributeTrustee));
    }
    let trustee = trustee.as_ref();
    let names_no_type = object_type.is_none() && inherited_type.is_none();
    let refuses_types = readings.contains(Readings::PLAIN_ENTRIES_REFUSE_TYPES);
    if refuses_types && !names_no_type && !kind.has_object_types() {
        return Err(SddlError::new(types_at, Problem::Fields));
    }
    Ok(match (kind.has_object_types(), kind.has_data()) {
        (true, false) if names_no_type => {
            let acl = acl.entry(kind.plain(), flags, mask, None, trustee, &data);
            if readings.contains(Readings::NO_SLACK_FOR_TYPES) { acl } else { acl.object_slack(4) }
        }
        (true, _) => acl.entry(kind, flags, mask, Some((object_type, inherited_type)), trustee, &data),
        (false, _) => acl.entry(kind, flags, mask, None, trustee, &data),
    })
}

/// Takes the field up to the next semicolon, without the white space before it.
fn take_field<'t>(cursor: &mut Cursor<'t>) -> Result<(usize, &'t str), SddlError> {
    cursor.skip_white();
    let at = cursor.at();
    let field = cursor.take_bytes_while(|byte| !matches!(byte, b';' | b'(' | b')'));
    if cursor.eat(";") { Ok((at, field)) } else { Err(cursor.error(Problem::Fields)) }
}

fn take_guid(cursor: &mut Cursor<'_>) -> Result<Option<Guid>, SddlError> {
    let (at, field) = take_field(cursor)?;
    if field.is_empty() {
        return Ok(None);
    }
    let wrong = |error: crate::ParseError| SddlError::new(at.saturating_add(error.at_byte()), Problem::Guid);
    field.parse().map(Some).map_err(wrong)
}

fn parse_flags(field: &str, at: usize) -> Result<AceFlags, SddlError> {
    let mut flags = AceFlags::empty();
    for (index, pair) in field.as_bytes().chunks(2).enumerate() {
        let flag = match *pair {
            [first, second] => PLACES_OF_FLAGS.find(first, second).and_then(|at| FLAGS.get(at)),
            _ => None,
        };
        let offset = at.saturating_add(index.saturating_mul(2));
        flags |= flag.ok_or(SddlError::new(offset, Problem::AceFlags))?.1;
    }
    Ok(flags)
}

fn parse_data(cursor: &mut Cursor<'_>, kind: AceKind, domain: Option<&Sid>) -> Result<Vec<u8>, SddlError> {
    let wanted = kind.data();
    if wanted == Data::None {
        return Ok(Vec::new());
    }
    if !cursor.eat(";") {
        return Err(cursor.error(Problem::Fields));
    }
    let data = match wanted {
        Data::Claim => attribute::parse(cursor, domain)?,
        Data::Condition | Data::None => condition_text::parse(cursor, domain)?,
    };
    cursor.skip_white();
    Ok(data)
}

/// Writes one entry, or a part of it before it turns out to have no text.
///
/// # Errors
/// Why it has no text form.
pub(super) fn print(
    out: &mut String,
    ace: &Ace<'_>,
    domain: Option<&Sid>,
    readings: Readings,
) -> Result<(), Unprintable> {
    let no_type = Unprintable::AceType(ace.kind().number());
    let (name, _) = TYPES.iter().find(|(_, kind)| *kind == ace.kind()).ok_or(no_type)?;
    let parts = ace.parts().ok_or(no_type)?;
    if ace.kind().role() == Role::Alarm && readings.contains(Readings::ALARMS_HAVE_NO_TEXT) {
        return Err(no_type);
    }
    out.push('(');
    out.push_str(name);
    out.push(';');
    print_flags(out, ace.flags(), ace.kind() == AceKind::AccessFilter, readings);
    out.push(';');
    let names = match ace.kind() == AceKind::MandatoryLabel {
        true => rights::Names::Label,
        false => rights::Names::General,
    };
    rights::print(out, parts.mask.0, names, readings);
    for guid in [parts.object_type, parts.inherited_object_type] {
        out.push(';');
        if let Some(guid) = guid {
            // Writing to a string cannot fail.
            let _ = write!(out, "{guid}");
        }
    }
    out.push(';');
    sid::print(out, parts.sid, domain);
    match ace.kind().data() {
        Data::None => {}
        Data::Condition => {
            out.push(';');
            condition::print(out, parts.data, domain).ok_or(Unprintable::Condition)?;
        }
        Data::Claim => {
            out.push(';');
            attribute::print(out, parts.data, domain).ok_or(Unprintable::ResourceAttribute)?;
        }
    }
    out.push(')');
    Ok(())
}

fn print_flags(out: &mut String, flags: AceFlags, is_filter: bool, readings: Readings) {
    if flags.is_empty() {
        return;
    }
    // One bit has two names.
    let other_name = if is_filter { "SA" } else { "TP" };
    let names = FLAGS.iter().filter(|(name, flag)| flags.contains(*flag) && *name != other_name);
    if !readings.contains(Readings::FLAGS_IN_BIT_ORDER) {
        names.for_each(|(name, _)| out.push_str(name));
        return;
    }
    for bit in AceFlags::all() {
        names.clone().filter(|(_, flag)| *flag == bit).for_each(|(name, _)| out.push_str(name));
    }
}
