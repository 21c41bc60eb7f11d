//! The rules that drivers are held to, and the pages that state them.

use std::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $page:literal;)*) => {
        /// A rule for callers of these routines.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            /// Every rule, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the number of the rule in `vicar_test.h`; it never changes.
            pub const fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* }
            }

            /// Returns the rule's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Returns the page that states the rule.
            pub const fn page(self) -> &'static str {
                match self { $(Self::$name => $page,)* }
            }
        }
    };
}

rules! {
    /// A routine was called at an interrupt level above the one it allows.
    Irql = 1, "wrong-irql", "IRQL row of the routine's page; Managing Hardware Priorities (page)";
    /// A pointer that must point to something was null.
    NullArgument = 2, "null-argument", "parameter list of the routine's page";
    /// A pointer was used as an object that no object is behind, or none any more.
    NotAnObject = 3, "not-an-object", "ObReferenceObjectByPointer (wdm.h page)";
    /// A pointer to an object of another type was given.
    WrongObject = 4, "wrong-object-type", "ObReferenceObjectByPointer (wdm.h page)";
    /// A reference was given back that was not held.
    OverDereferenced = 5, "over-dereferenced", "ObDereferenceObject (wdm.h page)";
    /// A reference was never given back.
    ReferenceLeaked = 6, "reference-leaked", "ObDereferenceObject (wdm.h page)";
    /// A client context was never deleted.
    ContextNotDeleted = 7, "context-not-deleted", "SeCreateClientSecurity (ntifs.h page)";
    /// A client context was deleted that had been deleted, or was never created.
    ContextDeletedTwice = 8, "context-deleted-twice", "SeDeleteClientSecurity (ntifs.h page)";
    /// A client context was used that was never created, or is deleted.
    ContextNotCreated = 9, "context-not-created", "SeImpersonateClientEx (ntifs.h page)";
    /// A subject context was never released.
    SubjectNotReleased = 10, "subject-not-released", "SeCaptureSubjectContext (ntifs.h page)";
    /// A subject context was released that is not captured.
    SubjectReleasedTwice = 11, "subject-released-twice", "SeReleaseSubjectContext (ntifs.h page)";
    /// A subject context was unlocked, or said to be locked, and is not.
    SubjectNotLocked = 12, "subject-not-locked", "SeLockSubjectContext (ntifs.h page)";
    /// A subject context was released while it is locked.
    SubjectStillLocked = 13, "subject-still-locked", "SeUnlockSubjectContext (ntifs.h page)";
    /// A thread went back to user mode in its client's identity.
    ImpersonatingInUserMode = 14, "missing-revert", "SeImpersonateClientEx, PsRevertToSelf (ntifs.h pages)";
    /// A worker routine returned while it impersonates.
    WorkerImpersonating = 15, "impersonating-worker-thread", "Bug check 0xDF: IMPERSONATING_WORKER_THREAD (page)";
    /// A worker routine returned at a raised interrupt level.
    WorkerIrql = 16, "worker-at-bad-irql", "Bug check 0xE1: WORKER_THREAD_RETURNED_AT_BAD_IRQL (page)";
    /// A thread ended while it impersonates.
    ExitedImpersonating = 17, "exited-impersonating", "PsImpersonateClient (ntifs.h page)";
    /// A block of pool was freed that is not allocated.
    PoolNotAllocated = 18, "pool-not-allocated", "ExFreePool (wdm.h page)";
    /// A block of pool was never freed.
    PoolLeaked = 19, "pool-leaked", "ExFreePool (wdm.h page)";
    /// An impersonation was restored that had not been disabled, or was disabled and never restored.
    RestoreWithoutDisable = 20, "restore-without-disable", "PsRestoreImpersonation (ntifs.h page)";
    /// A work item was queued that waits already.
    QueuedTwice = 21, "queued-twice", "ExQueueWorkItem, IoQueueWorkItem (wdm.h pages)";
    /// The interrupt level was raised below, or lowered above, what it was.
    IrqlOrder = 22, "irql-order", "KeRaiseIrql, KeLowerIrql (wdm.h pages)";
    /// A critical region was left that had not been entered, or not left at the end of a request or a work item.
    CriticalRegion = 23, "critical-region", "KeLeaveCriticalRegion (wdm.h page)";
    /// A handle was closed or used that is not open, or a kernel handle was never closed.
    BadHandle = 24, "bad-handle", "ZwClose (wdm.h page)";
    /// A work item was freed while it waits for a worker.
    WorkItemBusy = 25, "work-item-busy", "IoFreeWorkItem (wdm.h page)";
    /// An impersonation failed, and the thread went on to work on objects as itself.
    ServedAsItself = 26, "served-as-itself", "SeImpersonateClientEx, PsImpersonateClient (ntifs.h pages)";
    /// A client was taken on by a routine that cannot say whether it was.
    ResultUnseen = 27, "result-unseen", "SeImpersonateClient (ntifs.h page): obsolete, use SeImpersonateClientEx";
    /// A client was taken on at level Identification only, and nobody looked at the level.
    DowngradeUnseen = 28, "downgrade-unseen", "PsImpersonateClient (ntifs.h page): success at SecurityIdentification";
    /// A check was made in kernel mode, which grants everything, for a request of user mode.
    KernelModeForUser = 29, "kernel-mode-for-user", "SeAccessCheck (wdm.h page), AccessMode; ExGetPreviousMode (wdm.h page)";
    /// The token of a subject context was used, or asked for, although its client is below level Impersonation.
    LevelNotTested = 30, "level-not-tested", "SeQuerySubjectContextToken (ntifs.h page)";
    /// A client was recorded of a thread that had ended, and with it whom it acted as.
    ClientThreadGone = 31, "client-thread-gone", "SeCreateClientSecurity (ntifs.h page): ClientThread";
    /// A thread waited at an interrupt level at which it must not.
    WaitsAtDispatch = 32, "waits-at-dispatch", "KeWaitForSingleObject (wdm.h page): IRQL";
    /// A lock was taken that the thread has already, or a resource outside of a critical region; or released or deleted in another's hands, or held at the end of a request or a work item.
    LockMisused = 33, "lock-misused", "KeAcquireSpinLock, ExAcquireFastMutex, ExAcquireResourceExclusiveLite (wdm.h pages)";
    /// A lock was released to another interrupt level than it was acquired at, or at another than its owner's.
    IrqlNotRestored = 34, "irql-not-restored", "KeReleaseSpinLock, ExReleaseFastMutex (wdm.h pages)";
}

impl Rule {
    /// Returns whether the routine's own page states the rule.
    pub(crate) const fn is_of_the_routine(self) -> bool {
        matches!(self, Self::Irql | Self::NullArgument)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
