use super::*;
use crate::acl::{Ace, Acl};
use crate::claim::{ClaimFlags, Value};
use crate::descriptor::Descriptor;
use crate::sddl;
use crate::utf16::{Utf16, encode};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

const TYPE: Guid = Guid([0xA1; 16]);
const HEIR: Guid = Guid([0xB2; 16]);

/// `@User.a`, in 11 bytes.
fn condition() -> Condition {
    sddl::parse_condition("(@User.a)", None).unwrap()
}

fn claim(kind: ClaimType, value: Value<'_>) -> Claim {
    let name = encode("n");
    Claim::new(Utf16::from_bytes(&name).unwrap(), kind, ClaimFlags::empty(), &[value]).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
}

#[test]
fn every_type_can_be_built_and_has_the_bytes_it_must_have() {
    let everyone = "010100000000000100000000";
    let system = "010100000000000512000000";
    let when = "61727478f902000000610000"; // with a byte of padding
    let types = alloc::format!("03000000{}{}", "a1".repeat(16), "b2".repeat(16));
    let condition = condition();
    let one = claim(ClaimType::Int64, Value::Integer(1));
    let one_hex = hex(one.as_bytes());
    let data = ApplicationData::new(b"rm!").unwrap();
    let (wd, sy) = (&well_known::EVERYONE, &well_known::LOCAL_SYSTEM);
    let mask = RequestedMask(0x12_0089);
    let both = |entry: RightsEntry<'static>| entry.about(Some(TYPE), Some(HEIR));
    let audit = || Entry::audit(wd, mask, Outcomes::SUCCESS | Outcomes::FAILURE);
    let alarm = || Entry::alarm(wd, mask, Outcomes::FAILURE);
    let trust = ProcessTrust { kind: 512, level: 4096 };
    let rows: Vec<(Entry<'_>, u8, String)> = vec![
        (Entry::allow(wd, mask).into(), 0x00, alloc::format!("0000140089001200{everyone}")),
        (Entry::deny(wd, mask).into(), 0x01, alloc::format!("0100140089001200{everyone}")),
        (audit().into(), 0x02, alloc::format!("02c0140089001200{everyone}")),
        (alarm().into(), 0x03, alloc::format!("0380140089001200{everyone}")),
        (Entry::allow_through(sy, wd, mask), 0x04, alloc::format!("040024008900120001000000{system}{everyone}")),
        (both(Entry::allow(wd, mask)).into(), 0x05, alloc::format!("0500380089001200{types}{everyone}")),
        (both(Entry::deny(wd, mask)).into(), 0x06, alloc::format!("0600380089001200{types}{everyone}")),
        (both(audit()).into(), 0x07, alloc::format!("07c0380089001200{types}{everyone}")),
        (both(alarm()).into(), 0x08, alloc::format!("0880380089001200{types}{everyone}")),
        (Entry::allow(wd, mask).when(&condition).into(), 0x09, alloc::format!("0900200089001200{everyone}{when}")),
        (
            Entry::deny(wd, mask).with_application_data(data).into(),
            0x0A,
            alloc::format!("0a00180089001200{everyone}726d2100"),
        ),
        (
            Entry::allow(wd, mask).about(None, None).when(&condition).into(),
            0x0B,
            alloc::format!("0b0024008900120000000000{everyone}{when}"),
        ),
        (
            Entry::deny(wd, mask).about(Some(TYPE), None).when(&condition).into(),
            0x0C,
            alloc::format!("0c0034008900120001000000{}{everyone}{when}", "a1".repeat(16)),
        ),
        (audit().when(&condition).into(), 0x0D, alloc::format!("0dc0200089001200{everyone}{when}")),
        (alarm().when(&condition).into(), 0x0E, alloc::format!("0e80200089001200{everyone}{when}")),
        (
            audit().about(None, Some(HEIR)).when(&condition).into(),
            0x0F,
            alloc::format!("0fc034008900120002000000{}{everyone}{when}", "b2".repeat(16)),
        ),
        (both(alarm()).when(&condition).into(), 0x10, alloc::format!("1080440089001200{types}{everyone}{when}")),
        (
            Entry::label(IntegrityLevel::LOW, LabelPolicy::NO_WRITE_UP | LabelPolicy::NO_EXECUTE_UP),
            0x11,
            "1100140005000000010100000000001000100000".into(),
        ),
        (Entry::resource_attribute(&one).unwrap(), 0x12, alloc::format!("1200340000000000{everyone}{one_hex}")),
        (
            Entry::scoped_policy(&"S-1-17-9".parse::<Sid>().unwrap()).unwrap(),
            0x13,
            "1300140000000000010100000000001109000000".into(),
        ),
        (Entry::trust_label(trust, mask), 0x14, "14001800890012000102000000000013000200000010000 0".replace(' ', "")),
        (
            Entry::access_filter(wd, mask, &condition, FilterChange::Trusted),
            0x15,
            alloc::format!("1540200089001200{everyone}{when}"),
        ),
    ];
    let numbers: Vec<u8> = rows.iter().map(|(_, number, _)| *number).collect();
    assert_eq!(numbers, (0x00..=0x15).collect::<Vec<u8>>());
    for (entry, number, expected) in &rows {
        let acl = Acl::builder().with(entry.clone()).build().unwrap();
        let ace = acl.as_ref().aces().next().unwrap();
        assert_eq!((ace.kind().number(), hex(ace.as_bytes())), (*number, expected.clone()), "{entry:?}");
        let (again, rest) = Ace::parse(ace.as_bytes()).unwrap();
        assert_eq!((again, rest), (ace, &[][..]));
        let parts = ace.parts().unwrap();
        assert_eq!((parts.sid, parts.mask), (entry.sid.as_ref(), entry.mask));
        let types = (parts.object_type, parts.inherited_object_type);
        assert_eq!(types, entry.object_types.unwrap_or((None, None)));
        assert!(parts.data.starts_with(entry.data) && parts.data.len() - entry.data.len() < 4);
        let copy = Acl::builder().parse_entry(ace.as_bytes()).unwrap().build().unwrap();
        assert_eq!(copy, acl);
        assert_eq!(Acl::parse(acl.as_ref().as_bytes()).unwrap(), acl);
        assert_eq!(acl.as_ref().revision(), if ace.kind().has_object_types() { 4 } else { 2 + u8::from(*number == 4) });
    }
    let all = rows.iter().fold(Acl::builder(), |acl, (entry, _, _)| acl.with(entry.clone())).build().unwrap();
    assert_eq!((all.as_ref().count(), all.as_ref().revision()), (22, 4));
}

#[test]
fn how_an_entry_is_inherited_is_a_flag_of_every_type() {
    let all = Inheritance::all();
    let condition = condition();
    let critical = Entry::critical_allow(&well_known::EVERYONE, RequestedMask(1)).inherited(all);
    let filter = Entry::access_filter(&well_known::EVERYONE, RequestedMask(1), &condition, FilterChange::Anybody);
    let acl = Acl::builder().with(critical).with(filter.inherited(Inheritance::OBJECT_INHERIT)).build().unwrap();
    let flags: Vec<AceFlags> = acl.as_ref().aces().map(|ace| ace.flags()).collect();
    assert_eq!(flags, [AceFlags::from_bits_retain(0x3F), AceFlags::OBJECT_INHERIT]);
}

#[test]
fn an_entry_that_cannot_be_is_not_made() {
    let name = encode("program");
    let value = Value::Fqbn { version: 1, name: Utf16::from_bytes(&name).unwrap() };
    assert_eq!(Entry::resource_attribute(&claim(ClaimType::Fqbn, value)), None);
    assert_eq!(Entry::scoped_policy(&well_known::EVERYONE), None);
    assert_eq!(ApplicationData::new(b"artx\x00"), None);
    assert!(ApplicationData::new(b"art").is_some());
}

#[test]
fn what_is_built_has_the_text_it_must_have() {
    let (condition, one) = (condition(), claim(ClaimType::Uint64, Value::Integer(7)));
    let (wd, mask) = (&well_known::EVERYONE, RequestedMask(0x12_0089));
    let dacl = Acl::builder()
        .with(Entry::deny(wd, mask).about(Some(TYPE), None))
        .with(Entry::allow(wd, mask).when(&condition).inherited(Inheritance::CONTAINER_INHERIT));
    let sacl = Acl::builder()
        .with(Entry::audit(wd, mask, Outcomes::FAILURE))
        .with(Entry::label(IntegrityLevel::LOW, LabelPolicy::NO_READ_UP))
        .with(Entry::resource_attribute(&one).unwrap())
        .with(Entry::access_filter(wd, mask, &condition, FilterChange::Trusted));
    let sd = Descriptor::builder().dacl(dacl.build().unwrap()).sacl(sacl.build().unwrap()).build().unwrap();
    let text = "D:(OD;;FR;a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1;;WD)(XA;CI;FR;;;WD;(@USER.a))\
                S:(AU;FA;FR;;;WD)(ML;;NR;;;LW)(RA;;;;;WD;(\"n\",TU,0x0,7))(FL;TP;FR;;;WD;(@USER.a))";
    assert_eq!(sddl::print(sd.as_ref(), None).unwrap(), text);
    assert_eq!(sddl::parse(text, None).unwrap(), sd);
}

#[test]
fn an_entry_that_is_too_long_cannot_be_built() {
    let big = vec![7u8; 70_000];
    let one = claim(ClaimType::Octets, Value::Octets(&big));
    assert!(Acl::builder().with(Entry::resource_attribute(&one).unwrap()).build().is_err());
}
