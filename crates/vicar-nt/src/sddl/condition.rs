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

/// A part of the condition: its last token, and where its first one is.
struct Part<'a> {
    token: Token<'a>,
    form: Form,
    start: usize,
}

/// Parts of parts, by the number of their last token.
struct Parts<'a> {
    all: Vec<Part<'a>>,
}

impl<'a> Parts<'a> {
    /// Reads all tokens; `None` when they are malformed, or operands are missing or of the wrong form.
    fn read(data: &'a [u8]) -> Option<Self> {
        let mut parts = Self { all: Vec::new() };
        for token in Tokens::new(data).ok()? {
            let token = token.ok()?;
            let (form, start) = parts.join(&token)?;
            parts.all.push(Part { token, form, start });
        }
        Some(parts)
    }

    /// The form of what a token makes of the parts before it, and where the first of them starts.
    fn join(&self, token: &Token<'_>) -> Option<(Form, usize)> {
        let last = || self.all.last();
        let two = || {
            let right = self.all.last()?;
            Some((self.all.get(right.start.checked_sub(1)?)?, right))
        };
        let is_operand = |part: &Part<'_>| part.form != Form::Literal;
        Some(match token {
            Token::Literal(_) => (Form::Literal, self.all.len()),
            Token::Attribute(..) => (Form::Attribute, self.all.len()),
            Token::Relation(_) => {
                let (left, right) = two()?;
                let fits = left.form == Form::Attribute && matches!(right.form, Form::Literal | Form::Attribute);
                (Form::Closed, fits.then_some(left.start)?)
            }
            Token::Exists | Token::NotExists => {
                (Form::Exists, last().filter(|part| part.form == Form::Attribute)?.start)
            }
            Token::Member(_) => (Form::Closed, last().filter(|part| part.form == Form::Literal)?.start),
            Token::And | Token::Or => {
                let (left, right) = two()?;
                (Form::Closed, (is_operand(left) && is_operand(right)).then_some(left.start)?)
            }
            Token::Not => (Form::Not, last().filter(|part| is_operand(part))?.start),
        })
    }

    /// The part that ends before the one with this number starts.
    fn before(&self, number: usize) -> Option<usize> {
        self.all.get(number)?.start.checked_sub(1)
    }
}

/// What is still to be written.
enum Todo {
    /// A part, with parentheses around everything that has none.
    Enclosed(usize),
    /// A part, as an operand of `&&` or `||`.
    Operand(usize),
    Words(&'static str),
}

/// Writes a condition, or a part of one before it turns out to have no text; `None` when it is malformed or has none.
///
/// Each token is read once and written once, however deep they nest.
pub(super) fn print(out: &mut String, data: &[u8], domain: Option<&Sid>) -> Option<()> {
    let parts = Parts::read(data)?;
    // There is one answer, and it is not a value.
    parts.all.last().filter(|part| part.start == 0 && part.form != Form::Literal)?;
    let mut todo: Vec<Todo> = Vec::with_capacity(8);
    todo.push(Todo::Enclosed(parts.all.len().checked_sub(1)?));
    // Most conditions come to less text than they have bytes.
    out.reserve(data.len());
    while let Some(next) = todo.pop() {
        let (number, is_operand) = match next {
            Todo::Words(words) => {
                out.push_str(words);
                continue;
            }
            Todo::Enclosed(number) => (number, false),
            Todo::Operand(number) => (number, true),
        };
        let part = parts.all.get(number)?;
        let has_none = match part.form {
            Form::Attribute | Form::Exists => true,
            Form::Not => !is_operand,
            Form::Closed | Form::Literal => false,
        };
        if has_none {
            out.push('(');
            todo.push(Todo::Words(")"));
        }
        let operand = number.checked_sub(1);
        match &part.token {
            Token::Literal(_) | Token::Attribute(..) => leaf(out, &part.token, domain)?,
            Token::Exists | Token::NotExists => {
                out.push_str(if part.token == Token::Exists { "Exists " } else { "Not_Exists " });
                leaf(out, &parts.all.get(operand?)?.token, domain)?;
            }
            Token::Relation(relation) => {
                let (name, _) = RELATIONS.iter().find(|(_, known)| known == relation)?;
                out.push('(');
                leaf(out, &parts.all.get(parts.before(operand?)?)?.token, domain)?;
                out.push(' ');
                out.push_str(name);
                out.push(' ');
                leaf(out, &parts.all.get(operand?)?.token, domain)?;
                out.push(')');
            }
            Token::Member(question) => {
                let (name, _) = MEMBERSHIPS.iter().find(|(_, known)| known == question)?;
                out.push('(');
                out.push_str(name);
                out.push(' ');
                leaf(out, &parts.all.get(operand?)?.token, domain)?;
                out.push(')');
            }
            Token::And | Token::Or => {
                out.push('(');
                todo.push(Todo::Words(")"));
                todo.push(Todo::Operand(operand?));
                todo.push(Todo::Words(if part.token == Token::And { " && " } else { " || " }));
                todo.push(Todo::Operand(parts.before(operand?)?));
            }
            Token::Not => {
                out.push('!');
                todo.push(Todo::Enclosed(operand?));
            }
        }
    }
    Some(())
}

/// Writes an attribute or a value.
fn leaf(out: &mut String, token: &Token<'_>, domain: Option<&Sid>) -> Option<()> {
    match token {
        Token::Literal(value) => literal(out, value, domain),
        Token::Attribute(class, name) => {
            out.push_str(match class {
                Class::Local => "",
                Class::User => "@USER.",
                Class::Resource => "@RESOURCE.",
                Class::Device => "@DEVICE.",
            });
            escape(out, *name);
            (!name.is_empty()).then_some(())
        }
        Token::Relation(_)
        | Token::Exists
        | Token::NotExists
        | Token::Member(_)
        | Token::And
        | Token::Or
        | Token::Not => None,
    }
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

fn literal(out: &mut String, value: &Literal<'_>, domain: Option<&Sid>) -> Option<()> {
    match value {
        Literal::Integer(number) => integer(out, *number),
        Literal::Text(text) => quote(out, *text)?,
        Literal::Octets(octets) => {
            out.push('#');
            hex_octets(out, octets);
        }
        Literal::Sid(value) => {
            out.push_str("SID(");
            sid::print(out, *value, domain);
            out.push(')');
        }
        Literal::Composite(list) => {
            out.push('{');
            for (index, value) in list.literals().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                literal(out, &value, domain)?;
            }
            out.push('}');
        }
    }
    Some(())
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
