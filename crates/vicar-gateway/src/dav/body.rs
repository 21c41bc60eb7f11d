//! What the body of a request asks for.

use super::property::Change;
use super::xml::{Content, Element, QualifiedName, XmlError, parse};

/// Longest `owner` of a lock in bytes, as it is kept.
pub const OWNER_LIMIT: usize = 4 * 1024;

/// What a PROPFIND asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Every property, and these besides.
    All {
        /// Properties that are not part of "every".
        include: Vec<QualifiedName>,
    },
    /// The names of every property.
    Names,
    /// These properties.
    These(Vec<QualifiedName>),
}

/// What a LOCK asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockWish {
    /// Exclusive or shared.
    pub scope: Scope,
    /// What the client says about itself, as XML that stands alone.
    pub owner: Option<String>,
}

/// Whether others may have a lock too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One lock at a time.
    Exclusive,
    /// Several shared ones.
    Shared,
}

const MISSING: XmlError = XmlError::Malformed { at_byte: 0 };

/// Reads the body of a PROPFIND; an empty one asks for all properties.
///
/// # Errors
/// - [`XmlError`] when it is not a `propfind` document.
///
/// # Source
/// RFC 4918 9.1, 14.20.
pub fn propfind(body: &[u8]) -> Result<Wanted, XmlError> {
    if body.is_empty() {
        return Ok(Wanted::All { include: Vec::new() });
    }
    let root = document(body, "propfind")?;
    let names = |element: &Element| element.elements().map(|child| child.name.clone()).collect::<Vec<_>>();
    match (root.dav_child("prop"), root.dav_child("allprop"), root.dav_child("propname")) {
        (Some(prop), None, None) => Ok(Wanted::These(names(prop))),
        (None, Some(_), None) => Ok(Wanted::All { include: root.dav_child("include").map(names).unwrap_or_default() }),
        (None, None, Some(_)) => Ok(Wanted::Names),
        (_, _, _) => Err(MISSING),
    }
}

/// Reads the body of a PROPPATCH: the changes in their order.
///
/// # Errors
/// - [`XmlError`] when it is not a `propertyupdate` document with at least one change.
///
/// # Source
/// RFC 4918 9.2, 14.19.
pub fn proppatch(body: &[u8]) -> Result<Vec<Change>, XmlError> {
    let root = document(body, "propertyupdate")?;
    let mut changes = Vec::new();
    for instruction in root.elements() {
        let set = if instruction.name.is_dav("set") {
            true
        } else if instruction.name.is_dav("remove") {
            false
        } else {
            continue;
        };
        let prop = instruction.dav_child("prop").ok_or(MISSING)?;
        let language = [prop, instruction, &root].into_iter().find_map(Element::language);
        for property in prop.elements() {
            changes.push(if set {
                let mut property = property.clone();
                if let Some(language) = language {
                    property.inherit_language(language);
                }
                Change::Set(property)
            } else {
                Change::Remove(property.name.clone())
            });
        }
    }
    if changes.is_empty() { Err(MISSING) } else { Ok(changes) }
}

/// Reads the body of a LOCK; an empty one asks for a refresh and gives `None`.
///
/// # Errors
/// - [`XmlError`] when it is not a `lockinfo` document for a write lock; [`XmlError::Limit`] for an `owner` longer than
///   [`OWNER_LIMIT`], which would be kept as long as the lock is.
///
/// # Source
/// RFC 4918 9.10, 14.11.
pub fn lock(body: &[u8]) -> Result<Option<LockWish>, XmlError> {
    if body.is_empty() {
        return Ok(None);
    }
    let root = document(body, "lockinfo")?;
    let scope = root.dav_child("lockscope").ok_or(MISSING)?;
    let scope = match (scope.dav_child("exclusive"), scope.dav_child("shared")) {
        (Some(_), None) => Scope::Exclusive,
        (None, Some(_)) => Scope::Shared,
        (Some(_), Some(_)) | (None, None) => return Err(MISSING),
    };
    root.dav_child("locktype").and_then(|kind| kind.dav_child("write")).ok_or(MISSING)?;
    let owner = root.dav_child("owner").map(owner_text).transpose()?;
    Ok(Some(LockWish { scope, owner }))
}

fn owner_text(owner: &Element) -> Result<String, XmlError> {
    let mut text = String::new();
    owner.write(&mut text);
    if text.len() > OWNER_LIMIT {
        return Err(XmlError::Limit { what: "bytes of an owner", limit: OWNER_LIMIT });
    }
    Ok(text)
}

fn document(body: &[u8], local: &str) -> Result<Element, XmlError> {
    let root = parse(body)?;
    if root.name.is_dav(local) { Ok(root) } else { Err(MISSING) }
}

/// Returns the text of an element without its markup.
#[must_use]
pub fn text_of(element: &Element) -> String {
    let mut out = String::new();
    for child in &element.children {
        match child {
            Content::Text(text) => out.push_str(text),
            Content::Element(inner) => out.push_str(&text_of(inner)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn propfind_is_one_of_three() {
        assert_eq!(propfind(b""), Ok(Wanted::All { include: vec![] }));
        assert_eq!(propfind(b"<propfind xmlns='DAV:'><propname/></propfind>"), Ok(Wanted::Names));
        assert_eq!(
            propfind(b"<propfind xmlns='DAV:'><prop><getetag/><x xmlns='urn:x'/></prop></propfind>"),
            Ok(Wanted::These(vec![QualifiedName::new("DAV:", "getetag"), QualifiedName::new("urn:x", "x")]))
        );
        for bad in [
            &b"<propfind xmlns='DAV:'/>"[..],
            b"<propfind xmlns='urn:x'><allprop/></propfind>",
            b"<propfind xmlns='DAV:'><allprop/><propname/></propfind>",
            b"<propertyupdate xmlns='DAV:'/>",
            b"<propfind",
        ] {
            assert!(propfind(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn proppatch_keeps_the_order_and_the_language() {
        let changes = proppatch(
            b"<propertyupdate xmlns='DAV:' xml:lang='fr'><remove><prop><a/></prop></remove><set><prop><a>1</a></prop></set></propertyupdate>",
        )
        .unwrap();
        assert_eq!(changes.len(), 2);
        assert!(matches!(&changes[0], Change::Remove(name) if name.is_dav("a")));
        assert!(matches!(&changes[1], Change::Set(element) if element.language() == Some("fr")));
        assert!(proppatch(b"<propertyupdate xmlns='DAV:'><set/></propertyupdate>").is_err());
    }

    #[test]
    fn lock_wants_a_write_lock() {
        let wish = lock(b"<lockinfo xmlns='DAV:'><lockscope><shared/></lockscope><locktype><write/></locktype><owner>me</owner></lockinfo>");
        assert!(matches!(wish, Ok(Some(LockWish { scope: Scope::Shared, owner: Some(_) }))));
        assert_eq!(lock(b""), Ok(None));
        assert!(lock(b"<lockinfo xmlns='DAV:'><lockscope><shared/></lockscope></lockinfo>").is_err());
        let long = format!(
            "<lockinfo xmlns='DAV:'><lockscope><shared/></lockscope><locktype><write/></locktype><owner>{}</owner></lockinfo>",
            "m".repeat(OWNER_LIMIT)
        );
        assert!(matches!(lock(long.as_bytes()), Err(XmlError::Limit { limit: OWNER_LIMIT, .. })));
    }
}
