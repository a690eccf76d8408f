//! Decisions, as the dry run tells them.

use super::{Asked, Forward, ForwardKind, Profile, Setting, explain};
use crate::config::{Config, DomainId, parse};
use crate::store::StoredProfile;
use sip_stack::Time;

/// Tuesday, 2026-12-01, noon in UTC.
const NOON: u64 = 1_796_126_400_000;

fn config(text: &str) -> Config {
    let users: String =
        (1001..=1004).map(|id| format!("[[user]]\nid = \"{id}\"\npassword = \"p\"\n")).collect();
    let text = format!("[[listener]]\naddress = \"127.0.0.1:5060\"\n{users}{text}");
    parse("softswitch.toml", &text).unwrap_or_else(|errors| panic!("{errors}"))
}

const TRUNKS: &str =
    "[[peer]]\nid = \"one\"\naddress = \"192.0.2.1\"\n[[peer]]\nid = \"two\"\naddress = \"192.0.2.2\"\n";

struct Ask<'a> {
    config: &'a Config,
    profiles: Vec<StoredProfile>,
    unix_ms: u64,
    peer: Option<&'a str>,
}

impl<'a> Ask<'a> {
    fn of(config: &'a Config) -> Ask<'a> {
        Ask { config, profiles: Vec::new(), unix_ms: NOON, peer: None }
    }

    fn told(&self, caller: &str, number: &str) -> Vec<String> {
        let Ask { unix_ms, peer, .. } = *self;
        explain(
            self.config,
            self.profiles.clone(),
            Asked { domain: DomainId(0), caller, peer, number, unix_ms },
        )
    }

    /// What becomes of a call, without why.
    fn way(&self, caller: &str, number: &str) -> Vec<String> {
        let lines = self.told(caller, number);
        lines.iter().filter_map(|line| line.strip_prefix("=> ").map(str::to_owned)).collect()
    }

    fn set(mut self, user: &str, profile: Profile) -> Self {
        self.profiles.push(StoredProfile { domain: "default".into(), user: user.into(), profile });
        self
    }

    fn forward(self, user: &str, kind: ForwardKind, number: &str) -> Self {
        let mut profiles = super::profile::Profiles::default();
        let known = self.profiles.iter().find(|known| *known.user == *user);
        let mut profile = known.map(|known| known.profile.clone()).unwrap_or_default();
        let forward = Some(Forward { number: number.into(), schedule: None, after_s: None });
        profiles.restore(
            |_| Some(DomainId(0)),
            vec![StoredProfile { domain: "".into(), user: user.into(), profile }],
        );
        profile = profiles.set(DomainId(0), user, Setting::Forward { kind, forward });
        self.set(user, profile)
    }
}

#[test]
fn a_user_is_reached_by_its_id_and_by_each_of_its_numbers() {
    let config = config("[[user]]\nid = \"anna\"\npassword = \"p\"\nnumbers = [\"201\", \"+74951234567\"]\n");
    for number in ["anna", "201", "+74951234567"] {
        assert_eq!(Ask::of(&config).way("1001", number), ["1: user anna, 60 s"], "{number}");
    }
    assert_eq!(
        Ask::of(&config).way("1001", "202"),
        ["404 Not Found: no user, group or route has this number"]
    );
}

#[test]
fn routes_are_tried_by_order_then_narrowness_then_conditions_and_each_says_why_not() {
    let config = config(&format!(
        "{TRUNKS}[[schedule]]\nid = \"office\"\nzone = \"UTC\"\nperiods = [\"mon-fri 09:00-18:00\"]\n\
         [[route]]\npattern = \"8.\"\npeer = \"one\"\n\
         [[route]]\npattern = \"8.\"\npeer = \"two\"\ncaller = \"1002\"\n\
         [[route]]\npattern = \"81.\"\nreject = 403\ncause = 21\n\
         [[route]]\npattern = \"8.\"\nuser = \"1003\"\nschedule = \"not office\"\norder = 10\n"
    ));
    let ask = Ask::of(&config);
    assert_eq!(ask.way("1001", "82"), ["1: 82 over peer one"]);
    assert_eq!(ask.way("1002", "82"), ["1: 82 over peer two"]);
    assert_eq!(ask.way("1002", "812"), ["403 Forbidden: the route says so"]);
    assert_eq!(Ask { unix_ms: NOON + 7 * 3_600_000, ..ask }.way("1002", "812"), ["1: user 1003, 60 s"]);
    let told = Ask::of(&config).told("1001", "82");
    let whys: Vec<&str> = told.iter().filter_map(|line| line.split_once(": ").map(|(_, why)| why)).collect();
    assert_eq!(
        whys[..4],
        [
            "no, schedule office is open",
            "no, the number does not match",
            "no, the caller does not match",
            "yes"
        ]
    );
}

#[test]
fn a_number_is_matched_as_dialled_and_as_e164_and_written_as_the_trunk_wants_it() {
    let text = "[[domain]]\nname = \"default\"\ncountry = \"RU\"\n[[peer]]\nid = \"one\"\naddress = \"192.0.2.1\"\nnumber_form = \"e164\"\n\
        [[peer]]\nid = \"two\"\naddress = \"192.0.2.2\"\n\
        [[route]]\npattern = \"+7.\"\npeer = \"one\"\n[[route]]\npattern = \"9.\"\npeer = \"two\"\nstrip = 1\nprefix = \"+7\"\n";
    let config = config(text);
    let ask = Ask::of(&config);
    assert_eq!(ask.way("1001", "88001234567"), ["1: +78001234567 over peer one"]);
    assert_eq!(ask.way("1001", "+78001234567"), ["1: +78001234567 over peer one"]);
    assert_eq!(ask.way("1001", "9123"), ["1: +7123 over peer two"]);
}

#[test]
fn a_route_without_an_action_dials_the_rewritten_number_anew_and_never_for_ever() {
    let config = config(
        "[[route]]\npattern = \"+7495X.\"\nstrip = 5\nprefix = \"1\"\n[[route]]\npattern = \"5.\"\nprefix = \"5\"\n",
    );
    let ask = Ask::of(&config);
    assert_eq!(ask.way("1001", "+7495002"), ["1: user 1002, 60 s"]);
    assert_eq!(
        ask.way("1001", "51"),
        ["482 Loop Detected: the call was forwarded in a circle, or too often"]
    );
}

#[test]
fn peers_follow_each_other_in_order_or_by_price_of_the_longest_prefix() {
    let config = config(&format!(
        "{TRUNKS}[[peer]]\nid = \"three\"\naddress = \"192.0.2.3\"\n\
         [[rate]]\npeer = \"one\"\nprefix = \"+7\"\nprice = \"1\"\n\
         [[rate]]\npeer = \"two\"\nprefix = \"+7\"\nprice = \"2\"\n\
         [[rate]]\npeer = \"two\"\nprefix = \"+7495\"\nprice = \"0.85\"\n\
         [[route]]\npattern = \"0.\"\npeers = [\"two\", \"one\"]\n\
         [[route]]\npattern = \"+.\"\npeers = [\"three\", \"two\", \"one\"]\nchoice = \"least-cost\"\n"
    ));
    let order = |number: &str| {
        let way = Ask::of(&config).way("1001", number);
        way.iter().map(|stage| stage.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(order("01"), ["two", "one"]);
    assert_eq!(order("+74951234567"), ["two", "one", "three"]);
    assert_eq!(order("+78121234567"), ["one", "two", "three"]);
    assert_eq!(Ask::of(&config).way("1001", "01")[1], "2 when 1 was not reached: 01 over peer one");
}

#[test]
fn a_call_from_a_peer_leads_to_no_peer_unless_a_route_names_it() {
    let config = config(&format!(
        "{TRUNKS}[[route]]\npattern = \"0.\"\npeer = \"one\"\n[[route]]\npattern = \"09\"\npeer = \"two\"\nfrom = \"one\"\n"
    ));
    let from = |peer| Ask { peer: Some(peer), ..Ask::of(&config) };
    assert_eq!(from("one").way("555", "01"), ["404 Not Found: no user, group or route has this number"]);
    assert_eq!(from("one").way("555", "09"), ["1: 09 over peer two"]);
    assert_eq!(from("two").way("555", "1001"), ["1: user 1001, 60 s"]);
    assert_eq!(Ask::of(&config).way("1001", "09"), ["1: 09 over peer one"]);
}

#[test]
fn who_may_not_call_a_number_is_refused_and_a_peer_that_may_not_is_passed_over() {
    let config = config(
        "[[domain]]\nname = \"default\"\ncountry = \"RU\"\n\
         [[user]]\nid = \"guest\"\npassword = \"p\"\nmay_call = [\"+7495.\"]\n\
         [[peer]]\nid = \"one\"\naddress = \"192.0.2.1\"\nmay_call = \"+7495.\"\n[[peer]]\nid = \"two\"\naddress = \"192.0.2.2\"\n\
         [[route]]\npattern = \"+.\"\npeers = [\"one\", \"two\"]\n",
    );
    let ask = Ask::of(&config);
    assert_eq!(ask.way("guest", "84951234567").len(), 2);
    let refused = "403 Forbidden: the caller, or every peer of the route, may not call this number";
    assert_eq!(ask.way("guest", "88121234567"), [refused]);
    assert_eq!(ask.way("guest", "1001"), ["1: user 1001, 60 s"]);
    assert_eq!(ask.way("1001", "88121234567"), ["1: +78121234567 over peer two"]);
}

#[test]
fn a_user_shows_its_own_number_to_a_peer_else_that_of_the_peer() {
    let config = config(
        "[[user]]\nid = \"anna\"\npassword = \"p\"\ncaller_id = \"+74951110000\"\n\
         [[peer]]\nid = \"one\"\naddress = \"192.0.2.1\"\ncaller_id = \"+74950000000\"\n\
         [[route]]\npattern = \"0.\"\npeer = \"one\"\n",
    );
    assert_eq!(Ask::of(&config).way("anna", "01"), ["1: 01 over peer one from +74951110000"]);
    assert_eq!(Ask::of(&config).way("1001", "01"), ["1: 01 over peer one from +74950000000"]);
}

#[test]
fn nothing_blocks_a_number_of_emergency() {
    let config = config(
        "[[domain]]\nname = \"default\"\ncountry = \"RU\"\n\
         [[user]]\nid = \"guest\"\npassword = \"p\"\nmay_call = \"nothing\"\n\
         [[peer]]\nid = \"one\"\naddress = \"192.0.2.1\"\nmay_call = \"+7495.\"\n[[peer]]\nid = \"two\"\naddress = \"192.0.2.2\"\n\
         [[route]]\npattern = \"1.\"\nreject = 403\norder = 0\n[[route]]\npattern = \"112\"\npeer = \"two\"\ncaller = \"9.\"\n",
    );
    let failed = "2 when 1 was busy or not answered or not reached or refused";
    let expected = ["1: 112 over peer two".to_owned(), format!("{failed}: 112 over peer one")];
    assert_eq!(Ask::of(&config).way("guest", "112"), expected);
    // By name, as the file has no order of peers.
    let others = ["1: 103 over peer one".to_owned(), format!("{failed}: 103 over peer two")];
    assert_eq!(Ask::of(&config).way("guest", "103"), others);
    assert_eq!(Ask::of(&config).way("guest", "105"), ["403 Forbidden: the route says so"]);
}

#[test]
fn a_group_rings_all_at_once_or_one_after_the_other_and_somebody_else_at_last() {
    let config = config(
        "[[group]]\nid = \"sales\"\nnumbers = \"600\"\nmembers = [\"1001\"]\notherwise = \"1004\"\n\
         [[group.member]]\nto = \"1002\"\ndelay_s = 5\n\
         [[group]]\nid = \"support\"\nnumbers = \"601\"\nmembers = [\"1001\", \"1002\"]\nstrategy = \"in-order\"\nring_s = 15\n",
    );
    let ask = Ask::of(&config);
    assert_eq!(
        ask.way("1003", "600"),
        [
            "1: user 1001, user 1002 after 5 s, 20 s",
            "2 when 1 was busy or not answered or not reached or refused: user 1004, 60 s"
        ]
    );
    let support = ask.way("1003", "601");
    assert_eq!(support[0], "1: user 1001, 15 s");
    assert_eq!(support[1], "2 when 1 was busy or not answered or not reached or refused: user 1002, 15 s");
}

#[test]
fn who_wants_no_calls_is_left_out_of_groups_and_refused_alone() {
    let config = config("[[group]]\nid = \"all\"\nnumbers = \"600\"\nmembers = [\"1001\", \"1002\"]\n");
    let ask = || Ask::of(&config).set("1001", Profile { do_not_disturb: true, ..Profile::default() });
    assert_eq!(ask().way("1003", "600"), ["1: user 1002, 20 s"]);
    assert_eq!(ask().way("1003", "1001"), ["486 Busy Here: the user wants no calls"]);
}

#[test]
fn calls_are_sent_on_as_each_end_of_the_ringing_asks_for() {
    let config = config("");
    let ask = Ask::of(&config).forward("1001", ForwardKind::Busy, "1002").forward(
        "1002",
        ForwardKind::NoAnswer,
        "1003",
    );
    assert_eq!(
        ask.way("1004", "1001"),
        [
            "1: user 1001, 60 s",
            "2 when 1 was busy: user 1002, 60 s",
            "3 when 2 was not answered: user 1003, 60 s"
        ]
    );
    let always = Ask::of(&config).forward("1001", ForwardKind::Always, "1003");
    assert_eq!(always.way("1004", "1001"), ["1: user 1003, 60 s"]);
}

#[test]
fn two_who_send_their_calls_to_each_other_ring_nobody_for_ever() {
    let config = config("");
    let circle = Ask::of(&config).forward("1001", ForwardKind::Always, "1002").forward(
        "1002",
        ForwardKind::Always,
        "1001",
    );
    assert_eq!(
        circle.way("1004", "1001"),
        ["482 Loop Detected: the call was forwarded in a circle, or too often"]
    );
    // When the first one rings, the rest of the circle is left out.
    let half = Ask::of(&config).forward("1001", ForwardKind::Busy, "1002").forward(
        "1002",
        ForwardKind::Always,
        "1001",
    );
    assert_eq!(half.way("1004", "1001"), ["1: user 1001, 60 s"]);
}

#[test]
fn a_call_that_is_sent_on_to_the_outside_is_one_of_who_sends_it_on() {
    let config = config(&format!(
        "{TRUNKS}[[user]]\nid = \"anna\"\npassword = \"p\"\nmay_call = \"01\"\n[[route]]\npattern = \"0.\"\npeer = \"one\"\n"
    ));
    let ask = |number| Ask::of(&config).forward("anna", ForwardKind::Always, number);
    assert_eq!(ask("01").way("1001", "anna"), ["1: 01 over peer one"]);
    assert_eq!(ask("02").way("1001", "anna").len(), 1);
    assert!(ask("02").way("1001", "anna")[0].starts_with("403"));
    // Also when who calls comes from a peer, which may not call out itself.
    let from = Ask { peer: Some("two"), ..ask("01") };
    assert_eq!(from.way("555", "anna"), ["1: 01 over peer one"]);
}

#[test]
fn follow_me_goes_step_by_step_until_somebody_answers() {
    let config = config(&format!(
        "{TRUNKS}[[route]]\npattern = \"0.\"\npeer = \"one\"\n[[user]]\nid = \"anna\"\npassword = \"p\"\n\
         [[user.follow_me]]\nto = \"anna\"\nring_s = 10\n[[user.follow_me]]\nto = [\"anna\", \"1002\", \"0123\"]\nring_s = 25\n\
         [[user]]\nid = \"boris\"\npassword = \"p\"\n\
         [[user.follow_me]]\nto = \"boris\"\nring_s = 10\n[[user.follow_me]]\nto = \"1002\"\nring_s = 25\n"
    ));
    assert_eq!(
        Ask::of(&config).way("1001", "anna"),
        ["1: user anna, user 1002 after 10 s, 0123 over peer one after 10 s, 35 s"],
        "who rings in both steps rings on"
    );
    assert_eq!(
        Ask::of(&config).way("1001", "boris"),
        [
            "1: user boris, 10 s",
            "2 when 1 was busy or not answered or not reached or refused: user 1002, 25 s"
        ]
    );
}

#[test]
fn a_code_sets_what_the_caller_may_set_and_nothing_else() {
    let config = config(&format!(
        "{TRUNKS}[[schedule]]\nid = \"night\"\ncode = \"2\"\nzone = \"UTC\"\nperiods = \"22:00-06:00\"\n"
    ));
    let ask = Ask::of(&config);
    assert_eq!(ask.way("1001", "*21*1002#"), ["the caller's calls are forwarded (always) to 1002"]);
    assert_eq!(
        ask.way("1001", "*21*1002*2#"),
        ["the caller's calls are forwarded (always) to 1002, schedule night"]
    );
    assert_eq!(
        ask.way("1001", "*61*1002*20#"),
        ["the caller's calls are forwarded (no answer) to 1002, after 20 s"]
    );
    assert_eq!(ask.way("1001", "#21#"), ["the caller's calls are no longer forwarded (always)"]);
    assert_eq!(ask.way("1001", "*78"), ["the caller wants no calls"]);
    assert!(ask.way("1001", "*21*1001#")[0].starts_with("482"));
    assert!(ask.way("1001", "*21*1999#")[0].starts_with("404"));
    assert!(ask.way("1001", "*21*1002*7#")[0].starts_with("488"));
    assert!(ask.way("1001", "*61*1002*9999#")[0].starts_with("488"));
    // Nobody but a user sets anything.
    assert!(Ask { peer: Some("one"), ..ask }.way("555", "*78")[0].starts_with("404"));
}

#[test]
fn every_way_has_an_end_whatever_users_set() {
    // Everybody sends every call to everybody else.
    let config = config("");
    let mut ask = Ask::of(&config);
    for user in 1001..=1004 {
        for (kind, to) in ForwardKind::ALL.into_iter().skip(1).zip([1, 2, 3]) {
            ask = ask.forward(&user.to_string(), kind, &(1001 + (user - 1001 + to) % 4).to_string());
        }
    }
    let way = ask.way("1001", "1002");
    assert!(way.len() <= 32, "{}", way.len());
}

#[test]
fn who_is_idle_is_known_by_its_id_where_the_group_names_it_by_a_number() {
    let config = config(
        "[[user]]\nid = \"anna\"\npassword = \"p\"\nnumbers = [\"201\"]\n\
         [[group]]\nid = \"sales\"\nnumbers = \"600\"\nmembers = [\"201\", \"1001\"]\nstrategy = \"longest-idle\"\n",
    );
    let (mut state, domain) = (super::State::default(), DomainId(0));
    for user in ["anna", "1001", "1002"] {
        state.note_idle(&config, domain, user, Time(5));
    }
    let idle = ["anna", "1001", "1002"].map(|user| state.idle_since(domain, user));
    assert_eq!(idle, [Time(5), Time(5), Time(0)], "1002 is in no group");
}

struct Calm;

impl super::Presence for Calm {
    fn is_busy(&self, _: &str) -> bool {
        false
    }

    fn lot(&mut self) -> u64 {
        0
    }
}

#[test]
fn a_number_of_emergency_lifts_limits_where_it_was_dialled_and_dead_peers_come_last() {
    let config = config(&format!(
        "{TRUNKS}[[group]]\nid = \"sales\"\nnumbers = \"600\"\nmembers = [\"1001\"]\notherwise = \"112\"\n"
    ));
    let mut state = super::State::default();
    state.dead.insert(DomainId(0), "one", ());
    let decided = |number: &'static str| {
        let question = super::Question {
            id: DomainId(0),
            domain: &config.domains[&DomainId(0)],
            features: &config.features,
            caller: super::Caller::User("1002"),
            number: number.as_bytes(),
            unix_ms: NOON,
            now: Time(0),
            diverted: 0,
            is_anonymous: false,
        };
        super::decide(question, &state, &mut Calm, None).expect("it leads somewhere")
    };
    let decision = decided("112");
    assert!(decision.is_emergency);
    let super::Plan::Stages(stages) = decision.plan else { panic!("somebody rings") };
    let peer = |stage: &super::Stage<'_>| match &stage.targets[0].who {
        super::Who::Peer(outside) => outside.id.to_owned(),
        super::Who::User { id, .. } => (*id).to_owned(),
    };
    assert_eq!(stages.iter().map(peer).collect::<Vec<_>>(), ["two", "one"]);
    assert!(!decided("600").is_emergency, "others ring first");
}

#[test]
fn a_paging_group_leaves_out_who_calls_who_wants_no_calls_and_who_is_no_user() {
    let text = "[[user]]\nid = \"boss\"\npassword = \"p\"\nmay_page = true\n[[paging]]\nid = \"hall\"\nnumbers = [\"650\"]\n\
        members = [\"boss\", \"1001\", \"1002\", \"1003\", \"nobody\", \"1002\"]\n";
    let config = config(text);
    assert_eq!(Ask::of(&config).way("boss", "650"), ["the caller speaks to 1001, 1002, 1003, who hear"]);
    let quiet = Profile { do_not_disturb: true, ..Profile::default() };
    let ask = Ask::of(&config).set("1001", quiet.clone()).forward("1003", ForwardKind::Always, "1004");
    assert_eq!(ask.way("boss", "650"), ["the caller speaks to 1002, 1003, who hear"], "it is for a place");
    assert_eq!(ask.way("boss", "*801001"), ["486 Busy Here: the user wants no calls"]);
    assert_eq!(ask.way("boss", "*801003"), ["1: user 1003, 60 s"]);
    assert!(ask.way("1004", "650")[0].starts_with("403 "));
    assert!(ask.way("1004", "*801003")[0].starts_with("403 "));
}

/// Allocations of one decision behind so many routes of each kind that do not match.
fn allocations(routes: usize) -> u64 {
    let others: String = (0..routes)
        .map(|route| {
            let (first, order) = (route % 6 + 1, route + 1);
            format!(
                "[[route]]\npattern = \"{first}XXX\"\norder = {order}\nuser = \"1001\"\n\
                 [[route]]\npattern = \"8XXX\"\norder = {order}\nfrom = \"one\"\nuser = \"1001\"\n\
                 [[route]]\npattern = \"8XXX\"\norder = {order}\ncaller = [\"+7499.\", \"2.\"]\nuser = \"1001\"\n\
                 [[route]]\npattern = \"8XXX\"\norder = {order}\nschedule = \"never\"\nuser = \"1001\"\n\
                 [[route]]\npattern = \"8XXX\"\norder = {order}\npeer = \"one\"\n"
            )
        })
        .collect();
    let config = config(&format!(
        "[[domain]]\nname = \"default\"\ncountry = \"RU\"\n{TRUNKS}[[schedule]]\nid = \"never\"\nzone = \"UTC\"\n\
         periods = [\"00:00-24:00\"]\nholidays = [\"01-01/12-31\"]\n{others}[[route]]\npattern = \"8XXX\"\norder = 1000\nuser = \"1001\"\n"
    ));
    let state = super::State::default();
    let question = super::Question {
        id: DomainId(0),
        domain: &config.domains[&DomainId(0)],
        features: &config.features,
        caller: super::Caller::Peer { id: "two", number: b"74951234567" },
        number: b"8000",
        unix_ms: NOON,
        now: Time(0),
        diverted: 0,
        is_anonymous: false,
    };
    let mut calm = Calm;
    let info = allocation_counter::measure(|| {
        super::decide(question, &state, &mut calm, None).expect("it leads somewhere");
    });
    info.count_total
}

#[test]
fn a_route_that_does_not_match_allocates_nothing() {
    assert_eq!(allocations(100), allocations(1));
}

#[test]
fn a_peer_that_is_full_or_dead_is_found_so_without_an_allocation() {
    let (mut usage, mut state) = (super::usage::Usage::default(), super::State::default());
    let limits = crate::config::CallLimits { at_once: Some(1), ..Default::default() };
    usage.begin(&super::Counted::Peer(DomainId(0), "one".into()), &limits, Time(0)).unwrap();
    state.dead.insert(DomainId(0), "one", ());
    let config = config(&TRUNKS.replacen("\n[[peer]]", "\nmax_calls = 1\n[[peer]]", 1));
    let peer = &config.domains[&DomainId(0)].peers["one"];
    let info = allocation_counter::measure(|| {
        assert!(usage.is_full(DomainId(0), "one", peer, Time(0)) && state.dead.has(DomainId(0), "one"));
        assert!(state.registered.get(DomainId(0), "one").is_none());
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn a_peer_with_a_name_is_at_the_addresses_where_it_was_found_last() {
    let mut state = super::State::default();
    let address = |last: u8| core::net::IpAddr::from([192, 0, 2, last]);
    for last in 0..17 {
        state.note_found(DomainId(0), "one", address(last));
    }
    assert!(!state.is_found_at(DomainId(0), "one", address(0)), "the oldest is forgotten");
    assert!((1..17).all(|last| state.is_found_at(DomainId(0), "one", address(last))));
    assert!(!state.is_found_at(DomainId(0), "two", address(5)), "it is a neighbour, and another one");
}
