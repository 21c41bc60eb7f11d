//! The postfix form of a condition, token by token.
//!
//! # Source
//! MS-DTYP 2.4.4.17.4 to 2.4.4.17.7.

use crate::claim::Value;
use crate::sid::SidRef;
use crate::utf16::Utf16;
use crate::wire::{Malformed, ParseError, Reader};

/// The four bytes every condition starts with.
pub const SIGNATURE: [u8; 4] = *b"artx";

/// How a number was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// With a plus.
    Plus,
    /// With a minus.
    Minus,
    /// Without.
    None,
}

/// In which base a number was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// 8
    Octal,
    /// 10
    Decimal,
    /// 16
    Hexadecimal,
}

/// A number, and how it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integer {
    /// The 64 bits, as a signed number. [`Integer::number`] is what was written.
    pub value: i64,
    /// How it was written.
    pub sign: Sign,
    /// In which base.
    pub base: Base,
}

impl Integer {
    /// Returns the number that was written: one without a minus is not below zero, and so reaches up to 2^64 - 1.
    ///
    /// # Source
    /// MS-DTYP 2.4.4.17.5 gives the bytes a sign of their own; 18446744073709551615 was seen to be accepted and to come
    /// back from its bytes as such.
    #[must_use]
    pub const fn number(self) -> i128 {
        match self.sign {
            Sign::Minus => self.value as i128,
            Sign::Plus | Sign::None => self.value.cast_unsigned() as i128,
        }
    }
}

/// A value written in the condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal<'a> {
    /// A number.
    Integer(Integer),
    /// Text.
    Text(Utf16<'a>),
    /// Bytes.
    Octets(&'a [u8]),
    /// A SID.
    Sid(SidRef<'a>),
    /// A list of the others, in encoded form.
    Composite(Composite<'a>),
}

/// A list of literals whose encoding was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Composite<'a> {
    bytes: &'a [u8],
}

impl<'a> Composite<'a> {
    /// Returns the literals in order; none of them is a list.
    #[must_use]
    pub const fn literals(self) -> Literals<'a> {
        Literals { reader: Reader::new(Malformed::Condition, self.bytes) }
    }
}

/// The literals of a list.
#[derive(Clone, Debug)]
pub struct Literals<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Literals<'a> {
    type Item = Literal<'a>;

    fn next(&mut self) -> Option<Literal<'a>> {
        let code = self.reader.u8("literal").ok()?;
        // The list was read once when it was found, so this cannot fail.
        literal(&mut self.reader, code, Nesting::Inside).ok().flatten()
    }
}

impl<'a> Literal<'a> {
    /// Returns the value; `None` for a list.
    #[must_use]
    pub fn value(&self) -> Option<Value<'a>> {
        match *self {
            Self::Integer(integer) => Some(Value::Integer(integer.number())),
            Self::Text(text) => Some(Value::Text(text)),
            Self::Octets(octets) => Some(Value::Octets(octets)),
            Self::Sid(sid) => Some(Value::Sid(sid)),
            Self::Composite(_) => None,
        }
    }
}

/// Where an attribute is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The token's own attributes.
    Local,
    /// The user's claims.
    User,
    /// The object's resource attributes.
    Resource,
    /// The device's claims.
    Device,
}

/// A comparison of an attribute with values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `Contains`
    Contains,
    /// `Any_of`
    AnyOf,
    /// `Not_Contains`
    NotContains,
    /// `Not_Any_of`
    NotAnyOf,
}

/// Whose groups a membership is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The user's.
    User,
    /// The device's.
    Device,
}

/// A question about groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Whose groups.
    pub whose: Whose,
    /// Whether every SID must be one of them, or any one.
    pub need: crate::privilege::Need,
    /// Whether the answer is turned round.
    pub is_negated: bool,
}

/// One step of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// Puts a value on the stack.
    Literal(Literal<'a>),
    /// Puts an attribute on the stack.
    Attribute(Class, Utf16<'a>),
    /// Takes two and compares.
    Relation(Relation),
    /// Takes one: whether the attribute is there.
    Exists,
    /// Takes one: whether the attribute is not there.
    NotExists,
    /// Takes one: whether the SIDs are groups.
    Member(Membership),
    /// Takes two.
    And,
    /// Takes two.
    Or,
    /// Takes one.
    Not,
}

/// Reads a condition token by token.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    reader: Reader<'a>,
    is_done: bool,
}

impl<'a> Tokens<'a> {
    /// Starts after the signature.
    ///
    /// # Errors
    /// - [`ParseError`] at byte 0 when the data is not a condition; the entry then belongs to somebody else.
    pub fn new(data: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(Malformed::Condition, data);
        match reader.array("condition signature") {
            Ok(SIGNATURE) => Ok(Self { reader, is_done: false }),
            Ok(_) | Err(_) => Err(ParseError::at(Malformed::Condition, 0, "condition signature")),
        }
    }

    /// Returns the offset of the next token in the data of the entry.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.reader.at()
    }

    fn read(&mut self) -> Result<Option<Token<'a>>, ParseError> {
        if self.reader.is_done() {
            return Ok(None);
        }
        let at = self.reader.at();
        let code = self.reader.u8("condition token")?;
        let wrong = ParseError::at(Malformed::Condition, at, "condition token");
        if code == 0 {
            // Padding: at most three zero bytes, and nothing after them.
            let rest = self.reader.rest();
            return if rest.len() < 3 && rest.iter().all(|byte| *byte == 0) { Ok(None) } else { Err(wrong) };
        }
        if let Some(literal) = literal(&mut self.reader, code, Nesting::Outside)? {
            return Ok(Some(Token::Literal(literal)));
        }
        if let Some(class) = class(code) {
            let name = Utf16::from_bytes(counted(&mut self.reader)?).ok_or(wrong)?;
            return Ok(Some(Token::Attribute(class, name)));
        }
        operator(code).map(Some).ok_or(wrong)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Token<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let next = self.read().transpose();
        self.is_done = !matches!(next, Some(Ok(_)));
        next
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Outside,
    Inside,
}

/// Reads what follows a literal's code; `None` when the code is not a literal's.
fn literal<'a>(reader: &mut Reader<'a>, code: u8, nesting: Nesting) -> Result<Option<Literal<'a>>, ParseError> {
    let at = reader.at();
    let wrong = ParseError::at(Malformed::Condition, at, "literal");
    Ok(Some(match code {
        0x01..=INT64 => Literal::Integer(integer(reader, code)?),
        TEXT => Literal::Text(Utf16::from_bytes(counted(reader)?).ok_or(wrong)?),
        OCTETS => Literal::Octets(counted(reader)?),
        SID => match SidRef::parse(counted(reader)?) {
            Ok((sid, [])) => Literal::Sid(sid),
            Ok(_) | Err(_) => return Err(wrong),
        },
        COMPOSITE if nesting == Nesting::Outside => {
            let bytes = counted(reader)?;
            let mut inner = Reader::new(Malformed::Condition, bytes);
            while !inner.is_done() {
                let code = inner.u8("literal")?;
                literal(&mut inner, code, Nesting::Inside)?.ok_or(wrong)?;
            }
            Literal::Composite(Composite { bytes })
        }
        _ => return Ok(None),
    }))
}

fn integer(reader: &mut Reader<'_>, code: u8) -> Result<Integer, ParseError> {
    let wrong = ParseError::at(Malformed::Condition, reader.at(), "integer literal");
    let value = i64::from_le_bytes(reader.array("integer literal")?);
    let sign = match reader.u8("integer sign")? {
        1 => Sign::Plus,
        2 => Sign::Minus,
        3 => Sign::None,
        _ => return Err(wrong),
    };
    let base = match reader.u8("integer base")? {
        1 => Base::Octal,
        2 => Base::Decimal,
        3 => Base::Hexadecimal,
        _ => return Err(wrong),
    };
    let fits = match code {
        1 => i8::try_from(value).is_ok(),
        2 => i16::try_from(value).is_ok(),
        3 => i32::try_from(value).is_ok(),
        _ => true,
    };
    if fits { Ok(Integer { value, sign, base }) } else { Err(wrong) }
}

fn counted<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], ParseError> {
    let at = reader.at();
    let len = usize::try_from(reader.u32("length")?);
    let len = len.map_err(|_| ParseError::at(Malformed::Condition, at, "length"))?;
    reader.take(len, "data of a token")
}

const fn class(code: u8) -> Option<Class> {
    match code {
        0xF8 => Some(Class::Local),
        0xF9 => Some(Class::User),
        0xFA => Some(Class::Resource),
        0xFB => Some(Class::Device),
        _ => None,
    }
}

impl Class {
    /// Returns the code of an attribute of this class.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Local => 0xF8,
            Self::User => 0xF9,
            Self::Resource => 0xFA,
            Self::Device => 0xFB,
        }
    }
}

impl Relation {
    /// Returns the code of this comparison.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Equal => 0x80,
            Self::NotEqual => 0x81,
            Self::Less => 0x82,
            Self::LessOrEqual => 0x83,
            Self::Greater => 0x84,
            Self::GreaterOrEqual => 0x85,
            Self::Contains => 0x86,
            Self::AnyOf => 0x88,
            Self::NotContains => 0x8E,
            Self::NotAnyOf => 0x8F,
        }
    }
}

impl Membership {
    /// Returns the code of this question.
    #[must_use]
    pub const fn code(self) -> u8 {
        use crate::privilege::Need;
        match (self.is_negated, self.whose, self.need) {
            (false, Whose::User, Need::All) => 0x89,
            (false, Whose::Device, Need::All) => 0x8A,
            (false, Whose::User, Need::Any) => 0x8B,
            (false, Whose::Device, Need::Any) => 0x8C,
            (true, Whose::User, Need::All) => 0x90,
            (true, Whose::Device, Need::All) => 0x91,
            (true, Whose::User, Need::Any) => 0x92,
            (true, Whose::Device, Need::Any) => 0x93,
        }
    }
}

/// The code of a 64-bit number, the only one that SDDL writes.
pub const INT64: u8 = 0x04;
/// The code of text.
pub const TEXT: u8 = 0x10;
/// The code of bytes.
pub const OCTETS: u8 = 0x18;
/// The code of a list.
pub const COMPOSITE: u8 = 0x50;
/// The code of a SID.
pub const SID: u8 = 0x51;
/// The code of `Exists`.
pub const EXISTS: u8 = 0x87;
/// The code of `Not_Exists`.
pub const NOT_EXISTS: u8 = 0x8D;
/// The code of `&&`.
pub const AND: u8 = 0xA0;
/// The code of `||`.
pub const OR: u8 = 0xA1;
/// The code of `!`.
pub const NOT: u8 = 0xA2;

fn operator<'a>(code: u8) -> Option<Token<'a>> {
    use crate::privilege::Need;
    let member = |is_negated, whose, need| Some(Token::Member(Membership { whose, need, is_negated }));
    let relation = |relation| Some(Token::Relation(relation));
    match code {
        0x80 => relation(Relation::Equal),
        0x81 => relation(Relation::NotEqual),
        0x82 => relation(Relation::Less),
        0x83 => relation(Relation::LessOrEqual),
        0x84 => relation(Relation::Greater),
        0x85 => relation(Relation::GreaterOrEqual),
        0x86 => relation(Relation::Contains),
        0x88 => relation(Relation::AnyOf),
        0x8E => relation(Relation::NotContains),
        0x8F => relation(Relation::NotAnyOf),
        EXISTS => Some(Token::Exists),
        NOT_EXISTS => Some(Token::NotExists),
        0x89 => member(false, Whose::User, Need::All),
        0x8A => member(false, Whose::Device, Need::All),
        0x8B => member(false, Whose::User, Need::Any),
        0x8C => member(false, Whose::Device, Need::Any),
        0x90 => member(true, Whose::User, Need::All),
        0x91 => member(true, Whose::Device, Need::All),
        0x92 => member(true, Whose::User, Need::Any),
        0x93 => member(true, Whose::Device, Need::Any),
        AND => Some(Token::And),
        OR => Some(Token::Or),
        NOT => Some(Token::Not),
        _ => None,
    }
}
