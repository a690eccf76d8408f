//! One client: octets in, what it wants; what it is told, octets out.
//!
//! Events are pulled from the stream as the client reads, so that nothing is kept for it but its place. One whose place is gone has
//! read too slowly: it is told where the stream begins now, and cut off.

use super::{COMMANDS, Fault, LINE, Line, Portion, Request, Stream, UNREAD};
use crate::core::command::{Actor, Answer, Command, CommandId};
use std::collections::BTreeMap;

/// Octets of events that are put before a client at a time.
const PORTION: usize = 64 * 1_024;

/// A command that a client gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// In whose name.
    pub actor: Actor,
    /// What.
    pub command: Command,
    /// The client's own number.
    pub request: u64,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// The event that it is told next.
    following: Option<u64>,
    /// Its own numbers of commands that have no answer.
    waiting: BTreeMap<CommandId, u64>,
    is_over: bool,
}

impl Client {
    /// A client that has just come.
    #[must_use]
    pub fn new(run: &str, stream: &Stream) -> Client {
        let mut client = Client {
            incoming: Vec::new(),
            outgoing: Vec::new(),
            following: None,
            waiting: BTreeMap::new(),
            is_over: false,
        };
        client.tell(&Line::hello(run, stream.next()));
        client
    }

    /// Takes what it has sent; what it wants. A line that is too long is its last.
    pub fn receive(&mut self, octets: &[u8], stream: &Stream) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let mut rest = octets;
        while !self.is_over {
            let end = rest.iter().position(|octet| *octet == b'\n');
            let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
            if self.incoming.len() + line.len() > LINE {
                self.tell(&Line::too_long());
                self.is_over = true;
                break;
            }
            self.incoming.extend_from_slice(line);
            if end.is_none() {
                break;
            }
            rest = after.get(1..).unwrap_or_default();
            let line = core::mem::take(&mut self.incoming);
            if !line.trim_ascii().is_empty() {
                wishes.extend(self.read(&line, wishes.len(), stream));
            }
        }
        wishes
    }

    fn read(&mut self, line: &[u8], before: usize, stream: &Stream) -> Option<Wish> {
        let Request { id, user, command, follow } = match Request::parse(line) {
            Ok(request) => request,
            Err(error) => {
                self.tell(&error);
                return None;
            }
        };
        match (follow, &user) {
            (Some(from), None) => self.follow(id, from, stream),
            (Some(_), Some(_)) => self.refuse_events(id),
            (None, _) => {}
        }
        let command = command?;
        if self.waiting.len() + before >= COMMANDS {
            self.refuse(id);
            return None;
        }
        let actor = user.map_or(Actor::Operator, Actor::User);
        Some(Wish { actor, command, request: id })
    }

    fn follow(&mut self, id: u64, from: u64, stream: &Stream) {
        let from = if from == 0 { stream.next() } else { from };
        if (stream.oldest()..=stream.next()).contains(&from) {
            self.following = Some(from);
            return self.tell(&Line::Following { id, from });
        }
        let sentence = format!("events {} to {} can be followed from", stream.oldest(), stream.next()).into();
        self.tell(&Line::Error { id: Some(id), reason: Fault::Gone, sentence });
    }

    /// Events tell of everybody's calls, so nobody has them with the rights of a user.
    fn refuse_events(&mut self, id: u64) {
        let sentence = "only the operator may follow events: leave \"as\" out".into();
        self.tell(&Line::Error { id: Some(id), reason: Fault::NotAllowed, sentence });
    }

    /// A command of it was handed in under this id.
    pub fn note(&mut self, command: CommandId, request: u64) {
        self.waiting.insert(command, request);
    }

    /// A command of it could not be handed in.
    pub fn refuse(&mut self, request: u64) {
        let sentence = "too many commands wait for their answers: try again".into();
        self.tell(&Line::Error { id: Some(request), reason: Fault::Overloaded, sentence });
    }

    /// Tells it the answer to one of its commands; whether it was.
    pub fn answer(&mut self, answer: &Answer) -> bool {
        let Some(request) = self.waiting.remove(&answer.command) else { return false };
        self.tell(&Line::answer(request, answer.clone()));
        true
    }

    /// The event that it is to be told next; `None`: it follows none.
    #[must_use]
    pub fn following(&self) -> Option<u64> {
        self.following.filter(|_| !self.is_over)
    }

    /// Puts the next events before it, as many as it may have.
    pub fn attend(&mut self, portion: Portion) {
        let Some(mut next) = self.following() else { return };
        if next < portion.oldest {
            self.tell(&Line::CutOff { oldest: portion.oldest });
            self.is_over = true;
            return;
        }
        for told in portion.events {
            if self.outgoing.len() >= PORTION {
                break;
            }
            if told.number == next {
                self.tell(&Line::Event(told));
                next += 1;
            }
        }
        self.following = Some(next);
    }

    fn tell(&mut self, line: &Line) {
        if !self.is_over {
            line.write(&mut self.outgoing);
            self.is_over = self.outgoing.len() > UNREAD;
        }
    }

    /// What is to be written to it.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.outgoing
    }

    /// So much of it was written.
    pub fn written(&mut self, octets: usize) {
        self.outgoing.drain(..octets.min(self.outgoing.len()));
    }

    /// Whether it is to be closed when all was written that can be written now.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::super::EVENTS;
    use super::*;
    use crate::core::command::{CallRef, Done, LegSide, Refused};
    use crate::core::{Event, Told};
    use bytes::Bytes;

    fn lines(client: &mut Client) -> Vec<String> {
        let text = String::from_utf8(client.unread().to_vec()).unwrap();
        client.written(text.len());
        text.lines().map(str::to_owned).collect()
    }

    fn started(number: u64, callee: &'static [u8]) -> Told {
        let (call, domain) = (CallRef(number), "example.com".into());
        let (caller, callee) = (Bytes::from_static(b"1001"), Bytes::from_static(callee));
        let event = Event::CallStarted { call, domain, caller, callee };
        Told { number, unix_ms: 7, command: Some(CommandId(255)), event }
    }

    #[test]
    fn a_command_comes_in_pieces_and_its_answer_names_the_request() {
        let stream = Stream::default();
        let mut client = Client::new("r1", &stream);
        assert_eq!(lines(&mut client), [r#"{"hello":{"version":1,"program":"0.1.0","run":"r1","next":1}}"#]);
        assert_eq!(
            client.receive(br#"{"id":7,"as":"1001@a.example","command":{"hang_up":{"ca"#, &stream),
            []
        );
        let wishes = client.receive(b"ll\":\"00000000000000ff\",\"side\":\"callee\"}}}\n", &stream);
        let command = Command::HangUp { call: CallRef(255), side: Some(LegSide::Callee) };
        let [Wish { actor, command: given, request: 7 }] = &wishes[..] else { panic!("{wishes:?}") };
        assert_eq!((actor, given), (&Actor::User("1001@a.example".parse().unwrap()), &command));
        client.note(CommandId(16), 7);
        let refused = Answer { command: CommandId(16), result: Err(Refused::UnknownCall) };
        assert!(client.answer(&refused));
        assert!(!client.answer(&refused), "once");
        assert_eq!(
            lines(&mut client),
            [
                r#"{"answer":{"id":7,"command":"0000000000000010","refused":{"reason":"unknown_call","sentence":"there is no such call"}}}"#
            ]
        );
        client.note(CommandId(17), 8);
        client.answer(&Answer { command: CommandId(17), result: Ok(Done::Accepted) });
        assert_eq!(
            lines(&mut client),
            [r#"{"answer":{"id":8,"command":"0000000000000011","accepted":"done"}}"#]
        );
    }

    #[test]
    fn what_makes_no_sense_is_told_and_the_next_line_is_read() {
        let stream = Stream::default();
        let mut client = Client::new("r", &stream);
        lines(&mut client);
        for wrong in [
            "tea",
            r#"{"id":1}"#,
            r#"{"id":1,"follow":0,"command":"reload"}"#,
            r#"{"id":1,"command":"make_tea"}"#,
            r#"{"id":1,"command":{"hang_up":{"call":"12"}}}"#,
            r#"{"id":1,"command":{"hang_up":{"call":"00000000000000ff","now":true}}}"#,
        ] {
            assert_eq!(client.receive(format!("{wrong}\n").as_bytes(), &stream), [], "{wrong}");
            let told = lines(&mut client);
            assert!(told[0].contains(r#""reason":"malformed""#), "{told:?}");
        }
        assert_eq!(client.receive(b"{\"id\":2,\"command\":\"reload\"}\n", &stream).len(), 1);
    }

    #[test]
    fn a_line_without_an_end_is_the_last() {
        let stream = Stream::default();
        let mut client = Client::new("r", &stream);
        lines(&mut client);
        assert_eq!(client.receive(&[b'x'; LINE], &stream), []);
        assert!(!client.is_over());
        client.receive(b"x", &stream);
        assert!(client.is_over() && lines(&mut client)[0].contains("too_long"));
    }

    #[test]
    fn what_a_caller_sent_stays_within_its_string() {
        let mut stream = Stream::default();
        stream.push(started(1, b"x\"}}\n{\"event\":\x00\xff\x1b[31m"));
        let mut client = Client::new("r", &stream);
        client.receive(b"{\"id\":1,\"follow\":1}\n", &stream);
        client.attend(stream.portion(client.following().unwrap()));
        let told = lines(&mut client);
        assert_eq!(told.len(), 3, "{told:?}");
        let read: Line = serde_json::from_str(&told[2]).unwrap();
        let Line::Event(Told { event: Event::CallStarted { callee, .. }, .. }) = read else {
            panic!("{read:?}")
        };
        assert_eq!(callee, "x\"}}\n{\"event\":\0\u{fffd}\u{1b}[31m");
    }

    #[test]
    fn a_client_that_comes_again_goes_on_where_it_was_and_one_that_is_too_slow_is_cut_off() {
        let mut stream = Stream::default();
        (1..=5).for_each(|number| stream.push(started(number, b"2")));
        let mut client = Client::new("r", &stream);
        client.receive(b"{\"id\":1,\"follow\":4}\n", &stream);
        client.attend(stream.portion(client.following().unwrap()));
        let told = lines(&mut client);
        assert!(
            told[1] == r#"{"following":{"id":1,"from":4}}"# && told[2].contains(r#""number":4,"#),
            "{told:?}"
        );
        assert_eq!(told.len(), 4);
        client.receive(b"{\"id\":2,\"follow\":9}\n", &stream);
        assert!(lines(&mut client)[0].contains(r#""reason":"gone""#));
        // It reads nothing while more events come than are kept.
        (6..=6 + EVENTS as u64).for_each(|number| stream.push(started(number, b"2")));
        client.attend(stream.portion(client.following().unwrap()));
        assert_eq!(lines(&mut client), [format!(r#"{{"cut_off":{{"oldest":{}}}}}"#, stream.oldest())]);
        assert!(client.is_over());
    }

    #[test]
    fn events_are_for_the_operator_alone() {
        let stream = Stream::default();
        let mut client = Client::new("r", &stream);
        lines(&mut client);
        assert_eq!(client.receive(b"{\"id\":3,\"as\":\"1001@a.example\",\"follow\":0}\n", &stream), []);
        let told = lines(&mut client);
        assert!(told[0].contains(r#""reason":"not_allowed""#) && told[0].contains("operator"), "{told:?}");
        assert_eq!(client.following(), None);
    }

    #[test]
    fn so_many_commands_wait_and_more_are_refused() {
        let stream = Stream::default();
        let mut client = Client::new("r", &stream);
        lines(&mut client);
        let many = "{\"id\":1,\"command\":\"reload\"}\n".repeat(COMMANDS + 1);
        assert_eq!(client.receive(many.as_bytes(), &stream).len(), COMMANDS);
        assert!(lines(&mut client)[0].contains("overloaded"));
    }
}
