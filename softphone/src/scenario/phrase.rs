//! The phrases that may follow the name of a phone: one table, which is also what a fault lists.

use super::fault::Fault;
use super::words::Words;

/// What may follow the name of a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Registers,
    Unregisters,
    CallsAgain,
    Calls,
    Answers,
    Rejects,
    Declines,
    HangsUp,
    Holds,
    Transfers,
    Joins,
    Merges,
    Writes,
    Resumes,
    Mutes,
    Unmutes,
    Presses,
    Talks,
    FallsSilent,
    GoesOffline,
    ComesOnline,
    WantsRest,
    GoesAway,
    ComesBack,
    Watches,
    StopsWatching,
    TakesCalls,
    Rings,
    HearsRinging,
    HearsNothing,
    HearsMusic,
    HearsOnly,
    HearsEachOther,
    Hears,
    Gets,
    Receives,
    TurnsAway,
    HasWaiting,
    IsRegistered,
    IsConnected,
    IsIdle,
    IsHolding,
    IsOnHold,
    CallEnds,
    CallFails,
    TransferFails,
    RegistrationFails,
    Reads,
    Sees,
    HasMessages,
    MessageFails,
}

/// Phrases as one phone does it and as several do; a longer one stands before those that it begins with.
const PHRASES: [(&str, &str, Verb); 51] = [
    ("registers", "register", Verb::Registers),
    ("unregisters", "unregister", Verb::Unregisters),
    ("calls again", "call again", Verb::CallsAgain),
    ("calls", "call", Verb::Calls),
    ("answers", "answer", Verb::Answers),
    ("rejects", "reject", Verb::Rejects),
    ("declines", "decline", Verb::Declines),
    ("hangs up", "hang up", Verb::HangsUp),
    ("holds", "hold", Verb::Holds),
    ("transfers", "transfer", Verb::Transfers),
    ("joins", "join", Verb::Joins),
    ("merges", "merge", Verb::Merges),
    ("writes", "write", Verb::Writes),
    ("reads", "read", Verb::Reads),
    ("resumes", "resume", Verb::Resumes),
    ("mutes", "mute", Verb::Mutes),
    ("unmutes", "unmute", Verb::Unmutes),
    ("presses", "press", Verb::Presses),
    ("talks", "talk", Verb::Talks),
    ("falls silent", "fall silent", Verb::FallsSilent),
    ("goes offline", "go offline", Verb::GoesOffline),
    ("comes online", "come online", Verb::ComesOnline),
    ("goes away", "go away", Verb::GoesAway),
    ("comes back", "come back", Verb::ComesBack),
    ("watches", "watch", Verb::Watches),
    ("stops watching", "stop watching", Verb::StopsWatching),
    ("sees", "see", Verb::Sees),
    ("wants no calls", "want no calls", Verb::WantsRest),
    ("takes calls", "take calls", Verb::TakesCalls),
    ("rings", "ring", Verb::Rings),
    ("hears ringing", "hear ringing", Verb::HearsRinging),
    ("hears nothing", "hear nothing", Verb::HearsNothing),
    ("hears music", "hear music", Verb::HearsMusic),
    ("hears only", "hear only", Verb::HearsOnly),
    ("hears each other", "hear each other", Verb::HearsEachOther),
    ("hears", "hear", Verb::Hears),
    ("gets", "get", Verb::Gets),
    ("receives", "receive", Verb::Receives),
    ("turns away", "turn away", Verb::TurnsAway),
    ("has a call waiting", "have a call waiting", Verb::HasWaiting),
    ("has", "have", Verb::HasMessages),
    ("is registered", "are registered", Verb::IsRegistered),
    ("is connected", "are connected", Verb::IsConnected),
    ("is idle", "are idle", Verb::IsIdle),
    ("is holding", "are holding", Verb::IsHolding),
    ("is on hold", "are on hold", Verb::IsOnHold),
    ("'s call ends", "'s calls end", Verb::CallEnds),
    ("'s call fails", "'s calls fail", Verb::CallFails),
    ("'s transfer fails", "'s transfers fail", Verb::TransferFails),
    ("'s registration fails", "'s registrations fail", Verb::RegistrationFails),
    ("'s message fails", "'s messages fail", Verb::MessageFails),
];

/// The verb that stands here, and whether it is said, not denied.
pub(super) fn verb(words: &mut Words<'_>) -> Result<(Verb, bool), Fault> {
    let mut ahead = words.clone();
    let denied = ahead.eat_any(&["does not", "do not"]);
    for (one, many, verb) in PHRASES {
        let said = if denied { ahead.eat(many) } else { ahead.eat(one) || ahead.eat(many) };
        if said {
            *words = ahead;
            return Ok((verb, !denied));
        }
        // "is not", "are no longer", "has no call waiting"
        let (is, rest) = one.split_once(' ').unwrap_or((one, ""));
        let mut negated = words.clone();
        let not = match is {
            "is" => {
                negated.eat_any(&["is not", "are not", "is no longer", "are no longer"]) && negated.eat(rest)
            }
            "has" => negated.eat_any(&["has no call waiting", "have no call waiting"]),
            _ => false,
        };
        if not {
            *words = negated;
            return Ok((verb, false));
        }
    }
    Err(no_such_verb(&ahead))
}

fn no_such_verb(words: &Words<'_>) -> Fault {
    let known: Vec<&'static str> = PHRASES.map(|(one, _, _)| one).to_vec();
    let found = words.rest();
    let close = known.iter().filter_map(|phrase| {
        let start: Vec<&str> = found.0.split(' ').take(phrase.split(' ').count()).collect();
        let score = strsim::jaro_winkler(&start.join(" "), phrase);
        (score > 0.85).then_some((score, *phrase))
    });
    let nearest = close.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, phrase)| phrase);
    Fault::NoSuchSentence { subject: "a phone", found, nearest, known }
}
