//! ICE in a description (RFC 8839 §5): fragment, password, options, candidates.
//!
//! What is said, and what it means next to what was said before. Left out on purpose: the checks themselves (RFC 8445),
//! and `ice-pacing` (its default is what we use).

use super::candidate::{IceCandidate, RemoteCandidate, is_ice_text};
use super::codec::SdpText;
use super::description::{MediaDescription, Section, SessionDescription};
use super::fields::words;
use super::writer::SdpWriter;
use bytes::BufMut;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// How many candidates of one media are read; those beyond are left out.
const MAX_CANDIDATES: usize = 64;

/// What one side says about ICE for one media.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceAttributes {
    /// The username fragment: 4 to 256 characters, at most 32 in what we write ourselves.
    pub ufrag: SdpText,
    /// The password: 22 to 256 characters. Not shown by `Debug`.
    pub pwd: SdpText,
    /// The option tags, as text: `trickle ice2`.
    pub options: SdpText,
    /// Whether the writer answers checks and makes none (§5.3). A line of the session, true for all its media.
    pub lite: bool,
    /// Whether the answerer found no candidate for the default destination, and does without ICE (§4.2.5, §5.3).
    pub mismatch: bool,
    /// In the order written; at most 64 are read.
    pub candidates: Vec<IceCandidate>,
    /// Whether no more candidates follow (RFC 8840 §8.2).
    pub end_of_candidates: bool,
    /// What a controlling agent chose of ours (§5.2).
    pub remote_candidates: Vec<RemoteCandidate>,
}

impl IceAttributes {
    /// Those that hold for `media`: its own lines, else those of the session (§5.4). `None` without a fragment and a
    /// password of the right form: the writer does not use ICE then.
    pub fn of(session: &SessionDescription<'_>, media: &MediaDescription<'_>) -> Option<IceAttributes> {
        let value = |name: &[u8]| media.section.value(name).or_else(|| session.section.value(name));
        let ufrag = value(b"ice-ufrag").filter(|text| is_ice_text(text, 4, 256))?;
        let pwd = value(b"ice-pwd").filter(|text| is_ice_text(text, 22, 256))?;
        let here = |name: &[u8]| media.section.attribute(name).is_some();
        let candidates = media.section.values(b"candidate").filter_map(IceCandidate::read);
        let chosen = media.section.values(b"remote-candidates").flat_map(RemoteCandidate::read_list);
        Some(IceAttributes {
            ufrag: ufrag.into(),
            pwd: pwd.into(),
            options: value(b"ice-options").unwrap_or_default().into(),
            lite: session.section.attribute(b"ice-lite").is_some(),
            mismatch: here(b"ice-mismatch"),
            candidates: candidates.take(MAX_CANDIDATES).collect(),
            end_of_candidates: here(b"end-of-candidates") || says_end(&session.section),
            remote_candidates: chosen.take(MAX_CANDIDATES).collect(),
        })
    }

    /// Whether an option is named, such as `trickle` (RFC 8840) or `ice2` (RFC 8445).
    pub fn has_option(&self, option: &str) -> bool {
        words(self.options.as_bytes()).any(|known| known == option.as_bytes())
    }

    /// Whether these begin ICE anew after `previous` of the same side (RFC 8839 §4.4.1.1.1).
    pub fn is_restart(&self, previous: &IceAttributes) -> bool {
        self.ufrag != previous.ufrag || self.pwd != previous.pwd
    }

    /// Whether a candidate stands for the default destination of RTP. Without one, something on the way changed the
    /// description, and the answerer may say `ice-mismatch` and do without ICE (§4.2.5). A placeholder of `0.0.0.0` or
    /// `::` with port 9 is no mismatch.
    pub fn matches_default(&self, destination: SocketAddr) -> bool {
        let is_placeholder = destination.ip().is_unspecified() && destination.port() == 9;
        let of_rtp = |candidate: &&IceCandidate| candidate.component == 1;
        is_placeholder
            || self.candidates.iter().filter(of_rtp).any(|candidate| candidate.address == destination)
    }

    /// Writes the lines of one media; `ice-lite` belongs to the session.
    pub fn write<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        writer.attribute("ice-ufrag", self.ufrag.as_bytes());
        writer.attribute("ice-pwd", self.pwd.as_bytes());
        if !self.options.as_bytes().is_empty() {
            writer.attribute("ice-options", self.options.as_bytes());
        }
        if self.mismatch {
            writer.line(b'a', b"ice-mismatch");
        }
        for candidate in &self.candidates {
            candidate.write(writer);
        }
        if !self.remote_candidates.is_empty() {
            writer.start_attribute("remote-candidates");
            for (index, chosen) in self.remote_candidates.iter().enumerate() {
                let space = if index == 0 { "" } else { " " };
                let RemoteCandidate { component, address } = chosen;
                writer.display(format_args!("{space}{component} {} {}", address.ip(), address.port()));
            }
            writer.end();
        }
        if self.end_of_candidates {
            writer.line(b'a', b"end-of-candidates");
        }
    }
}

/// RFC 8840 §8.2: at the level of the session it holds for every media.
fn says_end(session: &Section<'_>) -> bool {
    session.attribute(b"end-of-candidates").is_some()
}

impl fmt::Debug for IceAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceAttributes")
            .field("ufrag", &self.ufrag)
            .field("options", &self.options)
            .field("lite", &self.lite)
            .field("candidates", &self.candidates)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PWD: &str = "asd88fgpdd777uzjYhagZg";

    fn ice(session: &str, media: &str) -> Option<IceAttributes> {
        let text = format!("v=0\n{session}m=audio 9 UDP/TLS/RTP/SAVPF 111\n{media}");
        let session = SessionDescription::parse(text.as_bytes()).unwrap();
        IceAttributes::of(&session, &session.media[0])
    }

    #[test]
    fn fragment_and_password_of_the_media_come_before_those_of_the_session() {
        let session = format!("a=ice-ufrag:sess\na=ice-pwd:{PWD}\na=ice-lite\na=ice-options:ice2\n");
        let inherited = ice(&session, "").unwrap();
        assert_eq!(inherited.ufrag.as_bytes(), b"sess");
        assert!(inherited.lite && inherited.has_option("ice2") && !inherited.has_option("ice"));
        let own = ice(&session, &format!("a=ice-ufrag:media\na=ice-pwd:{PWD}x\n")).unwrap();
        assert_eq!((own.ufrag.as_bytes(), own.pwd.as_bytes().len()), (&b"media"[..], 23));
    }

    #[test]
    fn without_a_fragment_and_a_password_of_the_right_length_there_is_no_ice() {
        for lines in [
            String::new(),
            "a=ice-ufrag:abcd\n".into(),
            format!("a=ice-pwd:{PWD}\n"),
            format!("a=ice-ufrag:abc\na=ice-pwd:{PWD}\n"),
            "a=ice-ufrag:abcd\na=ice-pwd:tooshort\n".into(),
            format!("a=ice-ufrag:ab-d\na=ice-pwd:{PWD}\n"),
            format!("a=ice-ufrag:{}\na=ice-pwd:{PWD}\n", "a".repeat(257)),
        ] {
            assert_eq!(ice("", &lines), None, "{lines}");
        }
    }

    #[test]
    fn a_new_fragment_or_password_is_a_restart() {
        let of =
            |ufrag: &str, pwd: &str| ice("", &format!("a=ice-ufrag:{ufrag}\na=ice-pwd:{pwd}\n")).unwrap();
        let first = of("abcd", PWD);
        assert!(!of("abcd", PWD).is_restart(&first));
        assert!(of("abce", PWD).is_restart(&first));
        assert!(of("abcd", &PWD.to_uppercase()).is_restart(&first));
    }

    #[test]
    fn a_default_destination_without_its_candidate_is_a_mismatch_unless_it_is_a_placeholder() {
        let lines = format!(
            "a=ice-ufrag:abcd\na=ice-pwd:{PWD}\na=candidate:1 1 UDP 5 192.0.2.1 4000 typ host\n\
             a=candidate:1 2 UDP 4 192.0.2.1 4001 typ host\n"
        );
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let plain = ice("", &lines).unwrap();
        assert!(plain.matches_default(at("192.0.2.1:4000")));
        assert!(!plain.matches_default(at("192.0.2.1:4001")), "that is the candidate of RTCP");
        assert!(plain.matches_default(at("0.0.0.0:9")) && plain.matches_default(at("[::]:9")));
        assert!(!plain.matches_default(at("192.0.2.1:9")));
    }

    #[test]
    fn candidates_beyond_the_bound_are_left_out() {
        let lines = "a=candidate:1 1 UDP 5 192.0.2.1 4000 typ host\n".repeat(100);
        let read = ice("", &format!("a=ice-ufrag:abcd\na=ice-pwd:{PWD}\n{lines}")).unwrap();
        assert_eq!(read.candidates.len(), MAX_CANDIDATES);
    }

    #[test]
    fn the_password_is_not_shown() {
        let read = ice("", &format!("a=ice-ufrag:abcd\na=ice-pwd:{PWD}\n")).unwrap();
        assert!(!format!("{read:?}").contains("asd88"));
    }
}
