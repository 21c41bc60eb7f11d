//! Walking over a text.

use crate::sddl::error::{Problem, SddlError};

/// A position in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    rest: &'t str,
}

/// What SDDL takes for white space: 09 to 0D and 20.
pub(super) const fn is_white(c: char) -> bool {
    matches!(c, '\u{9}'..='\u{D}' | ' ')
}

impl<'t> Cursor<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, rest: text }
    }

    /// The byte offset in the text.
    pub(super) fn at(&self) -> usize {
        self.text.len().saturating_sub(self.rest.len())
    }

    pub(super) const fn rest(&self) -> &'t str {
        self.rest
    }

    pub(super) const fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    #[inline]
    pub(super) fn skip_white(&mut self) {
        // White space is ASCII, so this is a border of characters.
        let is_white = |byte: &u8| matches!(byte, 0x9..=0xD | b' ');
        if self.peek_byte().is_some_and(|byte| is_white(&byte)) {
            self.skip(self.rest.bytes().take_while(is_white).count());
        }
    }

    /// The byte that stands here.
    #[inline]
    pub(super) fn peek_byte(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    /// Steps over `token` if it stands here.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Steps over `token` if it stands here in either case.
    pub(super) fn eat_ignore_case(&mut self, token: &str) -> bool {
        match self.rest.split_at_checked(token.len()) {
            Some((head, rest)) if head.eq_ignore_ascii_case(token) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes everything up to the first character that is not accepted.
    pub(super) fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let len = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (head, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        head
    }

    /// Takes everything up to the first byte that is not accepted. No byte of a character beyond ASCII may be accepted
    /// without the others of it.
    #[inline]
    pub(super) fn take_bytes_while(&mut self, accept: impl Fn(u8) -> bool) -> &'t str {
        let len = self.rest.bytes().position(|byte| !accept(byte)).unwrap_or(self.rest.len());
        let (head, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        head
    }

    /// Steps over so many bytes; beyond the end, or in the middle of a character, over none.
    #[inline]
    pub(super) fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or(self.rest);
    }

    /// Steps over white space and then `token`.
    pub(super) fn expect(&mut self, token: &str, problem: Problem) -> Result<(), SddlError> {
        self.skip_white();
        if self.eat(token) { Ok(()) } else { Err(self.error(problem)) }
    }

    pub(super) fn error(&self, problem: Problem) -> SddlError {
        SddlError::new(self.at(), problem)
    }
}
