//! Digits in SIP INFO: the bodies `application/dtmf-relay` and `application/dtmf` (no RFC; what the field agreed upon).
//!
//! The first has lines `Signal=5` and `Duration=160`, in milliseconds; the second is the digit alone. The transaction that
//! carries them is the signalling's.
//!
//! Left out on purpose: the INFO packages of RFC 6086, which nobody registered for digits.

use std::time::Duration;

use super::Digit;
use super::event::EventCode;

/// The duration of a digit that names none.
const DEFAULT: Duration = Duration::from_millis(250);
/// The longest duration that is believed.
const LONGEST_MS: u32 = 10_000;
/// Octets that [`write()`] may need.
pub const BODY: usize = 40;

/// The digit of a body of either type; `None` when it has none. A flash is `Signal=hf`, `Signal=flash`, `Signal=!` or 16.
#[must_use]
pub fn parse(body: &[u8]) -> Option<Digit> {
    let text = core::str::from_utf8(body).ok()?;
    if !text.contains('=') {
        return Some(Digit { code: signal(text.trim())?, duration: DEFAULT });
    }
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    };
    let ms = field("Duration").and_then(|value| value.parse::<u32>().ok()).filter(|ms| *ms > 0);
    let duration = ms.map_or(DEFAULT, |ms| Duration::from_millis(u64::from(ms.min(LONGEST_MS))));
    Some(Digit { code: signal(field("Signal")?)?, duration })
}

fn signal(text: &str) -> Option<EventCode> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(single), None) => EventCode::from_char(single),
        _ if text.eq_ignore_ascii_case("hf") || text.eq_ignore_ascii_case("flash") => Some(EventCode::FLASH),
        // Some peers name the event by its number.
        _ => text.parse().ok().map(EventCode).filter(|code| *code <= EventCode::FLASH),
    }
}

/// Writes a body of `application/dtmf-relay` and gives its octets; `None` for an event without a name, or without room.
pub fn write(digit: &Digit, out: &mut [u8]) -> Option<usize> {
    let character = digit.code.to_char()?;
    let signal: &[u8] = if character == '!' { b"hf" } else { &[u8::try_from(character).ok()?] };
    let ms = u32::try_from(digit.duration.as_millis()).unwrap_or(LONGEST_MS).clamp(1, LONGEST_MS);
    let mut digits = [0; 5];
    let parts = [b"Signal=", signal, b"\r\nDuration=", decimal(ms, &mut digits), b"\r\n"];
    let mut length = 0;
    for part in parts {
        out.get_mut(length..)?.get_mut(..part.len())?.copy_from_slice(part);
        length += part.len();
    }
    Some(length)
}

/// The decimal digits of a number up to 99999.
fn decimal(mut number: u32, digits: &mut [u8; 5]) -> &[u8] {
    let mut start = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start = at;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digit(character: char, ms: u64) -> Digit {
        let code = EventCode::from_char(character).unwrap();
        Digit { code, duration: Duration::from_millis(ms) }
    }

    #[test]
    fn a_relay_body_tells_signal_and_duration_in_any_order_and_case() {
        assert_eq!(parse(b"Signal=5\r\nDuration=160\r\n"), Some(digit('5', 160)));
        assert_eq!(parse(b"duration = 90\nsignal= * "), Some(digit('*', 90)));
        assert_eq!(parse(b"Signal=a\r\n"), Some(digit('A', 250)));
        assert_eq!(parse(b"Signal=10\r\nDuration=0"), Some(digit('*', 250)));
        assert_eq!(parse(b"Signal=hf\r\nDuration=99999999"), Some(digit('!', 10_000)));
    }

    #[test]
    fn a_plain_body_is_the_digit_alone() {
        assert_eq!(parse(b"#\r\n"), Some(digit('#', 250)));
        assert_eq!(parse(b"16"), Some(digit('!', 250)));
    }

    #[test]
    fn a_body_without_a_known_signal_has_no_digit() {
        for body in [&b""[..], b"Signal=", b"Signal=17", b"Duration=5", b"x", b"\xff", b"Signal=55555"] {
            assert_eq!(parse(body), None, "{body:?}");
        }
    }

    #[test]
    fn every_digit_is_read_as_it_was_written() {
        for code in 0..=16 {
            for ms in [1, 40, 160, 9999, 10_000] {
                let digit = Digit { code: EventCode(code), duration: Duration::from_millis(ms) };
                let mut body = [0; BODY];
                let length = write(&digit, &mut body).unwrap();
                assert_eq!(parse(&body[..length]), Some(digit));
            }
        }
        assert_eq!(write(&digit('5', 160), &mut [0; 10]), None);
    }
}
