//! How a language says numbers, counts and times: its `grammar.toml`, read and checked once.
//!
//! A set of rules says one kind of number. A rule stands under the least number it is for; of a set, the rule with the
//! greatest such base that is not above the number applies. Its text is a row of words:
//!
//! | word | what is said |
//! |---|---|
//! | `digits/7` | this prompt |
//! | `<`, `<set` | the number divided by the rule's power of ten, by this set or another |
//! | `>` | what remains of that division, by this set; nothing when nothing remains |
//! | `=set` | the number itself, by another set |
//! | `@noun` | what is counted, in the form that goes with the quotient if the rule has one, else with the number |
//!
//! The power of ten is the greatest that is not above the base. So `<` and `>` always shrink the number, and `=` may not
//! lead in a circle: every number comes to an end. Left out on purpose: fractions, sums of money, years.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The greatest number that any set says.
pub const LAST: u32 = 999_999_999;

/// What every language must be able to say.
const SETS: [&str; 17] = [
    "cardinal",
    "ordinal",
    "hours",
    "minutes",
    "seconds",
    "new-messages",
    "saved-messages",
    "message-number",
    "participants",
    "queue-position",
    "queue-callers",
    "queue-wait",
    "weekday",
    "month",
    "day",
    "hour",
    "minute",
];

/// Why a `grammar.toml` is of no use.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GrammarError {
    /// It is not TOML, or not of this form.
    #[error("{0}")]
    Syntax(String),
    /// A key is neither a number nor a range of numbers, or is above [`LAST`].
    #[error("[{table}]: {key:?} is no number and no range of numbers up to {LAST}")]
    Key {
        /// The table it stands in.
        table: String,
        /// The key.
        key: String,
    },
    /// A word of a rule means nothing there.
    #[error("[{table}]: {word:?} is no prompt and no rule")]
    Word {
        /// The table it stands in.
        table: String,
        /// The word.
        word: String,
    },
    /// A set is named, or needed, that is not there.
    #[error("there is no [say.{0}]")]
    NoSet(String),
    /// `<` or `>` stands under a base below 10, or in a range: nothing would get smaller.
    #[error("[{table}]: {key} cannot be divided; < and > need a base of at least 10")]
    NotDivisible {
        /// The table it stands in.
        table: String,
        /// The key.
        key: String,
    },
    /// Sets refer to each other in a circle by `=` or `like`.
    #[error("[say.{0}] leads back to itself")]
    Circle(String),
    /// The plural has no rule for 0, so that some number would have no form.
    #[error("[plural] says nothing about 0")]
    Plural,
}

/// The rules of one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    pub(super) plural: BTreeMap<u32, Form>,
    pub(super) sets: BTreeMap<String, Set>,
    pub(super) when: When,
}

/// The form of a noun that goes with a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// This one.
    Named(String),
    /// The one that goes with the remainder.
    OfRemainder,
}

/// The rules for one kind of number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) rules: BTreeMap<u32, Vec<Word>>,
    /// The greatest number it says.
    pub(super) last: u32,
}

/// A word of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Prompt(String),
    /// By the named set, or by the one the rule is in.
    Quotient(Option<String>),
    Remainder,
    Itself(String),
    /// A prompt for each form.
    Noun(BTreeMap<String, String>),
}

/// How times and dates are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    pub(super) time: Vec<Part>,
    pub(super) date: Vec<Part>,
    pub(super) today: Vec<Part>,
    pub(super) yesterday: Vec<Part>,
    pub(super) earlier: Vec<Part>,
    pub(super) received: Vec<Part>,
}

/// A word of `[when]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Prompt(String),
    /// A field, by the set named.
    Field(Field, String),
    Time,
    Date,
    /// Today, yesterday or earlier.
    When,
}

/// A number of a date or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Weekday,
    Month,
    Day,
    Hour,
    Minute,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    plural: BTreeMap<String, String>,
    say: BTreeMap<String, SetText>,
    when: WhenText,
}

#[derive(Deserialize)]
struct SetText {
    /// The set whose rules hold where this one has none.
    like: Option<String>,
    last: Option<u32>,
    #[serde(flatten)]
    rules: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhenText {
    time: String,
    date: String,
    today: String,
    yesterday: String,
    earlier: String,
    received: String,
}

impl Grammar {
    /// Reads a `grammar.toml`.
    ///
    /// # Errors
    /// [`GrammarError`]: the first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Grammar, GrammarError> {
        let document: Document =
            toml::from_str(text).map_err(|error| GrammarError::Syntax(error.message().to_owned()))?;
        let plural = parse_plural(&document.plural)?;
        let forms = plural.values().filter_map(Form::name).collect();
        let mut sets = BTreeMap::new();
        for (name, set) in &document.say {
            sets.insert(name.clone(), parse_set(name, set, &document.say, &forms)?);
        }
        let grammar = Grammar { plural, sets, when: parse_when(&document.when)? };
        grammar.check()?;
        Ok(grammar)
    }

    /// Every prompt that can ever be said by these rules, digits and keys included.
    pub fn prompts(&self) -> BTreeSet<&str> {
        let mut found: BTreeSet<&str> = super::say::KEYS.iter().map(|(_, prompt)| *prompt).collect();
        for word in self.sets.values().flat_map(|set| set.rules.values()).flatten() {
            match word {
                Word::Prompt(prompt) => found.extend([prompt.as_str()]),
                Word::Noun(forms) => found.extend(forms.values().map(String::as_str)),
                Word::Quotient(_) | Word::Remainder | Word::Itself(_) => {}
            }
        }
        for part in self.when.parts() {
            match part {
                Part::Prompt(prompt) => found.extend([prompt.as_str()]),
                Part::Field(..) | Part::Time | Part::Date | Part::When => {}
            }
        }
        found
    }

    fn check(&self) -> Result<(), GrammarError> {
        let missing = |name: &str| GrammarError::NoSet(name.to_owned());
        if let Some(name) = SETS.iter().find(|name| !self.sets.contains_key(**name)) {
            return Err(missing(name));
        }
        for word in self.sets.values().flat_map(|set| set.rules.values()).flatten() {
            match word {
                Word::Quotient(Some(name)) | Word::Itself(name) if !self.sets.contains_key(name) => {
                    return Err(missing(name));
                }
                Word::Prompt(_) | Word::Quotient(_) | Word::Remainder | Word::Itself(_) | Word::Noun(_) => {}
            }
        }
        for part in self.when.parts() {
            match part {
                Part::Field(_, name) if !self.sets.contains_key(name) => return Err(missing(name)),
                Part::Prompt(_) | Part::Field(..) | Part::Time | Part::Date | Part::When => {}
            }
        }
        match self.sets.keys().find(|name| self.leads_back(name)) {
            Some(name) => Err(GrammarError::Circle(name.clone())),
            None => Ok(()),
        }
    }

    /// Whether `=` leads from this set to itself.
    fn leads_back(&self, name: &str) -> bool {
        let (mut reached, mut open) = (BTreeSet::new(), vec![name]);
        while let Some(from) = open.pop() {
            for word in self.sets.get(from).into_iter().flat_map(|set| set.rules.values()).flatten() {
                match word {
                    Word::Itself(next) if reached.insert(next.as_str()) => open.push(next),
                    Word::Prompt(_)
                    | Word::Quotient(_)
                    | Word::Remainder
                    | Word::Itself(_)
                    | Word::Noun(_) => {}
                }
            }
        }
        reached.contains(name)
    }
}

impl Form {
    fn name(&self) -> Option<&str> {
        match self {
            Form::Named(name) => Some(name),
            Form::OfRemainder => None,
        }
    }
}

impl When {
    fn parts(&self) -> impl Iterator<Item = &Part> {
        [&self.time, &self.date, &self.today, &self.yesterday, &self.earlier, &self.received]
            .into_iter()
            .flatten()
    }
}

/// The greatest power of ten that is not above `base`; 1 for 0.
pub(super) fn power_of_ten(base: u32) -> u32 {
    10_u32.pow(base.checked_ilog10().unwrap_or(0))
}

fn parse_plural(rules: &BTreeMap<String, String>) -> Result<BTreeMap<u32, Form>, GrammarError> {
    let mut plural = BTreeMap::new();
    for (key, form) in rules {
        let base = parse_number(key).ok_or_else(|| wrong_key("plural", key))?;
        let form = match form.as_str() {
            ">" if base >= 10 => Form::OfRemainder,
            ">" => return Err(not_divisible("plural", key)),
            name => Form::Named(name.to_owned()),
        };
        plural.insert(base, form);
    }
    if plural.contains_key(&0) { Ok(plural) } else { Err(GrammarError::Plural) }
}

/// One set, with the rules of the sets it is like.
fn parse_set(
    name: &str,
    set: &SetText,
    all: &BTreeMap<String, SetText>,
    forms: &BTreeSet<&str>,
) -> Result<Set, GrammarError> {
    let mut chain = vec![set];
    while let Some(like) = chain.last().and_then(|set| set.like.as_ref()) {
        if chain.len() > all.len() {
            return Err(GrammarError::Circle(name.to_owned()));
        }
        chain.push(all.get(like).ok_or_else(|| GrammarError::NoSet(like.clone()))?);
    }
    let table = format!("say.{name}");
    let mut rules = BTreeMap::new();
    // The nearest set is read last and so replaces what it shares with the others.
    for set in chain.iter().rev() {
        for (key, text) in &set.rules {
            parse_rule(&table, key, text, forms, &mut rules)?;
        }
    }
    let last = chain.iter().find_map(|set| set.last).unwrap_or(LAST);
    Ok(Set { rules, last: last.min(LAST) })
}

/// `20 = "…"` or `1-19 = "…"`, where `#` is the number itself.
fn parse_rule(
    table: &str,
    key: &str,
    text: &str,
    forms: &BTreeSet<&str>,
    rules: &mut BTreeMap<u32, Vec<Word>>,
) -> Result<(), GrammarError> {
    let (first, last) = match key.split_once('-') {
        Some((first, last)) => (parse_number(first), parse_number(last)),
        None => (parse_number(key), parse_number(key)),
    };
    let (Some(first), Some(last)) = (first, last) else { return Err(wrong_key(table, key)) };
    // A range is a short way to write a table: one of a thousand rows is a mistake.
    if first > last || last - first > 1_000 {
        return Err(wrong_key(table, key));
    }
    for base in first..=last {
        let text = text.replace('#', &base.to_string());
        let words: Vec<Word> =
            text.split_whitespace().map(|word| parse_word(table, word, forms)).collect::<Result<_, _>>()?;
        let divides = words.iter().any(|word| matches!(word, Word::Quotient(_) | Word::Remainder));
        if divides && (base < 10 || first != last) {
            return Err(not_divisible(table, key));
        }
        rules.insert(base, words);
    }
    Ok(())
}

fn parse_word(table: &str, word: &str, forms: &BTreeSet<&str>) -> Result<Word, GrammarError> {
    let wrong = || GrammarError::Word { table: table.to_owned(), word: word.to_owned() };
    let named = |name: &str| if name.is_empty() { Err(wrong()) } else { Ok(name.to_owned()) };
    if let Some(set) = word.strip_prefix('<') {
        return Ok(Word::Quotient((!set.is_empty()).then(|| set.to_owned())));
    }
    if let Some(set) = word.strip_prefix('=') {
        return Ok(Word::Itself(named(set)?));
    }
    if let Some(noun) = word.strip_prefix('@') {
        let noun = named(noun)?;
        return Ok(Word::Noun(
            forms.iter().map(|form| ((*form).to_owned(), format!("noun/{noun}/{form}"))).collect(),
        ));
    }
    match word {
        ">" => Ok(Word::Remainder),
        prompt if super::is_prompt_id(prompt) => Ok(Word::Prompt(prompt.to_owned())),
        _ => Err(wrong()),
    }
}

fn parse_when(text: &WhenText) -> Result<When, GrammarError> {
    const LEVELS: [&[&str]; 3] = [&[], &["time", "date"], &["time", "date", "when"]];
    let parts = |text: &str, level: usize| -> Result<Vec<Part>, GrammarError> {
        text.split_whitespace().map(|word| parse_part(word, LEVELS[level])).collect()
    };
    Ok(When {
        time: parts(&text.time, 0)?,
        date: parts(&text.date, 0)?,
        today: parts(&text.today, 1)?,
        yesterday: parts(&text.yesterday, 1)?,
        earlier: parts(&text.earlier, 1)?,
        received: parts(&text.received, 2)?,
    })
}

/// `inner` are the parts of `[when]` that may stand in this one: those above it may not, so that none holds itself.
fn parse_part(word: &str, inner: &[&str]) -> Result<Part, GrammarError> {
    if super::is_prompt_id(word) {
        return Ok(Part::Prompt(word.to_owned()));
    }
    let (name, set) = word.split_once(':').unwrap_or((word, word));
    let field = |field| Ok(Part::Field(field, set.to_owned()));
    match name {
        "weekday" => field(Field::Weekday),
        "month" => field(Field::Month),
        "day" => field(Field::Day),
        "hour" => field(Field::Hour),
        "minute" => field(Field::Minute),
        "time" if inner.contains(&word) => Ok(Part::Time),
        "date" if inner.contains(&word) => Ok(Part::Date),
        "when" if inner.contains(&word) => Ok(Part::When),
        _ => Err(GrammarError::Word { table: "when".to_owned(), word: word.to_owned() }),
    }
}

fn parse_number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number <= LAST)
}

fn wrong_key(table: &str, key: &str) -> GrammarError {
    GrammarError::Key { table: table.to_owned(), key: key.to_owned() }
}

fn not_divisible(table: &str, key: &str) -> GrammarError {
    GrammarError::NotDivisible { table: table.to_owned(), key: key.to_owned() }
}
