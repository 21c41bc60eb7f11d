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
use crate::sddl::literal::{extend_utf16, integer, octets, quoted};
use crate::sddl::sid;
use crate::sid::Sid;

/// So many bytes most conditions need at most.
const MOST_ARE_SHORTER: usize = 256;

/// Reads `( expr )` and returns the data of an entry, signature included, without padding.
pub(super) fn parse(cursor: &mut Cursor<'_>, domain: Option<&Sid>) -> Result<Vec<u8>, SddlError> {
    cursor.expect("(", Problem::Condition)?;
    let mut out = Vec::with_capacity(MOST_ARE_SHORTER);
    out.extend_from_slice(&token::SIGNATURE);
    let mut parser = Parser { out, domain, waiting: vec![Waiting::Parenthesis] };
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

/// What a value or a list of values is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// SIDs, or nothing.
    Sids,
    /// Something else, among others perhaps.
    Others,
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
        // No keyword starts with anything else.
        if matches!(cursor.peek_byte(), Some(b'E' | b'M' | b'D' | b'N' | b'e' | b'm' | b'd' | b'n')) {
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
        let class = class(cursor);
        self.counted(class.code(), at, |parser| match class {
            Class::User | Class::Device | Class::Resource => escaped_name(cursor, &mut parser.out),
            Class::Local => {
                local_name(cursor, &mut parser.out)?;
                match side {
                    Side::Left => Ok(()),
                    Side::Right => Err(SddlError::new(at, Problem::LocalAttributeOnRight)),
                }
            }
        })
    }

    /// Writes a code, and before what `write` writes how long that is.
    fn counted<R>(
        &mut self,
        code: u8,
        at: usize,
        write: impl FnOnce(&mut Self) -> Result<R, SddlError>,
    ) -> Result<R, SddlError> {
        self.out.push(code);
        let len_at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        let start = self.out.len();
        let result = write(self)?;
        let too_long = SddlError::new(at, Problem::TooLong);
        let len = u32::try_from(self.out.len().saturating_sub(start)).map_err(|_| too_long)?;
        let place = self.out.get_mut(len_at..start).ok_or(too_long)?;
        place.copy_from_slice(&len.to_le_bytes());
        Ok(result)
    }

    fn right_side(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SddlError> {
        match cursor.peek() {
            Some('@') => self.attribute(cursor, Side::Right),
            Some('{') => self.composite(cursor).map(|_| ()),
            _ => self.literal(cursor).map(|_| ()),
        }
    }

    /// Reads the SIDs of a membership, perhaps in parentheses.
    fn sids(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SddlError> {
        cursor.skip_white();
        let is_wrapped = cursor.eat("(");
        cursor.skip_white();
        let at = cursor.at();
        let of = match cursor.peek() {
            Some('{') => self.composite(cursor)?,
            _ => self.literal(cursor)?,
        };
        if of == Of::Others {
            return Err(SddlError::new(at, Problem::Sid));
        }
        if is_wrapped {
            cursor.expect(")", Problem::Condition)?;
        }
        Ok(())
    }

    fn composite(&mut self, cursor: &mut Cursor<'_>) -> Result<Of, SddlError> {
        let at = cursor.at();
        cursor.expect("{", Problem::Literal)?;
        self.counted(token::COMPOSITE, at, |parser| {
            let mut of = Of::Sids;
            cursor.skip_white();
            if cursor.eat("}") {
                return Ok(of);
            }
            loop {
                cursor.skip_white();
                if parser.literal(cursor)? == Of::Others {
                    of = Of::Others;
                }
                cursor.skip_white();
                if cursor.eat("}") {
                    return Ok(of);
                }
                cursor.expect(",", Problem::Literal)?;
            }
        })
    }

    fn literal(&mut self, cursor: &mut Cursor<'_>) -> Result<Of, SddlError> {
        let at = cursor.at();
        match cursor.peek_byte() {
            Some(b'"') => {
                let text = quoted(cursor)?;
                self.counted(token::TEXT, at, |parser| {
                    extend_utf16(&mut parser.out, text);
                    Ok(Of::Others)
                })
            }
            Some(b'#') => {
                cursor.eat("#");
                let digits = cursor.take_bytes_while(|byte| byte == b'#' || byte.is_ascii_hexdigit());
                self.counted(token::OCTETS, at, |parser| {
                    parser.out.extend_from_slice(&octets(digits));
                    Ok(Of::Others)
                })
            }
            Some(b'0'..=b'9' | b'+' | b'-') => {
                let integer = integer(cursor)?;
                self.out.push(token::INT64);
                self.out.extend_from_slice(&integer);
                Ok(Of::Others)
            }
            Some(_) | None => {
                if !cursor.eat_ignore_case("SID") {
                    return Err(self.not_a_literal(cursor));
                }
                cursor.expect("(", Problem::Literal)?;
                let sid = sid::parse(cursor, self.domain)?;
                cursor.expect(")", Problem::Literal)?;
                self.counted(token::SID, at, |parser| {
                    parser.out.extend_from_slice(sid.as_bytes());
                    Ok(Of::Sids)
                })
            }
        }
    }

    fn not_a_literal(&self, cursor: &Cursor<'_>) -> SddlError {
        let is_name = cursor.peek().is_some_and(char::is_alphabetic);
        cursor.error(if is_name { Problem::LocalAttributeOnRight } else { Problem::Literal })
    }
}

/// Steps over what says where an attribute is looked up.
fn class(cursor: &mut Cursor<'_>) -> Class {
    let prefixes = [("@User.", Class::User), ("@Device.", Class::Device), ("@Resource.", Class::Resource)];
    match cursor.peek_byte() {
        Some(b'@') => prefixes
            .into_iter()
            .find(|(prefix, _)| cursor.eat_ignore_case(prefix))
            .map_or(Class::Local, |(_, class)| class),
        Some(_) | None => Class::Local,
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
fn local_name(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), SddlError> {
    let at = cursor.at();
    let wrong = SddlError::new(at, Problem::AttributeName);
    if !cursor.peek().is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '%')) {
        return Err(wrong);
    }
    loop {
        extend_utf16(out, cursor.take_while(is_name_char));
        if !cursor.eat("%") {
            return Ok(());
        }
        let unit = escaped_unit(cursor).filter(|unit| printed_as_it_is(*unit).is_none());
        out.extend_from_slice(&unit.ok_or(wrong)?.to_le_bytes());
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

/// Whether a byte of a name stands for itself: it is of ASCII, and no special character.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii() && byte != 0 && !is_special(char::from(byte))
}

/// Reads a name in which special characters are written as `%hhhh`, as UTF-16.
pub(super) fn escaped_name(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), SddlError> {
    let at = cursor.at();
    let start = out.len();
    loop {
        out.extend(cursor.take_bytes_while(is_plain).bytes().flat_map(|byte| [byte, 0]));
        match cursor.peek() {
            Some('%') => {
                let escape_at = cursor.at();
                cursor.eat("%");
                let unit = escaped_unit(cursor).ok_or(SddlError::new(escape_at, Problem::AttributeName))?;
                out.extend_from_slice(&unit.to_le_bytes());
            }
            Some(c) if c != '\0' && !is_special(c) => {
                cursor.next();
                let mut units = [0; 2];
                out.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_le_bytes()));
            }
            Some(_) | None => break,
        }
    }
    if out.len() == start { Err(SddlError::new(at, Problem::AttributeName)) } else { Ok(()) }
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

/// How many of the comparisons are signs; the others are words.
const SIGNS: usize = 6;

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
    // No comparison starts with anything else.
    let is_word = match cursor.peek_byte()? {
        b'=' | b'!' | b'<' | b'>' => false,
        b'C' | b'A' | b'N' | b'c' | b'a' | b'n' => true,
        _ => return None,
    };
    if !is_word {
        let mut signs = RELATIONS.iter().take(SIGNS);
        return signs.find(|(name, _)| cursor.eat(name)).map(|(_, relation)| *relation);
    }
    let mut ahead = *cursor;
    let word = ahead.take_while(is_name_char);
    let (_, relation) = RELATIONS.iter().skip(SIGNS).find(|(name, _)| name.eq_ignore_ascii_case(word))?;
    *cursor = ahead;
    Some(*relation)
}
