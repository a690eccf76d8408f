//! `application/simple-message-summary` (RFC 3842 §5.2): how many messages wait in a mailbox.
//!
//! Left out on purpose: the headers of new messages behind the counts, which are passed over.

use super::BodyError;
use super::word::words;
use super::xml::MAX_BODY;
use bytes::Bytes;
use core::fmt::Write;
use serde::{Deserialize, Serialize};

/// What waits in a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSummary {
    /// Whether anything waits.
    pub waiting: bool,
    /// The URI of the mailbox, where it does not follow from the subscription.
    pub account: Option<Box<str>>,
    /// The counts, each class once.
    pub counts: Vec<(MessageClass, Counts)>,
}

/// Messages of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Not heard or read yet.
    pub new: u32,
    /// The others.
    pub old: u32,
    /// How many of the new and of the old ones are urgent, where that is said.
    pub urgent: Option<(u32, u32)>,
}

words! {
    /// What kind of message (RFC 3458 §6.2); compared without regard to case.
    MessageClass {
        /// Speech.
        Voice = "voice-message",
        /// A fax.
        Fax = "fax-message",
        /// A page.
        Pager = "pager-message",
        /// Several kinds in one.
        Multimedia = "multimedia-message",
        /// Text.
        Text = "text-message",
        /// Of no kind.
        None = "none",
    }
}

impl MessageSummary {
    /// The messages of a class; none when it is not spoken of.
    pub fn of(&self, class: MessageClass) -> Counts {
        self.counts.iter().find(|(known, _)| *known == class).map(|(_, counts)| *counts).unwrap_or_default()
    }

    /// The document as a body.
    pub fn compose(&self) -> Bytes {
        let mut text = String::with_capacity(96);
        text.push_str(if self.waiting { "Messages-Waiting: yes\r\n" } else { "Messages-Waiting: no\r\n" });
        let in_a_line = |account: &&str| account.bytes().all(|byte| byte.is_ascii_graphic());
        // A string takes whatever is written.
        if let Some(account) = self.account.as_deref().filter(in_a_line) {
            let _written = write!(text, "Message-Account: {account}\r\n");
        }
        for (class, Counts { new, old, urgent }) in &self.counts {
            let _written = write!(text, "{}: {new}/{old}", capitals(class.word()));
            if let Some((new, old)) = urgent {
                let _written = write!(text, " ({new}/{old})");
            }
            text.push_str("\r\n");
        }
        text.into()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`BodyError`]. Lines of an unknown class are passed over.
    pub fn parse(body: &[u8]) -> Result<MessageSummary, BodyError> {
        if body.len() > MAX_BODY {
            return Err(BodyError::TooLarge(body.len()));
        }
        let text = core::str::from_utf8(body).map_err(|_| BodyError::Malformed)?;
        let mut lines = text.lines().map(str::trim).skip_while(|line| line.is_empty());
        let mut summary = MessageSummary::default();
        let (name, value) = lines.next().and_then(field).ok_or(BodyError::Missing("Messages-Waiting"))?;
        if !name.eq_ignore_ascii_case("Messages-Waiting") {
            return Err(BodyError::Missing("Messages-Waiting"));
        }
        summary.waiting = match value {
            value if value.eq_ignore_ascii_case("yes") => true,
            value if value.eq_ignore_ascii_case("no") => false,
            _ => return Err(BodyError::Value("Messages-Waiting")),
        };
        // What follows an empty line describes single messages.
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = field(line).ok_or(BodyError::Malformed)?;
            let class = MessageClass::ALL.iter().find(|class| class.word().eq_ignore_ascii_case(name));
            if name.eq_ignore_ascii_case("Message-Account") {
                summary.account = (!value.is_empty()).then(|| value.into());
            } else if let Some(class) = class.filter(|class| !summary.has(**class)) {
                let counts = read_counts(value).ok_or(BodyError::Value("counts"))?;
                summary.counts.push((*class, counts));
            }
        }
        Ok(summary)
    }

    fn has(&self, class: MessageClass) -> bool {
        self.counts.iter().any(|(known, _)| *known == class)
    }
}

fn field(line: &str) -> Option<(&str, &str)> {
    line.split_once(':').map(|(name, value)| (name.trim(), value.trim()))
}

/// `newmsgs SLASH oldmsgs [ LPAREN new-urgentmsgs SLASH old-urgentmsgs RPAREN ]`
fn read_counts(value: &str) -> Option<Counts> {
    let (all, urgent) = match value.split_once('(') {
        Some((all, urgent)) => (all, Some(pair(urgent.trim_end().strip_suffix(')')?)?)),
        None => (value, None),
    };
    let (new, old) = pair(all)?;
    Some(Counts { new, old, urgent })
}

fn pair(text: &str) -> Option<(u32, u32)> {
    let (new, old) = text.split_once('/')?;
    Some((count(new)?, count(old)?))
}

/// §3.5: a larger number counts as 2³²−1.
fn count(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

/// As phones that compare with regard to case expect it: `Voice-Message`.
fn capitals(word: &str) -> String {
    let mut begins = true;
    let capital = |letter: char| {
        let capital = if begins { letter.to_ascii_uppercase() } else { letter };
        begins = letter == '-';
        capital
    };
    word.chars().map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_3842_read() {
        let read = |text: &str| MessageSummary::parse(text.as_bytes()).unwrap();
        assert_eq!(read("Messages-Waiting: yes"), MessageSummary { waiting: true, ..Default::default() });
        let summary = read(
            "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\nVoice-Message: 2/8 (0/2)\r\n\r\n\
             To: <sip:alice@vmail.example.com>\r\nVoice-Message: 9/9\r\n",
        );
        assert_eq!(summary.account.as_deref(), Some("sip:alice@vmail.example.com"));
        assert_eq!(summary.of(MessageClass::Voice), Counts { new: 2, old: 8, urgent: Some((0, 2)) });
        let summary = read(
            "MESSAGES-WAITING : No\n voice-message: 99999999999 / 0\nSmell-Message: 1/1\nFax-Message: 2/4",
        );
        assert!(!summary.waiting);
        assert_eq!(summary.of(MessageClass::Voice).new, u32::MAX);
        assert_eq!(summary.of(MessageClass::Fax), Counts { new: 2, old: 4, urgent: None });
        assert_eq!(summary.of(MessageClass::Text), Counts::default());
    }

    #[test]
    fn what_is_no_summary_is_refused() {
        for (text, error) in [
            ("", BodyError::Missing("Messages-Waiting")),
            ("Voice-Message: 1/0", BodyError::Missing("Messages-Waiting")),
            ("Messages-Waiting: maybe", BodyError::Value("Messages-Waiting")),
            ("Messages-Waiting: yes\r\nVoice-Message: -1/0", BodyError::Value("counts")),
            ("Messages-Waiting: yes\r\nVoice-Message: 1/0 (1/0", BodyError::Value("counts")),
            ("Messages-Waiting: yes\r\nnonsense", BodyError::Malformed),
        ] {
            assert_eq!(MessageSummary::parse(text.as_bytes()), Err(error), "{text}");
        }
    }

    #[test]
    fn an_account_cannot_begin_a_line_of_its_own() {
        let account = Some("sip:a@h\r\nVoice-Message: 9/9".into());
        let summary = MessageSummary { waiting: true, account, counts: Vec::new() };
        assert_eq!(&summary.compose()[..], b"Messages-Waiting: yes\r\n");
    }
}
