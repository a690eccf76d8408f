//! The set-up of a scenario file: its title, who takes part, what the switch is told; the steps are read by `sentence`.
//!
//! Every line is looked at, whatever is wrong with those before it, so that all faults are told at once.

use super::fault::{Fault, Quoted, ScenarioError, ScenarioErrors};
use super::meter::TONES;
use super::script::{PhoneSetup, Scenario};
use super::sentence::Cast;
use super::words::{Words, split, without_comment};
use crate::phone::{AutoAnswer, Codec};

/// What begins a line of the set-up.
const KEYWORDS: [&str; 5] = ["scenario", "phone", "number", "switch", "repeat"];
/// Words that begin sentences or join names, and so cannot be names.
const RESERVED: [&str; 10] =
    ["wait", "network", "everybody", "and", "only", "nothing", "ringing", "each", "to", "the"];
/// What a phone has to say for itself.
const PROPERTIES: [&str; 12] = [
    "password",
    "codecs",
    "lines",
    "answers",
    "answers when asked",
    "tone",
    "quiet",
    "unregistered",
    "never holds",
    "watches",
    "watches its mailbox",
    "shows its presence",
];
/// The password of a phone that names none.
const PASSWORD: &str = "secret";

/// Reads a scenario. `file` is what messages call it.
///
/// # Errors
/// [`ScenarioErrors`]: all faults of the file.
pub fn read(file: &str, text: &str) -> Result<Scenario, ScenarioErrors> {
    read_with(file, text, &[])
}

/// As [`read`], with other numbers for some of the names.
///
/// # Errors
/// [`ScenarioErrors`]: all faults of the file.
pub fn read_with(file: &str, text: &str, numbers: &[(&str, &str)]) -> Result<Scenario, ScenarioErrors> {
    let scenario = Scenario {
        title: "".into(),
        file: file.into(),
        phones: Vec::new(),
        numbers: Vec::new(),
        switch: None,
        losses: Vec::new(),
        steps: Vec::new(),
    };
    let mut reader = Reader {
        scenario,
        others: numbers.iter().map(|(name, number)| ((*name).into(), (*number).into())).collect(),
        cast: Cast::default(),
        block: Block::None,
        started: false,
        untitled: true,
        errors: Vec::new(),
        watching: Vec::new(),
    };
    let mut last = 1;
    for (line, text) in (1..).zip(text.lines()) {
        last = line;
        if let Err(fault) = reader.line(line, text) {
            reader.errors.push(ScenarioError { line, fault });
        }
    }
    reader.find_watched();
    if reader.scenario.steps.is_empty() && reader.errors.is_empty() {
        reader.errors.push(ScenarioError { line: last, fault: Fault::NoSteps });
    }
    if reader.errors.is_empty() { Ok(reader.scenario) } else { Err(ScenarioErrors::new(file, reader.errors)) }
}

struct Reader {
    scenario: Scenario,
    /// Numbers in place of those of the file, by name.
    others: Vec<(Box<str>, Box<str>)>,
    cast: Cast,
    block: Block,
    /// There was a step.
    started: bool,
    untitled: bool,
    errors: Vec<ScenarioError>,
    /// Who watches whom, by the phone, the line and the name: those may be introduced later.
    watching: Vec<(usize, u32, Box<str>)>,
}

/// What an indented line belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    Phone,
    Switch,
}

impl Reader {
    fn line(&mut self, line: u32, text: &str) -> Result<(), Fault> {
        let indented = text.starts_with([' ', '\t']);
        if indented && self.block == Block::Switch {
            self.configure(text);
            return Ok(());
        }
        let text = without_comment(text);
        let words = split(text);
        let mut words = Words::new(&words);
        if words.is_empty() {
            if self.block == Block::Switch {
                self.configure("");
            }
            return Ok(());
        }
        if indented
            && self.block == Block::Phone
            && words.peek() == "watches"
            && !words.clone().eat("watches its")
        {
            return self.watches(line, &mut words);
        }
        if indented {
            return match (self.block, self.scenario.phones.last_mut()) {
                (Block::Phone, Some(phone)) => {
                    property(phone, &mut words)?;
                    self.cast.retune(phone.tone_hz);
                    Ok(())
                }
                (Block::None | Block::Phone | Block::Switch, _) => Err(Fault::Indented),
            };
        }
        self.block = Block::None;
        if !KEYWORDS.contains(&words.peek()) || is_sentence_of_the_switch(&words) {
            return self.step(line, text, words);
        }
        if self.started {
            return Err(Fault::TooLate(words.rest()));
        }
        self.set_up(line, text, &mut words)
    }

    /// `watches bob`, `watches bob and carol`, below a phone.
    fn watches(&mut self, line: u32, words: &mut Words<'_>) -> Result<(), Fault> {
        words.eat("watches");
        let place = self.scenario.phones.len().saturating_sub(1);
        loop {
            let fault = words.expected("a name or a number", "watches bob and carol");
            match words.next() {
                "" => return Err(fault),
                name => self.watching.push((place, line, name.into())),
            }
            if !words.eat_any(&[",", "and"]) {
                return words.end();
            }
        }
    }

    fn find_watched(&mut self) {
        for (place, line, name) in core::mem::take(&mut self.watching) {
            match (self.cast.target(&mut Words::new(&[&name])), self.scenario.phones.get_mut(place)) {
                (Ok(target), Some(phone)) => phone.watches.push(target),
                (Err(fault), _) => self.errors.push(ScenarioError { line, fault }),
                (Ok(_), None) => {}
            }
        }
    }

    fn set_up(&mut self, line: u32, text: &str, words: &mut Words<'_>) -> Result<(), Fault> {
        if words.eat("scenario") {
            self.scenario.title = text.trim_start_matches("scenario").trim().into();
            self.untitled = false;
            return if words.is_empty() { Err(Fault::NoTitle) } else { Ok(()) };
        }
        self.title()?;
        if words.eat("phone") {
            self.block = Block::Phone;
            return self.phone(line, words);
        }
        if words.eat("number") {
            const EXAMPLE: &str = "number room 3001";
            let name = self.name(line, words, EXAMPLE)?;
            let number = self.number_of(&name, dialled(words, EXAMPLE)?);
            self.cast.add_number(&name, &number, line);
            self.scenario.numbers.push((name, number));
        } else if words.eat("switch") {
            self.block = Block::Switch;
            self.scenario.switch = Some(("".into(), line + 1));
        } else if words.eat("repeat with loss") {
            const EXAMPLE: &str = "repeat with loss 5 %, 20 %";
            self.scenario.losses.push(words.percent(EXAMPLE)?);
            while words.eat_any(&[",", "and"]) {
                self.scenario.losses.push(words.percent(EXAMPLE)?);
            }
        } else {
            return Err(words.expected("repeat with loss", "repeat with loss 5 %, 20 %"));
        }
        words.end()
    }

    fn title(&mut self) -> Result<(), Fault> {
        // It is told once, not for every line.
        if core::mem::take(&mut self.untitled) { Err(Fault::NoTitle) } else { Ok(()) }
    }

    fn configure(&mut self, text: &str) {
        if let Some((config, _)) = &mut self.scenario.switch {
            *config = format!("{config}{text}\n").into();
        }
    }

    fn phone(&mut self, line: u32, words: &mut Words<'_>) -> Result<(), Fault> {
        const EXAMPLE: &str = "phone alice 1001";
        let name = self.name(line, words, EXAMPLE)?;
        let number = self.number_of(&name, dialled(words, EXAMPLE)?);
        let place = self.scenario.phones.len();
        let tone_hz = TONES.get(place).copied().unwrap_or(3_000 + 50 * place as u32 % 500);
        self.cast.add_phone(&name, &number, tone_hz, line);
        self.scenario.phones.push(PhoneSetup {
            name,
            number,
            password: PASSWORD.into(),
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            lines: 2,
            auto_answer: AutoAnswer::Never,
            answer_when_asked: false,
            hold_others: true,
            tone_hz,
            talks: true,
            registers: true,
            watches: Vec::new(),
            mailbox: false,
            publishes: false,
            line,
        });
        words.end()
    }

    fn number_of(&self, name: &str, number: &str) -> Box<str> {
        let other = self.others.iter().find(|(other, _)| **other == *name);
        other.map_or_else(|| number.into(), |(_, number)| number.clone())
    }

    fn name(&self, line: u32, words: &mut Words<'_>, example: &'static str) -> Result<Box<str>, Fault> {
        let fault = words.expected("a name", example);
        let name = words.next();
        if name.is_empty() {
            return Err(fault);
        }
        if let Some(earlier) = self.cast.introduced(name).filter(|earlier| *earlier < line) {
            return Err(Fault::Twice { name: Quoted(name.into()), line: earlier });
        }
        let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let good = letters && name.starts_with(|first: char| first.is_ascii_lowercase());
        if !good || RESERVED.contains(&name) || KEYWORDS.contains(&name) {
            return Err(Fault::BadName(Quoted(name.into())));
        }
        Ok(name.into())
    }

    fn step(&mut self, line: u32, text: &str, words: Words<'_>) -> Result<(), Fault> {
        self.title()?;
        self.started = true;
        let kind = self.cast.sentence(words)?;
        self.scenario.steps.push(super::script::Step { line, text: text.trim().into(), kind });
        Ok(())
    }
}

/// `switch` alone begins a configuration; with more it is somebody that something is said of.
fn is_sentence_of_the_switch(words: &Words<'_>) -> bool {
    let mut words = words.clone();
    words.eat("switch") && !words.is_empty()
}

/// A number as one dials it.
fn dialled<'a>(words: &mut Words<'a>, example: &'static str) -> Result<&'a str, Fault> {
    let fault = words.expected("a number", example);
    let number = words.next();
    if number.is_empty() { Err(fault) } else { Ok(number) }
}

/// A line below a phone.
fn property(phone: &mut PhoneSetup, words: &mut Words<'_>) -> Result<(), Fault> {
    if words.eat("password") {
        phone.password = dialled(words, "password secret")?.into();
    } else if words.eat("codecs") {
        phone.codecs = codecs(words)?;
    } else if words.eat("lines") {
        let lines = words.number("a number of calls", "lines 1")?;
        phone.lines = u16::try_from(lines).unwrap_or(u16::MAX);
    } else if words.eat("answers at once") {
        phone.auto_answer = AutoAnswer::Always;
    } else if words.eat("answers when asked") {
        phone.answer_when_asked = true;
    } else if words.eat("answers after") {
        phone.auto_answer = AutoAnswer::After(words.duration("answers after 2 s")?);
    } else if words.eat("never holds") {
        phone.hold_others = false;
    } else if words.eat("tone") {
        const EXAMPLE: &str = "tone 1000 Hz";
        let hertz = words.number("a frequency of 100 to 3400 Hz", EXAMPLE)?;
        let sounds = (100..=3_400).contains(&hertz) && words.eat("Hz");
        phone.tone_hz = hertz;
        if !sounds {
            return Err(words.expected("a frequency of 100 to 3400 Hz", EXAMPLE));
        }
    } else if words.eat("quiet") {
        phone.talks = false;
    } else if words.eat("watches its mailbox") {
        phone.mailbox = true;
    } else if words.eat("shows its presence") {
        phone.publishes = true;
    } else if words.eat("unregistered") {
        phone.registers = false;
    } else {
        let found = words.rest();
        let nearest = super::fault::nearest(words.peek(), &PROPERTIES)
            .and_then(|nearest| PROPERTIES.into_iter().find(|property| *property == nearest));
        let known = PROPERTIES.to_vec();
        return Err(Fault::NoSuchSentence { subject: "a phone in its set-up", found, nearest, known });
    }
    words.end()
}

fn codecs(words: &mut Words<'_>) -> Result<Vec<Codec>, Fault> {
    let mut codecs = Vec::new();
    loop {
        let fault = words.expected("opus, g722, pcmu or pcma", "codecs opus, pcma");
        codecs.push(Codec::from_name(words.next()).ok_or(fault)?);
        if !words.eat_any(&[",", "and"]) {
            return Ok(codecs);
        }
    }
}
