//! Busy lamps, presence, the mailbox, and the own presence (RFC 6665, RFC 3903).

use super::*;
use crate::phone::{Availability, CommandError, Lamp, MAX_WATCHED, Mailbox, Reason, WatchEvent, Watched};

const ACCOUNT: AccountId = AccountId::FIRST;

fn granted(writer: &mut Writer) {
    writer.number(HeaderName::Expires, 600);
}

fn watch(rig: &mut Rig, target: &str) {
    rig.command(Command::Watch { account: ACCOUNT, target: target.into(), wanted: true });
}

/// A phone that is registered and has begun to watch 1002.
fn watching() -> Rig {
    let mut rig = Rig::new();
    watch(&mut rig, "1002");
    rig.command(Command::Register);
    rig.answer(Method::Register, 200, granted);
    rig
}

/// The last SUBSCRIBE of a package.
fn subscribe(rig: &Rig, package: &str) -> Message {
    let is_it = |sent: &&Message| {
        sent.method() == Some(Method::Subscribe) && sent.event().is_ok_and(|event| event.is(package))
    };
    rig.sent.iter().rev().find(is_it).cloned().unwrap()
}

fn count(rig: &Rig, method: Method<'_>) -> usize {
    rig.sent.iter().filter(|sent| sent.method() == Some(method)).count()
}

fn answer(rig: &mut Rig, request: &Message, code: u16, add: impl FnOnce(&mut Writer)) {
    let mut writer = response(request, Status::new(code).unwrap(), None, Some(b"server"), flow().local);
    add(&mut writer);
    rig.receive(writer.finish());
}

/// A NOTIFY of the notifier that a SUBSCRIBE reached.
fn notify(rig: &mut Rig, subscribe: &Message, cseq: u32, state: &str, body: (&str, &str)) {
    let mut writer = Writer::request(Method::Notify, b"sip:1001@192.0.2.1:5060");
    let package = String::from_utf8(subscribe.event().unwrap().value()).unwrap();
    let branch = format!("SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-{package}-{cseq}");
    writer.header(HeaderName::Via, branch.as_bytes());
    writer.header(HeaderName::MaxForwards, b"70");
    writer.header(HeaderName::From, b"<sip:1002@a.example>;tag=server");
    let tag = subscribe.from().unwrap().tag().unwrap().to_vec();
    writer.header(HeaderName::To, &[b"<sip:1001@a.example>;tag=", &tag[..]].concat());
    writer.header(HeaderName::CallId, subscribe.call_id().unwrap());
    writer.cseq(cseq, Method::Notify);
    writer.header(HeaderName::Contact, b"<sip:1002@192.0.2.9>");
    writer.header(HeaderName::Event, package.as_bytes());
    writer.header(HeaderName::SubscriptionState, state.as_bytes());
    if !body.1.is_empty() {
        writer.body(body.0.as_bytes(), body.1.as_bytes());
    }
    rig.receive(writer.finish());
}

const ACTIVE: &str = "active;expires=600";

fn dialogs(version: u32, state: &str, dialogs: &str) -> String {
    format!(
        "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='{version}' state='{state}' \
         entity='sip:1002@a.example'>{dialogs}</dialog-info>"
    )
}

const RINGS: &str = "<dialog id='1' direction='recipient'><state>early</state><remote><identity display='Carol'>\
     sip:1003@a.example</identity></remote></dialog>";
const DIALOGS: &str = "application/dialog-info+xml";

/// The subscription to the calls of 1002, accepted, with this state.
fn lamp(rig: &mut Rig, body: &str) -> Message {
    let subscribe = subscribe(rig, "dialog");
    answer(rig, &subscribe, 200, granted);
    notify(rig, &subscribe, 1, ACTIVE, (DIALOGS, body));
    subscribe
}

fn calls(lamp: Option<Lamp>, peer: Option<&str>) -> Event {
    let peer = peer.map(Box::from);
    Event::Watch { account: ACCOUNT, news: WatchEvent::Calls { target: "1002".into(), lamp, peer } }
}

#[test]
fn what_is_watched_begins_with_the_registration_and_is_challenged_like_it() {
    let mut rig = Rig::new();
    watch(&mut rig, "1002");
    rig.command(Command::Register);
    assert_eq!(count(&rig, Method::Subscribe), 0);
    rig.answer(Method::Register, 200, granted);
    assert_eq!(count(&rig, Method::Subscribe), 2, "calls and presence");
    let first = subscribe(&rig, "dialog");
    assert_eq!(first.uri().unwrap().text, b"sip:1002@a.example");
    assert_eq!(first.expires(), Ok(Some(600)));
    answer(&mut rig, &first, 401, |writer| _ = writer.header(HeaderName::WwwAuthenticate, CHALLENGE));
    let second = subscribe(&rig, "dialog");
    assert!(authorization(&second).contains("username=\"1001\""));
    assert_eq!(first.call_id(), second.call_id());
    assert_eq!(first.from().unwrap().tag(), second.from().unwrap().tag());
}

#[test]
fn a_lamp_follows_the_notifies_also_one_before_the_answer() {
    let mut rig = watching();
    let subscribe = subscribe(&rig, "dialog");
    notify(&mut rig, &subscribe, 1, ACTIVE, (DIALOGS, &dialogs(0, "full", "")));
    assert_eq!(status(&rig), 200);
    assert_eq!(rig.events.last(), Some(&calls(Some(Lamp::Idle), None)));
    answer(&mut rig, &subscribe, 200, granted);
    notify(&mut rig, &subscribe, 2, ACTIVE, (DIALOGS, &dialogs(1, "partial", RINGS)));
    assert_eq!(rig.events.last(), Some(&calls(Some(Lamp::Ringing), Some("Carol"))));
    let talks = "<dialog id='1'><state>confirmed</state></dialog>";
    notify(&mut rig, &subscribe, 3, ACTIVE, (DIALOGS, &dialogs(2, "partial", talks)));
    assert_eq!(rig.events.last(), Some(&calls(Some(Lamp::Talking), Some("Carol"))));
    let before = rig.events.len();
    notify(&mut rig, &subscribe, 4, ACTIVE, (DIALOGS, &dialogs(3, "partial", talks)));
    assert_eq!(rig.events.len(), before, "no news");
    let row = rig.phone.watched().remove(0);
    assert_eq!((&*row.target, row.lamp, row.availability), ("1002", Some(Lamp::Talking), None));
}

#[test]
fn a_document_that_is_missing_is_asked_for() {
    let mut rig = watching();
    let subscribe = lamp(&mut rig, &dialogs(0, "full", ""));
    let before = count(&rig, Method::Subscribe);
    notify(&mut rig, &subscribe, 2, ACTIVE, (DIALOGS, &dialogs(2, "partial", RINGS)));
    assert_eq!(count(&rig, Method::Subscribe), before + 1);
    let refresh = super::watch::subscribe(&rig, "dialog");
    assert!(refresh.to().unwrap().tag().is_some());
    assert_eq!(refresh.expires(), Ok(Some(600)));
    // A server whose numbers never fit is not asked without end.
    answer(&mut rig, &refresh, 200, granted);
    let asked = |rig: &Rig| super::watch::subscribe(rig, "dialog").cseq().unwrap().number;
    let before = asked(&rig);
    notify(&mut rig, &subscribe, 3, ACTIVE, (DIALOGS, &dialogs(9, "partial", RINGS)));
    assert_eq!(asked(&rig), before);
    rig.wait(Duration::from_secs(30));
    notify(&mut rig, &subscribe, 4, ACTIVE, (DIALOGS, &dialogs(20, "partial", RINGS)));
    assert_eq!(asked(&rig), before + 1);
}

#[test]
fn a_notify_that_says_nothing_we_read_is_refused_and_the_lamp_stays() {
    let mut rig = watching();
    let subscribe = lamp(&mut rig, &dialogs(0, "full", RINGS));
    let known = rig.phone.watched();
    notify(&mut rig, &subscribe, 2, ACTIVE, (DIALOGS, "<dialog-info"));
    assert_eq!(status(&rig), 400);
    notify(&mut rig, &subscribe, 3, ACTIVE, ("text/plain", "ringing"));
    assert_eq!(status(&rig), 415);
    assert_eq!(rig.last().header(HeaderName::Accept), Some(DIALOGS.as_bytes()));
    assert_eq!(rig.phone.watched(), known);
    notify(&mut rig, &subscribe, 4, "active;expires=600", ("", ""));
    assert_eq!((status(&rig), rig.phone.watched()), (200, known));
}

#[test]
fn a_notify_of_a_subscription_that_there_is_not_is_answered_481() {
    let mut rig = watching();
    rig.receive(request("NOTIFY", 1, None, b"").finish());
    assert_eq!(status(&rig), 481);
    rig.receive(request("NOTIFY", 2, Some(b"ours"), b"").finish());
    assert_eq!(status(&rig), 481);
}

#[test]
fn a_call_has_nothing_to_do_in_the_dialog_of_a_subscription() {
    let mut rig = watching();
    let subscribe = lamp(&mut rig, &dialogs(0, "full", ""));
    let tag = subscribe.from().unwrap().tag().unwrap().to_vec();
    let mut writer = Writer::request(Method::Invite, b"sip:1001@192.0.2.1:5060");
    writer.header(HeaderName::Via, b"SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-invite");
    writer.header(HeaderName::From, b"<sip:1002@a.example>;tag=server");
    writer.header(HeaderName::To, &[b"<sip:1001@a.example>;tag=", &tag[..]].concat());
    writer.header(HeaderName::CallId, subscribe.call_id().unwrap());
    writer.cseq(9, Method::Invite);
    contact(&mut writer);
    rig.receive(writer.finish());
    assert_eq!((status(&rig), rig.phone.calls()), (405, 0));
}

#[test]
fn what_a_server_does_not_offer_is_told_and_the_other_goes_on() {
    let mut rig = watching();
    let presence = subscribe(&rig, "presence");
    answer(&mut rig, &presence, 489, |_| {});
    let what = Watched::Presence("1002".into());
    let news = WatchEvent::Failed { what, reason: Reason::NotOffered, retry: None };
    assert_eq!(rig.events.last(), Some(&Event::Watch { account: ACCOUNT, news }));
    lamp(&mut rig, &dialogs(0, "full", ""));
    let row = rig.phone.watched().remove(0);
    assert_eq!((row.lamp, row.fault), (Some(Lamp::Idle), Some(Reason::NotOffered)));
}

#[test]
fn presence_says_whether_somebody_can_be_reached_and_what_they_do() {
    let mut rig = watching();
    let subscribe = subscribe(&rig, "presence");
    answer(&mut rig, &subscribe, 200, granted);
    let document = |basic: &str, activity: &str| {
        format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \
             xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:1002@a.example'><tuple id='t'><status><basic>{basic}\
             </basic></status><note>soon</note></tuple><dm:person id='p'><r:activities>{activity}</r:activities></dm:person>\
             </presence>"
        )
    };
    for (cseq, (basic, activity, seen)) in (1..).zip([
        ("open", "", Availability::Available),
        ("open", "<r:away/>", Availability::Away),
        ("open", "<r:busy/>", Availability::DoNotDisturb),
        ("open", "<r:busy/><r:on-the-phone/>", Availability::OnThePhone),
        ("closed", "<r:away/>", Availability::Offline),
    ]) {
        notify(&mut rig, &subscribe, cseq, ACTIVE, ("application/pidf+xml", &document(basic, activity)));
        let (target, note) = ("1002".into(), Some("soon".into()));
        let news = WatchEvent::Presence { target, availability: Some(seen), note };
        assert_eq!(rig.events.last(), Some(&Event::Watch { account: ACCOUNT, news }));
    }
}

#[test]
fn nothing_is_known_of_whom_the_server_no_longer_tells_and_it_is_asked_anew() {
    let mut rig = watching();
    let subscribe = lamp(&mut rig, &dialogs(0, "full", ""));
    rig.wait(Duration::from_secs(60));
    let before = count(&rig, Method::Subscribe);
    notify(&mut rig, &subscribe, 2, "terminated;reason=deactivated", ("", ""));
    assert_eq!(rig.events.last(), Some(&calls(None, None)));
    let anew = super::watch::subscribe(&rig, "dialog");
    assert_eq!(count(&rig, Method::Subscribe), before + 1);
    assert_ne!(anew.call_id(), subscribe.call_id());
}

#[test]
fn a_server_that_was_started_anew_has_forgotten_us_and_is_asked_again() {
    let mut rig = watching();
    let first = lamp(&mut rig, &dialogs(0, "full", RINGS));
    rig.wait(Duration::from_secs(531));
    let refresh = subscribe(&rig, "dialog");
    assert_eq!((refresh.call_id(), refresh.to().unwrap().tag().is_some()), (first.call_id(), true));
    answer(&mut rig, &refresh, 481, |_| {});
    assert!(rig.events.contains(&calls(None, None)));
    assert_ne!(subscribe(&rig, "dialog").call_id(), first.call_id());
}

#[test]
fn a_registration_that_came_back_looks_after_what_is_watched() {
    let mut rig = watching();
    let first = lamp(&mut rig, &dialogs(0, "full", ""));
    rig.command(Command::Register);
    let before = count(&rig, Method::Subscribe);
    rig.answer(Method::Register, 200, granted);
    assert!(count(&rig, Method::Subscribe) > before);
    let refresh = subscribe(&rig, "dialog");
    assert_eq!((refresh.call_id(), refresh.to().unwrap().tag().is_some()), (first.call_id(), true));
}

#[test]
fn over_another_way_everything_begins_anew() {
    let mut rig = Rig::new();
    rig.phone.find_server(ACCOUNT);
    watch(&mut rig, "1002");
    rig.command(Command::Register);
    let way = |rig: &mut Rig, port: u16| {
        let flow = Flow { local: ([192, 0, 2, 1], port).into(), transport: Transport::Tcp, ..flow() };
        rig.phone.handle_input(rig.now, Input::Way { account: ACCOUNT, way: Ok(flow) }).unwrap();
        rig.drain();
        rig.answer(Method::Register, 200, granted);
    };
    way(&mut rig, 40_001);
    let first = lamp(&mut rig, &dialogs(0, "full", RINGS));
    assert_eq!(rig.phone.dialogs(), 1);
    rig.phone.handle_input(rig.now, Input::WayLost { account: ACCOUNT }).unwrap();
    rig.drain();
    way(&mut rig, 40_002);
    assert!(rig.events.contains(&calls(None, None)));
    let second = subscribe(&rig, "dialog");
    assert_ne!(second.call_id(), first.call_id());
    assert!(String::from_utf8_lossy(second.header(HeaderName::Contact).unwrap()).contains(":40002"));
    assert_eq!(rig.phone.dialogs(), 0);
}

#[test]
fn who_leaves_ends_what_it_watches_and_nothing_is_left() {
    let mut rig = watching();
    let presence = subscribe(&rig, "presence");
    answer(&mut rig, &presence, 403, |_| {});
    let first = lamp(&mut rig, &dialogs(0, "full", RINGS));
    rig.command(Command::Unregister);
    let last = subscribe(&rig, "dialog");
    assert_eq!((last.call_id(), last.expires()), (first.call_id(), Ok(Some(0))));
    answer(&mut rig, &last, 200, |_| {});
    notify(&mut rig, &first, 2, "terminated;reason=timeout", ("", ""));
    rig.answer(Method::Register, 200, |_| {});
    assert_eq!(rig.phone.watched().remove(0).lamp, None);
    assert!(rig.is_over());
    // It is watched again with the next registration.
    rig.command(Command::Register);
    rig.answer(Method::Register, 200, granted);
    assert_ne!(subscribe(&rig, "dialog").call_id(), first.call_id());
}

#[test]
fn who_leaves_while_the_registration_has_failed_ends_what_it_watches() {
    let mut rig = watching();
    let first = lamp(&mut rig, &dialogs(0, "full", RINGS));
    rig.command(Command::Register);
    rig.answer(Method::Register, 503, |writer| _ = writer.number(HeaderName::RetryAfter, 30));
    rig.command(Command::Unregister);
    let last = subscribe(&rig, "dialog");
    assert_eq!((last.call_id(), last.expires()), (first.call_id(), Ok(Some(0))));
}

#[test]
fn who_leaves_while_it_registers_watches_nothing() {
    let mut rig = Rig::new();
    watch(&mut rig, "1002");
    rig.command(Command::PublishPresence { account: ACCOUNT, wanted: true });
    rig.command(Command::Register);
    rig.command(Command::Unregister);
    rig.answer(Method::Register, 200, granted);
    assert_eq!((count(&rig, Method::Subscribe), count(&rig, Method::Publish)), (0, 0));
}

#[test]
fn who_is_watched_no_longer_is_forgotten() {
    let mut rig = watching();
    let presence = subscribe(&rig, "presence");
    answer(&mut rig, &presence, 489, |_| {});
    let first = lamp(&mut rig, &dialogs(0, "full", RINGS));
    rig.command(Command::Watch { account: ACCOUNT, target: "1002".into(), wanted: false });
    assert!(rig.phone.watched().is_empty());
    let last = subscribe(&rig, "dialog");
    assert_eq!(last.expires(), Ok(Some(0)));
    answer(&mut rig, &last, 200, |_| {});
    notify(&mut rig, &first, 2, "terminated;reason=timeout", ("", ""));
    rig.wait(Duration::from_secs(64));
    assert_eq!((rig.phone.dialogs(), rig.phone.watched().len()), (0, 0));
}

#[test]
fn numbers_that_are_none_and_more_than_there_may_be_are_refused() {
    let mut rig = Rig::new();
    let command = |target: &str| {
        Input::Command(Command::Watch { account: ACCOUNT, target: target.into(), wanted: true })
    };
    assert_eq!(rig.phone.handle_input(rig.now, command("")), Err(CommandError::BadTarget("".into())));
    for number in 0..MAX_WATCHED {
        watch(&mut rig, &number.to_string());
    }
    watch(&mut rig, "0");
    let refused = rig.phone.handle_input(rig.now, command("one more"));
    assert_eq!(refused, Err(CommandError::TooManyWatched(MAX_WATCHED)));
    assert_eq!(rig.phone.watched().len(), MAX_WATCHED);
}

#[test]
fn the_mailbox_is_that_of_the_account() {
    let mut rig = Rig::new();
    rig.command(Command::WatchMailbox { account: ACCOUNT, wanted: true });
    rig.command(Command::Register);
    rig.answer(Method::Register, 200, granted);
    let subscribe = subscribe(&rig, "message-summary");
    assert_eq!(subscribe.uri().unwrap().text, b"sip:1001@a.example");
    answer(&mut rig, &subscribe, 200, granted);
    assert_eq!(rig.phone.mailbox(ACCOUNT), None);
    let body = "Messages-Waiting: yes\r\nVoice-Message: 2/7\r\n";
    notify(&mut rig, &subscribe, 1, ACTIVE, ("application/simple-message-summary", body));
    let mailbox = Mailbox { waiting: true, new: 2, old: 7 };
    let news = WatchEvent::Mailbox(Some(mailbox));
    assert_eq!(rig.events.last(), Some(&Event::Watch { account: ACCOUNT, news }));
    assert_eq!(rig.phone.mailbox(ACCOUNT), Some(mailbox));
}

/// The last PUBLISH, which is answered.
fn published(rig: &mut Rig, tag: &str) -> Message {
    let publish = rig.sent.iter().rev().find(|sent| sent.method() == Some(Method::Publish)).cloned().unwrap();
    answer(rig, &publish, 200, |writer| {
        writer.header(HeaderName::SipEtag, tag.as_bytes());
        writer.number(HeaderName::Expires, 600);
    });
    publish
}

fn body(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

#[test]
fn the_own_presence_follows_the_user_and_the_calls_and_is_removed_at_the_end() {
    let mut rig = Rig::new();
    rig.command(Command::PublishPresence { account: ACCOUNT, wanted: true });
    rig.command(Command::Register);
    assert_eq!(count(&rig, Method::Publish), 0);
    rig.answer(Method::Register, 200, granted);
    let first = published(&mut rig, "one");
    assert!(body(&first).contains("<basic>open</basic>") && !body(&first).contains("activities"));
    assert_eq!(first.header(HeaderName::SipIfMatch), None);
    let news = WatchEvent::Published(Some(Availability::Available));
    assert_eq!(rig.events.last(), Some(&Event::Watch { account: ACCOUNT, news }));
    for (tag, command, activity) in
        [("two", Command::Away(true), "<rpid:away/>"), ("three", Command::DoNotDisturb(true), "<rpid:busy/>")]
    {
        rig.command(command);
        let publish = published(&mut rig, tag);
        assert!(publish.header(HeaderName::SipIfMatch).is_some());
        assert!(body(&publish).contains(activity), "{}", body(&publish));
    }
    rig.command(Command::DoNotDisturb(false));
    published(&mut rig, "four");
    rig.receive(request("INVITE", 1, None, &sdp(4_000, "sendrecv")).finish());
    let before = count(&rig, Method::Publish);
    rig.command(Command::Answer { call: CALL });
    assert_eq!(count(&rig, Method::Publish), before + 1);
    assert!(body(&published(&mut rig, "five")).contains("<rpid:on-the-phone/>"));
    let is_ok = |sent: &&Message| {
        sent.status() == Some(Status::OK) && sent.cseq().is_ok_and(|cseq| cseq.method == Method::Invite)
    };
    let tag = rig.sent.iter().find(is_ok).unwrap().to().unwrap().tag().unwrap().to_vec();
    rig.receive(request("ACK", 1, Some(&tag), b"").finish());
    rig.command(Command::HangUp { call: CALL });
    assert!(body(&published(&mut rig, "six")).contains("<rpid:away/>"));
    rig.answer(Method::Bye, 200, |_| {});
    rig.command(Command::Unregister);
    let last = published(&mut rig, "none");
    assert_eq!((last.expires(), last.header(HeaderName::SipIfMatch)), (Ok(Some(0)), Some(&b"six"[..])));
    rig.answer(Method::Register, 200, |_| {});
    assert!(rig.is_over());
}

#[test]
fn what_is_published_survives_a_registration_that_fails_for_a_while() {
    let mut rig = Rig::new();
    rig.command(Command::PublishPresence { account: ACCOUNT, wanted: true });
    rig.command(Command::Register);
    rig.answer(Method::Register, 200, granted);
    published(&mut rig, "one");
    rig.command(Command::Register);
    let before = count(&rig, Method::Publish);
    rig.answer(Method::Register, 503, |writer| _ = writer.number(HeaderName::RetryAfter, 30));
    assert_eq!(count(&rig, Method::Publish), before);
    rig.wait(Duration::from_secs(60));
    rig.answer(Method::Register, 200, granted);
    let refresh = published(&mut rig, "two");
    assert_eq!((refresh.header(HeaderName::SipIfMatch), refresh.body()), (Some(&b"one"[..]), &b""[..]));
}

#[test]
fn presence_that_is_no_longer_wanted_is_removed_though_the_account_stays() {
    let mut rig = Rig::new();
    rig.command(Command::PublishPresence { account: ACCOUNT, wanted: true });
    rig.command(Command::Register);
    rig.answer(Method::Register, 200, granted);
    published(&mut rig, "one");
    rig.command(Command::PublishPresence { account: ACCOUNT, wanted: false });
    let last = published(&mut rig, "none");
    assert_eq!((last.expires(), last.header(HeaderName::SipIfMatch)), (Ok(Some(0)), Some(&b"one"[..])));
    let before = count(&rig, Method::Publish);
    rig.wait(Duration::from_secs(900));
    assert_eq!(count(&rig, Method::Publish), before);
}
