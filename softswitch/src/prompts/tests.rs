//! What is said, as text: the sentences of the prompts one behind the other, against numbers spelled out another way.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

const LANGUAGES: [&str; 2] = ["en", "ru"];

/// Read once: the properties ask hundreds of times.
static ENGLISH: LazyLock<Spoken> = LazyLock::new(|| Spoken::new("en"));
static RUSSIAN: LazyLock<Spoken> = LazyLock::new(|| Spoken::new("ru"));
static LIBRARY: LazyLock<Library> = LazyLock::new(|| Library::built_in().unwrap());

/// A language with the sentences its prompts are spoken from.
struct Spoken {
    grammar: Grammar,
    sentences: BTreeMap<String, String>,
}

impl Spoken {
    fn new(language: &str) -> Spoken {
        let text = |file: &str| built_in_text(&format!("{language}/{file}")).unwrap();
        let sentences: BTreeMap<String, String> = toml::from_str(text("prompts.toml")).unwrap();
        // The plus sign marks the stress.
        let sentences = sentences.into_iter().map(|(id, text)| (id, text.replace('+', ""))).collect();
        Spoken { grammar: Grammar::parse(text("grammar.toml")).unwrap(), sentences }
    }

    fn say(&self, what: What<'_>) -> String {
        let prompts = self.grammar.say(what).unwrap();
        let sentence = |prompt: &&str| self.sentences.get(*prompt).unwrap_or_else(|| panic!("{prompt}"));
        prompts.iter().map(|prompt| sentence(prompt).as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// Words for a number below a thousand, built from the last digit to the first.
fn hundreds(number: u32, ones: &[&str; 20], tens: &[&str; 10], hundred: impl Fn(u32) -> String) -> String {
    let mut words = Vec::new();
    match number % 100 {
        0 => {}
        low @ 1..20 => words.push(ones[low as usize].to_owned()),
        low => {
            words.push(ones[low as usize % 10].to_owned());
            words.push(tens[low as usize / 10].to_owned());
        }
    }
    if number >= 100 {
        words.push(hundred(number / 100));
    }
    words.reverse();
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

fn english(number: u32) -> String {
    const ONES: [&str; 20] = [
        "",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 10] =
        ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    if number == 0 {
        return "zero".to_owned();
    }
    let group = |group| hundreds(group, &ONES, &TENS, |digit| format!("{} hundred", ONES[digit as usize]));
    let groups =
        [(number / 1_000_000, " million"), (number / 1_000 % 1_000, " thousand"), (number % 1_000, "")];
    let said = groups.into_iter().filter(|(value, _)| *value > 0);
    said.map(|(value, name)| format!("{}{name}", group(value))).collect::<Vec<_>>().join(" ")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gender {
    Masculine,
    Feminine,
    Neuter,
}

fn russian(number: u32, gender: Gender) -> String {
    const ONES: [&str; 20] = [
        "",
        "один",
        "два",
        "три",
        "четыре",
        "пять",
        "шесть",
        "семь",
        "восемь",
        "девять",
        "десять",
        "одиннадцать",
        "двенадцать",
        "тринадцать",
        "четырнадцать",
        "пятнадцать",
        "шестнадцать",
        "семнадцать",
        "восемнадцать",
        "девятнадцать",
    ];
    const TENS: [&str; 10] = [
        "",
        "",
        "двадцать",
        "тридцать",
        "сорок",
        "пятьдесят",
        "шестьдесят",
        "семьдесят",
        "восемьдесят",
        "девяносто",
    ];
    const HUNDREDS: [&str; 10] = [
        "",
        "сто",
        "двести",
        "триста",
        "четыреста",
        "пятьсот",
        "шестьсот",
        "семьсот",
        "восемьсот",
        "девятьсот",
    ];
    if number == 0 {
        return "ноль".to_owned();
    }
    let group = |value: u32, gender: Gender| {
        let mut ones = ONES;
        match gender {
            Gender::Masculine => {}
            Gender::Feminine => (ones[1], ones[2]) = ("одна", "две"),
            Gender::Neuter => ones[1] = "одно",
        }
        hundreds(value, &ones, &TENS, |digit| HUNDREDS[digit as usize].to_owned())
    };
    let mut words = Vec::new();
    let (millions, thousands) = (number / 1_000_000, number / 1_000 % 1_000);
    if millions > 0 {
        words.push(group(millions, Gender::Masculine));
        words.push(russian_form(millions, ["миллион", "миллиона", "миллионов"]).to_owned());
    }
    if thousands > 0 {
        words.push(group(thousands, Gender::Feminine));
        words.push(russian_form(thousands, ["тысяча", "тысячи", "тысяч"]).to_owned());
    }
    words.push(group(number % 1_000, gender));
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// The form by the rule of the grammar books: by the last digit, except for the teens.
fn russian_form(number: u32, [one, few, many]: [&str; 3]) -> &str {
    let teens = (11..=14).contains(&(number % 100));
    match number % 10 {
        1 if !teens => one,
        2..=4 if !teens => few,
        _ => many,
    }
}

#[test]
fn english_numbers_to_9999_are_spelled_as_everybody_spells_them() {
    let english_says = Spoken::new("en");
    for number in 0..=9_999 {
        assert_eq!(english_says.say(What::Cardinal(number)), english(number));
        let noun = if number == 1 { "minute" } else { "minutes" };
        let expected = format!("The expected waiting time is about {} {noun}", english(number));
        if number > 0 {
            assert_eq!(english_says.say(What::Count(Counted::QueueWaitMinutes, number)), expected);
        }
    }
}

#[test]
fn russian_numbers_to_9999_agree_with_what_is_counted() {
    let says = Spoken::new("ru");
    for number in 0..=9_999 {
        assert_eq!(says.say(What::Cardinal(number)), russian(number, Gender::Masculine));
        let participants = russian_form(number, ["участник", "участника", "участников"]);
        let expected = format!("В конференции {} {participants}", russian(number, Gender::Masculine));
        assert_eq!(says.say(What::Count(Counted::Participants, number)), expected);
        if number == 0 {
            continue;
        }
        let minutes = russian_form(number, ["минута", "минуты", "минут"]);
        let expected = format!("Время ожидания примерно {} {minutes}", russian(number, Gender::Feminine));
        assert_eq!(says.say(What::Count(Counted::QueueWaitMinutes, number)), expected);
        let forms = ["новое сообщение", "новых сообщения", "новых сообщений"];
        let expected = format!("У вас {} {}", russian(number, Gender::Neuter), russian_form(number, forms));
        assert_eq!(says.say(What::Count(Counted::NewMessages, number)), expected);
    }
}

#[test]
fn russian_examples_of_the_grammar_book() {
    let says = Spoken::new("ru");
    let minutes = |minutes: u32| says.say(What::Duration { seconds: minutes * 60 });
    assert_eq!(
        [1, 2, 5, 11, 21, 22].map(minutes),
        [
            "одна минута",
            "две минуты",
            "пять минут",
            "одиннадцать минут",
            "двадцать одна минута",
            "двадцать две минуты",
        ]
    );
    assert_eq!(says.say(What::Duration { seconds: 2 * 3_600 + 61 }), "два часа одна минута одна секунда");
    assert_eq!(says.say(What::Duration { seconds: 0 }), "ноль секунд");
    assert_eq!(says.say(What::Count(Counted::NewMessages, 1)), "У вас одно новое сообщение");
    assert_eq!(says.say(What::Count(Counted::NewMessages, 0)), "У вас нет новых сообщений.");
    assert_eq!(says.say(What::Cardinal(2_001_001)), "два миллиона одна тысяча один");
    assert_eq!(says.say(What::Count(Counted::QueuePosition, 5)), "Ваше место в очереди пятое");
    assert_eq!(says.say(What::Count(Counted::QueuePosition, 1_002)), "Ваш номер в очереди одна тысяча два");
}

#[test]
fn days_and_times_are_said_in_the_order_of_the_language() {
    let (en, ru) = (Spoken::new("en"), Spoken::new("ru"));
    let date = Date { weekday: 2, month: 3, day: 5 };
    let time = TimeOfDay { hour: 14, minute: 5 };
    assert_eq!(en.say(What::When(Day::Today, time)), "today at two oh five p m");
    assert_eq!(ru.say(What::When(Day::Today, time)), "сегодня четырнадцать часов пять минут");
    assert_eq!(
        en.say(What::Received(Day::Earlier(date), time)),
        "Received Tuesday March fifth at two oh five p m"
    );
    assert_eq!(
        ru.say(What::Received(Day::Earlier(date), time)),
        "Получено вторник пятое марта четырнадцать часов пять минут"
    );
    let midnight = TimeOfDay { hour: 0, minute: 0 };
    assert_eq!(en.say(What::Time(midnight)), "twelve a m");
    assert_eq!(ru.say(What::When(Day::Yesterday, midnight)), "вчера ноль часов ровно");
    assert_eq!(
        ru.say(What::Time(TimeOfDay { hour: 21, minute: 31 })),
        "двадцать один час тридцать одна минута"
    );
    assert_eq!(en.say(What::Date(Date { weekday: 7, month: 12, day: 31 })), "Sunday December thirty first");
    assert_eq!(
        ru.say(What::Date(Date { weekday: 7, month: 12, day: 31 })),
        "воскресенье тридцать первое декабря"
    );
}

#[test]
fn every_minute_of_every_day_has_words() {
    for says in LANGUAGES.map(Spoken::new) {
        let mut said = BTreeSet::new();
        for minute_of_day in 0..1_440_u16 {
            let (hour, minute) = (minute_of_day / 60, minute_of_day % 60);
            let time = TimeOfDay { hour: hour.try_into().unwrap(), minute: minute.try_into().unwrap() };
            assert!(said.insert(says.say(What::Time(time))), "{hour}:{minute} is said as another minute is");
        }
        for (month, day) in (1..=12).flat_map(|month| (1..=31).map(move |day| (month, day))) {
            assert!(said.insert(says.say(What::Date(Date { weekday: 1 + (month + day) % 7, month, day }))));
        }
    }
}

#[test]
fn ordinals_end_in_the_ordinal_of_their_last_word() {
    let (en, ru) = (Spoken::new("en"), Spoken::new("ru"));
    let examples = [
        (1, "first", "первое"),
        (12, "twelfth", "двенадцатое"),
        (20, "twentieth", "двадцатое"),
        (21, "twenty first", "двадцать первое"),
        (100, "one hundredth", "сотое"),
        (103, "one hundred third", "сто третье"),
        (340, "three hundred fortieth", "триста сороковое"),
        (999, "nine hundred ninety ninth", "девятьсот девяносто девятое"),
    ];
    for (number, english, russian) in examples {
        assert_eq!(en.say(What::Ordinal(number)), english);
        assert_eq!(ru.say(What::Ordinal(number)), russian);
    }
    for (language, says) in [("en", en), ("ru", ru)] {
        for number in 1..=999 {
            let (ordinal, cardinal) = (says.say(What::Ordinal(number)), says.say(What::Cardinal(number)));
            let but_last = |text: &str| text.rsplit_once(' ').map(|(first, _)| first.to_owned());
            assert_eq!(but_last(&ordinal), but_last(&cardinal), "{language} {number}");
        }
        let beyond = OutOfRange { set: "ordinal".to_owned(), value: 1_000 };
        assert_eq!(says.grammar.say(What::Ordinal(1_000)), Err(beyond));
        assert!(says.grammar.say(What::Ordinal(0)).is_err());
    }
}

#[test]
fn digits_are_said_one_by_one_and_separators_are_not() {
    let says = Spoken::new("en");
    assert_eq!(says.say(What::Digits("+7 (05)-*#x")), "plus seven zero five star hash");
    assert_eq!(says.grammar.say(What::Digits("")), Ok(Vec::new()));
}

#[test]
fn what_no_language_has_words_for_is_refused() {
    for grammar in LANGUAGES.map(|language| Spoken::new(language).grammar) {
        assert!(grammar.say(What::Cardinal(LAST)).is_ok());
        assert!(grammar.say(What::Cardinal(LAST + 1)).is_err());
        assert!(grammar.say(What::Time(TimeOfDay { hour: 24, minute: 0 })).is_err());
        assert!(grammar.say(What::Time(TimeOfDay { hour: 0, minute: 60 })).is_err());
        for (weekday, month, day) in [(0, 1, 1), (8, 1, 1), (1, 0, 1), (1, 13, 1), (1, 1, 0), (1, 1, 32)] {
            assert!(grammar.say(What::Date(Date { weekday, month, day })).is_err());
        }
        assert!(grammar.say(What::Count(Counted::MessageNumber, 0)).is_err());
    }
}

proptest! {
    #[test]
    fn large_numbers_are_spelled_the_same_way(number in 0..=LAST) {
        prop_assert_eq!(ENGLISH.say(What::Cardinal(number)), english(number));
        prop_assert_eq!(RUSSIAN.say(What::Cardinal(number)), russian(number, Gender::Masculine));
    }

    #[test]
    fn every_duration_and_count_has_a_sound_for_each_of_its_prompts(number in any::<u32>()) {
        let counts = [
            Counted::NewMessages, Counted::SavedMessages, Counted::MessageNumber, Counted::Participants,
            Counted::QueuePosition, Counted::QueueCallers, Counted::QueueWaitMinutes,
        ];
        for language in LANGUAGES {
            let grammar = LIBRARY.grammar(language).unwrap();
            for what in counts.map(|counted| What::Count(counted, 1 + number % LAST)) {
                for prompt in grammar.say(what).unwrap() {
                    prop_assert!(LIBRARY.sound(language, prompt).is_some(), "{} {}", language, prompt);
                }
            }
            let said = grammar.say(What::Duration { seconds: number });
            prop_assert!(said.is_ok());
        }
    }

    #[test]
    fn no_text_makes_reading_or_saying_panic(rule in "[<>=@#a-z0-9/ -]{0,20}", key in "[0-9-]{1,6}", number in any::<u32>()) {
        let text = built_in_text("ru/grammar.toml").unwrap();
        let changed = text.replace("[say.neuter]", &format!("[say.neuter]\n\"{key}\" = \"{rule}\""));
        if let Ok(grammar) = Grammar::parse(&changed) {
            let _ = grammar.say(What::Count(Counted::NewMessages, number));
        }
    }
}

/// The names of the sounds in the folder of a language, without their ending.
fn sounds_on_disk(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            sounds_on_disk(&path, &format!("{prefix}{name}/"), found);
        } else if let Some(stem) = name.strip_suffix(".opus") {
            found.insert(format!("{prefix}{stem}"));
        }
    }
}

#[test]
fn every_sentence_has_a_sound_and_every_sound_a_sentence() {
    let library = Library::built_in().unwrap();
    assert_eq!(library.languages().collect::<Vec<_>>(), LANGUAGES);
    for language in LANGUAGES {
        let sentences: BTreeSet<String> = Spoken::new(language).sentences.into_keys().collect();
        let mut on_disk = BTreeSet::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts").join(language);
        sounds_on_disk(&folder, "", &mut on_disk);
        assert_eq!(on_disk, sentences, "{language}: run softswitch/prompts/make");
        let built_in: BTreeSet<String> =
            library.prompts(language).map(|(prompt, _)| prompt.to_owned()).collect();
        assert_eq!(built_in, on_disk, "{language}");
        assert!(sentences.iter().all(|id| is_prompt_id(id)));
    }
}

#[test]
fn no_prompt_is_missing_and_none_is_there_in_vain() {
    let library = Library::built_in().unwrap();
    for language in LANGUAGES {
        assert_eq!(library.missing(language), BTreeSet::new(), "{language}");
        let by_rule = library.grammar(language).unwrap().prompts();
        let in_vain = library.prompts(language).map(|(prompt, _)| prompt).filter(|prompt| {
            let part = ["digits/", "number/", "ordinal/", "noun/", "weekday/", "month/", "time/"];
            part.iter().any(|group| prompt.starts_with(group)) && !by_rule.contains(prompt)
        });
        assert_eq!(in_vain.collect::<Vec<_>>(), Vec::<&str>::new(), "{language}");
    }
}

#[test]
fn every_sound_in_the_program_is_ogg_opus_of_one_channel() {
    let library = Library::built_in().unwrap();
    let mut sounds: Vec<&Sound> =
        LANGUAGES.iter().flat_map(|language| library.prompts(language)).map(|(_, sound)| sound).collect();
    sounds.extend(library.music_on_hold());
    assert_eq!(sounds.len(), 1 + LANGUAGES.iter().map(|l| library.prompts(l).count()).sum::<usize>());
    for sound in sounds {
        let Sound::BuiltIn(bytes) = sound else { panic!("{sound:?}") };
        // RFC 3533 §6: a page begins so; RFC 7845 §5.1: the first holds the head, its tenth octet counts channels.
        assert_eq!(&bytes[..4], b"OggS");
        assert_eq!((&bytes[28..36], bytes[37]), (b"OpusHead".as_slice(), 1));
    }
}

fn found(name: &str) -> Found {
    Found { name: name.to_owned(), path: Path::new("sounds").join(name) }
}

#[test]
fn a_file_of_the_operator_replaces_one_prompt_and_leaves_the_others() {
    let mut library = Library::built_in().unwrap();
    let names = ["en/vm/intro.opus", "en/vm/intro.wav", "ru/own/greeting.wav", "music/hold.wav"];
    let of_no_use = library.replace(names.map(found).to_vec());
    assert_eq!(of_no_use, []);
    let file = |name: &str| Sound::File(Path::new("sounds").join(name));
    assert_eq!(library.sound("en", "vm/intro"), Some(&file("en/vm/intro.opus")));
    assert_eq!(library.sound("ru", "own/greeting"), Some(&file("ru/own/greeting.wav")));
    assert_eq!(library.music_on_hold(), Some(&file("music/hold.wav")));
    assert!(matches!(library.sound("en", "vm/saved"), Some(Sound::BuiltIn(_))));
    assert!(matches!(library.sound("ru", "vm/intro"), Some(Sound::BuiltIn(_))));
}

#[test]
fn what_belongs_to_no_language_is_told() {
    let mut library = Library::built_in().unwrap();
    let names =
        ["xx/vm/intro.opus", "en/vm/intro.mp3", "en/Digits/7.wav", "en/7.wav", "readme.txt", "en/vm/.wav"];
    assert_eq!(library.replace(names.map(found).to_vec()).len(), names.len());
    assert_eq!(library, Library::built_in().unwrap());
}

#[test]
fn a_third_language_is_a_folder_with_rules_and_sounds() {
    let mut library = Library::built_in().unwrap();
    let rules = built_in_text("en/grammar.toml")
        .unwrap()
        .replace("20 = \"number/20 >\"", "20 = \"number/20\"\n21 = \"> number/and number/20\"");
    library.set_grammar("de", &rules).unwrap();
    assert_eq!(library.replace(vec![found("de/digits/5.wav")]), []);
    let said = library.grammar("de").unwrap().say(What::Cardinal(25)).unwrap();
    assert_eq!(said, ["digits/5", "number/and", "number/20"]);
    let missing = library.missing("de");
    assert!(!missing.contains("digits/5"));
    assert!(missing.contains("number/and") && missing.contains("call/busy"));
}

#[test]
fn rules_that_would_not_end_or_lead_nowhere_are_refused() {
    let good = built_in_text("en/grammar.toml").unwrap();
    let with = |set: &str| Grammar::parse(&format!("{good}\n{set}")).unwrap_err();
    assert_eq!(with("[say.a]\n0 = \"=b\"\n[say.b]\n0 = \"=a\""), GrammarError::Circle("a".to_owned()));
    assert_eq!(with("[say.a]\nlike = \"a\""), GrammarError::Circle("a".to_owned()));
    assert_eq!(with("[say.a]\n0 = \"=b\""), GrammarError::NoSet("b".to_owned()));
    let not_divisible =
        |key: &str| GrammarError::NotDivisible { table: "say.a".to_owned(), key: key.to_owned() };
    assert_eq!(with("[say.a]\n9 = \"<\""), not_divisible("9"));
    assert_eq!(with("[say.a]\n10-12 = \">\""), not_divisible("10-12"));
    let wrong_key = |key: &str| GrammarError::Key { table: "say.a".to_owned(), key: key.to_owned() };
    assert_eq!(with("[say.a]\nx = \"digits/1\""), wrong_key("x"));
    assert_eq!(with("[say.a]\n0-9999 = \"digits/#\""), wrong_key("0-9999"));
    assert_eq!(with("[say.a]\n1000000000 = \"digits/1\""), wrong_key("1000000000"));
    let wrong_word = |word: &str| GrammarError::Word { table: "say.a".to_owned(), word: word.to_owned() };
    assert_eq!(with("[say.a]\n0 = \"../secret\""), wrong_word("../secret"));
    assert_eq!(with("[say.a]\n0 = \"=\""), wrong_word("="));
    let without = |line: &str| Grammar::parse(&good.replace(line, "")).unwrap_err();
    assert_eq!(without("0 = \"many\""), GrammarError::Plural);
    let renamed = good.replace("[say.weekday]", "[say.weekdays]");
    assert_eq!(Grammar::parse(&renamed), Err(GrammarError::NoSet("weekday".to_owned())));
    assert!(matches!(Grammar::parse("plural = 1"), Err(GrammarError::Syntax(_))));
}

#[test]
fn every_sound_in_the_program_is_found_by_the_name_it_is_asked_for_by() {
    for language in LANGUAGES {
        for (prompt, sound) in LIBRARY.prompts(language) {
            let name = LIBRARY.file(language, prompt).unwrap();
            assert_eq!(built_in_sound(&name).map(Sound::BuiltIn).as_ref(), Some(sound), "{name}");
        }
    }
    for path in ["/a.wav", "prompt:", "prompt:en", "prompt:../Cargo", "prompt:en/grammar.toml"] {
        assert_eq!(built_in_sound(path), None);
    }
}
