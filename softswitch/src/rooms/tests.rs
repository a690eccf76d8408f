//! The machine alone, in virtual time.

use super::meeting::{Arrival, Meeting, Place};
use super::order::{NotDone, Order};
use super::output::{News, Output, Words};
use super::person::{Standing, Who};
use super::rules::{Code, Rules, Signal};
use core::time::Duration;
use media::mix::{Gain, Role};
use sip_stack::Time;
use std::sync::Arc;

struct World {
    meeting: Meeting,
    now: Time,
}

impl World {
    fn new(rules: Rules) -> World {
        World { meeting: Meeting::new(Arc::new(rules)), now: Time(1) }
    }

    fn outputs(&mut self) -> Vec<Output> {
        core::iter::from_fn(|| self.meeting.poll_output()).collect()
    }

    /// Without what is only told.
    fn done(&mut self) -> Vec<Output> {
        self.outputs().into_iter().filter(|output| !matches!(output, Output::Tell(_))).collect()
    }

    fn arrive(&mut self, who: Who, arrival: Arrival) -> (Place, Vec<Output>) {
        let place = self.meeting.handle_arrival(self.now, who, arrival);
        assert_eq!(self.outputs(), [], "nobody hears anything before its phone has acknowledged our answer");
        self.meeting.handle_present(self.now, who);
        (place, self.done())
    }

    fn call(&mut self, who: Who) -> (Place, Vec<Output>) {
        self.arrive(who, Arrival::Calls)
    }

    fn press(&mut self, who: Who, keys: &str) -> Vec<Output> {
        keys.chars().for_each(|key| self.meeting.handle_key(self.now, who, key));
        self.done()
    }

    fn pass(&mut self, seconds: u64, who: Who) -> Vec<Output> {
        self.now = self.now + Duration::from_secs(seconds);
        if self.meeting.deadline(who).is_some_and(|due| due <= self.now) {
            self.meeting.handle_timeout(self.now, who);
        }
        self.done()
    }

    fn order(&mut self, order: Order) -> Vec<Output> {
        assert_eq!(self.meeting.handle_order(order), Ok(()));
        self.done()
    }
}

fn room() -> Rules {
    Rules { is_ad_hoc: false, ..Rules::default() }
}

fn with_codes() -> Rules {
    Rules { pin: Code::parse("2580"), moderator_pin: Code::parse("4711"), ..room() }
}

const INSIDE: Place = Place::Room(Role::Participant);

#[test]
fn whoever_calls_a_plain_room_is_in_and_nobody_is_told_anything() {
    let mut world = World::new(room());
    assert_eq!(world.call(1), (INSIDE, Vec::new()));
    assert_eq!(world.call(2), (INSIDE, Vec::new()));
    let people = world.meeting.people();
    assert_eq!(
        people.iter().map(|person| (person.who, person.standing)).collect::<Vec<_>>(),
        [(1, Standing::Member), (2, Standing::Member)]
    );
}

#[test]
fn the_right_code_is_taken_with_its_last_digit_and_tells_who_is_a_moderator() {
    let mut world = World::new(with_codes());
    assert_eq!(world.call(1), (Place::Lobby, vec![Output::Say(1, Words::EnterPin)]));
    assert_eq!(world.press(1, "258"), []);
    assert_eq!(world.press(1, "0"), [Output::Enter(1, Role::Participant)]);
    world.call(2);
    assert_eq!(world.press(2, "4711"), [Output::Enter(2, Role::Participant)]);
    assert!(world.meeting.is_moderator(2) && !world.meeting.is_moderator(1));
}

#[test]
fn a_code_may_be_wrong_twice_and_the_third_time_is_the_end() {
    let mut world = World::new(with_codes());
    world.call(1);
    assert_eq!(world.press(1, "1111"), [Output::Say(1, Words::WrongPin)]);
    assert_eq!(world.press(1, "25#"), [Output::Say(1, Words::WrongPin)]);
    assert_eq!(world.press(1, "9"), []);
    assert_eq!(world.pass(4, 1), []);
    assert_eq!(world.pass(2, 1), [Output::SendAway(1, Words::WrongPin)], "a pause ends a code");
    assert_eq!(world.press(1, "2580"), [], "it is too late");
    assert!(world.meeting.people().is_empty());
}

#[test]
fn who_dials_no_code_at_all_is_asked_three_times() {
    let mut world = World::new(with_codes());
    world.call(1);
    assert_eq!(world.pass(15, 1), [Output::Say(1, Words::WrongPin)]);
    assert_eq!(world.pass(15, 1), [Output::Say(1, Words::WrongPin)]);
    assert_eq!(world.pass(15, 1), [Output::SendAway(1, Words::WrongPin)]);
}

#[test]
fn where_moderators_alone_have_a_code_others_come_in_without_one() {
    let mut world = World::new(Rules { moderator_pin: Code::parse("4711"), ..room() });
    world.call(1);
    assert_eq!(world.press(1, "#"), [Output::Enter(1, Role::Participant)]);
    assert!(!world.meeting.is_moderator(1));
}

#[test]
fn those_who_wait_for_a_moderator_come_in_with_the_first() {
    let mut world = World::new(Rules { wait_for_moderator: true, ..with_codes() });
    world.call(1);
    assert_eq!(world.press(1, "2580"), [Output::Hold(1)]);
    world.call(2);
    assert_eq!(world.press(2, "2580"), [Output::Hold(2)]);
    world.call(3);
    let enter = |who| Output::Enter(who, Role::Participant);
    assert_eq!(world.press(3, "4711"), [enter(3), enter(1), enter(2)]);
    world.call(4);
    assert_eq!(world.press(4, "2580"), [enter(4)]);
}

#[test]
fn a_named_moderator_needs_no_code_and_passes_a_lock() {
    let mut world = World::new(with_codes());
    assert_eq!(world.arrive(1, Arrival::CallsAsModerator), (INSIDE, Vec::new()));
    assert_eq!(world.press(1, "*2"), [Output::Say(1, Words::Locked)]);
    world.call(2);
    assert_eq!(world.press(2, "2580"), [Output::SendAway(2, Words::Locked)]);
    assert_eq!(world.arrive(3, Arrival::CallsAsModerator).0, INSIDE);
    assert_eq!(world.arrive(4, Arrival::Brought).0, INSIDE, "who is brought passes as well");
    assert_eq!(world.press(1, "*2"), [Output::Say(1, Words::Unlocked)]);
    world.call(5);
    assert_eq!(world.press(5, "2580"), [Output::Enter(5, Role::Participant)]);
}

#[test]
fn a_full_room_takes_nobody_until_somebody_goes() {
    let mut world = World::new(Rules { most: 2, ..room() });
    world.call(1);
    world.call(2);
    assert_eq!(world.call(3), (Place::Lobby, vec![Output::SendAway(3, Words::Full)]));
    world.meeting.handle_departure(2);
    assert_eq!(world.outputs(), [Output::Tell(News::Left(2))]);
    assert_eq!(world.call(4).0, INSIDE);
}

#[test]
fn who_is_muted_by_a_moderator_cannot_speak_by_itself() {
    let mut world = World::new(room());
    world.call(1);
    assert_eq!(world.press(1, "*1"), [Output::Assign(1, Role::Muted), Output::Say(1, Words::Muted)]);
    assert_eq!(world.press(1, "*1"), [Output::Assign(1, Role::Participant), Output::Say(1, Words::Unmuted)]);
    assert_eq!(
        world.order(Order::Mute(1, true)),
        [Output::Assign(1, Role::Muted), Output::Say(1, Words::Muted)]
    );
    assert_eq!(world.press(1, "*1"), [Output::Say(1, Words::ModeratorsOnly)]);
    assert_eq!(
        world.order(Order::Mute(1, false)),
        [Output::Assign(1, Role::Participant), Output::Say(1, Words::Unmuted)]
    );
}

#[test]
fn mute_all_leaves_moderators_alone_and_holds_for_those_who_come_later() {
    let mut world = World::new(room());
    world.arrive(1, Arrival::CallsAsModerator);
    world.call(2);
    assert_eq!(world.press(2, "*5"), [Output::Say(2, Words::ModeratorsOnly)]);
    assert_eq!(
        world.press(1, "*5"),
        [Output::Assign(2, Role::Muted), Output::Say(2, Words::Muted), Output::Say(1, Words::AllMuted)]
    );
    assert_eq!(world.call(3), (Place::Room(Role::Muted), vec![Output::Say(3, Words::Muted)]));
    let told = world.press(1, "*5");
    assert!(told.contains(&Output::Assign(2, Role::Participant)), "{told:?}");
    assert!(told.contains(&Output::Assign(3, Role::Participant)), "{told:?}");
}

#[test]
fn who_is_muted_on_entry_may_speak_when_it_likes() {
    let mut world = World::new(Rules { mute_on_entry: true, ..room() });
    assert_eq!(world.call(1), (Place::Room(Role::Muted), vec![Output::Say(1, Words::Muted)]));
    assert_eq!(world.press(1, "*1"), [Output::Assign(1, Role::Participant), Output::Say(1, Words::Unmuted)]);
}

#[test]
fn the_last_who_came_is_sent_away_and_heard_by_nobody_from_then_on() {
    let mut world = World::new(Rules { signal: Signal::Tones, ..room() });
    world.arrive(1, Arrival::CallsAsModerator);
    world.call(2);
    world.call(3);
    assert_eq!(
        world.press(1, "*3"),
        [
            Output::Assign(3, Role::Muted),
            Output::Signal { comes: false },
            Output::SendAway(3, Words::Removed)
        ]
    );
    world.meeting.handle_departure(3);
    assert_eq!(world.outputs(), [], "it left when it was sent away");
    assert_eq!(world.meeting.handle_order(Order::Kick(3)), Err(NotDone));
}

#[test]
fn a_room_may_end_with_its_last_moderator() {
    let mut world = World::new(Rules { end_with_moderator: true, ..room() });
    world.arrive(1, Arrival::CallsAsModerator);
    world.arrive(2, Arrival::CallsAsModerator);
    world.call(3);
    world.meeting.handle_departure(1);
    assert_eq!(world.done(), []);
    world.meeting.handle_departure(2);
    let told = world.done();
    assert!(told.contains(&Output::SendAway(3, Words::Ended)), "{told:?}");
}

#[test]
fn in_a_room_that_was_made_by_being_dialled_who_is_there_longest_is_the_moderator() {
    let mut world = World::new(Rules::default());
    world.call(1);
    world.call(2);
    world.call(3);
    assert!(world.meeting.is_moderator(1) && !world.meeting.is_moderator(2));
    world.meeting.handle_departure(1);
    assert!(world.meeting.is_moderator(2) && !world.meeting.is_moderator(3));
}

#[test]
fn a_listener_hears_and_is_heard_by_nobody() {
    let mut world = World::new(room());
    world.call(1);
    assert_eq!(world.order(Order::Stand(1, Standing::Listener)), [Output::Assign(1, Role::Monitor)]);
    assert_eq!(world.press(1, "*1"), [Output::Say(1, Words::ModeratorsOnly)]);
    assert_eq!(world.order(Order::Stand(1, Standing::Member)), [Output::Assign(1, Role::Participant)]);
}

#[test]
fn volume_goes_by_steps_and_has_an_end() {
    let mut world = World::new(room());
    world.call(1);
    assert_eq!(world.press(1, "*9"), [Output::Amplify(1, Gain::decibels(3.0))]);
    for _ in 0..9 {
        world.press(1, "*9");
    }
    assert_eq!(world.meeting.people()[0].gain_db, 12);
    assert_eq!(world.order(Order::Gain(1, -100)), [Output::Amplify(1, Gain::decibels(-12.0))]);
}

#[test]
fn a_star_is_forgotten_after_five_seconds_and_digits_alone_mean_nothing() {
    let mut world = World::new(room());
    world.call(1);
    assert_eq!(world.press(1, "1"), []);
    assert_eq!(world.press(1, "*"), []);
    assert_eq!(world.pass(5, 1), []);
    assert_eq!(world.press(1, "1"), []);
    assert_eq!(world.press(1, "**1").len(), 2);
}

#[test]
fn who_talks_and_who_speaks_is_told_of_those_who_are_heard() {
    let mut world = World::new(room());
    world.call(1);
    world.outputs();
    world.meeting.handle_talk(1, true);
    world.meeting.handle_speaker(Some(1));
    world.meeting.handle_speaker(Some(1));
    let told = [Output::Tell(News::Talks(1, true)), Output::Tell(News::Speaker(Some(1)))];
    assert_eq!(world.outputs(), told);
    world.meeting.handle_order(Order::Mute(1, true)).unwrap();
    assert!(world.outputs().contains(&Output::Tell(News::Talks(1, false))));
    world.meeting.handle_talk(1, true);
    world.meeting.handle_speaker(Some(7));
    assert_eq!(world.outputs(), [Output::Tell(News::Speaker(None))], "a muted one talks to nobody");
}

mod lots {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Deed {
        Call(Who, bool),
        Go(Who),
        Press(Who, &'static str),
        Order(u8, Who, bool),
    }

    fn deed() -> impl Strategy<Value = Deed> {
        let keys = prop::sample::select(vec!["*1", "*2", "*3", "*5", "*6", "*7", "2580", "4711", "#"]);
        prop_oneof![
            (0..6_u64, any::<bool>()).prop_map(|(who, named)| Deed::Call(who, named)),
            (0..6_u64).prop_map(Deed::Go),
            (0..6_u64, keys).prop_map(|(who, keys)| Deed::Press(who, keys)),
            (0..7_u8, 0..6_u64, any::<bool>()).prop_map(|(order, who, on)| Deed::Order(order, who, on)),
        ]
    }

    proptest! {
        /// Whatever happens, the roles that came out are those the machine knows, and nobody is in who was told to go.
        #[test]
        fn the_roles_that_came_out_are_those_of_who_is_in(
            deeds in prop::collection::vec(deed(), 1..80),
            wait in any::<bool>(),
            ends in any::<bool>(),
            ad_hoc in any::<bool>(),
        ) {
            let rules = Rules { wait_for_moderator: wait, end_with_moderator: ends, is_ad_hoc: ad_hoc, most: 4, ..with_codes() };
            let mut meeting = Meeting::new(Arc::new(rules));
            let mut roles = std::collections::BTreeMap::new();
            let mut calls = std::collections::BTreeSet::new();
            for deed in deeds {
                match deed {
                    Deed::Call(who, named) if calls.insert(who) => {
                        let arrival = if named { Arrival::CallsAsModerator } else { Arrival::Calls };
                        if let Place::Room(role) = meeting.handle_arrival(Time(1), who, arrival) {
                            roles.insert(who, role);
                        }
                        meeting.handle_present(Time(1), who);
                    }
                    Deed::Call(..) => {}
                    Deed::Go(who) => {
                        meeting.handle_departure(who);
                        roles.remove(&who);
                        calls.remove(&who);
                    }
                    Deed::Press(who, keys) => keys.chars().for_each(|key| meeting.handle_key(Time(1), who, key)),
                    Deed::Order(order, who, on) => {
                        let order = match order {
                            0 => Order::Lock(on),
                            1 => Order::MuteAll(on),
                            2 => Order::Mute(who, on),
                            3 => Order::Kick(who),
                            4 => Order::Stand(who, if on { Standing::Listener } else { Standing::Moderator }),
                            5 => Order::Stand(who, Standing::Member),
                            _ => Order::Gain(who, 3),
                        };
                        let _ = meeting.handle_order(order);
                    }
                }
                let mut gone = Vec::new();
                while let Some(output) = meeting.poll_output() {
                    match output {
                        Output::Enter(who, role) => { roles.insert(who, role); }
                        Output::Assign(who, role) => { prop_assert!(roles.insert(who, role).is_some()); }
                        Output::SendAway(who, _) => gone.push(who),
                        Output::Amplify(..) | Output::Say(..) | Output::Count(..) | Output::Hold(_)
                        | Output::Signal { .. } | Output::Tell(_) => {}
                    }
                }
                for who in gone {
                    roles.remove(&who);
                }
                let inside: Vec<(Who, bool)> = meeting.people().into_iter()
                    .filter(|person| !person.waits)
                    .map(|person| (person.who, person.muted))
                    .collect();
                let mut known: Vec<(Who, bool)> =
                    roles.iter().map(|(who, role)| (*who, !role.is_heard_by_all())).collect();
                known.sort_unstable();
                let mut inside = inside;
                inside.sort_unstable();
                prop_assert_eq!(inside, known);
            }
        }
    }
}
