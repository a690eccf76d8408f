//! Reading of TOML tables that goes on after a fault: every fault of the file is noted with its line.
//!
//! The `toml` crate's own derive stops at the first fault and knows no lines for what was resolved later, so the parsed
//! document is walked by hand.

use super::error::{ConfigError, Fault, Quoted};
use super::nearest::nearest;
use core::cell::RefCell;
use core::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The faults found so far, and the line of each place in the text.
pub(super) struct Faults {
    line_ends: Vec<usize>,
    found: RefCell<Vec<ConfigError>>,
}

impl Faults {
    pub(super) fn new(text: &str) -> Faults {
        let line_ends =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Faults { line_ends, found: RefCell::default() }
    }

    /// The line of a span's first byte, counted from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> u32 {
        let ends_before = self.line_ends.partition_point(|end| *end < span.start);
        u32::try_from(ends_before).unwrap_or(u32::MAX).saturating_add(1)
    }

    pub(super) fn note(&self, line: u32, fault: Fault) {
        self.found.borrow_mut().push(ConfigError { line: Some(line), fault });
    }

    pub(super) fn note_absence(&self, fault: Fault) {
        self.found.borrow_mut().push(ConfigError { line: None, fault });
    }

    pub(super) fn into_found(self) -> Vec<ConfigError> {
        self.found.into_inner()
    }
}

/// A value and the line it stands in.
#[derive(Clone, Copy)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) line: u32,
}

/// A key with what is said when its value is of no use.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What the value is, with an article.
    pub(super) expected: &'static str,
    /// A right value as it is written in TOML.
    pub(super) example: &'static str,
}

/// One table: hands out its values by key and, at the end, notes the keys nobody asked for.
pub(super) struct Section<'t> {
    table: &'t DeTable<'t>,
    faults: &'t Faults,
    /// The heading, for messages.
    pub(super) place: &'static str,
    /// Line of the heading.
    pub(super) line: u32,
    asked: Vec<&'static str>,
}

impl<'t> Section<'t> {
    pub(super) fn new(
        table: &'t Spanned<DeTable<'t>>,
        faults: &'t Faults,
        place: &'static str,
    ) -> Section<'t> {
        Section { table: table.get_ref(), faults, place, line: faults.line(&table.span()), asked: Vec::new() }
    }

    fn value(&mut self, name: &'static str) -> Option<Located<&'t DeValue<'t>>> {
        self.asked.push(name);
        let value = self.table.get(name)?;
        Some(Located { value: value.get_ref(), line: self.faults.line(&value.span()) })
    }

    /// Whether the key is there, with whatever value.
    pub(super) fn has(&mut self, key: Key) -> bool {
        self.asked.push(key.name);
        self.table.contains_key(key.name)
    }

    fn wrong_type(&self, found: Located<&DeValue<'_>>, key: Key, expected: &'static str) {
        let (key, example) = (key.name, key.example);
        let fault = Fault::WrongType { key, expected, found: type_name(found.value), example };
        self.faults.note(found.line, fault);
    }

    /// A text.
    pub(super) fn text(&mut self, key: Key) -> Option<Located<&'t str>> {
        let found = self.value(key.name)?;
        match found.value.as_str() {
            Some(value) => Some(Located { value, line: found.line }),
            None => {
                self.wrong_type(found, key, "text in quotes");
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn required_text(&mut self, key: Key) -> Option<Located<&'t str>> {
        if !self.has(key) {
            self.note_missing(key);
            return None;
        }
        self.text(key)
    }

    pub(super) fn note_missing(&self, key: Key) {
        let fault = Fault::Missing { key: key.name, place: self.place, example: key.example };
        self.faults.note(self.line, fault);
    }

    /// A text read by `read`.
    pub(super) fn parsed<T>(&mut self, key: Key, read: impl Fn(&str) -> Option<T>) -> Option<Located<T>> {
        let text = self.text(key)?;
        self.read_text(key, text, read)
    }

    /// A text read by `read` that must be there.
    pub(super) fn required<T>(&mut self, key: Key, read: impl Fn(&str) -> Option<T>) -> Option<Located<T>> {
        let text = self.required_text(key)?;
        self.read_text(key, text, read)
    }

    fn read_text<T>(
        &self,
        key: Key,
        text: Located<&str>,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<Located<T>> {
        let value = read(text.value);
        if value.is_none() {
            self.note_unreadable(text, key);
        }
        value.map(|value| Located { value, line: text.line })
    }

    pub(super) fn note_unreadable(&self, text: Located<&str>, key: Key) {
        let Key { name, expected, example } = key;
        let fault = Fault::Unreadable { key: name, found: Quoted::new(text.value), expected, example };
        self.faults.note(text.line, fault);
    }

    /// A list of texts, or one text alone, each read by `read`; `None` when one of them could not be read.
    pub(super) fn list<T>(
        &mut self,
        key: Key,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<Located<Vec<Located<T>>>> {
        let found = self.value(key.name)?;
        let read_item = |item: Located<&DeValue<'_>>| match item.value.as_str() {
            Some(value) => self.read_text(key, Located { value, line: item.line }, &read),
            None => {
                self.wrong_type(item, key, "a list of texts in quotes");
                None
            }
        };
        let items: Vec<Option<Located<T>>> = match found.value {
            DeValue::Array(array) => {
                let line = |item: &Spanned<DeValue<'_>>| self.faults.line(&item.span());
                array
                    .iter()
                    .map(|item| read_item(Located { value: item.get_ref(), line: line(item) }))
                    .collect()
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => vec![read_item(found)],
        };
        let value = items.into_iter().collect::<Option<_>>()?;
        Some(Located { value, line: found.line })
    }

    /// A list as [`list`](Self::list) reads it, with at least one element.
    pub(super) fn filled_list<T>(
        &mut self,
        key: Key,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<Located<Vec<Located<T>>>> {
        let list = self.list(key, read)?;
        if list.value.is_empty() {
            self.faults.note(list.line, Fault::EmptyList { key: key.name, example: key.example });
            return None;
        }
        Some(list)
    }

    /// A whole number within bounds.
    pub(super) fn whole(&mut self, key: Key, lowest: u64, highest: u64) -> Option<Located<u64>> {
        let found = self.value(key.name)?;
        let Some(integer) = found.value.as_integer() else {
            self.wrong_type(found, key, "a whole number");
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let value = number.filter(|number| (lowest..=highest).contains(number));
        if value.is_none() {
            let shown = Quoted::new(&integer.to_string());
            let fault = Fault::OutOfRange { key: key.name, found: shown, lowest, highest };
            self.faults.note(found.line, fault);
        }
        value.map(|value| Located { value, line: found.line })
    }

    /// A whole number within bounds that must be there.
    pub(super) fn required_whole(&mut self, key: Key, lowest: u64, highest: u64) -> Option<Located<u64>> {
        if !self.has(key) {
            self.note_missing(key);
            return None;
        }
        self.whole(key, lowest, highest)
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, key: Key, lowest: u32, highest: u32) -> Option<Located<u32>> {
        let Located { value, line } = self.whole(key, lowest.into(), highest.into())?;
        u32::try_from(value).ok().map(|value| Located { value, line })
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: Key) -> Option<Located<bool>> {
        let found = self.value(key.name)?;
        match found.value.as_bool() {
            Some(value) => Some(Located { value, line: found.line }),
            None => {
                self.wrong_type(found, key, "true or false");
                None
            }
        }
    }

    /// The line of a key that is there.
    pub(super) fn line_of(&self, key: Key) -> Option<u32> {
        self.table.get(key.name).map(|value| self.faults.line(&value.span()))
    }

    /// Whether the value of a key is `true` or `false`.
    pub(super) fn is_flag(&self, key: Key) -> bool {
        self.table.get(key.name).is_some_and(|value| value.get_ref().as_bool().is_some())
    }

    /// The table `[place]`, if it is there.
    pub(super) fn table(&mut self, name: &'static str, place: &'static str) -> Option<Section<'t>> {
        self.asked.push(name);
        let found = self.table.get(name)?;
        self.section(found, place)
    }

    /// The tables `[[place]]`.
    pub(super) fn tables(&mut self, name: &'static str, place: &'static str) -> Vec<Section<'t>> {
        self.asked.push(name);
        let Some(found) = self.table.get(name) else { return Vec::new() };
        match found.get_ref() {
            DeValue::Array(items) => items.iter().filter_map(|item| self.section(item, place)).collect(),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                self.faults.note(self.faults.line(&found.span()), Fault::WrongHeading { place });
                Vec::new()
            }
        }
    }

    fn section(&self, found: &'t Spanned<DeValue<'t>>, place: &'static str) -> Option<Section<'t>> {
        let line = self.faults.line(&found.span());
        match found.get_ref() {
            DeValue::Table(table) => {
                Some(Section { table, faults: self.faults, place, line, asked: Vec::new() })
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                self.faults.note(line, Fault::WrongHeading { place });
                None
            }
        }
    }

    /// Notes every key that was never asked for.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let mut known = self.asked.clone();
            known.sort_unstable();
            known.dedup();
            let nearest = nearest(name, known.iter().copied());
            let fault = Fault::UnknownKey { key: Quoted::new(name), place: self.place, nearest, known };
            self.faults.note(self.faults.line(&key.span()), fault);
        }
    }
}

const fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
