//! What the model can complain of: one rule of an RFC each.

use core::fmt;
use sip_stack::Time;
use std::net::SocketAddr;

/// A rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// What was sent is no SIP message.
    Unreadable,
    /// A request was sent again with other bytes (RFC 3261 §17.1).
    RequestChanged,
    /// A request or a 2xx was sent again before its timer can have fired (§17.1.1.2, §17.1.2.2, §13.3.1.4).
    SentAgainTooSoon,
    /// A request was sent again after it was answered (§17.1.1.2, §17.1.2.2).
    SentAgainAfterAnswer,
    /// A response was sent again after its ACK or PRACK had come (§13.3.1.4, §17.2.1; RFC 3262 §3).
    SentAgainAfterAck,
    /// A response to a request that never came (§8.2.6).
    Unasked,
    /// A provisional response after the final one (§17.2).
    ProvisionalAfterFinal,
    /// Two final responses in one transaction (§17.2).
    TwoFinals,
    /// A 2xx was sent again with other bytes (§13.3.1.4).
    AnswerChanged,
    /// A request that came was never answered (§8.2).
    NeverAnswered,
    /// A 2xx to an INVITE came, and no ACK ever left (§13.2.2.4).
    NeverAcknowledged,
    /// A 2xx came again, and its ACK did not leave again (§13.2.2.4).
    AckNotRepeated,
    /// The ACK of a 2xx that came again is not the one of before (§13.2.2.4).
    AckChanged,
    /// An ACK for no response that came (§13.2.2.4, §17.1.1.3).
    StrangeAck,
    /// An ACK left though no response had come again.
    AckUnasked,
    /// A CANCEL of no INVITE, before a provisional or after the final response (§9.1).
    StrangeCancel,
    /// A request in a dialog that its sender does not have (§12.2.1.1).
    StrangeDialog,
    /// The CSeq number of a request is not higher than that of the one before it (§12.2.1.1).
    CseqOrder,
    /// The Request-URI is not the target that the peer gave (§12.2.1.1).
    WrongTarget,
    /// The Route fields are not those of the dialog (§12.2.1.1).
    WrongRoute,
    /// A second BYE in a dialog (§15.1.1).
    SecondBye,
    /// A request in a dialog whose end its sender knows (§15).
    AfterBye,
    /// An INVITE while another one is in progress in the dialog (§14.1).
    InviteDuringInvite,
    /// A request was answered with 481 by who has the dialog (§12.2.2).
    DialogForgotten,
    /// A side of a confirmed dialog neither hung up nor heard that the other one did (§15).
    NeverEnded,
    /// A reliable provisional response was never acknowledged (RFC 3262 §4).
    NeverPracked,
    /// A PRACK for nothing that came in order, or a second one (RFC 3262 §4).
    StrangePrack,
    /// A reliable provisional response whose number is not the next one (RFC 3262 §3).
    RseqOrder,
    /// A reliable provisional response before the PRACK of the first one (RFC 3262 §3).
    ProvisionalTooEarly,
    /// An offer was not answered, or a 2xx that had to have one has none (RFC 3261 §13.2.1; RFC 3264 §5).
    AnswerMissing,
    /// An answer to nothing: the offer had its answer (RFC 3261 §13.2.1).
    StrangeAnswer,
    /// An offer while another one is not answered (RFC 3264 §4).
    OfferDuringOffer,
    /// The owner of the Call-ID asks again too soon after a 491 (RFC 3261 §14.1).
    RetriedTooSoon,
    /// A description or a document that is another one has not the next version (RFC 3264 §8; RFC 4235 §4.1).
    VersionOrder,
    /// A NOTIFY that no SUBSCRIBE has asked for (RFC 6665 §4.1.3).
    StrangeNotify,
    /// A NOTIFY after the one that ended the subscription (RFC 6665 §4.4.1).
    NotifyAfterEnd,
    /// The first document of a subscription tells a part (RFC 4235 §3.4).
    NotWhole,
    /// A SUBSCRIBE was accepted, and no NOTIFY followed (RFC 6665 §4.2.1.2).
    NeverNotified,
    /// A subscription neither ended nor was it lost (RFC 6665 §4.4.1).
    NeverTerminated,
}

/// Who broke a rule, when and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// When.
    pub at: Time,
    /// Who.
    pub party: SocketAddr,
    /// The rule.
    pub offence: Offence,
    /// The message that it is about.
    pub about: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Complaint { at, party, offence, about } = self;
        write!(f, "{:>12.3} ms  {party}: {offence:?}: {about}", at.0 as f64 / 1e6)
    }
}
