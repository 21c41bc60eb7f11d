//! Conditions and descriptors as text, against models of their own: what a condition comes to, and which bytes a text is.

use proptest::prelude::*;
use vicar_nt::check::{AccessRequest, Subject, decide};
use vicar_nt::claim::{Claim, ClaimFlags, ClaimType, Value};
use vicar_nt::token::TokenState;
use vicar_nt::utf16::{Utf16, encode};
use vicar_nt::{GenericMapping, GroupAttributes, RequestedMask, sddl, well_known};

/// The claims of the user: `a` and `b` have at most one value, `c` any number; what has none is missing.
type Claims = [Vec<i64>; 3];
const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Expression {
    Truth(usize),
    Exists(usize, bool),
    Relation(usize, &'static str, i64),
    Between(usize, &'static str, usize),
    List(usize, &'static str, Vec<i64>),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

use Expression::{And, Between, Exists, List, Not, Or, Relation, Truth};

impl Expression {
    fn text(&self) -> String {
        let name = |at: &usize| format!("@User.{}", NAMES[*at]);
        match self {
            Truth(at) => format!("({})", name(at)),
            Exists(at, wanted) => format!("({} {})", if *wanted { "Exists" } else { "Not_Exists" }, name(at)),
            Relation(at, how, number) => format!("({} {how} {number})", name(at)),
            Between(at, how, other) => format!("({} {how} {})", name(at), name(other)),
            List(at, how, numbers) => {
                let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
                format!("({} {how} {{{}}})", name(at), numbers.join(", "))
            }
            Not(inner) => format!("(!{})", inner.text()),
            And(left, right) => format!("({} && {})", left.text(), right.text()),
            Or(left, right) => format!("({} || {})", left.text(), right.text()),
        }
    }

    /// True, false, or unknown.
    fn answer(&self, claims: &Claims) -> Option<bool> {
        match self {
            Truth(at) => match claims[*at][..] {
                [number] => Some(number != 0),
                _ => None,
            },
            Exists(at, wanted) => Some(claims[*at].is_empty() != *wanted),
            Relation(at, how, number) => relation(&claims[*at], how, &[*number]),
            Between(at, how, other) => relation(&claims[*at], how, &claims[*other]),
            List(at, how, numbers) => relation(&claims[*at], how, numbers),
            Not(inner) => inner.answer(claims).map(|answer| !answer),
            And(left, right) => match (left.answer(claims), right.answer(claims)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Or(left, right) => match (left.answer(claims), right.answer(claims)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

fn relation(left: &[i64], how: &str, right: &[i64]) -> Option<bool> {
    if left.is_empty() || right.is_empty() {
        return None;
    }
    let has_all = |of: &[i64], these: &[i64]| these.iter().all(|number| of.contains(number));
    let shares = || left.iter().any(|number| right.contains(number));
    let one = |compare: fn(&i64, &i64) -> bool| match (left, right) {
        ([left], [right]) => Some(compare(left, right)),
        _ => None,
    };
    match how {
        "==" => Some(has_all(left, right) && has_all(right, left)),
        "!=" => Some(!(has_all(left, right) && has_all(right, left))),
        "<" => one(i64::lt),
        "<=" => one(i64::le),
        ">" => one(i64::gt),
        ">=" => one(i64::ge),
        "Contains" => Some(has_all(left, right)),
        "Not_Contains" => Some(!has_all(left, right)),
        "Any_of" => Some(shares()),
        "Not_Any_of" => Some(!shares()),
        _ => panic!("{how}"),
    }
}

const RELATIONS: [&str; 10] = ["==", "!=", "<", "<=", ">", ">=", "Contains", "Not_Contains", "Any_of", "Not_Any_of"];
/// What a list may stand behind. Order wants one value, and a list is none even with one.
const OF_LISTS: [&str; 6] = ["==", "!=", "Contains", "Not_Contains", "Any_of", "Not_Any_of"];

fn numbers(most: usize) -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::btree_set(-1i64..3, 0..=most).prop_map(|set| set.into_iter().collect())
}

fn expressions() -> impl Strategy<Value = Expression> {
    let at = || 0usize..3;
    let leaf = prop_oneof![
        at().prop_map(Truth),
        (at(), any::<bool>()).prop_map(|(at, wanted)| Exists(at, wanted)),
        (at(), proptest::sample::select(&RELATIONS[..]), -1i64..3)
            .prop_map(|(at, how, number)| Relation(at, how, number)),
        (at(), proptest::sample::select(&RELATIONS[..]), at()).prop_map(|(at, how, other)| Between(at, how, other)),
        (at(), proptest::sample::select(&OF_LISTS[..]), proptest::collection::vec(-1i64..3, 1..4))
            .prop_map(|(at, how, numbers)| List(at, how, numbers)),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let two = || (inner.clone(), inner.clone());
        prop_oneof![
            inner.clone().prop_map(|inner| Not(Box::new(inner))),
            two().prop_map(|(left, right)| And(Box::new(left), Box::new(right))),
            two().prop_map(|(left, right)| Or(Box::new(left), Box::new(right))),
        ]
    })
}

fn is_granted(claims: &Claims, text: &str) -> bool {
    let mut token =
        TokenState::builder(well_known::unix_user(1)).group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED);
    for (name, numbers) in NAMES.iter().zip(claims).filter(|(_, numbers)| !numbers.is_empty()) {
        let values: Vec<Value<'_>> = numbers.iter().map(|number| Value::Integer(i128::from(*number))).collect();
        let name = encode(name);
        let name = Utf16::from_bytes(&name).unwrap();
        token = token.user_claim(Claim::new(name, ClaimType::Int64, ClaimFlags::empty(), &values).unwrap());
    }
    let token = token.build().unwrap();
    let sd = sddl::parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
    let request = AccessRequest::new(Subject::itself(&token), sd.as_ref(), RequestedMask(1), GenericMapping::FILE);
    decide(&request).is_ok()
}

/// A SID with its bytes.
fn sids() -> impl Strategy<Value = (String, Vec<u8>)> {
    (1u64..0x1_0000_0000, proptest::collection::vec(any::<u32>(), 1..=15)).prop_map(|(authority, subs)| {
        let text: String = subs.iter().map(|sub| format!("-{sub}")).collect();
        let mut bytes = vec![1, u8::try_from(subs.len()).unwrap()];
        bytes.extend_from_slice(&authority.to_be_bytes()[2..]);
        subs.iter().for_each(|sub| bytes.extend_from_slice(&sub.to_le_bytes()));
        (format!("S-1-{authority}{text}"), bytes)
    })
}

const FLAGS: [(&str, u8); 7] =
    [("OI", 0x01), ("CI", 0x02), ("NP", 0x04), ("IO", 0x08), ("ID", 0x10), ("SA", 0x40), ("FA", 0x80)];

fn chosen<T: Copy + std::fmt::Debug + 'static>(from: &'static [T]) -> impl Strategy<Value = Vec<T>> {
    proptest::sample::subsequence(from, 0..=from.len())
}

/// An entry with its bytes: a plain one, or one for types, of which at least one is there.
fn entries(is_audit: bool) -> impl Strategy<Value = (String, Vec<u8>, bool)> {
    let types = prop_oneof![Just((false, false)), Just((true, false)), Just((false, true)), Just((true, true))];
    (any::<bool>(), chosen(&FLAGS[..]), any::<u32>(), types, any::<u64>(), sids()).prop_map(
        move |(denies, flags, mask, (has_type, has_inherited), seed, (sid, sid_bytes))| {
            let is_object = has_type || has_inherited;
            let (letter, number) = match (is_audit, denies, is_object) {
                (true, _, false) => ("AU", 2),
                (true, _, true) => ("OU", 7),
                (false, false, false) => ("A", 0),
                (false, true, false) => ("D", 1),
                (false, false, true) => ("OA", 5),
                (false, true, true) => ("OD", 6),
            };
            let [low, high] = [seed & 0xFFFF_FFFF, seed >> 32].map(|half| u32::try_from(half).unwrap());
            let guid = |first: u32| format!("{first:08x}-1234-5678-9abc-def012345678");
            let guid_bytes = |first: u32| {
                let mut bytes = first.to_le_bytes().to_vec();
                bytes.extend([0x34, 0x12, 0x78, 0x56, 0x9A, 0xBC, 0xDE, 0xF0, 0x12, 0x34, 0x56, 0x78]);
                bytes
            };
            let mut body = mask.to_le_bytes().to_vec();
            if is_object {
                body.extend((u32::from(has_type) | u32::from(has_inherited) << 1).to_le_bytes());
            }
            body.extend(if has_type { guid_bytes(low) } else { Vec::new() });
            body.extend(if has_inherited { guid_bytes(high) } else { Vec::new() });
            body.extend(sid_bytes);
            let size = u16::try_from(body.len() + 4).unwrap();
            let bits = flags.iter().fold(0, |bits, (_, bit)| bits | bit);
            let mut bytes = vec![number, bits];
            bytes.extend(size.to_le_bytes());
            bytes.extend(body);
            let flags: String = flags.iter().map(|(name, _)| *name).collect();
            let first = if has_type { guid(low) } else { String::new() };
            let second = if has_inherited { guid(high) } else { String::new() };
            (format!("({letter};{flags};{mask:#x};{first};{second};{sid})"), bytes, is_object)
        },
    )
}

/// What stands before the entries of a list, and its control bits in a DACL.
const CONTROLS: [(&str, u16); 3] = [("P", 0x1000), ("AR", 0x0100), ("AI", 0x0400)];

/// A list with its bytes and the control bits it sets in a DACL.
fn lists(is_audit: bool) -> impl Strategy<Value = (String, Vec<u8>, u16)> {
    (chosen(&CONTROLS[..]), proptest::collection::vec(entries(is_audit), 0..4)).prop_map(|(controls, entries)| {
        let text: String =
            controls.iter().map(|(name, _)| *name).chain(entries.iter().map(|(text, ..)| text.as_str())).collect();
        let body: Vec<u8> = entries.iter().flat_map(|(_, bytes, _)| bytes.clone()).collect();
        let revision = if entries.iter().any(|(.., is_object)| *is_object) { 4 } else { 2 };
        let mut bytes = vec![revision, 0];
        bytes.extend(u16::try_from(body.len() + 8).unwrap().to_le_bytes());
        bytes.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(body);
        (text, bytes, controls.iter().fold(0, |bits, (_, bit)| bits | bit))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_condition_comes_to_what_a_model_of_it_says(
        expression in expressions(), a in numbers(1), b in numbers(1), c in numbers(3),
    ) {
        let claims = [a, b, c];
        let (text, answer) = (expression.text(), expression.answer(&claims));
        let allows = is_granted(&claims, &format!("O:SYG:SYD:(XA;;0x1;;;WD;{text})"));
        let denies = !is_granted(&claims, &format!("O:SYG:SYD:(XD;;0x1;;;WD;{text})(A;;0x1;;;WD)"));
        // An allow entry applies if it is true, a deny entry unless it is false.
        prop_assert_eq!((allows, denies), (answer == Some(true), answer != Some(false)), "{} {:?}", text, answer);
    }

    #[test]
    fn a_text_is_the_bytes_that_a_model_of_the_layout_says(
        owner in proptest::option::of(sids()), group in proptest::option::of(sids()),
        dacl in proptest::option::of(lists(false)), sacl in proptest::option::of(lists(true)),
    ) {
        let mut text = String::new();
        let mut control = 0x8000u16;
        let mut offsets = [0u32; 4];
        let mut body = Vec::new();
        let mut put = |at: usize, bytes: &[u8]| {
            offsets[at] = u32::try_from(body.len() + 20).unwrap();
            body.extend_from_slice(bytes);
        };
        if let Some((_, bytes, controls)) = &sacl {
            control |= 0x10 | controls << 1;
            put(2, bytes);
        }
        if let Some((_, bytes, controls)) = &dacl {
            control |= 0x04 | controls;
            put(3, bytes);
        }
        owner.iter().for_each(|(_, bytes)| put(0, bytes));
        group.iter().for_each(|(_, bytes)| put(1, bytes));
        let sections = [
            ("O:", owner.map(|owner| owner.0)), ("G:", group.map(|group| group.0)),
            ("D:", dacl.map(|dacl| dacl.0)), ("S:", sacl.map(|sacl| sacl.0)),
        ];
        for (letter, section) in sections {
            section.into_iter().for_each(|section| text.extend([letter, &section]));
        }
        let mut bytes = vec![1, 0];
        bytes.extend(control.to_le_bytes());
        offsets.iter().for_each(|offset| bytes.extend(offset.to_le_bytes()));
        bytes.extend(body);
        let sd = sddl::parse(&text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
        prop_assert_eq!(sd.as_bytes(), &bytes[..], "{}", text);
        // And back: what is printed is another text of the same bytes.
        let printed = sddl::print(sd.as_ref(), None).unwrap();
        let again = sddl::parse(&printed, None).unwrap();
        prop_assert_eq!(again.as_bytes(), &bytes[..], "{}", printed);
    }
}
