//! Subscriptions as the wire tells of them (RFC 6665): who has subscribed, and what a notifier owes it.
//!
//! One subscription for each Call-ID and subscriber's tag. Left out on purpose: forks, and the subscription of REFER, whose dialog is
//! that of a call.

use super::Parts;
use super::offence::Offence;
use bytes::Bytes;
use sip_stack::message::Method;
use softphone::scenario::network::Datagram;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Every subscription that there was.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscriptions {
    all: BTreeMap<(Bytes, Bytes), Subscription>,
}

/// What has passed between a subscriber and its notifier.
#[derive(Clone, Debug)]
struct Subscription {
    notifier: SocketAddr,
    package: Bytes,
    /// SUBSCRIBEs that were accepted since the last NOTIFY.
    owed: bool,
    accepted: bool,
    /// The notifier has said that it is over.
    terminated: bool,
    /// The subscriber does not know it any more, or has not answered: the notifier forgets it.
    lost: bool,
    cseq: u32,
    version: Option<u32>,
}

fn package(parts: &Parts) -> Bytes {
    parts.message.event().map_or_else(|_| Bytes::new(), |event| Bytes::copy_from_slice(event.name))
}

/// The number behind `version="` in a document, and whether it tells a part.
fn version(body: &[u8]) -> Option<(u32, bool)> {
    let text = core::str::from_utf8(body).ok()?;
    let head = text.get(text.find("version=\"")? + 9..)?;
    // That of the declaration of XML comes before it.
    let own = if head.starts_with("1.0") { head.get(head.find(" version=\"")? + 10..)? } else { head };
    Some((own.split('"').next()?.parse().ok()?, text.contains("state=\"partial\"")))
}

/// Whether a request is of a subscription that has a dialog of its own.
pub(super) fn is_of_subscription(parts: &Parts) -> bool {
    parts.is(Method::Subscribe) || (parts.is(Method::Notify) && *package(parts) != *b"refer")
}

impl Subscriptions {
    /// A message leaves for the first time.
    pub(super) fn sent(
        &mut self,
        datagram: &Datagram,
        parts: &Parts,
        status: Option<u16>,
    ) -> Option<Offence> {
        match status {
            None if parts.is(Method::Subscribe) && parts.to_tag.is_empty() => {
                let key = (parts.call_id.clone(), parts.from_tag.clone());
                self.all.entry(key).or_insert_with(|| Subscription {
                    notifier: datagram.to,
                    package: package(parts),
                    owed: false,
                    accepted: false,
                    terminated: false,
                    lost: false,
                    cseq: 0,
                    version: None,
                });
                None
            }
            None if parts.is(Method::Notify) && is_of_subscription(parts) => self.notify_sent(parts),
            Some(200..300) if parts.is(Method::Subscribe) => {
                let it = self.all.get_mut(&(parts.call_id.clone(), parts.from_tag.clone()))?;
                (it.owed, it.accepted) = (true, true);
                None
            }
            None | Some(_) => None,
        }
    }

    fn notify_sent(&mut self, parts: &Parts) -> Option<Offence> {
        let Some(it) = self.all.get_mut(&(parts.call_id.clone(), parts.to_tag.clone())) else {
            return Some(Offence::StrangeNotify);
        };
        if *package(parts) != *it.package {
            return Some(Offence::StrangeNotify);
        }
        if it.terminated {
            return Some(Offence::NotifyAfterEnd);
        }
        it.owed = false;
        it.terminated = parts.message.subscription_state().is_ok_and(|state| state.is_terminated());
        if parts.cseq <= core::mem::replace(&mut it.cseq, parts.cseq) {
            return Some(Offence::CseqOrder);
        }
        let (version, is_part) = version(parts.message.body())?;
        match it.version.replace(version) {
            None => is_part.then_some(Offence::NotWhole),
            Some(before) => (before + 1 != version).then_some(Offence::VersionOrder),
        }
    }

    /// A response to a NOTIFY arrives.
    pub(super) fn response_came(&mut self, parts: &Parts, status: u16) {
        if parts.is(Method::Notify)
            && status >= 300
            && let Some(it) = self.all.get_mut(&(parts.call_id.clone(), parts.to_tag.clone()))
        {
            it.lost = true;
        }
    }

    /// What is owed when nothing happens any more.
    pub(super) fn owed(&self) -> impl Iterator<Item = (SocketAddr, Offence, String)> {
        self.all.iter().filter(|(_, it)| it.accepted && !it.lost).filter_map(|((call_id, _), it)| {
            let offence = match (it.owed, it.terminated) {
                (true, false) => Offence::NeverNotified,
                (false, false) => Offence::NeverTerminated,
                (true | false, true) => return None,
            };
            Some((it.notifier, offence, format!("subscription {}", call_id.escape_ascii())))
        })
    }

    pub(super) fn forget(&mut self) {
        self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_of_a_document_is_not_that_of_xml() {
        let document = b"<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"x\" version=\"17\" state=\"partial\">";
        assert_eq!(version(document), Some((17, true)));
        assert_eq!(version(b"<dialog-info version=\"3\" state=\"full\">"), Some((3, false)));
        assert_eq!(version(b"<?xml version=\"1.0\"?><presence/>"), None);
        assert_eq!(version(b"Messages-Waiting: no"), None);
    }
}
