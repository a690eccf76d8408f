//! RTCP read and written against the `rtcp` crate, on packets of every kind, and on noise.

use bytes::Bytes;
use media::rtcp::{
    Cname, Compound, FeedbackKind, NtpTime, Packet, ReportBlock, SenderInfo, VoipMetrics, Writer,
    lost_packets,
};
use media::rtp::Ssrc;
use proptest::prelude::*;
use rtcp::extended_report::{ExtendedReport, VoIPMetricsReportBlock};
use rtcp::goodbye::Goodbye;
use rtcp::packet::{Packet as Oracle, unmarshal};
use rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::sender_report::SenderReport;
use rtcp::source_description::{SourceDescription, SourceDescriptionChunk, SourceDescriptionItem};
use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use webrtc_util::marshal::Marshal;

fn block() -> impl Strategy<Value = ReportBlock> {
    (any::<u32>(), any::<u8>(), -0x80_0000..=0x7f_ffff, any::<[u32; 4]>()).prop_map(
        |(ssrc, fraction_lost, lost, [highest_sequence, jitter, last_sender_report, delay])| ReportBlock {
            ssrc: Ssrc(ssrc),
            fraction_lost,
            lost,
            highest_sequence,
            jitter,
            last_sender_report,
            delay,
        },
    )
}

fn info() -> impl Strategy<Value = SenderInfo> {
    (any::<u64>(), any::<[u32; 3]>()).prop_map(|(ntp, [rtp_timestamp, packets, octets])| SenderInfo {
        ntp: NtpTime(ntp),
        rtp_timestamp,
        packets,
        octets,
    })
}

fn metrics() -> impl Strategy<Value = VoipMetrics> {
    let known = || prop::option::of(0..=100u8);
    let mos = || prop::option::of(10..=50u8);
    let levels = (prop::option::of(-128..127i8), prop::option::of(-128..127i8), prop::option::of(0..127u8));
    (any::<u32>(), any::<[u8; 6]>(), any::<[u16; 7]>(), levels, (known(), known(), mos(), mos())).prop_map(
        |(ssrc, octets, times, levels, scores)| VoipMetrics {
            ssrc: Ssrc(ssrc),
            loss_rate: octets[0],
            discard_rate: octets[1],
            burst_density: octets[2],
            gap_density: octets[3],
            gmin: octets[4],
            receiver: octets[5],
            burst_ms: times[0],
            gap_ms: times[1],
            round_trip_ms: times[2],
            end_system_ms: times[3],
            jitter_buffer_ms: times[4],
            jitter_buffer_max_ms: times[5],
            jitter_buffer_limit_ms: times[6],
            signal_level: levels.0,
            noise_level: levels.1,
            echo_return_loss: levels.2,
            r_factor: scores.0,
            external_r_factor: scores.1,
            mos_listening: scores.2,
            mos_conversational: scores.3,
        },
    )
}

fn to_oracle(block: &ReportBlock) -> ReceptionReport {
    ReceptionReport {
        ssrc: block.ssrc.0,
        fraction_lost: block.fraction_lost,
        total_lost: block.lost as u32 & 0xff_ffff,
        last_sequence_number: block.highest_sequence,
        jitter: block.jitter,
        last_sender_report: block.last_sender_report,
        delay: block.delay,
    }
}

fn sender_report(ssrc: u32, info: &SenderInfo, blocks: &[ReportBlock]) -> SenderReport {
    SenderReport {
        ssrc,
        ntp_time: info.ntp.0,
        rtp_time: info.rtp_timestamp,
        packet_count: info.packets,
        octet_count: info.octets,
        reports: blocks.iter().map(to_oracle).collect(),
        profile_extensions: Bytes::new(),
    }
}

fn voip(metrics: &VoipMetrics) -> VoIPMetricsReportBlock {
    VoIPMetricsReportBlock {
        ssrc: metrics.ssrc.0,
        loss_rate: metrics.loss_rate,
        discard_rate: metrics.discard_rate,
        burst_density: metrics.burst_density,
        gap_density: metrics.gap_density,
        burst_duration: metrics.burst_ms,
        gap_duration: metrics.gap_ms,
        round_trip_delay: metrics.round_trip_ms,
        end_system_delay: metrics.end_system_ms,
        signal_level: metrics.signal_level.map_or(127, |level| level as u8),
        noise_level: metrics.noise_level.map_or(127, |level| level as u8),
        rerl: metrics.echo_return_loss.unwrap_or(127),
        gmin: metrics.gmin,
        rfactor: metrics.r_factor.unwrap_or(127),
        ext_rfactor: metrics.external_r_factor.unwrap_or(127),
        mos_lq: metrics.mos_listening.unwrap_or(127),
        mos_cq: metrics.mos_conversational.unwrap_or(127),
        rx_config: metrics.receiver,
        reserved: 0,
        jb_nominal: metrics.jitter_buffer_ms,
        jb_maximum: metrics.jitter_buffer_max_ms,
        jb_abs_max: metrics.jitter_buffer_limit_ms,
    }
}

fn description(ssrc: u32, items: &[(u8, String)]) -> SourceDescription {
    let items = items
        .iter()
        .map(|(kind, text)| SourceDescriptionItem { sdes_type: (*kind).into(), text: text.clone().into() })
        .collect();
    SourceDescription { chunks: vec![SourceDescriptionChunk { source: ssrc, items }] }
}

/// The oracle pads BYE in a way that only a last packet may be padded, so this one is by hand.
fn goodbye(sources: &[u32], reason: &str) -> Bytes {
    let text = if reason.is_empty() { 0 } else { (1 + reason.len()).div_ceil(4) };
    let mut bytes = vec![0x80 | sources.len() as u8, 203, 0, (sources.len() + text) as u8];
    bytes.extend(sources.iter().flat_map(|source| source.to_be_bytes()));
    if text != 0 {
        bytes.push(reason.len() as u8);
        bytes.extend(reason.bytes());
    }
    bytes.resize(4 * (1 + sources.len() + text), 0);
    bytes.into()
}

/// The bytes of a compound packet.
fn row() -> impl Strategy<Value = Vec<u8>> {
    let report = prop_oneof![
        (any::<u32>(), info(), prop::collection::vec(block(), 0..4))
            .prop_map(|(ssrc, info, blocks)| sender_report(ssrc, &info, &blocks).marshal()),
        (any::<u32>(), prop::collection::vec(block(), 0..32)).prop_map(|(ssrc, blocks)| ReceiverReport {
            ssrc,
            reports: blocks.iter().map(to_oracle).collect(),
            profile_extensions: Bytes::new()
        }
        .marshal()),
        (any::<u32>(), prop::collection::vec((1..9u8, "[a-z]{0,40}"), 1..4))
            .prop_map(|(ssrc, items)| description(ssrc, &items).marshal()),
        (prop::collection::vec(any::<u32>(), 0..5), "[a-z ]{0,30}")
            .prop_map(|(sources, reason)| Ok(goodbye(&sources, &reason))),
        (any::<[u32; 2]>(), prop::collection::vec(any::<[u16; 2]>(), 1..9)).prop_map(|(ssrcs, nacks)| {
            let nacks =
                nacks.iter().map(|[packet_id, lost]| NackPair { packet_id: *packet_id, lost_packets: *lost });
            TransportLayerNack { sender_ssrc: ssrcs[0], media_ssrc: ssrcs[1], nacks: nacks.collect() }
                .marshal()
        }),
        any::<[u32; 2]>().prop_map(|ssrcs| PictureLossIndication {
            sender_ssrc: ssrcs[0],
            media_ssrc: ssrcs[1]
        }
        .marshal()),
        (any::<[u32; 2]>(), prop::collection::vec(any::<(u32, u8)>(), 1..5)).prop_map(|(ssrcs, entries)| {
            let fir = entries.iter().map(|(ssrc, number)| FirEntry { ssrc: *ssrc, sequence_number: *number });
            FullIntraRequest { sender_ssrc: ssrcs[0], media_ssrc: ssrcs[1], fir: fir.collect() }.marshal()
        }),
        (any::<u32>(), metrics()).prop_map(|(sender_ssrc, metrics)| {
            ExtendedReport { sender_ssrc, reports: vec![Box::new(voip(&metrics))] }.marshal()
        }),
    ];
    prop::collection::vec(report, 1..6).prop_map(|packets| {
        packets.into_iter().flat_map(|packet| packet.expect("it fits its counts").to_vec()).collect()
    })
}

fn oracle(bytes: &[u8]) -> Option<Vec<Box<dyn Oracle + Send + Sync>>> {
    unmarshal(&mut Bytes::copy_from_slice(bytes)).ok()
}

fn is<T: PartialEq + 'static>(theirs: &(dyn Oracle + Send + Sync), ours: &T) -> bool {
    theirs.as_any().downcast_ref::<T>() == Some(ours)
}

/// Our view, put into the oracle's words, is what the oracle reads.
fn agrees(ours: &Packet<'_>, theirs: &(dyn Oracle + Send + Sync)) -> bool {
    match ours {
        Packet::SenderReport(ours) => {
            let blocks: Vec<_> = ours.blocks().collect();
            is(theirs, &sender_report(ours.ssrc().0, &ours.info(), &blocks))
        }
        Packet::ReceiverReport(ours) => {
            let reports = ours.blocks().map(|block| to_oracle(&block)).collect();
            is(theirs, &ReceiverReport { ssrc: ours.ssrc().0, reports, profile_extensions: Bytes::new() })
        }
        Packet::SourceDescription(ours) => {
            let items = |chunk: &media::rtcp::Chunk<'_>| {
                let text = |text: &[u8]| String::from_utf8(text.to_vec()).expect("it was a string");
                chunk.items().map(|item| (item.kind, text(item.text))).collect::<Vec<_>>()
            };
            let mut chunks = ours.chunks();
            let chunk = chunks.next().expect("it has one");
            chunks.next().is_none() && is(theirs, &description(chunk.ssrc().0, &items(&chunk)))
        }
        Packet::Goodbye(ours) => {
            let sources = ours.sources().map(|source| source.0).collect();
            is(theirs, &Goodbye { sources, reason: Bytes::copy_from_slice(ours.reason()) })
        }
        Packet::Feedback(ours) => {
            let (sender_ssrc, media_ssrc) = (ours.sender().0, ours.media().0);
            match ours.kind() {
                FeedbackKind::Nack => {
                    let pair = |lost: media::rtcp::Lost| NackPair {
                        packet_id: lost.first,
                        lost_packets: lost.following,
                    };
                    let nacks = lost_packets(ours.control()).map(pair).collect();
                    is(theirs, &TransportLayerNack { sender_ssrc, media_ssrc, nacks })
                }
                FeedbackKind::Pli => is(theirs, &PictureLossIndication { sender_ssrc, media_ssrc }),
                FeedbackKind::Fir => {
                    let (entries, _) = ours.control().as_chunks::<8>();
                    let entry = |entry: &[u8; 8]| FirEntry {
                        ssrc: u32::from_be_bytes(entry[..4].try_into().expect("four octets")),
                        sequence_number: entry[4],
                    };
                    let fir = entries.iter().map(entry).collect();
                    is(theirs, &FullIntraRequest { sender_ssrc, media_ssrc, fir })
                }
                _ => false,
            }
        }
        Packet::ExtendedReport(ours) => {
            let metrics = ours.voip_metrics().next().expect("it has one");
            let theirs = theirs.as_any().downcast_ref::<ExtendedReport>().expect("the same kind");
            theirs.sender_ssrc == ours.ssrc().0 && is(&*theirs.reports[0], &voip(&metrics))
        }
        Packet::Application(_) | Packet::Unknown(_) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn compound_packets_read_as_the_oracle_reads_them(bytes in row()) {
        let ours: Vec<_> = Compound::parse(&bytes).unwrap().packets().collect();
        let theirs = oracle(&bytes).unwrap();
        prop_assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            prop_assert!(agrees(ours, &**theirs), "{:?} {:?}", ours, theirs);
        }
    }

    #[test]
    fn what_is_written_the_oracle_reads(
        (ssrc, info) in (any::<u32>(), info()),
        blocks in prop::collection::vec(block(), 0..4),
        bits in any::<[u8; 12]>(),
        reason in "[a-z ]{0,40}",
        metrics in metrics(),
    ) {
        let cname = Cname::random(bits);
        let mut buffer = [0xff; 600];
        let mut writer = Writer::new(&mut buffer);
        writer.sender_report(Ssrc(ssrc), &info, &blocks).unwrap();
        writer.receiver_report(Ssrc(ssrc), &blocks).unwrap();
        writer.description(Ssrc(ssrc), &cname).unwrap();
        writer.voip_metrics(Ssrc(ssrc), &metrics).unwrap();
        writer.goodbye(Ssrc(ssrc), reason.as_bytes()).unwrap();
        let length = writer.length();
        let name = String::from_utf8(cname.as_bytes().to_vec()).unwrap();
        let reports = blocks.iter().map(to_oracle).collect();
        let extended = ExtendedReport { sender_ssrc: ssrc, reports: vec![Box::new(voip(&metrics))] };
        let theirs = oracle(&buffer[..length]).unwrap();
        prop_assert_eq!(theirs.len(), 5);
        prop_assert!(is(&*theirs[0], &sender_report(ssrc, &info, &blocks)));
        let receiver = ReceiverReport { ssrc, reports, profile_extensions: Bytes::new() };
        prop_assert!(is(&*theirs[1], &receiver));
        prop_assert!(is(&*theirs[2], &description(ssrc, &[(1, name)])));
        prop_assert!(is(&*theirs[3], &extended));
        let goodbye = Goodbye { sources: vec![ssrc], reason: reason.into() };
        prop_assert!(is(&*theirs[4], &goodbye));
    }

    #[test]
    fn metrics_survive_writing_and_reading(metrics in metrics()) {
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer);
        writer.voip_metrics(Ssrc(1), &metrics).unwrap();
        let length = writer.length();
        let compound = Compound::parse(&buffer[..length]).unwrap();
        let Some(Packet::ExtendedReport(report)) = compound.packets().next() else { panic!() };
        prop_assert_eq!(report.voip_metrics().next(), Some(metrics));
    }

    #[test]
    fn damaged_packets_never_panic_and_lie_within_their_bytes(
        mut bytes in row(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in any::<prop::sample::Index>(),
    ) {
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(keep.index(bytes.len() + 1));
        if let Ok(compound) = Compound::parse(&bytes) {
            prop_assert!(compound.packets().count() >= 1);
            for packet in compound.packets() {
                // Reading all of it touches every view.
                let _ = format!("{packet:?}");
                if let Packet::SourceDescription(description) = packet {
                    let octets: usize = description.chunks().flat_map(|chunk| chunk.items())
                        .map(|item| item.text.len()).sum();
                    prop_assert!(octets <= bytes.len());
                }
            }
        }
    }
}
