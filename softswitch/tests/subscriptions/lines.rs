//! Busy lamps: the calls of a user as its watchers see them (RFC 4235).

use crate::world::{World, body, port_of, text};
use sip_stack::event::body::DocumentState;
use sip_stack::event::body::dialog_info::{Dialog, DialogInfo, DialogState, Direction, Identity, StateEvent};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use std::collections::{BTreeMap, BTreeSet};

fn info(notify: &Message) -> DialogInfo {
    DialogInfo::parse(notify.body()).unwrap_or_else(|error| panic!("{error}: {}", body(notify)))
}

/// The one call that the next NOTIFY tells of.
fn line(world: &mut World, watcher: &str) -> Dialog {
    let notify = world.notified(watcher);
    let mut dialogs = info(&notify).dialogs;
    assert_eq!(dialogs.len(), 1, "{}", body(&notify));
    dialogs.remove(0)
}

fn remote(dialog: &Dialog) -> &str {
    &dialog.remote.identity.as_ref().unwrap().uri
}

const BOB: u16 = 7_001;

/// 1002 watches 1001, who is called by 1000.
fn ringing() -> (World, crate::world::Dialog) {
    let mut world = World::new("", &["1000", "1001", "1002"]);
    let (_, first) = world.watch("1002", "1001", "dialog");
    assert_eq!((info(&first).dialogs.len(), &*info(&first).entity), (0, "sip:1001@127.0.0.1:5060"));
    world.pass(2_000);
    let caller = world.call(port_of("1000"), "1001", "");
    (world, caller)
}

#[test]
fn a_lamp_goes_from_ringing_to_busy_and_out() {
    let (mut world, caller) = ringing();
    let early = line(&mut world, "1002");
    assert_eq!((early.state, early.direction), (DialogState::Early, Some(Direction::Recipient)));
    assert_eq!(remote(&early), "sip:1000@127.0.0.1:5060");
    world.pass(2_000);
    let (caller, _) = world.answer(BOB, caller);
    let confirmed = line(&mut world, "1002");
    assert_eq!((confirmed.state, &confirmed.id), (DialogState::Confirmed, &early.id));
    world.pass(2_000);
    assert_eq!(world.send(&caller, "BYE", ""), 200);
    let over = line(&mut world, "1002");
    assert_eq!(
        (over.state, over.event, &over.id),
        (DialogState::Terminated, Some(StateEvent::RemoteBye), &early.id)
    );
    assert!(world.is_quiet());
}

#[test]
fn the_caller_is_busy_from_its_invite_on() {
    let mut world = World::new("", &["1000", "1001", "1002"]);
    world.watch("1002", "1000", "dialog");
    world.pass(2_000);
    world.rings = false;
    let caller = world.call(port_of("1000"), "1001", "");
    let trying = line(&mut world, "1002");
    assert_eq!((trying.state, trying.direction), (DialogState::Trying, Some(Direction::Initiator)));
    assert_eq!(remote(&trying), "sip:1001@127.0.0.1:5060");
    world.pass(2_000);
    let (_, callee) = world.answer(BOB, caller);
    assert_eq!(line(&mut world, "1002").state, DialogState::Confirmed);
    world.pass(2_000);
    world.send(&callee, "BYE", "");
    assert_eq!(line(&mut world, "1002").event, Some(StateEvent::RemoteBye));
}

#[test]
fn a_call_that_is_refused_cancelled_or_not_answered_goes_out() {
    let (mut world, _) = ringing();
    line(&mut world, "1002");
    world.pass(2_000);
    world.refuse(BOB, "486 Busy Here");
    let over = line(&mut world, "1002");
    assert_eq!((over.event, over.code), (Some(StateEvent::Rejected), Some(486)));

    let (mut world, caller) = ringing();
    line(&mut world, "1002");
    world.pass(2_000);
    world.cancel(&caller);
    let over = line(&mut world, "1002");
    assert_eq!((over.state, over.event), (DialogState::Terminated, Some(StateEvent::Cancelled)));
    assert_eq!((world.ringing.len(), world.switch.calls()), (0, 0));

    let (mut world, _) = ringing();
    line(&mut world, "1002");
    world.pass(70_000);
    let over = line(&mut world, "1002");
    assert_eq!((over.state, over.event), (DialogState::Terminated, Some(StateEvent::Rejected)));
    assert_eq!(world.switch.calls(), 0);
}

#[test]
fn a_quick_change_is_one_notification_later_and_nothing_is_lost() {
    let (mut world, caller) = ringing();
    line(&mut world, "1002");
    let (caller, _) = world.answer(BOB, caller);
    world.send(&caller, "BYE", "");
    assert!(world.is_quiet(), "a second has not passed");
    world.pass(1_000);
    assert_eq!(line(&mut world, "1002").state, DialogState::Terminated);
    assert!(world.is_quiet());
}

#[test]
fn who_does_not_want_to_be_known_is_not_told() {
    let mut world = World::new("", &["1000", "1001", "1002"]);
    world.watch("1002", "1001", "dialog");
    world.pass(2_000);
    world.call(port_of("1000"), "1001", "Privacy: id\r\n");
    let notify = world.notified("1002");
    assert!(!body(&notify).contains("1000"), "{}", body(&notify));
    assert_eq!(remote(&info(&notify).dialogs[0]), "sip:anonymous@anonymous.invalid");
}

#[test]
fn the_lamp_of_an_anonymous_caller_tells_neither_whom_it_calls_nor_which_lamp_is_of_the_same_call() {
    let mut world = World::new("", &["1000", "1001", "1002", "1003"]);
    world.watch("1002", "1001", "dialog");
    world.watch("1003", "1000", "dialog");
    world.pass(2_000);
    let caller = world.call(port_of("1000"), "1001", "Privacy: id\r\n");
    let [callee_id, caller_id] = ["1002", "1003"].map(|watcher| {
        let shown = line(&mut world, watcher);
        assert_eq!(remote(&shown), "sip:anonymous@anonymous.invalid");
        u64::from_str_radix(&shown.id, 16).unwrap()
    });
    assert_ne!(callee_id >> 2, caller_id >> 2);
    world.pass(2_000);
    world.answer(BOB, caller);
    while !world.is_quiet() {
        let (_, notify) = world.notifies.pop_front().unwrap();
        assert_eq!(remote(&info(&notify).dialogs[0]), "sip:anonymous@anonymous.invalid");
    }
}

#[test]
fn who_does_not_want_to_be_known_is_not_told_after_a_transfer_either() {
    // 1000, anonymous, and 1003 have both called 1001, who brings the two together: 1000 takes the place of a callee.
    let mut world = World::new("", &["1000", "1001", "1003"]);
    let first = world.call(port_of("1000"), "1001", "Privacy: id\r\n");
    let (_, first) = world.answer(BOB, first);
    let second = world.call(port_of("1003"), "1001", "");
    let (_, second) = world.answer(BOB, second);
    let refer = format!("Refer-To: <sip:1003@127.0.0.1:5060?Replaces={}>\r\n", World::replaces(&second));
    assert_eq!(world.send(&first, "REFER", &refer), 202);
    for (watcher, whom) in [("1004", "1003"), ("1005", "1000")] {
        let (_, now) = world.watch(watcher, whom, "dialog");
        let dialogs = info(&now).dialogs;
        assert_eq!(dialogs.len(), 1, "{}", body(&now));
        assert_eq!(
            (dialogs[0].state, remote(&dialogs[0])),
            (DialogState::Confirmed, "sip:anonymous@anonymous.invalid")
        );
    }
}

#[test]
fn two_phones_are_one_call_and_two_calls_are_two() {
    let mut world = World::new("", &["1000", "1001", "1002", "1003"]);
    world.register("1001", 7_101, 3_600);
    world.watch("1002", "1001", "dialog");
    world.pass(2_000);
    let first = world.call(port_of("1000"), "1001", "");
    assert_eq!(world.ringing.len(), 2);
    line(&mut world, "1002");
    world.pass(2_000);
    world.answer(7_101, first);
    line(&mut world, "1002");
    world.pass(2_000);
    world.call(port_of("1003"), "1001", "");
    let both = info(&world.notified("1002"));
    assert_eq!(both.state, DocumentState::Full);
    let states: Vec<DialogState> = both.dialogs.iter().map(|dialog| dialog.state).collect();
    assert_eq!(states, [DialogState::Confirmed, DialogState::Early]);
    let parties: Vec<&str> = both.dialogs.iter().map(remote).collect();
    assert_eq!(parties, ["sip:1000@127.0.0.1:5060", "sip:1003@127.0.0.1:5060"]);
}

#[test]
fn many_calls_are_told_in_part_and_whole_again_on_a_refresh() {
    let users = ["1000", "1001", "1002", "1003", "1004", "1005", "1006", "1007"];
    let mut world = World::new("", &users);
    let (dialog, _) = world.watch("1002", "1001", "dialog");
    for caller in ["1000", "1003", "1004", "1005", "1006"] {
        world.pass(2_000);
        world.call(port_of(caller), "1001", "");
    }
    for known in 1..=4 {
        let told = info(&world.notified("1002"));
        assert_eq!(
            (told.state, told.dialogs.len(), told.version),
            (DocumentState::Full, known, known as u32)
        );
    }
    let part = info(&world.notified("1002"));
    assert_eq!((part.state, part.dialogs.len(), part.version), (DocumentState::Partial, 1, 5));
    assert_eq!(remote(&part.dialogs[0]), "sip:1006@127.0.0.1:5060");
    world.refresh(&dialog, "dialog", 600);
    let whole = info(&world.notified("1002"));
    assert_eq!((whole.state, whole.dialogs.len(), whole.version), (DocumentState::Full, 5, 6));
}

#[test]
fn who_subscribes_during_a_call_sees_it() {
    let (mut world, caller) = ringing();
    world.answer(BOB, caller);
    let (_, first) = world.watch("1003", "1001", "dialog");
    assert_eq!(info(&first).dialogs[0].state, DialogState::Confirmed);
    let (_, first) = world.watch("1004", "1000", "dialog");
    assert_eq!(info(&first).dialogs[0].direction, Some(Direction::Initiator));
}

#[test]
fn a_user_without_a_phone_has_no_calls() {
    let mut world = World::new("", &["1002"]);
    let (_, first) = world.watch("1002", "1001", "dialog");
    assert_eq!((info(&first).state, info(&first).dialogs.len()), (DocumentState::Full, 0));
    // A call that reaches nobody lights nobody's lamp.
    world.pass(2_000);
    world.call(port_of("1003"), "1001", "");
    assert!(world.is_quiet());
}

#[test]
fn a_display_name_is_told_and_cannot_break_the_document() {
    let name = "<A> & \"B\"/></dialog-info> ";
    let long = format!("{name}{}", "\u{e9}".repeat(100));
    let quoted = long.replace('"', "\\\"");
    let more = format!("[[user]]\nid = \"1010\"\npassword = \"secret\"\ndisplay_name = \"{quoted}\"\n");
    let mut world = World::new(&more, &["1010", "1001", "1002", "1003"]);
    world.watch("1002", "1001", "dialog");
    world.watch("1003", "1010", "dialog");
    for (caller, callee, watcher) in [("1010", "1001", "1002"), ("1001", "1010", "1002")] {
        world.pass(2_000);
        world.notifies.clear();
        let call = world.call(port_of(caller), callee, "");
        let Some(Identity { uri, display }) = line(&mut world, watcher).remote.identity else { panic!() };
        assert_eq!(&*uri, "sip:1010@127.0.0.1:5060");
        let shown = display.unwrap();
        assert!(shown.starts_with(name) && shown.chars().count() == 64, "{shown}");
        world.pass(2_000);
        world.cancel(&call);
    }
}

#[test]
fn an_attended_transfer_shows_who_talks_with_whom_then() {
    // 1001 talks with 1000 and with 1003, and brings the two together; 1002 watches 1003 and 1001.
    let mut world = World::new("", &["1000", "1001", "1002", "1003", "1004"]);
    let first = world.call(port_of("1001"), "1000", "");
    let (first, _) = world.answer(port_of("1000"), first);
    let second = world.call(port_of("1001"), "1003", "");
    let (second, _) = world.answer(port_of("1003"), second);
    let (_, before) = world.watch("1002", "1003", "dialog");
    assert_eq!(remote(&info(&before).dialogs[0]), "sip:1001@127.0.0.1:5060");
    world.watch("1004", "1001", "dialog");
    world.pass(2_000);
    let refer = format!("Refer-To: <sip:1003@127.0.0.1:5060?Replaces={}>\r\n", World::replaces(&second));
    assert_eq!(world.send(&first, "REFER", &refer), 202);
    let after = line(&mut world, "1002");
    assert_eq!((after.state, remote(&after)), (DialogState::Confirmed, "sip:1000@127.0.0.1:5060"));
    // Whoever has transferred is free.
    let notify = world.notified("1004");
    assert!(
        info(&notify).dialogs.iter().all(|dialog| dialog.state == DialogState::Terminated),
        "{}",
        body(&notify)
    );
    let (_, now) = world.watch("1005", "1000", "dialog");
    assert_eq!(remote(&info(&now).dialogs[0]), "sip:1003@127.0.0.1:5060");
    let (_, now) = world.watch("1006", "1001", "dialog");
    assert_eq!(info(&now).dialogs.len(), 0);
}

#[test]
fn a_blind_transfer_lights_the_lamp_of_the_target() {
    let mut world = World::new("", &["1000", "1001", "1002", "1003"]);
    let call = world.call(port_of("1000"), "1001", "");
    let (_, callee) = world.answer(BOB, call);
    world.watch("1002", "1003", "dialog");
    world.watch("1004", "1000", "dialog");
    world.pass(2_000);
    assert_eq!(world.send(&callee, "REFER", "Refer-To: <sip:1003@127.0.0.1:5060>\r\n"), 202);
    let early = line(&mut world, "1002");
    assert_eq!((early.state, remote(&early)), (DialogState::Early, "sip:1000@127.0.0.1:5060"));
    world.pass(2_000);
    // 1000 is still with 1001: one call, not two.
    assert!(world.notifies.iter().all(|(port, _)| *port != port_of("1004")));
    let place = world.ringing.iter().position(|(port, _)| *port == port_of("1003")).unwrap();
    assert_eq!(place, 0);
    world.take_over(port_of("1003"));
    assert_eq!(line(&mut world, "1002").state, DialogState::Confirmed);
    world.pass(2_000);
    let notify = world.notified("1004");
    let live: Vec<Dialog> =
        info(&notify).dialogs.into_iter().filter(|dialog| dialog.state == DialogState::Confirmed).collect();
    assert_eq!((live.len(), remote(&live[0])), (1, "sip:1003@127.0.0.1:5060"));
}

#[test]
fn five_hundred_watchers_are_told_of_each_change_and_each_has_its_version() {
    let limits = "[limits]\nsubscriptions_per_user = 600\n";
    let mut world = World::new(limits, &["1000", "1001", "1002"]);
    let mut versions = BTreeMap::new();
    for number in 0..500_u32 {
        let (dialog, first) = world.watch("1002", "1001", "dialog");
        let refreshes = number % 3;
        for _ in 0..refreshes {
            assert_eq!(world.refresh(&dialog, "dialog", 3_600), 200);
            world.notified("1002");
        }
        versions.insert(text(&first, HeaderName::CallId), refreshes + 1);
    }
    world.pass(2_000);
    world.call(port_of("1000"), "1001", "");
    assert_eq!(world.notifies.len(), 500);
    let mut told = BTreeSet::new();
    for (_, notify) in world.notifies.drain(..) {
        let mut info = info(&notify);
        assert_eq!(versions.remove(&text(&notify, HeaderName::CallId)), Some(info.version));
        info.version = 0;
        told.insert(info.compose());
    }
    assert_eq!((told.len(), versions.len()), (1, 0), "all are told the same");
}

#[test]
fn a_call_that_rings_and_is_handed_over_shows_who_calls_then() {
    let mut world = World::new("", &["1000", "1001", "1002", "1003"]);
    let first = world.call(port_of("1000"), "1001", "");
    let (first, _) = world.answer(BOB, first);
    world.watch("1002", "1003", "dialog");
    world.pass(2_000);
    let mut second = world.call(port_of("1000"), "1003", "");
    world.hears_ringing(&mut second);
    assert_eq!(remote(&line(&mut world, "1002")), "sip:1000@127.0.0.1:5060");
    world.pass(2_000);
    let refer = format!("Refer-To: <sip:1003@127.0.0.1:5060?Replaces={}>\r\n", World::replaces(&second));
    assert_eq!(world.send(&first, "REFER", &refer), 202);
    let now = line(&mut world, "1002");
    assert_eq!((now.state, remote(&now)), (DialogState::Early, "sip:1001@127.0.0.1:5060"));
}

/// 1010 and 1011 let these watch them.
fn guarded(by: &str) -> String {
    ["1010", "1011"]
        .map(|id| format!("[[user]]\nid = \"{id}\"\npassword = \"secret\"\nwatched_by = {by}\n"))
        .concat()
}

#[test]
fn a_party_is_named_to_those_alone_who_may_watch_it() {
    let mut world = World::new(&guarded("[\"1003\"]"), &["1010", "1001", "1002", "1003"]);
    for watcher in ["1001", "1002", "1003"] {
        world.watch(watcher, "1001", "dialog");
    }
    world.pass(2_000);
    let call = world.call(port_of("1010"), "1001", "");
    let anonymous = "sip:anonymous@anonymous.invalid";
    for (watcher, shown) in
        [("1001", "sip:1010@127.0.0.1:5060"), ("1002", anonymous), ("1003", "sip:1010@127.0.0.1:5060")]
    {
        assert_eq!(remote(&line(&mut world, watcher)), shown, "{watcher}");
    }
    world.answer(BOB, call);
    world.pass(2_000);
    world.notifies.clear();
    world.reload(&guarded("[\"1002\"]"));
    for (watcher, shown) in [("1002", "sip:1010@127.0.0.1:5060"), ("1003", anonymous)] {
        let now = info(&world.notified(watcher));
        assert_eq!((now.state, remote(&now.dialogs[0])), (DocumentState::Full, shown), "{watcher}");
    }
}

#[test]
fn whoever_is_called_is_named_to_those_alone_who_may_watch_it() {
    for by in ["\"nobody\"", "\"domain\"\nhidden = true"] {
        let mut world = World::new(&guarded(by), &["1010", "1011", "1001", "1002"]);
        world.watch("1002", "1001", "dialog");
        world.pass(2_000);
        world.call(port_of("1001"), "1010", "");
        let early = line(&mut world, "1002");
        assert_eq!(remote(&early), "sip:anonymous@anonymous.invalid", "{by}");
        assert_eq!(early.remote.identity.unwrap().display, None, "{by}");
    }
}
