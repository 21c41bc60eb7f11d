//! What can be wrong with a text, or with a descriptor that is to become one.

use core::fmt;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Neither `O:`, `G:`, `D:` nor `S:`.
    Section,
    /// A section that was there before.
    SectionTwice,
    /// A SID that is neither an alias nor `S-1-...`.
    Sid,
    /// An alias that needs a domain, and none was given.
    AliasNeedsDomain,
    /// An identifier authority that needs more than 48 bits.
    SidAuthority,
    /// More than fifteen sub-authorities, or none.
    SidSubAuthorities,
    /// A SID of another revision than 1.
    SidRevision,
    /// An entry that does not start with a parenthesis, or does not end with one.
    Parenthesis,
    /// An entry with too few or too many fields.
    Fields,
    /// An entry type that does not exist.
    AceType,
    /// An entry type that belongs in the other list.
    AceTypeInList,
    /// An entry flag that does not exist.
    AceFlags,
    /// Rights that are neither letters nor a number.
    Rights,
    /// A GUID that is not 36 characters.
    Guid,
    /// A condition that is not one.
    Condition,
    /// An attribute name that is empty or has a character that must be written as `%hhhh`.
    AttributeName,
    /// A value that is not a number, text, bytes, a SID or a list of them.
    Literal,
    /// A number that does not fit.
    Number,
    /// A local attribute on the right side of a comparison.
    LocalAttributeOnRight,
    /// A resource attribute that is not one.
    ResourceAttribute,
    /// Flags of a resource attribute that are reserved.
    ReservedFlags,
    /// A resource attribute about somebody else than everyone.
    ResourceAttributeTrustee,
    /// A list beyond 65,532 bytes.
    TooLong,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Section => "expected a section: O:, G:, D: or S:",
            Self::SectionTwice => "section appears twice",
            Self::Sid => "expected a SID: a two-letter alias or S-1-...",
            Self::AliasNeedsDomain => "alias needs a domain",
            Self::SidAuthority => "identifier authority exceeds 48 bits",
            Self::SidSubAuthorities => "a SID has one to fifteen sub-authorities",
            Self::SidRevision => "SID revision is not 1",
            Self::Parenthesis => "expected a parenthesis",
            Self::Fields => "an ACE has six fields, or seven if its type takes data",
            Self::AceType => "unknown ACE type",
            Self::AceTypeInList => "ACE type does not belong in this list",
            Self::AceFlags => "unknown ACE flags",
            Self::Rights => "expected rights: two-letter names or a number",
            Self::Guid => "expected a GUID of 36 characters",
            Self::Condition => "expected a condition",
            Self::AttributeName => "expected an attribute name",
            Self::Literal => "expected a value",
            Self::Number => "number does not fit",
            Self::LocalAttributeOnRight => "a local attribute can stand on the left only",
            Self::ResourceAttribute => "expected a resource attribute: (\"name\",type,flags,value,...)",
            Self::ReservedFlags => "reserved attribute flags",
            Self::ResourceAttributeTrustee => "a resource attribute is about WD",
            Self::TooLong => "list exceeds 65532 bytes",
        })
    }
}

/// A text is not a security descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SddlError {
    /// The byte of the text at which it is wrong.
    pub at: usize,
    /// What is wrong.
    pub problem: Problem,
}

impl SddlError {
    pub(super) const fn new(at: usize, problem: Problem) -> Self {
        Self { at, problem }
    }
}

impl fmt::Display for SddlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.problem, self.at)
    }
}
impl core::error::Error for SddlError {}

/// An entry has no text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintError {
    /// Which entry of its list, from 0.
    pub index: u16,
    /// Why.
    pub reason: Unprintable,
}

/// Why an entry has no text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unprintable {
    /// Its type has no letters.
    AceType(u8),
    /// Its data is not a condition, or the condition has no text form.
    Condition,
    /// Its data is not a claim, or the claim has no text form.
    ResourceAttribute,
}

impl fmt::Display for PrintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ACE {} has no text form: ", self.index)?;
        match self.reason {
            Unprintable::AceType(number) => write!(f, "type {number:#04x}"),
            Unprintable::Condition => f.write_str("condition"),
            Unprintable::ResourceAttribute => f.write_str("resource attribute"),
        }
    }
}
impl core::error::Error for PrintError {}
