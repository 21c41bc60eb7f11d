//! Conditions from text to postfix bytes.
//!
//! ```text
//! or    = and { "||" and }
//! and   = not { "&&" not }
//! not   = "!" ( "(" .. | "@" .. | "!" .. ) | term
//! term  = "(" or ")" | Exists attribute | Member_of sids | attribute [ relation value ]
//! ```
//!
//! # Source
//! MS-DTYP 2.5.1.1 (grammar), 2.4.4.17.4 (bytes).

use alloc::vec;
use alloc::vec::Vec;

use crate::condition::token::{self, Class, Membership, Relation, Whose};
use crate::privilege::Need;
use crate::sddl::cursor::{Cursor, is_white};
use crate::sddl::error::{Problem, SddlError};
use crate::sddl::sid;
use crate::sid::Sid;

/// Reads `( expr )` and returns the data of an entry, signature included, without padding.
pub(super) fn parse(cursor: &mut Cursor<'_>, domain: Option<&Sid>) -> Result<Vec<u8>, SddlError> {
    cursor.expect("(", Problem::Condition)?;
    let mut parser = Parser { out: token::SIGNATURE.to_vec(), domain, waiting: vec![Waiting::Parenthesis] };
    while !parser.waiting.is_empty() {
        parser.operand(cursor)?;
        parser.operators(cursor)?;
    }
    Ok(parser.out)
}

/// What waits for the operand after it, or for its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Parenthesis,
    Or,
    And,
    Not,
}

/// Operators wait on a stack until what binds tighter is written: text can nest as deep as it likes.
struct Parser<'d> {
    out: Vec<u8>,
    domain: Option<&'d Sid>,
    waiting: Vec<Waiting>,
}

/// Which side of a comparison an attribute is on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Parser<'_> {
    /// Reads negations, opening parentheses and the term after them.
    fn operand(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SddlError> {
        loop {
            cursor.skip_white();
            if cursor.eat("(") {
                self.waiting.push(Waiting::Parenthesis);
            } else if cursor.eat("!") {
                cursor.skip_white();
                if !matches!(cursor.peek(), Some('(' | '@' | '!')) {
                    return Err(cursor.error(Problem::Condition));
                }
                self.waiting.push(Waiting::Not);
            } else {
                return self.term(cursor);
            }
        }
    }

    /// Reads closing parentheses, and the operator after them unless the condition ends there.
    fn operators(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SddlError> {
        loop {
            self.write_down_to(Waiting::Not);
            cursor.skip_white();
            if cursor.eat("&&") {
                self.write_down_to(Waiting::And);
                self.waiting.push(Waiting::And);
                return Ok(());
            }
            if cursor.eat("||") {
                self.write_down_to(Waiting::Or);
                self.waiting.push(Waiting::Or);
                return Ok(());
            }
            if !cursor.eat(")") {
                return Err(cursor.error(Problem::Condition));
            }
            self.write_down_to(Waiting::Or);
            // Below the operators stands the parenthesis they are in.
            self.waiting.pop();
            if self.waiting.is_empty() {
                return Ok(());
            }
        }
    }

    /// Writes the waiting operators that bind at least as tight as `loosest`.
    fn write_down_to(&mut self, loosest: Waiting) {
        while let Some(top) = self.waiting.last().copied() {
            let code = match (top, loosest) {
                (Waiting::Not, _) => token::NOT,
                (Waiting::And, Waiting::And | Waiting::Or) => token::AND,
                (Waiting::Or, Waiting::Or) => token::OR,
                (Waiting::Parenthesis | Waiting::And | Waiting::Or, _) => return,
            };
            self.out.push(code);
            self.waiting.pop();
        }
    }

    fn term(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SddlError> {
        let mut ahead = *cursor;
        let word = ahead.take_while(is_name_char);
        // A name goes on after an escape, and is no keyword.
        let word = if ahead.peek() == Some('%') { "" } else { word };
        if let Some(code) = existence(word) {
            *cursor = ahead;
            cursor.skip_white();
            self.attribute(cursor, Side::Left)?;
            self.out.push(code);
            return Ok(());
        }
        if let Some(question) = membership(word) {
            *cursor = ahead;
            self.sids(cursor)?;
            self.out.push(question.code());
            return Ok(());
        }
        self.attribute(cursor, Side::Left)?;
        cursor.skip_white();
        if let Some(relation) = relation(cursor) {
            cursor.skip_white();
            self.right_side(cursor)?;
            self.out.push(relation.code());
        }
        Ok(())
    }

    fn attribute(&mut self, cursor: &mut Cursor<'_>, side: Side) -> Result<(), SddlError> {
        let at = cursor.at();
        let prefixes = [("@User.", Class::User), ("@Device.", Class::Device), ("@Resource.", Class::Resource)];
        let prefix = prefixes.into_iter().find(|(prefix, _)| cursor.eat_ignore_case(prefix));
        let (class, name) = match prefix {
            Some((_, class)) => (class, escaped_name(cursor)?),
            None => {
                let name = local_name(cursor)?;
                if side == Side::Right {
                    return Err(SddlError::new(at, Problem::LocalAttributeOnRight));
                }
                (Class::Local, name)
            }
        };
        self.counted(class.code(), &name, at)
    }

    fn counted(&mut self, code: u8, bytes: &[u8], at: usize) -> Result<(), SddlError> {
        let len = u32::try_from(bytes.len()).map_err(|_| SddlError::new(at, Problem::TooLong))?;
        self.out.push(code);
        self.out.extend_from_slice(&len.to_le_bytes());
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn right_side(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SddlError> {
        match cursor.peek() {
            Some('@') => self.attribute(cursor, Side::Right),
            Some('{') => self.composite(cursor),
            _ => self.literal(cursor),
        }
    }

    /// Reads the SIDs of a membership, perhaps in parentheses.
    fn sids(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SddlError> {
        cursor.skip_white();
        let is_wrapped = cursor.eat("(");
        cursor.skip_white();
        let at = cursor.at();
        let start = self.out.len();
        match cursor.peek() {
            Some('{') => self.composite(cursor)?,
            _ => self.literal(cursor)?,
        }
        let written = self.out.get(start..).unwrap_or(&[]);
        if !only_sids(written) {
            return Err(SddlError::new(at, Problem::Sid));
        }
        if is_wrapped {
            cursor.expect(")", Problem::Condition)?;
        }
        Ok(())
    }

    fn composite(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SddlError> {
        let at = cursor.at();
        cursor.expect("{", Problem::Literal)?;
        let mut inner = Self { out: Vec::new(), domain: self.domain, waiting: Vec::new() };
        cursor.skip_white();
        if !cursor.eat("}") {
            loop {
                cursor.skip_white();
                inner.literal(cursor)?;
                cursor.skip_white();
                if cursor.eat("}") {
                    break;
                }
                cursor.expect(",", Problem::Literal)?;
            }
        }
        self.counted(token::COMPOSITE, &inner.out, at)
    }

    fn literal(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SddlError> {
        let at = cursor.at();
        match cursor.peek() {
            Some('"') => {
                let text = quoted(cursor)?;
                let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                self.counted(token::TEXT, &bytes, at)
            }
            Some('#') => {
                cursor.eat("#");
                let digits = cursor.take_while(|c| c == '#' || c.is_ascii_hexdigit());
                self.counted(token::OCTETS, &octets(digits), at)
            }
            Some('0'..='9' | '+' | '-') => {
                let integer = integer(cursor)?;
                self.out.push(token::INT64);
                self.out.extend_from_slice(&integer);
                Ok(())
            }
            _ => {
                if !cursor.eat_ignore_case("SID") {
                    return Err(self.not_a_literal(cursor));
                }
                cursor.expect("(", Problem::Literal)?;
                let sid = sid::parse(cursor, self.domain)?;
                cursor.expect(")", Problem::Literal)?;
                self.counted(token::SID, sid.as_bytes(), at)
            }
        }
    }

    fn not_a_literal(&self, cursor: &Cursor<'_>) -> SddlError {
        let is_name = cursor.peek().is_some_and(char::is_alphabetic);
        cursor.error(if is_name { Problem::LocalAttributeOnRight } else { Problem::Literal })
    }
}

/// Whether encoded literals are a SID or a list of SIDs.
fn only_sids(written: &[u8]) -> bool {
    let data = [&token::SIGNATURE[..], written].concat();
    let Ok(mut tokens) = token::Tokens::new(&data) else { return false };
    let is_sid = |literal: token::Literal<'_>| matches!(literal, token::Literal::Sid(_));
    match tokens.next() {
        Some(Ok(token::Token::Literal(token::Literal::Composite(list)))) => list.literals().all(is_sid),
        Some(Ok(token::Token::Literal(literal))) => is_sid(literal),
        _ => false,
    }
}

/// Letters and digits of any script, and `: . / _`: what a local attribute's name is made of.
fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, ':' | '.' | '/' | '_')
}

/// Whether a character must be written as `%hhhh` in a name.
const fn is_special(c: char) -> bool {
    is_white(c) || matches!(c, '!' | '&' | '(' | ')' | '>' | '<' | '=' | '|' | '%' | '"')
}

/// Reads the name of a local attribute, as UTF-16. What is printed as `%hhhh` may be written so; nothing else may, or a name
/// could come out as a keyword.
fn local_name(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, SddlError> {
    let at = cursor.at();
    let wrong = SddlError::new(at, Problem::AttributeName);
    if !cursor.peek().is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '%')) {
        return Err(wrong);
    }
    let mut name: Vec<u8> = Vec::new();
    loop {
        let word = cursor.take_while(is_name_char);
        name.extend(word.encode_utf16().flat_map(u16::to_le_bytes));
        if !cursor.eat("%") {
            return Ok(name);
        }
        let unit = escaped_unit(cursor).filter(|unit| printed_as_it_is(*unit).is_none());
        name.extend_from_slice(&unit.ok_or(wrong)?.to_le_bytes());
    }
}

/// Reads the four digits of `%hhhh`.
fn escaped_unit(cursor: &mut Cursor<'_>) -> Option<u16> {
    let digits = cursor.rest().get(..4).filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))?;
    let unit = u16::from_str_radix(digits, 16).ok().filter(|unit| *unit != 0)?;
    cursor.eat(digits);
    Some(unit)
}

/// The character a unit of a name is printed as, unless it is printed as `%hhhh`.
pub(super) fn printed_as_it_is(unit: u16) -> Option<char> {
    u8::try_from(unit).ok().map(char::from).filter(|c| c.is_ascii_graphic() && !is_special(*c))
}

/// Reads a name in which special characters are written as `%hhhh`, as UTF-16.
pub(super) fn escaped_name(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, SddlError> {
    let at = cursor.at();
    let mut name: Vec<u8> = Vec::new();
    loop {
        match cursor.peek() {
            Some('%') => {
                let escape_at = cursor.at();
                cursor.eat("%");
                let unit = escaped_unit(cursor).ok_or(SddlError::new(escape_at, Problem::AttributeName))?;
                name.extend_from_slice(&unit.to_le_bytes());
            }
            Some(c) if c != '\0' && !is_special(c) => {
                cursor.next();
                let mut units = [0; 2];
                name.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_le_bytes()));
            }
            Some(_) | None => break,
        }
    }
    if name.is_empty() { Err(SddlError::new(at, Problem::AttributeName)) } else { Ok(name) }
}

/// Reads text between quotation marks; there is no way to write one inside.
pub(super) fn quoted<'t>(cursor: &mut Cursor<'t>) -> Result<&'t str, SddlError> {
    cursor.expect("\"", Problem::Literal)?;
    let text = cursor.take_while(|c| c != '"' && c != '\0');
    if cursor.eat("\"") { Ok(text) } else { Err(cursor.error(Problem::Literal)) }
}

/// Reads hexadecimal digits in pairs. `#` is a digit 0, and an odd count starts with one.
pub(super) fn octets(digits: &str) -> Vec<u8> {
    let value = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    let padding = (!digits.len().is_multiple_of(2)).then_some(0);
    let nibbles: Vec<u8> = padding.into_iter().chain(digits.chars().map(value)).collect();
    let (pairs, _) = nibbles.as_chunks::<2>();
    pairs.iter().map(|[high, low]| high.wrapping_shl(4) | low).collect()
}

/// Reads the digits of a number with optional sign, from -2^63 to 2^64-1: value, sign code, base code.
pub(super) fn integer_parts(cursor: &mut Cursor<'_>) -> Result<(i128, u8, u8), SddlError> {
    let at = cursor.at();
    let sign: u8 = match cursor.peek() {
        Some('+') => 1,
        Some('-') => 2,
        _ => 3,
    };
    if sign != 3 {
        cursor.next();
    }
    let (base, code): (u32, u8) = if cursor.eat_ignore_case("0x") {
        (16, 3)
    } else if cursor.peek() == Some('0') {
        (8, 1)
    } else {
        (10, 2)
    };
    let digits = cursor.take_while(|c| c.is_digit(base));
    if digits.is_empty() || cursor.peek().is_some_and(|c| c.is_ascii_alphanumeric()) {
        return Err(SddlError::new(at, Problem::Number));
    }
    let add = |value: i128, c: char| {
        value.saturating_mul(i128::from(base)).saturating_add(i128::from(c.to_digit(base).unwrap_or(0)))
    };
    let magnitude = digits.chars().fold(0, add);
    Ok((if sign == 2 { magnitude.saturating_neg() } else { magnitude }, sign, code))
}

/// Reads a number and encodes it: eight bytes, how it was signed, in which base.
fn integer(cursor: &mut Cursor<'_>) -> Result<[u8; 10], SddlError> {
    let at = cursor.at();
    let (value, sign, base) = integer_parts(cursor)?;
    let bytes = match (i64::try_from(value), u64::try_from(value)) {
        (Ok(signed), _) => signed.to_le_bytes(),
        (Err(_), Ok(unsigned)) => unsigned.to_le_bytes(),
        (Err(_), Err(_)) => return Err(SddlError::new(at, Problem::Number)),
    };
    let [a, b, c, d, e, f, g, h] = bytes;
    Ok([a, b, c, d, e, f, g, h, sign, base])
}

fn existence(word: &str) -> Option<u8> {
    if word.eq_ignore_ascii_case("Exists") {
        Some(token::EXISTS)
    } else if word.eq_ignore_ascii_case("Not_Exists") {
        Some(token::NOT_EXISTS)
    } else {
        None
    }
}

/// The names of the membership questions, as they are written.
pub(super) static MEMBERSHIPS: &[(&str, Membership)] = &[
    ("Member_of", question(false, Whose::User, Need::All)),
    ("Device_Member_of", question(false, Whose::Device, Need::All)),
    ("Member_of_any", question(false, Whose::User, Need::Any)),
    ("Device_Member_of_Any", question(false, Whose::Device, Need::Any)),
    ("Not_Member_of", question(true, Whose::User, Need::All)),
    ("Not_Device_Member_of", question(true, Whose::Device, Need::All)),
    ("Not_Member_of_Any", question(true, Whose::User, Need::Any)),
    ("Not_Device_Member_of_Any", question(true, Whose::Device, Need::Any)),
];

const fn question(is_negated: bool, whose: Whose, need: Need) -> Membership {
    Membership { whose, need, is_negated }
}

fn membership(word: &str) -> Option<Membership> {
    MEMBERSHIPS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, question)| *question)
}

/// The names of the comparisons, as they are written; a name that starts with another stands before it.
pub(super) static RELATIONS: &[(&str, Relation)] = &[
    ("==", Relation::Equal),
    ("!=", Relation::NotEqual),
    ("<=", Relation::LessOrEqual),
    ("<", Relation::Less),
    (">=", Relation::GreaterOrEqual),
    (">", Relation::Greater),
    ("Contains", Relation::Contains),
    ("Any_of", Relation::AnyOf),
    ("Not_Contains", Relation::NotContains),
    ("Not_Any_of", Relation::NotAnyOf),
];

fn relation(cursor: &mut Cursor<'_>) -> Option<Relation> {
    let (name, relation) = RELATIONS.iter().find(|(name, _)| {
        let mut ahead = *cursor;
        let is_word = name.starts_with(char::is_alphabetic);
        ahead.eat_ignore_case(name) && !(is_word && ahead.peek().is_some_and(is_name_char))
    })?;
    cursor.eat_ignore_case(name);
    Some(*relation)
}
