//! What a check says about itself.

use vicar_nt::acl::Acl;
use vicar_nt::check::{
    AccessMode, AccessRequest, Api, CallerRule, CentralPolicy, CentralRule, CheckOptions, ObjectType, Pass, Refusal,
    Step, Subject, decide, explain,
};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::token::{BuildError, Builder, TokenState};
use vicar_nt::{
    GenericMapping, GroupAttributes, Guid, ImpersonationLevel, IntegrityLevel, NtStatus, Privilege, RequestedMask, Sid,
    sddl, well_known,
};

use ImpersonationLevel::{Anonymous, Identification, Impersonation};

/// The rules of the interfaces that a question shows the difference of: rule, whether it holds, and by the other.
fn differences(
    api: Api,
    level: Option<ImpersonationLevel>,
    text: &str,
    desired: u32,
) -> (bool, Vec<(CallerRule, bool, bool)>) {
    let token = TokenState::builder(well_known::unix_user(1))
        .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
        .build()
        .unwrap();
    let object: Descriptor = sddl::parse(text, None).unwrap();
    let subject = match level {
        Some(level) => Subject::client(&token, level, &token),
        None => Subject::itself(&token),
    };
    let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(desired), GenericMapping::FILE);
    let request = AccessRequest { api, ..request };
    let (answer, steps) = explain(&request);
    assert_eq!(answer, decide(&request));
    let rules = steps.iter().filter_map(|step| {
        let Step::Caller { api: by, rule, holds, by_the_other } = step else { return None };
        assert_eq!(*by, api);
        Some((*rule, *holds, *by_the_other))
    });
    (answer.is_ok(), rules.collect())
}

#[test]
fn section_3_2_both_interfaces_say_where_the_other_would_judge_differently() {
    use Api::{NtAccessCheck as User, SeAccessCheck as Kernel};
    use CallerRule::{DescriptorIsComplete, LevelIsEnough, RightsAreMapped, TokenIsImpersonated};
    let whole = "O:SYG:SYD:(A;;FA;;;WD)";
    let ownerless = "G:SYD:(A;;FA;;;WD)";
    let same: Vec<(CallerRule, bool, bool)> = Vec::new();
    for api in [Kernel, User] {
        assert_eq!(differences(api, Some(Impersonation), whole, 1), (true, same.clone()));
        assert_eq!(differences(api, Some(Anonymous), whole, 1), (false, same.clone()));
    }
    for (level, text, desired, rule, kernel_grants) in [
        (Some(Impersonation), whole, 0x8000_0000, RightsAreMapped, true),
        (None, whole, 1, TokenIsImpersonated, true),
        (Some(Identification), whole, 1, LevelIsEnough(Identification), false),
        (Some(Impersonation), ownerless, 1, DescriptorIsComplete, true),
    ] {
        let by_kernel = vec![(rule, kernel_grants, !kernel_grants)];
        assert_eq!(differences(Kernel, level, text, desired), (kernel_grants, by_kernel), "{rule:?}");
        let by_user = vec![(rule, !kernel_grants, kernel_grants)];
        assert_eq!(differences(User, level, text, desired), (!kernel_grants, by_user), "{rule:?}");
    }
    // What refuses ends the list; what passes does not.
    let kernel = differences(Kernel, None, ownerless, 0x8000_0000).1;
    assert_eq!(
        kernel.iter().map(|(rule, ..)| *rule).collect::<Vec<_>>(),
        [RightsAreMapped, TokenIsImpersonated, DescriptorIsComplete]
    );
    assert_eq!(differences(User, None, ownerless, 0x8000_0000).1, [(RightsAreMapped, false, true)]);
}

fn me() -> Builder {
    TokenState::builder(well_known::unix_user(1)).group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
}

fn package() -> Builder {
    me().app_container("S-1-15-2-1-2-3-4-5-6-7".parse().unwrap())
}

/// Asks, and writes every step down.
fn told(
    token: Builder,
    text: &str,
    desired: u32,
    change: impl FnOnce(&mut AccessRequest<'_>),
) -> (Vec<String>, Option<Refusal>) {
    let (token, object) = (token.build().unwrap(), sddl::parse(text, None).unwrap());
    let subject = Subject::itself(&token);
    let mut request = AccessRequest::new(subject, object.as_ref(), RequestedMask(desired), GenericMapping::FILE);
    change(&mut request);
    let (answer, steps) = explain(&request);
    assert_eq!(answer, decide(&request), "{text}");
    (steps.iter().map(|step| format!("{step:?}")).collect(), answer.err().map(|denial| denial.by))
}

#[test]
fn every_kind_of_step_is_told() {
    let everything = "O:S-1-22-1-1G:SYD:(A;;0x1;;;WD)S:(TL;;FA;;;S-1-19-512-4096)(FL;;FA;;;WD;(Exists a))(ML;;NW;;;HI)";
    let (steps, _) = told(me(), everything, 0x8_0000 | 1, |_| ());
    let refused =
        ["Mode(User)", "Caller {", "Level {", "Mapped {", "TrustLabel {", "AccessFilter {", "Integrity {", "End {"];
    for (step, start) in steps.iter().zip(refused) {
        assert!(step.starts_with(start), "{step} is not {start}");
    }
    assert_eq!(steps.len(), refused.len());
    let rule = sddl::parse("D:(A;;FA;;;WD)", None).unwrap();
    let rules = [CentralRule { applies: None, descriptor: rule.as_ref(), proposed: None }];
    let id: Sid = "S-1-17-9".parse().unwrap();
    let policies = [CentralPolicy { id: id.as_ref(), rules: &rules }];
    let text = "O:SYG:SYD:(A;;0x1;;;WD)(A;;0x1;;;AC)S:(SP;;;;;S-1-17-9)";
    let (token, object) = (package().build().unwrap(), sddl::parse(text, None).unwrap());
    let subject = Subject::itself(&token);
    let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(0x8_0001), GenericMapping::FILE);
    let (_, steps) = explain(&AccessRequest { policies: &policies, desired: RequestedMask(1), ..request });
    let steps: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
    for start in ["Owner {", "Ace {", "PassEnd {", "Package {", "CentralRule { index: 0, applies: true }", "End {"] {
        assert!(steps.iter().any(|step| step.starts_with(start)), "{start} in {steps:#?}");
    }
    let (_, steps) = explain(&request);
    assert!(steps.iter().any(|step| format!("{step:?}").starts_with("Privilege { privilege: TakeOwnership")));
    let (steps, _) = told(me(), "O:SYG:SYD:NO_ACCESS_CONTROL", 1, |_| ());
    assert!(steps.iter().any(|step| step.starts_with("NoDacl { pass: Normal")));
    let (steps, _) = told(me(), "O:SYG:SYD:", 1, |request| request.mode = AccessMode::Kernel);
    assert_eq!(steps.len(), 2);
    assert!(steps[0].starts_with("Mode(Kernel)") && steps[1].starts_with("End {"));
}

#[test]
fn every_outcome_of_an_entry_is_told() {
    let typed = "O:SYG:SYD:(OA;;0x1;00000000-0000-0000-0000-0000000000a1;;WD)";
    for (token, text, outcome) in [
        (me(), "O:SYG:SYD:(A;IO;0x1;;;WD)", "InheritOnly"),
        (me(), "O:SYG:SYD:(A;;0x1;;;BG)", "NoMatch"),
        (me(), "O:SYG:SYD:(XA;;0x1;;;WD;(a == 1))", "Condition(Unknown)"),
        (me(), "O:SYG:SYD:(XD;;0x1;;;WD;(Exists a))", "Condition(False)"),
        (me(), typed, "TypeNotListed"),
        (me(), "O:SYG:SYD:(A;;0x1;;;WD)", "Granted { moved: 0x00000001 }"),
        (package(), "O:SYG:SYD:(A;;0x1;;;AC)", "GrantedToPackage { moved: 0x00000001 }"),
        (me(), "O:SYG:SYD:(D;;0x1;;;WD)", "Denied { denied: 0x00000001 }"),
    ] {
        let (steps, _) = told(token, text, 1, |_| ());
        assert!(steps.iter().any(|step| step.contains(&format!("outcome: {outcome}"))), "{outcome} in {steps:#?}");
    }
    let acl = Acl::builder().parse_entry(&[0x77, 0, 4, 0]).unwrap().build().unwrap();
    let object = Descriptor::builder().owner(well_known::LOCAL_SYSTEM).dacl(acl).build().unwrap();
    let token = me().build().unwrap();
    let subject = Subject::itself(&token);
    let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(1), GenericMapping::FILE);
    assert!(explain(&request).1.iter().any(|step| format!("{step:?}").contains("outcome: NotForDacl")));
}

#[test]
fn every_outcome_of_integrity_is_told() {
    let high = "O:SYG:SYD:(A;;FA;;;WD)S:(ML;;NW;;;HI)";
    let unlabelled = "O:SYG:SYD:(A;;FA;;;WD)";
    let low = || me().integrity(IntegrityLevel::LOW);
    for (token, text, outcome) in [
        (me().mandatory_policy(0), high, "PolicyOff"),
        (me(), unlabelled, "Dominates"),
        (package().integrity(IntegrityLevel::LOW), unlabelled, "Waived"),
        (low(), unlabelled, "Below"),
    ] {
        let (steps, _) = told(token, text, 1, |_| ());
        assert!(steps.iter().any(|step| step.contains(&format!("outcome: {outcome}"))), "{outcome}");
    }
}

#[test]
fn every_refusal_is_reached_and_has_its_status() {
    let all = "O:SYG:SYD:(A;;FA;;;WD)";
    let by_user = |request: &mut AccessRequest<'_>| request.api = Api::NtAccessCheck;
    let refused = |token, text: &str, desired, change: &dyn Fn(&mut AccessRequest<'_>)| {
        told(token, text, desired, |request| change(request)).1.unwrap()
    };
    let anonymous = me().build().unwrap();
    let level = |request: &mut AccessRequest<'_>| {
        request.subject.primary = request.subject.effective();
        request.subject.client = Some((request.subject.primary, Anonymous));
    };
    let types = [ObjectType { level: 1, guid: Guid([0; 16]) }];
    let unknown = Acl::builder().parse_entry(&[0x77, 0, 4, 0]).unwrap().build().unwrap();
    let unknown = Descriptor::builder().owner(well_known::LOCAL_SYSTEM).dacl(unknown).build().unwrap();
    let strict = {
        let subject = Subject::itself(&anonymous);
        let request = AccessRequest::new(subject, unknown.as_ref(), RequestedMask(1), GenericMapping::FILE);
        decide(&AccessRequest { options: CheckOptions::STRICT, ..request }).unwrap_err().by
    };
    let tree = {
        let object = sddl::parse(all, None).unwrap();
        let subject = Subject::itself(&anonymous);
        let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(1), GenericMapping::FILE);
        decide(&AccessRequest { object_types: &types, ..request }).unwrap_err().by
    };
    let incomplete = |request: &mut AccessRequest<'_>| {
        request.api = Api::NtAccessCheck;
        request.subject.client = Some((request.subject.primary, Identification));
    };
    let no_dacl = |request: &mut AccessRequest<'_>| request.descriptor = None;
    let same = |_: &mut AccessRequest<'_>| ();
    let security = Privilege::Security;
    for (refusal, expected, status) in [
        (refused(me(), all, 0x8000_0000, &by_user), Refusal::GenericNotMapped, NtStatus::GENERIC_NOT_MAPPED),
        (refused(me(), all, 1, &by_user), Refusal::ImpersonationTokenRequired, NtStatus::NO_IMPERSONATION_TOKEN),
        (refused(me(), all, 1, &level), Refusal::LevelTooLow(Anonymous), NtStatus::BAD_IMPERSONATION_LEVEL),
        (refused(me(), all, 1, &no_dacl), Refusal::NoDescriptor, NtStatus::ACCESS_DENIED),
        (refused(me(), "O:SY", 1, &incomplete), Refusal::IncompleteDescriptor, NtStatus::INVALID_SECURITY_DESCR),
        (tree, Refusal::ObjectTypeList, NtStatus::INVALID_PARAMETER),
        (refused(me(), all, 0, &same), Refusal::NothingDesired, NtStatus::ACCESS_DENIED),
        (refused(me(), "O:SYS:(TL;;;;;S-1-19-512-1024)", 1, &same), Refusal::TrustLabel, NtStatus::ACCESS_DENIED),
        (refused(me(), "O:SYS:(FL;;;;;WD;(a))", 1, &same), Refusal::AccessFilter, NtStatus::ACCESS_DENIED),
        (refused(me(), "O:SYS:(ML;;NW;;;HI)", 2, &same), Refusal::Integrity, NtStatus::ACCESS_DENIED),
        (refused(me(), all, 0x0100_0000, &same), Refusal::PrivilegeNotHeld(security), NtStatus::PRIVILEGE_NOT_HELD),
        (strict, Refusal::UnknownAce { index: 0 }, NtStatus::ACCESS_DENIED),
        (
            refused(me(), "O:SYD:(D;;1;;;WD)", 1, &same),
            Refusal::DenyAce { pass: Pass::Normal, index: 0 },
            NtStatus::ACCESS_DENIED,
        ),
        (refused(me(), "O:SYD:", 1, &same), Refusal::NotGranted { pass: Pass::Normal }, NtStatus::ACCESS_DENIED),
        (
            refused(me().restricting(well_known::GUESTS), all, 1, &same),
            Refusal::NotGranted { pass: Pass::Restricted },
            NtStatus::ACCESS_DENIED,
        ),
        (refused(package(), all, 1, &same), Refusal::Package, NtStatus::ACCESS_DENIED),
        (
            refused(me(), &format!("{all}S:(SP;;;;;S-1-17-1)"), 1, &same),
            Refusal::CentralRule { index: 0 },
            NtStatus::ACCESS_DENIED,
        ),
        (refused(me(), "O:SYD:", 0x0200_0000, &same), Refusal::NothingAllowed, NtStatus::ACCESS_DENIED),
    ] {
        assert_eq!((refusal, refusal.status()), (expected, status));
    }
}

#[test]
fn every_token_that_cannot_be_is_not_built() {
    for (builder, error) in [
        (me().owner(well_known::GUESTS), BuildError::OwnerNotInToken),
        (me().capability("S-1-15-3-1".parse().unwrap()), BuildError::CapabilityWithoutPackage),
        (me().less_privileged(), BuildError::CapabilityWithoutPackage),
        (me().write_restricted(), BuildError::WriteRestrictedWithoutSids),
        (me().mandatory_policy(4), BuildError::UnknownMandatoryPolicy),
    ] {
        assert_eq!(builder.build(), Err(error));
    }
}
