//! Access control lists and their entries.

use super::{ACCESS_MASK, GUID, UCHAR, ULONG, USHORT};

/// An access list of any length.
pub type PACL = *mut ACL;

/// The head of an access control list; the entries follow.
///
/// # Source
/// ntifs.h, `ACL`; MS-DTYP 2.4.5.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ACL {
    /// 2, or 4 if the list holds object entries.
    pub AclRevision: UCHAR,
    /// Zero.
    pub Sbz1: UCHAR,
    /// Size of the list with its entries and free space, in bytes.
    pub AclSize: USHORT,
    /// How many entries there are.
    pub AceCount: USHORT,
    /// Zero.
    pub Sbz2: USHORT,
}

/// The head of an entry.
///
/// # Source
/// ntifs.h, `ACE_HEADER`; MS-DTYP 2.4.4.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ACE_HEADER {
    /// What the entry does.
    pub AceType: UCHAR,
    /// Inheritance and audit bits.
    pub AceFlags: UCHAR,
    /// Size of the entry in bytes.
    pub AceSize: USHORT,
}

/// Declares an entry that is a head, a mask and a SID.
macro_rules! plain_ace {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            /// Type, flags and size.
            pub Header: ACE_HEADER,
            /// The rights it is about.
            pub Mask: ACCESS_MASK,
            /// The first four bytes of the SID; the rest follows.
            pub SidStart: ULONG,
        }
    };
}

plain_ace! {
    /// Grants rights.
    ///
    /// # Source
    /// ntifs.h, `ACCESS_ALLOWED_ACE`; MS-DTYP 2.4.4.2.
    ACCESS_ALLOWED_ACE
}
plain_ace! {
    /// Refuses rights.
    ///
    /// # Source
    /// ntifs.h, `ACCESS_DENIED_ACE`; MS-DTYP 2.4.4.4.
    ACCESS_DENIED_ACE
}
plain_ace! {
    /// Asks for an audit record.
    ///
    /// # Source
    /// ntifs.h, `SYSTEM_AUDIT_ACE`; MS-DTYP 2.4.4.10.
    SYSTEM_AUDIT_ACE
}
plain_ace! {
    /// Asks for an alarm; reserved.
    ///
    /// # Source
    /// ntifs.h, `SYSTEM_ALARM_ACE`.
    SYSTEM_ALARM_ACE
}
plain_ace! {
    /// Carries the object's integrity label.
    ///
    /// # Source
    /// ntifs.h, `SYSTEM_MANDATORY_LABEL_ACE`; MS-DTYP 2.4.4.13.
    SYSTEM_MANDATORY_LABEL_ACE
}
plain_ace! {
    /// Grants rights if a condition holds; the condition follows the SID.
    ///
    /// # Source
    /// ntifs.h, `ACCESS_ALLOWED_CALLBACK_ACE`; MS-DTYP 2.4.4.6.
    ACCESS_ALLOWED_CALLBACK_ACE
}

/// Declares an entry for a part of an object, with both optional identifiers present.
macro_rules! object_ace {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            /// Type, flags and size.
            pub Header: ACE_HEADER,
            /// The rights it is about.
            pub Mask: ACCESS_MASK,
            /// Which of the two identifiers are present; an absent one takes no room.
            pub Flags: ULONG,
            /// The part of the object.
            pub ObjectType: GUID,
            /// The type of child that inherits the entry.
            pub InheritedObjectType: GUID,
            /// The first four bytes of the SID; the rest follows.
            pub SidStart: ULONG,
        }
    };
}

object_ace! {
    /// Grants rights to a part of an object.
    ///
    /// # Source
    /// ntifs.h, `ACCESS_ALLOWED_OBJECT_ACE`; MS-DTYP 2.4.4.3.
    ACCESS_ALLOWED_OBJECT_ACE
}
object_ace! {
    /// Refuses rights to a part of an object.
    ///
    /// # Source
    /// ntifs.h, `ACCESS_DENIED_OBJECT_ACE`; MS-DTYP 2.4.4.5.
    ACCESS_DENIED_OBJECT_ACE
}
object_ace! {
    /// Grants rights to a part of an object if a condition holds.
    ///
    /// # Source
    /// ntifs.h, `ACCESS_ALLOWED_CALLBACK_OBJECT_ACE`; MS-DTYP 2.4.4.8.
    ACCESS_ALLOWED_CALLBACK_OBJECT_ACE
}

/// One node of the tree of parts that an object check is about.
///
/// # Source
/// ntifs.h, `OBJECT_TYPE_LIST`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OBJECT_TYPE_LIST {
    /// Depth in the tree; the root is 0.
    pub Level: USHORT,
    /// Zero.
    pub Sbz: USHORT,
    /// The part.
    pub ObjectType: *mut GUID,
}
