//! Rules about bytes and numbers: sections 1, 3.0, 3.15, 4 and 5.6 of the rules list.

use vicar_nt::acl::{AceFlags, AceKind, Acl, AclRef};
use vicar_nt::change::SecurityInformation;
use vicar_nt::check::{AccessRequest, Subject, decide};
use vicar_nt::claim::{Claim, ClaimFlags, ClaimType, Value};
use vicar_nt::condition::token::{AND, Class, EXISTS, NOT, NOT_EXISTS, OR, Relation, Token, Tokens};
use vicar_nt::descriptor::{Control, Descriptor};
use vicar_nt::privilege::PrivilegeAttributes;
use vicar_nt::token::TokenState;
use vicar_nt::utf16::{Utf16, encode};
use vicar_nt::{
    AccessMask, GenericMapping, GroupAttributes, IntegrityLevel, NtStatus, RequestedMask, Sid, sddl, well_known,
};

const EVERYONE: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];

/// An ACL of the revision given with one entry: type, flags, and what stands after the size.
fn acl(revision: u8, kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let size = u8::try_from(body.len() + 4).unwrap();
    [&[revision, 0, size + 8, 0, 1, 0, 0, 0, kind, flags, size, 0][..], body].concat()
}

fn plain(mask: u32) -> Vec<u8> {
    [&mask.to_le_bytes()[..], &EVERYONE].concat()
}

#[test]
fn section_1_1_integrity_levels_are_sids_with_one_number() {
    let levels = [
        (IntegrityLevel::UNTRUSTED, 0),
        (IntegrityLevel::LOW, 0x1000),
        (IntegrityLevel::MEDIUM, 0x2000),
        (IntegrityLevel::MEDIUM_PLUS, 0x2100),
        (IntegrityLevel::HIGH, 0x3000),
        (IntegrityLevel::SYSTEM, 0x4000),
        (IntegrityLevel::PROTECTED, 0x5000),
        (IntegrityLevel(0x2345), 0x2345),
    ];
    for (level, rid) in levels {
        let sid: Sid = format!("S-1-16-{rid}").parse().unwrap();
        assert_eq!((level.to_sid(), IntegrityLevel::parse_sid(sid.as_ref())), (sid, Some(level)));
    }
    assert!(levels[..7].windows(2).all(|pair| pair[0].0 < pair[1].0));
    for other in ["S-1-16-1-2", "S-1-5-4096"] {
        assert_eq!(IntegrityLevel::parse_sid(other.parse::<Sid>().unwrap().as_ref()), None);
    }
}

#[test]
fn section_1_2_the_bits_of_a_mask() {
    let bits = [
        AccessMask::DELETE,
        AccessMask::READ_CONTROL,
        AccessMask::WRITE_DAC,
        AccessMask::WRITE_OWNER,
        AccessMask::SYNCHRONIZE,
    ];
    assert_eq!(bits.map(AccessMask::bits), [1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20]);
    assert_eq!(AccessMask::ACCESS_SYSTEM_SECURITY.bits(), 1 << 24);
    assert_eq!(AccessMask::MAXIMUM_ALLOWED.bits(), 1 << 25);
    let generic = [
        RequestedMask::GENERIC_ALL,
        RequestedMask::GENERIC_EXECUTE,
        RequestedMask::GENERIC_WRITE,
        RequestedMask::GENERIC_READ,
    ];
    assert_eq!(generic.map(|mask| mask.0), [1 << 28, 1 << 29, 1 << 30, 1 << 31]);
}

#[test]
fn section_1_2_mapping_replaces_each_generic_bit_and_is_idempotent() {
    for (mapping, [read, write, execute, all]) in [
        (GenericMapping::FILE, [0x12_0089, 0x12_0116, 0x12_00A0, 0x1F_01FF]),
        (GenericMapping::REGISTRY, [0x2_0019, 0x2_0006, 0x2_0019, 0xF_003F]),
        (GenericMapping::DIRECTORY_SERVICE, [0x2_0094, 0x2_0028, 0x2_0004, 0xF_01FF]),
        (GenericMapping::OBJECT_DIRECTORY, [0x2_0003, 0x2_000C, 0x2_0003, 0xF_000F]),
        (GenericMapping::MUTANT, [0x2_0001, 0x2_0000, 0x12_0000, 0x1F_0001]),
    ] {
        let each = [(0x8000_0000u32, read), (0x4000_0000, write), (0x2000_0000, execute), (0x1000_0000, all)];
        for choice in 0..16usize {
            let chosen = || each.iter().enumerate().filter(|(at, _)| choice & (1 << at) != 0).map(|(_, pair)| pair);
            let asked = chosen().fold(0x0300_4000u32, |mask, (bit, _)| mask | bit);
            let expected = chosen().fold(0x0300_4000u32, |mask, (_, meaning)| mask | meaning);
            let mapped = mapping.map(RequestedMask(asked));
            assert_eq!(mapped.bits(), expected, "{asked:#x}");
            assert_eq!(mapping.map(RequestedMask::from(mapped)), mapped);
        }
    }
}

#[test]
fn section_1_3_the_flags_of_an_entry() {
    let flags = [
        AceFlags::OBJECT_INHERIT,
        AceFlags::CONTAINER_INHERIT,
        AceFlags::NO_PROPAGATE_INHERIT,
        AceFlags::INHERIT_ONLY,
        AceFlags::INHERITED,
        AceFlags::CRITICAL,
        AceFlags::SUCCESSFUL_ACCESS,
        AceFlags::FAILED_ACCESS,
    ];
    assert_eq!(flags.map(|flag| flag.bits()), [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80]);
    for flags in 0..=u8::MAX {
        let bytes = acl(2, 0, flags, &plain(1));
        let read = Acl::parse(&bytes).unwrap();
        let ace = read.as_ref().aces().next().unwrap();
        assert_eq!((ace.flags().bits(), ace.is_effective()), (flags, flags & 8 == 0));
        assert_eq!(Acl::builder().verbatim(&ace).build().unwrap(), read);
    }
}

#[test]
fn section_1_3_object_flags_say_which_types_are_there_and_their_other_bits_are_ignored() {
    for (present, count) in [(0u32, 0usize), (1, 1), (2, 1), (3, 2), (0xFFFF_FFFC, 0), (0xFFFF_FFFF, 2)] {
        let guids = vec![0xA1u8; count * 16];
        let body = [&1u32.to_le_bytes()[..], &present.to_le_bytes(), &guids, &EVERYONE].concat();
        for kind in [0x05, 0x06, 0x07, 0x08, 0x0B, 0x0C, 0x0F, 0x10] {
            let bytes = acl(4, kind, 0, &body);
            let (read, _) = AclRef::parse(&bytes).unwrap();
            let parts = *read.aces().next().unwrap().parts().unwrap();
            let there = (parts.object_type.is_some(), parts.inherited_object_type.is_some());
            assert_eq!(there, (present & 1 != 0, present & 2 != 0));
            assert_eq!(parts.sid, well_known::EVERYONE);
            // Four bytes less, and the SID does not fit.
            let mut short = bytes.clone();
            short[2] -= 4;
            short[10] -= 4;
            assert!(AclRef::parse(&short).is_err(), "{kind:#x}");
        }
    }
}

#[test]
fn section_1_3_the_smallest_entries_and_what_stands_behind_their_sid() {
    let nobody = [1u8, 0, 0, 0, 0, 0, 0, 0];
    let smallest = [&[0u8; 4][..], &nobody].concat();
    let bytes = acl(2, 0x09, 0, &smallest);
    let (read, _) = AclRef::parse(&bytes).unwrap();
    assert_eq!((read.as_bytes().len(), read.aces().next().unwrap().as_bytes().len()), (24, 16));
    let with_data = acl(2, 0x09, 0, &[&smallest[..], b"abc\0"].concat());
    let (read, _) = AclRef::parse(&with_data).unwrap();
    // Padding is part of the data.
    assert_eq!(read.aces().next().unwrap().parts().unwrap().data, b"abc\0");
}

#[test]
fn section_1_4_the_lowest_revision_is_written_and_any_is_read() {
    for kind in 0..=0x15u8 {
        let known = AceKind::from_number(kind);
        let body = if known == AceKind::AllowCompound {
            [&plain(1)[..4], &[1, 0, 0, 0], &EVERYONE, &EVERYONE].concat()
        } else if known.has_object_types() {
            [&plain(1)[..4], &[0; 4], &EVERYONE].concat()
        } else {
            plain(1)
        };
        for revision in 2..=4 {
            let bytes = acl(revision, kind, 0, &body);
            let (read, rest) = AclRef::parse(&bytes).unwrap();
            assert_eq!((read.revision(), read.count(), rest.len()), (revision, 1, 0), "{kind:#x}");
            let written = Acl::builder().verbatim(&read.aces().next().unwrap()).build().unwrap();
            let lowest = match kind {
                0x04 => 3,
                0x05..=0x08 | 0x0B | 0x0C | 0x0F | 0x10 => 4,
                _ => 2,
            };
            assert_eq!(written.as_ref().revision(), lowest, "{kind:#x}");
        }
    }
}

#[test]
fn section_1_5_control_bits_and_the_resource_managers_byte() {
    let bits = [
        Control::OWNER_DEFAULTED,
        Control::GROUP_DEFAULTED,
        Control::DACL_PRESENT,
        Control::DACL_DEFAULTED,
        Control::SACL_PRESENT,
        Control::SACL_DEFAULTED,
        Control::DACL_TRUSTED,
        Control::SERVER_SECURITY,
        Control::DACL_AUTO_INHERIT_REQ,
        Control::SACL_AUTO_INHERIT_REQ,
        Control::DACL_AUTO_INHERITED,
        Control::SACL_AUTO_INHERITED,
        Control::DACL_PROTECTED,
        Control::SACL_PROTECTED,
        Control::RM_CONTROL_VALID,
        Control::SELF_RELATIVE,
    ];
    let numbers: Vec<u16> = bits.iter().map(|bit| bit.bits()).collect();
    assert_eq!(numbers, (0..16).map(|shift| 1u16 << shift).collect::<Vec<_>>());
    let sd = Descriptor::builder().resource_manager_byte(0x5A).build().unwrap();
    assert_eq!((sd.as_bytes()[1], sd.as_ref().resource_manager_byte()), (0x5A, Some(0x5A)));
    let mut bytes = sd.as_bytes().to_vec();
    bytes[3] &= !0x40;
    assert_eq!(Descriptor::parse(&bytes).unwrap().as_ref().resource_manager_byte(), None);
}

#[test]
fn section_1_6_the_flags_of_a_claim() {
    let flags = [
        ClaimFlags::NON_INHERITABLE,
        ClaimFlags::VALUE_CASE_SENSITIVE,
        ClaimFlags::USE_FOR_DENY_ONLY,
        ClaimFlags::DISABLED_BY_DEFAULT,
        ClaimFlags::DISABLED,
        ClaimFlags::MANDATORY,
    ];
    assert_eq!(flags.map(|flag| flag.bits()), [1, 2, 4, 8, 0x10, 0x20]);
    let name = encode("n");
    let name = Utf16::from_bytes(&name).unwrap();
    let own = ClaimFlags::from_bits_retain(0x0003_0000);
    let claim = Claim::new(name, ClaimType::Int64, own, &[Value::Integer(1)]).unwrap();
    assert_eq!(vicar_nt::claim::ClaimRef::parse(claim.as_bytes()).unwrap().flags(), own);
}

#[test]
fn section_1_7_the_codes_of_a_condition() {
    let read = |bytes: &[u8]| {
        let data = [&b"artx"[..], bytes].concat();
        let tokens: Vec<String> = Tokens::new(&data).unwrap().map(|token| format!("{:?}", token.unwrap())).collect();
        tokens.concat()
    };
    for (code, relation) in [
        (0x80, Relation::Equal),
        (0x81, Relation::NotEqual),
        (0x82, Relation::Less),
        (0x83, Relation::LessOrEqual),
        (0x84, Relation::Greater),
        (0x85, Relation::GreaterOrEqual),
        (0x86, Relation::Contains),
        (0x88, Relation::AnyOf),
        (0x8E, Relation::NotContains),
        (0x8F, Relation::NotAnyOf),
    ] {
        assert_eq!((relation.code(), read(&[code])), (code, format!("{:?}", Token::Relation(relation))));
    }
    assert_eq!([EXISTS, NOT_EXISTS, AND, OR, NOT], [0x87, 0x8D, 0xA0, 0xA1, 0xA2]);
    for (code, words) in [
        (0x89, "whose: User, need: All, is_negated: false"),
        (0x8A, "whose: Device, need: All, is_negated: false"),
        (0x8B, "whose: User, need: Any, is_negated: false"),
        (0x8C, "whose: Device, need: Any, is_negated: false"),
        (0x90, "whose: User, need: All, is_negated: true"),
        (0x91, "whose: Device, need: All, is_negated: true"),
        (0x92, "whose: User, need: Any, is_negated: true"),
        (0x93, "whose: Device, need: Any, is_negated: true"),
    ] {
        assert!(read(&[code]).contains(words), "{code:#x}");
    }
    for (code, class) in [(0xF8, Class::Local), (0xF9, Class::User), (0xFA, Class::Resource), (0xFB, Class::Device)] {
        assert_eq!(class.code(), code);
        assert!(read(&[code, 2, 0, 0, 0, 0x61, 0]).contains(&format!("{class:?}, \"a\"")));
    }
    let known = [0x80..=0x93u8, 0xA0..=0xA2];
    for code in (5..=0xF7u8).filter(|code| !known.iter().any(|range| range.contains(code))) {
        let is_literal = [0x10, 0x18, 0x50, 0x51].contains(&code);
        let data = [b'a', b'r', b't', b'x', code];
        assert!(is_literal || Tokens::new(&data).unwrap().next().unwrap().is_err(), "{code:#x}");
    }
}

#[test]
fn section_1_7_numbers_take_ten_bytes_and_fit_their_width() {
    for (code, low, high) in [
        (1u8, i64::from(i8::MIN), i64::from(i8::MAX)),
        (2, i64::from(i16::MIN), i64::from(i16::MAX)),
        (3, i64::from(i32::MIN), i64::from(i32::MAX)),
        (4, i64::MIN, i64::MAX),
    ] {
        let read = |value: i64| {
            let data = [&b"artx"[..], &[code], &value.to_le_bytes(), &[3, 2]].concat();
            let mut tokens = Tokens::new(&data).unwrap();
            let first = tokens.next().unwrap();
            first.is_ok() && tokens.next().is_none()
        };
        assert!(read(low) && read(high) && read(0));
        assert!(code == 4 || (!read(low - 1) && !read(high + 1)));
    }
}

/// Whether everyone gets right 1 of an object with this DACL entry and SACL entry, as bytes.
fn is_granted(dacl: &[u8], sacl: &[u8]) -> bool {
    let object = Descriptor::builder().owner(well_known::LOCAL_SYSTEM).group(well_known::LOCAL_SYSTEM);
    let object = object.dacl(Acl::parse(dacl).unwrap()).sacl(Acl::parse(sacl).unwrap()).build().unwrap();
    // It is a valid descriptor all the same.
    let object = Descriptor::parse(object.as_bytes()).unwrap();
    let token = TokenState::builder(well_known::unix_user(1))
        .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
        .build()
        .unwrap();
    let request = AccessRequest::new(Subject::itself(&token), object.as_ref(), RequestedMask(1), GenericMapping::FILE);
    decide(&request).is_ok()
}

#[test]
fn section_1_8_malformed_conditions_and_claims_leave_the_descriptor_valid() {
    let empty = [2, 0, 8, 0, 0, 0, 0, 0];
    for bad in [&b"artx\xFF\0\0\0"[..], b"artx", b"arty", b"artx\x80\0\0\0", b""] {
        let allow = acl(2, 0x09, 0, &[&plain(1), bad].concat());
        assert!(!is_granted(&allow, &empty), "{bad:x?}");
        // A deny entry whose condition is unknown denies.
        let deny = [&[2, 0, 8, 0, 2, 0, 0, 0][..], &acl(2, 0x0A, 0, &[&plain(1), bad].concat())[8..]].concat();
        let mut both = [deny, acl(2, 0x00, 0, &plain(1))[8..].to_vec()].concat();
        both[2] = u8::try_from(both.len()).unwrap();
        assert!(!is_granted(&both, &empty), "{bad:x?}");
    }
}

#[test]
fn section_1_8_a_malformed_resource_attribute_counts_as_absent() {
    let exists = sddl::parse_condition("(Exists @Resource.n)", None).unwrap();
    let condition = [exists.as_bytes(), &[0, 0, 0][..(4 - exists.as_bytes().len() % 4) % 4]].concat();
    let dacl = acl(2, 0x09, 0, &[&plain(1), &condition[..]].concat());
    let name = encode("n");
    let new = |kind, values: &[Value<'_>]| {
        let claim = Claim::new(Utf16::from_bytes(&name).unwrap(), kind, ClaimFlags::empty(), values).unwrap();
        let mut bytes = claim.as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let good = new(ClaimType::Int64, &[Value::Integer(1)]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let program = Value::Fqbn { version: 1, name: Utf16::from_bytes(&name).unwrap() };
    let twice = [Value::Integer(7), Value::Integer(7)];
    for (claim, is_there) in [
        (good.clone(), true),
        (with(4, 9), false),
        (with(0, 0xFF), false),
        (with(16, 0xFF), false),
        (with(12, 0), false),
        (new(ClaimType::Int64, &twice), false),
        (new(ClaimType::Fqbn, &[program]), false),
    ] {
        let sacl = acl(2, 0x12, 0, &[&plain(0), &claim[..]].concat());
        assert_eq!(is_granted(&dacl, &sacl), is_there, "{claim:?}");
    }
}

#[test]
fn section_3_0_the_attributes_of_a_group() {
    let attributes = [
        GroupAttributes::MANDATORY,
        GroupAttributes::ENABLED_BY_DEFAULT,
        GroupAttributes::ENABLED,
        GroupAttributes::OWNER,
        GroupAttributes::USE_FOR_DENY_ONLY,
        GroupAttributes::INTEGRITY,
        GroupAttributes::INTEGRITY_ENABLED,
        GroupAttributes::RESOURCE,
        GroupAttributes::LOGON_ID,
    ];
    assert_eq!(attributes.map(|bit| bit.bits()), [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x2000_0000, 0xC000_0000]);
    for bits in 0..0x20u32 {
        let attributes = GroupAttributes::from_bits_retain(bits);
        let (is_enabled, is_deny_only) = (bits & 4 != 0, bits & 0x10 != 0);
        assert_eq!(attributes.counts_for_allow(), is_enabled && !is_deny_only);
        assert_eq!(attributes.counts_for_deny(), is_enabled || is_deny_only);
    }
}

#[test]
fn section_3_15_the_numbers_of_statuses() {
    for (status, number) in [
        (NtStatus::ACCESS_DENIED, 0xC000_0022u32),
        (NtStatus::PRIVILEGE_NOT_HELD, 0xC000_0061),
        (NtStatus::BAD_IMPERSONATION_LEVEL, 0xC000_00A5),
        (NtStatus::NO_IMPERSONATION_TOKEN, 0xC000_005C),
        (NtStatus::GENERIC_NOT_MAPPED, 0xC000_00E6),
        (NtStatus::INVALID_SECURITY_DESCR, 0xC000_0079),
        (NtStatus::INVALID_PARAMETER, 0xC000_000D),
        (NtStatus::BUFFER_TOO_SMALL, 0xC000_0023),
        (NtStatus::NO_TOKEN, 0xC000_007C),
        (NtStatus::INVALID_OWNER, 0xC000_005A),
        (NtStatus::INVALID_PRIMARY_GROUP, 0xC000_005B),
        (NtStatus::NO_SECURITY_ON_OBJECT, 0xC000_00D7),
        (NtStatus::CANT_ENABLE_DENY_ONLY, 0xC000_02B3),
        (NtStatus::CANT_DISABLE_MANDATORY, 0xC000_005D),
        (NtStatus::NOT_ALL_ASSIGNED, 0x0000_0106),
        (NtStatus::UNKNOWN_REVISION, 0xC000_0058),
        (NtStatus::INVALID_ACL, 0xC000_0077),
        (NtStatus::INVALID_SID, 0xC000_0078),
        (NtStatus::BAD_DESCRIPTOR_FORMAT, 0xC000_00E7),
        (NtStatus::ALLOTTED_SPACE_EXCEEDED, 0xC000_0099),
        (NtStatus::INVALID_ACE_CONDITION, 0xC000_01A2),
    ] {
        assert_eq!((status.0, status.is_success()), (number, number < 0x8000_0000), "{status}");
    }
}

#[test]
fn section_4_the_attributes_of_a_privilege() {
    let attributes = [
        PrivilegeAttributes::ENABLED_BY_DEFAULT,
        PrivilegeAttributes::ENABLED,
        PrivilegeAttributes::REMOVED,
        PrivilegeAttributes::USED_FOR_ACCESS,
    ];
    assert_eq!(attributes.map(|bit| bit.bits()), [1, 2, 4, 0x8000_0000]);
}

#[test]
fn section_5_6_the_numbers_of_parts() {
    use SecurityInformation as Info;
    let parts = [
        Info::OWNER,
        Info::GROUP,
        Info::DACL,
        Info::SACL,
        Info::LABEL,
        Info::ATTRIBUTE,
        Info::SCOPE,
        Info::TRUST_LABEL,
        Info::ACCESS_FILTER,
    ];
    assert_eq!(parts.map(|part| part.bits()), [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100]);
    let rest =
        [Info::BACKUP, Info::UNPROTECTED_SACL, Info::UNPROTECTED_DACL, Info::PROTECTED_SACL, Info::PROTECTED_DACL];
    assert_eq!(rest.map(|part| part.bits()), [0x1_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x8000_0000]);
}
