//! The line protocol of the headless phone: what a line means.
//!
//! `call [@ACCOUNT] TARGET`, `answer|hangup|reject|decline|hold|resume|mute|unmute [CALL]`,
//! `dial DIGITS [as events|info|tones] [CALL]`, `redial`, `transfer TARGET [CALL]`, `join CALL CALL`, `merge CALL CALL`, `message TARGET TEXT`,
//! `watch|unwatch [@ACCOUNT] TARGET`, `mailbox|presence on|off`, `away on|off`, `watched`,
//! `dnd on|off`, `auto never|always|SECONDS`, `register|unregister [ACCOUNT]`, `status`, `log`, `quit`. A command for a call
//! without its number is for the one that began last.

use crate::phone::{AccountId, AutoAnswer, CallId, Command, DigitWay, Rejection};
use std::time::Duration;

/// How keys are sent that are said to be sent in a certain way.
fn digit_way(word: &str) -> Result<DigitWay, String> {
    match word {
        "events" => Ok(DigitWay::Events),
        "info" => Ok(DigitWay::Info),
        "tones" => Ok(DigitWay::Tones),
        _ => Err("dial DIGITS as events, as info or as tones".to_owned()),
    }
}

/// What a line wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The phone has something to do.
    Command(Command),
    /// Calls and registrations as they are.
    Status,
    /// What is watched, as it is.
    Watched,
    /// Past calls.
    Log,
    /// Leave.
    Quit,
    /// Nothing.
    Nothing,
}

/// Reads a line; `last` is the call that began last.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn read(line: &str, last: Option<CallId>) -> Result<Request, String> {
    let mut words = line.split_whitespace();
    let Some(verb) = words.next() else { return Ok(Request::Nothing) };
    let rest: Vec<&str> = words.collect();
    let of_call = |word: Option<&&str>| -> Result<CallId, String> {
        match word {
            Some(word) => word.parse().map(CallId).map_err(|_| format!("\"{word}\" is no number of a call")),
            None => last.ok_or_else(|| "there is no call".to_owned()),
        }
    };
    let call = || of_call(rest.first());
    let account = |word: &str| -> Result<AccountId, String> {
        word.parse().map(AccountId).map_err(|_| format!("\"{word}\" is no number of an account"))
    };
    let command = match (verb, &rest[..]) {
        ("call", [target]) => Command::Call { account: AccountId::FIRST, target: (*target).into() },
        ("call", [from, target]) if from.starts_with('@') => {
            Command::Call { account: account(&from[1..])?, target: (*target).into() }
        }
        ("call", _) => return Err("call [@ACCOUNT] TARGET".to_owned()),
        ("redial", []) => Command::Redial,
        ("answer", _) => Command::Answer { call: call()? },
        ("hangup", _) => Command::HangUp { call: call()? },
        ("reject", _) => Command::Reject { call: call()?, rejection: Rejection::Busy },
        ("decline", _) => Command::Reject { call: call()?, rejection: Rejection::Decline },
        ("hold", _) => Command::Hold { call: call()? },
        ("resume", _) => Command::Resume { call: call()? },
        ("mute", _) => Command::Mute { call: call()?, muted: true },
        ("unmute", _) => Command::Mute { call: call()?, muted: false },
        ("transfer", [target, rest @ ..]) => {
            Command::Transfer { call: of_call(rest.first())?, target: (*target).into() }
        }
        ("message", [target, words @ ..]) if !words.is_empty() => Command::Write {
            account: AccountId::FIRST,
            target: (*target).into(),
            text: words.join(" ").into(),
        },
        ("message", _) => return Err("message TARGET TEXT".to_owned()),
        ("join", [call, other]) => {
            Command::TransferTo { call: of_call(Some(call))?, other: of_call(Some(other))? }
        }
        ("merge", [call, other]) => {
            Command::Merge { call: of_call(Some(call))?, other: of_call(Some(other))? }
        }
        ("transfer" | "join" | "merge", _) => {
            return Err("transfer TARGET [CALL], join CALL CALL, merge CALL CALL".to_owned());
        }
        ("dial", [digits, rest @ ..]) => {
            let (way, rest) = match rest {
                ["as", way, rest @ ..] => (digit_way(way)?, rest),
                _ => (DigitWay::Best, rest),
            };
            Command::Dial { call: of_call(rest.first())?, digits: (*digits).into(), way }
        }
        ("watch" | "unwatch", [target]) => {
            Command::Watch { account: AccountId::FIRST, target: (*target).into(), wanted: verb == "watch" }
        }
        ("watch" | "unwatch", [which, target]) if which.starts_with('@') => Command::Watch {
            account: account(&which[1..])?,
            target: (*target).into(),
            wanted: verb == "watch",
        },
        ("watch" | "unwatch", _) => return Err(format!("{verb} [@ACCOUNT] TARGET")),
        ("mailbox", [word @ ("on" | "off")]) => {
            Command::WatchMailbox { account: AccountId::FIRST, wanted: *word == "on" }
        }
        ("presence", [word @ ("on" | "off")]) => {
            Command::PublishPresence { account: AccountId::FIRST, wanted: *word == "on" }
        }
        ("away", [word @ ("on" | "off")]) => Command::Away(*word == "on"),
        ("dnd", ["on"]) => Command::DoNotDisturb(true),
        ("dnd", ["off"]) => Command::DoNotDisturb(false),
        ("auto", ["never"]) => Command::AutoAnswer(AutoAnswer::Never),
        ("auto", ["always"]) => Command::AutoAnswer(AutoAnswer::Always),
        ("auto", [seconds]) => {
            let seconds = seconds.parse().map_err(|_| "auto never, always, or seconds".to_owned())?;
            Command::AutoAnswer(AutoAnswer::After(Duration::from_secs(seconds)))
        }
        ("register", []) => Command::Register,
        ("unregister", []) => Command::Unregister,
        ("register", [which]) => Command::Enable { account: account(which)?, enabled: true },
        ("unregister", [which]) => Command::Enable { account: account(which)?, enabled: false },
        ("status", []) => return Ok(Request::Status),
        ("watched", []) => return Ok(Request::Watched),
        ("log", []) => return Ok(Request::Log),
        ("quit", []) => return Ok(Request::Quit),
        _ => return Err(format!("\"{}\" is not understood", line.trim().escape_default())),
    };
    Ok(Request::Command(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands_for_the_call_that_is_named_or_the_last() {
        let last = Some(CallId(7));
        let command = |line| match read(line, last) {
            Ok(Request::Command(command)) => command,
            other => panic!("{line}: {other:?}"),
        };
        let target = || "1002".into();
        assert_eq!(command("call 1002"), Command::Call { account: AccountId::FIRST, target: target() });
        assert_eq!(command(" call @1 1002 "), Command::Call { account: AccountId(1), target: target() });
        assert_eq!(command("answer"), Command::Answer { call: CallId(7) });
        assert_eq!(command("hold 3"), Command::Hold { call: CallId(3) });
        assert_eq!(command("transfer 1003"), Command::Transfer { call: CallId(7), target: "1003".into() });
        let (account, text) = (AccountId::FIRST, "hello there".into());
        assert_eq!(
            command("message 1003 hello there"),
            Command::Write { account, target: "1003".into(), text }
        );
        assert_eq!(command("join 3 7"), Command::TransferTo { call: CallId(3), other: CallId(7) });
        assert_eq!(command("merge 3 7"), Command::Merge { call: CallId(3), other: CallId(7) });
        assert_eq!(
            command("dial 12# 3"),
            Command::Dial { call: CallId(3), digits: "12#".into(), way: DigitWay::Best }
        );
        assert_eq!(
            command("dial 12# as tones"),
            Command::Dial { call: CallId(7), digits: "12#".into(), way: DigitWay::Tones }
        );
        let watch = |account, wanted| Command::Watch { account, target: target(), wanted };
        assert_eq!(command("watch 1002"), watch(AccountId::FIRST, true));
        assert_eq!(command("unwatch @1 1002"), watch(AccountId(1), false));
        assert_eq!(command("away on"), Command::Away(true));
        assert_eq!(command("auto 5"), Command::AutoAnswer(AutoAnswer::After(Duration::from_secs(5))));
        assert_eq!(read("", last), Ok(Request::Nothing));
        assert_eq!(read("quit", None), Ok(Request::Quit));
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (line, told) in [
            ("call", "call [@ACCOUNT] TARGET"),
            ("answer", "there is no call"),
            ("answer x", "\"x\" is no number of a call"),
            ("dial 1 as smoke", "dial DIGITS as events, as info or as tones"),
            ("join 1", "transfer TARGET [CALL], join CALL CALL, merge CALL CALL"),
            ("watch", "watch [@ACCOUNT] TARGET"),
            ("mailbox maybe", "\"mailbox maybe\" is not understood"),
            ("sing", "\"sing\" is not understood"),
            ("dnd maybe", "\"dnd maybe\" is not understood"),
        ] {
            assert_eq!(read(line, None), Err(told.to_owned()));
        }
    }
}
