//! Both sides of every switch of the check.

use vicar_nt::acl::{AceFlags, Acl};
use vicar_nt::check::{
    AccessRequest, AppContainerIntegrity, CheckOptions, OwnerWhenWriteRestricted, Refusal, Subject,
    TypedDenyWithoutList, UnknownAces, UnknownCentralPolicy, decide,
};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::token::{Builder, TokenState};
use vicar_nt::{GenericMapping, GroupAttributes, IntegrityLevel, RequestedMask, sddl, well_known};

fn me() -> Builder {
    TokenState::builder(well_known::unix_user(1)).group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
}

fn is_granted(token: Builder, sd: &Descriptor, desired: u32, options: CheckOptions) -> Result<(), Refusal> {
    let token = token.build().unwrap();
    let subject = Subject::itself(&token);
    let request = AccessRequest::new(subject, sd.as_ref(), RequestedMask(desired), GenericMapping::FILE);
    decide(&AccessRequest { options, ..request }).map(|_| ()).map_err(|denial| denial.by)
}

fn parse(text: &str) -> Descriptor {
    sddl::parse(text, None).unwrap()
}

const STANDARD: CheckOptions = CheckOptions::STANDARD;

#[test]
fn section_1_3_unknown_types_are_skipped_or_refused() {
    let acl = Acl::builder().parse_entry(&[0x16, 0, 4, 0]).unwrap().allow(
        &well_known::EVERYONE,
        RequestedMask(1),
        AceFlags::empty(),
    );
    let sd = Descriptor::builder().owner(well_known::LOCAL_SYSTEM).dacl(acl.build().unwrap()).build().unwrap();
    let with = |unknown_aces| is_granted(me(), &sd, 1, CheckOptions { unknown_aces, ..STANDARD });
    assert_eq!(with(UnknownAces::Skip), Ok(()));
    assert_eq!(with(UnknownAces::Refuse), Err(Refusal::UnknownAce { index: 0 }));
}

#[test]
fn section_3_12_a_typed_deny_without_a_list_denies_or_not() {
    let sd = parse("O:SYG:SYD:(OD;;0x1;bf967aba-0de6-11d0-a285-00aa003049e2;;WD)(A;;0x1;;;WD)");
    let with = |typed_deny_without_list| {
        is_granted(me(), &sd, 1, CheckOptions { typed_deny_without_list, ..STANDARD }).is_ok()
    };
    assert!(!with(TypedDenyWithoutList::Denies) && with(TypedDenyWithoutList::Ignored));
}

#[test]
fn section_3_7_a_write_restricted_owner() {
    let sd = parse("O:S-1-22-1-1G:SYD:");
    let token = || me().restricting(well_known::WRITE_RESTRICTED).write_restricted();
    let with = |owner_when_write_restricted| {
        is_granted(token(), &sd, 0x2_0000, CheckOptions { owner_when_write_restricted, ..STANDARD }).is_ok()
    };
    assert!(!with(OwnerWhenWriteRestricted::MustBeRestrictingSid) && with(OwnerWhenWriteRestricted::Implied));
}

#[test]
fn section_3_5_integrity_of_a_package() {
    let sd = parse("O:SYG:SYD:(A;;FA;;;WD)(A;;FA;;;AC)");
    let token = || me().app_container("S-1-15-2-1-2-3-4-5-6-7".parse().unwrap()).integrity(IntegrityLevel::LOW);
    let with =
        |app_container_integrity| is_granted(token(), &sd, 2, CheckOptions { app_container_integrity, ..STANDARD });
    assert_eq!(with(AppContainerIntegrity::WaivedUpToMedium), Ok(()));
    assert_eq!(with(AppContainerIntegrity::Enforced), Err(Refusal::Integrity));
}

#[test]
fn section_3_14_an_unknown_policy() {
    let sd = parse("O:SYG:SYD:(A;;FA;;;WD)S:(SP;;;;;S-1-17-9)");
    let with = |unknown_central_policy| is_granted(me(), &sd, 1, CheckOptions { unknown_central_policy, ..STANDARD });
    assert_eq!(with(UnknownCentralPolicy::NoPolicy), Ok(()));
    assert_eq!(with(UnknownCentralPolicy::Recovery), Err(Refusal::CentralRule { index: 0 }));
}
