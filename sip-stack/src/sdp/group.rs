//! Groups of media (RFC 5888): BUNDLE (RFC 9143) and its like, by the `mid` of their members.
//!
//! Read in full. Several media over one transport are not offered by us, and of an offered bundle one member at most is
//! answered as one; see [`write_media_answer`](super::write_media_answer).

use super::description::{MediaDescription, SessionDescription};
use super::fields::words;

/// One `a=group` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// `BUNDLE`, `LS`, `FID`, …
    pub semantics: &'a [u8],
    /// The members' identification tags, as text.
    pub mids_text: &'a [u8],
}

impl<'a> Group<'a> {
    fn read(value: &'a [u8]) -> Option<Group<'a>> {
        let semantics = words(value).next()?;
        let mids_text = value.get(semantics.len()..)?.trim_ascii();
        Some(Group { semantics, mids_text })
    }

    /// The members' identification tags in their order.
    pub fn mids(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        words(self.mids_text)
    }

    /// Whether the members are to share one transport (RFC 9143).
    pub fn is_bundle(&self) -> bool {
        self.semantics == b"BUNDLE"
    }
}

impl<'a> SessionDescription<'a> {
    /// The groups in their order.
    pub fn groups(&self) -> impl Iterator<Item = Group<'a>> + use<'a> {
        self.section.values(b"group").filter_map(Group::read)
    }

    /// The media with this identification tag.
    pub fn index_of_mid(&self, mid: &[u8]) -> Option<usize> {
        self.media.iter().position(|media| media.mid() == Some(mid))
    }

    /// The bundle that a media belongs to: the first that names it.
    pub fn bundle_of(&self, media: &MediaDescription<'a>) -> Option<Group<'a>> {
        let mid = media.mid()?;
        self.groups().find(|group| group.is_bundle() && group.mids().any(|member| member == mid))
    }

    /// The media whose transport attributes hold for the one at `media_index`: the first of its bundle in an answer or
    /// a later offer, else itself (RFC 9143 §7.1.3, §7.3.1).
    pub fn transport_index(&self, media_index: usize) -> usize {
        let media = self.media.get(media_index);
        let tagged = media.and_then(|media| self.bundle_of(media)?.mids().next());
        tagged.and_then(|mid| self.index_of_mid(mid)).unwrap_or(media_index)
    }
}

impl<'a> MediaDescription<'a> {
    /// `a=mid`: the identification tag (RFC 5888 §4).
    pub fn mid(&self) -> Option<&'a [u8]> {
        self.section.value(b"mid").filter(|mid| !mid.is_empty())
    }

    /// `a=bundle-only`: port 0 does not mean that the media is rejected, but that it has no transport outside of its
    /// bundle (RFC 9143 §6).
    pub fn is_bundle_only(&self) -> bool {
        self.port == 0 && self.section.attribute(b"bundle-only").is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUNDLED: &str = "v=0\na=group:LS a v\na=group:BUNDLE  a v \nm=audio 9 RTP/AVP 0\na=mid:a\n\
        m=video 0 RTP/AVP 96\na=mid:v\na=bundle-only\nm=audio 4000 RTP/AVP 0\na=mid:x\nm=video 0 RTP/AVP 96\n";

    #[test]
    fn groups_name_their_members_by_mid() {
        let session = SessionDescription::parse(BUNDLED.as_bytes()).unwrap();
        let groups: Vec<_> = session.groups().collect();
        assert_eq!(groups[0].semantics, b"LS");
        assert!(!groups[0].is_bundle() && groups[1].is_bundle());
        assert_eq!(groups[1].mids().collect::<Vec<_>>(), [b"a", b"v"]);
        assert_eq!(session.index_of_mid(b"v"), Some(1));
    }

    #[test]
    fn a_bundled_media_has_the_transport_of_the_first_of_its_bundle() {
        let session = SessionDescription::parse(BUNDLED.as_bytes()).unwrap();
        assert_eq!([0, 1, 2, 3, 9].map(|index| session.transport_index(index)), [0, 0, 2, 3, 9]);
    }

    #[test]
    fn port_0_with_bundle_only_is_not_rejected() {
        let session = SessionDescription::parse(BUNDLED.as_bytes()).unwrap();
        let only: Vec<bool> = session.media.iter().map(MediaDescription::is_bundle_only).collect();
        assert_eq!(only, [false, true, false, false]);
    }
}
