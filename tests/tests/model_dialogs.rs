//! The reference model of dialogs looks on while users of bare endpoints, and phones around the switch, do whatever the lots
//! say over networks that lose, double and reorder: nobody breaks a rule, everybody agrees who is in which dialog, nothing is
//! left. And the model finds each fault that is planted.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use sip_stack::message::Method;
use sip_stack::random::Random;
use softphone::phone::{AccountId, AutoAnswer, Command, Rejection, Settings};
use std::time::Duration;
use tests::model::Model;
use tests::model::sabotage::{Fault, Saboteur};
use tests::model::tape::{Slip, judged};
use tests::model::town::Town;
use tests::model::user::Deed;
use tests::sim::scene::{self, LONG};
use tests::sim::{Faults, PhoneId, SWITCH, World};

/// Longer than any transaction lives.
const QUIET: Duration = Duration::from_secs(140);
/// Longer than what lingers of an answered request, where nobody rings for long.
const SHORT: Duration = Duration::from_secs(45);
const USERS: usize = 4;

/// What users do, each after so much time; addresses behind which there are two are called in every fifth call.
#[derive(Clone, Debug)]
struct Play {
    seed: u64,
    faults: Faults,
    deeds: Vec<(Duration, usize, Deed)>,
}

fn lots(seed: u64) -> Random {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Random::new(bytes)
}

fn faults(seed: u64) -> Faults {
    match seed % 3 {
        0 => Faults::NONE,
        1 => Faults::lossy(5),
        _ => Faults::lossy(20),
    }
}

/// How long it is until the next deed: mostly no time, or about as long as a message needs; or `quiet`.
fn pause(random: &mut Random, quiet: Duration) -> Duration {
    match random.next_u32() % 16 {
        0..4 => Duration::ZERO,
        4..10 => Duration::from_millis(u64::from(random.next_u32() % 60)),
        10..15 => Duration::from_millis(u64::from(random.next_u32() % 3_000)),
        _ => quiet,
    }
}

impl Play {
    fn new(seed: u64) -> Play {
        let mut random = lots(seed);
        let town = Town::new(seed, USERS, Faults::NONE);
        let fork = Town::new(seed, USERS, Faults::NONE).fork(&[]);
        let deeds = (0..24).map(|_| {
            let user = random.next_u32() as usize % USERS;
            let other = town.users[(user + 1 + random.next_u32() as usize % (USERS - 1)) % USERS].address();
            let deed = match random.next_u32() % 16 {
                0..3 => Deed::Call(other),
                // Those behind the fork are the last two.
                3 if user < 2 => Deed::Call(fork),
                3..7 => Deed::Answer,
                7 => Deed::Refuse,
                8 => Deed::Ring,
                9 => Deed::Cancel,
                10..12 => Deed::HangUp,
                12..14 => Deed::Change,
                14 => Deed::Ask(Method::Info),
                _ => Deed::Ask(Method::Update),
            };
            (pause(&mut random, QUIET), user, deed)
        });
        Play { seed, faults: faults(seed), deeds: deeds.collect() }
    }

    fn perform(&self, saboteur: Option<Saboteur>) -> Town {
        let mut town = Town::new(self.seed, USERS, self.faults);
        town.saboteur = saboteur;
        town.fork(&[2, 3]);
        for (pause, user, deed) in &self.deeds {
            town.run_for(*pause);
            if town.saboteur.is_none() {
                assert_agreed(&town);
            }
            town.act(*user, *deed);
        }
        town.finish();
        town
    }
}

/// While nothing goes on, each endpoint has the dialogs that the wire tells of.
fn assert_agreed(town: &Town) {
    let idle = town.users.iter().all(|user| user.endpoint.transactions() == 0);
    if idle && town.network.is_empty() {
        for user in &town.users {
            let told = town.model.dialogs(user.address());
            assert_eq!(user.endpoint.dialogs(), told, "{}\n{}", user.address(), town.story());
        }
    }
}

#[test]
fn whatever_users_do_no_endpoint_breaks_a_rule_and_nothing_is_left() {
    for seed in 0..runs(150) {
        let town = Play::new(seed).perform(None);
        assert!(town.model.complaints().is_empty(), "seed {seed}\n{}", town.story());
    }
}

/// How many seeds are tried: more on request.
fn runs(usual: u64) -> u64 {
    std::env::var("MODEL_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(usual)
}

/// A fault is planted; of the runs in which it is committed, the model complains for the right reason in three at least.
fn assert_caught(fault: Fault) {
    let (_, reasons) = Fault::ALL.into_iter().find(|(known, _)| *known == fault).unwrap();
    let (mut committed, mut caught) = (0, 0);
    for seed in 0..200 {
        let town = Play::new(seed).perform(Some(Saboteur::new(fault)));
        committed += u32::from(town.saboteur.as_ref().is_some_and(|saboteur| saboteur.deeds() > 0));
        let said = town.model.complaints().iter().any(|complaint| reasons.contains(&complaint.offence));
        caught += u32::from(said);
        if caught == 3 {
            return;
        }
    }
    panic!("{fault:?}: committed in {committed} runs, caught in {caught}");
}

macro_rules! planted {
    ($($name:ident $fault:ident)*) => {
        const PLANTED: &[Fault] = &[$(Fault::$fault),*];
        $(#[test]
        fn $name() {
            assert_caught(Fault::$fault);
        })*
    };
}

planted! {
    an_ack_that_is_not_repeated_is_caught AckOnce
    an_ack_that_never_leaves_is_caught AckNever
    an_ack_with_another_number_is_caught AckCseq
    another_ack_for_the_same_2xx_is_caught AckAnew
    a_wrong_tag_is_caught WrongTag
    a_second_bye_is_caught SecondBye
    a_request_after_the_bye_is_caught InfoAfterBye
    a_cancel_without_an_answer_is_caught CancelUnanswered
    an_invite_that_is_given_up_and_never_answered_is_caught InviteUnanswered
    a_timer_that_runs_on_is_caught TimerRunsOn
    a_2xx_after_its_ack_is_caught DeafToAck
    a_bye_that_is_not_heard_is_caught DeafToBye
    a_number_that_is_used_twice_is_caught CseqReused
    a_dialog_that_is_denied_is_caught DialogDenied
    an_invite_during_an_invite_is_caught SecondInvite
    a_2xx_that_changes_is_caught AnswerAnew
    a_wrong_target_is_caught WrongTarget
    a_prack_that_never_leaves_is_caught PrackNever
    a_prack_for_nothing_is_caught PrackOther
    a_cancel_before_any_response_is_caught EarlyCancel
}

#[test]
fn every_fault_that_can_be_planted_is() {
    assert_eq!(PLANTED, Fault::ALL.map(|(fault, _)| fault));
}

/// Phones around the switch; the users do what the lots say.
fn party(seed: u64) -> World {
    let mut random = lots(!seed);
    let mut world = scene::world(seed, faults(seed));
    world.model = Some(Model::default());
    let phones: Vec<PhoneId> = ["1001", "1002", "1003"]
        .map(|user| world.add_phone(user, "a.example", "secret", Settings::default()))
        .into();
    for phone in &phones {
        world.command(*phone, Command::Register).unwrap();
    }
    assert!(world.run_until(LONG, |world| world.phones.iter().all(|handset| handset.phone.is_registered())));
    for _ in 0..24 {
        let pause = pause(&mut random, SHORT);
        world.run_for(pause);
        assert_phones_agree(&world);
        let phone = phones[random.next_u32() as usize % phones.len()];
        // What cannot be done as things are is not done.
        let _refused = command(&world, phone, &mut random).map(|command| world.command(phone, command));
    }
    hang_up_everywhere(&mut world);
    world
}

fn command(world: &World, phone: PhoneId, random: &mut Random) -> Option<Command> {
    let calls = world.phone(phone).phone.call_ids();
    let target: Box<str> = ["1001", "1001", "1002", "1002", "1003", "1003", "3001", "1999"]
        [random.next_u32() as usize % 8]
        .into();
    let account = AccountId::FIRST;
    let lot = random.next_u32() % 20;
    if lot < 5 || calls.is_empty() {
        return (lot < 10).then_some(Command::Call { account, target });
    }
    let call = calls[random.next_u32() as usize % calls.len()];
    Some(match lot {
        5..10 => Command::Answer { call },
        10 => Command::Reject { call, rejection: Rejection::Busy },
        11 => Command::Reject { call, rejection: Rejection::Decline },
        12 | 13 => Command::HangUp { call },
        14 | 15 => Command::Hold { call },
        16 => Command::Resume { call },
        17 => Command::Transfer { call, target },
        18 => Command::TransferTo { call, other: *calls.iter().find(|other| **other != call)? },
        _ => Command::Write { account, target, text: "hello".into() },
    })
}

fn assert_phones_agree(world: &World) {
    let switch = world.switch.holdings();
    let transactions = world.phones.iter().map(|handset| handset.phone.transactions()).sum::<usize>();
    let Some(model) = &world.model else { return };
    if switch.transactions + transactions == 0 && world.network.is_empty() {
        let told = (switch.dialogs, model.dialogs(SWITCH));
        assert_eq!(told.0, told.1, "the switch\n{}\n{}", world.trace.story(), model.report());
        for handset in &world.phones {
            let told = (handset.phone.dialogs(), model.dialogs(handset.address));
            assert_eq!(told.0, told.1, "{}\n{}\n{}", handset.address, world.trace.story(), model.report());
        }
    }
}

/// Everybody hangs up, those too who are called by what was under way.
fn hang_up_everywhere(world: &mut World) {
    for _ in 0..40 {
        for place in 0..world.phones.len() {
            for call in world.phones[place].phone.call_ids() {
                // A call that is given up already cannot be given up again.
                let _over = world.command(PhoneId(place), Command::HangUp { call });
            }
        }
        world.run_for(Duration::from_secs(5));
        if world.is_at_rest() {
            break;
        }
    }
    scene::assert_all_over(world);
    let now = world.now;
    if let Some(model) = &mut world.model {
        model.end(now);
    }
}

#[test]
fn whatever_phones_do_neither_they_nor_the_switch_break_a_rule_and_nothing_is_left() {
    for seed in 0..runs(40) {
        let world = party(seed);
        let report = world.model.as_ref().unwrap().report();
        assert!(report.is_empty(), "seed {seed}\n{}\n{report}", world.trace.story());
    }
}

#[test]
fn the_model_sees_nothing_wrong_in_a_call_that_is_answered_by_itself() {
    let mut world = scene::world(1, Faults::lossy(20));
    world.model = Some(Model::default());
    let caller = scene::registered(&mut world, "1001", AutoAnswer::Never);
    scene::registered(&mut world, "1002", AutoAnswer::Always);
    scene::dial(&mut world, caller, "1002");
    world.run_for(Duration::from_secs(30));
    hang_up_everywhere(&mut world);
    assert_eq!(world.model.unwrap().report(), "");
}

/// Phones that watch each other and call; in the end they hang up and unregister. What has passed.
fn watching(seed: u64) -> World {
    let mut random = lots(seed ^ 0x5eed);
    let mut world = scene::world(seed, faults(seed));
    (world.model, world.tape) = (Some(Model::default()), Some(Vec::new()));
    let phones: Vec<PhoneId> = ["1001", "1002", "1003"]
        .map(|user| world.add_phone(user, "a.example", "secret", Settings::default()))
        .into();
    let account = AccountId::FIRST;
    for (place, phone) in phones.iter().enumerate() {
        let target: Box<str> = ["1002", "1003", "1001"][place].into();
        world.command(*phone, Command::Watch { account, target, wanted: true }).unwrap();
        world.command(*phone, Command::WatchMailbox { account, wanted: true }).unwrap();
        world.command(*phone, Command::Register).unwrap();
    }
    assert!(world.run_until(LONG, |world| world.phones.iter().all(|handset| handset.phone.is_registered())));
    for _ in 0..16 {
        world.run_for(pause(&mut random, SHORT));
        let phone = phones[random.next_u32() as usize % phones.len()];
        let _refused = command(&world, phone, &mut random).map(|command| world.command(phone, command));
    }
    for phone in &phones {
        for call in world.phone(*phone).phone.call_ids() {
            let _over = world.command(*phone, Command::HangUp { call });
        }
    }
    world.run_for(Duration::from_secs(40));
    for phone in &phones {
        world.command(*phone, Command::Unregister).unwrap();
    }
    hang_up_everywhere(&mut world);
    world
}

#[test]
fn whatever_phones_do_that_watch_each_other_no_rule_of_subscriptions_is_broken() {
    for seed in 0..runs(20) {
        let world = watching(seed);
        let report = world.model.as_ref().unwrap().report();
        assert!(report.is_empty(), "seed {seed}\n{}\n{report}", world.trace.story());
    }
}

/// Two phones that hold and resume at once, so that re-INVITEs cross.
fn crossing() -> World {
    let mut world = scene::world(3, Faults::NONE);
    (world.model, world.tape) = (Some(Model::default()), Some(Vec::new()));
    let caller = scene::registered(&mut world, "1001", AutoAnswer::Never);
    let callee = scene::registered(&mut world, "1002", AutoAnswer::Always);
    let call = scene::dial(&mut world, caller, "1002");
    assert!(scene::await_connected(&mut world, caller, call));
    world.run_for(Duration::from_secs(1));
    let theirs = world.phone(callee).last_call().unwrap();
    // The switch of this scene ends calls that are silent for half a minute.
    for _ in 0..3 {
        for held in [true, false] {
            for (phone, call) in [(caller, call), (callee, theirs)] {
                let command = if held { Command::Hold { call } } else { Command::Resume { call } };
                let done = world.command(phone, command);
                assert!(done.is_ok(), "{}", world.trace.story());
            }
            world.run_for(Duration::from_secs(4));
        }
    }
    hang_up_everywhere(&mut world);
    world
}

#[test]
fn every_slip_on_a_tape_is_found_for_what_it_is() {
    let worlds: Vec<World> = (0..6).map(watching).chain([crossing()]).collect();
    for world in &worlds {
        let tape = world.tape.as_ref().unwrap();
        assert_eq!(judged(tape, None).report(), "", "nothing is wrong with it");
    }
    for (slip, offence) in Slip::ALL {
        let said = worlds.iter().any(|world| {
            let model = judged(world.tape.as_ref().unwrap(), Some(slip));
            model.complaints().iter().any(|complaint| complaint.offence == offence)
        });
        assert!(said, "{slip:?} is not found");
    }
}
