//! Rules of privileges, of new objects and of filtered tokens: sections 4, 5 and 7 of the rules list.

use vicar_nt::acl::{AceFlags, Acl, AclRef};
use vicar_nt::assign::{AssignFlags, NewObject, ObjectKind, assign};
use vicar_nt::check::{AccessMode, Subject};
use vicar_nt::claim::{Claim, ClaimFlags, ClaimType, Value};
use vicar_nt::descriptor::{Control, Dacl, Descriptor, Sacl};
use vicar_nt::privilege::{self, LuidAndAttributes, Need, PrivilegeAttributes, PrivilegeState};
use vicar_nt::token::{Builder, Elevation, Filter, FilterFlags, GroupChange, TokenFlags, TokenState};
use vicar_nt::utf16::{Utf16, encode};
use vicar_nt::{
    GenericMapping, Group, GroupAttributes, Guid, IntegrityLevel, NtStatus, Privilege, RequestedMask, Sid, sddl,
    well_known,
};

fn me() -> Builder {
    TokenState::builder(well_known::unix_user(1)).primary_group(well_known::unix_user(1))
}

fn sd(text: &str) -> Descriptor {
    sddl::parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn section_4_an_empty_set_has_all_of_its_privileges_and_not_any() {
    let token = me().build().unwrap();
    let subject = Subject::itself(&token);
    assert!(privilege::check(&subject, &mut [], Need::All, AccessMode::User));
    assert!(!privilege::check(&subject, &mut [], Need::Any, AccessMode::User));
    assert!(privilege::check(&subject, &mut [], Need::Any, AccessMode::Kernel));
}

#[test]
fn section_4_the_user_cannot_be_adjusted_and_removal_is_final() {
    let user = well_known::unix_user(1);
    let token = me().privilege(Privilege::Debug, PrivilegeState::Disabled).build().unwrap();
    let adjusted = token.adjust_groups(&[(user, GroupChange::Disable)]).unwrap();
    assert!(!adjusted.all_assigned && !adjusted.changed && adjusted.state == token);
    let change = |attributes| [LuidAndAttributes::new(Privilege::Debug, attributes)];
    let policy = vicar_nt::token::PowerfulPrivileges::AtAnyIntegrity;
    let removed = token.adjust_privileges(&change(PrivilegeAttributes::REMOVED), policy).state;
    let again = removed.adjust_privileges(&change(PrivilegeAttributes::ENABLED), policy);
    assert!(!again.all_assigned && again.state == removed);
}

/// Makes the descriptor of a new object; generic rights are those of files.
fn make(
    token: Builder,
    parent: Option<&Descriptor>,
    creator: Option<&Descriptor>,
    kind: ObjectKind,
    flags: AssignFlags,
) -> Result<Descriptor, NtStatus> {
    assign(&NewObject {
        parent: parent.map(Descriptor::as_ref),
        creator: creator.map(Descriptor::as_ref),
        token: &token.build().unwrap(),
        kind,
        flags,
        object_types: &[Guid([0xA1; 16])],
        mapping: GenericMapping::FILE,
        server: None,
    })
}

fn made(token: Builder, parent: &str, creator: &str, flags: AssignFlags) -> Result<String, NtStatus> {
    let made = make(token, Some(&sd(parent)), Some(&sd(creator)), ObjectKind::Leaf, flags)?;
    Ok(sddl::print(made.as_ref(), None).unwrap())
}

const OWNER: &str = "O:S-1-22-1-1G:S-1-22-1-1";

#[test]
fn section_5_2_a_defaulted_list_counts_only_where_nothing_is_inherited() {
    let own =
        Acl::builder().allow(&well_known::EVERYONE, GenericMapping::FILE.read, AceFlags::empty()).build().unwrap();
    let creator = Descriptor::builder().dacl(own).control(Control::DACL_DEFAULTED | Control::OWNER_DEFAULTED);
    let creator = creator.build().unwrap();
    for (parent, expected) in [("D:(A;OI;FX;;;BU)", "D:(A;;FX;;;BU)"), ("D:(A;;FX;;;BU)", "D:(A;;FR;;;WD)")] {
        let new = make(me(), Some(&sd(parent)), Some(&creator), ObjectKind::Leaf, AssignFlags::empty()).unwrap();
        assert_eq!(sddl::print(new.as_ref(), None).unwrap(), format!("{OWNER}{expected}"));
        let defaulted = Control::DACL_DEFAULTED | Control::OWNER_DEFAULTED | Control::GROUP_DEFAULTED;
        assert!(!new.as_ref().control().intersects(defaulted));
    }
}

/// What one entry of a parent becomes: flags and masks, by the words of the rules.
fn inherited(flags: u8, is_container: bool, is_auto: bool, mask: u32, creator: bool) -> Vec<(u8, u32, bool)> {
    let (oi, ci, np) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
    let kept = (flags & 0xE0) | if is_auto { 0x10 } else { 0 };
    let mapped = GenericMapping::FILE.map(RequestedMask(mask)).bits() & 0x1F_01FF;
    let effective = |flags: u8| (flags, mapped, false);
    if !is_container {
        return if oi { vec![effective(kept)] } else { vec![] };
    }
    if np {
        return if ci { vec![effective(kept)] } else { vec![] };
    }
    let passed_on = kept | (flags & 3);
    match (ci, oi) {
        (true, _) if mapped != mask || creator => vec![effective(kept), (passed_on | 8, mask, creator)],
        (true, _) => vec![effective(passed_on)],
        (false, true) => vec![(passed_on | 8, mask, creator)],
        (false, false) => vec![],
    }
}

#[test]
fn section_5_3_every_combination_of_flags_is_inherited_by_the_rules() {
    let mut count = 0;
    for flags in 0..=u8::MAX {
        for is_container in [false, true] {
            for auto in [AssignFlags::empty(), AssignFlags::DACL_AUTO_INHERIT] {
                for mask in [0x1u32, 0x8000_0000, 0x01FF_FFFF, 0x12_0089] {
                    for sid in [well_known::EVERYONE, well_known::CREATOR_OWNER] {
                        let ace = AceFlags::from_bits_retain(flags);
                        let list = Acl::builder().allow(&sid, RequestedMask(mask), ace).build().unwrap();
                        let parent = Descriptor::builder().dacl(list).build().unwrap();
                        let kind = if is_container { ObjectKind::Container } else { ObjectKind::Leaf };
                        let new = make(me(), Some(&parent), None, kind, auto).unwrap();
                        let is_creator = sid == well_known::CREATOR_OWNER;
                        let expected = inherited(flags, is_container, !auto.is_empty(), mask, is_creator);
                        let read = |list: AclRef<'_>| -> Vec<(u8, u32, bool)> {
                            list.aces()
                                .map(|ace| {
                                    let parts = *ace.parts().unwrap();
                                    let creator = parts.sid == well_known::CREATOR_OWNER;
                                    assert!(creator || !is_creator || parts.sid == well_known::unix_user(1));
                                    (ace.flags().bits(), parts.mask.0, creator)
                                })
                                .collect()
                        };
                        let got = match new.as_ref().dacl() {
                            Dacl::List(list) => read(list),
                            Dacl::Absent | Dacl::Null => vec![],
                        };
                        assert_eq!(got, expected, "flags {flags:#x} container {is_container} mask {mask:#x} {sid}");
                        count += 1;
                    }
                }
            }
        }
    }
    assert_eq!(count, 256 * 2 * 2 * 4 * 2);
}

#[test]
fn section_5_3_entries_for_types_are_inherited_by_those_types() {
    let own = Guid([0xA1; 16]);
    let other = Guid([0xA2; 16]);
    let property = Guid([0xA3; 16]);
    let with = |text: &str, kind| {
        let new = make(me(), Some(&sd(text)), None, kind, AssignFlags::empty()).unwrap();
        sddl::print(new.as_ref(), None).unwrap().replace(OWNER, "")
    };
    let (leaf, container) = (ObjectKind::Leaf, ObjectKind::Container);
    // Leaves of another type drop it; containers pass it on.
    assert_eq!(with(&format!("D:(OA;OI;CC;;{own};WD)"), leaf), "D:(A;;CC;;;WD)");
    assert_eq!(with(&format!("D:(OA;OI;CC;;{other};WD)"), leaf), "");
    assert_eq!(with(&format!("D:(OA;OICI;CC;;{other};WD)"), container), format!("D:(OA;OICIIO;CC;;{other};WD)"));
    assert_eq!(with(&format!("D:(OA;OI;CC;{property};{own};WD)"), leaf), format!("D:(OA;;CC;{property};;WD)"));
    assert_eq!(with(&format!("D:(OD;OI;CC;{property};;WD)"), leaf), format!("D:(OD;;CC;{property};;WD)"));
}

#[test]
fn section_5_3_labels_attributes_policies_trust_labels_and_filters_are_inherited() {
    let sacl = "(ML;OI;NW;;;ME)(RA;OI;;;;WD;(\"a\",TI,0x0,1))(RA;OI;;;;WD;(\"b\",TI,0x1,1))(SP;OI;;;;S-1-17-1)\
                (TL;OI;FR;;;S-1-19-512-4096)(FL;OI;FR;;;WD;(a))";
    let kept = "(ML;;NW;;;ME)(RA;;;;;WD;(\"a\",TI,0x0,1))(SP;;;;;S-1-17-1)(TL;;FR;;;S-1-19-512-4096)(FL;;FR;;;WD;(a))";
    let parent = format!("S:{sacl}");
    assert_eq!(made(me(), &parent, "", AssignFlags::empty()).unwrap(), format!("{OWNER}S:{kept}"));
    // Attributes and policies pass a protected SACL too.
    let auto = AssignFlags::SACL_AUTO_INHERIT;
    let expected = format!("{OWNER}S:PAI(ML;;NR;;;LW)(RA;ID;;;;WD;(\"a\",TI,0x0,1))(SP;ID;;;;S-1-17-1)");
    assert_eq!(made(me(), &parent, "S:P(ML;;NR;;;LW)", auto).unwrap(), expected);
}

#[test]
fn section_5_3_what_the_creator_gives_is_mapped_and_split() {
    let make = |kind, flags| {
        let creator = sd("D:(A;OICI;GR;;;CO)(A;;0x1ff001f;;;WD)(A;OIIO;GR;;;CG)");
        let new = make(me(), None, Some(&creator), kind, flags).unwrap();
        sddl::print(new.as_ref(), None).unwrap().replace(OWNER, "")
    };
    let (none, auto) = (AssignFlags::empty(), AssignFlags::DACL_AUTO_INHERIT);
    let legacy = "D:(A;OICI;FR;;;CO)(A;;0x1f001f;;;WD)(A;OIIO;GR;;;CG)";
    assert_eq!(make(ObjectKind::Container, none), legacy);
    let split = "D:AI(A;;FR;;;S-1-22-1-1)(A;OICIIO;GR;;;CO)(A;;0x1f001f;;;WD)(A;OIIO;GR;;;CG)";
    assert_eq!(make(ObjectKind::Container, auto), split);
}

#[test]
fn section_5_4_what_a_sacl_needs_a_privilege_for() {
    let none = AssignFlags::empty();
    let refused = Err(NtStatus::PRIVILEGE_NOT_HELD);
    let free = "S:(ML;;NW;;;LW)(RA;;;;;WD;(\"a\",TI,0x0,1))";
    assert_eq!(made(me(), "", free, none).unwrap(), format!("{OWNER}{free}"));
    for entry in ["(AU;SA;FA;;;WD)", "(SP;;;;;S-1-17-1)", "(FL;;FR;;;WD;(a))", "(TL;;FR;;;S-1-19-512-4096)"] {
        let sacl = format!("S:{entry}");
        assert_eq!(made(me(), "", &sacl, none), refused, "{entry}");
        let text = Ok(format!("{OWNER}{sacl}"));
        assert_eq!(made(me(), "", &sacl, AssignFlags::AVOID_PRIVILEGE_CHECK), text);
        let auditor = me().privilege(Privilege::Security, PrivilegeState::Enabled);
        assert_eq!(made(auditor, "", &sacl, none), text);
        assert!(made(me(), &format!("S:{}", entry.replacen(';', ";OI", 1)), "", none).is_ok());
    }
    assert_eq!(made(me(), "", "S:(ML;;NW;;;HI)", none), refused);
    let relabel = me().privilege(Privilege::Relabel, PrivilegeState::Enabled);
    assert!(made(relabel, "", "S:(ML;;NW;;;HI)", none).is_ok());
}

#[test]
fn section_5_4_the_label_of_a_new_object() {
    let low = || me().integrity(IntegrityLevel::LOW);
    let high = || me().integrity(IntegrityLevel::HIGH);
    let (read, write) = (AssignFlags::MACL_NO_READ_UP, AssignFlags::MACL_NO_WRITE_UP);
    let execute = AssignFlags::MACL_NO_EXECUTE_UP;
    let none = AssignFlags::empty();
    let label = |text: &str| Ok(format!("{OWNER}{text}"));
    assert_eq!(made(low(), "", "", none), label("S:(ML;;NW;;;LW)"));
    assert_eq!(made(me(), "", "", none), label(""));
    assert_eq!(made(high(), "", "", none), label(""));
    assert_eq!(made(high(), "", "", read | write | execute), label("S:(ML;;NWNRNX;;;HI)"));
    assert_eq!(made(me(), "", "", execute), label("S:(ML;;NX;;;ME)"));
    // The creator's own label stands, then the inherited one.
    assert_eq!(made(high(), "S:(ML;OI;NW;;;ME)", "S:(ML;;NR;;;LW)", read), label("S:(ML;;NR;;;LW)"));
    assert_eq!(made(high(), "S:(ML;OI;NW;;;ME)", "", read), label("S:(ML;;NW;;;ME)"));
}

#[test]
fn section_5_1_a_group_that_may_own_and_a_deny_only_user_that_may_not() {
    let owner = GroupAttributes::ALWAYS_ENABLED | GroupAttributes::OWNER;
    let none = AssignFlags::empty();
    let group = me().group(well_known::ADMINISTRATORS, owner);
    assert_eq!(made(group, "", "O:BA", none).unwrap(), "O:BAG:S-1-22-1-1");
    let deny_only = me().group(well_known::ADMINISTRATORS, GroupAttributes::OWNER | GroupAttributes::USE_FOR_DENY_ONLY);
    assert_eq!(made(deny_only, "", "O:BA", none), Err(NtStatus::INVALID_OWNER));
    let plain = me().group(well_known::ADMINISTRATORS, GroupAttributes::ALWAYS_ENABLED);
    assert_eq!(made(plain, "", "O:BA", none), Err(NtStatus::INVALID_OWNER));
    let user = me().group(well_known::ADMINISTRATORS, owner).owner(well_known::ADMINISTRATORS).user_deny_only();
    assert_eq!(made(user, "", "O:S-1-22-1-1", none), Err(NtStatus::INVALID_OWNER));
    // The group of an object may be anybody.
    assert_eq!(made(me(), "", "G:BG", none).unwrap(), "O:S-1-22-1-1G:BG");
}

fn groups(sids: &[Sid]) -> Vec<Group> {
    sids.iter().map(|sid| Group::new(*sid, GroupAttributes::empty())).collect()
}

#[test]
fn section_7_the_numbers_and_meanings_of_filter_flags() {
    let flags = [
        FilterFlags::DISABLE_MAX_PRIVILEGE,
        FilterFlags::SANDBOX_INERT,
        FilterFlags::LUA_TOKEN,
        FilterFlags::WRITE_RESTRICTED,
    ];
    assert_eq!(flags.map(|flag| flag.bits()), [1, 2, 4, 8]);
    let token = me().privilege(Privilege::Debug, PrivilegeState::Enabled).build().unwrap();
    let nothing = Filter { flags: FilterFlags::empty(), disable: &[], delete: &[], restrict: &[] };
    let restrict = groups(&[well_known::RESTRICTED_CODE]);
    let flags_of = |filter: &Filter<'_>| token.filter(filter).unwrap().flags();
    let restricted = flags_of(&Filter { restrict: &restrict, ..nothing });
    assert!(restricted.contains(TokenFlags::IS_RESTRICTED) && !restricted.contains(TokenFlags::WRITE_RESTRICTED));
    let write = flags_of(&Filter { flags: FilterFlags::WRITE_RESTRICTED, restrict: &restrict, ..nothing });
    assert!(write.contains(TokenFlags::IS_RESTRICTED | TokenFlags::WRITE_RESTRICTED));
    assert!(flags_of(&Filter { flags: FilterFlags::SANDBOX_INERT, ..nothing }).contains(TokenFlags::SANDBOX_INERT));
    let bits = [TokenFlags::WRITE_RESTRICTED, TokenFlags::IS_RESTRICTED, TokenFlags::SANDBOX_INERT];
    assert_eq!(bits.map(|bit| bit.bits()), [0x8, 0x10, 0x40]);
    assert_eq!(TokenFlags::IS_FILTERED.bits(), 0x800);
    // The most that can be removed is removed whatever the list says; what is not there is passed over.
    let max =
        Filter { flags: FilterFlags::DISABLE_MAX_PRIVILEGE, delete: &[Privilege::ChangeNotify.luid()], ..nothing };
    let kept = me().privilege(Privilege::ChangeNotify, PrivilegeState::Enabled).build().unwrap().filter(&max).unwrap();
    assert!(kept.privileges().is_enabled(Privilege::ChangeNotify));
    let deleted = Filter { delete: &[Privilege::Debug.luid(), Privilege::Tcb.luid()], ..nothing };
    assert_eq!(token.filter(&deleted).unwrap().privileges().present().count(), 0);
}

#[test]
fn section_7_what_is_disabled_stays_so_and_the_user_can_be() {
    let mandatory = GroupAttributes::ALWAYS_ENABLED;
    let token = me().group(well_known::USERS, mandatory).build().unwrap();
    let user = well_known::unix_user(1);
    let disable = [well_known::USERS, user, well_known::GUESTS];
    let filter = Filter { flags: FilterFlags::empty(), disable: &disable, delete: &[], restrict: &[] };
    let weak = token.filter(&filter).unwrap();
    let group = weak.groups()[0];
    assert_eq!(group.attributes, GroupAttributes::MANDATORY | GroupAttributes::USE_FOR_DENY_ONLY);
    assert_eq!((weak.groups().len(), weak.user().attributes.counts_for_allow()), (1, false));
    let enabled = weak.adjust_groups(&[(well_known::USERS, GroupChange::Enable)]);
    assert!(matches!(enabled, Err(NtStatus::CANT_ENABLE_DENY_ONLY)));
    assert_eq!(weak.reset_groups().state, weak);
}

#[test]
fn section_7_restricting_sids_are_stored_enabled_and_the_rest_is_inherited() {
    let name = encode("a");
    let claim =
        Claim::new(Utf16::from_bytes(&name).unwrap(), ClaimType::Int64, ClaimFlags::empty(), &[Value::Integer(1)]);
    let token = me().user_claim(claim.unwrap()).session(3).elevation(Elevation::Full).build().unwrap();
    let restrict = groups(&[well_known::RESTRICTED_CODE]);
    let filter = Filter { flags: FilterFlags::empty(), disable: &[], delete: &[], restrict: &restrict };
    let weak = token.filter(&filter).unwrap();
    assert_eq!(weak.restricting_sids()[0].attributes, GroupAttributes::ALWAYS_ENABLED);
    assert_eq!((weak.session(), weak.user_claims(), weak.integrity()), (3, token.user_claims(), token.integrity()));
}

#[test]
fn section_7_an_administrator_who_has_not_elevated_keeps_five_privileges_and_no_powerful_group() {
    let builtin = [544u32, 547, 548, 549, 550, 551, 552, 553, 554, 556, 569];
    let of_domain = [498u32, 512, 516, 517, 518, 519, 520];
    let mut token = me().integrity(IntegrityLevel::HIGH);
    let sid = |text: String| text.parse::<Sid>().unwrap();
    let powerful: Vec<Sid> = builtin
        .iter()
        .map(|rid| sid(format!("S-1-5-32-{rid}")))
        .chain(of_domain.iter().map(|rid| sid(format!("S-1-5-21-1-2-3-{rid}"))))
        .collect();
    let harmless = [well_known::USERS, sid("S-1-5-21-1-2-3-513".to_owned()), well_known::EVERYONE];
    for group in powerful.iter().chain(&harmless) {
        token = token.group(*group, GroupAttributes::ALWAYS_ENABLED | GroupAttributes::OWNER);
    }
    for privilege in Privilege::ALL {
        token = token.privilege(privilege, PrivilegeState::Enabled);
    }
    let token = token.owner(well_known::ADMINISTRATORS).build().unwrap();
    let filter = Filter { flags: FilterFlags::LUA_TOKEN, disable: &[], delete: &[], restrict: &[] };
    let weak = token.filter(&filter).unwrap();
    let kept: Vec<Privilege> = weak.privileges().present().iter().collect();
    use Privilege::{ChangeNotify, IncreaseWorkingSet, Shutdown, TimeZone, Undock};
    assert_eq!(kept, [Shutdown, ChangeNotify, Undock, IncreaseWorkingSet, TimeZone]);
    assert!(
        powerful.iter().all(|group| !weak.counts_for_allow(group.as_ref()) && weak.counts_for_deny(group.as_ref()))
    );
    assert!(harmless.iter().all(|group| weak.counts_for_allow(group.as_ref())));
    assert_eq!(weak.integrity(), Some(IntegrityLevel::MEDIUM));
    assert_eq!(*weak.default_owner(), well_known::unix_user(1));
    assert!(weak.is_filtered());
}

#[test]
fn section_5_2_a_null_or_empty_sacl_of_the_creator_needs_no_privilege() {
    for (given, list) in [("S:NO_ACCESS_CONTROL", true), ("S:", false)] {
        let new = make(me(), None, Some(&sd(given)), ObjectKind::Leaf, AssignFlags::empty()).unwrap();
        assert_eq!(matches!(new.as_ref().sacl(), Sacl::Null), list, "{given}");
    }
}
