//! What objects inherit, computed again, for one object and for a tree.

use alloc::vec::Vec;

use crate::acl::{AceFlags, Acl, AclRef};
use crate::assign::ObjectKind;
use crate::assign::inherit::Substitutes;
use crate::assign::list::{Outcome, Rules, build};
use crate::descriptor::{Control, Dacl, Descriptor, DescriptorRef, Sacl};
use crate::guid::Guid;
use crate::mask::GenericMapping;
use crate::reading::Readings;
use crate::sid::Sid;
use crate::status::NtStatus;
use crate::well_known;

/// Which lists inherit again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// The DACL.
    Dacl,
    /// The SACL.
    Sacl,
    /// Both.
    Both,
}

/// Keeps an object's own entries and gives it what its parent passes on now.
///
/// A protected list is left alone. An object without a DACL that inherits something gets a DACL of just that; one that no
/// longer inherits anything keeps what it has of its own, if need be an empty list.
///
/// # Errors
/// - [`NtStatus::INVALID_ACL`] when the entries do not fit in a list.
///
/// # NT
/// What `SetSecurityInfo` and `TreeSetNamedSecurityInfo` do to an object before they store it.
///
/// # Source
/// learn.microsoft.com, "Automatic Propagation of Inheritable ACEs"; MS-DTYP 2.5.3.4.
pub fn inherit_again(
    object: DescriptorRef<'_>,
    parent: DescriptorRef<'_>,
    lists: Lists,
    kind: ObjectKind,
    object_types: &[Guid],
    mapping: &GenericMapping,
) -> Result<Descriptor, NtStatus> {
    inherit_again_by(object, parent, lists, kind, object_types, mapping, Readings::empty())
}

/// As [`inherit_again`], with some uncertain rules read the other way: those of inheritance, as for
/// [`assign_by`](crate::assign::assign_by).
///
/// # Errors
/// As [`inherit_again`].
pub fn inherit_again_by(
    object: DescriptorRef<'_>,
    parent: DescriptorRef<'_>,
    lists: Lists,
    kind: ObjectKind,
    object_types: &[Guid],
    mapping: &GenericMapping,
    readings: Readings,
) -> Result<Descriptor, NtStatus> {
    let owner: Sid = object.owner().map_or(well_known::CREATOR_OWNER, |sid| sid.to_sid());
    let group: Sid = object.group().map_or(well_known::CREATOR_GROUP, |sid| sid.to_sid());
    let rules = Rules {
        is_auto: true,
        is_default: false,
        is_protected: false,
        kind,
        object_types,
        mapping: *mapping,
        substitutes: Substitutes { owner: &owner, group: &group },
        readings,
        server: None,
    };
    let control = object.control();
    let mut bits = control;
    let mut out = Descriptor::builder();
    if let Some(byte) = object.resource_manager_byte() {
        out = out.resource_manager_byte(byte);
    }
    if object.owner().is_some() {
        out = out.owner(owner);
    }
    if object.group().is_some() {
        out = out.group(group);
    }
    let dacl = match object.dacl() {
        Dacl::Absent => Outcome::Absent,
        Dacl::Null => Outcome::Null,
        Dacl::List(list) => Outcome::List(list.to_acl()),
    };
    let dacl = match lists {
        Lists::Dacl | Lists::Both if !control.contains(Control::DACL_PROTECTED) => {
            bits |= Control::DACL_AUTO_INHERITED;
            let from = match parent.dacl() {
                Dacl::Absent | Dacl::Null => AclRef::EMPTY,
                Dacl::List(list) => list,
            };
            rejoin(dacl, from, &rules)?
        }
        Lists::Dacl | Lists::Both | Lists::Sacl => dacl,
    };
    out = match dacl {
        Outcome::Absent => out,
        Outcome::Null => out.null_dacl(),
        Outcome::List(acl) => out.dacl(acl),
    };
    let sacl = match object.sacl() {
        Sacl::Absent => Outcome::Absent,
        Sacl::Null => Outcome::Null,
        Sacl::List(list) => Outcome::List(list.to_acl()),
    };
    let sacl = match lists {
        Lists::Sacl | Lists::Both if !control.contains(Control::SACL_PROTECTED) => {
            bits |= Control::SACL_AUTO_INHERITED;
            rejoin(sacl, parent.sacl().entries(), &rules)?
        }
        Lists::Dacl | Lists::Both | Lists::Sacl => sacl,
    };
    out = match sacl {
        Outcome::Absent => out,
        Outcome::Null => out.null_sacl(),
        Outcome::List(acl) => out.sacl(acl),
    };
    out.control(bits).build().map_err(|_| NtStatus::INVALID_ACL)
}

/// Joins an object's own entries and what its parent passes on.
fn rejoin(own: Outcome, parent: AclRef<'_>, rules: &Rules<'_>) -> Result<Outcome, NtStatus> {
    let inherited = build(parent.aces().fold(Acl::builder(), |acl, ace| rules.inherit(acl, &ace)))?;
    let explicit = match &own {
        Outcome::List(acl) => acl.as_ref(),
        Outcome::Absent | Outcome::Null if inherited.as_ref().count() == 0 => return Ok(own),
        Outcome::Absent | Outcome::Null => AclRef::EMPTY,
    };
    let explicit = explicit.aces().filter(|ace| !ace.flags().contains(AceFlags::INHERITED));
    let all = explicit.chain(inherited.as_ref().aces());
    build(all.fold(Acl::builder(), |acl, ace| acl.verbatim(&ace))).map(Outcome::List)
}

/// One object of a tree.
#[derive(Clone, Debug)]
pub struct Member<Id> {
    /// What the tree calls it.
    pub id: Id,
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// Whether there can be objects in it.
    pub kind: ObjectKind,
}

/// A tree of objects that inherit from each other.
pub trait Tree {
    /// What the tree calls an object.
    type Id;

    /// Returns what stands directly in a container.
    fn children(&self, of: &Self::Id) -> Vec<Member<Self::Id>>;
}

/// What propagation found about one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// It has a new descriptor.
    Changed,
    /// It has what it should have.
    Unchanged,
    /// Every list in question is protected: neither it nor anything in it inherits anything new.
    Protected,
}

/// One object that propagation came to.
#[derive(Clone, Debug)]
pub struct Updated<Id> {
    /// Which object.
    pub id: Id,
    /// Its descriptor now.
    pub descriptor: Descriptor,
    /// Whether that is a new one.
    pub update: Update,
}

/// Walks through everything in a container and says what descriptor each object has to get, parents before children.
///
/// Nothing is stored: the caller does that with each item, and may stop at any.
///
/// # Inputs
/// - `root`, `descriptor`: the container that changed, and its new descriptor.
///
/// # Cost
/// Memory for the objects whose siblings or ancestors are being visited.
///
/// # Examples
/// ```
/// use vicar_nt::assign::ObjectKind;
/// use vicar_nt::change::{Lists, Member, Tree, propagate};
/// use vicar_nt::{GenericMapping, sddl};
/// struct Folder;
/// impl Tree for Folder {
///     type Id = u32;
///     fn children(&self, of: &u32) -> Vec<Member<u32>> {
///         let descriptor = sddl::parse("O:SYG:SYD:(A;;FA;;;SY)(A;ID;FR;;;WD)", None).unwrap();
///         if *of < 2 { vec![Member { id: of + 1, descriptor, kind: ObjectKind::Container }] } else { vec![] }
///     }
/// }
/// let root = sddl::parse("O:SYG:SYD:(A;OICI;FR;;;BU)", None).unwrap();
/// let all: Vec<_> = propagate(&Folder, 0, root, Lists::Dacl, &GenericMapping::FILE).map(Result::unwrap).collect();
/// let text = sddl::print(all[1].descriptor.as_ref(), None).unwrap();
/// assert_eq!((all.len(), text.as_str()), (2, "O:SYG:SYD:AI(A;;FA;;;SY)(A;OICIID;FR;;;BU)"));
/// ```
pub fn propagate<'t, T: Tree>(
    tree: &'t T,
    root: T::Id,
    descriptor: Descriptor,
    lists: Lists,
    mapping: &GenericMapping,
) -> Propagation<'t, T> {
    propagate_by(tree, root, descriptor, lists, mapping, Readings::empty())
}

/// As [`propagate()`], with some uncertain rules read the other way, as for [`inherit_again_by`].
pub fn propagate_by<'t, T: Tree>(
    tree: &'t T,
    root: T::Id,
    descriptor: Descriptor,
    lists: Lists,
    mapping: &GenericMapping,
    readings: Readings,
) -> Propagation<'t, T> {
    let waiting = tree.children(&root).into_iter().rev().map(|member| (member, descriptor.clone())).collect();
    Propagation { tree, lists, mapping: *mapping, readings, waiting }
}

/// The objects in a container, each with the descriptor it has to get.
///
/// Yields an error for an object whose entries do not fit in a list; what is in that object is left out.
#[derive(Debug)]
#[must_use = "nothing is computed until it is asked for"]
pub struct Propagation<'t, T: Tree> {
    tree: &'t T,
    lists: Lists,
    mapping: GenericMapping,
    readings: Readings,
    /// With the new descriptor of the container each stands in.
    waiting: Vec<(Member<T::Id>, Descriptor)>,
}

impl<T: Tree> Iterator for Propagation<'_, T> {
    type Item = Result<Updated<T::Id>, (T::Id, NtStatus)>;

    fn next(&mut self) -> Option<Self::Item> {
        let (member, parent) = self.waiting.pop()?;
        let Member { id, descriptor, kind } = member;
        let protected = match self.lists {
            Lists::Dacl => Control::DACL_PROTECTED,
            Lists::Sacl => Control::SACL_PROTECTED,
            Lists::Both => Control::DACL_PROTECTED | Control::SACL_PROTECTED,
        };
        if descriptor.as_ref().control().contains(protected) {
            return Some(Ok(Updated { id, descriptor, update: Update::Protected }));
        }
        let (object, parent) = (descriptor.as_ref(), parent.as_ref());
        let new = inherit_again_by(object, parent, self.lists, kind, &[], &self.mapping, self.readings);
        let new = match new {
            Ok(new) => new,
            Err(status) => return Some(Err((id, status))),
        };
        if kind == ObjectKind::Container {
            let inside = self.tree.children(&id).into_iter().rev();
            self.waiting.extend(inside.map(|member| (member, new.clone())));
        }
        let is_same = means_the_same(&new, &descriptor);
        let update = if is_same { Update::Unchanged } else { Update::Changed };
        Some(Ok(Updated { id, descriptor: new, update }))
    }
}

/// Whether two descriptors have the same lists; where their parts stand does not matter.
fn means_the_same(a: &Descriptor, b: &Descriptor) -> bool {
    let (a, b) = (a.as_ref(), b.as_ref());
    a.control() == b.control() && a.dacl() == b.dacl() && a.sacl() == b.sacl()
}
