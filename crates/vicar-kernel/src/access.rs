//! Access and privilege checks of a captured subject.
//!
//! [`SubjectContext::access_check`] asks `vicar-nt` about both tokens at once and passes its answer on; the level of the
//! client is part of the question, so a client that may only be identified opens nothing. [`ThreadRef::holds`] captures the
//! calling thread for one question. Nothing is decided here; what sources leave open is read as the
//! [`Policy`](crate::Policy) of the tokens' system says.

use vicar_nt::acl::AclRef;
use vicar_nt::check::{
    AccessMode, AccessRequest, Api, CheckOptions, NodeAnswer, ObjectType, Refusal, Step, Subject, audit, audit_each,
    decide, decide_each, explain,
};
use vicar_nt::descriptor::DescriptorRef;
use vicar_nt::privilege::{LuidAndAttributes, Need, PrivilegeMask, check_token_by};
use vicar_nt::{AccessMask, GenericMapping, NtStatus, Privilege, Readings, RequestedMask, SidRef};

use crate::own::SeenSubject;
use crate::subject::{LockedSubject, SubjectContext, SubjectTokens};
use crate::thread::ThreadRef;
use crate::token::TokenRef;

/// What is asked of an access check, apart from who asks.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The object's security descriptor; without one everybody but the kernel is refused.
    pub descriptor: Option<DescriptorRef<'a>>,
    /// The rights wanted.
    pub desired: RequestedMask,
    /// Rights that were granted before.
    pub previously_granted: RequestedMask,
    /// What generic rights mean for the object's type.
    pub mapping: GenericMapping,
    /// On whose behalf: the kernel is not asked for anything, not even for a level.
    pub mode: AccessMode,
}

/// The rights an access check granted, and the privileges that it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The rights.
    pub mask: AccessMask,
    /// The privileges used.
    pub privileges: PrivilegeMask,
}

impl SubjectContext {
    /// Checks access for the captured subject.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` when there is no descriptor, or it does not grant what is wanted.
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when the client is below level Impersonation, whatever the descriptor says.
    /// - `STATUS_PRIVILEGE_NOT_HELD` when the audit list is asked for without the security privilege.
    ///
    /// # Identity
    /// The client's token decides when there is one, at the level of the capture.
    ///
    /// # NT
    /// `SeAccessCheck`; its BOOLEAN, AccessStatus and GrantedAccess are one result.
    ///
    /// # Source
    /// SeAccessCheck (wdm.h page); MS-DTYP 2.5.3.2; spec/nt-impersonation 4.1, 4.2.
    #[doc(alias = "SeAccessCheck")]
    #[track_caller]
    pub fn access_check(&self, access: &Access<'_>) -> Result<Granted, NtStatus> {
        if access.mode == AccessMode::User {
            self.note_use();
        }
        check(self.lock().subject(), access, Api::SeAccessCheck, self.primary().system().policy().readings)
    }
}

impl SubjectTokens<'_> {
    /// Checks access for the two tokens.
    ///
    /// # Inputs
    /// - `seen`: what the caller keeps between its checks.
    ///
    /// # Errors
    /// - as for [`SubjectContext::access_check`].
    ///
    /// # Cost
    /// No lock and no reference while one caller asks about the same tokens and these do not change.
    ///
    /// # NT
    /// `SeAccessCheck` with a structure that the caller filled.
    ///
    /// # Source
    /// SeAccessCheck (wdm.h page); MS-DTYP 2.5.3.2; spec/nt-impersonation 4.1, 4.2.
    #[inline]
    pub fn access_check(&self, access: &Access<'_>, seen: &mut SeenSubject) -> Result<Granted, NtStatus> {
        check(seen.look(*self), access, Api::SeAccessCheck, self.primary().system().policy().readings)
    }
}

impl TokenRef {
    /// Checks access for a token that a server was handed, to an object of its own.
    ///
    /// # Errors
    /// - `STATUS_NO_IMPERSONATION_TOKEN` when it is a primary token.
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when it is below level Identification, which is enough here.
    /// - `STATUS_GENERIC_NOT_MAPPED`, `STATUS_INVALID_SECURITY_DESCR` for what the server asks wrongly.
    /// - `STATUS_ACCESS_DENIED`, `STATUS_PRIVILEGE_NOT_HELD` as for [`SubjectContext::access_check`].
    ///
    /// # NT
    /// `NtAccessCheck`, after the handle was resolved. The supplied token is checked, not the caller's.
    ///
    /// # Source
    /// AccessCheck (page); spec/nt-impersonation 2.23.
    #[doc(alias = "NtAccessCheck")]
    #[doc(alias = "AccessCheck")]
    pub fn access_check(&self, access: &Access<'_>) -> Result<Granted, NtStatus> {
        let locked = LockedSubject::of_token(self);
        check(locked.subject(), access, Api::NtAccessCheck, self.system().policy().readings)
    }

    /// Says whether privileges are in force in this token, and marks those that are.
    ///
    /// # Errors
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when it is at level Anonymous; Identification is enough here, and a primary token has
    ///   no level.
    ///
    /// # Source
    /// PrivilegeCheck (page); spec/nt-impersonation 2.23.
    pub fn privilege_check(&self, wanted: &mut [LuidAndAttributes], need: Need) -> Result<bool, NtStatus> {
        check_token_by(&self.state(), self.level(), wanted, need, self.system().policy().readings)
    }
}

#[inline]
fn check(subject: Subject<'_>, access: &Access<'_>, api: Api, readings: Readings) -> Result<Granted, NtStatus> {
    let request = AccessRequest {
        subject,
        descriptor: access.descriptor,
        desired: access.desired,
        previously_granted: access.previously_granted,
        mapping: access.mapping,
        mode: access.mode,
        api,
        object_types: &[],
        self_sid: None,
        policies: &[],
        options: CheckOptions { readings, ..CheckOptions::STANDARD },
    };
    let grant = decide(&request).map_err(|denial| denial.status())?;
    Ok(Granted { mask: grant.mask(), privileges: grant.privileges_used() })
}

/// What a server asks about an object of its own, or about types and properties of it.
#[derive(Clone, Copy, Debug)]
pub struct ServerAccess<'a> {
    /// The object's security descriptor; it must have an owner and a group.
    pub descriptor: Option<DescriptorRef<'a>>,
    /// The rights wanted, mapped.
    pub desired: RequestedMask,
    /// What generic rights in the descriptor mean.
    pub mapping: GenericMapping,
    /// The types that the question is about; empty means the object itself.
    pub object_types: &'a [ObjectType],
    /// Who the object is, when it is a principal.
    pub self_sid: Option<SidRef<'a>>,
    /// The rules that are read the other way, as the policy of the asker's system says.
    pub readings: Readings,
}

/// About what a server wants its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// One, for the object.
    #[doc(alias = "AccessCheckByType")]
    Whole,
    /// One for each of the types.
    #[doc(alias = "AccessCheckByTypeResultList")]
    Each,
}

/// What a server is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ServerAnswer {
    /// The answers; one, or as many as there are types.
    pub nodes: Vec<NodeAnswer>,
    /// The privileges without which less would have been granted.
    pub privileges: PrivilegeMask,
    /// Whether the object's audit list wants a record, and so another when the handle is closed, of something that was
    /// granted.
    #[doc(alias = "GenerateOnClose")]
    pub is_recorded: bool,
}

impl LockedSubject {
    /// Says whether a server may ask about this subject at all.
    ///
    /// # Errors
    /// - `STATUS_GENERIC_NOT_MAPPED` when a generic right is asked for.
    /// - `STATUS_NO_IMPERSONATION_TOKEN` when nobody is impersonated.
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` below level Identification, which is enough here.
    ///
    /// # Source
    /// AccessCheck (page); spec/nt-impersonation 2.23.
    pub fn may_be_asked_about(&self, desired: RequestedMask) -> Result<(), NtStatus> {
        // Asked about no object, a check gets as far as the object.
        let mapping = GenericMapping::of(0, 0, 0, 0);
        let readings = Readings::empty();
        let asked = ServerAccess { descriptor: None, desired, mapping, object_types: &[], self_sid: None, readings };
        match decide(&self.request_of(&asked)) {
            Err(denial) if denial.by != Refusal::NoDescriptor => Err(denial.status()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Answers a server that protects its own objects.
    ///
    /// # Errors
    /// - as for [`LockedSubject::may_be_asked_about`].
    /// - `STATUS_ACCESS_DENIED` when there is no descriptor, `STATUS_INVALID_SECURITY_DESCR` when it has no owner or group.
    /// - `STATUS_INVALID_PARAMETER` when the types are no tree.
    ///
    /// That access is refused is an answer.
    ///
    /// # NT
    /// `NtAccessCheckByType` and `NtAccessCheckByTypeResultList`, after token and buffers were resolved.
    ///
    /// # Source
    /// AccessCheckByType, AccessCheckByTypeResultList (pages); spec/nt-impersonation 2.23.
    pub fn answer_server(&self, asked: &ServerAccess<'_>, answers: Answers) -> Result<ServerAnswer, NtStatus> {
        let request = self.request_of(asked);
        match answers {
            Answers::Whole => whole(&request),
            Answers::Each => each(&request),
        }
    }

    fn request_of<'a>(&'a self, asked: &ServerAccess<'a>) -> AccessRequest<'a> {
        AccessRequest {
            subject: self.subject(),
            descriptor: asked.descriptor,
            desired: asked.desired,
            previously_granted: RequestedMask::NONE,
            mapping: asked.mapping,
            mode: AccessMode::User,
            api: Api::NtAccessCheck,
            object_types: asked.object_types,
            self_sid: asked.self_sid,
            policies: &[],
            options: CheckOptions { readings: asked.readings, ..CheckOptions::STANDARD },
        }
    }
}

/// Whether it was the question that was refused and not the access. To ask for nothing is a question.
const fn is_about_the_question(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::GenericNotMapped
            | Refusal::ImpersonationTokenRequired
            | Refusal::LevelTooLow(_)
            | Refusal::NoDescriptor
            | Refusal::IncompleteDescriptor
            | Refusal::ObjectTypeList
    )
}

fn whole(request: &AccessRequest<'_>) -> Result<ServerAnswer, NtStatus> {
    let answer = decide(request);
    let is_recorded = answer.is_ok() && audit(request, &answer, AclRef::EMPTY).is_some();
    match answer {
        Ok(grant) => Ok(ServerAnswer {
            nodes: vec![NodeAnswer { status: NtStatus::SUCCESS, granted: grant.mask() }],
            privileges: grant.privileges_used(),
            is_recorded,
        }),
        Err(denial) if is_about_the_question(denial.by) => Err(denial.status()),
        Err(denial) => Ok(ServerAnswer {
            nodes: vec![NodeAnswer { status: denial.status(), granted: AccessMask::NONE }],
            privileges: PrivilegeMask::NONE,
            is_recorded,
        }),
    }
}

fn each(request: &AccessRequest<'_>) -> Result<ServerAnswer, NtStatus> {
    let nodes = match decide_each(request) {
        Ok(nodes) => nodes,
        Err(denial) if is_about_the_question(denial.by) => return Err(denial.status()),
        Err(denial) => {
            let refused = NodeAnswer { status: denial.status(), granted: AccessMask::NONE };
            vec![refused; request.object_types.len().max(1)]
        }
    };
    let records = audit_each(request, &nodes, AclRef::EMPTY);
    let is_recorded = nodes.iter().zip(records).any(|(node, record)| node.status.is_success() && record.is_some());
    Ok(ServerAnswer { privileges: privileges_of(request, &nodes), nodes, is_recorded })
}

/// Returns the privileges that gave one of the nodes something.
fn privileges_of(request: &AccessRequest<'_>, nodes: &[NodeAnswer]) -> PrivilegeMask {
    let granted = nodes.iter().fold(AccessMask::NONE, |all, node| all.union(node.granted));
    let (_, steps) = explain(request);
    let used = steps.iter().filter_map(|step| {
        let Step::Privilege { privilege, is_held: true, right } = step else { return None };
        granted.contains(*right).then_some(*privilege)
    });
    used.fold(PrivilegeMask::NONE, PrivilegeMask::with)
}

impl ThreadRef {
    /// Says whether whoever this thread acts as has a privilege in force.
    ///
    /// # Identity
    /// A thread that wears a client below level Impersonation has none, even if client and process both do.
    ///
    /// # NT
    /// `SeSinglePrivilegeCheck`.
    ///
    /// # Source
    /// SeSinglePrivilegeCheck (ntddk.h page); spec/nt-impersonation 2.18.
    #[doc(alias = "SeSinglePrivilegeCheck")]
    #[must_use]
    #[track_caller]
    pub fn holds(&self, privilege: Privilege, mode: AccessMode) -> bool {
        match mode {
            AccessMode::Kernel => true,
            AccessMode::User => SubjectContext::capture(self).holds(privilege, mode),
        }
    }
}
