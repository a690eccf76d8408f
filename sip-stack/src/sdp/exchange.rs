//! What ties an answer to its offer, and a later offer to an earlier one (RFC 3264 §6, §8).
//!
//! Broken forms are named; what can be repaired without asking is not: a direction that the offer does not allow is cut
//! to what it does ([`Direction::answer`](super::Direction::answer)), and formats nobody offered are passed over
//! ([`intersect`](super::intersect)).

use super::description::SessionDescription;
use super::transport::MediaTransport;
use thiserror::Error;

/// How a peer broke the rules of offer and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ExchangeError {
    /// An answer has another number of media than its offer, or a later offer fewer than before.
    #[error("{got} media lines where {expected} are due")]
    MediaLines {
        /// How many there were before.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// The media in this place is another one than was offered.
    #[error("media line {media_index} is of another media")]
    Media {
        /// Counted from 0.
        media_index: usize,
    },
    /// The protocol in this place is another one than was offered.
    #[error("media line {media_index} has another protocol")]
    Protocol {
        /// Counted from 0.
        media_index: usize,
    },
    /// A stream that was offered with port 0 is accepted.
    #[error("media line {media_index} was not offered")]
    NotOffered {
        /// Counted from 0.
        media_index: usize,
    },
}

/// Whether `answer` can be one to `offer` (RFC 3264 §6).
///
/// Deviation: a profile without feedback in answer to the same one with it passes, and the reverse; many phones know
/// `RTP/AVP` alone and say so.
///
/// # Errors
/// [`ExchangeError`] for the first line that breaks a rule.
pub fn check_answer(
    offer: &SessionDescription<'_>,
    answer: &SessionDescription<'_>,
) -> Result<(), ExchangeError> {
    let (expected, got) = (offer.media.len(), answer.media.len());
    if got != expected {
        return Err(ExchangeError::MediaLines { expected, got });
    }
    for (media_index, (offered, answered)) in offer.media.iter().zip(&answer.media).enumerate() {
        if !offered.media.eq_ignore_ascii_case(answered.media) {
            return Err(ExchangeError::Media { media_index });
        }
        if answered.port == 0 {
            continue;
        }
        if !is_same_protocol(offered.protocol, answered.protocol) {
            return Err(ExchangeError::Protocol { media_index });
        }
        if offered.port == 0 && !offered.is_bundle_only() {
            return Err(ExchangeError::NotOffered { media_index });
        }
    }
    Ok(())
}

/// Whether `offer` can follow `previous`, the last description of the session, whichever side wrote it (RFC 3264 §8).
///
/// # Errors
/// [`ExchangeError::MediaLines`] when lines are gone.
pub fn check_next_offer(
    previous: &SessionDescription<'_>,
    offer: &SessionDescription<'_>,
) -> Result<(), ExchangeError> {
    let (expected, got) = (previous.media.len(), offer.media.len());
    if got < expected { Err(ExchangeError::MediaLines { expected, got }) } else { Ok(()) }
}

fn is_same_protocol(offered: &[u8], answered: &[u8]) -> bool {
    let profiles = (MediaTransport::from_protocol(offered), MediaTransport::from_protocol(answered));
    match profiles {
        (Some(offered), Some(answered)) => offered.without_feedback() == answered.without_feedback(),
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => offered.eq_ignore_ascii_case(answered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(offer: &str, answer: &str) -> Result<(), ExchangeError> {
        let (offer, answer) = (format!("v=0\n{offer}"), format!("v=0\n{answer}"));
        let read = |text: &'static str| SessionDescription::parse(text.as_bytes()).unwrap();
        check_answer(&read(offer.leak()), &read(answer.leak()))
    }

    #[test]
    fn an_answer_has_the_lines_of_the_offer_in_their_places() {
        let two = "m=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 96\n";
        assert_eq!(check(two, two), Ok(()));
        assert_eq!(check(two, "m=audio 0 RTP/AVP 0\nm=video 0 RTP/AVP 96\n"), Ok(()));
        let error = check(two, "m=audio 4000 RTP/AVP 0\n");
        assert_eq!(error, Err(ExchangeError::MediaLines { expected: 2, got: 1 }));
        let error = check(two, "m=audio 4000 RTP/AVP 0\nm=image 4002 udptl t38\n");
        assert_eq!(error, Err(ExchangeError::Media { media_index: 1 }));
    }

    #[test]
    fn an_answer_keeps_the_protocol_but_for_feedback() {
        let line = |protocol| format!("m=audio 4000 {protocol} 0\n");
        for (offered, answered, allowed) in [
            ("RTP/AVP", "rtp/avp", true),
            ("RTP/AVPF", "RTP/AVP", true),
            ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", true),
            ("RTP/SAVP", "RTP/AVP", false),
            ("UDP/TLS/RTP/SAVPF", "RTP/SAVPF", false),
            ("RTP/AVP", "udp", false),
            ("udp", "UDP", true),
        ] {
            let checked = check(&line(offered), &line(answered));
            assert_eq!(checked.is_ok(), allowed, "{offered} {answered}");
        }
    }

    #[test]
    fn what_was_not_offered_cannot_be_accepted_unless_its_bundle_carries_it() {
        let accepted = "m=audio 4000 RTP/AVP 0\n";
        let error = check("m=audio 0 RTP/AVP 0\n", accepted);
        assert_eq!(error, Err(ExchangeError::NotOffered { media_index: 0 }));
        assert_eq!(check("m=audio 0 RTP/AVP 0\na=bundle-only\n", accepted), Ok(()));
    }

    #[test]
    fn a_later_offer_may_have_more_lines_and_never_fewer() {
        let read = |text| SessionDescription::parse(text).unwrap();
        let one = read(b"v=0\nm=audio 4000 RTP/AVP 0\n");
        let two = read(b"v=0\nm=audio 0 RTP/AVP 0\nm=image 4000 udptl t38\n");
        assert_eq!(check_next_offer(&one, &two), Ok(()));
        assert_eq!(check_next_offer(&two, &one), Err(ExchangeError::MediaLines { expected: 2, got: 1 }));
    }
}
