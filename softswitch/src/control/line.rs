//! The lines, in both directions. Each is one JSON object; what parties of calls have sent is escaped in it as JSON has it.

use super::LINE;
use crate::core::Told;
use crate::core::command::{Answer, Command, CommandId, Done, Refused, UserRef, VERSION};
use serde::{Deserialize, Serialize};

/// What a client asks for: a command, or to follow events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The client's own number; what comes of the request has it.
    pub id: u64,
    /// The user in whose name the command is given; the operator without it.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub user: Option<UserRef>,
    /// The command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// The number of the event to follow from; 0: from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<u64>,
}

/// What is written to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first line.
    Hello {
        /// Of the vocabulary ([`VERSION`]).
        version: u32,
        /// Of the program.
        program: Box<str>,
        /// Names this run of the switch: numbers of events are of one run.
        run: Box<str>,
        /// The number that the next event will have.
        next: u64,
    },
    /// What a command is answered with: one of the two.
    Answer {
        /// Of the request.
        id: u64,
        /// What events that come of it name.
        command: CommandId,
        /// What it has come to so far.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accepted: Option<Done>,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<RefusedLine>,
    },
    /// Events follow.
    Following {
        /// Of the request.
        id: u64,
        /// The number of the first that is told.
        from: u64,
    },
    /// An event.
    Event(Told),
    /// A request is no use.
    Error {
        /// Of the request, where it has one.
        id: Option<u64>,
        /// What is wrong with it.
        reason: Fault,
        /// The same for people.
        sentence: Box<str>,
    },
    /// The last line: the client reads too slowly and has missed events. It may come again and follow from there.
    CutOff {
        /// The first event that is still kept.
        oldest: u64,
    },
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLine {
    /// For programs.
    pub reason: Refused,
    /// For people.
    pub sentence: Box<str>,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is not JSON, or not of this form.
    Malformed,
    /// The line is too long; the client is cut off.
    TooLong,
    /// Too many commands wait for their answers: try again.
    Overloaded,
    /// The event to follow from is not kept any more, or is not there yet.
    Gone,
    /// Events are of all: only the operator follows them.
    NotAllowed,
}

/// Characters of a sentence that come from a client.
const SHOWN: usize = 200;

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// The line that says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Request, Box<Line>> {
        let malformed = |id, sentence: &str| {
            let sentence: String = sentence.chars().take(SHOWN).collect();
            Box::new(Line::Error { id, reason: Fault::Malformed, sentence: sentence.into() })
        };
        let request: Request =
            serde_json::from_slice(line).map_err(|error| malformed(None, &error.to_string()))?;
        match (&request.command, &request.follow) {
            (Some(_), None) | (None, Some(_)) => Ok(request),
            (Some(_), Some(_)) | (None, None) => {
                Err(malformed(Some(request.id), "a request has either a command or follow"))
            }
        }
    }
}

impl Line {
    /// The first line.
    #[must_use]
    pub fn hello(run: &str, next: u64) -> Line {
        Line::Hello { version: VERSION, program: env!("CARGO_PKG_VERSION").into(), run: run.into(), next }
    }

    /// An answer to the request of that number.
    #[must_use]
    pub fn answer(id: u64, answer: Answer) -> Line {
        let Answer { command, result } = answer;
        let (accepted, refused) = match result {
            Ok(done) => (Some(done), None),
            Err(reason) => (None, Some(RefusedLine { reason, sentence: reason.to_string().into() })),
        };
        Line::Answer { id, command, accepted, refused }
    }

    /// A line that is longer than one may be.
    #[must_use]
    pub fn too_long() -> Line {
        let sentence = format!("a line has more than {LINE} octets").into();
        Line::Error { id: None, reason: Fault::TooLong, sentence }
    }

    /// Appends it, with its end.
    pub fn write(&self, out: &mut Vec<u8>) {
        let before = out.len();
        if serde_json::to_writer(&mut *out, self).is_err() {
            // Every value of ours has a JSON form; half a line would be none.
            out.truncate(before);
            return;
        }
        out.push(b'\n');
    }
}
