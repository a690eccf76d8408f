//! `record`, `format` and `layout`: of a conference and of a peer in `[[route]]`, of a `[[user]]` and of `[[users]]`.

use super::model::{Layout, Recording, UserRecording};
use super::table::{Key, Section};
use super::words::parse_container;
use media::tap::Container;

const RECORD: Key = Key { name: "record", expected: "true or false", example: "true" };
const ON_REQUEST: Key = Key { name: "record_on_request", expected: "true or false", example: "true" };
const FORMAT: Key = Key { name: "format", expected: "\"wav\" or \"opus\"", example: "\"opus\"" };
const LAYOUT_OF_CALL: Key =
    Key { name: "layout", expected: "\"mix\", \"stereo\" or \"members\"", example: "\"stereo\"" };
const LAYOUT_OF_CONFERENCE: Key =
    Key { name: "layout", expected: "\"mix\" or \"members\"", example: "\"mix\"" };

/// How a conference is recorded, if it is.
pub(super) fn resolve_of_conference(section: &mut Section<'_>) -> Option<Recording> {
    let record = section.flag(RECORD).is_some_and(|flag| flag.value);
    let recording = resolve_form(section, LAYOUT_OF_CONFERENCE, |text| {
        Layout::parse(text).filter(|layout| *layout != Layout::Stereo)
    });
    record.then_some(recording)
}

/// How calls over a route to a peer are recorded, if they are.
pub(super) fn resolve_of_route(section: &mut Section<'_>) -> Option<Recording> {
    let record = section.flag(RECORD).is_some_and(|flag| flag.value);
    let recording = resolve_form(section, LAYOUT_OF_CALL, Layout::parse);
    record.then_some(recording)
}

/// How and when calls of a user are recorded.
pub(super) fn resolve_of_user(section: &mut Section<'_>) -> UserRecording {
    let always = section.flag(RECORD).is_some_and(|flag| flag.value);
    let on_request = section.flag(ON_REQUEST).is_some_and(|flag| flag.value);
    UserRecording { form: resolve_form(section, LAYOUT_OF_CALL, Layout::parse), always, on_request }
}

fn resolve_form(
    section: &mut Section<'_>,
    layout: Key,
    parse_layout: impl Fn(&str) -> Option<Layout>,
) -> Recording {
    let format = section.parsed(FORMAT, parse_container).map_or(Container::Wav, |format| format.value);
    let layout = section.parsed(layout, parse_layout).map_or(Layout::Mix, |layout| layout.value);
    Recording { format, layout }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Target, parse};
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let text = format!("[[listener]]\naddress = \"127.0.0.1:5060\"\n{text}");
        parse("softswitch.toml", &text).map_err(|errors| errors.to_string())
    }

    fn user(keys: &str) -> UserRecording {
        let config = read(&format!("[[user]]\nid = \"1000\"\npassword = \"p\"\n{keys}")).unwrap();
        config.domains.values().find_map(|domain| domain.users.get("1000")).unwrap().recording
    }

    #[test]
    fn calls_of_a_user_are_recorded_always_on_request_or_not() {
        let of = |format, layout| Recording { format, layout };
        assert_eq!(user(""), UserRecording::default());
        assert_eq!(
            user("record = true"),
            UserRecording { always: true, ..UserRecording::default() },
            "a WAV file with both"
        );
        assert_eq!(
            user("record_on_request = true\nformat = \"opus\"\nlayout = \"stereo\""),
            UserRecording { form: of(Container::OggOpus, Layout::Stereo), always: false, on_request: true }
        );
    }

    #[test]
    fn calls_to_a_peer_are_recorded_when_their_route_says_so() {
        let peer =
            "[[peer]]\nid = \"p\"\naddress = \"192.0.2.1\"\n[[route]]\npattern = \"8.\"\npeer = \"p\"\n";
        let route = |keys: &str| match read(&format!("{peer}{keys}"))
            .unwrap()
            .domains
            .values()
            .next()
            .and_then(|domain| domain.route(b"81"))
        {
            Some(Target::Peer { record, .. }) => record,
            other => panic!("{other:?}"),
        };
        assert_eq!(route(""), None);
        let members = Recording { format: Container::Wav, layout: Layout::Members };
        assert_eq!(route("record = true\nlayout = \"members\""), Some(members));
    }

    #[test]
    fn a_conference_has_no_two_sides() {
        let route =
            "[[route]]\npattern = \"1\"\nservice = \"conference\"\nrecord = true\nlayout = \"stereo\"";
        let told = read(route).unwrap_err();
        assert!(
            told.contains("softswitch.toml:7: layout") && told.contains("\"mix\" or \"members\""),
            "{told}"
        );
    }
}
