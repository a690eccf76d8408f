//! Telephone numbers by country: from what is dialled to E.164 (ITU-T E.164 §6), and from there to what a trunk wants.
//!
//! The countries are a table of data. A number that no rule of the country fits is no telephone number: an extension, or a name.
//! Left out on purpose: which numbers are assigned. Lengths are those of national numbers, without the trunk prefix.

use serde::{Deserialize, Serialize};

/// A country, by its code of ISO 3166-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Country([u8; 2]);

/// How numbers are dialled in a country.
struct Rules {
    country: [u8; 2],
    /// The country code.
    code: &'static str,
    /// What comes before a national number.
    trunk: &'static str,
    /// What comes before a country code.
    international: &'static [&'static str],
    /// The shortest and the longest national number.
    lengths: (usize, usize),
    /// Whether a national number may be dialled without its trunk prefix.
    is_open: bool,
    /// Whom one calls in an emergency, beside 112 and 911.
    emergency: &'static [&'static str],
}

const fn rules(
    country: &[u8; 2],
    code: &'static str,
    trunk: &'static str,
    international: &'static [&'static str],
    lengths: (usize, usize),
    is_open: bool,
    emergency: &'static [&'static str],
) -> Rules {
    Rules { country: *country, code, trunk, international, lengths, is_open, emergency }
}

/// Country, code, trunk prefix, international prefixes, lengths, national numbers without a prefix, emergency numbers (ITU-T E.164
/// annex to the Operational Bulletin, national numbering plans).
#[rustfmt::skip]
const COUNTRIES: &[Rules] = &[
    rules(b"AM", "374", "0", &["00"],         (8, 8),   false, &["101", "102", "103"]),
    rules(b"AT", "43",  "0", &["00"],         (4, 13),  false, &["122", "133", "144"]),
    rules(b"AU", "61",  "0", &["0011"],       (9, 9),   false, &["000"]),
    rules(b"AZ", "994", "0", &["00"],         (9, 9),   false, &["101", "102", "103"]),
    rules(b"BE", "32",  "0", &["00"],         (8, 9),   false, &["100", "101"]),
    rules(b"BR", "55",  "0", &["00"],         (10, 11), false, &["190", "192", "193"]),
    rules(b"BY", "375", "8", &["810", "00"],  (9, 9),   false, &["101", "102", "103"]),
    rules(b"CA", "1",   "1", &["011"],        (10, 10), true,  &[]),
    rules(b"CH", "41",  "0", &["00"],         (9, 9),   false, &["117", "118", "144"]),
    rules(b"CN", "86",  "0", &["00"],         (9, 11),  false, &["110", "119", "120"]),
    rules(b"CZ", "420", "",  &["00"],         (9, 9),   true,  &["150", "155", "158"]),
    rules(b"DE", "49",  "0", &["00"],         (5, 11),  false, &["110"]),
    rules(b"DK", "45",  "",  &["00"],         (8, 8),   true,  &[]),
    rules(b"EE", "372", "",  &["00"],         (7, 8),   true,  &["110"]),
    rules(b"ES", "34",  "",  &["00"],         (9, 9),   true,  &["061", "062", "080", "091"]),
    rules(b"FI", "358", "0", &["00"],         (5, 12),  false, &[]),
    rules(b"FR", "33",  "0", &["00"],         (9, 9),   false, &["15", "17", "18", "114"]),
    rules(b"GB", "44",  "0", &["00"],         (9, 10),  false, &["999"]),
    rules(b"GE", "995", "0", &["00"],         (9, 9),   true,  &[]),
    rules(b"IE", "353", "0", &["00"],         (7, 9),   false, &["999"]),
    rules(b"IL", "972", "0", &["00"],         (8, 9),   false, &["100", "101", "102"]),
    rules(b"IN", "91",  "0", &["00"],         (10, 10), true,  &["100", "101", "102"]),
    rules(b"IT", "39",  "",  &["00"],         (6, 11),  true,  &["113", "115", "118"]),
    rules(b"JP", "81",  "0", &["010"],        (9, 10),  false, &["110", "119"]),
    rules(b"KG", "996", "0", &["00"],         (9, 9),   false, &["101", "102", "103"]),
    rules(b"KZ", "7",   "8", &["810"],        (10, 10), true,  &["101", "102", "103", "104"]),
    rules(b"LT", "370", "0", &["00"],         (8, 8),   false, &[]),
    rules(b"LV", "371", "",  &["00"],         (8, 8),   true,  &["110", "113"]),
    rules(b"MD", "373", "0", &["00"],         (8, 8),   false, &["901", "902", "903"]),
    rules(b"MX", "52",  "",  &["00"],         (10, 10), true,  &[]),
    rules(b"NL", "31",  "0", &["00"],         (9, 9),   false, &[]),
    rules(b"NO", "47",  "",  &["00"],         (8, 8),   true,  &["110", "113"]),
    rules(b"PL", "48",  "",  &["00"],         (9, 9),   true,  &["997", "998", "999"]),
    rules(b"PT", "351", "",  &["00"],         (9, 9),   true,  &[]),
    rules(b"RU", "7",   "8", &["810"],        (10, 10), true,  &["101", "102", "103", "104"]),
    rules(b"SE", "46",  "0", &["00"],         (7, 9),   false, &[]),
    rules(b"TJ", "992", "8", &["810"],        (9, 9),   true,  &["101", "102", "103"]),
    rules(b"TR", "90",  "0", &["00"],         (10, 10), false, &["110", "155"]),
    rules(b"UA", "380", "0", &["00"],         (9, 9),   false, &["101", "102", "103", "104"]),
    rules(b"US", "1",   "1", &["011"],        (10, 10), true,  &[]),
    rules(b"UZ", "998", "",  &["00"],         (9, 9),   true,  &["101", "102", "103"]),
];

/// The longest number (ITU-T E.164 §6.1).
const LONGEST: usize = 15;
/// Shorter ones are taken for no telephone number of another country.
const SHORTEST: usize = 7;

/// How the number that is called is written for a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberForm {
    /// As it was dialled.
    #[default]
    Dialled,
    /// `+78001234567`
    E164,
    /// `78001234567`
    Digits,
    /// With the trunk prefix, or the international prefix for other countries: `88001234567`.
    National,
}

impl NumberForm {
    /// The form of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<NumberForm> {
        match word {
            "dialled" => Some(NumberForm::Dialled),
            "e164" => Some(NumberForm::E164),
            "digits" => Some(NumberForm::Digits),
            "national" => Some(NumberForm::National),
            _ => None,
        }
    }
}

impl Country {
    /// The country of this code, such as `RU`; `None` when it is not in the table.
    #[must_use]
    pub fn parse(code: &str) -> Option<Country> {
        let code: [u8; 2] = code.to_ascii_uppercase().as_bytes().try_into().ok()?;
        COUNTRIES.iter().any(|rules| rules.country == code).then_some(Country(code))
    }

    /// Its code, in capitals.
    #[must_use]
    pub fn code(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn rules(self) -> Option<&'static Rules> {
        COUNTRIES.iter().find(|rules| rules.country == self.0)
    }

    /// Whom one calls in an emergency, beside 112 and 911.
    #[must_use]
    pub fn emergency(self) -> &'static [&'static str] {
        self.rules().map_or(&[], |rules| rules.emergency)
    }

    /// The E.164 number, with its `+`, of what is dialled in the country; `None` for what is no telephone number by its rules.
    ///
    /// `area` is the area code of who dials, for local numbers.
    #[must_use]
    pub fn dialled(self, number: &str, area: Option<&str>) -> Option<String> {
        let rules = self.rules()?;
        if let Some(digits) = number.strip_prefix('+') {
            return international(digits);
        }
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if let Some(digits) = rules.international.iter().find_map(|prefix| number.strip_prefix(*prefix))
            && let Some(number) = international(digits)
        {
            return Some(number);
        }
        if !rules.trunk.is_empty()
            && let Some(number) = number.strip_prefix(rules.trunk).and_then(|rest| rules.national(rest))
        {
            return Some(number);
        }
        if rules.is_open
            && let Some(number) = rules.national(number)
        {
            return Some(number);
        }
        let area = area?;
        // A local number is what is left of the shortest national one.
        (number.len() + area.len() == rules.lengths.0).then(|| rules.national(&format!("{area}{number}")))?
    }

    /// The same of what a trunk sends: numbers come with the country code and without `+` as well.
    #[must_use]
    pub fn received(self, number: &str) -> Option<String> {
        let rules = self.rules()?;
        let with_code = || {
            let national = number.strip_prefix(rules.code)?;
            national.bytes().all(|byte| byte.is_ascii_digit()).then(|| rules.national(national))?
        };
        // Where code and trunk prefix are the same (+1) both mean the same number.
        self.dialled(number, None).or_else(with_code)
    }

    /// How an E.164 number is written for a trunk.
    #[must_use]
    pub fn written(self, e164: &str, form: NumberForm) -> String {
        let digits = e164.strip_prefix('+').unwrap_or(e164);
        match (form, self.rules()) {
            (NumberForm::Digits, _) => digits.to_owned(),
            (NumberForm::National, Some(rules)) => match digits.strip_prefix(rules.code) {
                Some(national) if rules.fits(national) => format!("{}{national}", rules.trunk),
                Some(_) | None => format!("{}{digits}", rules.international.first().unwrap_or(&"00")),
            },
            (NumberForm::Dialled | NumberForm::E164 | NumberForm::National, _) => e164.to_owned(),
        }
    }
}

impl Rules {
    fn fits(&self, national: &str) -> bool {
        (self.lengths.0..=self.lengths.1).contains(&national.len())
    }

    fn national(&self, national: &str) -> Option<String> {
        // A national number that begins with its own trunk prefix is a number with that prefix, of another length.
        (self.fits(national)).then(|| format!("+{}{national}", self.code))
    }
}

fn international(digits: &str) -> Option<String> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    (is_number && (SHORTEST..=LONGEST).contains(&digits.len())).then(|| format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> Country {
        Country::parse(code).unwrap()
    }

    #[test]
    fn what_is_dialled_in_a_country_is_one_number_of_the_world() {
        for (code, dialled, e164) in [
            ("RU", "88001234567", Some("+78001234567")),
            ("RU", "4951234567", Some("+74951234567")),
            ("RU", "810441234567890", Some("+441234567890")),
            ("RU", "+12125550100", Some("+12125550100")),
            ("RU", "1001", None),
            ("RU", "112", None),
            ("KZ", "87272123456", Some("+77272123456")),
            ("US", "12125550100", Some("+12125550100")),
            ("US", "2125550100", Some("+12125550100")),
            ("US", "011442071838750", Some("+442071838750")),
            ("US", "911", None),
            ("GB", "02071838750", Some("+442071838750")),
            ("GB", "0033123456789", Some("+33123456789")),
            ("GB", "2071838750", None),
            ("DE", "03012345678", Some("+493012345678")),
            ("UA", "0441234567", Some("+380441234567")),
            ("ES", "912345678", Some("+34912345678")),
            ("DE", "anna", None),
            ("DE", "", None),
        ] {
            assert_eq!(country(code).dialled(dialled, None).as_deref(), e164, "{code} {dialled}");
        }
    }

    #[test]
    fn a_local_number_is_one_of_the_area() {
        assert_eq!(country("RU").dialled("1234567", Some("495")).as_deref(), Some("+74951234567"));
        assert_eq!(country("RU").dialled("1001", Some("495")), None);
        assert_eq!(country("US").dialled("5550100", Some("212")).as_deref(), Some("+12125550100"));
    }

    #[test]
    fn a_trunk_may_leave_out_the_plus() {
        assert_eq!(country("RU").received("74951234567").as_deref(), Some("+74951234567"));
        assert_eq!(country("UA").received("380441234567").as_deref(), Some("+380441234567"));
        assert_eq!(country("RU").received("anonymous"), None);
    }

    #[test]
    fn a_number_is_written_as_the_trunk_wants_it() {
        let ru = country("RU");
        let written = |form| ru.written("+74951234567", form);
        assert_eq!(written(NumberForm::E164), "+74951234567");
        assert_eq!(written(NumberForm::Digits), "74951234567");
        assert_eq!(written(NumberForm::National), "84951234567");
        assert_eq!(ru.written("+442071838750", NumberForm::National), "810442071838750");
    }

    /// Every form that is written is read back as the same number.
    #[test]
    fn what_is_written_nationally_is_dialled_as_the_same_number() {
        for rules in COUNTRIES {
            let own = country(core::str::from_utf8(&rules.country).unwrap());
            for length in rules.lengths.0..=rules.lengths.1 {
                let e164 = format!("+{}{}", rules.code, "2".repeat(length));
                let national = own.written(&e164, NumberForm::National);
                assert_eq!(own.dialled(&national, None).as_deref(), Some(&*e164), "{}", own.0.escape_ascii());
            }
        }
    }

    #[test]
    fn countries_are_in_order_and_their_emergency_numbers_are_digits() {
        assert!(COUNTRIES.is_sorted_by_key(|rules| rules.country));
        for number in COUNTRIES.iter().flat_map(|rules| rules.emergency) {
            assert!(number.bytes().all(|byte| byte.is_ascii_digit()), "{number}");
        }
        assert_eq!(Country::parse("XX"), None);
        assert_eq!(Country::parse("ru"), Country::parse("RU"));
    }
}
