//! `[features]`: what users dial to set something, in the manner of ETSI ETS 300 738 and of GSM 02.30: `*21*1002#` sends all calls to 1002,
//! `#21#` does so no longer. A `#` at the end may be left out, because many phones take it for "dial now".
//!
//! What each means is in [`crate::routing`]. An empty code is none.

use super::table::{Key, Section};
use crate::routing::{Dialled, ForwardKind};
use serde::{Deserialize, Serialize};

/// The codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// The numbers between `*` and `*` of the four forwardings, in the order of [`ForwardKind::ALL`].
    pub forward: [Box<str>; 4],
    /// Ends all forwarding.
    pub forward_none: Box<str>,
    /// No calls, please.
    pub dnd_on: Box<str>,
    /// Calls again.
    pub dnd_off: Box<str>,
    /// Before a number: this call is anonymous.
    pub anonymous: Box<str>,
    /// Before a number: this call is not anonymous.
    pub shown: Box<str>,
    /// Before the number of a user: its phone answers by itself.
    pub intercom: Box<str>,
    /// No anonymous calls, please.
    pub refuse_anonymous_on: Box<str>,
    /// Anonymous calls again.
    pub refuse_anonymous_off: Box<str>,
    /// Before `*`, the number of a user, `*` and its PIN: the phone is that user's.
    pub log_in: Box<str>,
    /// The phone is nobody else's any more.
    pub log_out: Box<str>,
}

impl Default for Features {
    fn default() -> Features {
        Features {
            forward: ["21", "67", "61", "62"].map(Into::into),
            forward_none: "##002#".into(),
            dnd_on: "*78".into(),
            dnd_off: "*79".into(),
            anonymous: "#31#".into(),
            shown: "*31#".into(),
            intercom: "*80".into(),
            refuse_anonymous_on: "*77".into(),
            refuse_anonymous_off: "*87".into(),
            log_in: "*11".into(),
            log_out: "#11#".into(),
        }
    }
}

const KEYS: [&str; 4] = ["forward_always", "forward_busy", "forward_no_answer", "forward_offline"];

impl Features {
    /// What a number is a code for.
    #[must_use]
    pub fn read<'n>(&self, number: &'n [u8]) -> Option<Dialled<'n>> {
        if !matches!(number.first(), Some(b'*' | b'#')) {
            return None;
        }
        let number = core::str::from_utf8(number).ok()?;
        let is = |code: &str| !code.is_empty() && number.trim_end_matches('#') == code.trim_end_matches('#');
        if is(&self.forward_none) {
            return Some(Dialled::ForwardNone);
        }
        if is(&self.dnd_on) {
            return Some(Dialled::DoNotDisturb(true));
        }
        if is(&self.dnd_off) {
            return Some(Dialled::DoNotDisturb(false));
        }
        if is(&self.refuse_anonymous_on) {
            return Some(Dialled::RefuseAnonymous(true));
        }
        if is(&self.refuse_anonymous_off) {
            return Some(Dialled::RefuseAnonymous(false));
        }
        if is(&self.log_out) {
            return Some(Dialled::LogOut);
        }
        if let Some((user, pin)) = behind(number, &self.log_in).and_then(user_and_pin) {
            return Some(Dialled::LogIn { user, pin });
        }
        if let Some(rest) = behind(number, &self.shown) {
            return Some(Dialled::Shown(rest));
        }
        if let Some(rest) = behind(number, &self.anonymous) {
            return Some(Dialled::Anonymous(rest));
        }
        if let Some(rest) = behind(number, &self.intercom) {
            return Some(Dialled::Intercom(rest));
        }
        let kinds = ForwardKind::ALL.into_iter().zip(&self.forward).filter(|(_, code)| !code.is_empty());
        kinds.into_iter().find_map(|(kind, code)| forwarding(number, kind, code))
    }
}

/// What stands behind a code, if that is one and something does.
fn behind<'n>(number: &'n str, code: &str) -> Option<&'n str> {
    number.strip_prefix(code).filter(|rest| !code.is_empty() && !rest.is_empty())
}

/// `*USER*PIN#`
fn user_and_pin(rest: &str) -> Option<(&str, &str)> {
    let (user, pin) = rest.strip_prefix('*')?.split_once('*')?;
    let pin = pin.strip_suffix('#').unwrap_or(pin);
    let is_pin = !pin.is_empty() && pin.bytes().all(|byte| byte.is_ascii_digit());
    (is_pin && !user.is_empty()).then_some((user, pin))
}

/// `*CODE*NUMBER#`, `*CODE*NUMBER*MORE#`, `*CODE*NUMBER*SECONDS*SCHEDULE#`, `**CODE*…`; `#CODE#`, `##CODE#` and `*CODE*#` end it.
fn forwarding<'n>(number: &'n str, kind: ForwardKind, code: &str) -> Option<Dialled<'n>> {
    let after = |mark: &str| {
        let rest = number.strip_prefix(mark)?.strip_prefix(code)?;
        Some(rest)
    };
    if let Some(rest) = after("##").or_else(|| after("#")) {
        return matches!(rest, "" | "#").then_some(Dialled::Forward { kind, to: "", more: "" });
    }
    let rest = after("**").or_else(|| after("*"))?.strip_prefix('*')?;
    let rest = rest.strip_suffix('#').unwrap_or(rest);
    let (to, more) = rest.split_once('*').unwrap_or((rest, ""));
    // GSM has an empty field between the number and the seconds.
    let more = more.strip_prefix('*').unwrap_or(more);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = digits(to.strip_prefix('+').unwrap_or(to));
    // Seconds and a schedule, where there are seconds.
    let parts = more.split_once('*').filter(|_| kind == ForwardKind::NoAnswer);
    let is_more = match parts {
        Some((seconds, schedule)) => !schedule.is_empty() && digits(seconds) && digits(schedule),
        None => digits(more),
    };
    (is_number && is_more).then_some(Dialled::Forward { kind, to, more })
}

/// A code: digits, `*` and `#`, or nothing.
fn parse_code(text: &str) -> Option<Box<str>> {
    let is_key = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'*' | b'#');
    (text.len() <= 16 && text.bytes().all(is_key)).then(|| text.into())
}

/// A code that has to be told from numbers.
fn parse_marked(text: &str) -> Option<Box<str>> {
    parse_code(text).filter(|code| code.is_empty() || code.starts_with(['*', '#']))
}

/// A number between `*` and `*`.
fn parse_service(text: &str) -> Option<Box<str>> {
    parse_code(text).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Reads the codes of the settings of users; the section may have others.
pub(super) fn resolve_features(section: &mut Section<'_>) -> Features {
    let mut features = Features::default();
    for (code, name) in features.forward.iter_mut().zip(KEYS) {
        let key = Key { name, expected: "digits, or \"\" for none", example: "\"21\"" };
        if let Some(given) = section.parsed(key, parse_service) {
            *code = given.value;
        }
    }
    let marked = |name, example| Key { name, expected: "* or # and digits, or \"\" for none", example };
    let mut read = |key: Key, code: &mut Box<str>| {
        if let Some(given) = section.parsed(key, parse_marked) {
            *code = given.value;
        }
    };
    read(marked("forward_none", "\"##002#\""), &mut features.forward_none);
    read(marked("dnd_on", "\"*78\""), &mut features.dnd_on);
    read(marked("dnd_off", "\"*79\""), &mut features.dnd_off);
    read(marked("anonymous", "\"#31#\""), &mut features.anonymous);
    read(marked("intercom", "\"*80\""), &mut features.intercom);
    read(marked("shown", "\"*31#\""), &mut features.shown);
    read(marked("refuse_anonymous_on", "\"*77\""), &mut features.refuse_anonymous_on);
    read(marked("refuse_anonymous_off", "\"*87\""), &mut features.refuse_anonymous_off);
    read(marked("log_in", "\"*11\""), &mut features.log_in);
    read(marked("log_out", "\"#11#\""), &mut features.log_out);
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(number: &str) -> Option<Dialled<'_>> {
        Features::default().read(number.as_bytes())
    }

    #[test]
    fn a_code_sets_a_forwarding_and_another_ends_it() {
        let set = |kind, to: &'static str, more: &'static str| Some(Dialled::Forward { kind, to, more });
        assert_eq!(read("*21*1002#"), set(ForwardKind::Always, "1002", ""));
        assert_eq!(read("*21*1002"), set(ForwardKind::Always, "1002", ""));
        assert_eq!(read("**67*+74951234567#"), set(ForwardKind::Busy, "+74951234567", ""));
        assert_eq!(read("*61*1002*20#"), set(ForwardKind::NoAnswer, "1002", "20"));
        assert_eq!(read("*61*1002**20#"), set(ForwardKind::NoAnswer, "1002", "20"));
        assert_eq!(read("*61*1002*20*1#"), set(ForwardKind::NoAnswer, "1002", "20*1"));
        assert_eq!(read("*21*1002*20*1#"), None, "there are no seconds");
        for end in ["#62#", "##62#", "#62", "*62*#", "*62*"] {
            assert_eq!(read(end), set(ForwardKind::Offline, "", ""), "{end}");
        }
    }

    #[test]
    fn other_codes_are_what_they_are_and_numbers_are_none() {
        assert_eq!(read("*78"), Some(Dialled::DoNotDisturb(true)));
        assert_eq!(read("*79#"), Some(Dialled::DoNotDisturb(false)));
        assert_eq!(read("##002#"), Some(Dialled::ForwardNone));
        assert_eq!(read("#31#1002"), Some(Dialled::Anonymous("1002")));
        assert_eq!(read("*801002"), Some(Dialled::Intercom("1002")));
        assert_eq!(read("*31#1002"), Some(Dialled::Shown("1002")));
        assert_eq!(read("*77"), Some(Dialled::RefuseAnonymous(true)));
        assert_eq!(read("*11*1002*4711#"), Some(Dialled::LogIn { user: "1002", pin: "4711" }));
        assert_eq!(read("*11*1002*4711"), Some(Dialled::LogIn { user: "1002", pin: "4711" }));
        assert_eq!(read("#11#"), Some(Dialled::LogOut));
        for none in [
            "1002",
            "*8",
            "*21",
            "*21x1002",
            "*21*10a2#",
            "#31#",
            "*80",
            "*31#",
            "*11*1002",
            "*11*1002*",
            "*11**4711#",
            "*99*1",
            "",
            "*",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn a_code_that_is_empty_is_none() {
        let features = Features { dnd_on: "".into(), anonymous: "".into(), ..Features::default() };
        assert_eq!((features.read(b"*78"), features.read(b"#31#1002")), (None, None));
        assert_eq!(features.read(b"#"), None);
    }
}
