//! The reference model: the rules of impersonation written down once more, from the specification, as plain values.
//!
//! It knows nothing of locks, references or snapshots. Gate steps about sandboxes and process trust are left out, because
//! nobody of the cast has either.

use vicar_kernel::{Policy, Profile};
use vicar_nt::ImpersonationLevel::{self, Delegation, Identification, Impersonation};
use vicar_nt::{Luid, NtStatus, Sid, well_known};

/// How a token holds a privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Absent,
    Disabled,
    Enabled,
}

/// Who may open a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Its user, the system, administrators; nobody below its integrity for anything.
    OfItsUser,
    /// A copy made on opening: the users of client and process too; nobody below its integrity for changing.
    OnOpen { client: Sid, process: Sid, with_restricted_code: bool },
}

/// Everything the model knows of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) id: Luid,
    pub(crate) user: Sid,
    pub(crate) session: u64,
    pub(crate) origin: u64,
    pub(crate) integrity: u32,
    pub(crate) is_admin: bool,
    pub(crate) is_full_half: bool,
    pub(crate) is_restricted: bool,
    pub(crate) privileges: [Held; 3],
    pub(crate) level: Option<ImpersonationLevel>,
    /// How often it was changed; a copy starts where its source is.
    pub(crate) changes: u64,
    pub(crate) protection: Protection,
}

impl Facts {
    /// 2.20: everything is copied but the level and the object's identity and protection.
    pub(crate) fn copy_at(&self, level: ImpersonationLevel) -> Self {
        Self { level: Some(level), protection: Protection::OfItsUser, ..self.clone() }
    }

    /// 2.23 row 9: what is disabled is removed.
    pub(crate) fn stripped(&self) -> Self {
        let privileges = self.privileges.map(|held| if held == Held::Disabled { Held::Absent } else { held });
        Self { privileges, ..self.clone() }
    }

    fn is_elevated(&self) -> bool {
        self.is_admin
    }
}

/// The thread's record, 1.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worn {
    pub(crate) token: usize,
    pub(crate) level: ImpersonationLevel,
    pub(crate) effective_only: bool,
    pub(crate) copy_on_open: bool,
}

/// 3.1. `held` is the level of an impersonating source.
pub(crate) fn capture(
    held: Option<ImpersonationLevel>,
    wanted: ImpersonationLevel,
    remote: bool,
) -> Result<(), NtStatus> {
    let bad = Err(NtStatus::BAD_IMPERSONATION_LEVEL);
    match held {
        None => Ok(()),
        Some(held) if wanted > held => bad,
        Some(held) if held <= Identification => bad,
        Some(held) if remote && held != Delegation => bad,
        Some(_) => Ok(()),
    }
}

/// 3.2: whether a process with primary token `process` may wear `token` at `level`.
pub(crate) fn gate(profile: Profile, strict: bool, process: &Facts, token: &Facts, level: ImpersonationLevel) -> bool {
    if profile == Profile::V0 || level < Impersonation {
        return true; // G0, G1
    }
    if token.session == Luid::ANONYMOUS_LOGON.to_u64() && (!strict || token.user == well_known::ANONYMOUS) {
        return true; // G2
    }
    if process.privileges[0] == Held::Enabled {
        return true; // G4
    }
    if profile >= Profile::V2 && token.integrity > process.integrity {
        return false; // G5
    }
    let made_by_process = token.origin != 0 && token.origin == process.session; // G6
    if token.user != process.user && !made_by_process {
        return false; // G7
    }
    let excused = made_by_process && !strict;
    if process.is_restricted && !token.is_restricted && !excused {
        return false; // G8
    }
    // G10
    let (theirs, ours) =
        if strict { (token.is_elevated(), process.is_elevated()) } else { (token.is_full_half, process.is_elevated()) };
    !(profile >= Profile::V4 && theirs && !ours)
}

/// 3.5: job limits before Vista; `limits` are no-admin and restricted-token.
pub(crate) fn job(profile: Profile, limits: [bool; 2], token: &Facts) -> Result<(), NtStatus> {
    let refused = (limits[0] && token.is_admin) || (limits[1] && !token.is_restricted);
    if profile < Profile::V2 && refused { Err(NtStatus::ACCESS_DENIED) } else { Ok(()) }
}

/// 2.22, steps 5 to 7: whether a subject may open a token for reading and changing.
pub(crate) fn open(subject: &Facts, level: Option<ImpersonationLevel>, token: &Facts) -> Result<(), NtStatus> {
    if level.is_some_and(|level| level < Impersonation) {
        return Err(NtStatus::BAD_IMPERSONATION_LEVEL);
    }
    let names = |sid: Sid| match token.protection {
        Protection::OfItsUser => sid == token.user,
        Protection::OnOpen { client, process, .. } => sid == client || sid == process,
    };
    let by_user = names(subject.user) || subject.user == well_known::LOCAL_SYSTEM || subject.is_admin;
    // The second pass looks at the restricting SIDs only, and the cast's have their own user there.
    let by_restriction = !subject.is_restricted || names(subject.user);
    let by_label = subject.integrity >= token.integrity;
    if by_user && by_restriction && by_label { Ok(()) } else { Err(NtStatus::ACCESS_DENIED) }
}

/// What changing a privilege comes to, 2.23.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Enable,
    Disable,
    Remove,
}

pub(crate) fn adjust(profile: Profile, strict: bool, token: &mut Facts, index: usize, change: Change) {
    let is_powerful = index == 0;
    let before = token.privileges[index];
    let after = match (before, change) {
        (Held::Absent, _) | (_, Change::Remove) => Held::Absent,
        (_, Change::Disable) => Held::Disabled,
        (held, Change::Enable) if is_powerful && profile >= Profile::V2 && strict && token.integrity < 0x3000 => held,
        (_, Change::Enable) => Held::Enabled,
    };
    if before != after {
        token.privileges[index] = after;
        token.changes += 1;
    }
}

/// Where a capture comes from, and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) dynamic: bool,
    pub(crate) from_thread: bool,
    pub(crate) effective_only: bool,
}

/// Whether the captured context is restricted to what is enabled, 3.1 and 2.2. `worn` is the client's own restriction.
pub(crate) fn captured_reach(policy: &Policy, asked: Asked, worn: bool) -> bool {
    let strict = *policy == Policy::strict();
    asked.effective_only || (worn && (strict || (asked.dynamic && asked.from_thread)))
}
