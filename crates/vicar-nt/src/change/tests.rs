use super::*;
use crate::assign::ObjectKind;
use crate::descriptor::Descriptor;
use crate::mask::GenericMapping;
use crate::privilege::{Privilege, PrivilegeState};
use crate::status::NtStatus;
use crate::token::{Builder, TokenState};
use crate::{GroupAttributes, IntegrityLevel, sddl, well_known};
use SecurityInformation as Info;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

fn sd(text: &str) -> Descriptor {
    sddl::parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn me() -> Builder {
    TokenState::builder(well_known::unix_user(1))
        .group(well_known::ADMINISTRATORS, GroupAttributes::ALWAYS_ENABLED | GroupAttributes::OWNER)
}

fn change(token: &TokenState, old: &str, new: &str, parts: Info, flags: SetFlags) -> Result<String, NtStatus> {
    let (old, new) = (sd(old), sd(new));
    let mapping = GenericMapping::FILE;
    let change = Change { current: Some(old.as_ref()), new: new.as_ref(), parts, flags, token, mapping };
    set(&change).map(|sd| {
        assert_eq!(Descriptor::parse(sd.as_bytes()).unwrap(), sd);
        sddl::print(sd.as_ref(), None).unwrap()
    })
}

fn plain(old: &str, new: &str, parts: Info) -> String {
    change(&me().build().unwrap(), old, new, parts, SetFlags::empty()).unwrap()
}

#[test]
fn section_5_6_access_to_set_and_to_query() {
    let (owner, dac) = (AccessMask::WRITE_OWNER, AccessMask::WRITE_DAC);
    let (security, read) = (AccessMask::ACCESS_SYSTEM_SECURITY, AccessMask::READ_CONTROL);
    for (parts, to_set, to_query) in [
        (Info::OWNER, owner, read),
        (Info::GROUP, owner, read),
        (Info::LABEL, owner, read),
        (Info::DACL, dac, read),
        (Info::ATTRIBUTE, dac, read),
        (Info::SACL, security, security),
        (Info::SCOPE, security, read),
        (Info::PROTECTED_SACL, security, AccessMask::NONE),
        (Info::UNPROTECTED_SACL, security, AccessMask::NONE),
        (Info::PROTECTED_DACL, dac, AccessMask::NONE),
        (Info::UNPROTECTED_DACL, dac, AccessMask::NONE),
        (Info::BACKUP, dac | owner | security, read | security),
        (Info::TRUST_LABEL, dac | owner | security, read),
        (Info::ACCESS_FILTER, dac | owner | security, read),
        (Info::OWNER | Info::DACL, owner | dac, read),
        (Info::empty(), AccessMask::NONE, AccessMask::NONE),
    ] {
        assert_eq!((access_to_set(parts), access_to_query(parts)), (to_set, to_query), "{parts:?}");
    }
}

const OLD: &str = "O:SYG:SYD:AI(A;;FR;;;WD)(A;ID;FX;;;BU)S:(AU;SA;FA;;;WD)(ML;;NW;;;ME)(SP;;;;;S-1-17-1)";

#[test]
fn section_5_6_only_the_named_parts_are_replaced() {
    let new = "O:BAG:BUD:(A;;GA;;;BA)S:(AU;FA;FA;;;BU)(ML;;NR;;;LW)(RA;;;;;WD;(\"a\",TI,0x0,1))";
    assert_eq!(plain(OLD, new, Info::empty()), OLD);
    assert_eq!(plain(OLD, new, Info::OWNER), OLD.replace("O:SY", "O:BA"));
    assert_eq!(plain(OLD, new, Info::GROUP), OLD.replace("G:SY", "G:BU"));
    // Generic rights are mapped, and AUTO_INHERITED goes: the new descriptor does not ask for it.
    assert_eq!(plain(OLD, new, Info::DACL), OLD.replace("AI(A;;FR;;;WD)(A;ID;FX;;;BU)", "(A;;FA;;;BA)"));
    let sacl = |text: &str| alloc::format!("{}{text}", &OLD[..OLD.find("S:(").unwrap()]);
    assert_eq!(plain(OLD, new, Info::SACL), sacl("S:(AU;FA;FA;;;BU)(ML;;NW;;;ME)(SP;;;;;S-1-17-1)"));
    assert_eq!(plain(OLD, new, Info::LABEL), sacl("S:(ML;;NR;;;LW)(AU;SA;FA;;;WD)(SP;;;;;S-1-17-1)"));
    assert_eq!(plain(OLD, new, Info::SCOPE), sacl("S:(AU;SA;FA;;;WD)(ML;;NW;;;ME)"));
    let with_attribute = sacl("S:(RA;;;;;WD;(\"a\",TI,0x0,1))(AU;SA;FA;;;WD)(ML;;NW;;;ME)(SP;;;;;S-1-17-1)");
    assert_eq!(plain(OLD, new, Info::ATTRIBUTE), with_attribute);
    let all = "O:BAG:BUD:(A;;FA;;;BA)S:(AU;FA;FA;;;BU)(ML;;NR;;;LW)(RA;;;;;WD;(\"a\",TI,0x0,1))";
    assert_eq!(plain(OLD, new, Info::BACKUP), all);
    assert_eq!(plain("O:SYG:SY", "S:(ML;;NW;;;LW)", Info::LABEL), "O:SYG:SYS:(ML;;NW;;;LW)");
    assert_eq!(plain("O:SYG:SY", "", Info::SACL), "O:SYG:SY");
    assert_eq!(plain("O:SYG:SYD:", "D:NO_ACCESS_CONTROL", Info::DACL), "O:SYG:SYD:NO_ACCESS_CONTROL");
}

#[test]
fn section_5_6_protected_and_unprotected() {
    assert_eq!(plain("O:SYG:SYD:", "D:", Info::DACL | Info::PROTECTED_DACL), "O:SYG:SYD:P");
    assert_eq!(plain("O:SYG:SYD:P", "D:P", Info::DACL | Info::UNPROTECTED_DACL), "O:SYG:SYD:");
    assert_eq!(plain("O:SYG:SYS:", "S:", Info::SACL | Info::PROTECTED_SACL), "O:SYG:SYS:P");
    let token = me().build().unwrap();
    let both = Info::PROTECTED_DACL | Info::UNPROTECTED_DACL;
    assert_eq!(change(&token, "D:", "D:", both, SetFlags::empty()), Err(NtStatus::INVALID_PARAMETER));
    // Both bits together ask to store AUTO_INHERITED; one alone does not.
    assert_eq!(plain("O:SYG:SYD:", "D:ARAI", Info::DACL), "O:SYG:SYD:AI");
    assert_eq!(plain("O:SYG:SYD:", "D:AI", Info::DACL), "O:SYG:SYD:");
}

#[test]
fn section_5_6_the_ex_form_keeps_what_the_current_list_inherited() {
    let token = me().build().unwrap();
    let auto = |old: &str, new: &str| change(&token, old, new, Info::DACL, SetFlags::DACL_AUTO_INHERIT).unwrap();
    let old = "O:SYG:SYD:AI(A;;FR;;;WD)(A;ID;FX;;;BU)";
    assert_eq!(auto(old, "D:(A;;FA;;;BA)(A;ID;FA;;;AN)"), "O:SYG:SYD:AI(A;;FA;;;BA)(A;ID;FX;;;BU)");
    assert_eq!(auto(old, "D:P(A;;FA;;;BA)(A;ID;FA;;;AN)"), "O:SYG:SYD:PAI(A;;FA;;;BA)(A;;FA;;;AN)");
    assert_eq!(auto("O:SYG:SYD:P(A;ID;FX;;;BU)", "D:(A;ID;FA;;;AN)"), "O:SYG:SYD:AI(A;ID;FA;;;AN)");
}

#[test]
fn section_5_6_a_change_needs_an_object_with_a_descriptor() {
    let token = me().build().unwrap();
    let new = sd("O:BA");
    let mapping = GenericMapping::FILE;
    let (parts, flags) = (Info::OWNER, SetFlags::empty());
    let change = Change { current: None, new: new.as_ref(), parts, flags, token: &token, mapping };
    assert_eq!(set(&change), Err(NtStatus::NO_SECURITY_ON_OBJECT));
    assert_eq!(query(None, Info::OWNER), Err(NtStatus::NO_SECURITY_ON_OBJECT));
}

#[test]
fn section_5_1_who_may_be_named_owner_of_an_existing_object() {
    let token = me().build().unwrap();
    let owner = |token: &TokenState, new: &str, flags| change(token, "O:SYG:SY", new, Info::OWNER, flags);
    assert_eq!(owner(&token, "O:BA", SetFlags::empty()).unwrap(), "O:BAG:SY");
    assert_eq!(owner(&token, "O:BU", SetFlags::empty()), Err(NtStatus::INVALID_OWNER));
    assert_eq!(owner(&token, "", SetFlags::AVOID_OWNER_CHECK), Err(NtStatus::INVALID_OWNER));
    assert!(owner(&token, "O:BU", SetFlags::AVOID_OWNER_CHECK).is_ok());
    let restorer = me().privilege(Privilege::Restore, PrivilegeState::Enabled).build().unwrap();
    assert!(owner(&restorer, "O:BU", SetFlags::empty()).is_ok());
    // Taking ownership lets one name oneself only.
    let taker = me().privilege(Privilege::TakeOwnership, PrivilegeState::Enabled).build().unwrap();
    assert_eq!(owner(&taker, "O:BU", SetFlags::empty()), Err(NtStatus::INVALID_OWNER));
    let group = change(&token, "O:SYG:SY", "O:BA", Info::GROUP, SetFlags::empty());
    assert_eq!(group, Err(NtStatus::INVALID_PRIMARY_GROUP));
}

#[test]
fn section_3_5_a_label_above_the_token_needs_relabel() {
    let label = |token: Builder, new: &str, flags| {
        change(&token.build().unwrap(), "O:SYG:SY", new, Info::LABEL, flags).map(|_| ())
    };
    let none = SetFlags::empty();
    assert_eq!(label(me(), "S:(ML;;NW;;;ME)", none), Ok(()));
    assert_eq!(label(me(), "S:(ML;;NW;;;HI)", none), Err(NtStatus::PRIVILEGE_NOT_HELD));
    assert_eq!(label(me(), "S:(ML;;NW;;;HI)", SetFlags::AVOID_PRIVILEGE_CHECK), Ok(()));
    assert_eq!(label(me().integrity(IntegrityLevel::LOW), "S:(ML;;NW;;;ME)", none), Err(NtStatus::PRIVILEGE_NOT_HELD));
    let relabel = me().privilege(Privilege::Relabel, PrivilegeState::Enabled);
    assert_eq!(label(relabel, "S:(ML;;NW;;;SI)", none), Ok(()));
}

#[test]
fn section_3_4_a_protected_filter_is_changed_by_the_trusted_only() {
    let old = "O:SYG:SYS:(FL;TP;FR;;;WD;(@User.a == 1))(TL;;FR;;;S-1-19-512-4096)";
    let filter = |token: Builder, new: &str| {
        change(&token.build().unwrap(), old, new, Info::ACCESS_FILTER, SetFlags::empty()).map(|_| ())
    };
    assert_eq!(filter(me(), "S:"), Err(NtStatus::ACCESS_DENIED));
    assert_eq!(filter(me(), "S:(FL;TP;FR;;;WD;(@User.a == 1))"), Ok(()));
    let trust = |text: &str| me().trust(text.parse().unwrap());
    assert_eq!(filter(trust("S-1-19-512-1024"), "S:"), Err(NtStatus::ACCESS_DENIED));
    assert_eq!(filter(trust("S-1-19-512-4096"), "S:"), Ok(()));
    let label = |token: Builder, new: &str| {
        change(&token.build().unwrap(), "O:SYG:SY", new, Info::TRUST_LABEL, SetFlags::empty()).map(|_| ())
    };
    assert_eq!(label(me(), "S:(TL;;FR;;;S-1-19-512-4096)"), Err(NtStatus::ACCESS_DENIED));
    assert_eq!(label(trust("S-1-19-1024-8192"), "S:(TL;;FR;;;S-1-19-512-4096)"), Ok(()));
}

#[test]
fn a_query_returns_the_named_parts_only() {
    let current = sd(OLD);
    let ask = |parts| sddl::print(query(Some(current.as_ref()), parts).unwrap().as_ref(), None).unwrap();
    assert_eq!(ask(Info::OWNER), "O:SY");
    assert_eq!(ask(Info::GROUP), "G:SY");
    assert_eq!(ask(Info::DACL), "D:AI(A;;FR;;;WD)(A;ID;FX;;;BU)");
    assert_eq!(ask(Info::SACL), "S:(AU;SA;FA;;;WD)");
    assert_eq!(ask(Info::LABEL), "S:(ML;;NW;;;ME)");
    assert_eq!(ask(Info::SCOPE), "S:(SP;;;;;S-1-17-1)");
    assert_eq!(ask(Info::ATTRIBUTE), "");
    assert_eq!(ask(Info::BACKUP), OLD);
}

struct Folders(Vec<(u32, Vec<Member<u32>>)>);

impl Tree for Folders {
    type Id = u32;
    fn children(&self, of: &u32) -> Vec<Member<u32>> {
        self.0.iter().filter(|(id, _)| id == of).flat_map(|(_, members)| members.clone()).collect()
    }
}

fn member(id: u32, text: &str, kind: ObjectKind) -> Member<u32> {
    Member { id, descriptor: sd(text), kind }
}

#[test]
fn section_5_6_propagation_skips_what_is_protected_and_keeps_what_is_explicit() {
    let (leaf, container) = (ObjectKind::Leaf, ObjectKind::Container);
    let tree = Folders(vec![
        (
            0,
            vec![
                member(1, "O:SYG:SYD:(A;;FA;;;SY)(A;ID;FR;;;WD)", container),
                member(2, "O:SYG:SYD:P(A;;FA;;;SY)", container),
                member(3, "O:SYG:SY", leaf),
                member(4, "O:SYG:SYD:AI(A;ID;FX;;;BU)", leaf),
            ],
        ),
        (1, vec![member(11, "O:BAG:SYD:(A;ID;FR;;;WD)", leaf)]),
        (2, vec![member(21, "O:SYG:SYD:(A;ID;FR;;;WD)", leaf)]),
    ]);
    let run = |root: &str| -> Vec<(u32, Update, String)> {
        propagate(&tree, 0, sd(root), Lists::Dacl, &GenericMapping::FILE)
            .map(|item| item.unwrap())
            .map(|item| (item.id, item.update, sddl::print(item.descriptor.as_ref(), None).unwrap()))
            .collect()
    };
    let answers = run("O:SYG:SYD:(A;OICI;FX;;;BU)(A;OICIIO;GR;;;CO)");
    let expected = [
        (1, Update::Changed, "O:SYG:SYD:AI(A;;FA;;;SY)(A;OICIID;FX;;;BU)(A;ID;FR;;;SY)(A;OICIIOID;GR;;;CO)"),
        (11, Update::Changed, "O:BAG:SYD:AI(A;ID;FX;;;BU)(A;ID;FR;;;BA)"),
        (2, Update::Protected, "O:SYG:SYD:P(A;;FA;;;SY)"),
        (3, Update::Changed, "O:SYG:SYD:AI(A;ID;FX;;;BU)(A;ID;FR;;;SY)"),
        (4, Update::Changed, "O:SYG:SYD:AI(A;ID;FX;;;BU)(A;ID;FR;;;SY)"),
    ];
    assert_eq!(answers.len(), expected.len());
    for ((id, update, text), expected) in answers.iter().zip(expected) {
        assert_eq!((*id, *update, text.as_str()), expected);
    }
    // Losing everything that was inherited leaves an empty list; having nothing to inherit leaves no list.
    let answers = run("O:SYG:SYD:");
    let texts: Vec<&str> = answers.iter().map(|(_, _, text)| text.as_str()).collect();
    assert_eq!(texts[4], "O:SYG:SYD:AI");
    assert_eq!(texts[3], "O:SYG:SY");
    let same = run("O:SYG:SYD:(A;OI;FX;;;BU)");
    assert_eq!(same[4].1, Update::Unchanged);
}

#[test]
fn section_5_3_attributes_and_policies_are_inherited_by_sacls_too() {
    let parent = sd(
        "O:SYG:SYS:(AU;OISA;FR;;;WD)(RA;OI;;;;WD;(\"a\",TI,0x0,1))(RA;OI;;;;WD;(\"b\",TI,0x1,1))(SP;OI;;;;S-1-17-1)",
    );
    let object = sd("O:SYG:SYS:(AU;IDFA;FW;;;WD)(AU;FA;FX;;;BU)");
    let (leaf, file) = (ObjectKind::Leaf, GenericMapping::FILE);
    let new = inherit_again(object.as_ref(), parent.as_ref(), Lists::Both, leaf, &[], &file).unwrap();
    let text = sddl::print(new.as_ref(), None).unwrap();
    let expected = "S:AI(AU;FA;FX;;;BU)(AU;IDSA;FR;;;WD)(RA;ID;;;;WD;(\"a\",TI,0x0,1))(SP;ID;;;;S-1-17-1)";
    assert_eq!(text, alloc::format!("O:SYG:SY{expected}"));
}

#[test]
fn section_5_6_merging_inherits_from_the_parent_and_orders() {
    let token = me().build().unwrap();
    let parent = sd("O:SYG:SYD:(A;OI;FR;;;BU)(A;CI;FW;;;WD)");
    let merged = |old: &str, new: &str, parts: Info| {
        let (old, new) = (sd(old), sd(new));
        let (flags, mapping) = (SetFlags::empty(), GenericMapping::FILE);
        let change = Change { current: Some(old.as_ref()), new: new.as_ref(), parts, flags, token: &token, mapping };
        let sd = merge(&change, Some(parent.as_ref()), ObjectKind::Leaf, &[]).unwrap();
        sddl::print(sd.as_ref(), None).unwrap()
    };
    let old = "O:SYG:SYD:AI(A;;FR;;;WD)(A;ID;FX;;;AN)";
    let inherited = "(A;ID;FR;;;BU)";
    assert_eq!(merged(old, "D:(A;;GA;;;BA)", Info::DACL), alloc::format!("O:SYG:SYD:AI(A;;FA;;;BA){inherited}"));
    assert_eq!(merged(old, "D:(A;ID;FA;;;BA)", Info::DACL), alloc::format!("O:SYG:SYD:AI{inherited}"));
    let protected = merged(old, "D:(A;ID;FA;;;BA)", Info::DACL | Info::PROTECTED_DACL);
    assert_eq!(protected, "O:SYG:SYD:PAI(A;;FA;;;BA)");
    let unprotected = merged("O:SYG:SYD:P(A;;FR;;;WD)", "D:(A;;FR;;;WD)", Info::DACL | Info::UNPROTECTED_DACL);
    assert_eq!(unprotected, alloc::format!("O:SYG:SYD:AI(A;;FR;;;WD){inherited}"));
    assert_eq!(merged(old, "O:BA", Info::OWNER), old.replace("O:SY", "O:BA"));
    // In order it means the same.
    let ordered = merged(old, "D:(A;;0x1;;;WD)(D;;0x2;;;BG)", Info::DACL);
    assert_eq!(ordered, alloc::format!("O:SYG:SYD:AI(D;;DC;;;BG)(A;;CC;;;WD){inherited}"));
    // In order it would mean something else: it stays, protected.
    let kept = merged(old, "D:(A;;0x3;;;WD)(D;;0x2;;;BG)", Info::DACL);
    assert_eq!(kept, alloc::format!("O:SYG:SYD:PAI(A;;CCDC;;;WD)(D;;DC;;;BG){inherited}"));
}

#[test]
fn section_5_4_a_creator_can_ask_for_entries_that_name_the_server() {
    use crate::assign::{AssignFlags, NewObject, assign};
    use crate::check::{AccessRequest, Subject, decide};
    use crate::descriptor::Control;
    let token = me().primary_group(well_known::USERS).build().unwrap();
    let asked = sd("D:(A;;GR;;;WD)(D;;FW;;;BG)");
    let crate::descriptor::Dacl::List(list) = asked.as_ref().dacl() else { panic!("a list") };
    let creator = Descriptor::builder().dacl(list.to_acl()).control(Control::SERVER_SECURITY).build().unwrap();
    let object = NewObject {
        parent: None,
        creator: Some(creator.as_ref()),
        token: &token,
        kind: ObjectKind::Leaf,
        flags: AssignFlags::empty(),
        object_types: &[],
        mapping: GenericMapping::FILE,
        server: None,
    };
    assert_eq!(assign(&object), Err(NtStatus::NOT_SUPPORTED));
    let made = assign(&NewObject { server: Some(&well_known::LOCAL_SERVICE), ..object }).unwrap();
    let crate::descriptor::Dacl::List(list) = made.as_ref().dacl() else { panic!("a list") };
    let kinds: Vec<AceKind> = list.aces().map(|ace| ace.kind()).collect();
    assert_eq!((list.revision(), kinds), (3, vec![AceKind::AllowCompound, AceKind::Deny]));
    let client = TokenState::builder(well_known::unix_user(9))
        .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
        .build()
        .unwrap();
    let through = |server| {
        let server = TokenState::builder(server).build().unwrap();
        let subject = Subject::client(&client, crate::ImpersonationLevel::Impersonation, &server);
        decide(&AccessRequest::new(subject, made.as_ref(), crate::RequestedMask(1), GenericMapping::FILE)).is_ok()
    };
    assert!(through(well_known::LOCAL_SERVICE) && !through(well_known::NETWORK_SERVICE));
}
