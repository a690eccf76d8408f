//! The way of a request: what is left of it when we have taken ourselves out (RFC 3261 §16.4), what it becomes for a strict
//! router (§16.6 step 6), and the Record-Route by which later requests come through us (step 4, RFC 5658).
//!
//! Record-Route has two values always: one for each side, with the flow to that side (`token`). A request of the dialog names
//! both, and the second is the side that it goes to; so nothing has to be kept or asked of the DNS, transports and addresses may
//! differ between the sides (RFC 5658 §3), and phones behind translators are reached over the flow they have opened.

use super::token::{self, Place};
use crate::header::NameAddr;
use crate::message::{Mandatory, Message, Uri};
use crate::transaction::KeyHasher;
use crate::transport::{Flow, Transport};
use bytes::Bytes;
use smallvec::SmallVec;

/// What the user part of our own routes begins with.
const MARK: &[u8] = b"~";

/// What is left of the way of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way<'a> {
    /// The Request-URI.
    pub(super) uri: &'a [u8],
    /// Route values, with their brackets.
    pub(super) routes: SmallVec<[&'a [u8]; 4]>,
    /// The flow in the last of our own routes, where that leads to the side which the request is not from.
    pub(super) flow: Option<Flow>,
    /// The stamp in that route.
    pub(super) stamp: Option<u32>,
}

impl<'a> Way<'a> {
    /// Takes ourselves out of Request-URI and Route (§16.4): the routes that we have recorded, and the first `own` ones
    /// ([`own_routes`]).
    pub(super) fn of(hasher: &KeyHasher, request: &'a Message, own: usize) -> Way<'a> {
        let sides = Sides::of(request);
        let recorded = |uri: &Uri<'_>| sides.open(hasher, uri.user?.strip_prefix(MARK)?);
        let in_uri = request.uri().ok().as_ref().and_then(recorded);
        let mut way = Way {
            uri: request.request_uri(),
            routes: request.list(crate::header::HeaderName::Route).collect(),
            flow: None,
            stamp: None,
        };
        // A strict router before us: what it took from us is the Request-URI, and the real one is the last Route.
        if in_uri.is_some()
            && let Some(last) = way.routes.pop()
        {
            way.uri = NameAddr::parse(last).map_or(way.uri, |last| last.uri.text);
        }
        let own = way
            .routes
            .iter()
            .enumerate()
            .map_while(|(place, route)| {
                let recorded = NameAddr::parse(route).ok().and_then(|route| recorded(&route.uri));
                (recorded.is_some() || place < own).then_some(recorded)
            })
            .collect::<SmallVec<[Option<Recorded>; 4]>>();
        let last = own.iter().rev().flatten().next().copied().or(in_uri);
        let far = last.filter(|last| last.is_far_side);
        (way.flow, way.stamp) = (far.map(|far| far.flow), far.and_then(|far| far.stamp));
        way.routes.drain(..own.len());
        way
    }

    /// For a strict router as the next hop: it finds its own URI in the Request-URI, and the real one as the last Route (§16.6
    /// step 6). `last` keeps that value.
    pub(super) fn postprocess(&mut self, last: &'a mut Vec<u8>) {
        let Some(first) = self.routes.first().and_then(|first| NameAddr::parse(first).ok()) else { return };
        if first.uri.params.contains(b"lr") {
            return;
        }
        *last = [b"<", self.uri, b">"].concat();
        self.uri = first.uri.text;
        self.routes.remove(0);
        self.routes.push(last);
    }
}

/// A route that we have recorded.
#[derive(Clone, Copy)]
struct Recorded {
    flow: Flow,
    stamp: Option<u32>,
    /// It leads to the side that the request is not from.
    is_far_side: bool,
}

/// What tells the sides of a dialog apart: the caller's tag, which the route is bound to, is in From or in To.
struct Sides<'a> {
    call_id: &'a [u8],
    from_tag: &'a [u8],
    to_tag: &'a [u8],
}

impl<'a> Sides<'a> {
    fn of(request: &'a Message) -> Sides<'a> {
        Sides {
            call_id: request.call_id().unwrap_or_default(),
            from_tag: caller_tag(request),
            to_tag: request.to().ok().and_then(|to| to.tag()).unwrap_or_default(),
        }
    }

    fn open(&self, hasher: &KeyHasher, token: &[u8]) -> Option<Recorded> {
        let kinds = [
            (Place::ToCallee, self.from_tag, true),
            (Place::ToCaller, self.to_tag, true),
            (Place::ToCaller, self.from_tag, false),
            (Place::ToCallee, self.to_tag, false),
        ];
        kinds.into_iter().find_map(|(place, tag, is_far_side)| {
            let (flow, stamp) = token::open(hasher, place, [self.call_id, tag], token)?;
            Some(Recorded { flow, stamp, is_far_side })
        })
    }
}

fn caller_tag(request: &Message) -> &[u8] {
    request.from().ok().and_then(|from| from.tag()).unwrap_or_default()
}

/// How many Route values at the front mean us, though we have not recorded them: such as that of a phone that is told of us as its
/// proxy.
pub fn own_routes(request: &Message, is_ours: impl Fn(&Uri<'_>) -> bool) -> usize {
    request.route().map_while(Result::ok).take_while(|route| is_ours(&route.uri)).count()
}

/// Where a request goes that comes by the route that we have recorded; `None` for any other. Within a dialog alone, and to the far
/// side alone: a token opens no other call, and leads nobody back to itself. With it the stamp of whoever recorded it.
pub(super) fn recorded_way(
    hasher: &KeyHasher,
    request: &Message,
    fields: &Mandatory<'_>,
) -> Option<(Flow, Option<u32>)> {
    fields.to.tag()?;
    let uri = request.request_uri();
    let may_be = |uri: &[u8]| memchr::memmem::find(uri, b":~").is_some();
    let first = request.list(crate::header::HeaderName::Route).next();
    // Nearly every request of a call has neither.
    if !first.is_some_and(may_be) && !may_be(uri) {
        return None;
    }
    let way = Way::of(hasher, request, 0);
    way.flow.map(|flow| (flow, way.stamp))
}

/// The Record-Route values of a request that came on `up` and leaves on `down`: that of the far side is the topmost. Each side
/// comes with how its peer reaches us. The stamp comes back with what goes by them.
pub(super) fn record_route(
    hasher: &KeyHasher,
    request: &Message,
    target: &[u8],
    [(up, up_host), (down, down_host)]: [(&Flow, &[u8]); 2],
    stamp: Option<u32>,
) -> [Bytes; 2] {
    let call_id = request.call_id().unwrap_or_default();
    let is_secure = |uri: &[u8]| uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"));
    let secure = is_secure(target) || is_secure(request.request_uri());
    let sides = [(Place::ToCallee, down, down_host), (Place::ToCaller, up, up_host)];
    sides.map(|(place, flow, host)| {
        let scheme: &[u8] = if secure { b"<sips:~" } else { b"<sip:~" };
        let transport: &[u8] = match (flow.transport, secure) {
            (Transport::Udp, _) | (Transport::Tcp | Transport::Tls, true) => b"",
            (Transport::Tcp, false) => b";transport=tcp",
            (Transport::Tls, false) => b";transport=tls",
            (Transport::Ws, _) => b";transport=ws",
            (Transport::Wss, true) => b";transport=ws",
            (Transport::Wss, false) => b";transport=wss",
        };
        let token = token::seal(hasher, place, [call_id, caller_tag(request)], (flow, stamp));
        [scheme, token.as_bytes(), b"@", host, transport, b";lr>"].concat().into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ListenerId;

    fn hasher() -> KeyHasher {
        KeyHasher::new([3; 16])
    }

    fn flow(peer: u8) -> Flow {
        Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            local: ([192, 0, 2, 1], 5060).into(),
            peer: ([192, 0, 2, peer], 5060).into(),
        }
    }

    /// The same, from the callee.
    fn of_callee(uri: &str, routes: &[&str]) -> Message {
        let text = String::from_utf8(request(uri, routes).bytes().to_vec()).unwrap();
        let text = text.replace("From: <sip:a@h>;tag=1", "From: <sip:b@h>;tag=2");
        Message::parse(text.replace("To: <sip:b@h>;tag=2", "To: <sip:a@h>;tag=1").into()).unwrap()
    }

    fn request(uri: &str, routes: &[&str]) -> Message {
        let routes: String = routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        let text = format!(
            "BYE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n{routes}From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n\
             Call-ID: c\r\nCSeq: 2 BYE\r\n\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    /// The values for the side of peer 7 (the caller) and peer 8 (the callee).
    fn recorded() -> [String; 2] {
        let invite = request("sip:b@h", &[]);
        let [down, up] = record_route(
            &hasher(),
            &invite,
            b"sip:b@h",
            [(&flow(7), b"up.example"), (&flow(8), b"down.example:5070")],
            Some(9),
        );
        [up, down].map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    fn parts<'a>(way: &Way<'a>) -> (&'a str, Vec<&'a str>, Option<Flow>) {
        let text = |bytes: &'a [u8]| core::str::from_utf8(bytes).unwrap();
        (text(way.uri), way.routes.iter().map(|route| text(route)).collect(), way.flow)
    }

    #[test]
    fn a_request_of_either_side_goes_on_the_flow_of_the_other() {
        let [up, down] = recorded();
        let of_caller = request("sip:b@192.0.2.8", &[&up, &down, "<sip:next;lr>"]);
        let way = Way::of(&hasher(), &of_caller, 0);
        assert_eq!(parts(&way), ("sip:b@192.0.2.8", vec!["<sip:next;lr>"], Some(flow(8))));
        let of_callee = of_callee("sip:a@192.0.2.7", &[&format!("{down}, {up}")]);
        let way = Way::of(&hasher(), &of_callee, 0);
        assert_eq!(parts(&way), ("sip:a@192.0.2.7", vec![], Some(flow(7))));
        let way = recorded_way(&hasher(), &of_callee, &of_callee.validate().unwrap());
        assert_eq!(way, Some((flow(7), Some(9))));
    }

    #[test]
    fn a_strict_router_before_us_leaves_the_real_request_uri_in_the_last_route() {
        let [up, down] = recorded();
        let of_caller = request(up.trim_matches(['<', '>']), &[&down, "<sip:b@192.0.2.8>"]);
        let way = Way::of(&hasher(), &of_caller, 0);
        assert_eq!(parts(&way), ("sip:b@192.0.2.8", vec![], Some(flow(8))));
        let way = recorded_way(&hasher(), &of_caller, &of_caller.validate().unwrap());
        assert_eq!(way, Some((flow(8), Some(9))));
    }

    #[test]
    fn a_route_that_names_us_is_taken_out_and_one_that_names_another_is_not() {
        let message = request("sip:b@h", &["<sip:pbx;lr>", "<sip:other;lr>", "<sip:pbx;lr>"]);
        let way = Way::of(&hasher(), &message, own_routes(&message, |uri| uri.host == b"pbx"));
        assert_eq!(parts(&way), ("sip:b@h", vec!["<sip:other;lr>", "<sip:pbx;lr>"], None));
    }

    #[test]
    fn a_recorded_route_leads_nowhere_outside_its_call() {
        let [up, down] = recorded();
        let other = request("sip:b@192.0.2.8", &[&up, &down]);
        let text = String::from_utf8(other.bytes().to_vec()).unwrap();
        for changed in [text.replace("Call-ID: c", "Call-ID: d"), text.replace(";tag=2", "")] {
            let message = Message::parse(changed.into()).unwrap();
            assert_eq!(recorded_way(&hasher(), &message, &message.validate().unwrap()), None);
        }
    }

    #[test]
    fn a_recorded_route_leads_nobody_back_to_itself() {
        let [up, down] = recorded();
        for routes in [vec![&*up], vec![&*down, &*up], vec![&*up, &*down, &*up]] {
            let message = request("sip:a@192.0.2.7", &routes);
            assert_eq!(recorded_way(&hasher(), &message, &message.validate().unwrap()), None);
        }
        for routes in [vec![&*down], vec![&*up, &*down]] {
            let message = of_callee("sip:b@192.0.2.8", &routes);
            assert_eq!(recorded_way(&hasher(), &message, &message.validate().unwrap()), None);
        }
    }

    #[test]
    fn a_strict_router_behind_us_gets_its_own_uri_and_the_real_one_goes_last() {
        let message = request("sip:b@h", &["<sip:strict>", "<sip:loose;lr>"]);
        let mut last = Vec::new();
        let mut way = Way::of(&hasher(), &message, 0);
        way.postprocess(&mut last);
        assert_eq!(parts(&way), ("sip:strict", vec!["<sip:loose;lr>", "<sip:b@h>"], None));
        let message = request("sip:b@h", &["<sip:loose;lr>", "<sip:strict>"]);
        let mut unused = Vec::new();
        let mut way = Way::of(&hasher(), &message, 0);
        way.postprocess(&mut unused);
        assert_eq!(parts(&way), ("sip:b@h", vec!["<sip:loose;lr>", "<sip:strict>"], None));
    }

    #[test]
    fn each_side_is_told_its_own_transport_and_a_secure_call_stays_secure() {
        let invite = request("sip:b@h", &[]);
        let tls = Flow { transport: Transport::Tls, ..flow(8) };
        let [down, up] = record_route(&hasher(), &invite, b"sip:b@h", [(&flow(7), b"u"), (&tls, b"d")], None);
        assert!(down.ends_with(b"@d;transport=tls;lr>") && up.ends_with(b"@u;lr>"));
        let [down, _] = record_route(&hasher(), &invite, b"sips:b@h", [(&flow(7), b"u"), (&tls, b"d")], None);
        assert!(down.starts_with(b"<sips:~") && down.ends_with(b"@d;lr>"));
    }
}
