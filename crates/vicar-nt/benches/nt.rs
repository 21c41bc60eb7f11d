//! What checks, explanations, batches, readers and text cost: `cargo bench -p vicar-nt`.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a measurement that cannot be set up has nothing to measure"
)]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use vicar_nt::acl::{AceFlags, Acl};
use vicar_nt::batch::{PreparedSubject, PreparedToken, Question, each_descriptor, each_subject};
use vicar_nt::check::{AccessRequest, Subject, decide, explain};
use vicar_nt::descriptor::{Descriptor, DescriptorRef};
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, Group, GroupAttributes, RequestedMask, Sid, sddl, well_known};

const MAPPING: GenericMapping = GenericMapping::FILE;
const DESIRED: RequestedMask = RequestedMask(0x12_0089);
/// Entries of the list and groups of the token.
const CASES: [(u32, u32); 5] = [(1, 20), (10, 20), (100, 20), (10, 1000), (1000, 1000)];
/// As Windows writes such descriptors: of a directory, inherited in part.
const TEXT: &str = "O:BAG:S-1-5-21-1111-2222-3333-513D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)\
    (A;;0x1200a9;;;BU)(A;CI;LCRPLORC;;;AU)(A;OICI;0x1301bf;;;S-1-5-21-1111-2222-3333-1105)\
    (OA;CIIO;RP;4c164200-20c0-11d0-a768-00aa006e0529;4828cc14-1437-45bc-9b07-ad6f015e5f28;RU)\
    (D;;WDWO;;;BG)S:AI(AU;SAFA;WDWO;;;WD)(ML;;NW;;;HI)";
/// A condition of every kind: numbers, strings, sets, memberships, all three operators.
const CONDITION: &str = "D:(XA;;FR;;;WD;((@User.level >= 3 && @User.team Any_of {\"red\", \"blue\"}) || \
    (Member_of {SID(BA), SID(BO)} && !(Exists @Device.borrowed))))";

fn main() {
    divan::main();
}

fn account(number: u32) -> Sid {
    Sid::new(5, &[21, 1111, 2222, 3333, number]).unwrap()
}

fn token(groups: u32) -> TokenState {
    let groups = (0..groups).map(|n| Group::new(account(n + 2000), GroupAttributes::ALWAYS_ENABLED));
    TokenState::builder(account(1000)).groups(groups).build().unwrap()
}

/// An object whose entries are about others, except the last; `number` makes its bytes differ.
fn object(aces: u32, number: u32) -> Descriptor {
    let all = RequestedMask(0x1F_01FF);
    let others = |acl: vicar_nt::acl::AclBuilder, ace: u32| {
        acl.allow(&account(number * 1000 + ace + 500_000), all, AceFlags::empty())
    };
    let dacl = (1..aces).fold(Acl::builder(), others).allow(&account(2003), all, AceFlags::empty()).build().unwrap();
    let system = well_known::LOCAL_SYSTEM;
    Descriptor::builder().owner(system).group(system).dacl(dacl).build().unwrap()
}

#[divan::bench(args = CASES)]
fn check(bencher: Bencher<'_, '_>, (aces, groups): (u32, u32)) {
    let (token, object) = (token(groups), object(aces, 0));
    let request = AccessRequest::new(Subject::itself(&token), object.as_ref(), DESIRED, MAPPING);
    bencher.bench_local(|| decide(black_box(&request)).is_ok());
}

#[divan::bench(args = [(10, 20), (100, 20), (1000, 1000)])]
fn explained(bencher: Bencher<'_, '_>, (aces, groups): (u32, u32)) {
    let (token, object) = (token(groups), object(aces, 0));
    let request = AccessRequest::new(Subject::itself(&token), object.as_ref(), DESIRED, MAPPING);
    bencher.bench_local(|| explain(black_box(&request)).1.len());
}

#[divan::bench(args = [20, 1000])]
fn one_token_and_a_column_of_objects(bencher: Bencher<'_, '_>, groups: u32) {
    let (prepared, question) = (PreparedToken::new(&token(groups)), Question::new(DESIRED, MAPPING));
    let column: Vec<Descriptor> = (0..64).map(|number| object(10, number)).collect();
    bencher.counter(ItemsCount::new(column.len())).bench_local(|| {
        let subject = PreparedSubject::itself(&prepared);
        each_descriptor(subject, black_box(&question), column.iter().map(Descriptor::as_ref))
            .filter(Result::is_ok)
            .count()
    });
}

#[divan::bench]
fn many_tokens_and_one_object(bencher: Bencher<'_, '_>) {
    let (object, question) = (object(10, 0), Question::new(DESIRED, MAPPING));
    let tokens: Vec<TokenState> = (0..64).map(|more| token(20 + more)).collect();
    bencher.counter(ItemsCount::new(tokens.len())).bench_local(|| {
        let subjects = tokens.iter().map(Subject::itself);
        each_subject(black_box(&question), object.as_ref(), subjects).filter(Result::is_ok).count()
    });
}

#[divan::bench(args = [20, 1000])]
fn preparing_a_token(bencher: Bencher<'_, '_>, groups: u32) {
    let token = token(groups);
    bencher.bench_local(|| PreparedToken::new(black_box(&token)));
}

#[divan::bench(args = [1, 10, 1000])]
fn validating(bencher: Bencher<'_, '_>, aces: u32) {
    let object = object(aces, 0);
    let bytes = object.as_bytes();
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| DescriptorRef::parse(black_box(bytes)).is_ok());
}

const TEXTS: [&str; 2] = ["directory", "condition"];

fn text(name: &str) -> &'static str {
    if name == "condition" { CONDITION } else { TEXT }
}

#[divan::bench(args = TEXTS)]
fn reading_text(bencher: Bencher<'_, '_>, name: &str) {
    let text = text(name);
    bencher.counter(BytesCount::new(text.len())).bench_local(|| sddl::parse(black_box(text), None));
}

#[divan::bench(args = TEXTS)]
fn writing_text(bencher: Bencher<'_, '_>, name: &str) {
    let read = sddl::parse(text(name), None).unwrap();
    let written = sddl::print(read.as_ref(), None).unwrap();
    bencher.counter(BytesCount::new(written.len())).bench_local(|| sddl::print(black_box(read.as_ref()), None));
}
