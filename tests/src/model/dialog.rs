//! A dialog as its two sides must see it (RFC 3261 §12).

use super::offence::Offence;
use bytes::Bytes;
use sip_stack::Time;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Call-ID, tag of the caller, tag of the callee.
pub(super) type DialogKey = (Bytes, Bytes, Bytes);

/// The ACK of one 2xx.
#[derive(Clone, Debug, Default)]
pub(super) struct Ack {
    /// The ACK that left first.
    pub(super) sent: Option<Bytes>,
    /// Times that the 2xx has come and its ACK not left.
    pub(super) due: u32,
    /// The last time the 2xx came.
    pub(super) asked: Time,
}

/// One side of a dialog.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) party: SocketAddr,
    /// It has sent or received what created the dialog.
    pub(super) knows: bool,
    /// It has sent or received a 2xx.
    pub(super) confirmed: bool,
    pub(super) sent_bye: bool,
    pub(super) heard_bye: bool,
    /// The highest CSeq number it has used.
    pub(super) cseq: u32,
    /// What the peer wants as Request-URI.
    pub(super) target: Bytes,
    /// The Route fields of its requests.
    pub(super) routes: Vec<Bytes>,
    /// By the CSeq number of its INVITE.
    pub(super) acks: BTreeMap<u32, Ack>,
    /// The last reliable provisional response, in order: CSeq number of the INVITE, RSeq.
    pub(super) rseq: Option<(u32, u32)>,
    /// Reliable provisional responses and whether their PRACK has left; as a server: has come.
    pub(super) reliable: BTreeMap<(u32, u32), bool>,
}

/// The caller is side 0.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) sides: [Side; 2],
}

impl Side {
    pub(super) fn new(party: SocketAddr, cseq: u32, target: Bytes) -> Side {
        Side {
            party,
            knows: false,
            confirmed: false,
            sent_bye: false,
            heard_bye: false,
            cseq,
            target,
            routes: Vec::new(),
            acks: BTreeMap::new(),
            rseq: None,
            reliable: BTreeMap::new(),
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.sent_bye || self.heard_bye
    }

    /// A 2xx to its INVITE has come, maybe again.
    pub(super) fn on_success(&mut self, now: Time, cseq: u32) {
        let ack = self.acks.entry(cseq).or_default();
        ack.due += 1;
        ack.asked = now;
    }

    /// It sends the ACK of a 2xx that has come.
    pub(super) fn on_ack(&mut self, cseq: u32, bytes: &Bytes) -> Option<Offence> {
        let Some(ack) = self.acks.get_mut(&cseq) else { return Some(Offence::StrangeAck) };
        match &ack.sent {
            Some(first) if first != bytes => return Some(Offence::AckChanged),
            Some(_) if ack.due == 0 => return Some(Offence::AckUnasked),
            Some(_) => ack.due -= 1,
            // Copies that came before the first ACK are answered by it.
            None => (ack.sent, ack.due) = (Some(bytes.clone()), 0),
        }
        None
    }

    /// It sends a reliable provisional response, maybe again; `repeated`: because its INVITE came again.
    pub(super) fn on_reliable_sent(&mut self, cseq: u32, rseq: u32, repeated: bool) -> Option<Offence> {
        match self.reliable.get(&(cseq, rseq)) {
            Some(true) if !repeated => return Some(Offence::SentAgainAfterAck),
            Some(_) => return None,
            None => {}
        }
        if self.reliable.values().any(|acknowledged| !acknowledged) {
            return Some(Offence::ProvisionalTooEarly);
        }
        let last = self.rseq.replace((cseq, rseq)).filter(|(known, _)| *known == cseq);
        self.reliable.insert((cseq, rseq), false);
        last.is_some_and(|(_, last)| last + 1 != rseq).then_some(Offence::RseqOrder)
    }

    /// A reliable provisional response came: what is out of order is not looked at.
    pub(super) fn on_reliable(&mut self, cseq: u32, rseq: u32) {
        let is_next = match self.rseq {
            Some((known, last)) if known == cseq => last + 1 == rseq,
            Some(_) | None => true,
        };
        if is_next {
            self.rseq = Some((cseq, rseq));
            self.reliable.insert((cseq, rseq), false);
        }
    }
}
