//! Where a routine was called from.

use std::fmt;

/// An instruction of the program; its name is looked up when it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Site(usize);

impl Site {
    /// Somewhere that could not be found.
    pub const UNKNOWN: Self = Self(0);

    /// Finds the caller of the function that begins at `callee` and is on the stack.
    ///
    /// # Cost
    /// A walk over the frames of this library and one more.
    pub(crate) fn of_caller(callee: usize) -> Self {
        let mut found = Self::UNKNOWN;
        let mut is_next = false;
        backtrace::trace(|frame| {
            if is_next {
                found = Self(frame.ip().addr());
                return false;
            }
            is_next = frame.symbol_address().addr() == callee;
            true
        });
        found
    }

    /// Names a function rather than a call of it.
    pub(crate) const fn in_function(address: usize) -> Self {
        Self(address.saturating_add(1))
    }

    /// Returns the address of the instruction after the call; zero if it was not found.
    pub const fn address(self) -> usize {
        self.0
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNKNOWN {
            return f.write_str("somewhere");
        }
        let mut shown = None;
        // A return address: the byte before it is looked up, which is still on the line of the call.
        backtrace::resolve(std::ptr::without_provenance_mut(self.0), |symbol| {
            if shown.is_none() {
                let name = symbol.name().map_or_else(|| "?".to_owned(), |name| format!("{name:#}"));
                shown = Some(match (symbol.filename(), symbol.lineno()) {
                    (Some(file), Some(line)) => format!("{name} at {}:{line}", file.display()),
                    (Some(_) | None, Some(_) | None) => name,
                });
            }
        });
        match shown {
            Some(text) => f.write_str(&text),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
