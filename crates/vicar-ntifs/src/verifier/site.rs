//! Where a routine was called from.

use std::fmt;
use std::sync::atomic::{AtomicIsize, Ordering};

use crate::ptr;

/// No frame of a routine of this library is larger.
const MOST: usize = 0x1_0000;

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
        Self::walk(callee).map_or(Self::UNKNOWN, |(site, _)| site)
    }

    /// Like [`Site::of_caller`], for a call that keeps a value at `here` in its frame.
    ///
    /// The frame of a function is laid out the same every time, so the distance from the value to the return address is
    /// looked for once, tested, and kept in `distance`.
    ///
    /// # Cost
    /// One read of the stack after the first time.
    pub(crate) fn of_call(callee: usize, distance: &AtomicIsize, here: usize) -> Self {
        /// There is no return address on the stack where the frames say.
        const NOWHERE: isize = -1;
        match distance.load(Ordering::Relaxed) {
            0 => {}
            NOWHERE => return Self::of_caller(callee),
            known => return Self(ptr::stack_word(here.wrapping_add_signed(known))),
        }
        let Some((site, above)) = Self::walk(callee) else { return Self::UNKNOWN };
        // On x86-64 the caller's stack begins right above the return address.
        let slot = above.wrapping_sub(size_of::<usize>());
        let is_there = slot > here && slot.wrapping_sub(here) < MOST && ptr::stack_word(slot) == site.0;
        let found = if is_there { slot.wrapping_sub(here).cast_signed() } else { NOWHERE };
        distance.store(found, Ordering::Relaxed);
        site
    }

    /// Returns the instruction after the call of `callee`, and where the caller's stack begins.
    fn walk(callee: usize) -> Option<(Self, usize)> {
        let mut found = None;
        let mut is_next = false;
        backtrace::trace(|frame| {
            if is_next {
                found = Some((Self(frame.ip().addr()), frame.sp().addr()));
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
