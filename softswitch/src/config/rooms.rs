//! `[[room]]`: conference rooms with a number of their own.

use super::dialplan::Room;
use super::error::{Fault, Quoted};
use super::model::{Conference, Domain, Origin, Service};
use super::numbers::parse_number;
use super::objects::{parse_display_name, parse_id};
use super::prompts::resolve_language;
use super::recording::resolve_of_conference;
use super::routes::{ANNOUNCE, resolve_conditioning};
use super::table::{Faults, Key, Located, Section};
use super::tenants::Tenants;
use crate::rooms::{Code, MOST_MEMBERS, Rules, Signal};
use std::sync::Arc;
use toml::de::DeTable;

const EXTENSION: Key = Key { name: "extension", expected: "what is dialled", example: "\"3100\"" };
const NAME: Key = Key { name: "name", expected: "1 to 128 characters", example: "\"Sales\"" };
const PIN: Key = Key { name: "pin", expected: "1 to 16 digits", example: "\"2580\"" };
const MODERATOR_PIN: Key = Key { name: "moderator_pin", expected: "1 to 16 digits", example: "\"4711\"" };
const MODERATORS: Key = Key { name: "moderators", expected: "ids of users", example: "[\"1001\", \"1002\"]" };
const MOST: Key = Key { name: "max_members", expected: "a whole number", example: "20" };
const LISTED: Key = Key { name: "listed", expected: "true or false", example: "false" };
const SIGNAL: Key =
    Key { name: "signal", expected: "\"none\", \"tones\" or \"words\"", example: "\"tones\"" };
const WAIT: Key = Key { name: "wait_for_moderator", expected: "true or false", example: "true" };
const MUTE: Key = Key { name: "mute_on_entry", expected: "true or false", example: "true" };
const END: Key = Key { name: "end_with_moderator", expected: "true or false", example: "true" };

pub(super) fn resolve_rooms(root: &mut Section<'_>, tenants: &mut Tenants, faults: &Faults) {
    for mut section in root.tables("room", "[[room]]") {
        let extension = section.required(EXTENSION, parse_number);
        let domain = tenants.domain_of(&mut section, faults);
        let number = extension.as_ref().map(|extension| Arc::from(&*extension.value));
        let conference = Conference { number, ..resolve_room(&mut section, faults) };
        section.finish();
        let (Some(extension), Some(domain)) = (extension, domain) else { continue };
        let Some(domain) = tenants.domains.get_mut(&domain) else { continue };
        note_taken(domain, &extension, faults);
        let Located { value: extension, line } = extension;
        let room = Room { service: Service::Conference(conference), origin: Origin::File { line } };
        domain.numbering.rooms.insert(extension, room);
    }
}

/// A room made by command; its settings are what would stand in a `[[room]]`, without extension and domain.
///
/// # Errors
/// All that is wrong with it, in words.
pub(super) fn read_stored(extension: &str, settings: &str) -> Result<Conference, String> {
    let faults = Faults::new(settings);
    let (document, syntax_errors) = DeTable::parse_recoverable(settings);
    if let Some(error) = syntax_errors.first() {
        return Err(error.message().to_owned());
    }
    let mut section = Section::new(&document, &faults, "the room");
    let conference = Conference { number: Some(extension.into()), ..resolve_room(&mut section, &faults) };
    section.finish();
    let found: Vec<String> = faults.into_found().iter().map(|error| error.fault.to_string()).collect();
    if found.is_empty() { Ok(conference) } else { Err(found.join("; ")) }
}

/// A room whose number is somebody's already.
fn note_taken(domain: &Domain, extension: &Located<Box<str>>, faults: &Faults) {
    let numbering = &domain.numbering;
    let number = &extension.value;
    let first: Option<&str> = domain
        .user_of(number.as_bytes())
        .map(|(id, _)| id)
        .or_else(|| numbering.group_numbers.get(number).map(|group| &**group))
        .or_else(|| numbering.rooms.get_key_value(number).map(|(room, _)| &**room));
    if let Some(first) = first {
        let (number, first) = (Quoted::new(number), Quoted::new(first));
        faults.note(extension.line, Fault::NumberIsTaken { number, first });
    }
}

fn resolve_room(section: &mut Section<'_>, faults: &Faults) -> Conference {
    let flag = |section: &mut Section<'_>, key| section.flag(key).is_some_and(|flag| flag.value);
    let name = section.parsed(NAME, parse_display_name).map(|name| name.value);
    let pin = resolve_code(section, PIN, faults).map(|pin| pin.value);
    let moderator_pin = resolve_code(section, MODERATOR_PIN, faults);
    let moderators = section.list(MODERATORS, parse_id).map(|list| list.value).unwrap_or_default();
    let (wait, end) = (section.flag(WAIT), section.flag(END));
    if let (Some(pin), Some(moderator)) = (&pin, &moderator_pin)
        && pin.overlaps(&moderator.value)
    {
        faults.note(moderator.line, Fault::CodesOverlap);
    }
    if moderator_pin.is_none() && moderators.is_empty() {
        for (key, wanted) in [(WAIT, wait), (END, end)] {
            if let Some(wanted) = wanted.filter(|wanted| wanted.value) {
                faults.note(wanted.line, Fault::NoModerator { key: key.name });
            }
        }
    }
    let rules = Rules {
        name,
        pin,
        moderator_pin: moderator_pin.map(|pin| pin.value),
        // Users made by command are not known yet.
        moderators: moderators.into_iter().map(|user| user.value).collect(),
        most: section.number(MOST, 1, MOST_MEMBERS).map_or(MOST_MEMBERS, |most| most.value),
        listed: section.flag(LISTED).is_none_or(|flag| flag.value),
        signal: section.parsed(SIGNAL, Signal::parse).map_or(Signal::None, |signal| signal.value),
        announce: flag(section, ANNOUNCE),
        wait_for_moderator: wait.is_some_and(|flag| flag.value),
        mute_on_entry: flag(section, MUTE),
        end_with_moderator: end.is_some_and(|flag| flag.value),
        language: resolve_language(section),
        is_ad_hoc: false,
    };
    let record = resolve_of_conference(section);
    Conference { record, conditioning: resolve_conditioning(section), rules: Arc::new(rules), number: None }
}

fn resolve_code(section: &mut Section<'_>, key: Key, faults: &Faults) -> Option<Located<Code>> {
    let text = section.text(key)?;
    let code = Code::parse(text.value).map(|value| Located { value, line: text.line });
    if code.is_none() {
        faults.note(text.line, Fault::BadCode { key: key.name });
    }
    code
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Target, parse};
    use super::*;
    use crate::store::StoredRoom;

    fn read(room: &str) -> Result<Config, String> {
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:5060\"\n[[user]]\nid = \"1001\"\npassword = \"p\"\n[[room]]\n{room}\n"
        );
        parse("softswitch.toml", &text).map_err(|errors| errors.to_string())
    }

    fn rules(room: &str) -> Rules {
        let config = read(room).unwrap();
        let domain = config.domains.values().next().unwrap();
        match domain.route(b"3100") {
            Some(Target::Service(Service::Conference(conference))) => (*conference.rules).clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_room_has_a_number_and_rules() {
        let plain = Rules { is_ad_hoc: false, ..Rules::default() };
        assert_eq!(rules("extension = \"3100\""), plain);
        let keys = "extension = \"3100\"\nname = \"Sales\"\npin = \"2580\"\nmoderator_pin = \"4711\"\nmax_members = 3\n\
            moderators = [\"1001\"]\nlisted = false\nsignal = \"words\"\nannounce = true\nwait_for_moderator = true\n\
            mute_on_entry = true\nend_with_moderator = true\nlanguage = \"ru\"";
        let expected = Rules {
            name: Some("Sales".into()),
            pin: Code::parse("2580"),
            moderator_pin: Code::parse("4711"),
            moderators: vec!["1001".into()],
            most: 3,
            listed: false,
            signal: Signal::Words,
            announce: true,
            wait_for_moderator: true,
            mute_on_entry: true,
            end_with_moderator: true,
            language: Some("ru".into()),
            is_ad_hoc: false,
        };
        assert_eq!(rules(keys), expected);
    }

    #[test]
    fn faults_of_rooms_name_line_and_remedy() {
        let told = |room: &str| read(room).unwrap_err();
        assert!(told("name = \"x\"").contains("[[room]] lacks extension; add a line extension = \"3100\""));
        assert!(
            told("extension = \"1001\"").contains("softswitch.toml:7: number \"1001\" is that of \"1001\"")
        );
        let overlap = told("extension = \"3100\"\npin = \"12\"\nmoderator_pin = \"123\"");
        assert!(overlap.contains("softswitch.toml:9: one of pin and moderator_pin begins"), "{overlap}");
        let none = told("extension = \"3100\"\nwait_for_moderator = true");
        assert!(none.contains("softswitch.toml:8: wait_for_moderator needs"), "{none}");
        let secret = told("extension = \"3100\"\npin = \"12ab\"");
        assert!(secret.contains("softswitch.toml:8: pin has to be") && !secret.contains("12ab"), "{secret}");
    }

    #[test]
    fn a_room_made_by_command_is_one_of_the_file_or_a_fault() {
        let stored = |extension: &str, settings: &str| StoredRoom {
            domain: "127.0.0.1".into(),
            extension: extension.into(),
            settings: settings.into(),
        };
        let mut config = read("extension = \"3100\"").unwrap();
        let domain = config.domains.values().next().unwrap().name.clone();
        let stored =
            |extension, settings| StoredRoom { domain: (*domain).into(), ..stored(extension, settings) };
        config.merge_rooms(&[stored("3200", "pin = \"2580\"\nmax_members = 3")]).unwrap();
        let room = config.domains.values().next().unwrap().numbering.room(b"3200").unwrap();
        let Service::Conference(conference) = &room.service else { panic!() };
        assert_eq!((&conference.rules.pin, conference.rules.most), (&Code::parse("2580"), 3));
        assert_eq!((conference.number.as_deref(), room.origin), (Some("3200"), Origin::Store));
        let told = |stored: StoredRoom| config.clone().merge_rooms(&[stored]).unwrap_err().to_string();
        assert!(told(stored("3100", "")).contains("softswitch.toml:7: room \"3100\" of domain"));
        assert!(told(stored("1001", "")).contains("a user or a group has that number"));
        let wrong = told(stored("3300", "pim = \"1\""));
        assert!(wrong.contains("room \"3300\"") && wrong.contains("pim"), "{wrong}");
        assert!(told(stored("3300", "extension = \"1\"")).contains("extension"));
    }

    #[test]
    fn a_code_is_not_shown() {
        assert_eq!(format!("{:?}", Code::parse("2580")), "Some(Code(…))");
    }
}
