//! Text for a screen: of peers, of programs that complain, times.

use sip_stack::message::Escaped;
use std::fmt::Write;
use std::time::Duration;

/// Text of somebody else as it may be shown: letters of every script as they are, what moves, hides or turns round other text
/// escaped.
pub(super) fn shown(bytes: &[u8]) -> String {
    let Ok(text) = core::str::from_utf8(bytes) else { return Escaped(bytes).to_string() };
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || is_format(letter) {
            // A string takes everything.
            let _written = write!(shown, "{}", letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Characters of Unicode's category Cf that a name has no need for: they have no width, or change the direction of others.
fn is_format(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A URI as one says it: the user alone in the domain of the account (at whichever port), else `user@host`.
pub(super) fn spoken_uri(uri: &[u8], domain: &str) -> String {
    let text = shown(uri);
    let rest = ["sip:", "sips:"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(&text);
    let rest = rest.split([';', '?']).next().unwrap_or(rest);
    let host = |place: &str| match place.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
        Some(_) | None => place.to_owned(),
    };
    match rest.rsplit_once('@') {
        Some((user, place)) if host(place).eq_ignore_ascii_case(domain) && !user.is_empty() => {
            user.to_owned()
        }
        Some(_) | None => rest.to_owned(),
    }
}

/// `0:07`, `12:34`, `1:02:03`.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// How long ago something was, roughly.
pub(super) fn ago(time: Duration) -> String {
    match time.as_secs() {
        0..60 => "just now".to_owned(),
        seconds @ 60..3_600 => format!("{} min ago", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_script_are_shown_and_what_moves_text_is_escaped() {
        assert_eq!(shown("Jörg 山田".as_bytes()), "Jörg 山田");
        assert_eq!(shown(b"\x1b[2Jx\r\n"), "\\u{1b}[2Jx\\r\\n");
        assert_eq!(shown("a\u{202e}b\u{200b}".as_bytes()), "a\\u{202e}b\\u{200b}");
        assert_eq!(shown(b"\xff\x1b"), "\\xff\\x1b");
    }

    #[test]
    fn a_uri_of_our_domain_is_its_user() {
        for (uri, said) in [
            ("sip:1002@a.example", "1002"),
            ("sip:1002@A.Example:5070;transport=tls", "1002"),
            ("sip:bob@b.example", "bob@b.example"),
            ("sips:b.example", "b.example"),
            ("tel:+49", "tel:+49"),
        ] {
            assert_eq!(spoken_uri(uri.as_bytes(), "a.example"), said);
        }
    }

    #[test]
    fn times_are_short() {
        let clock = |seconds| clock(Duration::from_secs(seconds));
        assert_eq!([clock(7), clock(754), clock(3_723)], ["0:07", "12:34", "1:02:03"]);
        let ago = |seconds| ago(Duration::from_secs(seconds));
        assert_eq!(
            [ago(3), ago(125), ago(7_300), ago(200_000)],
            ["just now", "2 min ago", "2 h ago", "2 d ago"]
        );
    }
}
