//! `[[route]]`: which numbers lead to a peer, and which to the switch itself.
//!
//! Left out on purpose: looking whether files are there, which whoever reads the configuration does (`cli`).

use super::error::{Fault, Quoted};
use super::model::{Conference, DomainId, Mode, Peer, Route, RouteTo, Service, Sounds, Transport};
use super::nearest::nearest;
use super::pattern::Pattern;
use super::recording::{resolve_of_conference, resolve_of_route};
use super::table::{Faults, Key, Located, Section};
use super::tenants::{MODE, Tenants, parse_mode};
use media::dsp::Conditioning;
use sip_stack::resolve::Host;
use std::collections::BTreeMap;
use std::sync::Arc;

const PATTERN: Key = Key {
    name: "pattern",
    expected: "digits (and + * #), X for any digit, N for 2-9, Z for 1-9, and a . at the end for one or more of anything",
    example: "\"8XXX\"",
};
const PEER: Key = Key { name: "peer", expected: "the id of a peer", example: "\"trunk\"" };
const SERVICE: Key = Key {
    name: "service",
    expected: "\"conference\", \"echo\", \"milliwatt\", \"play\" or \"music\"",
    example: "\"conference\"",
};
const SOUND: Key =
    Key { name: "sound", expected: "the path of a WAV or Ogg file", example: "\"welcome.wav\"" };
const ANNOUNCE: Key = Key { name: "announce", expected: "true or false", example: "true" };
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
    Play,
    Music,
}

pub(super) fn resolve_routes(root: &mut Section<'_>, tenants: &mut Tenants, faults: &Faults) {
    let mut lines: BTreeMap<(DomainId, Pattern), u32> = BTreeMap::new();
    for mut section in root.tables("route", "[[route]]") {
        let pattern = section.required(PATTERN, Pattern::parse);
        let domain = tenants.domain_of(&mut section, faults);
        let serves = section.has(SERVICE);
        let service = if serves { resolve_service(&mut section) } else { None };
        let mode = section.parsed(MODE, parse_mode);
        let peer = if serves && !section.has(PEER) { None } else { section.required_text(PEER) };
        let record = if serves { None } else { resolve_of_route(&mut section) };
        section.finish();
        note_unproxied(mode, serves, record.is_some(), faults);
        let mode = mode.map_or(Mode::Anchored, |mode| mode.value);
        let (Some(Located { value: pattern, line }), Some(domain_id)) = (pattern, domain) else { continue };
        let Some(domain) = tenants.domains.get_mut(&domain_id) else { continue };
        if let Some(first) = lines.insert((domain_id, pattern.clone()), line) {
            let (pattern, domain) = (Quoted::new(&pattern.to_string()), Quoted::new(&domain.name));
            faults.note(line, Fault::DuplicateRoute { pattern, domain, first });
        }
        if let (true, Some(peer)) = (serves, &peer) {
            faults.note(peer.line, Fault::PeerAndService { pattern: Quoted::new(&pattern.to_string()) });
        }
        if let Some(service) = service {
            domain.routes.push(Route { pattern, to: RouteTo::Service(service), record, mode });
            continue;
        }
        let Some(peer) = peer else { continue };
        if !domain.peers.contains_key(peer.value) {
            let nearest = nearest(peer.value, domain.peers.keys().map(|id| &**id)).map(Quoted::new);
            let (id, domain) = (Quoted::new(peer.value), Quoted::new(&domain.name));
            faults.note(peer.line, Fault::UnknownPeer { id, domain, nearest });
        }
        let unlocated = |peer: &Peer| {
            matches!(peer.host, Host::Name(_)) || peer.transport.is_some_and(Transport::is_secure)
        };
        if mode == Mode::Proxy && domain.peers.get(peer.value).is_some_and(unlocated) {
            faults.note(peer.line, Fault::ProxyToUnlocatedPeer { id: Quoted::new(peer.value) });
        }
        domain.routes.push(Route { pattern, to: RouteTo::Peer(peer.value.into()), record, mode });
    }
    for domain in tenants.domains.values_mut() {
        domain.routes.sort_by(|one, other| one.pattern.cmp(&other.pattern));
    }
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
            let conditioning = Conditioning {
                gain_control: section.flag(GAIN_CONTROL).is_some_and(|flag| flag.value),
                noise_gate: section.flag(NOISE_GATE).is_some_and(|flag| flag.value),
            };
            Some(Service::Conference(Conference { record, announce, tones, conditioning }))
        }
        Name::Echo => Some(Service::Echo),
        Name::Milliwatt => Some(Service::Milliwatt),
        Name::Play => Some(Service::Play { sound: sounds(section.required(SOUND, parse_path)?) }),
        Name::Music => Some(Service::Music { folder: sounds(section.required(FOLDER, parse_path)?) }),
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
            RouteTo::Peer(peer) => panic!("{peer}"),
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
        let spoken = Conference { announce: true, tones: true, ..Conference::default() };
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
