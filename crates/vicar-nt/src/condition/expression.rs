//! Conditions that are well-formed, and making them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::claim::Value;
use crate::condition::token::{self, Class, Membership, Relation, SIGNATURE, Token, Tokens};
use crate::sid::Sid;
use crate::utf16;
use crate::wire::{Malformed, ParseError};

/// A condition that comes to one answer, in the postfix form of callback entries: signature first, no padding. Copies
/// share the bytes.
///
/// # Source
/// MS-DTYP 2.4.4.17.
///
/// # Examples
/// ```
/// use vicar_nt::claim::Value;
/// use vicar_nt::condition::{Attribute, Condition, Operand, token::{Class, Relation}};
/// let level = Attribute::new(Class::User, "level").unwrap();
/// let high = Condition::compare(Relation::GreaterOrEqual, &level, Operand::Value(Value::Integer(5))).unwrap();
/// let known = Condition::exists(&level).and(&high);
/// assert_eq!(vicar_nt::sddl::print_condition(&known, None).unwrap(), "((Exists @USER.level) && (@USER.level >= 5))");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    bytes: Arc<[u8]>,
}

/// The name of an attribute, and where it is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    class: Class,
    name: Vec<u8>,
}

impl Attribute {
    /// Names an attribute; `None` when the name is empty, has a NUL in it, or needs more than 4 GiB.
    #[must_use]
    pub fn new(class: Class, name: &str) -> Option<Self> {
        let is_a_name = !name.is_empty() && !name.contains('\0');
        let name = utf16::encode(name);
        (is_a_name && u32::try_from(name.len()).is_ok()).then_some(Self { class, name })
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), ConditionError> {
        counted(out, self.class.code(), &self.name)
    }
}

/// What an attribute is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// One value.
    Value(Value<'a>),
    /// A list of values, perhaps an empty one.
    List(&'a [Value<'a>]),
    /// Another attribute, not a local one.
    Attribute(&'a Attribute),
}

/// A condition cannot be made of these parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConditionError {
    /// A truth value or the name of a program: a condition has no way to write one.
    NotALiteral,
    /// A number that does not fit in 64 bits.
    Number,
    /// A local attribute on the right side of a comparison.
    LocalAttributeOnRight,
    /// A value or a list of more than 4 GiB.
    TooLong,
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotALiteral => "a condition cannot hold a value of this type",
            Self::Number => "number does not fit in 64 bits",
            Self::LocalAttributeOnRight => "a local attribute can stand on the left only",
            Self::TooLong => "value exceeds 4 GiB",
        })
    }
}
impl core::error::Error for ConditionError {}

impl Condition {
    /// Copies and validates the data of a callback entry. Padding is left out.
    ///
    /// # Errors
    /// - [`ParseError`] naming item and byte: no signature, an unknown token, a value that does not fit, an operator
    ///   without operands or with operands of another kind, or not exactly one answer in the end.
    ///
    /// # NT
    /// STATUS_INVALID_ACE_CONDITION; a stored entry with such data is kept all the same, and its condition is unknown.
    ///
    /// # Source
    /// MS-DTYP 2.4.4.17.4.
    pub fn parse(data: &[u8]) -> Result<Self, ParseError> {
        let mut tokens = Tokens::new(data)?;
        let mut stack: Vec<Kind> = Vec::new();
        let mut end = tokens.at();
        while let Some(token) = tokens.next() {
            let wrong = ParseError::at(Malformed::Condition, end, "operand");
            let result = Kind::of(token?, &mut stack).ok_or(wrong)?;
            stack.push(result);
            end = tokens.at();
        }
        match stack[..] {
            [Kind::Truth | Kind::Attribute] => Ok(Self { bytes: data.get(..end).unwrap_or(data).into() }),
            _ => Err(ParseError::at(Malformed::Condition, end, "answer")),
        }
    }

    /// Returns the signature and the tokens, without padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn tokens(&self) -> &[u8] {
        self.bytes.get(SIGNATURE.len()..).unwrap_or(&[])
    }

    fn of(tokens: &[&[u8]]) -> Self {
        let mut bytes = SIGNATURE.to_vec();
        tokens.iter().for_each(|tokens| bytes.extend_from_slice(tokens));
        Self { bytes: bytes.into() }
    }

    fn of_attribute(attribute: &Attribute, operator: &[u8]) -> Self {
        let mut out = Vec::new();
        // The length was checked when the attribute was named.
        let _ = attribute.write(&mut out);
        Self::of(&[&out, operator])
    }

    /// Holds when the attribute has one value, which is a number or truth value other than 0, or a text that is not empty.
    #[must_use]
    pub fn attribute(attribute: &Attribute) -> Self {
        Self::of_attribute(attribute, &[])
    }

    /// Holds when the attribute is there.
    #[must_use]
    pub fn exists(attribute: &Attribute) -> Self {
        Self::of_attribute(attribute, &[token::EXISTS])
    }

    /// Holds when the attribute is not there.
    #[must_use]
    pub fn not_exists(attribute: &Attribute) -> Self {
        Self::of_attribute(attribute, &[token::NOT_EXISTS])
    }

    /// Compares an attribute.
    ///
    /// # Errors
    /// - [`ConditionError`] when a value has no form in a condition, or a local attribute is on the right.
    pub fn compare(relation: Relation, left: &Attribute, right: Operand<'_>) -> Result<Self, ConditionError> {
        let mut out = Vec::new();
        left.write(&mut out)?;
        match right {
            Operand::Value(value) => literal(&mut out, &value)?,
            Operand::List(values) => {
                let mut list = Vec::new();
                values.iter().try_for_each(|value| literal(&mut list, value))?;
                counted(&mut out, token::COMPOSITE, &list)?;
            }
            Operand::Attribute(attribute) if attribute.class == Class::Local => {
                return Err(ConditionError::LocalAttributeOnRight);
            }
            Operand::Attribute(attribute) => attribute.write(&mut out)?,
        }
        Ok(Self::of(&[&out, &[relation.code()]]))
    }

    /// Asks whether SIDs are groups of the user or of the device. Without any SID, the answer is unknown.
    ///
    /// # Errors
    /// - [`ConditionError::TooLong`] for more SIDs than 4 GiB hold.
    pub fn member(question: Membership, sids: &[Sid]) -> Result<Self, ConditionError> {
        let mut list = Vec::new();
        sids.iter().try_for_each(|sid| literal(&mut list, &Value::Sid(sid.as_ref())))?;
        let mut out = Vec::new();
        counted(&mut out, token::COMPOSITE, &list)?;
        Ok(Self::of(&[&out, &[question.code()]]))
    }

    /// Holds when both do.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self::of(&[self.tokens(), other.tokens(), &[token::AND]])
    }

    /// Holds when either does.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self::of(&[self.tokens(), other.tokens(), &[token::OR]])
    }

    /// Holds when this one surely does not.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self::of(&[self.tokens(), &[token::NOT]])
    }
}

/// What stands on the stack of an evaluation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Truth,
    Literal,
    Attribute,
}

impl Kind {
    /// What a token leaves on the stack; `None` when its operands are not there, or are of another kind.
    fn of(token: Token<'_>, stack: &mut Vec<Self>) -> Option<Self> {
        let mut take = |kinds: &[Self]| stack.pop().filter(|kind| kinds.contains(kind));
        let answers = [Self::Truth, Self::Attribute];
        Some(match token {
            Token::Literal(_) => Self::Literal,
            Token::Attribute(..) => Self::Attribute,
            Token::Relation(_) => {
                take(&[Self::Literal, Self::Attribute])?;
                take(&[Self::Attribute])?;
                Self::Truth
            }
            Token::Exists | Token::NotExists => {
                take(&[Self::Attribute])?;
                Self::Truth
            }
            Token::Member(_) => {
                take(&[Self::Literal])?;
                Self::Truth
            }
            Token::And | Token::Or => {
                take(&answers)?;
                take(&answers)?;
                Self::Truth
            }
            Token::Not => {
                take(&answers)?;
                Self::Truth
            }
        })
    }
}

fn literal(out: &mut Vec<u8>, value: &Value<'_>) -> Result<(), ConditionError> {
    match value {
        Value::Integer(number) => {
            // Written in decimal, with a sign if it is negative, as SDDL has it.
            const DECIMAL: u8 = 2;
            let bits = match (i64::try_from(*number), u64::try_from(*number)) {
                (Ok(signed), _) => signed.cast_unsigned(),
                (Err(_), Ok(unsigned)) => unsigned,
                (Err(_), Err(_)) => return Err(ConditionError::Number),
            };
            out.push(token::INT64);
            out.extend_from_slice(&bits.to_le_bytes());
            out.extend_from_slice(&[if *number < 0 { 2 } else { 3 }, DECIMAL]);
            Ok(())
        }
        Value::Text(text) => counted(out, token::TEXT, text.as_bytes()),
        Value::Octets(octets) => counted(out, token::OCTETS, octets),
        Value::Sid(sid) => counted(out, token::SID, sid.as_bytes()),
        Value::Boolean(_) | Value::Fqbn { .. } => Err(ConditionError::NotALiteral),
    }
}

fn counted(out: &mut Vec<u8>, code: u8, bytes: &[u8]) -> Result<(), ConditionError> {
    let len = u32::try_from(bytes.len()).map_err(|_| ConditionError::TooLong)?;
    out.push(code);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests;
