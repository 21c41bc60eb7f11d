//! Text and bytes, both ways.

use proptest::prelude::*;
use vicar_nt::descriptor::Descriptor;
use vicar_nt::sddl;

use crate::model::questions;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_to_text_to_bytes_is_the_identity(question in questions()) {
        let sd = question.descriptor();
        let text = sddl::print(sd.as_ref(), None).unwrap();
        let again = sddl::parse(&text, None).unwrap();
        prop_assert_eq!(again.as_bytes(), sd.as_bytes(), "{}", text);
    }

    #[test]
    fn printing_is_settled_after_once(text in "[OGDS]:(P|AI|AR){0,2}(\\((A|D|XA|ML|OA|AU|RA);(OI|CI|IO|ID){0,2};(GA|FR|0x[0-9a-f]{1,8}|CCDC);;;(WD|SY|S-1-5-3)(;\\(@User.[a-z]{1,3} (==|Any_of) [0-9]{1,3}\\))?\\)){0,3}") {
        if let Ok(sd) = sddl::parse(&text, None) {
            let once = sddl::print(sd.as_ref(), None).unwrap();
            let twice = sddl::print(sddl::parse(&once, None).unwrap().as_ref(), None).unwrap();
            prop_assert_eq!(once, twice);
        }
    }

    #[test]
    fn conditions_survive_the_way_to_text_and_back(condition in conditions()) {
        let text = format!("D:(XA;;GA;;;WD;({condition}))");
        let sd = sddl::parse(&text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
        let printed = sddl::print(sd.as_ref(), None).unwrap();
        let again = sddl::parse(&printed, None).unwrap_or_else(|error| panic!("{printed}: {error}"));
        prop_assert_eq!(again.as_bytes(), sd.as_bytes(), "{} became {}", text, printed);
    }

    #[test]
    fn no_text_breaks_the_parser(text in "\\PC{0,60}") {
        if let Err(error) = sddl::parse(&text, None) {
            prop_assert!(text.is_char_boundary(error.at), "{} at {}", text, error.at);
        }
    }

    #[test]
    fn no_text_made_of_the_right_words_breaks_the_parser(words in proptest::collection::vec(word(), 0..24)) {
        let text = words.concat();
        if let Err(error) = sddl::parse(&text, None) {
            prop_assert!(text.is_char_boundary(error.at), "{} at {}", text, error.at);
        }
    }

    #[test]
    fn no_bytes_break_the_reader_or_the_printer(question in questions(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = question.descriptor().as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut.index(bytes.len()) / 3);
        match Descriptor::parse(&bytes) {
            Ok(sd) => drop(sddl::print(sd.as_ref(), None)),
            Err(error) => prop_assert!(error.at_byte() <= bytes.len()),
        }
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "O:",
        "G:",
        "D:",
        "S:",
        "SY",
        "WD",
        "S-1-5-18",
        "(",
        ")",
        ";",
        ";;;",
        "A",
        "XA",
        "RA",
        "OICI",
        "GA",
        "0x1",
        "P",
        "@User.a",
        "==",
        "&&",
        "||",
        "!",
        "Exists ",
        "Member_of ",
        "{",
        "}",
        "SID(WD)",
        "\"",
        "#1f",
        "-9",
        " ",
        "%0020",
        "é",
        ",",
        "TS",
        "NO_ACCESS_CONTROL",
    ])
}

/// Conditions as one might write them.
fn conditions() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(vec![
        "@User.a == 1",
        "@Device.b",
        "local",
        "Exists @Resource.c",
        "Not_Exists x/y",
        "Member_of {SID(WD), SID(BA)}",
        "Device_Member_of_Any SID(BA)",
        "@User.a Any_of {1, \"two\", #03}",
        "@User.%0020x != @Device.y",
        "a >= -0x10",
        "Not_Member_of_Any({SID(S-1-5-21-1-2-3-4)})",
        "b Contains +07",
        "c == {}",
        "d < 0",
        "@User.é == \"é\"",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})||({b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            inner.prop_map(|a| format!("!!( {a} )")),
        ]
    })
}
