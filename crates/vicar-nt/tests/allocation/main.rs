//! What a check allocates: nothing.
//!
//! A program of its own, because counting needs an allocator of its own.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use vicar_nt::acl::{AceFlags, Acl};
use vicar_nt::batch::{PreparedSubject, PreparedToken, Question, each_descriptor, each_subject};
use vicar_nt::check::{AccessRequest, Subject, decide, explain};
use vicar_nt::descriptor::{Descriptor, DescriptorRef};
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, GroupAttributes, IntegrityLevel, RequestedMask, Sid, well_known};

const MAPPING: GenericMapping = GenericMapping::FILE;

fn account(n: u32) -> Sid {
    Sid::new(5, &[21, 1, 2, 3, n]).unwrap()
}

fn token(groups: u32) -> TokenState {
    let groups = (0..groups).map(|n| vicar_nt::Group::new(account(n), GroupAttributes::ALWAYS_ENABLED));
    TokenState::builder(account(0x20_0000)).groups(groups).build().unwrap()
}

/// An object whose last entry is about the group 3, and whose label is low.
fn object(aces: u32, mask: u32) -> Descriptor {
    let others = |acl: vicar_nt::acl::AclBuilder, n: u32| match n % 3 {
        0 => acl.deny(&account(n | 0x10_0000), RequestedMask(mask), AceFlags::empty()),
        _ => acl.allow(&account(n | 0x10_0000), RequestedMask(mask), AceFlags::empty()),
    };
    let dacl = (1..aces).fold(Acl::builder(), others).allow(&account(3), RequestedMask(mask), AceFlags::empty());
    let sacl = Acl::builder().label(IntegrityLevel::LOW, 1, AceFlags::empty()).build().unwrap();
    let builder = Descriptor::builder().owner(well_known::LOCAL_SYSTEM).group(well_known::LOCAL_SYSTEM);
    builder.dacl(dacl.build().unwrap()).sacl(sacl).build().unwrap()
}

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1u8]))), 1);
}

#[test]
fn deciding_allocates_nothing() {
    for groups in [0, 20, 1000] {
        let token = token(groups);
        let restricted = TokenState::builder(account(3)).restricting(account(3)).build().unwrap();
        let confined =
            TokenState::builder(account(3)).app_container(account(9)).capability(account(8)).build().unwrap();
        for (subject, aces) in [(&token, 1), (&token, 10), (&token, 1000), (&restricted, 10), (&confined, 10)] {
            let sd = object(aces, 0x1F_01FF);
            for desired in [RequestedMask(1), RequestedMask::GENERIC_ALL, RequestedMask::MAXIMUM_ALLOWED] {
                let request = AccessRequest::new(Subject::itself(subject), sd.as_ref(), desired, MAPPING);
                let mut answer = None;
                assert_eq!(allocations(|| answer = Some(decide(&request))), 0);
                let is_granted = groups > 3 && std::ptr::eq(subject, &token) || std::ptr::eq(subject, &restricted);
                assert_eq!(answer.unwrap().is_ok(), is_granted);
            }
        }
    }
}

#[test]
fn explaining_allocates_once() {
    let (token, sd) = (token(20), object(100, 0x1F_01FF));
    let request = AccessRequest::new(Subject::itself(&token), sd.as_ref(), RequestedMask(1), MAPPING);
    assert_eq!(allocations(|| drop(explain(&request))), 1);
}

#[test]
fn a_batch_allocates_nothing_per_item() {
    let token = token(20);
    let prepared = PreparedToken::new(&token);
    let column: Vec<Descriptor> = (1..200).map(|aces| object(aces, 0x1F_01FF)).collect();
    let question = Question::new(RequestedMask::GENERIC_READ, MAPPING);
    let mut granted = 0;
    let of_column = allocations(|| {
        let column = column.iter().map(Descriptor::as_ref);
        granted = each_descriptor(PreparedSubject::itself(&prepared), &question, column).filter(Result::is_ok).count();
    });
    assert_eq!((of_column, granted), (0, column.len()));
    let subjects = vec![Subject::itself(&token); 100];
    let of_subjects = allocations(|| {
        let sd = column.last().unwrap().as_ref();
        granted = each_subject(&question, sd, subjects.iter().copied()).filter(Result::is_ok).count();
    });
    assert_eq!((of_subjects, granted), (0, subjects.len()));
}

#[test]
fn validating_allocates_nothing() {
    let sd = object(1000, 1);
    let bytes = sd.as_bytes();
    assert_eq!(allocations(|| assert!(DescriptorRef::parse(bytes).is_ok())), 0);
}
