//! What is known of calls afterwards, and while they are up: records with their attempts and journals, calls that were missed, and what
//! becomes of those that the switch is interrupted in.

use crate::stage::{CALLEE, CALLER, Stage, sdp};
use crate::transfers::{OTHER, PCMU, THIRD, THIRD_USER, refer, talking};
use media::{Command, LegId, Report};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use softswitch::core::{Event, Input, Output, Switch, Told};
use softswitch::records::{Cause, Happening, Interrupted, OpenCall, Outcome};
use softswitch::store::{CallRecord, EndedBy, StoreEvent, StoreOp};

/// What the last step wrote.
fn ops(stage: &Stage) -> Vec<StoreOp> {
    let op = |output: &Output| if let Output::Store(op) = output { Some(op.clone()) } else { None };
    stage.outputs.iter().filter_map(op).collect()
}

fn records(stage: &Stage) -> Vec<CallRecord> {
    ops(stage)
        .into_iter()
        .filter_map(|op| if let StoreOp::PutCallRecord(it) = op { Some(*it) } else { None })
        .collect()
}

fn open_calls(stage: &Stage) -> Vec<OpenCall> {
    ops(stage)
        .into_iter()
        .filter_map(|op| if let StoreOp::PutOpenCall(it) = op { Some(*it) } else { None })
        .collect()
}

/// The shard closes what it was told to; the records that follow.
fn close(stage: &mut Stage) -> Vec<CallRecord> {
    let mut found = records(stage);
    let closing: Vec<LegId> = stage
        .outputs
        .iter()
        .filter_map(Output::media)
        .filter_map(|command| if let Command::Close { leg } = command { Some(*leg) } else { None })
        .collect();
    for leg in closing {
        stage.input(Input::Media(Report::Closed { leg, figures: Box::default() }));
        found.extend(records(stage));
    }
    found
}

fn one(mut records: Vec<CallRecord>) -> CallRecord {
    let record = records.pop().expect("a record");
    assert!(records.is_empty(), "one record alone, not also {records:?}");
    record
}

fn happenings(record: &CallRecord) -> Vec<Happening> {
    record.journal.entries.iter().map(|entry| entry.what.clone()).collect()
}

/// What is kept of the only call.
fn kept(stage: &Stage) -> OpenCall {
    let mut open = open_calls(stage);
    assert_eq!(open.len(), 1, "one operation for each step");
    open.remove(0)
}

#[test]
fn a_call_is_kept_when_it_rings_and_when_it_is_answered_and_its_record_says_all_of_it() {
    let mut stage = Stage::new(2);
    stage.dial(&sdp(PCMU));
    assert!(open_calls(&stage).is_empty(), "nothing rings yet");
    stage.open_media();
    let ringing = kept(&stage);
    assert!(ringing.parties.is_empty() && ringing.record.missed && ringing.record.answered_unix_ms.is_none());
    let invites = stage.all_sent_to_callee(Method::Invite);
    stage.reply(&invites[0], "180 Ringing", "");
    assert!(open_calls(&stage).is_empty());
    stage.reply(&invites[1], "200 OK", &sdp(OTHER));
    let talking = kept(&stage);
    assert_eq!(
        talking.parties.iter().map(|party| party.side).collect::<Vec<_>>(),
        [EndedBy::Caller, EndedBy::Callee]
    );
    assert_eq!(talking.record.id, ringing.record.id);
    stage.response_to_caller(200);
    stage.ack("");
    stage.reply(&invites[0], "487 Request Terminated", "");
    stage.bye();
    let record = one(close(&mut stage));
    assert_eq!((&record.id, record.number), (&ringing.record.id, 1));
    assert_eq!((record.cause, record.ended_by, record.missed), (Cause::Completed, EndedBy::Caller, false));
    let outcomes: Vec<_> =
        record.attempts.iter().map(|attempt| (attempt.outcome, attempt.address.port())).collect();
    assert_eq!(outcomes, [(Outcome::Elsewhere, CALLEE), (Outcome::Answered, CALLEE + 1)]);
    assert!(record.attempts[0].rang_unix_ms.is_some() && record.attempts[1].rang_unix_ms.is_none());
    assert_eq!(record.attempts[1].ended_by, Some(EndedBy::Caller));
    assert_eq!(record.caller_codec.as_deref(), Some("PCMU/8000"));
    assert_eq!(record.callee_codec.as_deref(), Some("PCMU/8000"));
    assert_eq!(
        happenings(&record),
        [
            Happening::Began,
            Happening::Asked { attempt: 0 },
            Happening::Asked { attempt: 1 },
            Happening::Progress { attempt: 0, status: 180 },
            Happening::Answered { attempt: 1 },
            Happening::Ended { status: 200 },
        ]
    );
}

#[test]
fn members_who_ring_later_are_in_the_record_by_their_own_names() {
    let group = "[[group]]\nid = \"all\"\nnumbers = [\"600\"]\nmembers = [\"1001\"]\n\
                 [[group.member]]\nto = \"1002\"\ndelay_s = 5\n";
    let mut stage = Stage::with(&format!("{THIRD_USER}{group}"), "600", 1);
    stage.register("1002", THIRD);
    stage.register("1000", CALLER);
    stage.invite(&sdp(PCMU));
    let first = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&first, "180 Ringing", "");
    let (second, _) = stage.wait_for_sent(THIRD, Method::Invite);
    stage.reply(&second, "200 OK", &sdp(OTHER));
    stage.response_to_caller(200);
    stage.ack("");
    stage.bye();
    let record = one(close(&mut stage));
    let users: Vec<&[u8]> = record.attempts.iter().map(|attempt| &attempt.user[..]).collect();
    assert_eq!(users, [b"1001", b"1002"]);
    assert_eq!(record.attempts[1].outcome, Outcome::Answered);
}

#[test]
fn hold_and_resume_are_in_the_journal() {
    let mut stage = Stage::new(1);
    stage.talk();
    stage.re_invite(&sdp(&format!("{PCMU}a=sendonly\r\n")));
    stage.ack("");
    stage.re_invite(&sdp(PCMU));
    stage.ack("");
    stage.bye();
    let found = happenings(&one(close(&mut stage)));
    let by = EndedBy::Caller;
    assert!(
        found.windows(2).any(|two| two == [Happening::Held { by }, Happening::Resumed { by }]),
        "{found:?}"
    );
}

/// How a call to nobody ends, and the record.
fn missed(ending: impl Fn(&mut Stage, &Message)) -> CallRecord {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    ending(&mut stage, &invite);
    one(close(&mut stage))
}

#[test]
fn whoever_gives_up_or_is_not_answered_is_missed_once_with_the_cause() {
    let given_up = missed(|stage, _| stage.cancel());
    assert_eq!((given_up.cause, given_up.status, given_up.missed), (Cause::GaveUp, 487, true));
    assert_eq!(given_up.attempts[0].outcome, Outcome::GivenUp);
    let busy = missed(|stage, invite| stage.reply(invite, "486 Busy Here", ""));
    assert_eq!((busy.cause, busy.ended_by, busy.missed), (Cause::Busy, EndedBy::Callee, true));
    assert_eq!((busy.attempts[0].outcome, busy.attempts[0].status), (Outcome::Refused, Some(486)));
    let declined = missed(|stage, invite| stage.reply(invite, "603 Decline", ""));
    assert_eq!((declined.cause, declined.missed), (Cause::Declined, true));
    let unanswered = missed(|stage, _| stage.wait_for_response(480));
    assert_eq!((unanswered.cause, unanswered.missed), (Cause::NoAnswer, true));
    assert_eq!(unanswered.attempts[0].outcome, Outcome::NoAnswer);
}

#[test]
fn whom_no_phone_is_registered_for_misses_the_call_too_and_a_number_that_there_is_not_is_nobodys() {
    let mut stage = Stage::new(0);
    stage.dial(&sdp(PCMU));
    let record = one(records(&stage));
    assert_eq!((record.cause, record.status, record.missed), (Cause::Unregistered, 480, true));
    assert_eq!((&*record.caller, &*record.callee, record.number), ("1000", "1001", 0));
    assert_eq!(record.started_unix_ms, record.ended_unix_ms);
    stage.number = "4711".into();
    stage.dial_again(&sdp(PCMU));
    let record = one(records(&stage));
    assert_eq!((record.cause, record.status, record.missed), (Cause::UnknownNumber, 404, false));
}

#[test]
fn a_transfer_links_the_record_of_the_call_that_ends_with_that_of_the_one_that_goes_on() {
    let (mut stage, first, _) = talking();
    refer(&mut stage, "");
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    let ended = one(close(&mut stage));
    assert_eq!(ended.cause, Cause::Transferred);
    let into = ended.transferred_into.clone().expect("it went over to another call");
    stage.callee_sends(&first, "BYE", "");
    let went_on = one(close(&mut stage));
    assert_eq!((&went_on.id, went_on.referred_by.as_deref()), (&into, Some("1000")));
    assert_eq!(went_on.attempts.len(), 1);
}

/// The switch is killed, and started again with what its store has.
fn restart(stage: &mut Stage, open: Vec<OpenCall>) {
    let of = |OpenCall { record, parties }: OpenCall| Interrupted {
        run: 1,
        number: record.number,
        id: (&*record.id).into(),
        parties,
    };
    let config = softswitch::config::parse(
        "calls.toml",
        "[[listener]]\naddress = \"127.0.0.1:5060\"\n[[listener]]\naddress = \"127.0.0.1:5060\"\ntransport = \"tcp\"\n[[users]]\nfrom = 1000\nto = 1001\npassword = \"secret\"\n",
    );
    stage.switch = Switch::new([6; 32], config.expect("the configuration is valid"));
    stage.input(Input::Interrupted(open.into_iter().map(of).collect()));
}

#[test]
fn after_an_interruption_both_parties_hear_bye_with_reason_in_their_dialogs_and_are_forgotten() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    let open = open_calls(&stage);
    let answer = stage.response_to_caller(200);
    stage.ack("");
    restart(&mut stage, open);
    let to_caller = stage.sent_to(CALLER, Method::Bye);
    let to_callee = stage.sent_to(CALLEE, Method::Bye);
    assert!(to_caller.reasons().all(|reason| reason.is_sip(503)) && to_callee.reasons().count() == 1);
    assert_eq!(to_caller.call_id().unwrap(), answer.call_id().unwrap());
    assert_eq!(to_caller.from().unwrap().tag(), answer.to().unwrap().tag(), "our tag");
    assert_eq!(to_caller.to().unwrap().tag(), answer.from().unwrap().tag());
    assert_eq!(to_callee.call_id().unwrap(), invite.call_id().unwrap());
    assert_eq!(to_callee.from().unwrap().tag(), invite.from().unwrap().tag());
    assert!(to_callee.cseq().unwrap().number > invite.cseq().unwrap().number);
    assert!(to_callee.header(HeaderName::Contact).is_none());
    assert!(ops(&stage).contains(&StoreOp::ForgetInterrupted { run: 1, number: 1 }));
    let is_told = |output: &Output| match output {
        Output::Event(Told { event: Event::CallInterrupted { told, untold, .. }, .. }) => {
            (*told, *untold) == (2, 0)
        }
        _ => false,
    };
    assert!(stage.outputs.iter().any(is_told));
    stage.caller_replies(&to_caller, "200 OK", "");
    stage.reply(&to_callee, "481 Call/Transaction Does Not Exist", "");
    stage.pass(100);
    let held = stage.switch.holdings();
    assert_eq!((held.dialogs, held.byes, held.transactions), (0, 0, 0));
}

#[test]
fn a_party_behind_a_connection_is_called_over_a_new_one_where_that_can_be_and_else_that_is_said() {
    use sip_stack::transport::Transport;
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    let mut open = open_calls(&stage);
    let parties = &mut open[0].parties;
    (parties[0].transport, parties[0].peer) = (Transport::Tcp, ([127, 0, 0, 1], 40_001).into());
    parties[1].transport = Transport::Wss;
    restart(&mut stage, open);
    let sent: Vec<_> = stage.outputs.iter().filter_map(Output::transmit).map(|sent| sent.flow).collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].transport, sent[0].peer.port()),
        (Transport::Tcp, CALLER),
        "its Contact, not the connection"
    );
    let is_told = |output: &Output| match output {
        Output::Event(Told { event: Event::CallInterrupted { told, untold, .. }, .. }) => {
            (*told, *untold) == (1, 1)
        }
        _ => false,
    };
    assert!(stage.outputs.iter().any(is_told));
}

#[test]
fn many_parties_are_told_one_after_the_other() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    let open = open_calls(&stage).remove(0);
    let calls = (1..=200).map(|number| {
        let mut call = open.clone();
        call.record.number = number;
        for party in &mut call.parties {
            party.dialog.call_id = format!("call-{number}").into();
        }
        call
    });
    restart(&mut stage, calls.collect());
    assert_eq!(stage.all_sent_to(CALLER, Method::Bye).len(), 64);
    assert_eq!(stage.switch.holdings().byes, 128);
    stage.pass(1);
    assert_eq!(stage.switch.holdings().byes, 400);
    stage.pass(100);
    assert_eq!(stage.switch.holdings().byes, 0);
}

#[test]
fn a_store_that_was_emptied_is_given_registrations_and_calls_again() {
    let mut stage = Stage::new(1);
    stage.talk();
    stage.input(Input::Store(StoreEvent::Recovered { emptied: true }));
    let users: Vec<String> = ops(&stage)
        .iter()
        .filter_map(|op| if let StoreOp::PutBinding(it) = op { Some(it.key.user.to_string()) } else { None })
        .collect();
    assert_eq!(users, ["1001", "1000"]);
    assert_eq!(kept(&stage).parties.len(), 2);
}
