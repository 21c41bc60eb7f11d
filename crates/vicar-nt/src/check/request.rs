//! What a check is asked.

use crate::descriptor::DescriptorRef;
use crate::guid::Guid;
use crate::level::ImpersonationLevel;
use crate::mask::{AccessMask, GenericMapping, RequestedMask};
use crate::reading::Readings;
use crate::sid::SidRef;
use crate::token::TokenState;

/// Both tokens of one thread, captured together.
///
/// # NT
/// `SECURITY_SUBJECT_CONTEXT`.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The token the thread impersonates with, and the level recorded for the thread; `None` when it does not.
    pub client: Option<(&'a TokenState, ImpersonationLevel)>,
    /// The token of the thread's process.
    pub primary: &'a TokenState,
}

impl<'a> Subject<'a> {
    /// A subject that acts for itself.
    #[must_use]
    pub const fn itself(primary: &'a TokenState) -> Self {
        Self { client: None, primary }
    }

    /// A subject that acts for a client.
    #[must_use]
    pub const fn client(client: &'a TokenState, level: ImpersonationLevel, primary: &'a TokenState) -> Self {
        Self { client: Some((client, level)), primary }
    }

    /// Returns the token that decides: the client's if there is one, else the process's.
    #[must_use]
    pub const fn effective(&self) -> &'a TokenState {
        match self.client {
            Some((client, _)) => client,
            None => self.primary,
        }
    }

    /// Returns the level the thread impersonates at, if it does.
    #[must_use]
    pub fn level(&self) -> Option<ImpersonationLevel> {
        self.client.map(|(_, level)| level)
    }

    /// Returns whether nobody is impersonated, or at a level that allows acting as the client.
    #[must_use]
    pub fn may_act(&self) -> bool {
        self.level().is_none_or(ImpersonationLevel::may_act_locally)
    }
}

/// On whose behalf the caller asks.
///
/// # NT
/// `KPROCESSOR_MODE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessMode {
    /// On its own: nothing is checked.
    Kernel,
    /// On a user's.
    User,
}

/// By which rules the caller's own arguments are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Those of the reference monitor's own callers, `SeAccessCheck`: generic rights are mapped, a process's own token
    /// will do, and a client must be impersonated at Impersonation or above.
    SeAccessCheck,
    /// Those of a server that protects its own objects, `NtAccessCheck`: rights come mapped, the token must be an
    /// impersonation token at Identification or above, and the descriptor must have an owner and a group.
    NtAccessCheck,
}

/// One node of an object type list: an object, a property set of it, a property of that set.
///
/// # NT
/// `OBJECT_TYPE_LIST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectType {
    /// 0 for the object, one more than the node it belongs to for every other, at most 4.
    pub level: u16,
    /// Which type, property set or property.
    pub guid: Guid,
}

/// A policy kept apart from the objects that name it.
///
/// # Source
/// MS-DTYP 2.5.3.2 (central access policies); MS-GPCAP 1.3.
#[derive(Clone, Copy, Debug)]
pub struct CentralPolicy<'a> {
    /// What a scoped policy entry names it by.
    pub id: SidRef<'a>,
    /// The rules; all that apply must grant.
    pub rules: &'a [CentralRule<'a>],
}

/// One rule of a central policy.
#[derive(Clone, Copy, Debug)]
pub struct CentralRule<'a> {
    /// To which objects the rule applies, as the data of a callback entry; `None` means to all.
    pub applies: Option<&'a [u8]>,
    /// Holds the DACL that must grant too.
    pub descriptor: DescriptorRef<'a>,
    /// Holds the DACL that is proposed in its place, if one is. It decides nothing; see
    /// [`staged_difference`](crate::check::staged_difference).
    pub proposed: Option<DescriptorRef<'a>>,
}

/// Whether entries of unknown types are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownAces {
    /// They are, as Windows does.
    Skip,
    /// A DACL with an effective one refuses: it might have been a deny.
    Refuse,
}

/// What a deny entry for an object type does when the caller gave no list of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypedDenyWithoutList {
    /// It denies, as if it named no type.
    Denies,
    /// It does nothing, as a typed allow entry does.
    Ignored,
}

/// Whether the owner's implied rights need the owner among the restricting SIDs of a *write-restricted* token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerWhenWriteRestricted {
    /// They do, as for any restricted token.
    MustBeRestrictingSid,
    /// They do not.
    Implied,
}

/// Whether integrity binds AppContainer tokens to objects of up to medium level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppContainerIntegrity {
    /// It does not: the package side protects those objects. Above medium it always binds.
    WaivedUpToMedium,
    /// It does.
    Enforced,
}

/// What an object gets whose central policy is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownCentralPolicy {
    /// The recovery policy: administrators, the system and the owner only, and they only what the DACL grants too.
    Recovery,
    /// Nothing beyond its DACL.
    NoPolicy,
}

/// How a check treats what sources leave open. Each switch is named, and its choice is visible where the check is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Entries of unknown types.
    pub unknown_aces: UnknownAces,
    /// Typed deny entries without a list.
    pub typed_deny_without_list: TypedDenyWithoutList,
    /// The owner's rights under write restriction.
    pub owner_when_write_restricted: OwnerWhenWriteRestricted,
    /// Integrity of AppContainers.
    pub app_container_integrity: AppContainerIntegrity,
    /// Central policies that are not known.
    pub unknown_central_policy: UnknownCentralPolicy,
    /// The rules that are read the other way.
    pub readings: Readings,
}

impl CheckOptions {
    /// What is documented and was observed; where neither says anything, the strict side.
    pub const STANDARD: Self = Self {
        unknown_aces: UnknownAces::Skip,
        typed_deny_without_list: TypedDenyWithoutList::Denies,
        owner_when_write_restricted: OwnerWhenWriteRestricted::MustBeRestrictingSid,
        app_container_integrity: AppContainerIntegrity::WaivedUpToMedium,
        unknown_central_policy: UnknownCentralPolicy::Recovery,
        readings: Readings::empty(),
    };
    /// The strict side of every switch, also where Windows is known to be on the other.
    pub const STRICT: Self = Self {
        unknown_aces: UnknownAces::Refuse,
        app_container_integrity: AppContainerIntegrity::Enforced,
        ..Self::STANDARD
    };
}

/// One question: may this subject do that with this object?
///
/// [`AccessRequest::new`] fills in what most callers want; every field is open to change.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// Who asks.
    pub subject: Subject<'a>,
    /// About which object; `None` is a missing pointer and refuses. An object without security needs no check.
    pub descriptor: Option<DescriptorRef<'a>>,
    /// What for. May hold generic bits and MAXIMUM_ALLOWED.
    pub desired: RequestedMask,
    /// What was granted before, by another authority; comes back in the grant.
    pub previously_granted: RequestedMask,
    /// What generic rights mean for the object's type.
    pub mapping: GenericMapping,
    /// On whose behalf.
    pub mode: AccessMode,
    /// By which rules.
    pub api: Api,
    /// The types the question is about; empty means the object itself.
    pub object_types: &'a [ObjectType],
    /// Who the object is, when it is a principal.
    pub self_sid: Option<SidRef<'a>>,
    /// The central policies this machine knows.
    pub policies: &'a [CentralPolicy<'a>],
    /// How to treat what sources leave open.
    pub options: CheckOptions,
}

impl<'a> AccessRequest<'a> {
    /// Asks for a user, by the rules of `SeAccessCheck`, with nothing granted before.
    #[must_use]
    pub const fn new(
        subject: Subject<'a>,
        descriptor: DescriptorRef<'a>,
        desired: RequestedMask,
        mapping: GenericMapping,
    ) -> Self {
        Question::new(desired, mapping).about(subject, Some(descriptor))
    }

    /// Returns what is asked, without whom and what it is about.
    #[must_use]
    pub const fn question(&self) -> Question<'a> {
        Question {
            desired: self.desired,
            previously_granted: self.previously_granted,
            mapping: self.mapping,
            mode: self.mode,
            api: self.api,
            object_types: self.object_types,
            self_sid: self.self_sid,
            policies: self.policies,
            options: self.options,
        }
    }

    /// Returns what was granted before, mapped; MAXIMUM_ALLOWED is not a right.
    pub(crate) const fn previous(&self) -> AccessMask {
        self.mapping.map(self.previously_granted).without(AccessMask::MAXIMUM_ALLOWED)
    }

    /// Returns what is asked for by name, mapped.
    pub(crate) const fn asked(&self) -> AccessMask {
        self.mapping.map(self.desired).without(AccessMask::MAXIMUM_ALLOWED)
    }
}

/// A question without the two it is about: an [`AccessRequest`] before there are a subject and a descriptor.
///
/// [`Question::new`] fills in what most callers want; every field is open to change.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What for. May hold generic bits and MAXIMUM_ALLOWED.
    pub desired: RequestedMask,
    /// What was granted before, by another authority; comes back in the grant.
    pub previously_granted: RequestedMask,
    /// What generic rights mean for the objects' type.
    pub mapping: GenericMapping,
    /// On whose behalf.
    pub mode: AccessMode,
    /// By which rules.
    pub api: Api,
    /// The types the question is about; empty means the object itself.
    pub object_types: &'a [ObjectType],
    /// Who the object is, when it is a principal.
    pub self_sid: Option<SidRef<'a>>,
    /// The central policies this machine knows.
    pub policies: &'a [CentralPolicy<'a>],
    /// How to treat what sources leave open.
    pub options: CheckOptions,
}

impl<'a> Question<'a> {
    /// Asks for a user, by the rules of `SeAccessCheck`, with nothing granted before.
    #[must_use]
    pub const fn new(desired: RequestedMask, mapping: GenericMapping) -> Self {
        Self {
            desired,
            previously_granted: RequestedMask::NONE,
            mapping,
            mode: AccessMode::User,
            api: Api::SeAccessCheck,
            object_types: &[],
            self_sid: None,
            policies: &[],
            options: CheckOptions::STANDARD,
        }
    }

    /// Asks this question about one subject and one object; `None` is a missing descriptor and refuses.
    #[must_use]
    pub const fn about(&self, subject: Subject<'a>, descriptor: Option<DescriptorRef<'a>>) -> AccessRequest<'a> {
        AccessRequest {
            subject,
            descriptor,
            desired: self.desired,
            previously_granted: self.previously_granted,
            mapping: self.mapping,
            mode: self.mode,
            api: self.api,
            object_types: self.object_types,
            self_sid: self.self_sid,
            policies: self.policies,
            options: self.options,
        }
    }
}
