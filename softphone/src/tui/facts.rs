//! How things are with the phone, at one moment.

use crate::io::Engine;
use crate::phone::{AutoAnswer, CallId, CallOverview, LoggedCall, Mailbox, Phone, Standing, WatchOverview};
use crate::voice::VoiceFigures;
use sip_stack::Time;
use std::collections::BTreeMap;

/// How things are with the phone.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When that is.
    pub now: Time,
    /// User, domain and standing of each account, in their order.
    pub accounts: Vec<(Box<str>, Box<str>, Standing)>,
    /// The mailbox of each account, where something is known of it.
    pub mailboxes: Vec<Option<Mailbox>>,
    /// The numbers that are watched.
    pub watched: Vec<WatchOverview>,
    /// Whether others see that the user is away; `None`: they see nothing.
    pub away: Option<bool>,
    /// The calls that go on.
    pub calls: Vec<CallOverview>,
    /// The sound of each.
    pub sounds: BTreeMap<CallId, VoiceFigures>,
    /// Past calls, the newest first.
    pub log: Vec<LoggedCall>,
    /// Whether callers are told that we are busy.
    pub do_not_disturb: bool,
    /// What is done with calls that come in.
    pub auto_answer: AutoAnswer,
}

impl Facts {
    /// As they are now; of past calls as many as `log`.
    pub fn of(engine: &Engine, now: Time, log: usize) -> Facts {
        let mut facts = Facts::of_phone(engine.phone(), now, log);
        let sound = |call: &CallOverview| Some((call.call, engine.figures(call.call)?));
        facts.sounds = facts.calls.iter().filter_map(sound).collect();
        facts
    }

    /// The same of a phone without sound.
    pub fn of_phone(phone: &Phone, now: Time, log: usize) -> Facts {
        let settings = phone.settings();
        Facts {
            now,
            accounts: phone
                .accounts()
                .map(|(id, account)| (account.user.clone(), account.domain.clone(), phone.standing(id)))
                .collect(),
            mailboxes: phone.accounts().map(|(id, _)| phone.mailbox(id)).collect(),
            watched: phone.watched(),
            away: phone.is_away(),
            calls: phone.overview(),
            sounds: BTreeMap::new(),
            log: phone.call_log().rev().take(log).cloned().collect(),
            do_not_disturb: settings.do_not_disturb,
            auto_answer: settings.auto_answer.clone(),
        }
    }
}
