//! What two parties can say to each other through us, and how it gets from one to the other (RFC 3264 §5.1, §6.1).
//!
//! A codec that both name is passed on undecoded, under the payload type of each side; so is what the switch does not
//! know itself (G.729, AMR, …). Where they share none, µ-law and A-law are converted octet by octet, and what is decoded
//! here is decoded: then both meet in a room, each in a codec of its own. Never the latter while the former can be had,
//! whatever either side would like best.
//!
//! Left out on purpose: streams that are not audio (`streams`).

use super::call::Side;
use super::formats::{Formats, audio_format, law};
use media::codec::Codec;
use media::dsp::SampleRate;
use media::{AudioFormat, PayloadMap, PayloadRule};
use serde::{Deserialize, Serialize};
use sip_stack::sdp::{AudioCodec, AudioOffer, MediaTransport, intersect};

/// The profiles we relay. Of RTP/AVPF we use nothing that RTP/AVP lacks, which RFC 4585 §3.4 leaves to each side.
pub(crate) const TRANSPORTS: &[MediaTransport] = &[MediaTransport::RtpAvp, MediaTransport::RtpAvpf];

/// The outcome for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    /// What the caller speaks, under its payload types; a relay has it in the callee's order.
    pub(super) caller: Formats,
    /// What the callee speaks, under its payload types; a relay has it in the caller's order.
    pub(super) callee: Formats,
    pub(super) path: Path,
}

/// How sound gets from one party to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Path {
    /// Packet by packet.
    Relay {
        /// From caller to callee.
        forward: PayloadMap,
        /// From callee to caller.
        backward: PayloadMap,
    },
    /// Decoded, through a room; the caller's format and the callee's.
    Room([AudioFormat; 2]),
}

impl Path {
    fn relay(forward: &[(u8, PayloadRule)], backward: &[(u8, PayloadRule)]) -> Path {
        Path::Relay { forward: PayloadMap::new(forward), backward: PayloadMap::new(backward) }
    }

    /// Whether packets of `payload_type` from `side` reach the other one.
    pub(super) fn carries(&self, side: Side, payload_type: u8) -> bool {
        match (self, side) {
            (Path::Relay { forward, .. }, Side::Caller) => forward.rule(payload_type) != PayloadRule::Drop,
            (Path::Relay { backward, .. }, Side::Callee) => backward.rule(payload_type) != PayloadRule::Drop,
            (Path::Room([caller, _]), Side::Caller) => caller.payload_type == payload_type,
            (Path::Room([_, callee]), Side::Callee) => callee.payload_type == payload_type,
        }
    }
}

/// What a party says of its packets; it has no say before it has described itself.
type Wish<'a> = Option<&'a AudioOffer>;

impl Agreement {
    /// Between the switch itself and a party, in a codec of the party that is decoded.
    pub(super) fn with_us(party: &Formats, wish: Wish<'_>) -> Option<(Formats, AudioFormat)> {
        let (codec, decoded) = party.first_decoded()?;
        Some((party.narrowed_to(codec), audio_format(codec, decoded, wish)))
    }

    /// Between what the caller and the callee know. `wishes` are their last descriptions. `None` when they share nothing,
    /// and are not to be transcoded or cannot be.
    pub(super) fn between(
        caller: &Formats,
        callee: &Formats,
        wishes: [Wish<'_>; 2],
        transcode: bool,
    ) -> Option<Agreement> {
        Agreement::relayed(caller, callee)
            .or_else(|| transcode.then(|| Agreement::mixed(caller, callee, wishes)).flatten())
    }

    /// The same when `side` has described itself anew and the other one is not told: it goes on sending what it sends, the
    /// first of its codecs.
    pub(super) fn renewed(
        side: Side,
        caller: &Formats,
        callee: &Formats,
        wishes: [Wish<'_>; 2],
        transcode: bool,
    ) -> Option<Agreement> {
        let staying = match side {
            Side::Caller => callee,
            Side::Callee => caller,
        };
        let sent = staying.first()?;
        let heard = |agreed: &Agreement| agreed.path.carries(side.other(), sent.payload_type);
        let mixed = || {
            let only = Formats { codecs: vec![sent.clone()], events: staying.events.clone() };
            match side {
                Side::Caller => Agreement::mixed(caller, &only, wishes),
                Side::Callee => Agreement::mixed(&only, callee, wishes),
            }
        };
        Agreement::relayed(caller, callee).filter(heard).or_else(|| transcode.then(mixed).flatten())
    }

    /// Between two who are brought together and told nothing: each goes on sending the first of its codecs.
    pub(super) fn unchanged(
        caller: &Formats,
        callee: &Formats,
        wishes: [Wish<'_>; 2],
        transcode: bool,
    ) -> Option<Agreement> {
        let sent = [caller.first()?, callee.first()?];
        let heard = |agreed: &Agreement| {
            let [ours, theirs] = sent.map(|codec| codec.payload_type);
            agreed.path.carries(Side::Caller, ours) && agreed.path.carries(Side::Callee, theirs)
        };
        let [ours, theirs] = [(caller, sent[0]), (callee, sent[1])]
            .map(|(formats, codec)| Formats { codecs: vec![codec.clone()], events: formats.events.clone() });
        Agreement::relayed(caller, callee)
            .filter(heard)
            .or_else(|| transcode.then(|| Agreement::mixed(&ours, &theirs, wishes)).flatten())
    }

    /// Without decoding; `None` when there is no codec for it.
    fn relayed(caller: &Formats, callee: &Formats) -> Option<Agreement> {
        let mut rules = Rules::default();
        let shared =
            |codec: &AudioCodec, known: &[AudioCodec]| known.iter().any(|one| one.is_compatible(codec));
        let same: Vec<_> = callee.codecs.iter().filter(|codec| shared(codec, &caller.codecs)).collect();
        let mut told = Vec::new();
        for theirs in &same {
            let Some(ours) = caller.codecs.iter().find(|ours| ours.is_compatible(theirs)) else { continue };
            rules.pass(ours.payload_type, theirs.payload_type);
            // RFC 3264 §6.1: with the parameters of who answers.
            let answered = intersect(core::slice::from_ref(ours), core::slice::from_ref(*theirs));
            let answered = answered.into_iter().next().unwrap_or_else(|| ours.clone());
            if !told.contains(&answered) {
                told.push(answered);
            }
        }
        let mut heard: Vec<AudioCodec> = Vec::new();
        for ours in caller.codecs.iter().filter(|codec| shared(codec, &callee.codecs)) {
            let theirs = callee.codecs.iter().find(|theirs| theirs.is_compatible(ours));
            heard.extend(theirs.filter(|theirs| !heard.contains(theirs)).cloned());
        }
        convert_laws(&mut rules, caller, callee, &mut told, &mut heard);
        let is_codec = |codec: &AudioCodec| !codec.is_comfort_noise();
        if !told.iter().any(is_codec) {
            return None;
        }
        let mut caller_told = Formats { codecs: told, events: Vec::new() };
        let mut callee_told = Formats { codecs: heard, events: Vec::new() };
        for theirs in &callee.events {
            let ours = caller.events.iter().find(|ours| ours.clock_rate == theirs.clock_rate);
            if let Some(ours) = ours {
                rules.pass(ours.payload_type, theirs.payload_type);
                caller_told.events.push(ours.clone());
                callee_told.events.push(theirs.clone());
            }
        }
        for (told, known) in [(&mut caller_told, caller), (&mut callee_told, callee)] {
            told.keep_events(known);
        }
        let path = Path::relay(&rules.forward, &rules.with_aliases());
        Some(Agreement { caller: caller_told, callee: callee_told, path })
    }

    /// In a room; `None` when one of them has no codec that is decoded.
    fn mixed(caller: &Formats, callee: &Formats, wishes: [Wish<'_>; 2]) -> Option<Agreement> {
        let ((ours, our_codec), (theirs, their_codec)) = (caller.first_decoded()?, callee.first_decoded()?);
        let [our_wish, their_wish] = wishes;
        let format =
            |codec, decoded: Codec, other: Codec, wish| audio_format(codec, at_rate_of(decoded, other), wish);
        let path = Path::Room([
            format(ours, our_codec, their_codec, our_wish),
            format(theirs, their_codec, our_codec, their_wish),
        ]);
        Some(Agreement { caller: caller.narrowed_to(ours), callee: callee.narrowed_to(theirs), path })
    }

    /// How two parties are heard and spoken to in a room, whatever they share: each in its first codec that is decoded.
    pub(super) fn decoded(
        caller: &Formats,
        callee: &Formats,
        wishes: [Wish<'_>; 2],
    ) -> Option<[AudioFormat; 2]> {
        match Agreement::mixed(caller, callee, wishes)?.path {
            Path::Room(formats) => Some(formats),
            Path::Relay { .. } => None,
        }
    }

    /// What is said to a side, and by it.
    pub(super) const fn told(&self, side: Side) -> &Formats {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    pub(super) const fn is_mixed(&self) -> bool {
        match self.path {
            Path::Relay { .. } => false,
            Path::Room(_) => true,
        }
    }
}

/// Opus is decoded at whichever rate the other side needs: then nothing is converted, and no work is done for frequencies
/// that nobody hears.
fn at_rate_of(codec: Codec, other: Codec) -> Codec {
    match (codec, other) {
        (Codec::Opus { .. }, Codec::Opus { .. }) => codec,
        (Codec::Opus { .. }, Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16 { .. }) => {
            let rate = match other.sample_rate() {
                SampleRate::Hz32000 | SampleRate::Hz44100 => SampleRate::Hz48000,
                rate @ (SampleRate::Hz8000
                | SampleRate::Hz12000
                | SampleRate::Hz16000
                | SampleRate::Hz24000
                | SampleRate::Hz48000) => rate,
            };
            Codec::Opus { rate }
        }
        (Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16 { .. }, _) => codec,
    }
}

/// µ-law and A-law reach each other octet by octet: where a side has the one and the other side does not, it may send it.
fn convert_laws(
    rules: &mut Rules,
    caller: &Formats,
    callee: &Formats,
    told: &mut Vec<AudioCodec>,
    heard: &mut Vec<AudioCodec>,
) {
    let laws =
        |formats: &Formats| formats.codecs.iter().filter(|codec| law(codec).is_some()).cloned().collect();
    let (ours, theirs): (Vec<AudioCodec>, Vec<AudioCodec>) = (laws(caller), laws(callee));
    let (Some(our_first), Some(their_first)) = (ours.first(), theirs.first()) else { return };
    let lacks = |codec: &&AudioCodec, known: &[AudioCodec]| !known.iter().any(|one| one.is_compatible(codec));
    for codec in ours.iter().filter(|codec| lacks(codec, &theirs)) {
        rules.forward.push((codec.payload_type, converted(codec, their_first.payload_type)));
        told.extend((!told.iter().any(|known| law(known).is_some())).then(|| codec.clone()));
    }
    for codec in theirs.iter().filter(|codec| lacks(codec, &ours)) {
        rules.backward.push((codec.payload_type, converted(codec, our_first.payload_type)));
        heard.extend((!heard.iter().any(|known| law(known).is_some())).then(|| codec.clone()));
    }
}

/// A law becomes the other one under this payload type.
fn converted(from: &AudioCodec, payload_type: u8) -> PayloadRule {
    match law(from) {
        Some(0) => PayloadRule::UlawToAlaw(payload_type),
        Some(_) => PayloadRule::AlawToUlaw(payload_type),
        None => PayloadRule::Drop,
    }
}

#[derive(Default)]
struct Rules {
    forward: Vec<(u8, PayloadRule)>,
    backward: Vec<(u8, PayloadRule)>,
    /// What we proposed to the callee were the caller's numbers; some answer with others and send those all the same.
    aliases: Vec<(u8, PayloadRule)>,
}

impl Rules {
    fn pass(&mut self, ours: u8, theirs: u8) {
        // Of several codecs of the callee for one of the caller, the first is the one it prefers.
        if !self.forward.iter().any(|(known, _)| *known == ours) {
            self.forward.push((ours, PayloadRule::Pass(theirs)));
        }
        self.aliases.push((ours, PayloadRule::Pass(ours)));
        self.backward.push((theirs, PayloadRule::Pass(ours)));
    }

    /// An alias never takes a number that the callee gave to something else.
    fn with_aliases(&self) -> Vec<(u8, PayloadRule)> {
        let free = |alias: &&(u8, PayloadRule)| !self.backward.iter().any(|(known, _)| *known == alias.0);
        self.aliases.iter().filter(free).chain(&self.backward).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::formats::decoded;
    use proptest::prelude::*;
    use proptest::sample::subsequence;
    use sip_stack::sdp::TelephoneEvent;

    fn party(codecs: &[(u8, &str, u32)], events: &[u8]) -> Formats {
        let channels = |name: &str| if name == "opus" { 2 } else { 1 };
        let codec = |(number, name, rate): &(u8, &str, u32)| AudioCodec {
            channels: channels(name),
            ..AudioCodec::new(*number, name, *rate)
        };
        let event =
            |number: &u8| TelephoneEvent { payload_type: *number, clock_rate: 8_000, events: "0-15".into() };
        Formats { codecs: codecs.iter().map(codec).collect(), events: events.iter().map(event).collect() }
    }

    fn between(caller: &Formats, callee: &Formats) -> Option<Agreement> {
        Agreement::between(caller, callee, [None, None], true)
    }

    fn relay(agreed: &Agreement) -> [&PayloadMap; 2] {
        match &agreed.path {
            Path::Relay { forward, backward } => [forward, backward],
            Path::Room(formats) => panic!("a relay, not {formats:?}"),
        }
    }

    fn room(agreed: &Agreement) -> [AudioFormat; 2] {
        match &agreed.path {
            Path::Room(formats) => *formats,
            Path::Relay { .. } => panic!("a room, not {agreed:?}"),
        }
    }

    fn numbers(formats: &Formats) -> Vec<u8> {
        formats.codecs.iter().map(|codec| codec.payload_type).collect()
    }

    #[test]
    fn a_shared_codec_passes_under_each_sides_own_payload_type() {
        let caller = party(&[(96, "opus", 48_000), (0, "PCMU", 8_000)], &[101]);
        let callee = party(&[(107, "opus", 48_000)], &[97]);
        let agreed = between(&caller, &callee).unwrap();
        let [forward, backward] = relay(&agreed);
        assert_eq!(forward.rule(96), PayloadRule::Pass(107));
        assert_eq!(forward.rule(101), PayloadRule::Pass(97));
        assert_eq!(forward.rule(0), PayloadRule::Drop);
        assert_eq!(backward.rule(107), PayloadRule::Pass(96));
        assert_eq!(backward.rule(96), PayloadRule::Pass(96), "a callee may send under our number");
        assert_eq!(backward.rule(97), PayloadRule::Pass(101));
        assert_eq!((numbers(&agreed.caller), agreed.caller.clock_rate()), (vec![96], 48_000));
    }

    #[test]
    fn numbers_that_the_callee_swaps_mean_what_it_says() {
        let caller = party(&[(96, "opus", 48_000)], &[101]);
        let agreed = between(&caller, &party(&[(101, "opus", 48_000)], &[96])).expect("both know opus");
        let [_, backward] = relay(&agreed);
        assert_eq!(backward.rule(101), PayloadRule::Pass(96));
        assert_eq!(backward.rule(96), PayloadRule::Pass(101));
    }

    #[test]
    fn the_two_laws_are_converted_when_the_parties_share_neither() {
        let caller = party(&[(0, "PCMU", 8_000)], &[]);
        for transcode in [false, true] {
            let offered = caller.offered_onward(transcode, &Formats::default());
            assert_eq!(numbers(&offered)[..2], [0, 8]);
            let callee = party(&[(8, "PCMA", 8_000)], &[]);
            let agreed = Agreement::between(&caller, &callee, [None, None], transcode).unwrap();
            let [forward, backward] = relay(&agreed);
            assert_eq!(forward.rule(0), PayloadRule::UlawToAlaw(8));
            assert_eq!(backward.rule(8), PayloadRule::AlawToUlaw(0));
            assert_eq!(agreed.caller.codecs, caller.codecs);
        }
    }

    #[test]
    fn a_callee_with_both_laws_gets_the_callers_own_unconverted_whichever_it_prefers() {
        let caller = party(&[(8, "PCMA", 8_000)], &[]);
        for both in [[(8, "PCMA", 8_000), (0, "PCMU", 8_000)], [(0, "PCMU", 8_000), (8, "PCMA", 8_000)]] {
            let agreed = between(&caller, &party(&both, &[])).unwrap();
            let [forward, backward] = relay(&agreed);
            assert_eq!(forward.rule(8), PayloadRule::Pass(8));
            assert_eq!(backward.rule(8), PayloadRule::Pass(8));
            assert_eq!(backward.rule(0), PayloadRule::UlawToAlaw(8), "should it send that all the same");
        }
    }

    #[test]
    fn a_common_codec_is_passed_though_the_callee_would_like_another_one() {
        let caller = party(&[(0, "PCMU", 8_000)], &[]);
        let agreed = between(&caller, &party(&[(9, "G722", 8_000), (0, "PCMU", 8_000)], &[])).unwrap();
        assert_eq!(relay(&agreed)[0].rule(0), PayloadRule::Pass(0));
        assert_eq!((numbers(&agreed.caller), numbers(&agreed.callee)), (vec![0], vec![0]));
    }

    #[test]
    fn parties_without_a_common_codec_meet_in_a_room_each_in_its_own() {
        let caller = party(&[(18, "G729", 8_000), (111, "opus", 48_000), (9, "G722", 8_000)], &[101]);
        let callee = party(&[(8, "PCMA", 8_000), (13, "CN", 8_000)], &[96]);
        let agreed = between(&caller, &callee).unwrap();
        let opus = Codec::Opus { rate: SampleRate::Hz8000 };
        assert_eq!(
            room(&agreed),
            [
                AudioFormat { codec: opus, payload_type: 111, ptime_ms: 20 },
                AudioFormat { codec: Codec::Pcma, payload_type: 8, ptime_ms: 20 }
            ]
        );
        assert_eq!((numbers(&agreed.caller), numbers(&agreed.callee)), (vec![111], vec![8, 13]));
        assert_eq!(agreed.caller.codecs[0].parameters.as_bytes(), b"useinbandfec=1", "what we like to get");
        assert_eq!(agreed.caller.events, caller.events, "at 8000 when there are none at 48000");
        assert_eq!(agreed.callee.events, callee.events);
        assert_eq!(Agreement::between(&caller, &callee, [None, None], false), None, "unless it is forbidden");
    }

    #[test]
    fn parties_without_a_codec_that_is_decoded_cannot_talk() {
        let caller = party(&[(18, "G729", 8_000)], &[101]);
        assert_eq!(between(&caller, &party(&[(9, "G722", 8_000)], &[101])), None);
        assert_eq!(caller.offered_onward(true, &Formats::default()), caller, "nothing is offered for it");
    }

    #[test]
    fn what_we_decode_is_offered_after_the_callers_own_with_digits_by_each_clock() {
        let caller = party(&[(96, "opus", 48_000)], &[101]);
        let onward = caller.offered_onward(true, &Formats::default());
        assert_eq!(numbers(&onward), [96, 9, 0, 8]);
        assert_eq!(onward.events, caller.events);
        let caller = party(&[(8, "PCMA", 8_000), (97, "iLBC", 8_000)], &[96]);
        let onward = caller.offered_onward(true, &Formats::default());
        assert_eq!(numbers(&onward), [8, 97, 0, 9, 98]);
        assert_eq!(
            onward.events[1..],
            [TelephoneEvent { payload_type: 101, clock_rate: 48_000, events: "0-15".into() }]
        );
    }

    #[test]
    fn a_number_that_had_a_meaning_gets_no_other_one() {
        let spoken = party(&[(0, "PCMU", 8_000)], &[101]);
        let used = party(&[(96, "iLBC", 8_000), (0, "PCMU", 8_000), (107, "opus", 48_000)], &[101]);
        assert_eq!(numbers(&spoken.offered_onward(true, &used)), [0, 8, 9, 107]);
        let used = party(&[(96, "iLBC", 8_000), (0, "PCMU", 8_000)], &[101]);
        assert_eq!(numbers(&spoken.offered_onward(true, &used)), [0, 8, 9, 97]);
    }

    #[test]
    fn who_is_not_told_of_a_change_is_understood_as_before() {
        let staying = party(&[(9, "G722", 8_000), (0, "PCMU", 8_000)], &[]);
        let renewed =
            |caller: &Formats| Agreement::renewed(Side::Caller, caller, &staying, [None, None], true);
        let agreed = renewed(&party(&[(0, "PCMU", 8_000)], &[])).unwrap();
        assert_eq!(room(&agreed)[1].codec, Codec::G722, "it goes on sending what it sends");
        let agreed = renewed(&party(&[(0, "PCMU", 8_000), (9, "G722", 8_000)], &[])).unwrap();
        assert_eq!(relay(&agreed)[1].rule(9), PayloadRule::Pass(9));
        assert_eq!(renewed(&party(&[(18, "G729", 8_000)], &[])), None);
    }

    /// Codecs in any order, under numbers of the side's own.
    fn formats() -> impl Strategy<Value = Formats> {
        let all = vec![
            ("PCMU", 8_000, 0),
            ("PCMA", 8_000, 8),
            ("G722", 8_000, 9),
            ("CN", 8_000, 13),
            ("G729", 8_000, 18),
            ("opus", 48_000, 255),
            ("L16", 16_000, 255),
            ("AMR", 8_000, 255),
            ("VMR-WB", 16_000, 255),
        ];
        let count = all.len();
        let chosen = subsequence(all, 0..=count).prop_shuffle();
        let dynamic = Just((96..=127).collect::<Vec<u8>>()).prop_shuffle();
        (chosen, dynamic, 0..3_usize).prop_map(|(chosen, dynamic, events)| {
            let mut free = dynamic.into_iter();
            let mut number = |wanted| if wanted == 255 { free.next().unwrap_or(96) } else { wanted };
            let codecs: Vec<(u8, &str, u32)> =
                chosen.into_iter().map(|(name, rate, wanted)| (number(wanted), name, rate)).collect();
            let mut formats = party(&codecs, &[]);
            let event = |clock_rate| TelephoneEvent { payload_type: 0, clock_rate, events: "0-15".into() };
            formats.events = [8_000, 48_000].into_iter().take(events).map(event).collect();
            formats.events.iter_mut().for_each(|event| event.payload_type = number(255));
            formats
        })
    }

    fn names(told: &Formats, known: &Formats) -> bool {
        let codec = |told: &AudioCodec| {
            let same =
                |known: &AudioCodec| known.payload_type == told.payload_type && known.is_same_encoding(told);
            known.codecs.iter().any(same)
        };
        told.codecs.iter().all(codec)
            && told.events.iter().all(|told| {
                known.events.iter().any(|event| {
                    (event.payload_type, event.clock_rate) == (told.payload_type, told.clock_rate)
                })
            })
    }

    proptest! {
        #[test]
        fn each_side_is_told_what_it_knows_and_nothing_is_decoded_that_both_know(
            caller in formats(),
            callee in formats(),
            transcode: bool,
        ) {
            let shares = |ours: &&AudioCodec| {
                !ours.is_comfort_noise() && callee.codecs.iter().any(|theirs| theirs.is_compatible(ours))
            };
            let has = |formats: &Formats, found: fn(&AudioCodec) -> bool| formats.codecs.iter().any(found);
            let any_law = |codec: &AudioCodec| law(codec).is_some();
            let any_decoded = |codec: &AudioCodec| decoded(codec).is_some();
            let shared: Vec<&AudioCodec> = caller.codecs.iter().filter(shares).collect();
            let laws = has(&caller, any_law) && has(&callee, any_law);
            let decodes = transcode && has(&caller, any_decoded) && has(&callee, any_decoded);
            let agreed = Agreement::between(&caller, &callee, [None, None], transcode);
            prop_assert_eq!(agreed.is_some(), !shared.is_empty() || laws || decodes);
            let Some(agreed) = agreed else { return Ok(()) };
            prop_assert!(names(&agreed.caller, &caller) && names(&agreed.callee, &callee), "{:?}", agreed);
            prop_assert!(agreed.caller.first().is_some() && agreed.callee.first().is_some());
            prop_assert_eq!(agreed.is_mixed(), shared.is_empty() && !laws);
            for codec in &shared {
                let passes = matches!(relay(&agreed)[0].rule(codec.payload_type), PayloadRule::Pass(_));
                prop_assert!(passes, "{:?} is passed: {:?}", codec, agreed);
            }
            for (side, told) in [(Side::Caller, &agreed.caller), (Side::Callee, &agreed.callee)] {
                for codec in told.codecs.iter().filter(|codec| !codec.is_comfort_noise()) {
                    prop_assert!(agreed.path.carries(side, codec.payload_type), "{:?}: {:?}", codec, agreed);
                }
            }
        }

        #[test]
        fn an_offer_to_the_callee_begins_with_the_callers_and_gives_no_number_two_meanings(
            caller in formats(),
            used in formats(),
            transcode: bool,
        ) {
            let onward = caller.offered_onward(transcode, &used);
            prop_assert_eq!(&onward.codecs[..caller.codecs.len()], &caller.codecs[..]);
            let mut numbers: Vec<u8> = numbers(&onward);
            numbers.extend(onward.events.iter().map(|event| event.payload_type));
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            prop_assert_eq!(numbers.len(), count, "{:?}", onward);
            // Whatever of it a callee takes leads to an agreement.
            for codec in onward.codecs.iter().filter(|codec| !codec.is_comfort_noise()) {
                let only = Formats { codecs: vec![codec.clone()], events: Vec::new() };
                prop_assert!(Agreement::between(&caller, &only, [None, None], transcode).is_some(), "{:?}", codec);
            }
        }
    }
}
