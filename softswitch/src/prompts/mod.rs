//! What the switch says: which sounds there are, and which of them say a number, a count or a time.
//!
//! A prompt has an id such as `vm/intro` or `digits/7`. A [`Library`] knows its sound in each language; a [`Grammar`] turns
//! [`What`] there is to say into a row of ids, by rules that are data (`softswitch/prompts/*/grammar.toml`). Nothing here
//! reads a file or plays one.

mod grammar;
mod library;
mod say;
#[cfg(test)]
mod tests;

pub use grammar::{Grammar, GrammarError, LAST};
#[cfg(test)]
pub(crate) use library::built_in_text;
pub use library::{Found, Library, Sound, built_in_files, built_in_sound};
pub use say::{Counted, Date, Day, OutOfRange, TimeOfDay, What};

/// Whether it may be the id of a prompt: at least two names with `/` between. So an id is always a path below its folder,
/// whoever wrote it.
pub(crate) fn is_prompt_id(id: &str) -> bool {
    id.contains('/') && id.split('/').all(is_name)
}

/// Whether it may be the name of a language, or a part of an id: lower-case letters, digits and hyphens.
pub(crate) fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(good)
}
