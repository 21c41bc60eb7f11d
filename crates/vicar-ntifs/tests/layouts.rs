//! Every size, alignment and offset against two witnesses: the assertions measured with the mingw-w64 DDK headers, and
//! the structures of `windows-sys`.

#![cfg(target_pointer_width = "64")]

use std::mem::{align_of, offset_of, size_of};

use vicar_ntifs::*;

/// A type of ours: its name, size, alignment, and where its fields are.
struct Layout {
    name: &'static str,
    size: usize,
    align: usize,
    fields: &'static [(&'static str, usize)],
}

macro_rules! layouts {
    ($($name:ident { $($field:ident),* $(,)? })*) => {
        &[$(Layout {
            name: stringify!($name),
            size: size_of::<$name>(),
            align: align_of::<$name>(),
            fields: &[$((stringify!($field), offset_of!($name, $field))),*],
        }),*]
    };
}

const OURS: &[Layout] = layouts! {
    SECURITY_CLIENT_CONTEXT { SecurityQos, ClientToken, DirectlyAccessClientToken, DirectAccessEffectiveOnly, ServerIsRemote, ClientTokenControl }
    SECURITY_SUBJECT_CONTEXT { ClientToken, ImpersonationLevel, PrimaryToken, ProcessAuditId }
    SECURITY_QUALITY_OF_SERVICE { Length, ImpersonationLevel, ContextTrackingMode, EffectiveOnly }
    TOKEN_CONTROL { TokenId, AuthenticationId, ModifiedId, TokenSource }
    TOKEN_SOURCE { SourceName, SourceIdentifier }
    SE_IMPERSONATION_STATE { Token, CopyOnOpen, EffectiveOnly, Level }
    ACCESS_STATE {
        OperationID, SecurityEvaluated, GenerateAudit, GenerateOnClose, PrivilegesAllocated, Flags, RemainingDesiredAccess,
        PreviouslyGrantedAccess, OriginalDesiredAccess, SubjectSecurityContext, SecurityDescriptor, AuxData, Privileges,
        AuditPrivileges, ObjectName, ObjectTypeName
    }
    INITIAL_PRIVILEGE_SET { PrivilegeCount, Control, Privilege }
    PRIVILEGE_SET { PrivilegeCount, Control, Privilege }
    LUID { LowPart, HighPart }
    LUID_AND_ATTRIBUTES { Luid, Attributes }
    SECURITY_DESCRIPTOR { Revision, Sbz1, Control, Owner, Group, Sacl, Dacl }
    SECURITY_DESCRIPTOR_RELATIVE { Revision, Sbz1, Control, Owner, Group, Sacl, Dacl }
    ACL { AclRevision, Sbz1, AclSize, AceCount, Sbz2 }
    ACE_HEADER { AceType, AceFlags, AceSize }
    ACCESS_ALLOWED_ACE { Header, Mask, SidStart }
    ACCESS_DENIED_ACE { Header, Mask, SidStart }
    SYSTEM_AUDIT_ACE { Header, Mask, SidStart }
    SYSTEM_ALARM_ACE { Header, Mask, SidStart }
    SYSTEM_MANDATORY_LABEL_ACE { Header, Mask, SidStart }
    SID { Revision, SubAuthorityCount, IdentifierAuthority, SubAuthority }
    SID_IDENTIFIER_AUTHORITY { Value }
    SID_AND_ATTRIBUTES { Sid, Attributes }
    TOKEN_GROUPS { GroupCount, Groups }
    TOKEN_PRIVILEGES { PrivilegeCount, Privileges }
    TOKEN_USER { User }
    TOKEN_OWNER { Owner }
    TOKEN_PRIMARY_GROUP { PrimaryGroup }
    TOKEN_DEFAULT_DACL { DefaultDacl }
    TOKEN_STATISTICS {
        TokenId, AuthenticationId, ExpirationTime, TokenType, ImpersonationLevel, DynamicCharged, DynamicAvailable, GroupCount,
        PrivilegeCount, ModifiedId
    }
    GENERIC_MAPPING { GenericRead, GenericWrite, GenericExecute, GenericAll }
    OBJECT_ATTRIBUTES { Length, RootDirectory, ObjectName, Attributes, SecurityDescriptor, SecurityQualityOfService }
    UNICODE_STRING { Length, MaximumLength, Buffer }
    IO_SECURITY_CONTEXT { SecurityQos, AccessState, DesiredAccess, FullCreateOptions }
    ULONG {}
    LONG {}
    WCHAR {}
    NTSTATUS {}
    BOOLEAN {}
    SECURITY_IMPERSONATION_LEVEL {}
    TOKEN_TYPE {}
    PACCESS_TOKEN {}
    ACCESS_MASK {}
    LARGE_INTEGER {}
    ACCESS_ALLOWED_OBJECT_ACE { Header, Mask, Flags, ObjectType, InheritedObjectType, SidStart }
    ACCESS_DENIED_OBJECT_ACE { Header, Mask, Flags, ObjectType, InheritedObjectType, SidStart }
    ACCESS_ALLOWED_CALLBACK_ACE { Header, Mask, SidStart }
    ACCESS_ALLOWED_CALLBACK_OBJECT_ACE { Header, Mask, Flags, ObjectType, InheritedObjectType, SidStart }
    OBJECT_TYPE_LIST { Level, Sbz, ObjectType }
    TOKEN_MANDATORY_LABEL { Label }
    TOKEN_MANDATORY_POLICY { Policy }
    TOKEN_ACCESS_INFORMATION {
        SidHash, RestrictedSidHash, Privileges, AuthenticationId, TokenType, ImpersonationLevel, MandatoryPolicy, Flags,
        AppContainerNumber, PackageSid, CapabilitiesHash,
TrustLevelSid, SecurityAttributes
    }
    TOKEN_GROUPS_AND_PRIVILEGES {
        SidCount, SidLength, Sids, RestrictedSidCount, RestrictedSidLength, RestrictedSids, PrivilegeCount, PrivilegeLength,
        Privileges, AuthenticationId
    }
    TOKEN_ORIGIN { OriginatingLogonSession }
    TOKEN_LINKED_TOKEN { LinkedToken }
    TOKEN_ELEVATION { TokenIsElevated }
};

/// Measured types that this crate does not declare: they come with the functions that need them.
const NOT_DECLARED: &[&str] = &["SE_EXPORTS"];

/// Types whose measured size is that of older headers: Windows added fields at the end, and ours has them.
const GREW: &[(&str, usize)] = &[("TOKEN_ACCESS_INFORMATION", 72)];

/// One measured fact.
#[derive(Debug)]
enum Fact<'a> {
    Size { name: &'a str, size: usize, align: usize },
    Offset { name: &'a str, field: &'a str, at: usize },
}

impl Fact<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Size { name, .. } | Self::Offset { name, .. } => name,
        }
    }
}

/// Returns what stands between `before` and the next `after`, and the rest.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<(&'a str, &'a str)> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after)
}

fn fact(line: &str) -> Option<Fact<'_>> {
    if let Some((name, rest)) = between(line, "sizeof(", ")==") {
        let (size, rest) = rest.split_once(' ')?;
        let (align, _) = between(rest, ")==", ",")?;
        return Some(Fact::Size { name, size: size.parse().ok()?, align: align.parse().ok()? });
    }
    let (name, rest) = between(line, "offsetof(", ",")?;
    let (field, rest) = rest.split_once(")==")?;
    let (at, _) = rest.split_once(',')?;
    Some(Fact::Offset { name, field, at: at.parse().ok()? })
}

#[test]
fn every_measured_size_and_offset_is_ours() {
    let text = include_str!("layouts-x64.h");
    let facts: Vec<Fact<'_>> = text
        .lines()
        .filter(|line| line.starts_with("_Static_assert"))
        .map(|line| fact(line).unwrap_or_else(|| panic!("cannot read {line}")))
        .collect();
    assert_eq!(facts.len(), 188, "a line was lost");
    let mut wrong = Vec::new();
    for fact in &facts {
        let Some(ours) = OURS.iter().find(|ours| ours.name == fact.name()) else {
            assert!(NOT_DECLARED.contains(&fact.name()), "{} is neither declared nor listed", fact.name());
            continue;
        };
        let holds = match fact {
            Fact::Size { name, size, align } => {
                let grew = GREW.contains(&(name, *size)) && ours.size > *size;
                (ours.size == *size || grew) && ours.align == *align
            }
            Fact::Offset { field, at, .. } => ours.fields.contains(&(field, *at)),
        };
        if !holds {
            wrong.push(format!("{fact:?}"));
        }
    }
    assert!(wrong.is_empty(), "differs: {wrong:#?}");
    for name in NOT_DECLARED {
        assert!(!OURS.iter().any(|ours| ours.name == *name), "{name} is declared; take it off the list");
        assert!(facts.iter().any(|fact| fact.name() == *name), "{name} is not measured");
    }
    for ours in OURS {
        assert!(facts.iter().any(|fact| fact.name() == ours.name), "{} was never measured", ours.name);
    }
}

#[test]
fn windows_sys_agrees() {
    use windows_sys::{
        Wdk::Foundation as wdk, Wdk::Storage::FileSystem as fs, Wdk::System::SystemServices as services,
        Win32::Foundation as foundation, Win32::Security as security,
    };

    macro_rules! same {
        ($($theirs:ident :: $name:ident { $($field:ident),* $(,)? })*) => {
            $(
                assert_eq!(size_of::<$name>(), size_of::<$theirs::$name>(), concat!("size of ", stringify!($name)));
                assert_eq!(align_of::<$name>(), align_of::<$theirs::$name>(), concat!("alignment of ", stringify!($name)));
                $(assert_eq!(
                    offset_of!($name, $field),
                    offset_of!($theirs::$name, $field),
                    concat!("offset of ", stringify!($name), ".", stringify!($field))
                );)*
            )*
        };
    }

    same! {
            fs::SECURITY_CLIENT_CONTEXT { SecurityQos, ClientToken, DirectlyAccessClientToken, DirectAccessEffectiveOnly, ServerIsRemote, ClientTokenControl }
            wdk::SECURITY_SUBJECT_CONTEXT { ClientToken, ImpersonationLevel, PrimaryToken, ProcessAuditId }
            security::SECURITY_QUALITY_OF_SERVICE { Length, ImpersonationLevel, ContextTrackingMode, EffectiveOnly }
            security::TOKEN_CONTROL { TokenId, AuthenticationId, ModifiedId, TokenSource }
            security::TOKEN_SOURCE { SourceName, SourceIdentifier }
            security::SE_IMPERSONATION_STATE { Token, CopyOnOpen, EffectiveOnly, Level }
            wdk::ACCESS_STATE {
                OperationID, SecurityEvaluated, GenerateAudit, GenerateOnClose, PrivilegesAllocated, Flags, RemainingDesiredAccess,
                PreviouslyGrantedAccess, OriginalDesiredAccess, SubjectSecurityContext, SecurityDescriptor, AuxData, Privileges,
                AuditPrivileges, ObjectName, ObjectTypeName
            }
            services::INITIAL_PRIVILEGE_SET { PrivilegeCount, Control, Privilege }
            security::PRIVILEGE_SET { PrivilegeCount, Control, Privilege }
            foundation::LUID { LowPart, HighPart }
            security::LUID_AND_ATTRIBUTES { Luid, Attributes }
            security::SECURITY_DESCRIPTOR { Revision, Sbz1, Control, Owner, Group, Sacl, Dacl }
            security::SECURITY_DESCRIPTOR_RELATIVE { Revision, Sbz1, Control, Owner, Group, Sacl, Dacl }
            security::ACL { AclRevision, Sbz1, AclSize, AceCount, Sbz2 }
            security::ACE_HEADER { AceType, AceFlags, AceSize }
            security::ACCESS_ALLOWED_ACE { Header, Mask, SidStart }
            security::ACCESS_DENIED_ACE { Header, Mask, SidStart }
            security::SYSTEM_AUDIT_ACE { Header, Mask, SidStart }
            security::SYSTEM_ALARM_ACE { Header, Mask, SidStart }
            security::SYSTEM_MANDATORY_LABEL_ACE { Header, Mask, SidStart }
            security::SID { Revision, SubAuthorityCount, IdentifierAuthority, SubAuthority }
            security::SID_IDENTIFIER_AUTHORITY { Value }
            security::SID_AND_ATTRIBUTES { Sid, Attributes }
            security::TOKEN_GROUPS { GroupCount, Groups }
            security::TOKEN_PRIVILEGES { PrivilegeCount, Privileges }
            security::TOKEN_USER { User }
            security::TOKEN_OWNER { Owner }
            security::TOKEN_PRIMARY_GROUP { PrimaryGroup }
            security::TOKEN_DEFAULT_DACL { DefaultDacl }
            security::TOKEN_STATISTICS {
                TokenId, AuthenticationId, ExpirationTime, TokenType, ImpersonationLevel, DynamicCharged, DynamicAvailable,
                GroupCount, PrivilegeCount, ModifiedId
            }
            security::GENERIC_MAPPING { GenericRead, GenericWrite, GenericExecute, GenericAll }
            wdk::OBJECT_ATTRIBUTES { Length, RootDirectory, ObjectName, Attributes, SecurityDescriptor, SecurityQualityOfService }
            foundation::UNICODE_STRING { Length, MaximumLength, Buffer }
            wdk::IO_SECURITY_CONTEXT { SecurityQos, AccessState, DesiredAccess, FullCreateOptions }
            security::ACCESS_ALLOWED_OBJECT_ACE { Header, Mask, Flags, ObjectType, InheritedObjectType, SidStart }
            security::ACCESS_DENIED_OBJECT_ACE { Header, Mask, Flags, ObjectType, InheritedObjectType, SidStart }
            security::ACCESS_ALLOWED_CALLBACK_ACE { Header, Mask, SidStart }
            security::ACCESS_ALLOWED_CALLBACK_OBJECT_ACE { Header, Mask, Flags, ObjectType, InheritedObjectType, SidStart }
            security::OBJECT_TYPE_LIST { Level, Sbz, ObjectType }
            security::TOKEN_MANDATORY_LABEL { Label }
            security::TOKEN_MANDATORY_POLICY { Policy }
            security::TOKEN_ACCESS_INFORMATION {
                SidHash, RestrictedSidHash, Privileges, AuthenticationId, TokenType, ImpersonationLevel, MandatoryPolicy, Flags,
                AppContainerNumber, PackageSid, CapabilitiesHash,
    TrustLevelSid, SecurityAttributes
            }
            security::TOKEN_GROUPS_AND_PRIVILEGES {
                SidCount, SidLength, Sids, RestrictedSidCount, RestrictedSidLength, RestrictedSids, PrivilegeCount, PrivilegeLength,
                Privileges, AuthenticationId
            }
            security::TOKEN_ORIGIN { OriginatingLogonSession }
            security::TOKEN_LINKED_TOKEN { LinkedToken }
            security::TOKEN_ELEVATION { TokenIsElevated }
        }
}
