//! Claims as a C program reads them.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a reader of test bytes: what is out of bounds is a failure"
)]

use vicar_kernel::token::{Info, InfoClass, serialise_claims};
use vicar_nt::claim::{Claim, ClaimFlags, ClaimType, Value};
use vicar_nt::utf16::Utf16;

use crate::fixture::{Who, World, user_a};

/// What a C program sees in a buffer at `address`: little endian numbers, and text at addresses.
struct Memory<'a> {
    bytes: &'a [u8],
    address: u64,
}

impl Memory<'_> {
    fn number(&self, at: u64, width: usize) -> u64 {
        let start = usize::try_from(at - self.address).unwrap();
        self.bytes[start..start + width].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    fn text(&self, at: u64) -> String {
        let units: Vec<u16> = (0..)
            .map(|index| u16::try_from(self.number(at + 2 * index, 2)).unwrap())
            .take_while(|unit| *unit != 0)
            .collect();
        String::from_utf16(&units).unwrap()
    }

    fn bytes(&self, at: u64, len: u64) -> &[u8] {
        let start = usize::try_from(at - self.address).unwrap();
        &self.bytes[start..start + usize::try_from(len).unwrap()]
    }
}

#[test]
fn claims_are_laid_out_as_a_c_program_reads_them() {
    let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let (names, texts) =
        ([utf16("n"), utf16("truth"), utf16("s"), utf16("sid"), utf16("o"), utf16("f")], [utf16("PM"), utf16("")]);
    let name = |index: usize| Utf16::from_bytes(&names[index]).unwrap();
    let text = |index: usize| Value::Text(Utf16::from_bytes(&texts[index]).unwrap());
    let fqbn = Value::Fqbn { version: 0x0001_0002_0003_0004, name: Utf16::from_bytes(&texts[0]).unwrap() };
    let sid = user_a();
    let make = |index, kind, flags, values: &[Value<'_>]| Claim::new(name(index), kind, flags, values).unwrap();
    let (plain, exact) = (ClaimFlags::empty(), ClaimFlags::VALUE_CASE_SENSITIVE);
    let state = vicar_nt::token::TokenState::builder(user_a())
        .user_claim(make(0, ClaimType::Int64, plain, &[Value::Integer(-7), Value::Integer(9)]))
        .user_claim(make(1, ClaimType::Boolean, plain, &[Value::Boolean(true)]))
        .user_claim(make(2, ClaimType::Text, exact, &[text(0), text(1)]))
        .user_claim(make(3, ClaimType::Sid, plain, &[Value::Sid(sid.as_ref())]))
        .user_claim(make(4, ClaimType::Octets, plain, &[Value::Octets(&[1, 2, 3]), Value::Octets(&[])]))
        .user_claim(make(5, ClaimType::Fqbn, plain, &[fqbn]))
        .device_claim(make(0, ClaimType::Uint64, plain, &[Value::Integer(i128::from(u64::MAX))]));
    let world = World::new();
    let token = world.token_of(state, 0xC1, 0);
    let Ok(Info::Claims(claims)) = token.query_information(InfoClass::UserClaims) else { panic!("no claims") };

    let address = 0x7000_0000_1000;
    let bytes = serialise_claims(&claims, address);
    assert_eq!(Info::Claims(claims.clone()).size(), bytes.len());
    let memory = Memory { bytes: &bytes, address };
    assert_eq!((memory.number(address, 2), memory.number(address + 2, 2), memory.number(address + 4, 4)), (1, 0, 6));
    let attributes = memory.number(address + 8, 8);
    let attribute = |index: u64| {
        let at = attributes + 32 * index;
        assert_eq!(memory.number(at + 10, 2), 0);
        let (kind, flags) = (memory.number(at + 8, 2), memory.number(at + 12, 4));
        (memory.text(memory.number(at, 8)), kind, flags, memory.number(at + 16, 4), memory.number(at + 24, 8))
    };
    let expected =
        [("n", 1, 0, 2), ("truth", 6, 0, 1), ("s", 3, 2, 2), ("sid", 5, 0, 1), ("o", 0x10, 0, 2), ("f", 4, 0, 1)];
    for (index, (name, kind, flags, count)) in (0..).zip(expected) {
        let found = attribute(index);
        assert_eq!((found.0.as_str(), found.1, found.2, found.3), (name, kind, flags, count));
        assert_eq!(found.4 % 8, 0);
    }
    let value = |claim: u64, index: u64| attribute(claim).4 + index;
    assert_eq!(memory.number(value(0, 0), 8).cast_signed(), -7);
    assert_eq!((memory.number(value(0, 8), 8), memory.number(value(1, 0), 8)), (9, 1));
    assert_eq!(memory.text(memory.number(value(2, 0), 8)), "PM");
    assert_eq!(memory.text(memory.number(value(2, 8), 8)), "");
    let counted = |at: u64| memory.bytes(memory.number(at, 8), memory.number(at + 8, 4));
    assert_eq!(counted(value(3, 0)), sid.as_bytes());
    assert_eq!((counted(value(4, 0)), counted(value(4, 16))), (&[1_u8, 2, 3][..], &[][..]));
    assert_eq!(memory.number(value(5, 0), 8), 0x0001_0002_0003_0004);
    assert_eq!(memory.text(memory.number(value(5, 8), 8)), "PM");

    let Ok(Info::Claims(device)) = token.query_information(InfoClass::DeviceClaims) else { panic!("no claims") };
    let bytes = serialise_claims(&device, 0);
    let memory = Memory { bytes: &bytes, address: 0 };
    let values = memory.number(memory.number(8, 8) + 24, 8);
    assert_eq!(memory.number(values, 8), u64::MAX);
    // No claims at all: a header that points nowhere.
    let none = world.token(Who::A).query_information(InfoClass::UserClaims).unwrap();
    assert_eq!(none.size(), 16);
    let Info::Claims(none) = none else { panic!("no claims") };
    assert_eq!(serialise_claims(&none, address), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}
