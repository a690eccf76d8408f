//! The words of a line, and a reader that takes them one after the other.
//!
//! A word ends at white space; a comma, a colon and `'s` are words of their own; what stands in double quotes is one word
//! without them. `#` begins a comment at the beginning of a line and between two spaces, else it is a key of the phone.

use super::fault::{Fault, Quoted};
use std::time::Duration;

/// A line without its comment.
pub(super) fn without_comment(line: &str) -> &str {
    let line = if line.trim_start().starts_with('#') { "" } else { line };
    line.find(" # ").map_or(line, |at| line.split_at(at).0).trim_end()
}

/// The words of a line.
pub(super) fn split(line: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    while !rest.is_empty() {
        let (word, after) = first_word(rest);
        words.push(word);
        rest = after.trim_start();
    }
    words
}

fn first_word(text: &str) -> (&str, &str) {
    if let Some((quoted, after)) = text.strip_prefix('"').and_then(|inner| inner.split_once('"')) {
        return (quoted, after);
    }
    if let Some(after) = text.strip_prefix("'s ") {
        return ("'s", after);
    }
    let end = text.find(|letter: char| letter.is_whitespace()).unwrap_or(text.len());
    let (word, _) = text.split_at(end);
    let end = match word {
        _ if word.starts_with([',', ':']) => 1,
        _ if word.ends_with("'s") && word.len() > 2 => end - 2,
        // A colon inside is that of a URI.
        _ => word.find(',').unwrap_or(word.trim_end_matches(':').len()),
    };
    text.split_at(end)
}

/// Reads words from left to right.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    words: &'a [&'a str],
}

impl<'a> Words<'a> {
    pub(super) fn new(words: &'a [&'a str]) -> Words<'a> {
        Words { words }
    }

    pub(super) fn peek(&self) -> &'a str {
        self.words.first().copied().unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// What is left, for a fault.
    pub(super) fn rest(&self) -> Quoted {
        Quoted(self.words.join(" ").into())
    }

    pub(super) fn next(&mut self) -> &'a str {
        let word = self.peek();
        self.words = self.words.get(1..).unwrap_or_default();
        word
    }

    /// Takes a phrase, word by word, if it stands here.
    pub(super) fn eat(&mut self, phrase: &str) -> bool {
        let mut rest = self.words;
        for wanted in phrase.split(' ') {
            match rest.split_first() {
                Some((word, after)) if *word == wanted => rest = after,
                Some(_) | None => return false,
            }
        }
        self.words = rest;
        true
    }

    /// Takes the first of several phrases that stands here.
    pub(super) fn eat_any(&mut self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.eat(phrase))
    }

    pub(super) fn expected(&self, expected: &'static str, example: &'static str) -> Fault {
        Fault::Expected { expected, found: Quoted(self.peek().into()), example }
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.is_empty() { Ok(()) } else { Err(Fault::More(self.rest())) }
    }

    /// A whole number.
    pub(super) fn number(&mut self, expected: &'static str, example: &'static str) -> Result<u32, Fault> {
        let fault = self.expected(expected, example);
        self.next().parse().map_err(|_| fault)
    }

    /// `20 %` or `20%`.
    pub(super) fn percent(&mut self, example: &'static str) -> Result<u32, Fault> {
        let fault = self.expected("a share of 0 to 100 %", example);
        let word = self.next();
        let number = word.strip_suffix('%');
        let sign = number.is_some() || self.eat("%");
        let percent = number.unwrap_or(word).parse().ok().filter(|percent| *percent <= 100 && sign);
        percent.ok_or(fault)
    }

    /// `500 ms`, `2 s`, `1.5 s`, `1 min`.
    pub(super) fn duration(&mut self, example: &'static str) -> Result<Duration, Fault> {
        let fault = self.expected("a time in ms, s or min", example);
        let word = self.next();
        let unit_at = word.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(word.len());
        let (number, unit) = word.split_at(unit_at);
        let unit = if unit.is_empty() { self.next() } else { unit };
        let scale = match unit {
            "ms" => 0.001,
            "s" | "second" | "seconds" => 1.0,
            "min" | "minute" | "minutes" => 60.0,
            _ => return Err(fault),
        };
        let seconds = number.parse::<f64>().ok().map(|number| number * scale);
        let seconds = seconds.filter(|seconds| (0.0..=86_400.0).contains(seconds));
        seconds.map(Duration::from_secs_f64).ok_or(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_colons_and_possessives_are_words_and_uris_stay_whole() {
        let line = "alice's call with bob, carol fails: \"not  here\" sip:a@b:5070,x";
        let words = ["alice", "'s", "call", "with", "bob", ",", "carol", "fails", ":", "not  here"];
        assert_eq!(split(line), [&words[..], &["sip:a@b:5070", ",", "x"]].concat());
    }

    #[test]
    fn a_comment_begins_between_spaces_and_a_key_does_not() {
        assert_eq!(without_comment("  # all of it"), "");
        assert_eq!(without_comment("alice presses 12# # twelve"), "alice presses 12#");
        assert_eq!(without_comment("alice presses #"), "alice presses #");
    }

    #[test]
    fn times_have_a_unit_and_shares_a_sign() {
        for (text, ms) in
            [("500 ms", Some(500)), ("1.5s", Some(1_500)), ("2 min", Some(120_000)), ("5", None)]
        {
            let words = split(text);
            let read = Words::new(&words).duration("").ok().map(|time| time.as_millis());
            assert_eq!(read, ms, "{text}");
        }
        for (text, percent) in [("5 %", Some(5)), ("20%", Some(20)), ("101 %", None), ("5", None)] {
            let words = split(text);
            assert_eq!(Words::new(&words).percent("").ok(), percent, "{text}");
        }
    }
}
