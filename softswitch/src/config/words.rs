//! Settings that are one word of a few, as the file, the command line and the database write them.

use super::model::{Dtmf, Layout};
use media::tap::Container;

impl Dtmf {
    /// The setting of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Dtmf> {
        [Dtmf::Auto, Dtmf::Event, Dtmf::Info, Dtmf::Inband].into_iter().find(|dtmf| dtmf.word() == word)
    }

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Dtmf::Auto => "auto",
            Dtmf::Event => "event",
            Dtmf::Info => "info",
            Dtmf::Inband => "inband",
        }
    }
}

impl Layout {
    /// The layout of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Layout> {
        [Layout::Mix, Layout::Stereo, Layout::Members].into_iter().find(|layout| layout.word() == word)
    }

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Layout::Mix => "mix",
            Layout::Stereo => "stereo",
            Layout::Members => "members",
        }
    }
}

/// The kind of file of this word.
pub(crate) fn parse_container(word: &str) -> Option<Container> {
    [Container::Wav, Container::OggOpus].into_iter().find(|container| container_word(*container) == word)
}

/// The word of a kind of file.
pub(crate) const fn container_word(container: Container) -> &'static str {
    match container {
        Container::Wav => "wav",
        Container::OggOpus => "opus",
    }
}
