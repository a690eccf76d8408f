//! What users can do with calls by codes and keys, and how long calls may last: keys of `[features]`.
//!
//! Codes are dialled as numbers. A user, a group, a route, a number of emergency or a code of one's settings goes before them.

use super::model::Sounds;
use super::routes::parse_path;
use super::table::{Key, Section};
use core::ops::RangeInclusive;
use serde::{Deserialize, Serialize};

/// Features of calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFeatures {
    /// Whether who is held hears music.
    pub hold_music: bool,
    /// The folder of the music; `None`: that of the prompts.
    pub music_folder: Option<Sounds>,
    /// The numbers under which calls are parked.
    pub park_slots: Slots,
    /// A transfer to this number parks under the first free one.
    pub park: Box<str>,
    /// A parked call rings who parked it after so long.
    pub park_timeout_s: u32,
    /// Picks up what rings in a group of one's own.
    pub pickup_group: Box<str>,
    /// Before a number: picks up what rings there.
    pub pickup: Box<str>,
    /// Takes one's own call that is up over to the phone that dials it.
    pub take_over: Box<str>,
    /// Calls who dials it back when whom it has called last is free.
    pub call_back: Box<str>,
    /// No more.
    pub call_back_off: Box<str>,
    /// Whether users command the switch with keys during calls.
    pub keys: bool,
    /// Before a number: sends the partner there.
    pub key_transfer: Box<str>,
    /// Before a number: asks somebody there while the partner waits.
    pub key_consult: Box<str>,
    /// Goes back to the partner who waits.
    pub key_return: Box<str>,
    /// Brings all three together.
    pub key_three: Box<str>,
    /// Parks the partner.
    pub key_park: Box<str>,
    /// Begins and ends the recording.
    pub key_record: Box<str>,
    /// Calls end after so long.
    pub longest_call_s: Option<u32>,
}

/// Numbers of park slots, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    first: u32,
    last: u32,
}

impl Slots {
    /// The slots, in order.
    #[must_use]
    pub const fn all(self) -> RangeInclusive<u32> {
        self.first..=self.last
    }

    fn parse(text: &str) -> Option<Slots> {
        let (first, last) = text.split_once('-')?;
        let is_plain =
            |text: &str| text.bytes().all(|octet| octet.is_ascii_digit()) && !text.starts_with('0');
        let (first, last) =
            (first.parse().ok().filter(|_| is_plain(first))?, last.parse().ok().filter(|_| is_plain(last))?);
        (first <= last && last - first < SLOTS).then_some(Slots { first, last })
    }
}

/// Slots at most.
const SLOTS: u32 = 1_000;

impl Default for CallFeatures {
    fn default() -> CallFeatures {
        CallFeatures {
            hold_music: true,
            music_folder: None,
            park_slots: Slots { first: 701, last: 720 },
            park: "700".into(),
            park_timeout_s: 60,
            pickup_group: "*8".into(),
            pickup: "**".into(),
            take_over: "*9".into(),
            call_back: "*37".into(),
            call_back_off: "*037".into(),
            keys: false,
            key_transfer: "##".into(),
            key_consult: "*2".into(),
            key_return: "*1".into(),
            key_three: "*3".into(),
            key_park: "#7".into(),
            key_record: "#3".into(),
            longest_call_s: None,
        }
    }
}

const HOLD_MUSIC: Key = Key { name: "hold_music", expected: "true or false", example: "false" };
const MUSIC_FOLDER: Key =
    Key { name: "music_folder", expected: "the path of a folder", example: "\"music\"" };
const PARK_SLOTS: Key = Key {
    name: "park_slots",
    expected: "the first and the last of at most 1000 numbers",
    example: "\"701-720\"",
};
const PARK: Key =
    Key { name: "park", expected: "a number of digits, * and #, or \"\" for none", example: "\"700\"" };
const PARK_TIMEOUT: Key = Key { name: "park_timeout_s", expected: "a whole number", example: "60" };
const PICKUP_GROUP: Key = Key {
    name: "pickup_group",
    expected: "a number of digits, * and #, or \"\" for none",
    example: "\"*8\"",
};
const PICKUP: Key =
    Key { name: "pickup", expected: "a number of digits, * and #, or \"\" for none", example: "\"**\"" };
const TAKE_OVER: Key =
    Key { name: "take_over", expected: "a number of digits, * and #, or \"\" for none", example: "\"*9\"" };
const CALL_BACK: Key =
    Key { name: "call_back", expected: "a number of digits, * and #, or \"\" for none", example: "\"*37\"" };
const CALL_BACK_OFF: Key = Key {
    name: "call_back_off",
    expected: "a number of digits, * and #, or \"\" for none",
    example: "\"*037\"",
};
const KEYS: Key = Key { name: "keys", expected: "true or false", example: "true" };
const KEY_TRANSFER: Key =
    Key { name: "key_transfer", expected: "digits, * and #, or \"\" for none", example: "\"##\"" };
const KEY_CONSULT: Key =
    Key { name: "key_consult", expected: "digits, * and #, or \"\" for none", example: "\"*2\"" };
const KEY_RETURN: Key =
    Key { name: "key_return", expected: "digits, * and #, or \"\" for none", example: "\"*1\"" };
const KEY_THREE: Key =
    Key { name: "key_three", expected: "digits, * and #, or \"\" for none", example: "\"*3\"" };
const KEY_PARK: Key =
    Key { name: "key_park", expected: "digits, * and #, or \"\" for none", example: "\"#7\"" };
const KEY_RECORD: Key =
    Key { name: "key_record", expected: "digits, * and #, or \"\" for none", example: "\"#3\"" };
const LONGEST_CALL: Key = Key { name: "longest_call_s", expected: "a whole number", example: "14400" };

/// A code: keys, or none at all.
fn parse_code(text: &str) -> Option<Box<str>> {
    let is_key = |octet: u8| octet.is_ascii_digit() || matches!(octet, b'*' | b'#');
    (text.len() <= 16 && text.bytes().all(is_key)).then(|| text.into())
}

/// Reads what of `[features]` is about calls; the section may have other keys.
pub(super) fn resolve_call_features(section: &mut Section<'_>) -> CallFeatures {
    let mut features = CallFeatures::default();
    if let Some(flag) = section.flag(HOLD_MUSIC) {
        features.hold_music = flag.value;
    }
    let folder = section.parsed(MUSIC_FOLDER, parse_path);
    features.music_folder =
        folder.map(|path| Sounds { path: path.value, files: Vec::new(), line: path.line });
    features.keys = section.flag(KEYS).is_some_and(|flag| flag.value);
    if let Some(slots) = section.parsed(PARK_SLOTS, Slots::parse) {
        features.park_slots = slots.value;
    }
    if let Some(seconds) = section.number(PARK_TIMEOUT, 5, 86_400) {
        features.park_timeout_s = seconds.value;
    }
    for (key, code) in [
        (PARK, &mut features.park),
        (PICKUP_GROUP, &mut features.pickup_group),
        (PICKUP, &mut features.pickup),
        (TAKE_OVER, &mut features.take_over),
        (CALL_BACK, &mut features.call_back),
        (CALL_BACK_OFF, &mut features.call_back_off),
        (KEY_TRANSFER, &mut features.key_transfer),
        (KEY_CONSULT, &mut features.key_consult),
        (KEY_RETURN, &mut features.key_return),
        (KEY_THREE, &mut features.key_three),
        (KEY_PARK, &mut features.key_park),
        (KEY_RECORD, &mut features.key_record),
    ] {
        if let Some(given) = section.parsed(key, parse_code) {
            *code = given.value;
        }
    }
    features.longest_call_s = section.number(LONGEST_CALL, 10, 31_536_000).map(|seconds| seconds.value);
    features
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    fn told(features: &str) -> String {
        let text = format!("[[listener]]\naddress = \"127.0.0.1:5060\"\n[features]\n{features}\n");
        parse("softswitch.toml", &text).map_or_else(
            |errors| errors.to_string(),
            |config| format!("{:?}", config.call_features.park_slots.all()),
        )
    }

    #[test]
    fn slots_are_a_range_of_numbers_and_faults_name_line_and_remedy() {
        assert_eq!(told(""), "701..=720");
        assert_eq!(told("park_slots = \"61-69\""), "61..=69");
        for wrong in ["70", "9-1", "1-1001", "07-09", "a-b"] {
            let told = told(&format!("park_slots = \"{wrong}\""));
            assert!(told.starts_with("softswitch.toml:4: park_slots ") && told.contains("701-720"), "{told}");
        }
        assert!(told("pickup = \"x\"").starts_with("softswitch.toml:4: pickup "));
        assert!(told("longest_call_s = 1").contains("longest_call_s"));
    }
}
