//! NT client impersonation, enforced by the Linux kernel.
