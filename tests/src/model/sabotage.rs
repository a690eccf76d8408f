//! Planted faults: between a machine and the model, one party does what it must not, or does not what it must.
//!
//! A fault changes what a party sends, or withholds from it what it has heard, so that its machine goes wrong by itself. The
//! model sees neither: it is told what leaves and what arrives.

use super::offence::Offence;
use super::{Parts, is_sip};
use bytes::Bytes;
use sip_stack::message::Method;
use softphone::scenario::network::Datagram;
use std::collections::BTreeMap;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The ACK of a 2xx leaves once; not again when the 2xx comes again.
    AckOnce,
    /// No ACK of a 2xx ever leaves.
    AckNever,
    /// The ACK of a 2xx has the number of no INVITE.
    AckCseq,
    /// The ACK that leaves again is another one.
    AckAnew,
    /// The tag of the sender of a BYE is wrong.
    WrongTag,
    /// BYE is sent twice, as two requests.
    SecondBye,
    /// A request in the dialog follows the BYE.
    InfoAfterBye,
    /// A CANCEL is not answered.
    CancelUnanswered,
    /// An INVITE that was given up is not answered.
    InviteUnanswered,
    /// A request is sent again though its answer came: its timer was not stopped.
    TimerRunsOn,
    /// A 2xx is sent again though its ACK came: the ACK was not heard.
    DeafToAck,
    /// A BYE is not heard.
    DeafToBye,
    /// A number is used for two requests.
    CseqReused,
    /// A dialog that is there is denied.
    DialogDenied,
    /// A re-INVITE leaves twice, as two requests.
    SecondInvite,
    /// The 2xx that is sent again is another one.
    AnswerAnew,
    /// A request goes to the address of record, not to the Contact.
    WrongTarget,
    /// A reliable provisional response is not acknowledged.
    PrackNever,
    /// A PRACK names another response.
    PrackOther,
    /// CANCEL leaves before anything was heard of the INVITE.
    EarlyCancel,
}

impl Fault {
    /// All of them, each with what the model has to say of it.
    pub const ALL: [(Fault, &'static [Offence]); 20] = [
        (Fault::AckOnce, &[Offence::AckNotRepeated]),
        (Fault::AckNever, &[Offence::NeverAcknowledged]),
        (Fault::AckCseq, &[Offence::StrangeAck]),
        (Fault::AckAnew, &[Offence::AckChanged]),
        (Fault::WrongTag, &[Offence::StrangeDialog]),
        (Fault::SecondBye, &[Offence::SecondBye]),
        (Fault::InfoAfterBye, &[Offence::AfterBye]),
        (Fault::CancelUnanswered, &[Offence::NeverAnswered]),
        (Fault::InviteUnanswered, &[Offence::NeverAnswered]),
        (Fault::TimerRunsOn, &[Offence::SentAgainAfterAnswer]),
        (Fault::DeafToAck, &[Offence::SentAgainAfterAck]),
        (Fault::DeafToBye, &[Offence::NeverAnswered]),
        (Fault::CseqReused, &[Offence::CseqOrder]),
        (Fault::DialogDenied, &[Offence::DialogForgotten]),
        (Fault::SecondInvite, &[Offence::InviteDuringInvite]),
        (Fault::AnswerAnew, &[Offence::AnswerChanged]),
        (Fault::WrongTarget, &[Offence::WrongTarget]),
        (Fault::PrackNever, &[Offence::NeverPracked]),
        (Fault::PrackOther, &[Offence::StrangePrack]),
        (Fault::EarlyCancel, &[Offence::StrangeCancel]),
    ];
}

/// Commits a fault wherever there is an occasion.
#[derive(Clone, Debug)]
pub struct Saboteur {
    fault: Fault,
    /// Times that it has done something.
    deeds: u32,
    /// ACKs and 2xx responses that have left, by what names them.
    seen: BTreeMap<Bytes, Bytes>,
    /// Requests under way that are sent again with their answer.
    asked: BTreeMap<Bytes, Datagram>,
}

impl Saboteur {
    /// One that commits this.
    pub fn new(fault: Fault) -> Saboteur {
        Saboteur { fault, deeds: 0, seen: BTreeMap::new(), asked: BTreeMap::new() }
    }

    /// Times that it has done something wrong.
    pub fn deeds(&self) -> u32 {
        self.deeds
    }

    /// What really leaves when a party sends this.
    pub fn send(&mut self, datagram: &Datagram) -> Vec<Datagram> {
        let unharmed = vec![datagram.clone()];
        let Some(parts) =
            Some(datagram).filter(|datagram| is_sip(datagram)).and_then(|it| Parts::of(&it.bytes))
        else {
            return unharmed;
        };
        let status = parts.message.status().map(sip_stack::message::Status::code);
        let in_dialog = !parts.to_tag.is_empty();
        // An ACK of a failure is that of a transaction: it has the Via of its INVITE.
        let of_success = parts.is(Method::Ack) && !self.asked.contains_key(&parts.branch);
        if parts.is(Method::Invite) && status.is_none() {
            self.asked.insert(parts.branch.clone(), datagram.clone());
        }
        let done = match (self.fault, status) {
            (Fault::AckOnce, None) if of_success => self.first(&parts).map(|_| vec![]),
            (Fault::AckNever, None) if of_success => Some(vec![]),
            (Fault::AckCseq, None) if of_success => Some(vec![numbered(datagram, &parts, 7)]),
            (Fault::AckAnew, None) if of_success => {
                self.first(&parts).map(|_| vec![edited(datagram, "Max-Forwards: 70", "Max-Forwards: 69")])
            }
            (Fault::WrongTag, None) if parts.is(Method::Bye) => {
                Some(vec![edited(datagram, &text(&parts.from_tag), "nobody")])
            }
            (Fault::SecondBye, None) if parts.is(Method::Bye) && !self.is_known(&parts) => {
                Some(vec![datagram.clone(), again(datagram, &parts, 1)])
            }
            (Fault::InfoAfterBye, None) if parts.is(Method::Bye) && !self.is_known(&parts) => {
                let info = edited(&again(datagram, &parts, 1), "BYE", "INFO");
                Some(vec![datagram.clone(), info])
            }
            (Fault::CancelUnanswered, Some(200)) if parts.is(Method::Cancel) => Some(vec![]),
            (Fault::InviteUnanswered, Some(487)) => Some(vec![]),
            (Fault::CseqReused, None) if parts.is(Method::Bye) => Some(vec![numbered(datagram, &parts, -1)]),
            (Fault::DialogDenied, Some(200)) if parts.is(Method::Bye) || parts.is(Method::Info) => {
                let denied =
                    edited(datagram, "SIP/2.0 200 OK", "SIP/2.0 481 Call/Transaction Does Not Exist");
                Some(vec![denied])
            }
            (Fault::SecondInvite, None)
                if parts.is(Method::Invite) && in_dialog && !self.is_known(&parts) =>
            {
                Some(vec![datagram.clone(), again(datagram, &parts, 1)])
            }
            (Fault::AnswerAnew, Some(200)) if parts.is(Method::Invite) => {
                self.first(&parts).map(|_| vec![edited(datagram, "CSeq:", "Server: another\r\nCSeq:")])
            }
            (Fault::WrongTarget, None) if parts.is(Method::Bye) => {
                let target = text(parts.message.request_uri());
                Some(vec![edited(datagram, &format!("BYE {target}"), "BYE sip:somebody@192.0.2.1")])
            }
            (Fault::PrackNever, None) if parts.is(Method::Prack) => Some(vec![]),
            (Fault::PrackOther, None) if parts.is(Method::Prack) => {
                Some(vec![edited(datagram, "RAck: ", "RAck: 1")])
            }
            (Fault::EarlyCancel, None)
                if parts.is(Method::Invite) && !in_dialog && !self.is_known(&parts) =>
            {
                let cancel = edited(datagram, "INVITE", "CANCEL");
                Some(vec![datagram.clone(), cancel])
            }
            (_, _) => None,
        };
        self.deeds += u32::from(done.is_some());
        done.unwrap_or(unharmed)
    }

    /// Whether a party hears what has arrived, and what it sends besides.
    pub fn hear(&mut self, datagram: &Datagram) -> (bool, Vec<Datagram>) {
        let Some(parts) =
            Some(datagram).filter(|datagram| is_sip(datagram)).and_then(|it| Parts::of(&it.bytes))
        else {
            return (true, vec![]);
        };
        if self.fault == Fault::TimerRunsOn && parts.is(Method::Invite) && !parts.message.is_request() {
            // Once is enough.
            let request = self.asked.get(&parts.branch).cloned().filter(|_| !self.is_known(&parts));
            self.deeds += u32::from(request.is_some());
            return (true, request.into_iter().collect());
        }
        let is_ack = parts.is(Method::Ack) && !self.asked.contains_key(&parts.branch);
        let is_bye = parts.is(Method::Bye) && parts.message.is_request();
        let deaf = (self.fault == Fault::DeafToAck && is_ack) || (self.fault == Fault::DeafToBye && is_bye);
        let heard = !deaf;
        self.deeds += u32::from(!heard);
        (heard, vec![])
    }

    /// The one of the same dialog, number and kind that left before; this one, if there was none, is remembered.
    fn first(&mut self, parts: &Parts) -> Option<Bytes> {
        self.seen.insert(name(parts), parts.message.bytes().clone())
    }

    /// Whether the request has left before.
    fn is_known(&mut self, parts: &Parts) -> bool {
        self.seen.insert(parts.branch.clone(), Bytes::new()).is_some()
    }
}

fn name(parts: &Parts) -> Bytes {
    [&parts.call_id[..], &parts.from_tag, &parts.to_tag, &parts.method, &parts.cseq.to_be_bytes()]
        .concat()
        .into()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into()
}

fn edited(datagram: &Datagram, from: &str, to: &str) -> Datagram {
    Datagram { bytes: text(&datagram.bytes).replace(from, to).into(), ..datagram.clone() }
}

/// The same request with another number.
fn numbered(datagram: &Datagram, parts: &Parts, more: i64) -> Datagram {
    let method = text(&parts.method);
    let number = i64::from(parts.cseq) + more;
    edited(datagram, &format!("CSeq: {} {method}", parts.cseq), &format!("CSeq: {number} {method}"))
}

/// The same as another request: with another number and branch.
fn again(datagram: &Datagram, parts: &Parts, more: i64) -> Datagram {
    let branch = text(&parts.branch);
    numbered(&edited(datagram, &branch, &format!("{branch}x")), parts, more)
}
