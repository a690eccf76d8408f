//! `[[route]]`: which numbers lead to a peer, and which to the switch itself.
//!
//! Left out on purpose: looking whether files are there, which whoever reads the configuration does (`cli`).

use super::error::{Fault, Quoted};
use super::model::{
    Choice, Conditions, Conference, Domain, DomainId, During, Mode, Peer, Rejection, Rewrite, Route, RouteTo,
    Service, Sounds, Transport, Trunk, Trunks,
};
use super::nearest::nearest;
use super::pattern::Pattern;
use super::recording::{resolve_of_conference, resolve_of_route};
use super::table::{Faults, Key, Located, Section};
use super::tenants::{MODE, Tenants, parse_mode};
use crate::rooms::{Rules, Signal};
use media::dsp::Conditioning;
use sip_stack::resolve::Host;
use std::sync::Arc;

const PATTERN: Key = Key {
    name: "pattern",
    expected: "digits (and + * #), X for any digit, N for 2-9, Z for 1-9, and a . at the end for one or more of anything",
    example: "\"8XXX\"",
};
const PEER: Key = Key { name: "peer", expected: "the id of a peer", example: "\"trunk\"" };
const SERVICE: Key = Key {
    name: "service",
    expected: "\"conference\", \"echo\", \"milliwatt\", \"answer\", \"play\" or \"music\"",
    example: "\"conference\"",
};
const PEERS: Key = Key {
    name: "peers",
    expected: "ids of peers, each with * and its weight behind it if it has one (0 to 1000)",
    example: "[\"one\", \"other\"]",
};
const CHOICE: Key =
    Key { name: "choice", expected: "\"order\", \"weight\" or \"least-cost\"", example: "\"order\"" };
const USER: Key = Key { name: "user", expected: "the id of a user", example: "\"1001\"" };
const GROUP: Key = Key { name: "group", expected: "the id of a group", example: "\"sales\"" };
const REJECT: Key =
    Key { name: "reject", expected: "a status from 400 to 699 other than 503", example: "403" };
const CAUSE: Key = Key { name: "cause", expected: "a cause of Q.850", example: "21" };
const ORDER: Key = Key { name: "order", expected: "a whole number", example: "50" };
const CALLER: Key = Key { name: "caller", expected: "patterns as for numbers", example: "[\"1XXX\"]" };
const FROM: Key = Key { name: "from", expected: "the id of a peer", example: "\"trunk\"" };
const SCHEDULE: Key =
    Key { name: "schedule", expected: "the id of a schedule, or \"not\" and one", example: "\"not office\"" };
const STRIP: Key = Key { name: "strip", expected: "a whole number", example: "1" };
const PREFIX: Key = Key { name: "prefix", expected: "digits and + * #", example: "\"+7\"" };
const FOR: Key = Key { name: "for_s", expected: "a whole number", example: "30" };
/// What may stand in a route beside what is looked at in any case.
const EVERY: [Key; 9] = [SOUND, FOLDER, ANNOUNCE, TONES, GAIN_CONTROL, NOISE_GATE, FOR, CAUSE, CHOICE];
/// What may stand in any route.
const CONDITIONS: [Key; 7] = [ORDER, CALLER, FROM, SCHEDULE, STRIP, PREFIX, MODE];
/// The order of routes that name none.
const USUAL_ORDER: u32 = 100;
const SOUND: Key =
    Key { name: "sound", expected: "the path of a WAV or Ogg file", example: "\"welcome.wav\"" };
pub(super) const ANNOUNCE: Key = Key { name: "announce", expected: "true or false", example: "true" };
const TONES: Key = Key { name: "tones", expected: "true or false", example: "true" };
const FOLDER: Key = Key { name: "folder", expected: "the path of a folder", example: "\"music\"" };

const GAIN_CONTROL: Key = Key { name: "gain_control", expected: "true or false", example: "true" };
const NOISE_GATE: Key = Key { name: "noise_gate", expected: "true or false", example: "true" };

/// The services by name; what they need is read in [`resolve_service`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Conference,
    Echo,
    Milliwatt,
    Answer,
    Play,
    Music,
}

pub(super) fn resolve_routes(root: &mut Section<'_>, tenants: &mut Tenants, faults: &Faults) {
    let mut known: Vec<(DomainId, Route)> = Vec::new();
    for mut section in root.tables("route", "[[route]]") {
        let pattern = section.required(PATTERN, Pattern::parse);
        let domain_id = tenants.domain_of(&mut section, faults);
        let Some(domain_id) = domain_id else { continue };
        let Some(pattern) = pattern else {
            // What else is missing is told; what is wrong may follow from the pattern.
            if ![PEER, PEERS, SERVICE, USER, GROUP, REJECT].map(|key| section.has(key)).contains(&true) {
                section.note_missing(PEER);
            }
            for key in CONDITIONS.into_iter().chain(EVERY) {
                section.has(key);
            }
            resolve_of_route(&mut section);
            section.finish();
            continue;
        };
        let Some(domain) = tenants.domains.get_mut(&domain_id) else { continue };
        let Some(route) = resolve_route(section, pattern, domain, faults) else { continue };
        let same = |(id, other): &&(DomainId, Route)| {
            let told = (&other.pattern, &other.conditions, other.order);
            *id == domain_id && told == (&route.pattern, &route.conditions, route.order)
        };
        if let Some((_, first)) = known.iter().find(same) {
            let (pattern, domain) = (Quoted::new(&route.pattern.to_string()), Quoted::new(&domain.name));
            faults.note(route.line, Fault::DuplicateRoute { pattern, domain, first: first.line });
        }
        known.push((domain_id, route));
    }
    for (id, route) in known {
        if let Some(domain) = tenants.domains.get_mut(&id) {
            domain.routes.push(route);
        }
    }
    for domain in tenants.domains.values_mut() {
        domain.routes.sort_by(|one, other| one.precedence().cmp(&other.precedence()));
    }
}

fn resolve_route(
    mut section: Section<'_>,
    pattern: Located<Pattern>,
    domain: &Domain,
    faults: &Faults,
) -> Option<Route> {
    let Located { value: pattern, line } = pattern;
    let serves = section.has(SERVICE);
    let order = section.number(ORDER, 0, 1_000).map_or(USUAL_ORDER, |order| order.value);
    let conditions = resolve_conditions(&mut section, domain, faults);
    let rewrite = resolve_rewrite(&mut section);
    let mode = section.parsed(MODE, parse_mode);
    let peer_line = section.line_of(PEER).or_else(|| section.line_of(PEERS));
    let to = resolve_action(&mut section, (&pattern, line), &rewrite, domain, faults);
    let record = if serves { None } else { resolve_of_route(&mut section) };
    section.finish();
    note_unproxied(mode, serves, record.is_some(), faults);
    let to = to?;
    if let Some(mode) = mode.filter(|mode| mode.value == Mode::Proxy) {
        note_unlocated(&to, peer_line.unwrap_or(line), domain, faults);
        let is_one = matches!(&to, RouteTo::Peers(trunks) if trunks.peers.len() == 1);
        let is_plain = is_one && conditions.count() == 0 && rewrite.is_nothing();
        if !serves && !is_plain {
            faults.note(mode.line, Fault::ProxyIsPlanned);
        }
    }
    let mode = mode.map_or(Mode::Anchored, |mode| mode.value);
    Some(Route { pattern, conditions, order, rewrite, to, record, mode, line })
}

fn resolve_conditions(section: &mut Section<'_>, domain: &Domain, faults: &Faults) -> Conditions {
    let callers = section.filled_list(CALLER, Pattern::parse).map(|list| list.value);
    let callers = callers.into_iter().flatten().map(|pattern| pattern.value).collect();
    let from = section.text(FROM);
    if let Some(from) = from {
        note_unknown_peer(domain, from, faults);
    }
    let during = section.text(SCHEDULE).map(|text| {
        let (inside, id) = match text.value.strip_prefix("not ") {
            Some(id) => (false, id.trim()),
            None => (true, text.value),
        };
        if !domain.numbering.schedules.contains_key(id) {
            let known = domain.numbering.schedules.keys().map(|id| &**id);
            note_unknown(domain, ("schedule", id), known, text.line, faults);
        }
        During { schedule: id.into(), inside }
    });
    Conditions { callers, from: from.map(|from| from.value.into()), during }
}

fn resolve_rewrite(section: &mut Section<'_>) -> Rewrite {
    let strip = section.number(STRIP, 0, 32).map_or(0, |strip| strip.value);
    let prefix = section.parsed(PREFIX, parse_prefix).map(|prefix| prefix.value).unwrap_or_default();
    Rewrite { strip: u8::try_from(strip).unwrap_or(0), prefix }
}

/// The one thing that a route does.
fn resolve_action(
    section: &mut Section<'_>,
    (pattern, line): (&Pattern, u32),
    rewrite: &Rewrite,
    domain: &Domain,
    faults: &Faults,
) -> Option<RouteTo> {
    let actions = [PEER, PEERS, SERVICE, USER, GROUP, REJECT].map(|key| section.has(key));
    let pattern = Quoted::new(&pattern.to_string());
    match actions {
        // One of these two is the oldest fault of all, and has words of its own.
        [true, false, true, false, false, false] => {
            let line = section.text(PEER).map_or(line, |peer| peer.line);
            faults.note(line, Fault::PeerAndService { pattern });
            resolve_service(section).map(RouteTo::Service)
        }
        [true, false, false, false, false, false] => {
            let peer = section.required_text(PEER)?;
            note_unknown_peer(domain, peer, faults);
            let peers = vec![Trunk { peer: peer.value.into(), weight: 1 }];
            Some(RouteTo::Peers(Trunks { peers, choice: Choice::Order }))
        }
        [false, true, false, false, false, false] => resolve_peers_of_route(section, domain, faults),
        [false, false, true, false, false, false] => resolve_service(section).map(RouteTo::Service),
        [false, false, false, true, false, false] => {
            let user = section.required_text(USER)?;
            // Users made by command are not known yet.
            Some(RouteTo::User(user.value.into()))
        }
        [false, false, false, false, true, false] => {
            let group = section.required_text(GROUP)?;
            if !domain.numbering.groups.contains_key(group.value) {
                let known = domain.numbering.groups.keys().map(|id| &**id);
                note_unknown(domain, ("group", group.value), known, group.line, faults);
            }
            Some(RouteTo::Group(group.value.into()))
        }
        [false, false, false, false, false, true] => {
            let status = section.number(REJECT, 400, 699);
            let cause = section.number(CAUSE, 1, 127).and_then(|cause| u8::try_from(cause.value).ok());
            let status = status?;
            if status.value == 503 {
                let found = Quoted::new("503");
                let Key { name, expected, example } = REJECT;
                faults.note(status.line, Fault::Unreadable { key: name, found, expected, example });
            }
            Some(RouteTo::Reject(Rejection { status: u16::try_from(status.value).ok()?, cause }))
        }
        [false, false, false, false, false, false] if !rewrite.is_nothing() => Some(RouteTo::Again),
        [false, false, false, false, false, false] => {
            // As it always was: what a route lacks first of all is its peer.
            section.note_missing(PEER);
            None
        }
        [..] => {
            // What belongs to which of them is not to be told.
            for key in EVERY {
                section.has(key);
            }
            faults.note(line, Fault::RouteTo { pattern, has_many: true });
            None
        }
    }
}

/// `peers`, in their order, by weight or by price.
fn resolve_peers_of_route(section: &mut Section<'_>, domain: &Domain, faults: &Faults) -> Option<RouteTo> {
    let listed = section.filled_list(PEERS, |text| Some(Box::<str>::from(text)));
    let choice = section.parsed(CHOICE, Choice::parse).map_or(Choice::Order, |choice| choice.value);
    let peers = listed?.value.into_iter().map(|peer| {
        let (id, weight) = match peer.value.split_once('*') {
            Some((id, weight)) => (id.trim(), weight.trim().parse().ok().filter(|weight| *weight <= 1_000)),
            None => (&*peer.value, Some(1)),
        };
        note_unknown_peer(domain, Located { value: id, line: peer.line }, faults);
        if weight.is_none() {
            section.note_unreadable(Located { value: &*peer.value, line: peer.line }, PEERS);
        }
        Trunk { peer: id.into(), weight: weight.unwrap_or(1) }
    });
    Some(RouteTo::Peers(Trunks { peers: peers.collect(), choice }))
}

fn note_unlocated(to: &RouteTo, line: u32, domain: &Domain, faults: &Faults) {
    let RouteTo::Peers(trunks) = to else { return };
    let unlocated =
        |peer: &Peer| matches!(peer.host, Host::Name(_)) || peer.transport.is_some_and(Transport::is_secure);
    for trunk in &trunks.peers {
        if domain.peers.get(&trunk.peer).is_some_and(unlocated) {
            faults.note(line, Fault::ProxyToUnlocatedPeer { id: Quoted::new(&trunk.peer) });
        }
    }
}

/// A peer that is named has to be there.
pub(super) fn note_unknown_peer(domain: &Domain, peer: Located<&str>, faults: &Faults) {
    if !domain.peers.contains_key(peer.value) {
        let nearest = nearest(peer.value, domain.peers.keys().map(|id| &**id)).map(Quoted::new);
        let (id, domain) = (Quoted::new(peer.value), Quoted::new(&domain.name));
        faults.note(peer.line, Fault::UnknownPeer { id, domain, nearest });
    }
}

fn note_unknown<'k>(
    domain: &Domain,
    (what, id): (&'static str, &str),
    known: impl Iterator<Item = &'k str>,
    line: u32,
    faults: &Faults,
) {
    let nearest = nearest(id, known).map(Quoted::new);
    let (id, domain) = (Quoted::new(id), Quoted::new(&domain.name));
    faults.note(line, Fault::UnknownObject { what, id, domain, nearest });
}

impl Choice {
    /// The choice of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Choice> {
        match word {
            "order" => Some(Choice::Order),
            "weight" => Some(Choice::Weight),
            "least-cost" => Some(Choice::Cheapest),
            _ => None,
        }
    }
}

fn parse_prefix(text: &str) -> Option<Box<str>> {
    let is_dialled = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'*' | b'#');
    (text.len() <= 32 && text.bytes().all(is_dialled)).then(|| text.into())
}

/// What needs the media has to have them.
fn note_unproxied(mode: Option<Located<Mode>>, serves: bool, is_recorded: bool, faults: &Faults) {
    let Some(mode) = mode.filter(|mode| mode.value == Mode::Proxy) else { return };
    if serves {
        faults.note(mode.line, Fault::ProxyToService);
    }
    if is_recorded {
        faults.note(mode.line, Fault::ProxyIsRecorded);
    }
}

/// A service with the keys that belong to it; those of others are unknown keys.
fn resolve_service(section: &mut Section<'_>) -> Option<Service> {
    let name = section.parsed(SERVICE, parse_service)?.value;
    match name {
        Name::Conference => {
            let record = resolve_of_conference(section);
            let announce = section.flag(ANNOUNCE).is_some_and(|flag| flag.value);
            let tones = section.flag(TONES).is_some_and(|flag| flag.value);
            let conditioning = resolve_conditioning(section);
            let signal = if tones { Signal::Tones } else { Signal::None };
            let rules = Arc::new(Rules { announce, signal, ..Rules::default() });
            Some(Service::Conference(Conference { record, conditioning, rules, number: None }))
        }
        Name::Echo => Some(Service::Echo),
        Name::Milliwatt => Some(Service::Milliwatt),
        Name::Answer => {
            let for_s = section.number(FOR, 1, 86_400).map_or(60, |seconds| seconds.value);
            Some(Service::Answer { for_s })
        }
        Name::Play => Some(Service::Play { sound: sounds(section.required(SOUND, parse_path)?) }),
        Name::Music => Some(Service::Music { folder: sounds(section.required(FOLDER, parse_path)?) }),
    }
}

/// What is done to the voices of a conference.
pub(super) fn resolve_conditioning(section: &mut Section<'_>) -> Conditioning {
    Conditioning {
        gain_control: section.flag(GAIN_CONTROL).is_some_and(|flag| flag.value),
        noise_gate: section.flag(NOISE_GATE).is_some_and(|flag| flag.value),
    }
}

fn sounds(path: Located<Arc<str>>) -> Sounds {
    Sounds { path: path.value, files: Vec::new(), line: path.line }
}

fn parse_service(text: &str) -> Option<Name> {
    match text {
        "conference" => Some(Name::Conference),
        "echo" => Some(Name::Echo),
        "milliwatt" => Some(Name::Milliwatt),
        "answer" => Some(Name::Answer),
        "play" => Some(Name::Play),
        "music" => Some(Name::Music),
        _ => None,
    }
}

/// A path: anything but nothing and control characters.
pub(super) fn parse_path(text: &str) -> Option<Arc<str>> {
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Layout, Recording, RouteTo, parse};
    use super::*;
    use media::tap::Container;

    fn read(text: &str) -> Result<Config, String> {
        let text = format!("[[listener]]\naddress = \"127.0.0.1:5060\"\n{text}");
        parse("softswitch.toml", &text).map_err(|errors| errors.to_string())
    }

    fn service(route: &str) -> Service {
        let config = read(&format!("[[route]]\npattern = \"3000\"\n{route}")).unwrap();
        let mut routes = config.domains.into_values().flat_map(|domain| domain.routes);
        match routes.next().unwrap().to {
            RouteTo::Service(service) => service,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_conference_is_recorded_when_its_route_says_so() {
        let conference = |record| Service::Conference(Conference { record, ..Conference::default() });
        let record = |format, layout| conference(Some(Recording { format, layout }));
        assert_eq!(service("service = \"conference\""), conference(None));
        assert_eq!(service("service = \"conference\"\nrecord = true"), record(Container::Wav, Layout::Mix));
        assert_eq!(
            service("service = \"conference\"\nrecord = true\nformat = \"opus\"\nlayout = \"members\""),
            record(Container::OggOpus, Layout::Members)
        );
        let off = "service = \"conference\"\nrecord = false\nformat = \"opus\"";
        assert_eq!(service(off), conference(None));
        let rules = Rules { announce: true, signal: Signal::Tones, ..Rules::default() };
        let spoken = Conference { rules: Arc::new(rules), ..Conference::default() };
        let told = "service = \"conference\"\nannounce = true\ntones = true";
        assert_eq!(service(told), Service::Conference(spoken));
    }

    #[test]
    fn voices_of_a_conference_are_conditioned_when_its_route_says_so() {
        let conditioned = |gain_control, noise_gate| {
            let conditioning = Conditioning { gain_control, noise_gate };
            Service::Conference(Conference { conditioning, ..Conference::default() })
        };
        assert_eq!(service("service = \"conference\"\ngain_control = true"), conditioned(true, false));
        assert_eq!(service("service = \"conference\"\nnoise_gate = true"), conditioned(false, true));
        let told = read("[[route]]\npattern = \"1\"\nservice = \"echo\"\nnoise_gate = true").unwrap_err();
        assert!(told.contains("noise_gate"), "{told}");
    }

    #[test]
    fn what_is_played_is_named_with_its_line() {
        let sounds = |path: &str, line| Sounds { path: path.into(), files: Vec::new(), line };
        assert_eq!(
            service("service = \"play\"\nsound = \"a.wav\""),
            Service::Play { sound: sounds("a.wav", 6) }
        );
        assert_eq!(
            service("service = \"music\"\nfolder = \"music\""),
            Service::Music { folder: sounds("music", 6) }
        );
        assert_eq!(read("[recording]\nfolder = \"calls\"\n").unwrap().recordings.as_deref(), Some("calls"));
    }

    #[test]
    fn faults_of_services_name_line_and_remedy() {
        let told = |route: &str| read(&format!("[[route]]\npattern = \"1\"\n{route}\n")).unwrap_err();
        assert_eq!(
            told("service = \"play\""),
            "softswitch.toml:3: [[route]] lacks sound; add a line sound = \"welcome.wav\""
        );
        assert!(
            told("service = \"tea\"").starts_with("softswitch.toml:5: service "),
            "{}",
            told("service = \"tea\"")
        );
        assert!(
            told("service = \"echo\"\nrecord = true")
                .starts_with("softswitch.toml:6: unknown key \"record\"")
        );
        assert!(
            told("service = \"conference\"\nrecord = true\nformat = \"mp3\"")
                .contains("softswitch.toml:7: format")
        );
        assert!(told("service = \"music\"\nfolder = \"\"").contains("softswitch.toml:6: folder"));
    }
}
