//! Interrupt levels: how much of what is going on a thread will not be interrupted by.
//!
//! Nothing interrupts anything here. The level is kept because a worker that comes back at another one than it went with
//! is fatal in NT, and because whoever simulates drivers has to know it. No routine of this crate asks for it by itself:
//! which thread calls is known to the caller only.

use vicar_nt::NtStatus;

use crate::sync::atomic::Ordering;
use crate::thread::Thread;

/// An interrupt level of 64-bit NT, 0 to 15.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "KIRQL")]
pub struct Irql(u8);

impl Irql {
    /// Everything may interrupt.
    #[doc(alias = "PASSIVE_LEVEL")]
    pub const PASSIVE: Self = Self(0);
    /// Everything but kernel APCs.
    #[doc(alias = "APC_LEVEL")]
    pub const APC: Self = Self(1);
    /// Nothing that would schedule another thread.
    #[doc(alias = "DISPATCH_LEVEL")]
    pub const DISPATCH: Self = Self(2);
    /// Nothing.
    #[doc(alias = "HIGH_LEVEL")]
    pub const HIGH: Self = Self(15);

    /// Takes a level from its number; `None` above 15.
    pub const fn new(number: u8) -> Option<Self> {
        if number <= Self::HIGH.0 { Some(Self(number)) } else { None }
    }

    /// Returns the number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Thread {
    /// Returns the interrupt level this thread is at.
    ///
    /// # NT
    /// `KeGetCurrentIrql`, for the thread that calls.
    #[doc(alias = "KeGetCurrentIrql")]
    pub fn irql(&self) -> Irql {
        Irql(self.irql_number().load(Ordering::Relaxed))
    }

    /// Raises the level, or leaves it, and returns what it was.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when `to` is below the present one; NT stops the system then.
    ///
    /// # NT
    /// `KeRaiseIrql`.
    #[doc(alias = "KeRaiseIrql")]
    pub fn raise_irql(&self, to: Irql) -> Result<Irql, NtStatus> {
        let old = self.irql();
        if to < old {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        self.irql_number().store(to.0, Ordering::Relaxed);
        Ok(old)
    }

    /// Lowers the level, or leaves it.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when `to` is above the present one; NT stops the system then.
    ///
    /// # NT
    /// `KeLowerIrql`.
    #[doc(alias = "KeLowerIrql")]
    pub fn lower_irql(&self, to: Irql) -> Result<(), NtStatus> {
        if to > self.irql() {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        self.irql_number().store(to.0, Ordering::Relaxed);
        Ok(())
    }
}
