//! The Via parameters `oc`, `oc-algo`, `oc-validity` and `oc-seq` (RFC 7339 §4, §9).
//!
//! Left out on purpose: other algorithms than `loss`. Feedback of another kind, or malformed, is no feedback.

use crate::header::Via;
use crate::message::grammar;
use serde::{Deserialize, Serialize};

/// What our Via carries towards a server whose feedback we obey (§4.1, §4.2).
pub const ANNOUNCEMENT: &[u8] = b";oc;oc-algo=\"loss\"";

/// Where a response names no validity (§4.3).
const DEFAULT_VALIDITY_MS: u32 = 500;

/// Deviation: a longer validity (§4.3 knows no bound) counts as this. With `oc=100` nothing is sent that could bring
/// an update, so one response could cut a server off for days.
const LONGEST_VALIDITY_MS: u32 = 60_000;

/// The value of `oc-seq` in hundred-thousandths: `1282321615.782` is a number with a fraction of up to five digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sequence(u64);

impl Sequence {
    /// The number for a moment in Unix milliseconds: it still rises after a restart.
    pub const fn from_unix_ms(unix_ms: u64) -> Sequence {
        // Twelve digits before the point are left by the year 33658.
        Sequence((unix_ms % 1_000_000_000_000_000) * 100)
    }

    /// The next number that can be written with three digits behind the point.
    #[must_use]
    pub const fn next(self) -> Sequence {
        Sequence(self.0.saturating_add(100))
    }

    /// Whether `new` begins a sequence of its own: it is far less than this one (§4.4, note).
    pub const fn is_restarted_by(self, new: Sequence) -> bool {
        new.0 < self.0 / 2
    }

    /// What stands before the point, and three digits behind it.
    pub const fn parts(self) -> (u64, u64) {
        (self.0 / 100_000, self.0 / 100 % 1_000)
    }

    /// `1*12DIGIT "." 1*5DIGIT`; the fraction may be missing.
    fn parse(text: &[u8]) -> Option<Sequence> {
        let mut parts = text.splitn(2, |byte| *byte == b'.');
        let whole = parts.next().filter(|whole| whole.len() <= 12).and_then(grammar::digits)?;
        let Some(fraction) = parts.next() else { return Some(Sequence(whole * 100_000)) };
        let missing = 5_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?;
        Some(Sequence(whole * 100_000 + grammar::digits(fraction)? * 10_u64.pow(missing)))
    }
}

/// What a server asks of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Percent of all requests that the client shall not send, 0 to 100.
    pub loss: u8,
    /// Milliseconds for which this holds; zero ends the control (§5.7).
    pub validity_ms: u32,
    /// Its place among what this server says; `None` from a server that leaves it out.
    pub sequence: Option<Sequence>,
}

impl Via<'_> {
    /// Whether the client that wrote this Via of a request takes part in loss-based control: `oc` without a value
    /// (RFC 7339 §4.1), `loss` among the algorithms, or none named (§4.2).
    pub fn announces_loss_control(&self) -> bool {
        let announced = self.has_oc && self.params.get(b"oc").is_some_and(|oc| oc.value.is_none());
        announced && self.params.get(b"oc-algo").is_none_or(|algo| algo.value.is_some_and(names_loss))
    }

    /// The feedback in this Via of a response; `None` when there is none, or none that can be used: malformed, out of
    /// range, of another algorithm.
    pub fn feedback(&self) -> Option<Feedback> {
        let loss = u8::try_from(grammar::digits(self.params.value(b"oc")?)?).ok()?;
        let algorithm = self.params.get(b"oc-algo");
        if loss > 100 || algorithm.is_some_and(|algorithm| !algorithm.value.is_some_and(names_loss)) {
            return None;
        }
        let validity_ms = match self.params.get(b"oc-validity") {
            None => DEFAULT_VALIDITY_MS,
            Some(validity) => u32::try_from(grammar::digits(validity.value?)?).unwrap_or(u32::MAX),
        };
        let sequence = match self.params.get(b"oc-seq") {
            None => None,
            Some(sequence) => Some(Sequence::parse(sequence.value?)?),
        };
        Some(Feedback { loss, validity_ms: validity_ms.min(LONGEST_VALIDITY_MS), sequence })
    }
}

/// Whether a list of algorithms, in quotes, has the one that every client must know.
fn names_loss(list: &[u8]) -> bool {
    let list = list.strip_prefix(b"\"").unwrap_or(list);
    let list = list.strip_suffix(b"\"").unwrap_or(list);
    list.split(|byte| *byte == b',').any(|name| name.trim_ascii().eq_ignore_ascii_case(b"loss"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(params: &str) -> Option<Feedback> {
        Via::parse(format!("SIP/2.0/UDP h;branch=z9hG4bKa{params}").as_bytes()).unwrap().feedback()
    }

    fn announces(params: &str) -> bool {
        Via::parse(format!("SIP/2.0/UDP h{params}").as_bytes()).unwrap().announces_loss_control()
    }

    #[test]
    fn an_announcement_is_oc_without_value_and_loss_among_the_algorithms() {
        assert!(announces(";oc;oc-algo=\"loss\""));
        assert!(announces(";OC;oc-algo=\"rate,loss\""));
        assert!(announces(";oc"));
        for params in
            ["", ";oc=20;oc-algo=\"loss\"", ";oc;oc-algo=\"rate\"", ";oc;oc-algo", ";oc-algo=\"loss\""]
        {
            assert!(!announces(params), "{params}");
        }
    }

    #[test]
    fn feedback_is_read_with_its_defaults() {
        let full = via(";oc=20;oc-algo=\"loss\";oc-validity=700;oc-seq=1282321615.782").unwrap();
        assert_eq!((full.loss, full.validity_ms), (20, 700));
        assert_eq!(full.sequence.unwrap().parts(), (1_282_321_615, 782));
        assert_eq!(via(";oc=5"), Some(Feedback { loss: 5, validity_ms: 500, sequence: None }));
        assert_eq!(via(";oc=5;oc-validity=99999999999").unwrap().validity_ms, 60_000);
    }

    #[test]
    fn malformed_feedback_is_none() {
        for params in [
            "",
            ";oc",
            ";oc=101",
            ";oc=999999999999999999999999",
            ";oc=2x",
            ";oc=\"20\"",
            ";oc=-1",
            ";oc=20;oc-algo=\"rate\"",
            ";oc=20;oc-algo=\"rate,gain\"",
            ";oc=20;oc-algo",
            ";oc=20;oc-validity",
            ";oc=20;oc-validity=soon",
            ";oc=20;oc-seq",
            ";oc=20;oc-seq=.5",
            ";oc=20;oc-seq=1.",
            ";oc=20;oc-seq=1.123456",
            ";oc=20;oc-seq=1.2.3",
            ";oc=20;oc-seq=1234567890123.1",
        ] {
            assert_eq!(via(params), None, "{params}");
        }
    }

    #[test]
    fn sequences_compare_as_numbers_with_a_fraction() {
        let read = |text: &str| Sequence::parse(text.as_bytes()).unwrap();
        assert!(read("1.5") > read("1.49999"));
        assert_eq!(read("7"), read("7.0"));
        assert!(read("2.0").next() > read("2.0"));
        assert_eq!(read("2.0").next().parts(), (2, 1));
        assert!(read("1282321615.782").is_restarted_by(read("3.0")));
        assert!(!read("1282321615.782").is_restarted_by(read("1282321614.0")));
    }
}
