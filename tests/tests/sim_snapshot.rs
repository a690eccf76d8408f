//! Snapshots of the switch: taken in slices while calls go on, restored into a second switch that then does exactly
//! what the first one does.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use sip_stack::random::Random;
use softphone::phone::{AccountId, AutoAnswer, Command, Phone, Rejection};
use std::time::Duration;
use tests::sim::scene::{self, answering};
use tests::sim::shadow::Shadow;
use tests::sim::{Faults, PhoneId, World};

const USERS: [&str; 4] = ["1001", "1002", "1003", "1004"];

/// A world of four phones that may or may not be registered.
fn crowd(seed: u64) -> (World, Random) {
    let mut world = scene::world(seed, Faults::lossy(10));
    for (index, user) in USERS.into_iter().enumerate() {
        let answers = [AutoAnswer::Always, AutoAnswer::Never, AutoAnswer::After(Duration::from_secs(2))];
        let phone = world.add_phone(user, "a.example", "secret", answering(answers[index % 3].clone()));
        world.command(phone, Command::Register).unwrap();
    }
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    (world, Random::new(bytes))
}

/// A user does something, sensible or not.
fn act(world: &mut World, random: &mut Random) {
    let mut below = |end: u64| random.next_u64() % end;
    let phone = PhoneId(usize::try_from(below(4)).unwrap());
    let call = world.phone(phone).last_call();
    let command = match (below(10), call) {
        (0..=3, _) => Some(Command::Call {
            account: AccountId::FIRST,
            target: USERS[usize::try_from(below(4)).unwrap()].into(),
        }),
        (4, Some(call)) => Some(Command::Answer { call }),
        (5, Some(call)) => Some(Command::Reject { call, rejection: Rejection::Busy }),
        (6..=7, Some(call)) => Some(Command::HangUp { call }),
        (8, _) => Some(Command::Unregister),
        (9, _) => Some(Command::Register),
        (_, _) => None,
    };
    if let Some(command) = command {
        // What cannot be done now is not done.
        let _ = world.command(phone, command);
    }
    if let Some(call) = call {
        world.speak(phone, call, 5);
    }
    world.run_for(Duration::from_millis(below(4_000)));
}

#[test]
fn a_restored_switch_does_exactly_what_the_first_one_does() {
    for seed in 0..12 {
        let (mut world, mut random) = crowd(seed);
        let mut shadows = 0;
        for round in 0..60 {
            if round % 20 == 5 {
                world.cast_shadow(1 + usize::try_from(random.next_u64() % 4).unwrap());
            }
            act(&mut world, &mut random);
            shadows += usize::from(round % 20 == 4 && world.shadow.as_ref().is_some_and(Shadow::is_running));
        }
        assert!(world.shadow.as_ref().is_some_and(Shadow::is_running), "seed {seed}");
        assert_eq!(shadows, 2, "seed {seed}");
        end_everything(&mut world);
    }
}

fn end_everything(world: &mut World) {
    for phone in 0..USERS.len() {
        if let Some(call) = world.phone(PhoneId(phone)).last_call() {
            let _ = world.command(PhoneId(phone), Command::HangUp { call });
        }
    }
    assert!(world.run_to_rest(Duration::from_secs(3_600)), "{}", world.trace.story());
}

#[test]
fn a_restored_phone_does_exactly_what_the_first_one_does() {
    for seed in 100..106 {
        let (mut world, mut random) = crowd(seed);
        for _ in 0..30 {
            act(&mut world, &mut random);
            for handset in &mut world.phones {
                let snapshot = handset.phone.snapshot();
                let mut restored = Phone::restore(&snapshot).unwrap();
                assert_eq!(restored.snapshot(), snapshot, "seed {seed}");
                handset.phone = restored;
            }
        }
        end_everything(&mut world);
    }
}
