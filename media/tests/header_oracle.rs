//! The header view against the `rtp` crate, on packets of every shape and on noise.

use bytes::Bytes;
use media::rtp::Header;
use proptest::prelude::*;
use webrtc_util::marshal::Unmarshal;

/// A valid packet and the range of its payload.
fn valid_packet() -> impl Strategy<Value = (Vec<u8>, std::ops::Range<usize>)> {
    let extension = prop::option::of((any::<u16>(), prop::collection::vec(any::<u32>(), 0..4)));
    (
        any::<[u8; 11]>(),
        prop::collection::vec(any::<u32>(), 0..=15),
        extension,
        prop::collection::vec(any::<u8>(), 0..200),
        prop::option::of(1u8..40),
    )
        .prop_map(|(fixed, sources, extension, payload, padding)| {
            let first = 0x80
                | sources.len() as u8
                | u8::from(extension.is_some()) << 4
                | u8::from(padding.is_some()) << 5;
            let mut bytes = vec![first];
            bytes.extend(fixed);
            bytes.extend(sources.iter().flat_map(|source| source.to_be_bytes()));
            if let Some((profile, words)) = extension {
                // The oracle reads extensions of RFC 8285, which the relay passes unread; others it takes as a whole.
                let profile = if matches!(profile, 0xbede | 0x1000) { 0 } else { profile };
                bytes.extend(profile.to_be_bytes());
                bytes.extend((words.len() as u16).to_be_bytes());
                bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            }
            let start = bytes.len();
            bytes.extend(&payload);
            let end = bytes.len();
            if let Some(count) = padding {
                bytes.extend(std::iter::repeat_n(0, usize::from(count) - 1));
                bytes.push(count);
            }
            (bytes, start..end)
        })
}

fn oracle(bytes: &[u8]) -> Option<rtp::packet::Packet> {
    rtp::packet::Packet::unmarshal(&mut Bytes::copy_from_slice(bytes)).ok()
}

/// Both read the same fields.
fn assert_same(header: &Header<'_>, bytes: &[u8], oracle: &rtp::packet::Packet) {
    assert_eq!(header.marker(), oracle.header.marker);
    assert_eq!(header.payload_type(), oracle.header.payload_type);
    assert_eq!(header.sequence(), oracle.header.sequence_number);
    assert_eq!(header.timestamp(), oracle.header.timestamp);
    assert_eq!(header.ssrc().0, oracle.header.ssrc);
    assert_eq!(bytes[header.payload()], oracle.payload[..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn valid_packets_read_as_the_oracle_reads_them((bytes, payload) in valid_packet()) {
        let header = Header::parse(&bytes).unwrap();
        prop_assert_eq!(header.payload(), payload);
        assert_same(&header, &bytes, &oracle(&bytes).unwrap());
    }

    #[test]
    fn a_cut_packet_reads_as_the_oracle_reads_it_or_both_refuse(
        (mut bytes, _) in valid_packet(),
        keep in any::<prop::sample::Index>(),
    ) {
        bytes.truncate(keep.index(bytes.len() + 1));
        bytes.iter_mut().take(1).for_each(|first| *first &= !0x20);
        match (Header::parse(&bytes), oracle(&bytes)) {
            (Ok(header), Some(oracle)) => assert_same(&header, &bytes, &oracle),
            (Err(_), None) => {}
            (ours, theirs) => prop_assert!(false, "ours {:?}, oracle {:?}", ours, theirs),
        }
    }

    #[test]
    fn noise_never_panics_and_what_we_accept_lies_within_it(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(header) = Header::parse(&bytes) {
            prop_assert!(header.payload().end <= bytes.len());
            prop_assert!(header.payload().start <= header.payload().end);
            // The oracle also refuses what it cannot read inside RFC 8285 extensions; what it accepts reads the same.
            if let Some(oracle) = oracle(&bytes).filter(|oracle| !oracle.header.extension) {
                assert_same(&header, &bytes, &oracle);
            }
        }
    }
}
