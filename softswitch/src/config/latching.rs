//! The text forms of [`Latching`] and [`Network`], shared by the file and the database.

use super::model::Latching;
use super::network::Network;
use core::fmt;

/// One word of a latching rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Symmetric,
    SdpOnly,
    Network(Network),
}

impl Word {
    pub(super) fn parse(text: &str) -> Option<Word> {
        match text {
            "symmetric" => Some(Word::Symmetric),
            "sdp-only" => Some(Word::SdpOnly),
            network => Network::parse(network).map(Word::Network),
        }
    }
}

impl Latching {
    /// `symmetric` or `sdp-only` alone, or one or more networks.
    pub(super) fn of_words(words: &[Word]) -> Option<Latching> {
        match words {
            [] => None,
            [Word::Symmetric] => Some(Latching::Symmetric),
            [Word::SdpOnly] => Some(Latching::SdpOnly),
            networks => {
                let network = |word: &Word| match word {
                    Word::Network(network) => Some(*network),
                    Word::Symmetric | Word::SdpOnly => None,
                };
                networks.iter().map(network).collect::<Option<_>>().map(Latching::AnyOf)
            }
        }
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Latching> {
        let words: Vec<Word> = text.split(',').map(Word::parse).collect::<Option<_>>()?;
        Latching::of_words(&words)
    }
}

impl fmt::Display for Latching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Latching::Symmetric => f.write_str("symmetric"),
            Latching::SdpOnly => f.write_str("sdp-only"),
            Latching::AnyOf(networks) => networks.iter().enumerate().try_for_each(|(index, network)| {
                let separator = if index == 0 { "" } else { "," };
                write!(f, "{separator}{network}")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_reads_back_from_its_text() {
        let networks = ["192.0.2.0/24", "2001:db8::/32"].map(|text| Network::parse(text).unwrap());
        for rule in [Latching::Symmetric, Latching::SdpOnly, Latching::AnyOf(networks.to_vec())] {
            assert_eq!(Latching::parse(&rule.to_string()), Some(rule));
        }
    }

    #[test]
    fn words_do_not_mix_with_networks() {
        for text in ["", "symmetric,sdp-only", "symmetric,192.0.2.0/24", "192.0.2.0/24,", "any"] {
            assert_eq!(Latching::parse(text), None, "{text:?}");
        }
    }
}
