//! Fuzz target `sdp`: any bytes as the description of a peer, which is read, answered and passed on.
//!
//! The first byte chooses what we answer with; a NUL ends the description, and what follows is the peer's next one.
//! Asserted, besides that nothing panics: what we write can be read, and says what we read; an answer is one that
//! RFC 3264 allows for its offer; passing on what was passed on changes nothing.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sip_stack::sdp::{
    AudioCodec, AudioOffer, Crypto, CryptoSuite, Direction, DtlsRole, Fingerprint, IceCandidate, InlineKey,
    LocalAudio, LocalDescription, LocalFax, LocalMedia, LocalOrigin, LocalSession, MediaDescription,
    MediaTransport, PassedMedia, RtcpAttributes, SdpWriter, SessionDescription, T38Attributes,
    TelephoneEvent, TransportAttributes, check_answer, check_next_offer, intersect, intersect_events,
    write_answer, write_media_answer, write_media_offer, write_offer,
};

const TRANSPORTS: [MediaTransport; 6] = [
    MediaTransport::RtpAvp,
    MediaTransport::RtpAvpf,
    MediaTransport::RtpSavp,
    MediaTransport::RtpSavpf,
    MediaTransport::UdpTlsRtpSavp,
    MediaTransport::UdpTlsRtpSavpf,
];
const DIRECTIONS: [Direction; 4] =
    [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
const ORIGIN: LocalOrigin<'static> =
    LocalOrigin { username: b"we", session_id: 1, version: 1, address: OURS };

/// Runs the target once.
///
/// # Panics
/// When a property does not hold.
pub fn sdp(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    read_parts(text);
    let mut descriptions = text.splitn(2, |byte| *byte == 0).map(SessionDescription::parse);
    let offer = match descriptions.next() {
        Some(Ok(offer)) => offer,
        Some(Err(error)) => {
            assert!(error.line > 0 && !error.to_string().is_empty(), "an error names its line");
            return;
        }
        None => return,
    };
    for index in 0..offer.media.len() {
        read_media(&offer, index);
    }
    answer(&offer, choice);
    pass_on(&offer);
    if let Some(Ok(next)) = descriptions.next() {
        compare(&offer, &next);
    }
}

/// Values of attributes stand alone too, without what cannot stand in a line.
fn read_parts(text: &[u8]) {
    if text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return;
    }
    if let Some(crypto) = Crypto::read(text) {
        let line = written(|writer| crypto.write(writer));
        assert_eq!(Crypto::read(value(&line, b"crypto:")), Some(crypto), "a key is written as it was read");
    }
    if let Some(candidate) = IceCandidate::read(text) {
        let line = written(|writer| candidate.write(writer));
        assert_eq!(IceCandidate::read(value(&line, b"candidate:")), Some(candidate));
    }
    if let Some(fingerprint) = Fingerprint::read(text) {
        let line = written(|writer| fingerprint.write(writer));
        assert_eq!(Fingerprint::read(value(&line, b"fingerprint:")), Some(fingerprint));
    }
}

fn written(write: impl FnOnce(&mut SdpWriter<'_, Vec<u8>>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut SdpWriter::new(&mut out));
    out
}

/// The value of the one attribute in a description.
fn value<'a>(description: &'a [u8], name: &[u8]) -> &'a [u8] {
    let line = description.strip_prefix(b"v=0\r\na=").and_then(|line| line.strip_prefix(name));
    line.expect("the attribute is written").trim_ascii_end()
}

fn read_media(session: &SessionDescription<'_>, index: usize) {
    let media = &session.media[index];
    let _read = black_box((session.bundle_of(media), media.is_bundle_only(), media.maxptime_ms()));
    let _origin = black_box(session.origin.map(|origin| (origin.session_id(), origin.version())));
    let maps = media.payload_types().filter_map(|kind| media.rtpmap(kind).zip(media.fmtp(kind)));
    let _maps = black_box(maps.count());
    if let Some(fax) = T38Attributes::of(media) {
        let lines = written(|writer| {
            writer.media(b"image", 9, b"udptl", [b"t38"]);
            fax.write(writer);
        });
        assert_eq!(T38Attributes::of(&parsed(&lines).media[0]), Some(fax), "{}", lines.escape_ascii());
    }
    let transport = TransportAttributes::of(session, session.transport_index(index)).expect("it is there");
    read_transport(media, &transport);
    if let Ok(audio) = AudioOffer::at(session, index, &TRANSPORTS) {
        offer_the_same(&audio);
    }
}

fn read_transport(media: &MediaDescription<'_>, transport: &TransportAttributes) {
    let keying = MediaTransport::from_protocol(media.protocol).map(|profile| transport.keying(profile));
    let at = SocketAddr::new(OURS, media.port);
    let rtcp = [false, true].map(|is_mux| transport.rtcp.destination(at, is_mux));
    let _read = black_box((keying, rtcp));
    if let Some(dtls) = &transport.dtls {
        assert!(!dtls.is_new_association(dtls), "the same association is not a new one");
        for wanted in [DtlsRole::Client, DtlsRole::Server] {
            let answered = dtls.offered_setup().answer(wanted).role().expect("an answer decides");
            assert!(dtls.offered_setup().role() != Some(answered), "the two have different roles");
        }
        assert!(dtls.strongest().is_some(), "there is a fingerprint");
        let _answered = black_box(dtls.answered_setup());
    }
    if let Some(ice) = &transport.ice {
        assert!(!ice.is_restart(ice), "the same is no restart");
        let _ice = black_box((ice.has_option("trickle"), ice.matches_default(at)));
    }
    let lines = written(|writer| {
        if transport.ice.as_ref().is_some_and(|ice| ice.lite) {
            writer.line(b'a', b"ice-lite");
        }
        writer.media(b"audio", 9, b"RTP/AVP", [b"0"]);
        transport.write(writer);
    });
    let again = TransportAttributes::of(&parsed(&lines), 0);
    assert_eq!(again.as_ref(), Some(transport), "{}", lines.escape_ascii());
}

/// An offer with what was read is read the same.
fn offer_the_same(audio: &AudioOffer) {
    let ours = local_audio(audio, &audio.codecs, &audio.telephone_events, audio.direction);
    let mut text = Vec::new();
    write_offer(&mut text, &ORIGIN, &ours);
    let again = AudioOffer::find(&parsed(&text), &[audio.transport]).expect("an offer of ours is one");
    assert_eq!(again.destination(), Some(SocketAddr::new(OURS, ours.port)));
    let told = |offer: &AudioOffer| (offer.codecs.clone(), offer.telephone_events.clone(), offer.ptime_ms);
    assert_eq!((told(&again), again.direction), (told(audio), audio.direction));
}

fn local_audio<'a>(
    offer: &AudioOffer,
    codecs: &'a [AudioCodec],
    telephone_events: &'a [TelephoneEvent],
    direction: Direction,
) -> LocalAudio<'a> {
    let (transport, ptime_ms) = (offer.transport, offer.ptime_ms);
    LocalAudio { address: OURS, port: 40_000, transport, codecs, telephone_events, direction, ptime_ms }
}

/// What we could speak.
fn supported() -> Vec<AudioCodec> {
    let named = |encoding, parameters: &str| AudioCodec {
        parameters: parameters.into(),
        ..AudioCodec::new(96, encoding, 8_000)
    };
    let opus = AudioCodec { channels: 2, ..AudioCodec::new(96, "opus", 48_000) };
    let amr = named("AMR", "octet-align=1;mode-set=0,2,4,7");
    let g7221 = AudioCodec { clock_rate: 16_000, ..named("G7221", "bitrate=32000") };
    let fixed = [0, 8, 9, 13, 18].into_iter().filter_map(AudioCodec::from_static);
    fixed.chain([opus, amr, g7221]).collect()
}

fn answer(offer: &SessionDescription<'_>, choice: u8) {
    let wanted = DIRECTIONS[usize::from(choice & 3)];
    let mut attributes = TransportAttributes {
        rtcp: RtcpAttributes { mux: choice & 4 != 0, ..RtcpAttributes::default() },
        ..TransportAttributes::default()
    };
    let audio = AudioOffer::find(offer, &TRANSPORTS).ok();
    let index = audio.as_ref().map_or(0, |audio| audio.media_index);
    if let Some(transport) = TransportAttributes::of(offer, index) {
        let crypto = Crypto::choose(&transport.crypto, &[CryptoSuite::AesCm128HmacSha1_80]);
        attributes.crypto.extend(crypto.map(|crypto| {
            let answer = crypto.answer(InlineKey::new(&[7; 30]));
            assert!(answer.accepted_of(&transport.crypto).is_some(), "an answer refers to its offer");
            answer
        }));
    }
    let supported = supported();
    let codecs = audio.as_ref().map(|audio| intersect(&audio.codecs, &supported)).unwrap_or_default();
    let events = audio.as_ref().map(|audio| intersect_events(&audio.telephone_events, &codecs, "0-15"));
    let events = events.unwrap_or_default();
    let ours =
        audio.as_ref().map(|audio| local_audio(audio, &codecs, &events, audio.direction.answer(wanted)));
    let decide = |(place, media): (usize, _)| match ours {
        _ if choice & 8 != 0 && place % 2 == 1 => LocalMedia::Rejected,
        Some(ours) if place == index => LocalMedia::Audio(ours, Some(&attributes)),
        Some(_) | None => decide_on(offer, media, wanted),
    };
    let media: Vec<LocalMedia<'_>> = offer.media.iter().enumerate().map(decide).collect();
    let mut text = Vec::new();
    write_media_answer(&mut text, &LocalSession { origin: ORIGIN, passed: None }, offer, &media);
    check(offer, &text);
    text.clear();
    write_answer(&mut text, &ORIGIN, offer, ours.as_ref().map(|ours| (index, ours)));
    check(offer, &text);
}

/// A fax is answered, and what is not known is passed.
fn decide_on<'a>(
    offer: &SessionDescription<'a>,
    media: &'a MediaDescription<'a>,
    wanted: Direction,
) -> LocalMedia<'a> {
    match T38Attributes::of(media) {
        Some(fax) => {
            let attributes = fax.answer(&T38Attributes { version: 3, ..T38Attributes::default() });
            LocalMedia::Fax(LocalFax { address: OURS, port: 40_002, attributes })
        }
        None => LocalMedia::Passed(PassedMedia {
            media,
            address: OURS,
            port: 40_004,
            protocol: media.protocol,
            direction: Some(offer.direction_of(media).answer(wanted)),
            attributes: None,
        }),
    }
}

/// Whether this can be an answer to that offer (RFC 3264 §6).
fn check(offer: &SessionDescription<'_>, text: &[u8]) {
    let answer = parsed(text);
    assert_eq!(check_answer(offer, &answer), Ok(()), "{}", text.escape_ascii());
    assert_eq!(answer.time, Some(offer.time.unwrap_or(b"0 0")), "the time is that of the offer");
    for (ours, theirs) in answer.media.iter().zip(&offer.media) {
        assert_eq!((ours.mid(), ours.protocol), (theirs.mid(), theirs.protocol));
        let offered = |kind| theirs.payload_types().any(|offered| offered == kind);
        assert!(ours.payload_types().all(offered), "nothing is answered that was not offered");
        if ours.port == 0 || T38Attributes::of(theirs).is_some() {
            continue;
        }
        assert!(answer.connection_of(ours).is_some(), "what is accepted has an address");
        let (offered, answered) = (offer.direction_of(theirs), answer.direction_of(ours));
        let sends = offered.receives() || !answered.sends();
        let receives = offered.sends() || !answered.receives();
        assert!(sends && receives, "{answered:?} cannot answer {offered:?}");
    }
    for group in answer.groups() {
        let members: Vec<_> = group.mids().map(|mid| answer.index_of_mid(mid)).collect();
        let one = matches!(members[..], [Some(index)] if answer.media[index].port != 0);
        assert!(one, "a bundle of one that is accepted: {}", text.escape_ascii());
    }
}

fn pass_on(session: &SessionDescription<'_>) {
    let once = passed(session);
    // it may be longer than what is read by what is written for each stream
    if let Ok(again) = SessionDescription::parse(&once) {
        let twice = passed(&again);
        assert!(twice == once, "{} {}", once.escape_ascii(), twice.escape_ascii());
    }
}

fn passed(session: &SessionDescription<'_>) -> Vec<u8> {
    let pass = |media| {
        LocalMedia::Passed(PassedMedia {
            media,
            address: OURS,
            port: 40_000,
            protocol: media.protocol,
            direction: Some(session.direction_of(media)),
            attributes: None,
        })
    };
    let media: Vec<_> = session.media.iter().map(pass).collect();
    let mut local = LocalDescription::new(1);
    let mut write = || {
        local.write(b"we", OURS, |origin, out| {
            let ours = LocalSession { origin: *origin, passed: Some(session) };
            write_media_offer(out, &ours, Some(session), &media);
        })
    };
    let text = write();
    assert_eq!(write(), text, "the version stays while nothing changes");
    text.to_vec()
}

/// The next description as an answer, and as a later offer.
fn compare(offer: &SessionDescription<'_>, next: &SessionDescription<'_>) {
    let is_answer = check_answer(offer, next).is_ok();
    let follows = check_next_offer(offer, next).is_ok();
    assert_eq!(follows, next.media.len() >= offer.media.len());
    assert!(follows || !is_answer, "an answer has as many lines as its offer");
    for index in 0..next.media.len() {
        let (Some(before), Some(now)) =
            (TransportAttributes::of(offer, index), TransportAttributes::of(next, index))
        else {
            return;
        };
        if let Some((before, now)) = before.dtls.zip(now.dtls) {
            let _new = black_box(now.is_new_association(&before));
        }
        if let Some((before, now)) = before.ice.zip(now.ice) {
            let _restart = black_box(now.is_restart(&before));
        }
        let accepted = now.crypto.first().and_then(|crypto| crypto.accepted_of(&before.crypto));
        assert_eq!(before.rtcp.is_mux_with(&now.rtcp), now.rtcp.is_mux_with(&before.rtcp));
        let _accepted = black_box(accepted.is_some());
    }
}

fn parsed(text: &[u8]) -> SessionDescription<'_> {
    SessionDescription::parse(text).unwrap_or_else(|error| panic!("{error}: {}", text.escape_ascii()))
}
