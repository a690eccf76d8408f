//! Digits of a call: SIP INFO in and out, and what the shard is told about each party (RFC 4733; RFC 6086).

use super::stage::{self, CALLEE, Stage, sdp};
use core::time::Duration;
use media::codec::Codec;
use media::dtmf::{Digit, EventCode, Heard};
use media::{Command, DigitOutlet, DigitWay, EventFormat, Report};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use smallvec::smallvec;
use softswitch::core::Input;

const PLAIN: &str = "m=audio 4002 RTP/AVP 0\r\n";
const EVENTS: &str = "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
const RELAY: &str = "Content-Type: application/dtmf-relay\r\n";

fn digit(character: char, ms: u64) -> Digit {
    let code = EventCode::from_char(character).expect("a key");
    Digit { code, duration: Duration::from_millis(ms) }
}

fn status(message: &Message) -> u16 {
    message.status().expect("a response").code()
}

/// A call between a caller with events and a callee that answers with these header lines and this stream.
fn call(headers: &str, callee: &str) -> Stage {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(EVENTS));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply_with(&invite, "b", "200 OK", headers, &sdp(callee));
    stage
}

fn connected(headers: &str, callee: &str) -> Stage {
    let mut stage = call(headers, callee);
    stage.response_to_caller(200);
    stage.ack("");
    stage
}

#[test]
fn a_digit_in_info_is_dialled_on_the_other_leg() {
    let mut stage = connected("", EVENTS);
    let leg = stage.media_leg(1);
    for (content, body, expected) in [
        (RELAY, "Signal=5\r\nDuration=160\r\n", digit('5', 160)),
        ("Content-Type: application/dtmf\r\n", "#", digit('#', 250)),
    ] {
        assert_eq!(status(&stage.info(content, body)), 200);
        assert_eq!(stage.mixing(), [Command::Dial { leg, digits: smallvec![expected] }]);
    }
}

#[test]
fn an_info_that_cannot_be_read_is_refused_and_says_what_can() {
    let mut stage = connected("", EVENTS);
    assert_eq!(status(&stage.info(RELAY, "Signal=\r\n")), 400);
    let unknown = stage.info("Content-Type: application/media_control+xml\r\n", "<x/>");
    assert_eq!(status(&unknown), 415);
    assert_eq!(unknown.header(HeaderName::Accept), Some(&b"application/dtmf-relay, application/dtmf"[..]));
    assert_eq!(status(&stage.info("", "5")), 415);
    let package = stage.info("Info-Package: foo\r\n", "");
    assert_eq!(status(&package), 469);
    assert!(package.header(HeaderName::RecvInfo).is_some());
    assert_eq!(status(&stage.info("", "")), 200);
    assert_eq!(stage.mixing(), []);
}

#[test]
fn each_party_gets_digits_in_the_way_it_can_take() {
    let stage = call("", EVENTS);
    let events = EventFormat { payload_type: 101, clock_rate: 8_000 };
    assert_eq!([0, 1].map(|side| stage.configured(side).digits.outlet), [DigitOutlet::Events(events); 2]);
    assert_eq!(stage.configured(0).digits.incoming[..], [events]);
    // Without events it hears tones in its codec; the caller may send events all the same.
    let mut stage = call("", PLAIN);
    let DigitOutlet::Tones(sound) = stage.configured(1).digits.outlet else { panic!() };
    assert_eq!((sound.codec, sound.payload_type), (Codec::Pcmu, 0));
    assert!(stage::body(&stage.response_to_caller(200)).contains("telephone-event/8000"));
    // One that takes INFO gets that.
    let stage = call("Allow: INVITE, ACK, BYE, INFO\r\n", PLAIN);
    assert_eq!(stage.configured(1).digits.outlet, DigitOutlet::Nowhere);
}

#[test]
fn a_party_without_events_that_takes_info_gets_the_digits_so() {
    let mut stage = connected("Allow: INVITE, ACK, BYE, INFO\r\n", PLAIN);
    let pressed = digit('7', 120);
    let (leg, way) = (stage.media_leg(0), DigitWay::Event);
    stage.input(Input::Media(Report::Digit { leg, heard: Heard::Started(pressed.code), way }));
    assert!(stage.all_sent_to_callee(Method::Info).is_empty(), "how long it is pressed is not known yet");
    stage.input(Input::Media(Report::Digit { leg, heard: Heard::Ended(pressed), way }));
    let info = stage.sent_to(CALLEE, Method::Info);
    assert_eq!(stage::body(&info), "Signal=7\r\nDuration=120\r\n");
    assert_eq!(info.header(HeaderName::ContentType), Some(&b"application/dtmf-relay"[..]));
    // Its answer ends nothing.
    stage.reply(&info, "200 OK", "");
    assert!(stage.all_sent_to_callee(Method::Bye).is_empty());
    // An INFO of the other side goes the same way: the shard has none, and says so.
    stage.info(RELAY, "Signal=*\r\nDuration=90\r\n");
    let [Command::Dial { leg, digits }] = &stage.mixing()[..] else { panic!() };
    let report = Report::NotDialled { leg: *leg, digits: digits.clone() };
    stage.input(Input::Media(report));
    assert_eq!(stage::body(&stage.sent_to(CALLEE, Method::Info)), "Signal=*\r\nDuration=90\r\n");
}

#[test]
fn a_party_that_hears_digits_in_its_media_gets_no_info_as_well() {
    let mut stage = connected("Allow: INVITE, ACK, BYE, INFO\r\n", EVENTS);
    let (leg, way) = (stage.media_leg(0), DigitWay::Event);
    stage.input(Input::Media(Report::Digit { leg, heard: Heard::Ended(digit('7', 120)), way }));
    assert!(stage.all_sent_to_callee(Method::Info).is_empty());
}

/// A call from a user with these keys to a peer with others, who offers one stream and answers with another.
fn to_peer(user: &str, peer: &str, offered: &str, answered: &str) -> (Stage, String) {
    let config = format!(
        "{user}[[peer]]\nid = \"p\"\naddress = \"127.0.0.1:7001\"\ntransport = \"udp\"\n{peer}\
         [[route]]\npattern = \"8.\"\npeer = \"p\"\n"
    );
    let mut stage = Stage::with(&config, "81", 0);
    stage.invite(&sdp(offered));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(answered));
    (stage, stage::body(&invite))
}

#[test]
fn a_party_whose_keys_are_tones_is_listened_to_and_hears_tones_whatever_it_offers() {
    let (mut stage, offer) = to_peer("dtmf = \"inband\"\n", "", EVENTS, EVENTS);
    assert!(offer.contains("telephone-event/8000"), "the other side may have what we make of them: {offer}");
    let [caller, callee] = [0, 1].map(|side| stage.configured(side).digits);
    assert!(matches!(caller.outlet, DigitOutlet::Tones(sound) if sound.codec == Codec::Pcmu));
    assert!(matches!(caller.listen, Some(sound) if sound.payload_type == 0));
    assert!(matches!(callee.outlet, DigitOutlet::Events(_)) && callee.listen.is_none());
    assert!(!stage::body(&stage.response_to_caller(200)).contains("telephone-event"));
    // The other way round.
    let (mut stage, offer) = to_peer("", "dtmf = \"inband\"\n", EVENTS, PLAIN);
    assert!(!offer.contains("telephone-event"), "{offer}");
    assert!(stage.configured(1).digits.listen.is_some());
    assert!(matches!(stage.configured(0).digits.outlet, DigitOutlet::Events(_)));
    assert!(stage::body(&stage.response_to_caller(200)).contains("telephone-event/8000"));
}

#[test]
fn tones_are_listened_for_by_themselves_only_where_somebody_wants_to_know() {
    let listens = |caller: &str, headers: &str, callee: &str| {
        let mut stage = Stage::new(1);
        stage.invite(&sdp(caller));
        let invite = stage.sent_to(CALLEE, Method::Invite);
        stage.reply_with(&invite, "b", "200 OK", headers, &sdp(callee));
        [0, 1].map(|side| stage.configured(side).digits.listen.is_some())
    };
    assert_eq!(listens(EVENTS, "", PLAIN), [false, true], "the caller takes events, the callee has none");
    assert_eq!(listens(EVENTS, "", EVENTS), [false, false]);
    assert_eq!(listens(PLAIN, "", PLAIN), [false, false], "each hears the tones of the other");
    let info = "Allow: INVITE, ACK, BYE, INFO\r\n";
    assert_eq!(listens(EVENTS, info, PLAIN), [false, false], "its keys come by INFO");
    assert_eq!(listens(PLAIN, info, PLAIN), [true, false], "it gets keys by INFO");
}

#[test]
fn a_party_whose_keys_go_by_info_gets_them_so_though_it_offers_events() {
    let (mut stage, _) = to_peer("dtmf = \"info\"\n", "", EVENTS, EVENTS);
    assert_eq!(stage.configured(0).digits.outlet, DigitOutlet::Nowhere);
    stage.response_to_caller(200);
    stage.ack("");
    let (leg, way) = (stage.media_leg(1), DigitWay::Event);
    stage.input(Input::Media(Report::Digit { leg, heard: Heard::Ended(digit('7', 120)), way }));
    assert_eq!(stage::body(&stage.sent_to(stage::CALLER, Method::Info)), "Signal=7\r\nDuration=120\r\n");
    let (stage, _) = to_peer("", "dtmf = \"event\"\n", EVENTS, PLAIN);
    assert!(matches!(stage.configured(1).digits.outlet, DigitOutlet::Tones(_)));
    assert!(stage.configured(1).digits.listen.is_none());
}
