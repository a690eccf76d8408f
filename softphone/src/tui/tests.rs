//! What is seen of a phone, at several sizes, and what keys do then.

use super::*;
use crate::phone::tests::account;
use crate::phone::{
    AccountId, AutoAnswer, Availability, CallDirection, CallId, CallOverview, CallStage, Codec, Command,
    DigitWay, Ending, Event, Lamp, LoggedCall, Mailbox, Phone, Reason, Rejection, Settings, Standing,
    WatchOverview,
};
use crate::voice::VoiceFigures;
use bytes::Bytes;
use media::mix::Loudness;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use sip_stack::Time;
use std::collections::BTreeMap;

/// The seconds since the phone began.
fn at(seconds: u64) -> Time {
    Time::from_millis(1_000 * seconds)
}

fn idle() -> Facts {
    let mut phone = Phone::new([1; 32], account(), Settings::default()).unwrap();
    phone.add_account(crate::phone::Account { domain: "b.example".into(), ..account() }).unwrap();
    Facts::of_phone(&phone, at(100), 10)
}

fn call(number: u64, stage: CallStage) -> CallOverview {
    CallOverview {
        call: CallId(number),
        account: AccountId::FIRST,
        direction: CallDirection::Outgoing,
        peer: Bytes::from(format!("sip:100{number}@a.example")),
        stage,
        held: false,
        held_by_peer: false,
        muted: false,
    }
}

fn talking() -> Facts {
    let mut facts = idle();
    facts.accounts[0].2 = Standing::Registered;
    facts.calls = vec![call(2, CallStage::Connected(at(33)))];
    let mut sound = VoiceFigures {
        sending: Some(Codec::Opus),
        hearing: Some(Codec::Opus),
        spoken: Loudness::of(&[3_277; 160]),
        ..VoiceFigures::default()
    };
    (sound.jitter.received, sound.jitter.lost) = (990, 10);
    (sound.jitter.jitter_us, sound.jitter.delay_us) = (2_340, 43_000);
    facts.sounds = BTreeMap::from([(CallId(2), sound)]);
    facts
}

fn screen(facts: &Facts, ui: &Ui, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(&View::of(facts, ui), frame)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let row = |row: u16| (0..width).map(|column| buffer[(column, row)].symbol()).collect::<String>();
    (0..height).map(|at| row(at).trim_end().to_owned()).collect()
}

fn key(code: KeyCode) -> Input {
    Input::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn press(ui: &mut Ui, facts: &Facts, keys: &str) -> Option<Wish> {
    keys.chars().fold(None, |_, letter| ui.handle(&key(KeyCode::Char(letter)), facts))
}

#[test]
fn a_call_is_seen_with_its_line_its_sound_and_the_keys_that_do_something() {
    let facts = talking();
    let mut ui = Ui::default();
    ui.hear(&facts);
    let seen = screen(&facts, &ui, 80, 24);
    let rule = |title: &str| format!("{title}{}", "─".repeat(80 - title.len()));
    assert_eq!(
        seen[..13],
        [
            rule(" softphone ").as_str(),
            "▸ 1001@a.example  registered",
            "  1001@b.example  not registered",
            &rule(" Lines "),
            "▸ talking           1:07  1002",
            &rule(" Sound "),
            &format!("  microphone  {}{} -20 dB", "█".repeat(32), "░".repeat(16)),
            &format!("  speaker     {} silent", "░".repeat(48)),
            "  codec opus   lost 10 (1.0 %)   jitter 2.3 ms   delay 43 ms",
            &rule(" Call "),
            "",
            &rule(" Past calls "),
            "",
        ]
        .map(str::to_owned)
    );
    assert_eq!(seen[22], "h hang up  o hold  m mute  0-9*# press  c call  r redial  n do not disturb");
    assert_eq!(seen[23], "u answer by itself  @ other account  g unregister  q leave");
}

fn watching() -> Facts {
    let mut facts = idle();
    let row = |target: &str, lamp, availability| WatchOverview {
        account: AccountId(1),
        target: target.into(),
        lamp,
        peer: None,
        availability,
        note: None,
        fault: None,
    };
    facts.watched = vec![
        WatchOverview {
            peer: Some("Eve\u{1b}".into()),
            ..row("1002", Some(Lamp::Ringing), Some(Availability::Available))
        },
        row("1003", Some(Lamp::Idle), Some(Availability::Away)),
        row("1004", Some(Lamp::Idle), None),
        WatchOverview { fault: Some(Reason::Forbidden), ..row("1005", None, None) },
        row("1006", None, None),
    ];
    facts.mailboxes[0] = Some(Mailbox { waiting: true, new: 2, old: 0 });
    facts
}

#[test]
fn watched_numbers_and_the_mailbox_are_seen_and_a_chosen_one_is_called() {
    let facts = watching();
    let mut ui = Ui::default();
    let view = View::of(&facts, &ui);
    let states: Vec<_> = view.watched.iter().map(|row| (row.state.as_str(), row.tint)).collect();
    assert_eq!(
        states,
        [
            ("ringing (Eve\\u{1b})", Tint::Busy),
            ("away", Tint::Busy),
            ("idle", Tint::Good),
            ("The server does not allow this.", Tint::Bad),
            ("…", Tint::Plain),
        ]
    );
    assert!(view.accounts[0].state.ends_with("not registered, 2 new messages"), "{}", view.accounts[0].state);
    let seen = screen(&facts, &ui, 80, 24);
    let row = seen.iter().position(|row| row.contains(" Watched ")).unwrap();
    assert_eq!(seen[row + 1], "  ● 1002 ringing (Eve\\u{1b})   ● 1003 away   ● 1004 idle");
    assert_eq!(press(&mut ui, &facts, "ww"), None);
    assert!(View::of(&facts, &ui).watched[1].chosen);
    let call = Command::Call { account: AccountId(1), target: "1003".into() };
    assert_eq!(ui.handle(&key(KeyCode::Enter), &facts), Some(Wish::Command(call)));
    assert_eq!(ui.handle(&key(KeyCode::Enter), &facts), None);
    assert!(ui.dial.active, "nothing is chosen any more");
}

#[test]
fn who_publishes_nothing_cannot_be_away() {
    let mut facts = idle();
    let mut ui = Ui::default();
    assert_eq!(press(&mut ui, &facts, "v"), None);
    facts.away = Some(false);
    assert_eq!(press(&mut ui, &facts, "v"), Some(Wish::Command(Command::Away(true))));
}

#[test]
fn accounts_say_in_words_how_they_stand() {
    let mut facts = idle();
    let rows = |facts: &Facts| View::of(facts, &Ui::default()).accounts;
    facts.accounts[0].2 = Standing::Asking;
    let failed = |retry_at| Standing::Failed { reason: Reason::WrongPassword, retry_at };
    facts.accounts[1].2 = failed(Some(at(130)));
    let [first, second] = &rows(&facts)[..] else { panic!("two accounts") };
    assert_eq!((first.state.as_str(), first.tint, first.current), ("registering …", Tint::Busy, true));
    let state = "not registered: The server did not accept the user name and password. Again in 30 s.";
    assert_eq!((second.state.as_str(), second.tint), (state, Tint::Bad));
    facts.accounts[1].2 = failed(None);
    assert!(rows(&facts)[1].state.ends_with("password."));
}

#[test]
fn past_calls_say_how_they_went() {
    let mut facts = idle();
    let past = |direction, connected, ending| LoggedCall {
        call: None,
        account: AccountId::FIRST,
        direction,
        peer: Bytes::from_static(b"sip:1002@a.example"),
        began: at(10),
        connected,
        ended: Some((at(75), ending)),
    };
    let (to, from) = (CallDirection::Outgoing, CallDirection::Incoming);
    facts.log = vec![
        past(to, Some(at(12)), Ending::Theirs),
        past(from, None, Ending::Theirs),
        past(to, None, Ending::Failed(Reason::Busy)),
        past(to, None, Ending::Ours),
        past(from, Some(at(70)), Ending::Failed(Reason::Lost)),
    ];
    let rows = View::of(&facts, &Ui::default()).log;
    let said: Vec<_> = rows.iter().map(|row| (row.arrow, row.ago.as_str(), row.outcome.as_str())).collect();
    assert_eq!(
        said,
        [
            ("→", "1 min ago", "1:03"),
            ("←", "1 min ago", "missed"),
            ("→", "1 min ago", "The other side is busy."),
            ("→", "1 min ago", "not answered"),
            ("←", "1 min ago", "0:05, then: The connection to the other side was lost."),
        ]
    );
    assert_eq!(rows[0].peer, "1002");
}

#[test]
fn a_number_is_typed_edited_and_called_from_the_chosen_account() {
    let (facts, mut ui) = (idle(), Ui::default());
    assert_eq!(press(&mut ui, &facts, "@1003"), None);
    for code in [KeyCode::Left, KeyCode::Backspace, KeyCode::End, KeyCode::Char('q')] {
        assert_eq!(ui.handle(&key(code), &facts), None);
    }
    assert!(screen(&facts, &ui, 80, 24).contains(&"▸ 103q".to_owned()));
    let called = ui.handle(&key(KeyCode::Enter), &facts);
    let account = AccountId(1);
    assert_eq!(called, Some(Wish::Command(Command::Call { account, target: "103q".into() })));
    assert_eq!(ui.dial, Dial::default());
    // Nothing is called when nothing was typed, and what was pasted has no line ends.
    press(&mut ui, &facts, "c");
    assert_eq!(ui.handle(&key(KeyCode::Enter), &facts), None);
    ui.handle(&Input::Paste(" sip:bob@b.example\r\n".to_owned()), &facts);
    let called = ui.handle(&key(KeyCode::Enter), &facts);
    let target = "sip:bob@b.example".into();
    assert_eq!(called, Some(Wish::Command(Command::Call { account, target })));
}

#[test]
fn letters_are_commands_for_the_chosen_line() {
    let (mut facts, mut ui) = (talking(), Ui::default());
    let wish = |ui: &mut Ui, facts: &Facts, keys| match press(ui, facts, keys) {
        Some(Wish::Command(command)) => command,
        other => panic!("{keys}: {other:?}"),
    };
    let call = CallId(2);
    assert_eq!(wish(&mut ui, &facts, "o"), Command::Hold { call });
    assert_eq!(wish(&mut ui, &facts, "m"), Command::Mute { call, muted: true });
    (facts.calls[0].held, facts.calls[0].muted) = (true, true);
    assert_eq!(wish(&mut ui, &facts, "o"), Command::Resume { call });
    assert_eq!(wish(&mut ui, &facts, "m"), Command::Mute { call, muted: false });
    let (digits, way) = ("#".into(), DigitWay::Best);
    assert_eq!(wish(&mut ui, &facts, "5#"), Command::Dial { call, digits, way });
    assert_eq!(View::of(&facts, &ui).pressed, "5#");
    assert_eq!(wish(&mut ui, &facts, "h"), Command::HangUp { call });
    assert_eq!(wish(&mut ui, &facts, "r"), Command::Redial);
    assert_eq!(wish(&mut ui, &facts, "n"), Command::DoNotDisturb(true));
    assert_eq!(wish(&mut ui, &facts, "u"), Command::AutoAnswer(AutoAnswer::Always));
    assert_eq!(wish(&mut ui, &facts, "g"), Command::Enable { account: AccountId(0), enabled: false });
    assert_eq!(wish(&mut ui, &facts, "@g"), Command::Enable { account: AccountId(1), enabled: true });
    assert_eq!(press(&mut ui, &facts, "a"), None, "nothing rings");
    facts.calls.clear();
    assert_eq!(press(&mut ui, &facts, "h"), None, "there is no line");
}

#[test]
fn a_call_that_waits_is_answered_without_being_chosen_and_keys_stay_with_the_other_one() {
    let (mut facts, mut ui) = (talking(), Ui::default());
    ui.on_event(&Event::Calling { call: CallId(2), target: Bytes::new() }, &facts);
    facts.calls.push(CallOverview { direction: CallDirection::Incoming, ..call(3, CallStage::Incoming) });
    let (from, uri) = (Bytes::from_static(b"Bob\x1b[2J"), Bytes::from_static(b"sip:1003@a.example"));
    let incoming = Event::Incoming { call: CallId(3), account: AccountId::FIRST, from, uri, waiting: true };
    ui.on_event(&incoming, &facts);
    let lines = View::of(&facts, &ui).lines;
    assert_eq!((lines[0].chosen, lines[1].chosen), (true, false));
    assert_eq!((lines[1].state, lines[1].peer.as_str()), ("calls you", "Bob\\u{1b}[2J (1003)"));
    let call = CallId(3);
    let busy = Command::Reject { call, rejection: Rejection::Busy };
    assert_eq!(press(&mut ui, &facts, "b"), Some(Wish::Command(busy)));
    assert_eq!(press(&mut ui, &facts, "a"), Some(Wish::Command(Command::Answer { call })));
    assert!(View::of(&facts, &ui).lines[1].chosen, "who is talked to is chosen");
    ui.handle(&key(KeyCode::Tab), &facts);
    assert!(View::of(&facts, &ui).lines[0].chosen);
}

#[test]
fn leaving_in_the_middle_of_a_call_is_asked_for_twice() {
    let (facts, mut ui) = (talking(), Ui::default());
    assert_eq!(press(&mut ui, &idle(), "q"), Some(Wish::Leave));
    assert_eq!(press(&mut ui, &facts, "q"), None);
    assert!(press(&mut ui, &facts, "m").is_some());
    assert_eq!(press(&mut ui, &facts, "q"), None, "another key came in between");
    assert_eq!(press(&mut ui, &facts, "q"), Some(Wish::Leave));
}

#[test]
fn only_the_last_notices_are_kept_and_none_can_move_the_cursor() {
    let mut ui = Ui::default();
    for line in ["one", "two", "three", "\x1b[31mfour\x07"] {
        ui.tell(line);
    }
    assert_eq!(View::of(&idle(), &ui).notices, ["two", "three", "\\u{1b}[31mfour\\u{7}"]);
}

#[test]
fn what_the_other_side_presses_is_one_notice() {
    let (facts, mut ui) = (talking(), Ui::default());
    for digit in ['1', '#', '2'] {
        ui.on_event(&Event::Digit { call: CallId(2), digit }, &facts);
    }
    assert_eq!(View::of(&facts, &ui).notices, ["1002 pressed 1#2"]);
}

#[test]
fn a_long_number_is_scrolled_to_the_cursor() {
    let (facts, mut ui) = (idle(), Ui::default());
    ui.handle(&Input::Paste("0123456789".repeat(5)), &facts);
    let seen = screen(&facts, &ui, 24, 20);
    assert!(seen.contains(&format!("▸ {}", &"0123456789".repeat(5)[30..])), "{seen:?}");
    ui.handle(&key(KeyCode::Home), &facts);
    let seen = screen(&facts, &ui, 24, 20);
    assert!(seen.contains(&format!("▸ {}01", "0123456789".repeat(2))), "{seen:?}");
}

proptest! {
    #[test]
    fn no_keys_and_no_size_break_the_screen(
        keys in proptest::collection::vec(any::<char>(), 0..40),
        pasted in ".*",
        (width, height) in (1_u16..120, 1_u16..40),
    ) {
        for facts in [idle(), talking(), watching()] {
            let mut ui = Ui::default();
            for letter in &keys {
                ui.handle(&key(KeyCode::Char(*letter)), &facts);
            }
            screen(&facts, &ui, width, height);
            ui.handle(&Input::Paste(pasted.clone()), &facts);
            screen(&facts, &ui, width, height);
        }
    }
}
