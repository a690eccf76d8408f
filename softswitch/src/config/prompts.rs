//! `[prompts]`: the operator's own sounds, and the language of the switch. Only names stand here; whether the folder can
//! be read and has the language is known where it is read.

use super::model::Prompts;
use super::table::{Key, Section};

const FOLDER: Key = Key { name: "folder", expected: "the name of a folder", example: "\"prompts\"" };
const LANGUAGE: Key =
    Key { name: "language", expected: "lower-case letters, digits and hyphens", example: "\"ru\"" };

pub(super) fn resolve_prompts(mut section: Section<'_>) -> Prompts {
    let folder = section.parsed(FOLDER, |name| (!name.is_empty()).then(|| name.into()));
    let language = section.parsed(LANGUAGE, |name| crate::prompts::is_name(name).then(|| name.into()));
    section.finish();
    let default = Prompts::default();
    Prompts {
        folder: folder.map(|folder| folder.value),
        language: language.map_or(default.language, |language| language.value),
    }
}
