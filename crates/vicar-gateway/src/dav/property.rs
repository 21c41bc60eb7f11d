//! What is known about a file: the names of WebDAV's own properties, and the store of the others.

use super::xml::{Content, Element, QualifiedName, XmlError, parse};

/// A property the server computes; none of them can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// When it was made.
    CreationDate,
    /// Its name, for people.
    DisplayName,
    /// Its length.
    ContentLength,
    /// Its media type.
    ContentType,
    /// Its entity tag.
    Etag,
    /// When it changed.
    LastModified,
    /// Its locks.
    LockDiscovery,
    /// Whether it is a directory.
    ResourceType,
    /// Which locks it can have.
    SupportedLock,
    /// Room left for this client.
    QuotaAvailable,
    /// Room in use.
    QuotaUsed,
}

impl Live {
    /// All of them, in the order they are written.
    pub const ALL: [Self; 11] = [
        Self::CreationDate,
        Self::DisplayName,
        Self::ContentLength,
        Self::ContentType,
        Self::Etag,
        Self::LastModified,
        Self::LockDiscovery,
        Self::ResourceType,
        Self::SupportedLock,
        Self::QuotaAvailable,
        Self::QuotaUsed,
    ];

    /// Its local name; the namespace is `DAV:`.
    #[must_use]
    pub const fn local_name(self) -> &'static str {
        match self {
            Self::CreationDate => "creationdate",
            Self::DisplayName => "displayname",
            Self::ContentLength => "getcontentlength",
            Self::ContentType => "getcontenttype",
            Self::Etag => "getetag",
            Self::LastModified => "getlastmodified",
            Self::LockDiscovery => "lockdiscovery",
            Self::ResourceType => "resourcetype",
            Self::SupportedLock => "supportedlock",
            Self::QuotaAvailable => "quota-available-bytes",
            Self::QuotaUsed => "quota-used-bytes",
        }
    }

    /// Finds the one of that name.
    #[must_use]
    pub fn find(name: &QualifiedName) -> Option<Self> {
        Self::ALL.into_iter().find(|live| name.is_dav(live.local_name()))
    }

    /// Whether `allprop` includes it; RFC 4331 keeps the quota out.
    #[must_use]
    pub const fn is_in_allprop(self) -> bool {
        !matches!(self, Self::QuotaAvailable | Self::QuotaUsed)
    }
}

/// The extended attribute that holds the other properties, all in one: what is set together is kept or lost together.
pub const STORE_NAME: &str = "user.vicar.dav";

const STORE_NAMESPACE: &str = "urn:vicar:properties";

/// The properties clients have set on one file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Dead(Vec<Element>);

/// One change to the properties of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Set it to this element.
    Set(Element),
    /// Remove it.
    Remove(QualifiedName),
}

impl Change {
    /// Which property it changes.
    #[must_use]
    pub const fn name(&self) -> &QualifiedName {
        match self {
            Self::Set(element) => &element.name,
            Self::Remove(name) => name,
        }
    }
}

impl Dead {
    /// Reads the store. Whoever may write a file may write its attributes too, so this is a stranger's document.
    ///
    /// # Errors
    /// - [`XmlError`] when it is not one of ours.
    pub fn parse(stored: &[u8]) -> Result<Self, XmlError> {
        let root = parse(stored)?;
        if root.name != QualifiedName::new(STORE_NAMESPACE, "properties") {
            return Err(XmlError::Malformed { at_byte: 0 });
        }
        let mut dead = Self::default();
        for child in root.children {
            match child {
                Content::Element(element) if Live::find(&element.name).is_none() => dead.apply(Change::Set(element)),
                Content::Element(_) | Content::Text(_) => {}
            }
        }
        Ok(dead)
    }

    /// Returns the bytes to store.
    #[must_use]
    pub fn to_stored(&self) -> Vec<u8> {
        let mut root = Element::empty(QualifiedName::new(STORE_NAMESPACE, "properties"));
        root.children = self.0.iter().cloned().map(Content::Element).collect();
        let mut out = String::new();
        root.write(&mut out);
        out.into_bytes()
    }

    /// Makes one change.
    pub fn apply(&mut self, change: Change) {
        self.0.retain(|element| element.name != *change.name());
        if let Change::Set(element) = change {
            self.0.push(element);
        }
    }

    /// Returns the property of that name.
    #[must_use]
    pub fn find(&self, name: &QualifiedName) -> Option<&Element> {
        self.0.iter().find(|element| element.name == *name)
    }

    /// Returns all of them.
    #[must_use]
    pub fn all(&self) -> &[Element] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_keeps_what_was_set() {
        let mut dead = Dead::default();
        let value = parse(b"<v xmlns='urn:x' xml:lang='de'>1<w xmlns=''>&lt;</w></v>").unwrap();
        dead.apply(Change::Set(value.clone()));
        dead.apply(Change::Set(parse(b"<v xmlns='urn:y'/>").unwrap()));
        let read = Dead::parse(&dead.to_stored()).unwrap();
        assert_eq!(read, dead);
        assert_eq!(read.find(&QualifiedName::new("urn:x", "v")), Some(&value));
        dead.apply(Change::Remove(QualifiedName::new("urn:x", "v")));
        assert_eq!(dead.all().len(), 1);
    }

    #[test]
    fn a_store_written_by_hand_cannot_speak_for_the_server() {
        for bad in [&b"<x/>"[..], b"junk", b"", b"<properties/>"] {
            assert!(Dead::parse(bad).is_err());
        }
        let forged =
            b"<p:properties xmlns:p='urn:vicar:properties'>text<getetag xmlns='DAV:'>\"x\"</getetag></p:properties>";
        assert_eq!(Dead::parse(forged).unwrap(), Dead::default());
    }
}
