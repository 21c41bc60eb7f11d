//! XML in and out: a small tree, read within limits and written back self-contained.

use core::fmt;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

/// Longest document in bytes.
pub const DOCUMENT_LIMIT: usize = 64 * 1024;
/// Most elements inside each other.
pub const DEPTH_LIMIT: usize = 32;
/// Most elements of a document.
pub const ELEMENT_LIMIT: usize = 4096;
/// Most bytes of all names, each with its namespace in full: a namespace that is declared once is used by many names, and
/// each of them is kept and written back with it.
pub const NAME_BYTES_LIMIT: usize = 256 * 1024;
/// Longest `xml:lang` in bytes: it is given to everything beneath it.
const LANGUAGE_LIMIT: usize = 255;
const ATTRIBUTE_LIMIT: usize = 32;
const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// Why a document was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmlError {
    /// Longer, deeper or with more parts than the limits of this module.
    Limit {
        /// Of what there was too much.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Not well-formed, not namespace-well-formed or not UTF-8.
    Malformed {
        /// Where the reader stood.
        at_byte: usize,
    },
    /// A document type or an entity: never read here.
    Forbidden {
        /// Where the reader stood.
        at_byte: usize,
    },
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { what, limit } => write!(f, "more than {limit} {what}"),
            Self::Malformed { at_byte } => write!(f, "malformed XML at byte {at_byte}"),
            Self::Forbidden { at_byte } => write!(f, "document type or entity at byte {at_byte}"),
        }
    }
}

impl core::error::Error for XmlError {}

/// A name with its namespace; an empty namespace is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    /// The namespace name.
    pub namespace: String,
    /// The local name.
    pub local: String,
}

impl QualifiedName {
    /// The namespace of WebDAV's own names.
    pub const DAV: &'static str = "DAV:";

    /// Makes a name.
    #[must_use]
    pub fn new(namespace: &str, local: &str) -> Self {
        Self { namespace: namespace.to_owned(), local: local.to_owned() }
    }

    /// Whether this is the name `local` of WebDAV itself.
    #[must_use]
    pub fn is_dav(&self, local: &str) -> bool {
        self.namespace == Self::DAV && self.local == local
    }
}

/// An element with everything in it; comments and processing instructions are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: QualifiedName,
    /// Its attributes, without namespace declarations.
    pub attributes: Vec<(QualifiedName, String)>,
    /// Its content in order.
    pub children: Vec<Content>,
}

/// A piece of an element's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An element.
    Element(Element),
    /// Text, never empty.
    Text(String),
}

impl Element {
    /// Makes an element with nothing in it.
    #[must_use]
    pub const fn empty(name: QualifiedName) -> Self {
        Self { name, attributes: Vec::new(), children: Vec::new() }
    }

    /// Returns the elements in it, in order.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Content::Element(element) => Some(element),
            Content::Text(_) => None,
        })
    }

    /// Returns the first element in it of that name of WebDAV.
    #[must_use]
    pub fn dav_child(&self, local: &str) -> Option<&Self> {
        self.elements().find(|element| element.name.is_dav(local))
    }

    /// Returns the value of `xml:lang`, when it has one itself.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| is_language(name)).map(|(_, value)| value.as_str())
    }

    /// Gives it an `xml:lang` if it has none.
    pub fn inherit_language(&mut self, language: &str) {
        if self.language().is_none() {
            self.attributes.push((QualifiedName::new(XML_NAMESPACE, "lang"), language.to_owned()));
        }
    }

    /// Writes it so that it means the same wherever it is put: every namespace it uses is declared in it.
    pub fn write(&self, out: &mut String) {
        self.write_inside(None, out);
    }

    fn write_inside(&self, default_namespace: Option<&str>, out: &mut String) {
        out.push('<');
        out.push_str(&self.name.local);
        if default_namespace != Some(self.name.namespace.as_str()) {
            out.push_str(" xmlns=\"");
            escape_into(&self.name.namespace, out);
            out.push('"');
        }
        for (index, (name, value)) in self.attributes.iter().enumerate() {
            let prefix = match name.namespace.as_str() {
                "" => String::new(),
                XML_NAMESPACE => String::from("xml:"),
                namespace => {
                    out.push_str(&format!(" xmlns:a{index}=\""));
                    escape_into(namespace, out);
                    out.push('"');
                    format!("a{index}:")
                }
            };
            out.push(' ');
            out.push_str(&prefix);
            out.push_str(&name.local);
            out.push_str("=\"");
            escape_into(value, out);
            out.push('"');
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            match child {
                Content::Element(element) => element.write_inside(Some(&self.name.namespace), out),
                Content::Text(text) => escape_into(text, out),
            }
        }
        out.push_str("</");
        out.push_str(&self.name.local);
        out.push('>');
    }
}

/// Writes text so that XML reads the same text back; what XML cannot carry becomes U+FFFD.
pub fn escape_into(text: &str, out: &mut String) {
    let mut plain_from = 0_usize;
    for (at, character) in text.char_indices() {
        let replacement = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\r' => "&#13;",
            '\n' => "&#10;",
            '\t' => "&#9;",
            other if is_xml_character(other) => continue,
            _ => "\u{fffd}",
        };
        out.push_str(text.get(plain_from..at).unwrap_or_default());
        out.push_str(replacement);
        plain_from = at.saturating_add(character.len_utf8());
    }
    out.push_str(text.get(plain_from..).unwrap_or_default());
}

/// XML 1.0, production 2.
const fn is_xml_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Reads one document.
///
/// # Errors
/// - [`XmlError::Limit`] when it is too long, too deep or has too many parts.
/// - [`XmlError::Forbidden`] for a document type or an entity other than the five of XML itself.
/// - [`XmlError::Malformed`] for everything that is not namespace-well-formed XML 1.0 in UTF-8.
pub fn parse(document: &[u8]) -> Result<Element, XmlError> {
    if document.len() > DOCUMENT_LIMIT {
        return Err(XmlError::Limit { what: "bytes", limit: DOCUMENT_LIMIT });
    }
    let text = core::str::from_utf8(document).map_err(|error| XmlError::Malformed { at_byte: error.valid_up_to() })?;
    let mut parser = Parser { open: Vec::new(), root: None, elements: 0, name_bytes: 0 };
    let mut reader = NsReader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    loop {
        let at_byte = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let malformed = XmlError::Malformed { at_byte };
        match reader.read_event().map_err(|_| malformed)? {
            Event::Start(tag) => {
                let element = parser.element(&reader, &tag, malformed)?;
                parser.open(element)?;
            }
            Event::Empty(tag) => {
                let element = parser.element(&reader, &tag, malformed)?;
                parser.open(element)?;
                parser.close(malformed)?;
            }
            Event::End(_) => parser.close(malformed)?,
            Event::Text(text) => parser.text(&text.xml_content().map_err(|_| malformed)?, malformed)?,
            Event::CData(text) => parser.text(&text.xml_content().map_err(|_| malformed)?, malformed)?,
            Event::GeneralRef(reference) => {
                let character = resolve(&reference, at_byte)?;
                parser.text(character.encode_utf8(&mut [0; 4]), malformed)?;
            }
            Event::Comment(_) | Event::PI(_) => {}
            Event::Decl(_) => {
                if parser.root.is_some() || !parser.open.is_empty() {
                    return Err(malformed);
                }
            }
            Event::DocType(_) => return Err(XmlError::Forbidden { at_byte }),
            Event::Eof => {
                return if parser.open.is_empty() { parser.root.ok_or(malformed) } else { Err(malformed) };
            }
        }
    }
}

struct Parser {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
    name_bytes: usize,
}

impl Parser {
    fn element(
        &mut self,
        reader: &NsReader<&[u8]>,
        tag: &BytesStart<'_>,
        malformed: XmlError,
    ) -> Result<Element, XmlError> {
        self.elements = self.elements.saturating_add(1);
        if self.elements > ELEMENT_LIMIT {
            return Err(XmlError::Limit { what: "elements", limit: ELEMENT_LIMIT });
        }
        let (resolved, local) = reader.resolve_element(tag.name());
        let name = qualified(&resolved, local.into_inner(), malformed)?;
        self.count_name(&name)?;
        let mut attributes = Vec::new();
        for (index, attribute) in tag.attributes().enumerate() {
            if index >= ATTRIBUTE_LIMIT {
                return Err(XmlError::Limit { what: "attributes", limit: ATTRIBUTE_LIMIT });
            }
            let attribute = attribute.map_err(|_| malformed)?;
            let value = attribute.unescape_value().map_err(|_| malformed)?;
            if !value.chars().all(is_xml_character) || value.contains('<') && attribute.value.contains(&b'<') {
                return Err(malformed);
            }
            match attribute.key.as_namespace_binding() {
                Some(quick_xml::name::PrefixDeclaration::Default) => continue,
                // Namespaces in XML 1.0 cannot undeclare a prefix.
                Some(quick_xml::name::PrefixDeclaration::Named(_)) if value.is_empty() => return Err(malformed),
                Some(quick_xml::name::PrefixDeclaration::Named(_)) => continue,
                None => {}
            }
            let (resolved, local) = reader.resolve_attribute(attribute.key);
            let name = qualified(&resolved, local.into_inner(), malformed)?;
            self.count_name(&name)?;
            if attributes.iter().any(|(other, _)| *other == name) {
                return Err(malformed);
            }
            if is_language(&name) && value.len() > LANGUAGE_LIMIT {
                return Err(XmlError::Limit { what: "bytes of a language", limit: LANGUAGE_LIMIT });
            }
            attributes.push((name, value.into_owned()));
        }
        Ok(Element { name, attributes, children: Vec::new() })
    }

    fn count_name(&mut self, name: &QualifiedName) -> Result<(), XmlError> {
        self.name_bytes = self.name_bytes.saturating_add(name.namespace.len()).saturating_add(name.local.len());
        if self.name_bytes > NAME_BYTES_LIMIT {
            return Err(XmlError::Limit { what: "bytes of names", limit: NAME_BYTES_LIMIT });
        }
        Ok(())
    }

    fn open(&mut self, element: Element) -> Result<(), XmlError> {
        if self.open.len() >= DEPTH_LIMIT {
            return Err(XmlError::Limit { what: "elements inside each other", limit: DEPTH_LIMIT });
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self, malformed: XmlError) -> Result<(), XmlError> {
        let element = self.open.pop().ok_or(malformed)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Content::Element(element)),
            None if self.root.is_none() => self.root = Some(element),
            None => return Err(malformed),
        }
        Ok(())
    }

    fn text(&mut self, text: &str, malformed: XmlError) -> Result<(), XmlError> {
        if !text.chars().all(is_xml_character) {
            return Err(malformed);
        }
        match self.open.last_mut() {
            Some(_) if text.is_empty() => Ok(()),
            Some(parent) => {
                if let Some(Content::Text(before)) = parent.children.last_mut() {
                    before.push_str(text);
                } else {
                    parent.children.push(Content::Text(text.to_owned()));
                }
                Ok(())
            }
            None if text.chars().all(|character| character.is_ascii_whitespace()) => Ok(()),
            None => Err(malformed),
        }
    }
}

fn is_language(name: &QualifiedName) -> bool {
    name.namespace == XML_NAMESPACE && name.local == "lang"
}

fn qualified(resolved: &ResolveResult<'_>, local: &[u8], malformed: XmlError) -> Result<QualifiedName, XmlError> {
    let namespace = match resolved {
        ResolveResult::Unbound => String::new(),
        ResolveResult::Bound(Namespace(bytes)) => {
            let raw = core::str::from_utf8(bytes).map_err(|_| malformed)?;
            quick_xml::escape::unescape(raw).map_err(|_| malformed)?.into_owned()
        }
        ResolveResult::Unknown(_) => return Err(malformed),
    };
    let local = core::str::from_utf8(local).map_err(|_| malformed)?;
    if !is_local_name(local) || namespace == XMLNS_NAMESPACE || !namespace.chars().all(is_xml_character) {
        return Err(malformed);
    }
    Ok(QualifiedName { namespace, local: local.to_owned() })
}

/// Namespaces in XML 1.0, production 4: what may stand as a local name.
fn is_local_name(name: &str) -> bool {
    let starts = |character: char| {
        matches!(character, 'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
            | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
            | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
            | '\u{10000}'..='\u{effff}')
    };
    let follows = |character: char| {
        starts(character)
            || matches!(character, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
    };
    let mut characters = name.chars();
    characters.next().is_some_and(starts) && characters.all(follows)
}

fn resolve(reference: &BytesRef<'_>, at_byte: usize) -> Result<char, XmlError> {
    if reference.is_char_ref() {
        return reference
            .resolve_char_ref()
            .ok()
            .flatten()
            .filter(|&character| is_xml_character(character))
            .ok_or(XmlError::Malformed { at_byte });
    }
    match &**reference {
        b"lt" => Ok('<'),
        b"gt" => Ok('>'),
        b"amp" => Ok('&'),
        b"apos" => Ok('\''),
        b"quot" => Ok('"'),
        _ => Err(XmlError::Forbidden { at_byte }),
    }
}

#[cfg(test)]
mod tests;
