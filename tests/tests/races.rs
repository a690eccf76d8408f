//! Races, enumerated: whoever does whatever after whichever message of a flow. Nobody breaks a rule of the reference model, every
//! call ends once for everybody, and nothing is left.
//!
//! A race here is a deed after the n-th datagram that arrives, for every n; the network delays each datagram by its own time, so
//! that they arrive one by one, and sometimes overtake.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use sip_stack::message::Method;
use softphone::phone::{AccountId, Command, DigitWay, Rejection, Settings};
use std::net::SocketAddr;
use std::time::Duration;
use tests::model::Model;
use tests::model::town::Town;
use tests::model::user::Deed;
use tests::sim::scene::{self, LONG};
use tests::sim::{Faults, PhoneId, Step, World};

/// Nothing is lost; no two datagrams arrive at the same moment.
const UNEVEN: Faults = Faults { jitter: Duration::from_millis(2), ..Faults::NONE };
/// Longer than the messages of a step take.
const STEP: Duration = Duration::from_millis(300);
/// Longer than the steps of groups and follow-me.
const WAIT: Duration = Duration::from_millis(1_500);

/// What a user of a phone does in a call, whichever it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Call(&'static str),
    Answer,
    Reject,
    HangUp,
    Hold,
    Resume,
    Transfer(&'static str),
    Join,
    /// Presses keys, which its phone sends by INFO.
    Keys(&'static str),
    /// Does nothing for a second and a half: the next in a row is called.
    Wait,
}

/// What comes between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Incident {
    Act(usize, Act),
    /// The switch is killed and comes back.
    Restart,
    /// For longer than any transaction lives nothing arrives.
    Outage,
}

/// A flow: who does what, each when the messages of the one before have arrived. Phones 0 to 3 are 1001, 1002, 1003 and a second
/// one of 1002.
type Flow = &'static [(usize, Act)];

const FLOWS: [Flow; 18] = [
    &[(0, Act::Call("1002")), (1, Act::Answer), (0, Act::HangUp)],
    &[(0, Act::Call("1002")), (1, Act::Answer), (1, Act::HangUp)],
    &[(0, Act::Call("1002")), (1, Act::Reject), (3, Act::Reject)],
    &[(0, Act::Call("1002")), (0, Act::HangUp)],
    &[(0, Act::Call("1999"))],
    &[(0, Act::Call("1002")), (3, Act::Answer), (0, Act::Hold), (0, Act::Resume), (3, Act::Hold)],
    &[(0, Act::Call("1003")), (2, Act::Answer), (2, Act::Transfer("1002")), (1, Act::Answer)],
    &[
        (0, Act::Call("1003")),
        (2, Act::Answer),
        (0, Act::Transfer("1002")),
        (1, Act::Reject),
        (3, Act::Reject),
    ],
    &[
        (0, Act::Call("1003")),
        (2, Act::Answer),
        (2, Act::Call("1002")),
        (1, Act::Answer),
        (2, Act::Join),
        (0, Act::HangUp),
    ],
    // Park and retrieve; pickup and taking a call over.
    &[
        (0, Act::Call("1003")),
        (2, Act::Answer),
        (2, Act::Transfer("701")),
        (1, Act::Call("701")),
        (0, Act::HangUp),
    ],
    &[(0, Act::Call("1002")), (2, Act::Call("**1002")), (3, Act::Call("*9")), (2, Act::HangUp)],
    &[(0, Act::Call("3001")), (1, Act::Call("3001")), (0, Act::Hold), (1, Act::HangUp)],
    // Transfer and park by keys.
    &[(0, Act::Call("1003")), (2, Act::Answer), (0, Act::Keys("##1002#")), (1, Act::Answer)],
    &[
        (0, Act::Call("1003")),
        (2, Act::Answer),
        (2, Act::Keys("#7")),
        (2, Act::HangUp),
        (1, Act::Call("701")),
    ],
    // Forwarding that is set by code, and what comes of it.
    &[
        (2, Act::Call("*21*1002#")),
        (2, Act::Wait),
        (0, Act::Call("1003")),
        (3, Act::Answer),
        (0, Act::HangUp),
    ],
    // Groups: all at once, of whom one declines and one answers; and one after the other.
    &[(0, Act::Call("600")), (1, Act::Reject), (2, Act::Answer), (2, Act::HangUp)],
    &[(0, Act::Call("601")), (0, Act::Wait), (2, Act::Answer), (0, Act::HangUp)],
    // Follow-me: a step that nobody answers, and the next one.
    &[(0, Act::Call("1005")), (0, Act::Wait), (1, Act::Answer), (1, Act::HangUp)],
];

/// What the flows need beside the scene.
const FEATURES: &str = r#"
[features]
keys = true

[[group]]
id = "all"
domain = "a.example"
numbers = ["600"]
members = ["1002", "1003"]

[[group]]
id = "row"
domain = "a.example"
numbers = ["601"]
members = ["1002", "1003"]
strategy = "in-order"
ring_s = 1

[[user]]
domain = "a.example"
id = "1005"
password = "secret"

[[user.follow_me]]
to = "1003"
ring_s = 1

[[user.follow_me]]
to = "1002"
ring_s = 20
"#;

fn world() -> World {
    let mut world = World::new(1, &format!("{}{FEATURES}", scene::CONFIG), UNEVEN);
    world.model = Some(Model::default());
    for user in ["1001", "1002", "1003", "1002"] {
        let phone = world.add_phone(user, "a.example", "secret", Settings::default());
        world.command(phone, Command::Register).unwrap();
    }
    let registered = |world: &World| world.phones.iter().all(|handset| handset.phone.is_registered());
    assert!(world.run_until(LONG, registered));
    world
}

/// Does it, if it can be done as things are; whether it could.
fn act(world: &mut World, place: usize, act: Act) -> bool {
    let calls = world.phones[place].phone.call_ids();
    let account = AccountId::FIRST;
    let (first, last) = (calls.first().copied(), calls.last().copied());
    let commands = match (act, first, last) {
        (Act::Call(target), ..) => vec![Command::Call { account, target: target.into() }],
        (Act::Answer, _, Some(call)) => vec![Command::Answer { call }],
        (Act::Reject, _, Some(call)) => vec![Command::Reject { call, rejection: Rejection::Busy }],
        (Act::HangUp, ..) => calls.into_iter().map(|call| Command::HangUp { call }).collect(),
        (Act::Hold, _, Some(call)) => vec![Command::Hold { call }],
        (Act::Resume, _, Some(call)) => vec![Command::Resume { call }],
        (Act::Transfer(target), Some(call), _) => vec![Command::Transfer { call, target: target.into() }],
        (Act::Join, Some(call), Some(other)) => vec![Command::TransferTo { call, other }],
        (Act::Keys(digits), Some(call), _) => {
            vec![Command::Dial { call, digits: digits.into(), way: DigitWay::Info }]
        }
        (Act::Wait, ..) => vec![],
        (
            Act::Answer | Act::Reject | Act::Hold | Act::Resume | Act::Transfer(_) | Act::Join | Act::Keys(_),
            None | Some(_),
            None | Some(_),
        ) => vec![],
    };
    let phone = PhoneId(place);
    // All of them are to be tried.
    commands.into_iter().filter(|command| world.command(phone, command.clone()).is_ok()).count() > 0
}

/// Whether it makes any difference.
fn befall(world: &mut World, incident: Incident) -> bool {
    match incident {
        Incident::Act(place, what) => act(world, place, what),
        Incident::Restart => {
            world.restart_switch();
            true
        }
        Incident::Outage => {
            world.network.faults.loss_percent = 100;
            world.run_for(Duration::from_secs(70));
            world.network.faults.loss_percent = 0;
            true
        }
    }
}

/// Plays a flow; after so many messages there is an incident. `None`: there are not so many; else whether it made a difference.
fn play(flow: Flow, after: usize, incident: Incident) -> Option<bool> {
    let mut world = world();
    let wanted = world.arrived + after;
    let mut pending = true;
    for (place, what) in flow {
        act(&mut world, *place, *what);
        let until = world.now + if *what == Act::Wait { WAIT } else { STEP };
        loop {
            if pending && world.arrived >= wanted {
                pending = false;
                if !befall(&mut world, incident) {
                    return Some(false);
                }
            }
            if world.now >= until || world.step(until) == Step::Idle {
                break;
            }
        }
    }
    if pending {
        return None;
    }
    let about = format!("{flow:?}: {incident:?} after {after} messages");
    finish(&mut world, &about, incident == Incident::Restart);
    Some(true)
}

/// Everybody hangs up, those too who are called by what was under way.
fn finish(world: &mut World, about: &str, restarted: bool) {
    for _ in 0..10 {
        for place in 0..world.phones.len() {
            act(world, place, Act::HangUp);
        }
        world.run_for(Duration::from_secs(2));
        if world.phones.iter().all(|handset| handset.phone.calls() == 0) {
            break;
        }
    }
    let rested = world.run_to_rest(LONG);
    let now = world.now;
    let report = world.model.as_mut().map(|model| {
        model.end(now);
        model.report()
    });
    let story = || format!("{about}\n{}\n{}", world.trace.story(), report.clone().unwrap_or_default());
    assert!(rested && world.media_legs() == 0, "something is left\n{}", story());
    assert_eq!(report.as_deref(), Some(""), "{}", story());
    for handset in &world.phones {
        for (call, ear) in &handset.ears {
            assert!(
                ear.closed && handset.endings(*call).len() == 1,
                "call {call} has not ended once\n{}",
                story()
            );
        }
    }
    let ended =
        world.events.iter().filter(|event| matches!(event, softswitch::core::Event::CallEnded { .. }));
    assert!(restarted || ended.count() == world.database.of_begun(), "a record for each call\n{}", story());
}

/// Every flow, with an incident after each of its messages, or after `every` so many; the runs in which it made a difference.
fn enumerate(incidents: &[Incident], every: usize) -> usize {
    let mut played = 0;
    for flow in FLOWS {
        for incident in incidents {
            let outcomes = (0..).step_by(every).map_while(|after| play(flow, after, *incident));
            played += outcomes.filter(|difference| *difference).count();
        }
    }
    played
}

fn by<const N: usize>(who: [usize; N], what: Act) -> [Incident; N] {
    who.map(|place| Incident::Act(place, what))
}

/// Its CANCEL waits for a provisional response, which begins an early dialog (RFC 3261 §9.1).
#[test]
fn a_phone_that_rings_late_where_another_of_its_user_has_declined_leaves_no_dialog() {
    let group = FLOWS.iter().find(|flow| flow.contains(&(0, Act::Call("600")))).unwrap();
    for after in 0..8 {
        assert!(play(group, after, Incident::Act(1, Act::HangUp)).is_some());
    }
}

#[test]
fn whoever_hangs_up_after_whichever_message_nothing_is_left() {
    let played = enumerate(&by([0, 1, 2, 3], Act::HangUp), 1);
    assert!(played > 400, "{played}");
}

#[test]
fn whoever_holds_after_whichever_message_no_rule_is_broken() {
    let played = enumerate(&by([0, 1, 2], Act::Hold), 1);
    assert!(played > 150, "{played}");
}

#[test]
fn whoever_transfers_after_whichever_message_no_rule_is_broken() {
    let played = enumerate(&by([0, 2], Act::Transfer("1003")), 1);
    assert!(played > 100, "{played}");
}

#[test]
fn whoever_answers_or_refuses_after_whichever_message_no_rule_is_broken() {
    let played = enumerate(&by([1], Act::Answer), 1) + enumerate(&by([3], Act::Reject), 1);
    assert!(played > 80, "{played}");
}

#[test]
fn a_restart_of_the_switch_or_an_outage_after_whichever_message_leaves_nothing() {
    let played = enumerate(&[Incident::Restart], 2) + enumerate(&[Incident::Outage], 4);
    assert!(played > 100, "{played}");
}

/// Two of a call that goes on do something within so few milliseconds that their messages cross.
#[test]
fn whatever_two_do_at_once_in_a_call_no_rule_is_broken() {
    let acts = [Act::HangUp, Act::Hold, Act::Transfer("1002"), Act::Transfer("1999")];
    for one in acts {
        for other in acts {
            for (first, second) in [(0, 2), (2, 0)] {
                for apart_ms in 0..5 {
                    let mut world = world();
                    act(&mut world, 0, Act::Call("1003"));
                    world.run_for(STEP);
                    act(&mut world, 2, Act::Answer);
                    world.run_for(STEP);
                    act(&mut world, first, one);
                    world.run_for(Duration::from_millis(apart_ms));
                    act(&mut world, second, other);
                    world.run_for(Duration::from_secs(6));
                    finish(
                        &mut world,
                        &format!("{first} {one:?}, {apart_ms} ms later {second} {other:?}"),
                        false,
                    );
                }
            }
        }
    }
}

/// What bare endpoints do in the second place, and in which state: the caller is 0, those who may be called are 1 and 2.
const DEEDS: [Deed; 8] = [
    Deed::Answer,
    Deed::Refuse,
    Deed::Ring,
    Deed::Cancel,
    Deed::HangUp,
    Deed::Change,
    Deed::Ask(Method::Update),
    Deed::Ask(Method::Info),
];

/// Users of bare endpoints; `called` is whom the first one calls: another, or all others at once.
fn town(fork: bool) -> (Town, SocketAddr) {
    let mut town = Town::new(2, 3, UNEVEN);
    let called = if fork { town.fork(&[1, 2]) } else { town.users[1].address() };
    (town, called)
}

/// Two deeds, the second after so many messages of the first; whether it came to that.
fn cross(fork: bool, answered: bool, deeds: [(usize, Deed); 2], after: usize) -> bool {
    let (mut town, called) = town(fork);
    town.act(0, Deed::Call(called));
    town.run_for(STEP);
    if answered {
        town.act(1, Deed::Answer);
        town.run_for(STEP);
    }
    let [(one, first), (other, second)] = deeds;
    let quiet = town.left.len();
    town.act(one, first);
    if town.left.len() == quiet {
        // It could not be done as things are.
        return false;
    }
    let before = town.arrived;
    town.run_to_arrival(after);
    let came = town.arrived == before + after;
    let quiet = town.left.len();
    town.act(other, second);
    if town.left.len() == quiet {
        return came;
    }
    town.run_for(STEP);
    town.finish();
    let report = town.model.report();
    assert!(report.is_empty(), "fork {fork}, answered {answered}, {deeds:?} after {after}\n{}", town.story());
    came
}

#[test]
fn whatever_two_endpoints_do_at_once_before_and_after_the_answer_no_rule_is_broken() {
    for (fork, answered, users) in [(false, false, 2), (false, true, 2), (true, false, 3), (true, true, 3)] {
        for one in 0..users {
            for other in 0..users {
                for first in DEEDS {
                    for second in DEEDS {
                        let deeds = [(one, first), (other, second)];
                        let _most = (0..4).take_while(|after| cross(fork, answered, deeds, *after)).count();
                    }
                }
            }
        }
    }
}

/// Of those who were called at once all answer: the second before anything was heard of the first, or later and later.
#[test]
fn two_answers_of_a_fork_are_both_acknowledged_and_one_is_ended() {
    for after in 0..8 {
        let (mut town, called) = town(true);
        town.act(0, Deed::Call(called));
        town.run_for(STEP);
        town.act(1, Deed::Answer);
        town.run_to_arrival(after.min(2));
        town.run_for(Duration::from_secs(3 * after as u64));
        town.act(2, Deed::Answer);
        town.run_for(Duration::from_secs(2));
        let dialogs = [0, 1, 2].map(|place| town.model.dialogs(town.users[place].address()));
        assert_eq!(dialogs, [1, 1, 0], "after {after}\n{}", town.story());
        town.finish();
        assert_eq!(town.model.report(), "", "after {after}\n{}", town.story());
    }
}

/// The caller gives up while the answer is on its way, at each moment.
#[test]
fn a_cancel_and_a_2xx_that_cross_end_in_a_bye() {
    for fork in [false, true] {
        for after in 0..4 {
            let (mut town, called) = town(fork);
            town.act(0, Deed::Call(called));
            town.run_for(STEP);
            town.act(0, Deed::Cancel);
            town.run_to_arrival(0);
            town.act(1, Deed::Answer);
            town.run_to_arrival(after);
            town.run_for(Duration::from_secs(40));
            let dialogs = [0, 1, 2].map(|place| town.model.dialogs(town.users[place].address()));
            assert_eq!(dialogs, [0, 0, 0], "after {after}\n{}", town.story());
            town.finish();
            assert_eq!(town.model.report(), "", "after {after}\n{}", town.story());
        }
    }
}
