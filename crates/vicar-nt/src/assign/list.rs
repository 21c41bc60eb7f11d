//! Which list a new object gets.
//!
//! # Source
//! MS-DTYP 2.5.3.4.2.

use crate::acl::{AceFlags, Acl, AclBuilder, AclRef};
use crate::assign::ObjectKind;
use crate::assign::inherit::Substitutes;
use crate::guid::Guid;
use crate::mask::GenericMapping;
use crate::reading::Readings;
use crate::sid::Sid;
use crate::status::NtStatus;

/// What the creator gave.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a> {
    Absent,
    Null,
    List(AclRef<'a>),
}

/// What the object gets.
pub(crate) enum Outcome {
    Absent,
    Null,
    List(Acl),
}

/// How one of the two lists is put together.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    /// Whether the list keeps track of what it inherited.
    pub(crate) is_auto: bool,
    /// Whether what the creator gave counts only where nothing is inherited.
    pub(crate) is_default: bool,
    /// Whether the creator wants nothing inherited.
    pub(crate) is_protected: bool,
    pub(crate) kind: ObjectKind,
    pub(crate) object_types: &'a [Guid],
    pub(crate) mapping: GenericMapping,
    pub(crate) substitutes: Substitutes<'a>,
    /// The uncertain rules that are read the other way.
    pub(crate) readings: Readings,
    /// Who the server is, when the creator's allow entries are to name it.
    pub(crate) server: Option<&'a Sid>,
}

impl Rules<'_> {
    /// Puts the list together.
    ///
    /// # Errors
    /// [`NtStatus::INVALID_ACL`] when it is too long.
    pub(crate) fn compute(
        &self,
        given: Given<'_>,
        parent: AclRef<'_>,
        fallback: Option<AclRef<'_>>,
    ) -> Result<Outcome, NtStatus> {
        let inherited = build(self.inherit_all(Acl::builder(), parent))?;
        let is_inherited = inherited.as_ref().count() > 0;
        Ok(match given {
            Given::Absent if is_inherited => Outcome::List(inherited),
            Given::Absent => match fallback {
                None => Outcome::Absent,
                Some(list) => {
                    let plain = Self { is_auto: false, ..*self };
                    Outcome::List(build(plain.explicit_all(list, AceFlags::empty(), AceFlags::empty()))?)
                }
            },
            Given::Null | Given::List(_) if self.is_default && is_inherited => Outcome::List(inherited),
            Given::Null => Outcome::Null,
            Given::List(list) if self.is_auto && self.is_protected => {
                Outcome::List(build(self.explicit_all(list, AceFlags::INHERITED, AceFlags::empty()))?)
            }
            Given::List(list) if self.is_auto && !self.is_default => {
                let own = self.explicit_all(list, AceFlags::empty(), AceFlags::INHERITED);
                Outcome::List(build(self.inherit_all(own, parent))?)
            }
            Given::List(list) => Outcome::List(build(self.explicit_all(list, AceFlags::empty(), AceFlags::empty()))?),
        })
    }

    fn inherit_all(&self, acl: AclBuilder, parent: AclRef<'_>) -> AclBuilder {
        parent.aces().fold(acl, |acl, ace| self.inherit(acl, &ace))
    }

    /// Adds the creator's entries: without the flags in `dropped`, and without the entries that have one of `skipped`.
    fn explicit_all(&self, list: AclRef<'_>, dropped: AceFlags, skipped: AceFlags) -> AclBuilder {
        let kept = list.aces().filter(|ace| !ace.flags().intersects(skipped));
        kept.fold(Acl::builder(), |acl, ace| self.explicit(acl, &ace, dropped))
    }
}

pub(crate) fn build(acl: AclBuilder) -> Result<Acl, NtStatus> {
    acl.build().map_err(|_| NtStatus::INVALID_ACL)
}
