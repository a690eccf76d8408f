//! Events as lines of text and as JSON. Text of a peer is escaped in both.

use crate::phone::{Ending, Event};
use serde_json::{Value, json};
use sip_stack::message::Escaped;

/// An event as an object: `event` names it, `call` and `account` are numbers.
pub(super) fn object(event: &Event) -> Value {
    let text = |bytes: &[u8]| Escaped(bytes).to_string();
    match event {
        Event::Registered { account, expires_s } => {
            json!({ "event": "registered", "account": account.0, "expires_s": expires_s })
        }
        Event::Unregistered { account } => json!({ "event": "unregistered", "account": account.0 }),
        Event::RegistrationFailed { account, reason, retry } => json!({
            "event": "registration_failed",
            "account": account.0,
            "reason": reason.to_string(),
            "retry_s": retry.map(|retry| retry.as_secs()),
        }),
        Event::Calling { call, target } => json!({ "event": "calling", "call": call.0, "to": text(target) }),
        Event::Ringing { call } => json!({ "event": "ringing", "call": call.0 }),
        Event::Incoming { call, account, from, uri, waiting } => json!({
            "event": "incoming",
            "call": call.0,
            "account": account.0,
            "name": text(from),
            "from": text(uri),
            "waiting": waiting,
        }),
        Event::TurnedAway { account, from, uri } => {
            json!({ "event": "turned_away", "account": account.0, "name": text(from), "from": text(uri) })
        }
        Event::Connected { call } => json!({ "event": "connected", "call": call.0 }),
        Event::Held { call, held } => json!({ "event": "held", "call": call.0, "held": held }),
        Event::HoldFailed { call, reason } => {
            json!({ "event": "hold_failed", "call": call.0, "reason": reason.to_string() })
        }
        Event::HeldByPeer { call, held } => json!({ "event": "held_by_peer", "call": call.0, "held": held }),
        Event::Transferred { call } => json!({ "event": "transferred", "call": call.0 }),
        Event::TransferFailed { call, reason } => {
            json!({ "event": "transfer_failed", "call": call.0, "reason": reason.to_string() })
        }
        Event::Message { account, from, uri, text: body } => json!({
            "event": "message",
            "account": account.0,
            "name": text(from),
            "from": text(uri),
            "text": text(body),
        }),
        Event::MessageTaken { account, target } => {
            json!({ "event": "message_taken", "account": account.0, "to": text(target) })
        }
        Event::MessageFailed { account, target, reason } => json!({
            "event": "message_failed",
            "account": account.0,
            "to": text(target),
            "reason": reason.to_string(),
        }),
        Event::Watch { account, news } => super::watched::object(*account, news),
        Event::Muted { call, muted } => json!({ "event": "muted", "call": call.0, "muted": muted }),
        Event::Digit { call, digit } => {
            json!({ "event": "digit", "call": call.0, "digit": digit.to_string() })
        }
        Event::Ended { call, ending } => {
            let (by, reason) = match ending {
                Ending::Ours => ("us", None),
                Ending::Theirs => ("them", None),
                Ending::Elsewhere => ("another phone", None),
                Ending::Failed(reason) => ("failure", Some(reason.to_string())),
            };
            json!({ "event": "ended", "call": call.0, "by": by, "reason": reason })
        }
    }
}

/// An event as a line: its name, then `key=value`; text is in quotes.
pub(super) fn line(event: &Event) -> String {
    let Value::Object(fields) = object(event) else { return String::new() };
    let name = fields.get("event").and_then(Value::as_str).unwrap_or_default().to_owned();
    let others = fields.iter().filter(|(key, value)| *key != "event" && !value.is_null());
    others.fold(name, |line, (key, value)| format!("{line} {key}={value}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::{AccountId, CallId, Reason};
    use bytes::Bytes;

    #[test]
    fn an_event_is_one_line_whatever_a_peer_calls_itself() {
        let from = Bytes::from_static(b"Bob\"\r\nended call=1");
        let uri = Bytes::from_static(b"sip:1002@a.example");
        let event = Event::Incoming { call: CallId(1), account: AccountId::FIRST, from, uri, waiting: false };
        let line = line(&event);
        assert!(!line.contains(['\r', '\n']), "{line}");
        assert!(line.starts_with("incoming account=0 call=1 from=\"sip:1002@a.example\""), "{line}");
    }

    #[test]
    fn what_is_not_known_is_left_out_of_a_line() {
        let ended = |ending| line(&Event::Ended { call: CallId(3), ending });
        assert_eq!(ended(Ending::Theirs), "ended by=\"them\" call=3");
        let failed = ended(Ending::Failed(Reason::Busy));
        assert_eq!(failed, "ended by=\"failure\" call=3 reason=\"The other side is busy.\"");
    }
}
