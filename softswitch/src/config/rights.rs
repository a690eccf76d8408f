//! `groups`, `rights` and `hidden` of a user: who may see and command whose calls (`core/command/actor.rs`), and whose calls a
//! user may pick up. What it may and
//! wants as a caller and as one who is called: `may_page`, `anonymous`, `refuse_anonymous`.

use super::table::{Key, Section};
use crate::core::command::Rights;

const GROUPS: Key = Key {
    name: "groups",
    expected: "a name, or a list of names, at most 64 characters each",
    example: "[\"sales\"]",
};
const RIGHTS: Key = Key { name: "rights", expected: "\"own\", \"group\" or \"all\"", example: "\"group\"" };
const HIDDEN: Key = Key { name: "hidden", expected: "true or false", example: "true" };
const MAY_PAGE: Key = Key { name: "may_page", expected: "true or false", example: "true" };
const ANONYMOUS: Key = Key { name: "anonymous", expected: "true or false", example: "true" };
const REFUSE_ANONYMOUS: Key = Key { name: "refuse_anonymous", expected: "true or false", example: "true" };

/// What a section says of it.
#[derive(Clone, Default)]
pub(super) struct Standing {
    pub(super) groups: Vec<Box<str>>,
    pub(super) rights: Rights,
    pub(super) hidden: bool,
    pub(super) may_page: bool,
    pub(super) anonymous: bool,
    pub(super) refuse_anonymous: bool,
}

pub(super) fn resolve_standing(section: &mut Section<'_>) -> Standing {
    let groups = section.list(GROUPS, parse_group).map(|groups| groups.value).unwrap_or_default();
    let mut flag = |key| section.flag(key).is_some_and(|flag| flag.value);
    let (may_page, anonymous, refuse_anonymous) = (flag(MAY_PAGE), flag(ANONYMOUS), flag(REFUSE_ANONYMOUS));
    Standing {
        groups: groups.into_iter().map(|group| group.value).collect(),
        rights: section.parsed(RIGHTS, Rights::parse).map(|rights| rights.value).unwrap_or_default(),
        hidden: section.flag(HIDDEN).is_some_and(|flag| flag.value),
        may_page,
        anonymous,
        refuse_anonymous,
    }
}

fn parse_group(text: &str) -> Option<Box<str>> {
    let is_name = !text.is_empty() && text.chars().count() <= 64 && !text.chars().any(char::is_control);
    is_name.then(|| text.into())
}
