//! What the switch says: why a call comes to nothing, who is in a conference, that a call is recorded. One sentence after the
//! other, in the language of the caller, until a key is pressed.

use crate::stage::{self, CALLEE, Stage, sdp};
use core::time::Duration;
use media::dtmf::{Digit, EventCode, Heard};
use media::mix::{Audience, MemberId, Role};
use media::source::{Chime, SoundFault, Source};
use media::{Command, DigitWay, LegId, Report, RoomId};
use sip_stack::message::Method;
use softswitch::core::{Event, Input, Output, Refusal, Told, Unrecorded};

const PCMU: &str = "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
const SPOKEN: &str = "[prompts]\nunknown_number = true\n";
const CONFERENCE: &str = "[[route]]\npattern = \"30XX\"\nservice = \"conference\"\nannounce = true\n";

/// Something that is said.
#[derive(Debug)]
struct Said {
    room: RoomId,
    member: MemberId,
    files: Vec<String>,
    to: Audience,
}

fn said(commands: &[Command]) -> Vec<Said> {
    let said = |command: &Command| match command {
        Command::Play {
            room,
            member,
            source: Source::Files { files, loops: false },
            role: Role::Announce { to },
        } => Some(Said {
            room: *room,
            member: *member,
            files: files.iter().map(ToString::to_string).collect(),
            to: *to,
        }),
        _ => None,
    };
    commands.iter().filter_map(said).collect()
}

/// The only sentence among what the last step did.
fn sentence(stage: &Stage) -> Said {
    let mut all = said(&stage.mixing());
    assert_eq!(all.len(), 1, "one sentence among {:?}", stage.mixing());
    all.remove(0)
}

fn played(stage: &mut Stage, said: &Said) {
    stage.input(Input::Media(Report::Played { room: said.room, member: said.member }));
}

/// The file of a sentence is not there.
fn fail(stage: &mut Stage, said: &Said) {
    let (room, member, file) = (said.room, said.member, said.files[0].as_str().into());
    stage.input(Input::Media(Report::NotPlayed { room, member, file, fault: SoundFault::NotFound }));
}

fn press(stage: &mut Stage, leg: LegId) {
    let code = EventCode::from_char('5').expect("a key");
    let heard = Heard::Ended(Digit { code, duration: Duration::from_millis(100) });
    stage.input(Input::Media(Report::Digit { leg, heard, way: DigitWay::Event }));
}

fn alone(leg: LegId) -> Audience {
    Audience::One(MemberId(leg.0))
}

/// A call to a number that there is not, at the point where the caller is being told.
fn told(config: &str) -> (Stage, Said) {
    let mut stage = Stage::with(config, "4711", 0);
    stage.dial(&sdp(PCMU));
    stage.open_media();
    let progress = stage.response_to_caller(183);
    assert!(stage::body(&progress).contains("m=audio 40000 RTP/AVP 0 101\r\n"), "{}", stage::body(&progress));
    let said = sentence(&stage);
    (stage, said)
}

#[test]
fn who_dials_a_number_that_there_is_not_hears_so_before_the_404() {
    let (mut stage, said) = told(SPOKEN);
    assert_eq!(said.files, ["prompt:en/call/unknown-number"]);
    assert_eq!(said.to, alone(stage.media_leg(0)));
    assert!(stage.configured_caller().receive);
    played(&mut stage, &said);
    assert_eq!(
        stage.mixing(),
        [Command::Leave { room: said.room, member: said.member }],
        "what was said last is still on its way"
    );
    stage.wait_for_response(404);
    assert_eq!(stage.mixing(), [Command::CloseRoom { room: said.room }]);
    stage.close_media();
    stage.pass(40);
    let holdings = stage.switch.holdings();
    assert_eq!((holdings.calls, holdings.dialogs, holdings.transactions), (0, 0, 0));
}

#[test]
fn a_key_or_a_cancel_ends_the_announcement() {
    let (mut stage, said) = told(SPOKEN);
    let leg = stage.media_leg(0);
    press(&mut stage, leg);
    assert_eq!(stage.mixing(), [Command::Leave { room: said.room, member: said.member }]);
    played(&mut stage, &said);
    stage.wait_for_response(404);
    let (mut stage, _) = told(SPOKEN);
    stage.cancel();
    stage.response_to_caller(487);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 0);
}

#[test]
fn an_announcement_whose_end_is_never_told_ends_all_the_same() {
    let (mut stage, _) = told(SPOKEN);
    stage.wait_for_response(404);
}

#[test]
fn who_cannot_hear_us_or_is_not_to_be_told_is_refused_at_once() {
    let mut stage = Stage::with("", "4711", 0);
    stage.dial(&sdp(PCMU));
    stage.response_to_caller(404);
    let mut stage = Stage::with(SPOKEN, "4711", 0);
    stage.dial("");
    stage.response_to_caller(404);
    let mut stage = Stage::with(SPOKEN, "4711", 0);
    stage.dial(&sdp("m=audio 4000 RTP/AVP 18\r\n"));
    let refused = stage.outputs.iter().any(|output| {
        matches!(
            output,
            Output::Event(Told { event: Event::CallRefused { reason: Refusal::UnknownNumber, .. }, .. })
        )
    });
    assert!(refused);
    stage.open_media();
    stage.response_to_caller(404);
    assert_eq!(stage.mixing(), []);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 0);
}

#[test]
fn a_caller_is_spoken_to_in_its_language() {
    let (_, said) = told("language = \"ru\"\n[prompts]\nunknown_number = true\n");
    assert_eq!(said.files, ["prompt:ru/call/unknown-number"]);
    let (_, said) = told("[prompts]\nlanguage = \"ru\"\nunknown_number = true\n");
    assert_eq!(said.files, ["prompt:ru/call/unknown-number"]);
    let (_, said) = told("language = \"en\"\n[prompts]\nlanguage = \"ru\"\nunknown_number = true\n");
    assert_eq!(said.files, ["prompt:en/call/unknown-number"]);
    // One that is not there: `check` and the start refuse it, a call does not.
    let (_, said) = told("language = \"de\"\n[prompts]\nunknown_number = true\n");
    assert_eq!(said.files, ["prompt:en/call/unknown-number"]);
}

fn conference(config: &str) -> Stage {
    let mut stage = Stage::with(config, "3001", 0);
    stage.dial(&sdp(PCMU));
    stage.open_media();
    stage.response_to_caller(200);
    assert!(said(&stage.mixing()).is_empty(), "not before the ACK");
    stage.ack("");
    stage
}

#[test]
fn who_is_alone_in_a_conference_is_told_so() {
    let mut stage = conference(CONFERENCE);
    let said = sentence(&stage);
    assert_eq!(
        (said.files.as_slice(), said.to),
        (&["prompt:en/conf/alone".to_owned()][..], alone(stage.media_leg(0)))
    );
    played(&mut stage, &said);
    assert_eq!(stage.mixing(), [Command::Leave { room: said.room, member: said.member }]);
    assert!(matches!(
        conference("[[route]]\npattern = \"30XX\"\nservice = \"conference\"\n").mixing()[..],
        []
    ));
}

#[test]
fn a_signal_tells_who_comes_and_goes() {
    let config = format!("{CONFERENCE}tones = true\n");
    let mut stage = conference(&config);
    let chimes = |stage: &Stage| {
        let chime = |command: &Command| match command {
            Command::Play {
                member,
                source: Source::Chime(chime),
                role: Role::Announce { to: Audience::All },
                room,
            } => Some((*room, *member, *chime)),
            _ => None,
        };
        stage.mixing().iter().filter_map(chime).collect::<Vec<_>>()
    };
    let [(room, member, Chime::Rising)] = chimes(&stage)[..] else { panic!("{:?}", stage.mixing()) };
    stage.input(Input::Media(Report::Played { room, member }));
    assert_eq!(stage.mixing(), [Command::Leave { room, member }]);
    stage.bye();
    stage.close_media();
    assert!(chimes(&stage).is_empty(), "the last one hears nobody go");
}

#[test]
fn sentences_are_said_one_after_the_other_and_a_key_ends_what_it_may() {
    let mut stage = conference(&format!("{CONFERENCE}record = true\n[recording]\nannounce = true\n"));
    let leg = stage.media_leg(0);
    let welcome = sentence(&stage);
    assert_eq!(welcome.files, ["prompt:en/conf/alone"]);
    press(&mut stage, leg);
    let recorded = sentence(&stage);
    assert_eq!(recorded.files, ["prompt:en/call/recorded"]);
    press(&mut stage, leg);
    assert_eq!(stage.mixing(), [], "everybody has to hear it to the end");
    // Word of the first one comes too late to mean anything.
    played(&mut stage, &welcome);
    assert!(said(&stage.mixing()).is_empty());
    assert!(!stage.told.iter().any(|command| matches!(command, Command::Record { .. })));
    played(&mut stage, &recorded);
    assert!(stage.mixing().iter().any(|command| matches!(command, Command::Record { .. })));
    stage.bye();
    stage.close_media();
    stage.pass(40);
    assert_eq!(stage.switch.holdings().calls, 0);
}

#[test]
fn both_parties_of_a_call_hear_that_it_is_recorded_before_it_is() {
    let mut stage = Stage::with("record = true\n[recording]\nannounce = true\n", "1001", 1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    let recorded = sentence(&stage);
    assert_eq!(
        (recorded.files.as_slice(), recorded.to),
        (&["prompt:en/call/recorded".to_owned()][..], Audience::All)
    );
    stage.response_to_caller(200);
    stage.ack("");
    let leg = stage.media_leg(0);
    press(&mut stage, leg);
    assert!(stage.mixing().iter().all(|command| !matches!(command, Command::Leave { .. })));
    played(&mut stage, &recorded);
    assert!(
        matches!(stage.mixing()[..], [Command::Leave { .. }, Command::Record { .. }]),
        "{:?}",
        stage.mixing()
    );
    stage.bye();
    stage.sent_to(CALLEE, Method::Bye);
    stage.close_media();
    stage.pass(70);
    assert_eq!(stage.switch.holdings().calls, 0);
}

#[test]
fn who_cannot_be_told_of_a_recording_is_not_recorded() {
    let unrecorded = |stage: &Stage| {
        let event = Event::NotRecorded { call: stage.call(1), reason: Unrecorded::NotAnnounced };
        stage.outputs.iter().any(|output| matches!(output, Output::Event(told) if told.event == event))
    };
    let is_recorded = |stage: &Stage| stage.told.iter().any(|told| matches!(told, Command::Record { .. }));
    let keys = "record = true\nrecord_on_request = true\n[recording]\nannounce = true\n";
    let mut stage = Stage::with(keys, "1001", 1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    let recorded = sentence(&stage);
    stage.response_to_caller(200);
    stage.ack("");
    fail(&mut stage, &recorded);
    played(&mut stage, &recorded);
    assert!(unrecorded(&stage), "{:?}", stage.outputs);
    assert!(stage.mixing().iter().any(|command| matches!(command, Command::Relay { .. })), "it goes on");
    let answer = stage.info("Record: on\r\n", "");
    assert_eq!(answer.status().map(|status| status.code()), Some(488));
    assert!(!is_recorded(&stage));
    let config = "[[route]]\npattern = \"30XX\"\nservice = \"conference\"\nrecord = true\n[recording]\nannounce = true\n";
    let mut stage = conference(config);
    let recorded = sentence(&stage);
    fail(&mut stage, &recorded);
    played(&mut stage, &recorded);
    assert!(unrecorded(&stage), "{:?}", stage.outputs);
    assert!(!is_recorded(&stage));
}

#[test]
fn a_call_that_ends_while_something_is_said_leaves_nothing() {
    let mut stage = conference(CONFERENCE);
    let said = sentence(&stage);
    stage.bye();
    stage.close_media();
    let gone = Command::Leave { room: said.room, member: said.member };
    assert_eq!(stage.mixing(), [gone, Command::CloseRoom { room: said.room }]);
    played(&mut stage, &said);
    assert!(stage.outputs.iter().all(|output| output.transmit().is_none()));
}
