//! What is watched, as JSON: events and rows. Text of a peer is escaped.

use crate::phone::{AccountId, Phone, WatchEvent, Watched};
use serde_json::{Value, json};
use sip_stack::message::Escaped;

fn text(text: &str) -> String {
    Escaped(text.as_bytes()).to_string()
}

/// News of what an account watches.
pub(super) fn object(account: AccountId, news: &WatchEvent) -> Value {
    match news {
        WatchEvent::Calls { target, lamp, peer } => json!({
            "event": "watched_calls",
            "account": account.0,
            "of": text(target),
            "state": lamp.map(|lamp| lamp.word()),
            "with": peer.as_deref().map(text),
        }),
        WatchEvent::Presence { target, availability, note } => json!({
            "event": "watched_presence",
            "account": account.0,
            "of": text(target),
            "state": availability.map(|availability| availability.words()),
            "note": note.as_deref().map(text),
        }),
        WatchEvent::Mailbox(mailbox) => json!({
            "event": "mailbox",
            "account": account.0,
            "waiting": mailbox.map(|mailbox| mailbox.waiting),
            "new": mailbox.map(|mailbox| mailbox.new),
            "old": mailbox.map(|mailbox| mailbox.old),
        }),
        WatchEvent::Published(availability) => json!({
            "event": "published",
            "account": account.0,
            "state": availability.map(|availability| availability.words()),
        }),
        WatchEvent::Failed { what, reason, retry } => {
            let (what, of) = match what {
                Watched::Calls(target) => ("calls", Some(text(target))),
                Watched::Presence(target) => ("presence", Some(text(target))),
                Watched::Mailbox => ("mailbox", None),
                Watched::OwnPresence => ("own presence", None),
            };
            json!({
                "event": "watch_failed",
                "account": account.0,
                "what": what,
                "of": of,
                "reason": reason.to_string(),
                "retry_s": retry.map(|retry| retry.as_secs()),
            })
        }
    }
}

/// Everything that is watched, as it is now.
pub(super) fn rows(phone: &Phone) -> Vec<String> {
    let numbers = phone.watched().into_iter().map(|row| {
        json!({
            "account": row.account.0,
            "of": text(&row.target),
            "calls": row.lamp.map(|lamp| lamp.word()),
            "with": row.peer.as_deref().map(text),
            "presence": row.availability.map(|availability| availability.words()),
            "note": row.note.as_deref().map(text),
            "reason": row.fault.map(|reason| reason.to_string()),
        })
    });
    let mailboxes = phone.accounts().filter_map(|(account, _)| {
        let mailbox = phone.mailbox(account)?;
        Some(json!({ "account": account.0, "mailbox": mailbox.to_string(), "new": mailbox.new, "old": mailbox.old }))
    });
    numbers.chain(mailboxes).map(|row| row.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::{Lamp, Reason};

    #[test]
    fn what_a_peer_calls_itself_stays_in_its_place() {
        let peer = Some("Eve\r\n\u{1b}[2J".into());
        let news = WatchEvent::Calls { target: "1002".into(), lamp: Some(Lamp::Ringing), peer };
        let object = object(AccountId::FIRST, &news);
        assert_eq!(object["state"], "ringing");
        assert_eq!(object["with"], "Eve\\r\\n\\x1b[2J");
        let news = WatchEvent::Calls { target: "1002".into(), lamp: None, peer: None };
        assert!(super::object(AccountId::FIRST, &news)["state"].is_null());
        let what = Watched::Presence("1002".into());
        let news = WatchEvent::Failed { what, reason: Reason::NotOffered, retry: None };
        assert_eq!(super::object(AccountId::FIRST, &news)["reason"], "The server does not offer this.");
    }
}
