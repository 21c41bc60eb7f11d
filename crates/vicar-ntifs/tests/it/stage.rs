//! One world at a time, and who acts in it.

use std::ffi::CString;
use std::ptr::{null, null_mut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vicar_kernel::Profile;
use vicar_ntifs::testing::{self, Finding, Options};
use vicar_ntifs::verifier::{Mode, Rule};
use vicar_ntifs::*;

use crate::call::c;

static STAGE: Mutex<()> = Mutex::new(());

pub(crate) const SUCCESS: NTSTATUS = 0;

/// A status by its usual number.
pub(crate) const fn status(number: u32) -> NTSTATUS {
    number.cast_signed()
}

pub(crate) const INVALID_PARAMETER: NTSTATUS = status(0xC000_000D);
pub(crate) const BAD_LEVEL: NTSTATUS = status(0xC000_00A5);
pub(crate) const INSUFFICIENT: NTSTATUS = status(0xC000_009A);
pub(crate) const ACCESS_VIOLATION: NTSTATUS = status(0xC000_0005);
pub(crate) const MISALIGNED: NTSTATUS = status(0x8000_0002);
pub(crate) const ACCESS_DENIED: NTSTATUS = status(0xC000_0022);
pub(crate) const INVALID_HANDLE: NTSTATUS = status(0xC000_0008);
pub(crate) const TYPE_MISMATCH: NTSTATUS = status(0xC000_0024);

/// A test's turn. Its end ends the world's: nothing may be found that the test did not look at.
pub(crate) struct Stage {
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// A world whose findings are collected.
    pub(crate) fn new() -> Self {
        Self::with(Options { verifier: Mode::Collected, ..Options::STANDARD })
    }

    /// A world without a verifier.
    pub(crate) fn quiet() -> Self {
        Self::with(Options { verifier: Mode::Off, ..Options::STANDARD })
    }

    pub(crate) fn of(profile: Profile) -> Self {
        Self::with(Options { verifier: Mode::Collected, profile, ..Options::STANDARD })
    }

    pub(crate) fn with(options: Options) -> Self {
        let turn = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
        c!(vicar_act_as(null_mut()));
        testing::reset(options).unwrap();
        Self { _turn: turn }
    }

    /// Ends the test: nothing is held, nothing was found.
    pub(crate) fn clean(self) {
        testing::verify();
        assert_eq!(testing::take_findings(), []);
    }

    /// What was found so far, by rule.
    pub(crate) fn found(&self) -> Vec<Rule> {
        testing::take_findings().into_iter().map(|finding: Finding| finding.rule).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        c!(vicar_act_as(null_mut()));
    }
}

/// A person in words.
pub(crate) struct Words<'a> {
    pub(crate) user: &'a str,
    pub(crate) groups: &'a str,
    pub(crate) privileges: &'a str,
    pub(crate) integrity: &'a str,
    pub(crate) level: i32,
}

pub(crate) const ALICE: Words<'static> = Words {
    user: "S-1-5-21-1-1-1-1001",
    groups: "WD BU AU",
    privileges: "SeChangeNotifyPrivilege SeShutdownPrivilege:disabled",
    integrity: "medium",
    level: -1,
};
pub(crate) const BOB: Words<'static> = Words { user: "S-1-5-21-1-1-1-1002", ..ALICE };
pub(crate) const SERVICE: Words<'static> = Words {
    user: "NS",
    groups: "WD SU AU",
    privileges: "SeChangeNotifyPrivilege SeImpersonatePrivilege",
    integrity: "system",
    level: -1,
};

impl Words<'_> {
    pub(crate) fn at(&self, level: i32) -> Self {
        Self { level, ..*self }
    }

    fn tell<R>(&self, action: impl FnOnce(&VICAR_PERSON) -> R) -> R {
        let text = |word: &str| CString::new(word).unwrap();
        let texts = [text(self.user), text(self.groups), text(self.privileges), text(self.integrity)];
        let zero = LUID { LowPart: 0, HighPart: 0 };
        action(&VICAR_PERSON {
            Size: 0,
            Flags: 0,
            User: texts[0].as_ptr(),
            Groups: texts[1].as_ptr(),
            Privileges: texts[2].as_ptr(),
            Integrity: texts[3].as_ptr(),
            Restricted: null(),
            Package: null(),
            Capabilities: null(),
            Trust: null(),
            Session: 1,
            Level: self.level,
            LogonId: zero,
            Origin: zero,
        })
    }

    /// A token, of which the test has a reference.
    pub(crate) fn token(&self) -> PACCESS_TOKEN {
        let mut token = null_mut();
        self.tell(|person| assert_eq!(c!(vicar_token_create(person, &raw mut token)), SUCCESS));
        token
    }

    /// A thread of a process of this person's.
    pub(crate) fn thread(&self) -> PETHREAD {
        let mut thread = null_mut();
        self.tell(|person| assert_eq!(c!(vicar_user_thread(person, &raw mut thread)), SUCCESS));
        thread
    }
}

pub(crate) const STATIC: SECURITY_QUALITY_OF_SERVICE =
    SECURITY_QUALITY_OF_SERVICE { Length: 12, ImpersonationLevel: 2, ContextTrackingMode: 0, EffectiveOnly: 0 };
pub(crate) const DYNAMIC: SECURITY_QUALITY_OF_SERVICE =
    SECURITY_QUALITY_OF_SERVICE { ContextTrackingMode: 1, ..STATIC };

const ZERO: LUID = LUID { LowPart: 0, HighPart: 0 };

/// A context full of what was on the stack before.
pub(crate) fn garbage() -> SECURITY_CLIENT_CONTEXT {
    SECURITY_CLIENT_CONTEXT {
        SecurityQos: STATIC,
        ClientToken: std::ptr::without_provenance_mut(0x5A5A_5A5A_5A5A),
        DirectlyAccessClientToken: 0x5A,
        DirectAccessEffectiveOnly: 0x5A,
        ServerIsRemote: 0x5A,
        ClientTokenControl: TOKEN_CONTROL {
            TokenId: ZERO,
            AuthenticationId: ZERO,
            ModifiedId: ZERO,
            TokenSource: TOKEN_SOURCE { SourceName: [0x5A; 8], SourceIdentifier: ZERO },
        },
    }
}

pub(crate) fn no_subject() -> SECURITY_SUBJECT_CONTEXT {
    SECURITY_SUBJECT_CONTEXT {
        ClientToken: null_mut(),
        ImpersonationLevel: 0x5A,
        PrimaryToken: null_mut(),
        ProcessAuditId: null_mut(),
    }
}

/// Captures a thread with a quality of service.
pub(crate) fn capture(thread: PETHREAD, qos: SECURITY_QUALITY_OF_SERVICE) -> Result<SECURITY_CLIENT_CONTEXT, NTSTATUS> {
    let mut context = garbage();
    match c!(SeCreateClientSecurity(thread, &raw const qos, 0, &raw mut context)) {
        SUCCESS => Ok(context),
        status => {
            assert!(context.ClientToken.is_null(), "a failed capture leaves nothing behind");
            Err(status)
        }
    }
}

/// The level that a thread acts at, if it impersonates.
pub(crate) fn level(thread: PETHREAD) -> Option<i32> {
    let (mut copy, mut only, mut level) = (0x5A, 0x5A, 0x5A);
    let token = c!(PsReferenceImpersonationToken(thread, &raw mut copy, &raw mut only, &raw mut level));
    if token.is_null() {
        assert_eq!((copy, only, level), (0x5A, 0x5A, 0x5A), "the outputs are not written when there is nobody");
        return None;
    }
    c!(PsDereferenceImpersonationToken(token));
    Some(level)
}
