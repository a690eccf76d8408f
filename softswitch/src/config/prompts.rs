//! `[prompts]`: the operator's own sounds, and the language of the switch. Only names stand here; whether the folder can
//! be read and has the language is known where it is read.

use super::model::Prompts;
use super::table::{Key, Section};

const FOLDER: Key = Key { name: "folder", expected: "the name of a folder", example: "\"prompts\"" };
const LANGUAGE: Key =
    Key { name: "language", expected: "lower-case letters, digits and hyphens", example: "\"ru\"" };

const UNKNOWN_NUMBER: Key = Key { name: "unknown_number", expected: "true or false", example: "true" };

const REFUSED_ANONYMOUS: Key = Key { name: "refused_anonymous", expected: "true or false", example: "true" };

/// The language of a user.
pub(super) fn resolve_language(section: &mut Section<'_>) -> Option<Box<str>> {
    section.parsed(LANGUAGE, parse_language).map(|language| language.value)
}

/// The name of a language; whether there is one is known where the prompts are read.
pub(crate) fn parse_language(name: &str) -> Option<Box<str>> {
    crate::prompts::is_name(name).then(|| name.into())
}

pub(super) fn resolve_prompts(mut section: Section<'_>) -> Prompts {
    let folder = section.parsed(FOLDER, |name| (!name.is_empty()).then(|| name.into()));
    let language = resolve_language(&mut section);
    let unknown_number = section.flag(UNKNOWN_NUMBER).is_some_and(|flag| flag.value);
    let refused_anonymous = section.flag(REFUSED_ANONYMOUS).is_some_and(|flag| flag.value);
    section.finish();
    let default = Prompts::default();
    Prompts {
        folder: folder.map(|folder| folder.value),
        language: language.unwrap_or(default.language),
        unknown_number,
        refused_anonymous,
        own: default.own,
    }
}
