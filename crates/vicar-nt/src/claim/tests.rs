use super::*;
use crate::utf16::{self, encode};
use crate::well_known;
use alloc::vec;

fn text(bytes: &[u8]) -> Utf16<'_> {
    Utf16::from_bytes(bytes).unwrap()
}

#[test]
fn claims_read_back_and_duplicates_show() {
    let name = utf16::encode("Project");
    let name = text(&name);
    let (one, two) = (utf16::encode("a"), utf16::encode("A"));
    let values = [Value::Text(text(&one)), Value::Text(text(&two))];
    let claim = Claim::new(name, ClaimType::Text, ClaimFlags::empty(), &values).unwrap();
    let read = ClaimRef::parse(claim.as_bytes()).unwrap();
    assert_eq!(read.values().collect::<Vec<_>>(), values);
    assert!(!read.has_unique_values());
    let claim = Claim::new(name, ClaimType::Text, ClaimFlags::VALUE_CASE_SENSITIVE, &values).unwrap();
    assert!(ClaimRef::parse(claim.as_bytes()).unwrap().has_unique_values());
}

#[test]
fn every_type_of_claim_is_written_and_read() {
    let (name, one, two) = (encode("n"), encode("one"), encode(""));
    let fqbn = |version| Value::Fqbn { version, name: text(&one) };
    let rows: Vec<(ClaimType, u16, Vec<Value<'_>>)> = vec![
        (ClaimType::Int64, 1, vec![Value::Integer(i64::MIN.into()), Value::Integer(i64::MAX.into())]),
        (ClaimType::Uint64, 2, vec![Value::Integer(0), Value::Integer(u64::MAX.into())]),
        (ClaimType::Text, 3, vec![Value::Text(text(&one)), Value::Text(text(&two))]),
        (ClaimType::Fqbn, 4, vec![fqbn(1), fqbn(u64::MAX)]),
        (ClaimType::Sid, 5, vec![Value::Sid(well_known::EVERYONE.as_ref())]),
        (ClaimType::Boolean, 6, vec![Value::Boolean(false), Value::Boolean(true)]),
        (ClaimType::Octets, 0x10, vec![Value::Octets(&[]), Value::Octets(&[1, 2, 3])]),
    ];
    for (kind, number, values) in &rows {
        assert_eq!((kind.number(), ClaimType::from_number(*number)), (*number, Some(*kind)));
        let claim = Claim::new(text(&name), *kind, ClaimFlags::MANDATORY, values).unwrap();
        let read = ClaimRef::parse(claim.as_bytes()).unwrap();
        assert_eq!((read.kind(), read.flags(), read.name()), (*kind, ClaimFlags::MANDATORY, text(&name)));
        assert_eq!(read.values().collect::<Vec<_>>(), *values);
        assert_eq!(Claim::parse(claim.as_bytes()).unwrap(), claim);
        assert!(read.has_unique_values());
        let again = Claim::new(read.name(), read.kind(), read.flags(), &read.values().collect::<Vec<_>>()).unwrap();
        assert_eq!(again, claim);
        // A name of a program with its version is for tokens only.
        assert_eq!(ClaimRef::parse_in_ace(claim.as_bytes()).is_ok(), *kind != ClaimType::Fqbn);
    }
    for (at, (kind, _, values)) in rows.iter().enumerate() {
        for (other_at, (other, _, _)) in rows.iter().enumerate() {
            let are_numbers = matches!((at, other_at), (0 | 1, 0 | 1));
            if at != other_at && !are_numbers {
                let error = Claim::new(text(&name), *other, ClaimFlags::empty(), values).unwrap_err();
                assert_eq!(error, ClaimError::OtherType { index: 0 }, "{kind:?} {other:?}");
            }
        }
    }
    assert!((7..=0xF).chain([0, 0x11, 0xFFFF]).all(|number| ClaimType::from_number(number).is_none()));
}

#[test]
fn the_layout_of_a_program_name_is_version_then_text() {
    let (name, program) = (encode("p"), encode("a"));
    let value = Value::Fqbn { version: 0x0102, name: text(&program) };
    let claim = Claim::new(text(&name), ClaimType::Fqbn, ClaimFlags::empty(), &[value]).unwrap();
    let mut bytes = vec![20, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 24, 0, 0, 0];
    bytes.extend_from_slice(&[0x70, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0x61, 0, 0, 0]);
    assert_eq!(claim.as_bytes(), bytes);
    let twice = Claim::new(text(&name), ClaimType::Fqbn, ClaimFlags::empty(), &[value, value]).unwrap();
    assert!(!ClaimRef::parse(twice.as_bytes()).unwrap().has_unique_values());
}

#[test]
fn a_claim_that_cannot_be_is_not_made() {
    let (name, nul) = (encode("n"), encode("a\0b"));
    let new = |name: &[u8], kind, values: &[Value<'_>]| Claim::new(text(name), kind, ClaimFlags::empty(), values);
    let one = [Value::Integer(1)];
    assert_eq!(new(&[], ClaimType::Int64, &one), Err(ClaimError::Name));
    assert_eq!(new(&nul, ClaimType::Int64, &one), Err(ClaimError::Name));
    assert_eq!(new(&name, ClaimType::Int64, &[]), Err(ClaimError::NoValue));
    let big = [Value::Integer(1), Value::Integer(1 << 64)];
    assert_eq!(new(&name, ClaimType::Uint64, &big), Err(ClaimError::Number { index: 1 }));
    assert_eq!(new(&name, ClaimType::Int64, &[Value::Integer(1 << 63)]), Err(ClaimError::Number { index: 0 }));
    assert_eq!(new(&name, ClaimType::Uint64, &[Value::Integer(-1)]), Err(ClaimError::Number { index: 0 }));
    assert_eq!(new(&name, ClaimType::Text, &[Value::Text(text(&nul))]), Err(ClaimError::NulInText { index: 0 }));
    let fqbn = [Value::Fqbn { version: 1, name: text(&nul) }];
    assert_eq!(new(&name, ClaimType::Fqbn, &fqbn), Err(ClaimError::NulInText { index: 0 }));
}

/// The claim `n` with the values given; the name stands at byte 16 + 4 for each value, and takes 4 bytes.
fn sample(kind: ClaimType, values: &[Value<'_>]) -> Vec<u8> {
    let name = encode("n");
    Claim::new(text(&name), kind, ClaimFlags::empty(), values).unwrap().as_bytes().to_vec()
}

#[test]
fn section_1_8_malformed_claims_are_named_by_offset_and_item() {
    let truth = sample(ClaimType::Boolean, &[Value::Boolean(true)]);
    let sid = sample(ClaimType::Sid, &[Value::Sid(well_known::EVERYONE.as_ref())]);
    let octets = sample(ClaimType::Octets, &[Value::Octets(&[1])]);
    let word = encode("w");
    let words = sample(ClaimType::Text, &[Value::Text(text(&word))]);
    let program = sample(ClaimType::Fqbn, &[Value::Fqbn { version: 1, name: text(&word) }]);
    let with = |bytes: &[u8], at: usize, byte: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = byte;
        bytes
    };
    let cut = |bytes: &[u8], less: usize| bytes[..bytes.len() - less].to_vec();
    for (bytes, at, item) in [
        (vec![], 0, "claim name offset"),
        (truth[..3].to_vec(), 0, "claim name offset"),
        (truth[..5].to_vec(), 4, "claim type"),
        (truth[..7].to_vec(), 6, "claim padding"),
        (truth[..11].to_vec(), 8, "claim flags"),
        (truth[..15].to_vec(), 12, "claim value count"),
        (with(&truth, 0, 0xFF), 0, "claim name offset"),
        (with(&truth, 4, 0), 4, "claim type"),
        (with(&truth, 4, 9), 4, "claim type"),
        (with(&truth, 12, 0), 12, "claim value count"),
        (with(&truth, 12, 0xFF), 12, "claim value count"),
        // Four values, but the slots for their offsets run into the name.
        (with(&truth, 12, 4), 32, "claim value"),
        (with(&truth, 16, 0xFF), 32, "claim value"),
        (with(&truth, 16, 30), 30, "claim value"),
        (with(&truth, 24, 2), 24, "claim value"),
        (cut(&truth, 1), 24, "claim value"),
        (with(&sid, 24, 11), 24, "claim value"),
        (with(&sid, 24, 13), 28, "claim value"),
        (with(&sid, 28, 2), 24, "claim value"),
        (with(&octets, 24, 2), 28, "claim value"),
        (with(&octets, 27, 0xFF), 28, "claim value"),
        (cut(&octets, 2), 24, "claim value length"),
        (cut(&words, 1), 24, "claim value"),
        (cut(&program, 1), 24, "claim value"),
        (program[..31].to_vec(), 24, "claim value"),
    ] {
        let error = ClaimRef::parse(&bytes).unwrap_err();
        assert_eq!((error.kind(), error.at_byte(), error.item()), (Malformed::Claim, at, item), "{bytes:?}");
        assert!(error.at_byte() <= bytes.len(), "{error}");
        assert_eq!(Claim::parse(&bytes).unwrap_err(), error);
    }
    for len in 0..truth.len() {
        assert!(ClaimRef::parse(&truth[..len]).is_err(), "{len}");
    }
    let error = ClaimRef::parse_in_ace(&program).unwrap_err();
    assert_eq!((error.at_byte(), error.item()), (4, "claim type"));
}

#[test]
fn values_may_share_bytes_but_are_not_longer_than_the_claim_together() {
    // The name at the end, and offsets that all lead to one text.
    let claim = |values: u32, letters: usize| {
        let start = 16 + 4 * values;
        let mut bytes = start.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&values.to_le_bytes());
        (0..values).for_each(|_| bytes.extend_from_slice(&(start + 4).to_le_bytes()));
        bytes.extend_from_slice(&[0x6E, 0, 0, 0]);
        bytes.extend(core::iter::repeat_n([0x61, 0], letters).flatten());
        bytes.extend_from_slice(&[0, 0]);
        bytes
    };
    assert!(ClaimRef::parse(&claim(1, 1000)).is_ok());
    // 2 x 8 bytes of text in a claim of 38: they share, and are no longer than it.
    let shared = claim(2, 4);
    let read = ClaimRef::parse(&shared).unwrap();
    assert!(!read.has_unique_values());
    let hostile = claim(8000, 16_000);
    let error = ClaimRef::parse(&hostile).unwrap_err();
    assert_eq!((error.kind(), error.at_byte(), error.item()), (Malformed::Claim, 16 + 4 * 2, "claim value offset"));
}
