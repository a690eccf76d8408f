//! Writes XML: one element after the other, every value escaped.
//!
//! Characters that XML 1.0 has no place for become U+FFFD; the end of a line in an attribute becomes a space, as it would when it is
//! read.

use bytes::Bytes;
use core::fmt::{Display, Write};
use quick_xml::escape::escape;
use std::borrow::Cow;

/// A document that is being written.
#[derive(Debug)]
pub(super) struct Composer {
    text: String,
    open: Vec<Cow<'static, str>>,
    /// The tag of the last element may still get attributes.
    in_tag: bool,
}

impl Composer {
    /// A document with its root, whose default namespace is `namespace`.
    pub(super) fn new(root: &'static str, namespace: &str) -> Composer {
        let mut text = String::with_capacity(512);
        text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let mut composer = Composer { text, open: Vec::with_capacity(6), in_tag: false };
        composer.open(root).attribute("xmlns", namespace);
        composer
    }

    /// Begins an element.
    pub(super) fn open(&mut self, name: impl Into<Cow<'static, str>>) -> &mut Composer {
        let name = name.into();
        self.end_tag();
        self.text.push('<');
        self.text.push_str(&name);
        self.open.push(name);
        self.in_tag = true;
        self
    }

    /// An attribute of the element that was just begun.
    pub(super) fn attribute(&mut self, name: &str, value: &str) -> &mut Composer {
        debug_assert!(self.in_tag, "attributes stand before what is in an element");
        let value = clean(value, |character| matches!(character, '\t' | '\n' | '\r'), ' ');
        // A string takes whatever is written.
        let _written = write!(self.text, " {name}=\"{}\"", escape(value));
        self
    }

    /// An attribute, if there is a value.
    pub(super) fn attribute_if(&mut self, name: &str, value: Option<impl Display>) -> &mut Composer {
        if let Some(value) = value {
            self.attribute(name, &value.to_string());
        }
        self
    }

    /// Text in the element that is open.
    pub(super) fn text(&mut self, text: &str) -> &mut Composer {
        self.end_tag();
        self.text.push_str(&escape(clean(text, |_| false, ' ')));
        self
    }

    /// Ends the element that was begun last.
    pub(super) fn close(&mut self) -> &mut Composer {
        if let Some(name) = self.open.pop() {
            if core::mem::take(&mut self.in_tag) {
                self.text.push_str("/>");
            } else {
                let _written = write!(self.text, "</{name}>");
            }
        }
        self
    }

    /// An element with text.
    pub(super) fn element(&mut self, name: &'static str, text: &str) -> &mut Composer {
        self.open(name).text(text).close()
    }

    /// An element with text, if there is any.
    pub(super) fn element_if(&mut self, name: &'static str, text: Option<impl Display>) -> &mut Composer {
        if let Some(text) = text {
            self.element(name, &text.to_string());
        }
        self
    }

    /// The document; whatever is open is ended.
    pub(super) fn finish(mut self) -> Bytes {
        while !self.open.is_empty() {
            self.close();
        }
        self.text.push('\n');
        self.text.into()
    }

    fn end_tag(&mut self) {
        if core::mem::take(&mut self.in_tag) {
            self.text.push('>');
        }
    }
}

/// Text without what XML 1.0 §2.2 has no place for, and with `instead` of some others.
fn clean(text: &str, other: impl Fn(char) -> bool, instead: char) -> Cow<'_, str> {
    let legal = |character: char| {
        matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..) && character != '\u{fffe}'
    };
    if text.chars().all(|character| legal(character) && !other(character)) {
        return text.into();
    }
    let cleaned = text.chars().map(|character| match character {
        character if other(character) => instead,
        character if legal(character) => character,
        _ => char::REPLACEMENT_CHARACTER,
    });
    cleaned.collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_leave_its_place() {
        let mut composer = Composer::new("a", "urn:x");
        composer.attribute("b", "\"><evil/>\n&'\u{0}").element("c", "]]></a>&lt;\u{1b}");
        let text = String::from_utf8(composer.finish().to_vec()).unwrap();
        assert_eq!(
            text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a xmlns=\"urn:x\" b=\"&quot;&gt;&lt;evil/&gt; &amp;&apos;\u{fffd}\">\
             <c>]]&gt;&lt;/a&gt;&amp;lt;\u{fffd}</c></a>\n"
        );
    }
}
