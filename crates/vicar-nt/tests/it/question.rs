//! What the caller of a check gives besides the object: mode, level, options.

use vicar_nt::acl::Acl;
use vicar_nt::check::{
    AccessMode, AccessRequest, Api, AppContainerIntegrity, CheckOptions, Denial, OwnerWhenWriteRestricted, Refusal,
    Subject, TypedDenyWithoutList, UnknownAces, UnknownCentralPolicy, decide, decide_each,
};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::token::{Builder, TokenState};
use vicar_nt::{
    GenericMapping, GroupAttributes, ImpersonationLevel, IntegrityLevel, NtStatus, RequestedMask, sddl, well_known,
};

use ImpersonationLevel::{Anonymous, Delegation, Identification, Impersonation};

fn alice() -> Builder {
    TokenState::builder(well_known::unix_user(1000)).group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
}

fn object(text: &str) -> Descriptor {
    sddl::parse(text, None).unwrap()
}

/// Asks for one right of an object; `change` may change the question.
fn check(
    token: Builder,
    level: Option<ImpersonationLevel>,
    text: &str,
    desired: u32,
    change: impl FnOnce(&mut AccessRequest<'_>),
) -> Result<u32, Denial> {
    let (token, sd) = (token.build().unwrap(), object(text));
    let server = TokenState::builder(well_known::LOCAL_SERVICE).build().unwrap();
    let subject = match level {
        Some(level) => Subject::client(&token, level, &server),
        None => Subject::itself(&token),
    };
    let mut request = AccessRequest::new(subject, sd.as_ref(), RequestedMask(desired), GenericMapping::FILE);
    change(&mut request);
    decide(&request).map(|grant| grant.mask().bits())
}

fn status(answer: Result<u32, Denial>) -> NtStatus {
    answer.map_or_else(|denial| denial.status(), |_| NtStatus::SUCCESS)
}

#[test]
fn a_client_below_impersonation_gets_nothing_whatever_the_dacl_says() {
    for desired in [1, RequestedMask::MAXIMUM_ALLOWED.0, 0] {
        for level in [Anonymous, Identification] {
            let answer = check(alice(), Some(level), "O:SYG:SYD:NO_ACCESS_CONTROL", desired, |_| ());
            assert_eq!(status(answer), NtStatus::BAD_IMPERSONATION_LEVEL);
        }
    }
    for level in [None, Some(Impersonation), Some(Delegation)] {
        let answer = check(alice(), level, "O:SYG:SYD:NO_ACCESS_CONTROL", 1, |_| ());
        assert_eq!(answer, Ok(1));
    }
}

#[test]
fn the_kernel_itself_is_not_checked() {
    let kernel = |request: &mut AccessRequest<'_>| request.mode = AccessMode::Kernel;
    assert_eq!(check(alice(), Some(Anonymous), "O:SYG:SYD:", 0x3, kernel), Ok(0x3));
    let maximum = RequestedMask::MAXIMUM_ALLOWED.0 | 0x0100_0000;
    assert_eq!(check(alice(), None, "O:SYG:SYD:", maximum, kernel), Ok(0x011F_01FF));
}

#[test]
fn a_missing_descriptor_refuses_before_the_level_is_looked_at() {
    let missing = |request: &mut AccessRequest<'_>| request.descriptor = None;
    let answer = check(alice(), Some(Identification), "O:SYG:SY", 1, missing).unwrap_err();
    assert_eq!((answer.by, answer.status()), (Refusal::NoDescriptor, NtStatus::ACCESS_DENIED));
}

#[test]
fn a_server_may_ask_about_its_own_objects_with_a_client_it_can_only_identify() {
    let own = |request: &mut AccessRequest<'_>| request.api = Api::NtAccessCheck;
    let text = "O:SYG:SYD:(A;;FA;;;WD)";
    for (level, text, desired, expected) in [
        (Some(Identification), text, 1, NtStatus::SUCCESS),
        (Some(Anonymous), text, 1, NtStatus::BAD_IMPERSONATION_LEVEL),
        (None, text, 1, NtStatus::NO_IMPERSONATION_TOKEN),
        (Some(Identification), text, 0x8000_0000, NtStatus::GENERIC_NOT_MAPPED),
        (Some(Identification), "O:SYD:(A;;FA;;;WD)", 1, NtStatus::INVALID_SECURITY_DESCR),
        (Some(Identification), "G:SYD:(A;;FA;;;WD)", 1, NtStatus::INVALID_SECURITY_DESCR),
    ] {
        assert_eq!(status(check(alice(), level, text, desired, own)), expected, "{level:?} {text} {desired:#x}");
    }
}

#[test]
fn a_right_that_means_nothing_for_the_type_is_not_granted() {
    let none = |request: &mut AccessRequest<'_>| request.mapping = GenericMapping::NONE;
    let answer = check(alice(), None, "O:SYG:SYD:NO_ACCESS_CONTROL", 0x8000_0000, none).unwrap_err();
    assert_eq!(answer.by, Refusal::NothingDesired);
}

#[test]
fn the_subject_is_told_nothing_but_that_it_is_denied() {
    let denial = check(alice(), None, "O:SYG:SYD:(D;;0x1;;;WD)", 3, |_| ()).unwrap_err();
    assert_eq!(denial.to_string(), "access denied");
    assert_eq!(denial.missing.bits(), 3);
}

#[test]
fn a_grant_remembers_its_descriptor() {
    let (token, sd) = (alice().build().unwrap(), object("O:SYG:SYD:(A;;FA;;;WD)"));
    let request = AccessRequest::new(Subject::itself(&token), sd.as_ref(), RequestedMask(1), GenericMapping::FILE);
    let grant = decide(&request).unwrap();
    assert!(grant.descriptor().is_some_and(|of| of.is_same_object(&sd.as_ref())));
}

/// Asks with one option changed.
fn with(change: impl FnOnce(&mut CheckOptions)) -> impl FnOnce(&mut AccessRequest<'_>) {
    move |request| change(&mut request.options)
}

#[test]
fn unknown_entries_are_skipped_unless_they_are_to_refuse() {
    let (token, known) = (alice().build().unwrap(), object("D:(A;;FA;;;WD)"));
    let vicar_nt::descriptor::Dacl::List(list) = known.as_ref().dacl() else { panic!("no list") };
    // The unknown entry stands behind the one that grants, and counts all the same.
    let builder = list.aces().fold(Acl::builder(), |acl, ace| acl.verbatim(&ace));
    let dacl = builder.parse_entry(&[0x16, 0, 4, 0]).unwrap().build().unwrap();
    let sd = Descriptor::builder().owner(well_known::LOCAL_SYSTEM).dacl(dacl).build().unwrap();
    let ask = |unknown_aces| {
        let subject = Subject::itself(&token);
        let request = AccessRequest::new(subject, sd.as_ref(), RequestedMask(1), GenericMapping::FILE);
        let options = CheckOptions { unknown_aces, ..CheckOptions::STANDARD };
        decide(&AccessRequest { options, ..request }).map(|grant| grant.mask().bits())
    };
    assert_eq!(ask(UnknownAces::Skip), Ok(1));
    assert_eq!(ask(UnknownAces::Refuse).unwrap_err().by, Refusal::UnknownAce { index: 1 });
}

#[test]
fn every_uncertain_rule_can_be_chosen() {
    let typed = "O:SYG:SYD:(OD;;0x1;00000000-0000-0000-0000-0000000000a1;;WD)(A;;0x1;;;WD)";
    let ignored = with(|options| options.typed_deny_without_list = TypedDenyWithoutList::Ignored);
    assert!(check(alice(), None, typed, 1, |_| ()).is_err());
    assert_eq!(check(alice(), None, typed, 1, ignored), Ok(1));

    let owned = "O:S-1-22-1-1000G:SYD:";
    let written = || alice().restricting(well_known::WRITE_RESTRICTED).write_restricted();
    let implied = with(|options| options.owner_when_write_restricted = OwnerWhenWriteRestricted::Implied);
    assert!(check(written(), None, owned, 0x2_0000, |_| ()).is_err());
    assert_eq!(check(written(), None, owned, 0x2_0000, implied), Ok(0x2_0000));

    let both = "O:SYG:SYD:(A;;0x2;;;WD)(A;;0x2;;;AC)";
    let package = || {
        let sid = "S-1-15-2-1-2-3-4-5-6-7".parse().unwrap();
        alice().app_container(sid).integrity(IntegrityLevel::LOW)
    };
    let enforced = with(|options| options.app_container_integrity = AppContainerIntegrity::Enforced);
    assert_eq!(check(package(), None, both, 2, |_| ()), Ok(2));
    assert_eq!(check(package(), None, both, 2, enforced).unwrap_err().by, Refusal::Integrity);

    let scoped = "O:SYG:SYD:(A;;FA;;;WD)S:(SP;;;;;S-1-17-9)";
    let no_policy = with(|options| options.unknown_central_policy = UnknownCentralPolicy::NoPolicy);
    assert_eq!(check(alice(), None, scoped, 1, no_policy), Ok(1));
    let refusal = check(alice(), None, scoped, 1, |_| ()).unwrap_err().by;
    assert_eq!(refusal, Refusal::CentralRule { index: 0 });
    let owner = "O:S-1-22-1-1000G:SYD:(A;;FA;;;WD)S:(SP;;;;;S-1-17-9)";
    assert_eq!(check(alice(), None, owner, 1, |_| ()), Ok(1));
}

#[test]
fn a_label_that_is_malformed_is_above_everybody() {
    let text = "O:SYG:SYD:(A;;FA;;;WD)S:(ML;;;;;WD)";
    let high = || alice().integrity(IntegrityLevel::PROTECTED);
    assert_eq!(check(high(), None, text, 2, |_| ()).unwrap_err().by, Refusal::Integrity);
    assert_eq!(check(high(), None, text, 1, |_| ()), Ok(1));
}

#[test]
fn a_list_that_is_refused_as_a_whole_says_so_once() {
    let (token, sd) = (alice().build().unwrap(), object("O:SYG:SYD:(A;;FA;;;WD)"));
    let subject = Subject::client(&token, Identification, &token);
    let request = AccessRequest::new(subject, sd.as_ref(), RequestedMask(1), GenericMapping::FILE);
    assert_eq!(decide_each(&request).unwrap_err().status(), NtStatus::BAD_IMPERSONATION_LEVEL);
}
