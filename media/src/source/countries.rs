//! Tones of the telephone networks, by country (facts of ITU-T E.180 supplement 2, 2003, and of national specifications
//! where these are newer: BT SIN 350, Telecom New Zealand TNA 102, GOST 45.223).
//!
//! Left out on purpose: levels, which the player sets; second and third variants that old exchanges had; tones that only
//! exchanges need.

/// The tones a caller hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// The country by ISO 3166-1, two small letters.
    pub code: &'static str,
    /// The line is ready for digits.
    pub dial: &'static [Pulse],
    /// The called phone rings.
    pub ring_back: &'static [Pulse],
    /// The called phone is busy.
    pub busy: &'static [Pulse],
    /// The network cannot reach it.
    pub congestion: &'static [Pulse],
    /// An announcement follows, or would: number unobtainable.
    pub special_information: &'static [Pulse],
}

impl Country {
    /// The country of an ISO 3166-1 code in either case; `uk` is understood as `gb`.
    #[must_use]
    pub fn of(code: &str) -> Option<&'static Self> {
        let code = if code.eq_ignore_ascii_case("uk") { "gb" } else { code };
        COUNTRIES.iter().find(|country| country.code.eq_ignore_ascii_case(code))
    }
}

/// A part of a cadence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// What sounds.
    pub pitch: Pitch,
    /// For how many milliseconds; zero is for ever.
    pub ms: u16,
}

/// What sounds, in hertz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pitch {
    /// Nothing.
    Silence,
    /// One tone.
    Single(u16),
    /// Two at once, equally loud.
    Pair(u16, u16),
    /// The first, whose loudness goes up and down at the second.
    Modulated(u16, u16),
}

const fn on(hertz: u16, ms: u16) -> Pulse {
    Pulse { pitch: Pitch::Single(hertz), ms }
}

const fn pair(low: u16, high: u16, ms: u16) -> Pulse {
    Pulse { pitch: Pitch::Pair(low, high), ms }
}

const fn modulated(hertz: u16, by: u16, ms: u16) -> Pulse {
    Pulse { pitch: Pitch::Modulated(hertz, by), ms }
}

const fn off(ms: u16) -> Pulse {
    Pulse { pitch: Pitch::Silence, ms }
}

/// The special information tone of E.180.
const SIT: &[Pulse] = &[on(950, 330), on(1400, 330), on(1800, 330), off(1000)];
/// What most networks have.
const DIAL_425: &[Pulse] = &[on(425, 0)];
const RING_425: &[Pulse] = &[on(425, 1000), off(4000)];
const PULSE_425_165: &[Pulse] = &[on(425, 165), off(165)];
const PULSE_425_167: &[Pulse] = &[on(425, 167), off(167)];
const PULSE_425_175: &[Pulse] = &[on(425, 175), off(175)];
const PULSE_425_200: &[Pulse] = &[on(425, 200), off(200)];
const PULSE_425_240: &[Pulse] = &[on(425, 240), off(240)];
const PULSE_425_250: &[Pulse] = &[on(425, 250), off(250)];
const PULSE_425_300: &[Pulse] = &[on(425, 300), off(300)];
const PULSE_425_330: &[Pulse] = &[on(425, 330), off(330)];
const PULSE_425_350: &[Pulse] = &[on(425, 350), off(350)];
const PULSE_425_480: &[Pulse] = &[on(425, 480), off(480)];
const PULSE_425_500: &[Pulse] = &[on(425, 500), off(500)];
/// North America.
const DIAL_US: &[Pulse] = &[pair(350, 440, 0)];
const BUSY_US: &[Pulse] = &[pair(480, 620, 500), off(500)];
const REORDER_US: &[Pulse] = &[pair(480, 620, 250), off(250)];
const RING_US: &[Pulse] = &[pair(440, 480, 2000), off(4000)];
/// Great Britain and those that took after it.
const RING_GB: &[Pulse] = &[pair(400, 450, 400), off(200), pair(400, 450, 400), off(2000)];
const PULSE_400_250: &[Pulse] = &[on(400, 250), off(250)];
const PULSE_400_500: &[Pulse] = &[on(400, 500), off(500)];

/// A network that has 425 Hz for all and the usual ringing.
const fn plain(code: &'static str, busy: &'static [Pulse], congestion: &'static [Pulse]) -> Country {
    Country { code, dial: DIAL_425, ring_back: RING_425, busy, congestion, special_information: SIT }
}

/// All countries that are known, by code.
pub static COUNTRIES: &[Country] = &[
    Country {
        code: "at",
        dial: &[on(420, 0)],
        ring_back: &[on(420, 1000), off(5000)],
        busy: &[on(420, 400), off(400)],
        congestion: &[on(420, 200), off(200)],
        special_information: &[on(950, 330), on(1450, 330), on(1850, 330), off(1000)],
    },
    Country {
        code: "au",
        dial: &[pair(413, 438, 0)],
        ring_back: &[pair(413, 438, 400), off(200), pair(413, 438, 400), off(2000)],
        busy: &[on(425, 375), off(375)],
        congestion: &[on(425, 375), off(375), on(420, 375), off(375)],
        special_information: &[on(425, 2500), off(500)],
    },
    Country {
        ring_back: &[on(425, 1000), off(3000)],
        special_information: &[on(900, 330), on(1400, 330), on(1800, 330), off(1000)],
        ..plain("be", PULSE_425_500, PULSE_425_167)
    },
    plain("bg", PULSE_425_500, PULSE_425_250),
    plain("br", PULSE_425_250, &[on(425, 250), off(250), on(425, 750), off(250)]),
    Country {
        code: "ca",
        dial: DIAL_US,
        ring_back: RING_US,
        busy: BUSY_US,
        congestion: REORDER_US,
        special_information: SIT,
    },
    plain("ch", PULSE_425_500, PULSE_425_200),
    Country {
        code: "cn",
        dial: &[on(450, 0)],
        ring_back: &[on(450, 1000), off(4000)],
        busy: &[on(450, 350), off(350)],
        congestion: &[on(450, 700), off(700)],
        special_information: &[
            on(450, 100),
            off(100),
            on(450, 100),
            off(100),
            on(450, 100),
            off(100),
            on(450, 400),
            off(400),
        ],
    },
    Country {
        dial: &[on(425, 330), off(330), on(425, 660), off(660)],
        special_information: &[on(950, 330), off(30), on(1400, 330), off(30), on(1800, 330), off(1000)],
        ..plain("cz", PULSE_425_330, PULSE_425_165)
    },
    plain("de", PULSE_425_480, PULSE_425_240),
    plain("dk", PULSE_425_500, PULSE_425_200),
    plain("ee", PULSE_425_300, PULSE_425_200),
    Country {
        ring_back: &[on(425, 1500), off(3000)],
        special_information: SIT,
        ..plain(
            "es",
            PULSE_425_200,
            &[on(425, 200), off(200), on(425, 200), off(200), on(425, 200), off(600)],
        )
    },
    plain("fi", PULSE_425_300, PULSE_425_200),
    Country {
        code: "fr",
        dial: &[on(440, 0)],
        ring_back: &[on(440, 1500), off(3500)],
        busy: &[on(440, 500), off(500)],
        congestion: &[on(440, 250), off(250)],
        special_information: SIT,
    },
    Country {
        code: "gb",
        dial: DIAL_US,
        ring_back: RING_GB,
        busy: &[on(400, 375), off(375)],
        congestion: &[on(400, 400), off(350), on(400, 225), off(525)],
        special_information: &[on(950, 330), off(15), on(1400, 330), off(15), on(1800, 330), off(1000)],
    },
    Country {
        dial: &[on(425, 200), off(300), on(425, 700), off(800)],
        ..plain("gr", PULSE_425_300, PULSE_425_200)
    },
    Country { ring_back: &[on(425, 1250), off(3750)], ..plain("hu", PULSE_425_300, PULSE_425_300) },
    Country {
        code: "il",
        dial: &[on(414, 0)],
        ring_back: &[on(414, 1000), off(3000)],
        busy: &[on(414, 500), off(500)],
        congestion: &[on(414, 250), off(250)],
        special_information: &[on(1000, 330), on(1400, 330), on(1800, 330), off(1000)],
    },
    Country {
        code: "in",
        dial: &[modulated(400, 25, 0)],
        ring_back: &[modulated(400, 25, 400), off(200), modulated(400, 25, 400), off(2000)],
        busy: &[on(400, 750), off(750)],
        congestion: PULSE_400_250,
        special_information: SIT,
    },
    Country {
        dial: &[on(425, 200), off(200), on(425, 600), off(1000)],
        ..plain("it", PULSE_425_500, PULSE_425_200)
    },
    Country {
        code: "jp",
        dial: &[on(400, 0)],
        ring_back: &[modulated(400, 16, 1000), off(2000)],
        busy: PULSE_400_500,
        congestion: PULSE_400_500,
        special_information: SIT,
    },
    Country {
        code: "kr",
        dial: DIAL_US,
        ring_back: &[pair(440, 480, 1000), off(2000)],
        busy: BUSY_US,
        congestion: &[pair(480, 620, 300), off(200)],
        special_information: SIT,
    },
    plain("kz", PULSE_425_350, PULSE_425_175),
    plain("lt", PULSE_425_350, PULSE_425_200),
    plain("mx", PULSE_425_250, PULSE_425_250),
    plain("nl", PULSE_425_500, PULSE_425_250),
    plain("no", PULSE_425_500, PULSE_425_200),
    Country {
        code: "nz",
        dial: &[on(400, 0)],
        ring_back: RING_GB,
        busy: PULSE_400_500,
        congestion: PULSE_400_250,
        special_information: &[
            on(400, 750),
            off(100),
            on(400, 750),
            off(100),
            on(400, 750),
            off(100),
            on(400, 750),
            off(400),
        ],
    },
    plain("pl", PULSE_425_500, PULSE_425_500),
    Country { ring_back: &[on(425, 1000), off(5000)], ..plain("pt", PULSE_425_500, PULSE_425_200) },
    plain("ru", PULSE_425_350, PULSE_425_175),
    Country {
        ring_back: &[on(425, 1000), off(5000)],
        special_information: &[on(950, 332), off(24), on(1400, 332), off(24), on(1800, 332), off(2024)],
        ..plain("se", PULSE_425_250, &[on(425, 250), off(750)])
    },
    Country {
        ring_back: &[modulated(425, 24, 400), off(200), modulated(425, 24, 400), off(2000)],
        ..plain("sg", &[on(425, 750), off(750)], PULSE_425_250)
    },
    Country {
        code: "tr",
        dial: &[on(450, 0)],
        ring_back: &[on(450, 2000), off(4000)],
        busy: &[on(450, 500), off(500)],
        congestion: &[
            on(450, 200),
            off(200),
            on(450, 200),
            off(200),
            on(450, 200),
            off(200),
            on(450, 600),
            off(200),
        ],
        special_information: SIT,
    },
    plain("ua", PULSE_425_350, PULSE_425_175),
    Country {
        code: "us",
        dial: DIAL_US,
        ring_back: RING_US,
        busy: BUSY_US,
        congestion: REORDER_US,
        special_information: SIT,
    },
    Country {
        code: "za",
        dial: &[modulated(400, 33, 0)],
        ring_back: &[modulated(400, 33, 400), off(200), modulated(400, 33, 400), off(2000)],
        busy: PULSE_400_500,
        congestion: PULSE_400_250,
        special_information: SIT,
    },
];
