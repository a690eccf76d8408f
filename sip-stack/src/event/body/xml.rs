//! Reads XML into a small tree: elements of the namespaces that we know, with their attributes and text.
//!
//! Namespaces count and prefixes do not (Namespaces in XML). Comments and processing instructions are passed over.

use super::BodyError;
use core::str::FromStr;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

/// Octets of a document: a message has no more.
pub const MAX_BODY: usize = crate::message::MAX_MESSAGE;
/// Elements of a document.
pub const MAX_ELEMENTS: usize = 8_192;
/// Levels of elements.
pub const MAX_DEPTH: usize = 16;
/// Attributes of an element, declarations of namespaces included.
pub const MAX_ATTRIBUTES: usize = 32;

/// Octets of a value, or of the text of an element.
pub const MAX_VALUE: usize = 4_096;

/// The namespaces we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    DialogInfo,
    Pidf,
    DataModel,
    Rpid,
    RegInfo,
    ConferenceInfo,
    Other,
}

impl Space {
    pub(super) const KNOWN: [(Space, &str); 6] = [
        (Space::DialogInfo, "urn:ietf:params:xml:ns:dialog-info"),
        (Space::Pidf, "urn:ietf:params:xml:ns:pidf"),
        (Space::DataModel, "urn:ietf:params:xml:ns:pidf:data-model"),
        (Space::Rpid, "urn:ietf:params:xml:ns:pidf:rpid"),
        (Space::RegInfo, "urn:ietf:params:xml:ns:reginfo"),
        (Space::ConferenceInfo, "urn:ietf:params:xml:ns:conference-info"),
    ];

    fn of(result: &ResolveResult<'_>) -> Space {
        let ResolveResult::Bound(Namespace(name)) = result else { return Space::Other };
        Space::KNOWN.iter().find(|(_, known)| known == name).map_or(Space::Other, |(space, _)| *space)
    }
}

/// An element with all that is in it.
#[derive(Debug)]
pub(super) struct Element {
    space: Space,
    name: Box<str>,
    attributes: Vec<(Box<str>, Box<str>)>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    /// The root of a document.
    ///
    /// # Errors
    /// [`BodyError`]: too large or deep, malformed, with a document type declaration, or another root.
    pub(super) fn parse(body: &[u8], space: Space, root: &str) -> Result<Element, BodyError> {
        if body.len() > MAX_BODY {
            return Err(BodyError::TooLarge(body.len()));
        }
        let text = core::str::from_utf8(body).map_err(|_| BodyError::Malformed)?;
        let element = Tree::default().read(text.trim_start_matches('\u{feff}'))?;
        if element.is(space, root) { Ok(element) } else { Err(BodyError::OtherDocument) }
    }

    /// Its name without the prefix.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is(&self, space: Space, name: &str) -> bool {
        self.space == space && &*self.name == name
    }

    /// The elements in it of that name, in its own namespace.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.is(self.space, name))
    }

    /// The first of them.
    pub(super) fn one(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.is(self.space, name))
    }

    /// The elements in it of a namespace.
    pub(super) fn of_space(&self, space: Space) -> impl Iterator<Item = &Element> {
        self.children.iter().filter(move |child| child.space == space)
    }

    /// Its text without the blanks around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim_matches([' ', '\t', '\r', '\n'])
    }

    /// The text of the first element of that name, unless it is empty.
    pub(super) fn text_of(&self, name: &str) -> Option<Box<str>> {
        self.one(name).map(Element::text).filter(|text| !text.is_empty()).map(Box::from)
    }

    /// The number in the first element of that name, if it is one.
    pub(super) fn number_of<T: FromStr>(&self, name: &str) -> Option<T> {
        self.one(name)?.text().parse().ok()
    }

    /// An attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| &**known == name).map(|(_, value)| &**value)
    }

    /// An attribute as it is kept.
    pub(super) fn owned(&self, name: &str) -> Option<Box<str>> {
        self.attribute(name).map(Box::from)
    }

    /// A number, if the attribute is one.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.attribute(name)?.trim().parse().ok()
    }

    /// An attribute that has to be there.
    ///
    /// # Errors
    /// [`BodyError::Missing`]
    pub(super) fn required(&self, name: &'static str) -> Result<&str, BodyError> {
        self.attribute(name).ok_or(BodyError::Missing(name))
    }

    /// An attribute that has to be there and be one of several words.
    ///
    /// # Errors
    /// [`BodyError::Missing`], [`BodyError::Value`]
    pub(super) fn word<T>(
        &self,
        name: &'static str,
        of_word: impl Fn(&str) -> Option<T>,
    ) -> Result<T, BodyError> {
        of_word(self.required(name)?.trim()).ok_or(BodyError::Value(name))
    }

    /// A number that has to be there.
    ///
    /// # Errors
    /// [`BodyError::Missing`], [`BodyError::Value`]
    pub(super) fn required_number(&self, name: &'static str) -> Result<u32, BodyError> {
        self.required(name)?.trim().parse().map_err(|_| BodyError::Value(name))
    }
}

/// The tree while it is read.
#[derive(Debug, Default)]
struct Tree {
    /// Elements that have not ended, the root first.
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Tree {
    fn read(mut self, text: &str) -> Result<Element, BodyError> {
        let mut reader = NsReader::from_str(text);
        loop {
            let (space, event) = reader.read_resolved_event().map_err(|_| BodyError::Malformed)?;
            let space = Space::of(&space);
            match event {
                Event::Start(start) => self.begin(space, &start)?,
                Event::Empty(start) => {
                    self.begin(space, &start)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) => self.write(&text.xml10_content())?,
                Event::CData(text) => self.write(&text.xml10_content())?,
                Event::GeneralRef(name) => {
                    let character = name.resolve_char_ref().map_err(|_| BodyError::Malformed)?;
                    match (character, resolve_xml_entity(&name)) {
                        (Some(character), _) => self.write(character.encode_utf8(&mut [0; 4]))?,
                        (None, Some(text)) => self.write(text)?,
                        (None, None) => return Err(BodyError::Malformed),
                    }
                }
                Event::DocType(_) => return Err(BodyError::DocumentType),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof if self.open.is_empty() => return self.root.ok_or(BodyError::Malformed),
                Event::Eof => return Err(BodyError::Malformed),
            }
        }
    }

    fn begin(&mut self, space: Space, start: &BytesStart<'_>) -> Result<(), BodyError> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS || self.open.len() >= MAX_DEPTH {
            return Err(BodyError::TooMany);
        }
        if self.root.is_some() {
            return Err(BodyError::Malformed);
        }
        let mut attributes = Vec::new();
        // Their keys are compared with each other when they are read: not before they were counted.
        for (at, attribute) in start.attributes().with_checks(false).enumerate() {
            if at >= MAX_ATTRIBUTES {
                return Err(BodyError::TooMany);
            }
            let attribute = attribute.map_err(|_| BodyError::Malformed)?;
            let name: Box<str> = attribute.key.0.into();
            if attributes.iter().any(|(known, _)| *known == name) {
                return Err(BodyError::Malformed);
            }
            let value =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| BodyError::Malformed)?;
            if name.len().max(value.len()) > MAX_VALUE {
                return Err(BodyError::TooMany);
            }
            attributes.push((name, Box::from(&*value)));
        }
        let name = start.local_name();
        let name = name.as_ref().into();
        self.open.push(Element { space, name, attributes, children: Vec::new(), text: String::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), BodyError> {
        let element = self.open.pop().ok_or(BodyError::Malformed)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), BodyError> {
        match self.open.last_mut() {
            Some(element) if element.text.len() + text.len() > MAX_VALUE => return Err(BodyError::TooMany),
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(BodyError::Malformed),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Element, BodyError> {
        Element::parse(body.as_bytes(), Space::Pidf, "presence")
    }

    const SPACE: &str = "urn:ietf:params:xml:ns:pidf";

    #[test]
    fn prefixes_say_nothing_and_namespaces_everything() {
        let root = read(&format!(
            "<?xml version='1.0'?><!-- x --><p:presence xmlns:p='{SPACE}' xmlns='urn:other' entity='a &amp;&#x41;'>\
             <tuple/><p:tuple id='1'/>\n<p:note> x <![CDATA[<y>]]>&lt;z </p:note></p:presence>\n"
        ))
        .unwrap();
        assert_eq!(root.attribute("entity"), Some("a &A"));
        assert_eq!(root.all("tuple").count(), 1);
        assert_eq!(root.text_of("note").as_deref(), Some("x <y><z"));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        let presence = format!("<presence xmlns='{SPACE}'");
        for (body, error) in [
            (String::new(), BodyError::Malformed),
            (format!("{presence}>"), BodyError::Malformed),
            (format!("{presence}></other>"), BodyError::Malformed),
            (format!("{presence}/><more/>"), BodyError::Malformed),
            (format!("{presence}/>text"), BodyError::Malformed),
            (format!("{presence} a='1' a='2'/>"), BodyError::Malformed),
            (format!("{presence}>&unknown;</presence>"), BodyError::Malformed),
            (format!("{presence} a='&unknown;'/>"), BodyError::Malformed),
            (format!("{presence}>&#0;</presence>"), BodyError::Malformed),
            ("<presence/>".to_owned(), BodyError::OtherDocument),
            (format!("<tuple xmlns='{SPACE}'/>"), BodyError::OtherDocument),
        ] {
            assert_eq!(read(&body).map(|_| ()), Err(error), "{body}");
        }
        assert_eq!(Element::parse(b"\xff", Space::Pidf, "presence").map(|_| ()), Err(BodyError::Malformed));
    }

    #[test]
    fn no_document_declares_entities() {
        let laughs = format!(
            "<!DOCTYPE presence [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]><presence xmlns='{SPACE}'>&b;</presence>"
        );
        assert_eq!(read(&laughs).map(|_| ()), Err(BodyError::DocumentType));
    }

    #[test]
    fn size_depth_and_number_have_their_bounds() {
        let presence = |inside: &str| format!("<presence xmlns='{SPACE}'>{inside}</presence>");
        let deep = |levels: usize| presence(&format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels)));
        assert!(read(&deep(MAX_DEPTH - 1)).is_ok());
        assert_eq!(read(&deep(MAX_DEPTH)).map(|_| ()), Err(BodyError::TooMany));
        assert!(read(&presence(&"<a/>".repeat(MAX_ELEMENTS - 1))).is_ok());
        assert_eq!(read(&presence(&"<a/>".repeat(MAX_ELEMENTS))).map(|_| ()), Err(BodyError::TooMany));
        let attributes = |count: usize| (0..count).map(|at| format!(" a{at}=''")).collect::<String>();
        assert!(read(&presence(&format!("<a{}/>", attributes(MAX_ATTRIBUTES)))).is_ok());
        let many = presence(&format!("<a{}/>", attributes(MAX_ATTRIBUTES + 1)));
        assert_eq!(read(&many).map(|_| ()), Err(BodyError::TooMany));
        let long = |length: usize| presence(&format!("<a b='{}'/>", "x".repeat(length)));
        assert!(read(&long(MAX_VALUE)).is_ok());
        assert_eq!(read(&long(MAX_VALUE + 1)).map(|_| ()), Err(BodyError::TooMany));
        assert_eq!(read(&presence(&"x".repeat(MAX_VALUE + 1))).map(|_| ()), Err(BodyError::TooMany));
        let large = presence(&" ".repeat(MAX_BODY));
        assert_eq!(read(&large).map(|_| ()), Err(BodyError::TooLarge(large.len())));
    }
}
