//! Calls in the simulated world over bad networks: whatever is lost, doubled or overtaken, everybody agrees in the end
//! and nothing is left.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use sip_stack::random::Random;
use softphone::phone::{AutoAnswer, CallId, Command, Ending, Event, Reason, Rejection, Settings};
use softswitch::core::Input;
use std::time::Duration;
use tests::sim::scene::{self, await_connected, await_event, await_ringing, dial, registered, registered_at};
use tests::sim::{Faults, PhoneId, SWITCH, World};

/// What happens in a call.
#[derive(Clone, Copy, Debug)]
enum Plot {
    CallerHangsUp,
    CalleeHangsUp,
    CalleeHangsUpAtOnce,
    BothHangUp,
    CallerGivesUp,
    CalleeIsBusy,
    CalleeDeclines,
    NobodyAnswers,
    NobodyIsThere,
    NobodyHasTheNumber,
    OtherDomain,
    BothDomains,
    WrongPassword,
    Shutdown,
}

const PLOTS: [Plot; 14] = [
    Plot::CallerHangsUp,
    Plot::CalleeHangsUp,
    Plot::CalleeHangsUpAtOnce,
    Plot::BothHangUp,
    Plot::CallerGivesUp,
    Plot::CalleeIsBusy,
    Plot::CalleeDeclines,
    Plot::NobodyAnswers,
    Plot::NobodyIsThere,
    Plot::NobodyHasTheNumber,
    Plot::OtherDomain,
    Plot::BothDomains,
    Plot::WrongPassword,
    Plot::Shutdown,
];

fn play(plot: Plot, seed: u64, loss_percent: u32) -> World {
    let mut world = scene::world(seed, Faults::lossy(loss_percent));
    let mut random = Random::new([u8::try_from(seed % 251).unwrap(); 32]);
    let mut moment = |most_ms: u64| Duration::from_millis(random.next_u64() % most_ms);
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    match plot {
        Plot::CallerHangsUp | Plot::CalleeHangsUp | Plot::BothHangUp => {
            let callee = registered(&mut world, "1002", AutoAnswer::After(moment(3_000)));
            let call = dial(&mut world, caller, "1002");
            await_connected(&mut world, caller, call);
            world.speak(caller, call, 50);
            world.run_for(moment(2_000));
            let theirs = world.phone(callee).last_call();
            if matches!(plot, Plot::CallerHangsUp | Plot::BothHangUp) {
                hang_up(&mut world, caller, Some(call));
            }
            if matches!(plot, Plot::CalleeHangsUp | Plot::BothHangUp) {
                hang_up(&mut world, callee, theirs);
            }
        }
        Plot::CalleeHangsUpAtOnce => {
            let callee = registered(&mut world, "1002", AutoAnswer::Never);
            dial(&mut world, caller, "1002");
            if let Some(call) = await_ringing(&mut world, callee) {
                // The caller may have been told meanwhile that nobody can be reached.
                let _ = world.command(callee, Command::Answer { call });
                world.run_for(moment(500));
                hang_up(&mut world, callee, Some(call));
            }
        }
        Plot::CallerGivesUp => {
            let callee = registered(&mut world, "1002", AutoAnswer::After(moment(1_500)));
            let call = dial(&mut world, caller, "1002");
            world.run_for(moment(1_500));
            hang_up(&mut world, caller, Some(call));
            world.run_for(moment(1_500));
            let theirs = world.phone(callee).last_call();
            assert!(theirs.is_none_or(|theirs| world.phone(callee).connected(theirs) <= 1));
        }
        Plot::CalleeIsBusy | Plot::CalleeDeclines => {
            let callee = registered(&mut world, "1002", AutoAnswer::Never);
            dial(&mut world, caller, "1002");
            if let Some(call) = await_ringing(&mut world, callee) {
                world.run_for(moment(1_000));
                let rejection =
                    if matches!(plot, Plot::CalleeIsBusy) { Rejection::Busy } else { Rejection::Decline };
                let _ = world.command(callee, Command::Reject { call, rejection });
            }
        }
        Plot::NobodyAnswers => {
            registered(&mut world, "1004", AutoAnswer::Never);
            dial(&mut world, caller, "1004");
        }
        Plot::NobodyIsThere => {
            dial(&mut world, caller, "1002");
        }
        Plot::NobodyHasTheNumber => {
            dial(&mut world, caller, "1999");
        }
        Plot::OtherDomain => {
            registered_at(&mut world, "1002", "b.example", AutoAnswer::Always);
            dial(&mut world, caller, "1002@b.example");
        }
        Plot::BothDomains => {
            let caller_b = registered_at(&mut world, "1001", "b.example", AutoAnswer::Never);
            let callees = ["a.example", "b.example"]
                .map(|domain| registered_at(&mut world, "1002", domain, AutoAnswer::Always));
            let calls = [caller, caller_b].map(|caller| (caller, dial(&mut world, caller, "1002")));
            for (caller, call) in calls {
                assert!(await_connected(&mut world, caller, call), "{}", world.trace.story());
            }
            for callee in callees {
                let call = world.phone(callee).last_call();
                hang_up(&mut world, callee, call);
            }
        }
        Plot::WrongPassword => {
            let stranger = world.add_phone("1002", "a.example", "sesame", Settings::default());
            world.command(stranger, Command::Register).unwrap();
            let told = await_event(&mut world, stranger, |event| {
                matches!(event, Event::RegistrationFailed { reason: Reason::WrongPassword, .. })
            });
            assert!(told, "{}", world.trace.story());
        }
        Plot::Shutdown => {
            registered(&mut world, "1002", AutoAnswer::After(moment(1_000)));
            dial(&mut world, caller, "1002");
            world.run_for(moment(3_000));
            world.feed(Input::Shutdown);
        }
    }
    scene::assert_all_over(&mut world);
    world
}

/// Hangs up, if there is anything to hang up.
fn hang_up(world: &mut World, phone: PhoneId, call: Option<CallId>) {
    if let Some(call) = call {
        let _ = world.command(phone, Command::HangUp { call });
    }
}

#[test]
fn every_call_ends_for_everybody_under_loss_duplication_and_reordering() {
    for seed in 0..24 {
        for (index, plot) in PLOTS.into_iter().enumerate() {
            let loss_percent = [5, 10, 20][(seed as usize + index) % 3];
            play(plot, seed, loss_percent);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for plot in PLOTS {
        let runs = [7, 7, 8].map(|seed| play(plot, seed, 20).trace.hash());
        assert_eq!(runs[0], runs[1], "{plot:?}");
        assert_ne!(runs[0], runs[2], "{plot:?}");
    }
}

#[test]
fn loss_stays_visible_in_the_sequence_numbers_of_relayed_speech() {
    let mut world = scene::world(5, Faults::NONE);
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    let callee = registered(&mut world, "1002", AutoAnswer::Always);
    let call = dial(&mut world, caller, "1002");
    assert!(await_connected(&mut world, caller, call));
    let theirs = world.phone(callee).last_call().unwrap();
    world.run_for(Duration::from_secs(1));
    world.network.faults.loss_percent = 10;
    world.speak(caller, call, 500);
    world.run_for(Duration::from_secs(12));
    world.network.faults.loss_percent = 0;
    let ear = &world.phone(callee).ears[&theirs];
    let numbers: Vec<u16> = ear.heard.iter().map(|heard| heard.sequence).collect();
    let span = usize::from(numbers[numbers.len() - 1].wrapping_sub(numbers[0])) + 1;
    // Lost on either of two ways: a fifth; the first and last few may be among them.
    assert!((480..=500).contains(&span), "{span}");
    assert!((370..440).contains(&ear.understood(caller)), "{}", ear.understood(caller));
    hang_up(&mut world, caller, Some(call));
    scene::assert_all_over(&mut world);
}

#[test]
fn a_2xx_is_sent_again_until_its_ack_comes() {
    let mut world = scene::world(1, Faults::NONE);
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    let callee = registered(&mut world, "1002", AutoAnswer::Always);
    let callee_address = world.phone(callee).address;
    world.network.lose(b"ACK", SWITCH, 3);
    world.network.lose(b"ACK", callee_address, 2);
    let call = dial(&mut world, caller, "1002");
    assert!(await_connected(&mut world, caller, call));
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.trace.count("phone 0: SIP/2.0 200 OK [CSeq: 1 INVITE]"), 4, "{}", world.trace.story());
    assert_eq!(world.trace.count("10.0.1.2:5060 -> switch: SIP/2.0 200 OK [CSeq: 1 INVITE]"), 3);
    assert_eq!(world.switch.calls(), 1, "the call goes on");
    hang_up(&mut world, caller, Some(call));
    scene::assert_all_over(&mut world);
}

#[test]
fn a_caller_whose_acks_never_arrive_gets_a_bye_after_64_t1() {
    let mut world = scene::world(1, Faults::NONE);
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    let callee = registered(&mut world, "1002", AutoAnswer::Always);
    world.network.lose(b"ACK", SWITCH, u32::MAX);
    let call = dial(&mut world, caller, "1002");
    assert!(await_connected(&mut world, caller, call));
    let theirs = world.phone(callee).last_call().unwrap();
    world.speak(caller, call, 1_800);
    world.speak(callee, theirs, 1_800);
    let begin = world.now;
    assert!(await_event(&mut world, caller, |event| matches!(event, Event::Ended { .. })));
    let held = world.now.since(begin);
    assert!((31_900..32_500).contains(&held.as_millis()), "{held:?}");
    scene::assert_all_over(&mut world);
    assert_eq!(world.phone(caller).endings(call), [&Ending::Theirs]);
    assert_eq!(world.phone(callee).endings(theirs), [&Ending::Theirs]);
}

#[test]
fn a_2xx_that_is_lost_until_the_callee_has_hung_up_connects_nobody() {
    let mut world = scene::world(1, Faults::NONE);
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    let callee = registered(&mut world, "1002", AutoAnswer::Never);
    let caller_address = world.phone(caller).address;
    let call = dial(&mut world, caller, "1002");
    let theirs = await_ringing(&mut world, callee).unwrap();
    world.network.lose(b"SIP/2.0 200 OK", caller_address, 1);
    world.command(callee, Command::Answer { call: theirs }).unwrap();
    world.run_for(Duration::from_millis(100));
    hang_up(&mut world, callee, Some(theirs));
    scene::assert_all_over(&mut world);
    assert_eq!(world.phone(caller).endings(call), [&Ending::Theirs]);
}
