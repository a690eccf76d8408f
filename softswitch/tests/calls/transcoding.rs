//! Calls between parties that share no codec: each is spoken to in its own, through a room of the two. And what stays a relay.

use crate::stage::{self, CALLEE, Stage, sdp};
use media::codec::Codec;
use media::dsp::SampleRate;
use media::mix::Role;
use media::{AudioFormat, Command, LegId, PayloadRule, Report, RoomId};
use sip_stack::message::Method;
use softswitch::core::Input;

const PCMU: &str = "m=audio 4000 RTP/AVP 0\r\n";
const PCMA: &str = "m=audio 4002 RTP/AVP 8\r\n";
const G722: &str = "m=audio 4000 RTP/AVP 9\r\n";
const G729: &str = "m=audio 4000 RTP/AVP 18\r\n";
const OPUS: &str =
    "m=audio 4000 RTP/AVP 111 101\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/48000\r\n";
const DIGITS: &str = "m=audio 4002 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n";

/// The caller has called with one description, and the callee has answered with another.
fn talking(caller: &str, callee: &str) -> (Stage, Vec<Command>) {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(caller));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(callee));
    let told = stage.mixing();
    stage.response_to_caller(200);
    stage.ack("");
    (stage, told)
}

fn joined(commands: &[Command]) -> Vec<(RoomId, LegId, AudioFormat)> {
    let join = |command: &Command| match command {
        Command::Join { room, leg, format, role: Role::Participant } => Some((*room, *leg, *format)),
        _ => None,
    };
    commands.iter().filter_map(join).collect()
}

fn format(codec: Codec, payload_type: u8, ptime_ms: u8) -> AudioFormat {
    AudioFormat { codec, payload_type, ptime_ms }
}

/// The formats that the two have joined a new room with.
fn room(commands: &[Command]) -> [AudioFormat; 2] {
    let [Command::OpenRoom { room }, rest @ ..] = commands else { panic!("a room is opened: {commands:?}") };
    match joined(rest)[..] {
        [(first, _, caller), (second, _, callee)] => {
            assert_eq!((first, second), (*room, *room));
            [caller, callee]
        }
        _ => panic!("two join: {rest:?}"),
    }
}

fn opus(rate: SampleRate) -> Codec {
    Codec::Opus { rate }
}

#[test]
fn an_opus_phone_talks_to_one_of_g711_alone_each_in_its_own_codec() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(OPUS));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    let offer = stage::body(&invite);
    assert!(offer.contains("m=audio 40002 RTP/AVP 111 9 0 8 101 96\r\n"), "the caller's first: {offer}");
    assert!(offer.contains("a=rtpmap:101 telephone-event/48000\r\n"), "{offer}");
    assert!(offer.contains("a=rtpmap:96 telephone-event/8000\r\n"), "{offer}");
    stage.reply(&invite, "200 OK", &sdp(DIGITS));
    let formats = [format(opus(SampleRate::Hz8000), 111, 20), format(Codec::Pcmu, 0, 20)];
    assert_eq!(room(&stage.mixing()), formats);
    let answer = stage::body(&stage.response_to_caller(200));
    assert!(answer.contains("m=audio 40000 RTP/AVP 111 101\r\n"), "{answer}");
    assert!(answer.contains("a=rtpmap:101 telephone-event/48000\r\n"), "{answer}");
    assert_eq!(stage.configured_caller().clock_rate, 48_000);
}

#[test]
fn a_g722_phone_hears_wide_band_from_an_opus_phone() {
    let (_, told) = talking(G722, "m=audio 4002 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n");
    assert_eq!(room(&told), [format(Codec::G722, 9, 20), format(opus(SampleRate::Hz16000), 96, 20)]);
}

#[test]
fn packets_are_as_long_as_each_side_wants_them() {
    let caller = format!("{G722}a=ptime:30\r\n");
    let (_, told) = talking(&caller, &format!("{PCMA}a=ptime:60\r\na=maxptime:40\r\n"));
    assert_eq!(room(&told), [format(Codec::G722, 9, 30), format(Codec::Pcma, 8, 40)]);
}

#[test]
fn nothing_is_decoded_while_there_is_a_common_codec() {
    for callee in ["m=audio 4002 RTP/AVP 9 0\r\n", "m=audio 4002 RTP/AVP 0\r\n"] {
        let (_, told) = talking(PCMU, callee);
        let [Command::Relay { forward, .. }] = &told[..] else { panic!("one relay, not {told:?}") };
        assert_eq!(forward.rule(0), PayloadRule::Pass(0));
    }
    let (_, told) = talking("m=audio 4000 RTP/AVP 18 9\r\n", G729);
    let [Command::Relay { forward, .. }] = &told[..] else { panic!("one relay, not {told:?}") };
    assert_eq!(forward.rule(18), PayloadRule::Pass(18), "what we do not decode ourselves passes");
}

#[test]
fn the_last_word_of_a_call_closes_its_room() {
    let (mut stage, told) = talking(OPUS, PCMU);
    let room = joined(&told)[0].0;
    stage.bye();
    assert_eq!(stage.mixing(), [Command::CloseRoom { room }]);
    stage.close_media();
    stage.pass(40);
    assert_eq!(stage.switch.holdings().calls, 0);
}

#[test]
fn early_media_are_decoded_too_and_another_phone_that_answers_takes_the_seat() {
    let mut stage = Stage::new(2);
    stage.invite(&sdp(OPUS));
    let invites = stage.all_sent_to_callee(Method::Invite);
    let [first, second] = &invites[..] else { panic!("two phones ring, not {}", invites.len()) };
    stage.reply(first, "183 Session Progress", &sdp(PCMU));
    let told = stage.mixing();
    assert_eq!(room(&told), [format(opus(SampleRate::Hz8000), 111, 20), format(Codec::Pcmu, 0, 20)]);
    let progress = stage.response_to_caller(183);
    stage.reply(second, "200 OK", &sdp(PCMA));
    let answer = stage.response_to_caller(200);
    assert_eq!(stage::body(&answer), stage::body(&progress), "the caller goes on as it was told");
    let (room, leg, _) = joined(&told)[1];
    let role = Role::Participant;
    assert_eq!(stage.mixing(), [Command::Join { room, leg, format: format(Codec::Pcma, 8, 20), role }]);
}

#[test]
fn a_phone_that_answers_in_the_callers_codec_ends_the_decoding_of_early_media() {
    let mut stage = Stage::new(2);
    stage.invite(&sdp(OPUS));
    let invites = stage.all_sent_to_callee(Method::Invite);
    stage.reply(&invites[0], "183 Session Progress", &sdp(PCMU));
    stage.reply(&invites[1], "200 OK", &sdp(OPUS));
    let told = stage.mixing();
    assert!(matches!(told[..], [Command::Relay { .. }, Command::CloseRoom { .. }]), "{told:?}");
}

#[test]
fn a_re_invite_moves_the_call_between_relay_and_room() {
    let (mut stage, _) = talking(PCMU, PCMU);
    let answer = stage.re_invite(&sdp(G722));
    assert!(stage::body(&answer).contains("RTP/AVP 9\r\n"), "{}", stage::body(&answer));
    assert_eq!(room(&stage.mixing()), [format(Codec::G722, 9, 20), format(Codec::Pcmu, 0, 20)]);
    stage.ack("");
    let answer = stage.re_invite(&sdp("m=audio 4000 RTP/AVP 0 9\r\n"));
    assert!(stage::body(&answer).contains("RTP/AVP 0\r\n"), "{}", stage::body(&answer));
    let told = stage.mixing();
    assert!(matches!(told[..], [Command::Relay { .. }, Command::CloseRoom { .. }]), "{told:?}");
    stage.ack("");
    let refused = stage.re_invite(&sdp(G729));
    assert_eq!(refused.status().map(|status| status.code()), Some(488));
    assert_eq!(stage.mixing(), []);
}

#[test]
fn hold_in_each_spelling_keeps_both_seats() {
    for (held, heard) in [
        (format!("{OPUS}a=sendonly\r\n"), true),
        (format!("{OPUS}a=inactive\r\n"), false),
        (format!("{OPUS}c=IN IP4 0.0.0.0\r\n"), true),
    ] {
        let (mut stage, _) = talking(OPUS, PCMU);
        stage.re_invite(&sdp(&held));
        let told = stage.mixing();
        assert!(matches!(told[..], [Command::Play { .. }, Command::Assign { .. }]), "{held}: {told:?}");
        let params = stage.configured_caller();
        assert_eq!((params.send, params.receive), (heard, false), "{held}");
        stage.ack("");
        stage.re_invite(&sdp(OPUS));
        let params = stage.configured_caller();
        assert_eq!((params.send, params.receive), (true, true), "{held}");
        let told = stage.mixing();
        assert!(matches!(told[..], [Command::Leave { .. }, Command::Assign { .. }]), "{held}: {told:?}");
    }
}

#[test]
fn a_caller_without_an_offer_is_offered_what_the_callee_took_and_what_we_decode() {
    let mut stage = Stage::new(1);
    stage.invite("");
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n"));
    let offer = stage::body(&stage.response_to_caller(200));
    assert!(offer.contains("RTP/AVP 96 9 0 8\r\n"), "{offer}");
    assert_eq!(stage.mixing(), []);
    stage.ack(&sdp(PCMA));
    assert_eq!(room(&stage.mixing()), [format(Codec::Pcma, 8, 20), format(opus(SampleRate::Hz8000), 96, 20)]);
}

#[test]
fn an_offerless_re_invite_is_offered_what_is_spoken_and_what_we_decode_under_known_numbers() {
    let (mut stage, _) = talking(OPUS, PCMU);
    let offer = stage::body(&stage.re_invite(""));
    assert!(offer.contains("RTP/AVP 111 9 0 8 101 96\r\n"), "{offer}");
    stage.ack(&sdp(PCMU));
    let told = stage.mixing();
    assert!(matches!(told[..], [Command::Relay { .. }, Command::CloseRoom { .. }]), "{told:?}");
}

#[test]
fn without_transcoding_such_parties_are_parted() {
    let mut stage = Stage::with("[media]\ntranscode = false\n", "1001", 1);
    stage.invite(&sdp(OPUS));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    assert!(stage::body(&invite).contains("RTP/AVP 111 101\r\n"), "nothing is added");
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    stage.sent_to(CALLEE, Method::Bye);
    stage.response_to_caller(488);
    assert_eq!(stage.mixing(), []);
}

#[test]
fn a_callee_that_takes_what_nobody_decodes_is_parted_from_the_caller() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(G729));
    stage.sent_to(CALLEE, Method::Bye);
    stage.response_to_caller(488);
}

#[test]
fn a_party_that_sends_another_of_its_codecs_is_followed_a_few_times() {
    let (mut stage, told) = talking(PCMU, "m=audio 4002 RTP/AVP 9 0\r\n");
    assert!(matches!(told[..], [Command::Relay { .. }]));
    let leg = LegId(
        told.iter()
            .find_map(|command| if let Command::Relay { b, .. } = command { Some(b.0) } else { None })
            .expect("a relay"),
    );
    let unexpected = |stage: &mut Stage, payload_type| {
        stage.input(Input::Media(Report::Unexpected { leg, payload_type }));
        stage.mixing()
    };
    assert_eq!(unexpected(&mut stage, 101), [], "nobody has spoken of it");
    assert_eq!(room(&unexpected(&mut stage, 9)), [format(Codec::Pcmu, 0, 20), format(Codec::G722, 9, 20)]);
    let told = unexpected(&mut stage, 0);
    assert!(matches!(told[..], [Command::Relay { .. }, Command::CloseRoom { .. }]), "{told:?}");
    for _ in 0..3 {
        assert_ne!(unexpected(&mut stage, 9), []);
        assert_ne!(unexpected(&mut stage, 0), []);
    }
    assert_eq!(unexpected(&mut stage, 9), []);
}

#[test]
fn a_party_that_finds_no_seat_ends_the_call() {
    let (mut stage, told) = talking(OPUS, PCMU);
    let (room, leg, _) = joined(&told)[0];
    stage.input(Input::Media(Report::NotJoined { room, leg }));
    stage.sent_to(CALLEE, Method::Bye);
}
