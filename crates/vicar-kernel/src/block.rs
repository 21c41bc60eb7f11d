//! A thread's block in its process's memory, and what the kernel writes there for the program to read.
//!
//! A [`ThreadBlock`] says whether its thread acts as somebody. It is advice: the program may write it too, the kernel never
//! reads it, and a thread without one lacks nothing. Setting an impersonation aside and putting it back is not shown in it.

use std::sync::Arc;

use vicar_nt::NtStatus;

use crate::sync::atomic::{AtomicI32, Ordering};
use crate::thread::{Thread, ThreadRef};

/// The two fields of a thread's block that follow its impersonation.
///
/// # Source
/// spec/nt-impersonation 1.13.
#[derive(Debug, Default)]
#[doc(alias = "TEB")]
pub struct ThreadBlock {
    is_impersonating: AtomicI32,
    locale: AtomicI32,
}

impl ThreadBlock {
    /// Makes the block of a thread that acts as nobody: 0 and 0.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Returns `IsImpersonating`: 1 or 0, or what the program wrote.
    #[doc(alias = "IsImpersonating")]
    pub fn is_impersonating(&self) -> i32 {
        self.is_impersonating.load(Ordering::Relaxed)
    }

    /// Returns `ImpersonationLocale`: -1 while impersonating, 0 otherwise, or what the program wrote.
    #[doc(alias = "ImpersonationLocale")]
    pub fn locale(&self) -> i32 {
        self.locale.load(Ordering::Relaxed)
    }

    /// Writes both fields, as the program that owns the memory may.
    pub fn overwrite(&self, is_impersonating: i32, locale: i32) {
        self.is_impersonating.store(is_impersonating, Ordering::Relaxed);
        self.locale.store(locale, Ordering::Relaxed);
    }

    /// Shows whether the thread acts as somebody.
    pub(crate) fn show(&self, is_impersonating: bool) {
        if is_impersonating { self.overwrite(1, -1) } else { self.overwrite(0, 0) }
    }
}

impl ThreadRef {
    /// Gives the thread its block, for life; what the thread does from now on is shown there.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when it has one.
    pub fn attach_block(&self, block: Arc<ThreadBlock>) -> Result<(), NtStatus> {
        self.block_slot().set(block).map_err(|_| NtStatus::INVALID_PARAMETER)
    }
}

impl Thread {
    /// Returns the thread's block, if it has one.
    pub fn block(&self) -> Option<&Arc<ThreadBlock>> {
        self.block_slot().get()
    }
}
