//! From a number, a count or a time to the prompts that say it, by the rules of a [`Grammar`].
//!
//! Left out on purpose: what day it is. Whoever knows the clock and the time zone says `Today`, `Yesterday` or the date.

use super::grammar::{Field, Form, Grammar, Part, Word, power_of_ten};
use thiserror::Error;

/// What there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// A number by itself, up to 999,999,999.
    Cardinal(u32),
    /// A place in a row, 1 to 999.
    Ordinal(u32),
    /// Digits one by one, with `*`, `#` and `+`; anything else in the text is left out, as separators are.
    Digits(&'a str),
    /// Hours, minutes and seconds; those that are 0 are left out.
    Duration {
        /// Its length in seconds.
        seconds: u32,
    },
    /// A sentence about a number.
    Count(Counted, u32),
    /// A time of day.
    Time(TimeOfDay),
    /// A date.
    Date(Date),
    /// A day and a time.
    When(Day, TimeOfDay),
    /// When a message was received.
    Received(Day, TimeOfDay),
}

/// What a number is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// "You have two new messages."
    NewMessages,
    /// "You have two saved messages."
    SavedMessages,
    /// "Message number two", from 1.
    MessageNumber,
    /// "This conference has two participants."
    Participants,
    /// "Your place in the queue is the second", from 1.
    QueuePosition,
    /// "In the queue there are two callers."
    QueueCallers,
    /// "The expected waiting time is about two minutes."
    QueueWaitMinutes,
}

/// A time of day on a clock of 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// A day of the year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// 1 is Monday, 7 Sunday (ISO 8601).
    pub weekday: u8,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// A day as it is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// This day.
    Today,
    /// The day before.
    Yesterday,
    /// Any other.
    Earlier(Date),
}

/// There are no words for it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{value} is beyond what {set} can say")]
pub struct OutOfRange {
    /// The set of rules that was asked.
    pub set: String,
    /// The number it has no rule for.
    pub value: u32,
}

/// The keys of a telephone and their prompts.
pub(super) const KEYS: [(char, &str); 13] = [
    ('0', "digits/0"),
    ('1', "digits/1"),
    ('2', "digits/2"),
    ('3', "digits/3"),
    ('4', "digits/4"),
    ('5', "digits/5"),
    ('6', "digits/6"),
    ('7', "digits/7"),
    ('8', "digits/8"),
    ('9', "digits/9"),
    ('*', "digits/star"),
    ('#', "digits/hash"),
    ('+', "digits/plus"),
];

impl Counted {
    /// The name of its set of rules.
    fn set(self) -> &'static str {
        match self {
            Counted::NewMessages => "new-messages",
            Counted::SavedMessages => "saved-messages",
            Counted::MessageNumber => "message-number",
            Counted::Participants => "participants",
            Counted::QueuePosition => "queue-position",
            Counted::QueueCallers => "queue-callers",
            Counted::QueueWaitMinutes => "queue-wait",
        }
    }
}

impl Grammar {
    /// The prompts that say it, in order.
    ///
    /// # Errors
    /// [`OutOfRange`] for a number, a date or a time that this language has no words for.
    pub fn say(&self, what: What<'_>) -> Result<Vec<&str>, OutOfRange> {
        let mut said = Vec::new();
        match what {
            What::Cardinal(number) => self.number("cardinal", number, &mut said)?,
            What::Ordinal(number) => self.number("ordinal", number, &mut said)?,
            What::Digits(text) => {
                for pressed in text.chars() {
                    said.extend(key(pressed));
                }
            }
            What::Duration { seconds } => self.duration(seconds, &mut said)?,
            What::Count(counted, number) => self.number(counted.set(), number, &mut said)?,
            What::Time(time) => self.parts(&self.when.time, Moment { day: None, time }, &mut said)?,
            What::Date(date) => {
                let moment = Moment { day: Some(Day::Earlier(date)), time: TimeOfDay { hour: 0, minute: 0 } };
                self.parts(&self.when.date, moment, &mut said)?;
            }
            What::When(day, time) => self.moment(Moment { day: Some(day), time }, &mut said)?,
            What::Received(day, time) => {
                self.parts(&self.when.received, Moment { day: Some(day), time }, &mut said)?;
            }
        }
        Ok(said)
    }

    fn duration<'g>(&'g self, seconds: u32, said: &mut Vec<&'g str>) -> Result<(), OutOfRange> {
        let parts = [("hours", seconds / 3_600), ("minutes", seconds / 60 % 60), ("seconds", seconds % 60)];
        for (set, number) in parts.into_iter().filter(|(_, number)| *number > 0) {
            self.number(set, number, said)?;
        }
        if seconds == 0 { self.number("seconds", 0, said) } else { Ok(()) }
    }

    /// Says a number by the rules of a set.
    fn number<'g>(&'g self, name: &str, number: u32, said: &mut Vec<&'g str>) -> Result<(), OutOfRange> {
        let out_of_range = || OutOfRange { set: name.to_owned(), value: number };
        let set = self.sets.get(name).filter(|set| number <= set.last).ok_or_else(out_of_range)?;
        let (base, words) = set.rules.range(..=number).next_back().ok_or_else(out_of_range)?;
        let power = power_of_ten(*base);
        let mut counted = number;
        for word in words {
            match word {
                Word::Prompt(prompt) => said.push(prompt),
                Word::Quotient(other) => {
                    counted = number / power;
                    self.number(other.as_deref().unwrap_or(name), counted, said)?;
                }
                Word::Remainder if number.is_multiple_of(power) => {}
                Word::Remainder => self.number(name, number % power, said)?,
                Word::Itself(other) => self.number(other, number, said)?,
                Word::Noun(forms) => {
                    said.extend(self.form(counted).and_then(|form| forms.get(form)).map(String::as_str));
                }
            }
        }
        Ok(())
    }

    /// The form of a noun that goes with a number; reading the grammar made sure that there is one.
    fn form(&self, number: u32) -> Option<&str> {
        let (base, form) = self.plural.range(..=number).next_back()?;
        match form {
            Form::Named(name) => Some(name),
            Form::OfRemainder => self.form(number % power_of_ten(*base)),
        }
    }

    fn moment<'g>(&'g self, moment: Moment, said: &mut Vec<&'g str>) -> Result<(), OutOfRange> {
        match moment.day {
            Some(Day::Today) => self.parts(&self.when.today, moment, said),
            Some(Day::Yesterday) => self.parts(&self.when.yesterday, moment, said),
            Some(Day::Earlier(_)) => self.parts(&self.when.earlier, moment, said),
            None => self.parts(&self.when.time, moment, said),
        }
    }

    fn parts<'g>(
        &'g self,
        parts: &'g [Part],
        moment: Moment,
        said: &mut Vec<&'g str>,
    ) -> Result<(), OutOfRange> {
        for part in parts {
            match part {
                Part::Prompt(prompt) => said.push(prompt),
                Part::Field(field, set) => {
                    if let Some(value) = moment.field(*field) {
                        self.number(set, value, said)?;
                    }
                }
                Part::Time => self.parts(&self.when.time, moment, said)?,
                Part::Date => self.parts(&self.when.date, moment, said)?,
                Part::When => self.moment(moment, said)?,
            }
        }
        Ok(())
    }
}

/// A day, if there is one, and a time.
#[derive(Clone, Copy)]
struct Moment {
    day: Option<Day>,
    time: TimeOfDay,
}

impl Moment {
    /// A field; a day that has no date has none of its fields.
    fn field(self, field: Field) -> Option<u32> {
        let date = match self.day {
            Some(Day::Earlier(date)) => Some(date),
            Some(Day::Today | Day::Yesterday) | None => None,
        };
        match field {
            Field::Weekday => date.map(|date| date.weekday.into()),
            Field::Month => date.map(|date| date.month.into()),
            Field::Day => date.map(|date| date.day.into()),
            Field::Hour => Some(self.time.hour.into()),
            Field::Minute => Some(self.time.minute.into()),
        }
    }
}

/// The prompt of a key.
fn key(pressed: char) -> Option<&'static str> {
    KEYS.iter().find(|(key, _)| *key == pressed).map(|(_, prompt)| *prompt)
}
