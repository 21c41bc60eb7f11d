//! What a check says about itself.

use vicar_nt::check::{AccessRequest, Api, CallerRule, Step, Subject, decide, explain};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, GroupAttributes, ImpersonationLevel, RequestedMask, sddl, well_known};

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
