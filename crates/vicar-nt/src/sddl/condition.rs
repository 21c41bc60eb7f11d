//! Conditions from postfix bytes to text.
//!
//! # Source
//! MS-DTYP 2.4.4.17.4 (bytes); the form of the text was observed.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::condition::token::{Base, Class, Integer, Literal, Sign, Token, Tokens};
use crate::sddl::condition_text::{MEMBERSHIPS, RELATIONS, printed_as_it_is};
use crate::sddl::sid;
use crate::sid::Sid;
use crate::utf16::Utf16;

/// How a part of the text stands on its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In its own parentheses.
    Closed,
    /// A bare attribute.
    Attribute,
    /// An existence question.
    Exists,
    /// A negation.
    Not,
    /// A value.
    Literal,
}

struct Piece {
    form: Form,
    text: String,
}

impl Piece {
    fn closed(text: String) -> Self {
        Self { form: Form::Closed, text }
    }

    /// The text as an operand of `&&` or `||`; `None` for a value, which is none.
    fn operand(self) -> Option<String> {
        match self.form {
            Form::Closed | Form::Not => Some(self.text),
            Form::Attribute | Form::Exists => Some(alloc::format!("({})", self.text)),
            Form::Literal => None,
        }
    }

    /// The text in parentheses.
    fn enclosed(self) -> Option<String> {
        match self.form {
            Form::Closed => Some(self.text),
            Form::Attribute | Form::Exists | Form::Not => Some(alloc::format!("({})", self.text)),
            Form::Literal => None,
        }
    }
}

/// Writes a condition; `None` when it is malformed or has no text form.
pub(super) fn print(data: &[u8], domain: Option<&Sid>) -> Option<String> {
    let mut stack: Vec<Piece> = Vec::new();
    for token in Tokens::new(data).ok()? {
        let piece = match token.ok()? {
            Token::Literal(value) => Piece { form: Form::Literal, text: literal(&value, domain)? },
            Token::Attribute(class, name) => Piece { form: Form::Attribute, text: attribute(class, name)? },
            Token::Relation(relation) => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                let is_value = matches!(right.form, Form::Literal | Form::Attribute);
                if left.form != Form::Attribute || !is_value {
                    return None;
                }
                let (name, _) = RELATIONS.iter().find(|(_, known)| *known == relation)?;
                Piece::closed(alloc::format!("({} {} {})", left.text, name, right.text))
            }
            token @ (Token::Exists | Token::NotExists) => {
                let operand = stack.pop().filter(|piece| piece.form == Form::Attribute)?;
                let name = if token == Token::Exists { "Exists" } else { "Not_Exists" };
                Piece { form: Form::Exists, text: alloc::format!("{name} {}", operand.text) }
            }
            Token::Member(question) => {
                let operand = stack.pop().filter(|piece| piece.form == Form::Literal)?;
                let (name, _) = MEMBERSHIPS.iter().find(|(_, known)| *known == question)?;
                Piece::closed(alloc::format!("({name} {})", operand.text))
            }
            token @ (Token::And | Token::Or) => {
                let (right, left) = (stack.pop()?.operand()?, stack.pop()?.operand()?);
                let name = if token == Token::And { "&&" } else { "||" };
                Piece::closed(alloc::format!("({left} {name} {right})"))
            }
            Token::Not => Piece { form: Form::Not, text: alloc::format!("!{}", stack.pop()?.enclosed()?) },
        };
        stack.push(piece);
    }
    let text = stack.pop()?.enclosed()?;
    stack.is_empty().then_some(text)
}

fn attribute(class: Class, name: Utf16<'_>) -> Option<String> {
    let mut out = String::from(match class {
        Class::Local => "",
        Class::User => "@USER.",
        Class::Resource => "@RESOURCE.",
        Class::Device => "@DEVICE.",
    });
    escape(&mut out, name);
    (!name.is_empty()).then_some(out)
}

/// Writes a name, special characters and everything outside ASCII as `%hhhh`.
pub(super) fn escape(out: &mut String, name: Utf16<'_>) {
    for unit in name.units() {
        match printed_as_it_is(unit) {
            Some(c) => out.push(c),
            None => {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{unit:04x}");
            }
        }
    }
}

fn literal(value: &Literal<'_>, domain: Option<&Sid>) -> Option<String> {
    let mut out = String::new();
    match value {
        Literal::Integer(number) => integer(&mut out, *number),
        Literal::Text(text) => quote(&mut out, *text)?,
        Literal::Octets(octets) => {
            out.push('#');
            hex_octets(&mut out, octets);
        }
        Literal::Sid(value) => {
            out.push_str("SID(");
            sid::print(&mut out, *value, domain);
            out.push(')');
        }
        Literal::Composite(list) => {
            out.push('{');
            for (index, value) in list.literals().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                out.push_str(&literal(&value, domain)?);
            }
            out.push('}');
        }
    }
    Some(out)
}

/// Writes text between quotation marks; `None` when it cannot be written so.
pub(super) fn quote(out: &mut String, text: Utf16<'_>) -> Option<()> {
    out.push('"');
    for c in char::decode_utf16(text.units()) {
        out.push(c.ok().filter(|c| !matches!(c, '"' | '\0'))?);
    }
    out.push('"');
    Some(())
}

/// Writes bytes as pairs of digits.
pub(super) fn hex_octets(out: &mut String, octets: &[u8]) {
    for octet in octets {
        // Writing to a string cannot fail.
        let _ = write!(out, "{octet:02x}");
    }
}

fn integer(out: &mut String, number: Integer) {
    // A minus that the value has not would make another number of it: it is the value that is compared.
    match number.sign {
        Sign::Plus => out.push('+'),
        Sign::Minus if number.value <= 0 => out.push('-'),
        Sign::Minus | Sign::None => {}
    }
    let magnitude = number.number().unsigned_abs();
    // Writing to a string cannot fail.
    let _ = match number.base {
        Base::Octal if magnitude == 0 => write!(out, "0"),
        Base::Octal => write!(out, "0{magnitude:o}"),
        Base::Decimal => write!(out, "{magnitude}"),
        Base::Hexadecimal => write!(out, "{magnitude:#x}"),
    };
}
