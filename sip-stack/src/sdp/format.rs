//! Format parameters, `a=fmtp` (RFC 8866 §6.15): which of them must be alike on both sides, and what an answer says
//! (RFC 3264 §6.1).
//!
//! Known are those of codecs whose packets cannot be read without them: AMR and AMR-WB (RFC 4867 §8.3.1), G.722.1
//! (RFC 5577). G.729's `annexb` is agreed on (RFC 7261). All others, Opus among them (RFC 7587 §7), tell what their
//! writer would like to receive, and each side has its own.

use super::codec::{AudioCodec, SdpText};
use super::fields::number;

impl AudioCodec {
    /// A parameter by its name, such as `useinbandfec`; empty for one without a value.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        let parameters = self.parameters.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        parameters
            .filter_map(|parameter| {
                let mut parts = parameter.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
                let is_it = parts.next()?.eq_ignore_ascii_case(name.as_bytes());
                is_it.then(|| parts.next().unwrap_or_default())
            })
            .next()
    }

    /// Whether packets of the one can be read as the other: the same encoding, and the same values of the parameters that
    /// say how packets are made.
    pub fn is_compatible(&self, other: &AudioCodec) -> bool {
        self.is_same_encoding(other)
            && match Configuration::of(self) {
                Configuration::Amr => {
                    self.amr() == other.amr() && may_share_modes(self.modes(), other.modes())
                }
                Configuration::G7221 => self.bit_rate() == other.bit_rate(),
                Configuration::G729 | Configuration::Free => true,
            }
    }

    /// What an answer says when `self` was offered and `ours` is what we support.
    pub(super) fn answer_parameters(&self, ours: &AudioCodec) -> SdpText {
        match Configuration::of(self) {
            Configuration::Amr | Configuration::G7221 => self.parameters.clone(),
            // RFC 7261 §3: one `no` is enough.
            Configuration::G729 if !self.annex_b() || !ours.annex_b() => SdpText::from("annexb=no"),
            Configuration::G729 | Configuration::Free => ours.parameters.clone(),
        }
    }

    /// Of G.729: whether silence is described (Annex B); so it is where nothing is said (RFC 4856 §2.1.9).
    fn annex_b(&self) -> bool {
        !self.parameter("annexb").is_some_and(|value| value.eq_ignore_ascii_case(b"no"))
    }

    /// Of AMR: octet alignment, which the three after it imply, checksums, sorting, interleaving.
    fn amr(&self) -> (bool, bool, bool, bool) {
        let is_set = |name| self.parameter(name) == Some(b"1");
        let (crc, sorting) = (is_set("crc"), is_set("robust-sorting"));
        let interleaving = self.parameter("interleaving").is_some();
        (is_set("octet-align") || crc || sorting || interleaving, crc, sorting, interleaving)
    }

    /// Of AMR: the permitted modes, in whichever order; `None` for all.
    fn modes(&self) -> Option<u32> {
        let set = self.parameter("mode-set")?;
        let mode = |text: &[u8]| number::<u32>(text.trim_ascii()).filter(|mode| *mode < 32);
        Some(set.split(|byte| *byte == b',').filter_map(mode).fold(0, |modes, mode| modes | 1 << mode))
    }

    /// Of G.722.1: `bitrate`.
    fn bit_rate(&self) -> Option<u32> {
        self.parameter("bitrate").and_then(number)
    }
}

/// RFC 4867 §8.3.1: a set is accepted as it is; a side without one takes any.
fn may_share_modes(ours: Option<u32>, theirs: Option<u32>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => ours == theirs,
        (Some(_) | None, None) | (None, Some(_)) => true,
    }
}

/// The codecs whose parameters are known.
enum Configuration {
    Amr,
    G7221,
    G729,
    Free,
}

impl Configuration {
    fn of(codec: &AudioCodec) -> Configuration {
        let is = |name: &[u8]| codec.encoding.as_bytes().eq_ignore_ascii_case(name);
        if is(b"AMR") || is(b"AMR-WB") {
            Configuration::Amr
        } else if is(b"G7221") {
            Configuration::G7221
        } else if is(b"G729") {
            Configuration::G729
        } else {
            Configuration::Free
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::intersect;

    fn codec(encoding: &str, parameters: &str) -> AudioCodec {
        AudioCodec { parameters: parameters.into(), ..AudioCodec::new(96, encoding, 8_000) }
    }

    #[test]
    fn a_parameter_is_found_whatever_its_place_case_and_spaces() {
        let opus = codec("opus", "maxplaybackrate=16000; UseInbandFEC = 1;stereo=0;x");
        assert_eq!(opus.parameter("useinbandfec"), Some(&b"1"[..]));
        assert_eq!(opus.parameter("x"), Some(&b""[..]));
        assert_eq!((opus.parameter("usedtx"), codec("opus", "").parameter("")), (None, Some(&b""[..])));
    }

    #[test]
    fn amr_packets_must_be_made_alike() {
        for (offered, ours, compatible) in [
            ("", "octet-align=0", true),
            ("octet-align=1", "", false),
            ("octet-align=1; mode-change-capability=2", "octet-align=1", true),
            ("robust-sorting=1", "octet-align=1; robust-sorting=1", true),
            ("octet-align=1;crc=1", "octet-align=1", false),
            ("octet-align=1;interleaving=30", "octet-align=1", false),
            ("mode-set=0,2,4,7", "mode-set=7,4,2,0", true),
            ("mode-set=0,2,4,7", "mode-set=7", false),
            ("mode-set=7", "", true),
        ] {
            let (a, b) = (codec("AMR", offered), codec("amr", ours));
            assert_eq!(
                (a.is_compatible(&b), b.is_compatible(&a)),
                (compatible, compatible),
                "{offered}|{ours}"
            );
        }
    }

    #[test]
    fn an_offer_of_one_encoding_in_two_configurations_is_answered_in_the_one_we_have() {
        let offered =
            [codec("AMR", ""), AudioCodec { payload_type: 97, ..codec("AMR", "octet-align=1;mode-set=7") }];
        let common = intersect(&offered, &[codec("AMR", "octet-align=1")]);
        assert_eq!((common.len(), common[0].payload_type), (1, 97));
        assert_eq!(common[0].parameters.as_bytes(), b"octet-align=1;mode-set=7", "as offered");
        let rates = [codec("G7221", "bitrate=24000"), codec("G7221", "bitrate=32000")];
        assert_eq!(intersect(&rates, &rates[1..]), rates[1..]);
    }

    #[test]
    fn g729_has_annex_b_only_when_neither_side_says_no() {
        for (offered, ours, answer) in [
            ("", "", ""),
            ("annexb=yes", "", ""),
            ("annexb=no", "", "annexb=no"),
            ("", "annexb=no", "annexb=no"),
            ("annexb=no", "annexb=yes", "annexb=no"),
        ] {
            let common = intersect(&[codec("G729", offered)], &[codec("G729", ours)]);
            assert_eq!(common[0].parameters.as_bytes(), answer.as_bytes(), "{offered}|{ours}");
        }
    }

    #[test]
    fn opus_is_compatible_whatever_each_side_would_like_to_receive() {
        let (theirs, ours) =
            (codec("opus", "stereo=1;maxaveragebitrate=510000"), codec("opus", "useinbandfec=1"));
        assert_eq!(intersect(&[theirs], std::slice::from_ref(&ours)), [ours]);
    }
}
