//! What left and what arrived in a run, to be judged once more with a fault in it: as the model sees nothing but that, a fault on the tape is
//! one of the party. What the other parties would have made of it is not on the tape.

use super::offence::Offence;
use super::{Model, Parts, is_sip};
use sip_stack::Time;
use sip_stack::message::{Message, Method};
use softphone::scenario::network::Datagram;

/// A datagram that leaves, or arrives.
#[derive(Clone, Debug)]
pub struct Moment {
    /// When.
    pub at: Time,
    /// It arrives.
    pub arrives: bool,
    /// What.
    pub datagram: Datagram,
}

/// What is wrong on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// No NOTIFY of a subscription ever leaves.
    NotifyNever,
    /// The last NOTIFY is followed by another one.
    NotifyAfterEnd,
    /// A NOTIFY is of another package.
    OtherPackage,
    /// A document has the version of the one before.
    VersionAgain,
    /// A version is left out.
    VersionSkipped,
    /// Every document is told in part.
    InPart,
    /// No subscription ends.
    EndlessSubscription,
    /// The 2xx to an INVITE describes nothing.
    AnswerMissing,
    /// The ACK has a description, too.
    AnswerTwice,
    /// An UPDATE with an offer leaves while a re-INVITE is on its way.
    OfferDuringOffer,
    /// What is said anew has the version of before.
    OriginAgain,
}

impl Slip {
    /// All of them, each with what the model has to say of it.
    pub const ALL: [(Slip, Offence); 11] = [
        (Slip::NotifyNever, Offence::NeverNotified),
        (Slip::NotifyAfterEnd, Offence::NotifyAfterEnd),
        (Slip::OtherPackage, Offence::StrangeNotify),
        (Slip::VersionAgain, Offence::VersionOrder),
        (Slip::VersionSkipped, Offence::VersionOrder),
        (Slip::InPart, Offence::NotWhole),
        (Slip::EndlessSubscription, Offence::NeverTerminated),
        (Slip::AnswerMissing, Offence::AnswerMissing),
        (Slip::AnswerTwice, Offence::StrangeAnswer),
        (Slip::OfferDuringOffer, Offence::OfferDuringOffer),
        (Slip::OriginAgain, Offence::VersionOrder),
    ];
}

/// What the model says of a tape, with a fault in it.
pub fn judged(tape: &[Moment], slip: Option<Slip>) -> Model {
    let mut model = Model::default();
    let mut end = Time::default();
    for moment in tape {
        end = end.max(moment.at);
        for Moment { at, arrives, datagram } in
            slip.map_or_else(|| vec![moment.clone()], |slip| slip.on(moment))
        {
            if arrives {
                model.delivered(at, &datagram);
            } else {
                model.sent(at, &datagram);
            }
        }
    }
    model.end(end);
    model
}

impl Slip {
    fn on(self, moment: &Moment) -> Vec<Moment> {
        let same = vec![moment.clone()];
        let Some(parts) =
            Some(&moment.datagram).filter(|datagram| is_sip(datagram)).and_then(|it| Parts::of(&it.bytes))
        else {
            return same;
        };
        let is_request = parts.message.is_request();
        let status = parts.message.status().map_or(0, |status| status.code());
        let is_notify = is_request && super::events::is_of_subscription(&parts) && parts.is(Method::Notify);
        let is_end = is_notify && parts.message.subscription_state().is_ok_and(|state| state.is_terminated());
        let is_reinvite = is_request && parts.is(Method::Invite) && !parts.to_tag.is_empty();
        let edited = |from: &str, to: &str| vec![moment.with(&moment.text().replacen(from, to, 1))];
        match self {
            Slip::NotifyNever if super::events::is_of_subscription(&parts) && parts.is(Method::Notify) => {
                vec![]
            }
            Slip::NotifyAfterEnd if is_end && !moment.arrives => {
                let cseq = format!("CSeq: {} NOTIFY", parts.cseq);
                let text = moment.text().replacen("branch=z9hG4bK", "branch=z9hG4bKx", 1);
                vec![
                    moment.clone(),
                    moment.with(&text.replacen(&cseq, &format!("CSeq: {} NOTIFY", parts.cseq + 1), 1)),
                ]
            }
            Slip::OtherPackage if is_notify => edited("Event: ", "Event: un"),
            Slip::VersionAgain if is_notify => vec![moment.with_version(|version| version / 2)],
            Slip::VersionSkipped if is_notify => vec![moment.with_version(|version| version * 2)],
            Slip::InPart if is_notify => edited("state=\"full\"", "state=\"partial\""),
            Slip::EndlessSubscription if is_end => {
                edited("Subscription-State: terminated", "Subscription-State: active")
            }
            Slip::AnswerMissing if parts.is(Method::Invite) && status == 200 => vec![moment.without_body()],
            Slip::AnswerTwice if parts.is(Method::Ack) && !parts.message.is_request() => same,
            Slip::AnswerTwice if parts.is(Method::Ack) => vec![moment.with(&described(&moment.text()))],
            Slip::OfferDuringOffer if is_reinvite && !moment.arrives => {
                let cseq = format!("CSeq: {} INVITE", parts.cseq);
                let text = moment.text().replacen("INVITE", "UPDATE", 1);
                let text = text.replacen("branch=z9hG4bK", "branch=z9hG4bKx", 1);
                let update =
                    moment.with(&text.replacen(&cseq, &format!("CSeq: {} UPDATE", parts.cseq + 1), 1));
                vec![moment.clone(), update]
            }
            Slip::OriginAgain => vec![moment.with_origin()],
            Slip::NotifyNever
            | Slip::NotifyAfterEnd
            | Slip::OtherPackage
            | Slip::VersionAgain
            | Slip::VersionSkipped
            | Slip::InPart
            | Slip::EndlessSubscription
            | Slip::AnswerMissing
            | Slip::AnswerTwice
            | Slip::OfferDuringOffer => same,
        }
    }
}

/// A description behind the head of an ACK that has none.
fn described(text: &str) -> String {
    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";
    let head = text.split("Content-Length:").next().unwrap_or_default();
    format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len())
}

impl Moment {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.datagram.bytes).into()
    }

    /// The same with another text, whose body is as long as its head says then.
    fn with(&self, text: &str) -> Moment {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let lines = head.split("\r\n").map(|line| match line.strip_prefix("Content-Length:") {
            Some(_) => format!("Content-Length: {}", body.len()),
            None => line.to_owned(),
        });
        let head = lines.collect::<Vec<_>>().join("\r\n");
        let bytes = format!("{head}\r\n\r\n{body}").into();
        Moment { datagram: Datagram { bytes, ..self.datagram.clone() }, ..self.clone() }
    }

    fn without_body(&self) -> Moment {
        let text = self.text();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let lines = head.split("\r\n").filter(|line| !line.starts_with("Content-Type:"));
        self.with(&format!("{}\r\n\r\n", lines.collect::<Vec<_>>().join("\r\n")))
    }

    fn with_version(&self, change: impl Fn(u32) -> u32) -> Moment {
        let text = self.text();
        let Some(at) =
            text.find("\r\n\r\n").and_then(|body| Some(body + text[body..].rfind(" version=\"")? + 10))
        else {
            return self.clone();
        };
        let (before, after) = text.split_at(at);
        let Some((version, rest)) = after.split_once('"') else { return self.clone() };
        let Ok(version) = version.parse::<u32>() else { return self.clone() };
        self.with(&format!("{before}{}\"{rest}", change(version)))
    }

    /// The version of the origin is always the same.
    fn with_origin(&self) -> Moment {
        let text = self.text();
        if Message::parse(self.datagram.bytes.clone()).is_err() {
            return self.clone();
        }
        let lines = text.split("\r\n").map(|line| {
            let mut words: Vec<&str> = line.split(' ').collect();
            if line.starts_with("o=")
                && let Some(version) = words.get_mut(2)
            {
                *version = "7";
            }
            words.join(" ")
        });
        self.with(&lines.collect::<Vec<_>>().join("\r\n"))
    }
}
