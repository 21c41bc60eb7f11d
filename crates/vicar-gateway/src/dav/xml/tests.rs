//! Documents that are read, and documents that are not.

use super::*;
use proptest::prelude::*;

fn written(document: &str) -> String {
    let mut out = String::new();
    parse(document.as_bytes()).unwrap().write(&mut out);
    out
}

#[test]
fn what_is_written_stands_alone() {
    assert_eq!(
        written("<D:a xmlns:D='DAV:' xmlns:x='urn:x'><x:b x:c='1' d='2'>t&amp;<D:e/></x:b></D:a>"),
        "<a xmlns=\"DAV:\"><b xmlns=\"urn:x\" xmlns:a0=\"urn:x\" a0:c=\"1\" d=\"2\">t&amp;<e xmlns=\"DAV:\"/></b></a>"
    );
    assert_eq!(written("<a><![CDATA[<&]]>&#x41;</a>"), "<a xmlns=\"\">&lt;&amp;A</a>");
}

#[test]
fn what_is_not_namespace_well_formed_is_refused() {
    for bad in [
        "",
        "text",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<x:a/>",
        "<a x:y='1'/>",
        "<a xmlns:x=''><x:b/></a>",
        "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
        "<a x='1' x='2'/>",
        "<a>&#0;</a>",
        "<a>&#xFFFE;</a>",
        "<a>\u{1}</a>",
        "<a b='\u{1}'/>",
        "<a><?xml version='1.0'?></a>",
        "<1/>",
        "<a b='<'/>",
    ] {
        assert!(matches!(parse(bad.as_bytes()), Err(XmlError::Malformed { .. })), "{bad}: {:?}", parse(bad.as_bytes()));
    }
    assert!(matches!(parse(b"<a>\xff</a>"), Err(XmlError::Malformed { at_byte: 3 })));
}

#[test]
fn a_namespace_that_is_declared_once_is_not_kept_thousands_of_times() {
    let long = "n".repeat(30_000);
    let elements = |count: usize| format!("<a xmlns:n='{long}'>{}</a>", "<n:b/>".repeat(count));
    assert!(parse(elements(8).as_bytes()).is_ok());
    assert!(matches!(parse(elements(4000).as_bytes()), Err(XmlError::Limit { limit: NAME_BYTES_LIMIT, .. })));
    let attributes = format!("<a xmlns:n='{long}'>{}</a>", "<b n:c=''/>".repeat(2000));
    assert!(matches!(parse(attributes.as_bytes()), Err(XmlError::Limit { limit: NAME_BYTES_LIMIT, .. })));
    let language = format!("<a xml:lang='{}'/>", "e".repeat(256));
    assert!(matches!(parse(language.as_bytes()), Err(XmlError::Limit { limit: LANGUAGE_LIMIT, .. })));
}

#[test]
fn entities_and_document_types_are_never_read() {
    for bad in ["<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<a>&x;</a>", "<!DOCTYPE a SYSTEM 'http://x/'><a/>"] {
        assert!(matches!(parse(bad.as_bytes()), Err(XmlError::Forbidden { .. })), "{bad}");
    }
}

#[test]
fn limits_hold() {
    let deep = |count: usize| format!("{}{}", "<a>".repeat(count), "</a>".repeat(count));
    assert!(parse(deep(DEPTH_LIMIT).as_bytes()).is_ok());
    assert!(matches!(parse(deep(DEPTH_LIMIT + 1).as_bytes()), Err(XmlError::Limit { .. })));
    let wide = format!("<a>{}</a>", "<b/>".repeat(ELEMENT_LIMIT));
    assert!(matches!(parse(wide.as_bytes()), Err(XmlError::Limit { what: "elements", .. })));
    let long = format!("<a>{}</a>", " ".repeat(DOCUMENT_LIMIT));
    assert!(matches!(parse(long.as_bytes()), Err(XmlError::Limit { what: "bytes", .. })));
}

fn element() -> impl Strategy<Value = Element> {
    let name =
        ("[a-z:/?&<\"]{0,8}", "[a-zA-Z_\u{e9}][a-z0-9.-]{0,6}").prop_map(|(ns, local)| QualifiedName::new(&ns, &local));
    let text = "[ -~\u{e9}\u{1f600}\r\n\t]{1,12}";
    let leaf = (name.clone(), proptest::collection::vec((name.clone(), text), 0..3)).prop_map(|(name, attributes)| {
        let mut seen = std::collections::HashSet::new();
        let attributes = attributes.into_iter().filter(|(name, _)| seen.insert(name.clone())).collect();
        Element { name, attributes, children: Vec::new() }
    });
    leaf.prop_recursive(4, 20, 4, move |inner| {
        (name.clone(), proptest::collection::vec((text, inner), 0..4)).prop_map(|(name, parts)| {
            let mut children = Vec::new();
            for (text, element) in parts {
                children.push(Content::Text(text));
                children.push(Content::Element(element));
            }
            Element { name, attributes: Vec::new(), children }
        })
    })
}

proptest! {
    #[test]
    fn reading_what_was_written_gives_the_same(element in element()) {
        let mut out = String::new();
        element.write(&mut out);
        prop_assert_eq!(parse(out.as_bytes()).unwrap(), element);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_text_like_xml_makes_it_panic(text in "[<>/a=\"'&;!\\[\\]x:#0-9 -]{0,80}") {
        let _ = parse(text.as_bytes());
    }
}
