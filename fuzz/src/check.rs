//! The check as a whole: what it may never do, whatever it is asked.

use vicar_nt::acl::{AceFlags, Acl};
use vicar_nt::batch::{PreparedSubject, PreparedToken, decide_prepared, each_descriptor, each_subject};
use vicar_nt::check::{
    AccessMode, AccessRequest, Api, CentralPolicy, CentralRule, CheckOptions, Denial, Grant, ObjectType,
    OwnerWhenWriteRestricted, Step, Subject, TypedDenyWithoutList, UnknownAces, audit, decide, decide_each, explain,
    remedies, staged_difference,
};
use vicar_nt::descriptor::{Dacl, Descriptor, DescriptorRef, Sacl};
use vicar_nt::{GenericMapping, Guid, ImpersonationLevel, Privilege, RequestedMask, Sid, sddl, well_known};

use crate::someone;

type Answer<'d> = Result<Grant<'d>, Denial>;

const MAXIMUM: u32 = RequestedMask::MAXIMUM_ALLOWED.0;
const SYSTEM_SECURITY: u32 = 0x0100_0000;
const WRITE_OWNER: u32 = 0x0008_0000;

/// Every check answers. Telling the reasons, or preparing the token, does not change the answer; a grant holds what was
/// asked for and nothing that was not; the root of a list is answered as the list is; as much as possible is what each
/// right is by itself; and a deny entry in front never adds anything.
pub fn check(data: &[u8]) {
    let Some((head, rest)) = data.split_first_chunk::<16>() else { return };
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let Some(descriptor) = read(rest) else { return };
    let (token, server) = (someone(head[8]), someone(head[9]));
    let bit = |at: u8| head[10] & (1 << at) != 0;
    let level = match head[11] % 5 {
        0 => ImpersonationLevel::Anonymous,
        1 => ImpersonationLevel::Identification,
        2 => ImpersonationLevel::Delegation,
        _ => ImpersonationLevel::Impersonation,
    };
    let guid = |n: u8| Guid([n; 16]);
    let types: Vec<ObjectType> =
        (0u8..head[12] % 6).map(|n| ObjectType { level: u16::from(n.min(head[13] % 5)), guid: guid(n) }).collect();
    let me = token.user().sid;
    let options = CheckOptions {
        unknown_aces: if bit(2) { UnknownAces::Refuse } else { UnknownAces::Skip },
        typed_deny_without_list: if bit(3) { TypedDenyWithoutList::Ignored } else { TypedDenyWithoutList::Denies },
        owner_when_write_restricted: if head[15] & 1 != 0 {
            OwnerWhenWriteRestricted::Implied
        } else {
            OwnerWhenWriteRestricted::MustBeRestrictingSid
        },
        ..if bit(4) { CheckOptions::STRICT } else { CheckOptions::STANDARD }
    };
    let policy: Sid = "S-1-17-9".parse().expect("a SID");
    let rule = sddl::parse("D:(A;;0x3;;;WD)(A;;FR;;;BA)(XA;;FA;;;WD;(@User.a == 1))", None).expect("valid");
    let rules = [CentralRule { applies: None, descriptor: rule.as_ref(), proposed: Some(descriptor.as_ref()) }];
    let policies = [CentralPolicy { id: policy.as_ref(), rules: &rules }];
    let request = AccessRequest {
        previously_granted: RequestedMask(number(4)),
        mode: if head[14] == 0xFF { AccessMode::Kernel } else { AccessMode::User },
        api: if bit(0) { Api::NtAccessCheck } else { Api::SeAccessCheck },
        object_types: &types,
        self_sid: bit(1).then_some(me.as_ref()),
        policies: if bit(7) { &policies } else { &[] },
        options,
        ..AccessRequest::new(
            if bit(5) { Subject::itself(&token) } else { Subject::client(&token, level, &server) },
            descriptor.as_ref(),
            RequestedMask(number(0)),
            if bit(6) { GenericMapping::DIRECTORY_SERVICE } else { GenericMapping::FILE },
        )
    };
    let answer = decide(&request);
    is_explained(&request, &answer);
    is_batched(&request, &answer);
    is_what_was_asked(&request, &answer);
    let _ = audit(&request, &answer, descriptor.as_ref().sacl().entries());
    let _ = (remedies(&request), staged_difference(&request));
    is_that_of_its_nodes(&request, &answer);
    is_the_sum_of_its_rights(&request);
    let who =
        [me, well_known::EVERYONE, well_known::ADMINISTRATORS, well_known::OWNER_RIGHTS][usize::from(head[15] % 4)];
    a_deny_never_adds(&request, &who, number(11));
}

/// Text if it is, else bytes.
fn read(data: &[u8]) -> Option<Descriptor> {
    let text = core::str::from_utf8(data).ok().and_then(|text| sddl::parse(text, None).ok());
    text.or_else(|| Descriptor::parse(data).ok())
}

fn bits(answer: &Answer<'_>) -> u32 {
    answer.as_ref().map_or(0, |grant| grant.mask().bits())
}

fn is_explained(request: &AccessRequest<'_>, answer: &Answer<'_>) {
    let (explained, steps) = explain(request);
    assert_eq!(&explained, answer);
    let Some(Step::End { granted, denial }) = steps.last() else { panic!("no end") };
    assert_eq!(granted.bits(), bits(answer));
    assert_eq!(denial.as_ref(), answer.as_ref().err());
}

fn is_batched(request: &AccessRequest<'_>, answer: &Answer<'_>) {
    let question = request.question();
    let prepared = PreparedToken::new(request.subject.effective());
    let subject = match request.subject.client {
        None => PreparedSubject::itself(&prepared),
        Some((_, level)) => PreparedSubject::client(&prepared, level, request.subject.primary),
    };
    assert_eq!(&decide_prepared(subject, &question, request.descriptor), answer);
    let column: [DescriptorRef<'_>; 2] = [request.descriptor.expect("one"); 2];
    assert!(each_descriptor(subject, &question, column).all(|each| each == *answer));
    let people = [request.subject; 2];
    assert!(each_subject(&question, column[0], people).all(|each| each == *answer));
}

fn is_what_was_asked(request: &AccessRequest<'_>, answer: &Answer<'_>) {
    let Ok(grant) = answer else { return };
    let without_maximum = |mask: RequestedMask| request.mapping.map(RequestedMask(mask.0 & !MAXIMUM)).bits();
    let (asked, previous) = (without_maximum(request.desired), without_maximum(request.previously_granted));
    let mask = grant.mask().bits();
    assert_eq!(mask & MAXIMUM, 0);
    assert_eq!(mask & asked, asked);
    assert_eq!(mask & previous, previous);
    assert!(request.desired.0 & MAXIMUM != 0 || mask & !(asked | previous) == 0);
}

fn is_that_of_its_nodes(request: &AccessRequest<'_>, answer: &Answer<'_>) {
    let asked = request.mapping.map(RequestedMask(request.desired.0 & !MAXIMUM)).bits();
    if let Ok(nodes) = decide_each(request) {
        assert_eq!(nodes.len(), request.object_types.len().max(1));
        assert_eq!(nodes[0].status.is_success(), answer.is_ok());
        if answer.is_ok() {
            assert!(nodes.iter().all(|node| node.granted.bits() & asked == asked || asked == 0));
            assert_eq!(nodes[0].granted.bits(), bits(answer));
        }
    } else {
        assert!(answer.is_err());
    }
}

/// Without privileges, which are asked for one by one, and among what the type has.
fn is_the_sum_of_its_rights(request: &AccessRequest<'_>) {
    let ask = |desired: u32| {
        let nothing_before = RequestedMask::NONE;
        bits(&decide(&AccessRequest {
            desired: RequestedMask(desired),
            previously_granted: nothing_before,
            ..*request
        }))
    };
    let token = request.subject.effective();
    let has = |privilege| token.privileges().is_enabled(privilege);
    let by_privilege = if has(Privilege::TakeOwnership) || has(Privilege::Relabel) { WRITE_OWNER } else { 0 };
    let among = request.mapping.all.bits() & !(SYSTEM_SECURITY | MAXIMUM | by_privilege);
    let each = (0..28).map(|n| 1u32 << n).filter(|one| among & one != 0).fold(0, |sum, one| sum | ask(one));
    assert_eq!(ask(MAXIMUM) & among, each);
}

fn a_deny_never_adds(request: &AccessRequest<'_>, who: &Sid, mask: u32) {
    let Some(descriptor) = request.descriptor else { return };
    let Dacl::List(list) = descriptor.dacl() else { return };
    let deny = Acl::builder().deny(who, RequestedMask(mask), AceFlags::empty());
    let Ok(dacl) = list.aces().fold(deny, |acl, ace| acl.verbatim(&ace)).build() else { return };
    let mut stricter = Descriptor::builder().control(descriptor.control()).dacl(dacl);
    if let Some(owner) = descriptor.owner() {
        stricter = stricter.owner(owner.to_sid());
    }
    if let Some(group) = descriptor.group() {
        stricter = stricter.group(group.to_sid());
    }
    stricter = match descriptor.sacl() {
        Sacl::Absent => stricter,
        Sacl::Null => stricter.null_sacl(),
        Sacl::List(sacl) => stricter.sacl(sacl.to_acl()),
    };
    let stricter = stricter.build().expect("a descriptor");
    // What was granted before is not this descriptor's to take.
    let before = AccessRequest { previously_granted: RequestedMask::NONE, ..*request };
    let after = AccessRequest { descriptor: Some(stricter.as_ref()), ..before };
    assert_eq!(bits(&decide(&after)) & !bits(&decide(&before)), 0);
    let maximum = |request| bits(&decide(&AccessRequest { desired: RequestedMask::MAXIMUM_ALLOWED, ..request }));
    assert_eq!(maximum(after) & !maximum(before), 0);
}
