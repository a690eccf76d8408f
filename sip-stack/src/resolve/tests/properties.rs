//! Whatever the DNS answers: every location ends within its bounds, nothing is left, and a restored machine goes on
//! like the original.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 6] = ["h", "a.h", "b.h", "_sip._udp.h", "_sips._tcp.h", "u.h"];
const URIS: [&str; 6] =
    ["sip:h", "sips:h", "sip:h:5070", "sip:a.h;transport=tcp", "sip:192.0.2.200", "sip:b.h"];

#[derive(Clone, Debug)]
enum Step {
    Locate(u64, usize),
    Answer(usize, Answer),
    Fail(usize, Failure),
    Reach(usize),
    Abandon(u64),
    Wait(u16),
}

fn any_name() -> impl Strategy<Value = Option<Name>> {
    prop_oneof![1 => Just(None), 6 => prop::sample::select(&NAMES[..]).prop_map(|text| Some(name(text)))]
}

fn any_naptr() -> impl Strategy<Value = Naptr> {
    let services = prop::sample::select(&["SIP+D2U", "SIP+D2T", "SIPS+D2T", "SIPS+D2W", "E2U+sip"][..]);
    (0..3u16, 0..3u16, any::<bool>(), services, any::<bool>(), any_name()).prop_map(
        |(order, preference, terminal, services, has_regexp, replacement)| Naptr {
            order,
            preference,
            flags: if terminal { "S" } else { "" }.into(),
            services: services.into(),
            has_regexp,
            replacement,
        },
    )
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let srv = (0..3u16, 0..3u16, 0..3u16, any_name()).prop_map(|(priority, weight, port, target)| Srv {
        priority,
        weight,
        port,
        target,
    });
    let a = (0..60u8).prop_map(|last| [192, 0, 2, last].into());
    let aaaa = (0..60u16).prop_map(|last| [0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into());
    let records = prop_oneof![
        prop::collection::vec(any_naptr(), 0..50).prop_map(Records::Naptr),
        prop::collection::vec(srv, 0..50).prop_map(Records::Srv),
        prop::collection::vec(a, 0..50).prop_map(Records::A),
        prop::collection::vec(aaaa, 0..50).prop_map(Records::Aaaa),
    ];
    prop_oneof![
        8 => (records, 0..100_000u64)
            .prop_map(|(records, ttl)| Answer::Records { records, ttl: Duration::from_secs(ttl) }),
        1 => Just(Answer::NoSuchName),
        1 => Just(Answer::Failed),
        1 => Just(Answer::TimedOut),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let failure = prop_oneof![
        Just(Failure::Timeout),
        Just(Failure::Transport),
        prop::option::of(0..100u64)
            .prop_map(|seconds| Failure::Unavailable { retry_after: seconds.map(Duration::from_secs) }),
    ];
    prop_oneof![
        4 => (0..6u64, 0..URIS.len()).prop_map(|(id, uri)| Step::Locate(id, uri)),
        8 => (any::<usize>(), any_answer()).prop_map(|(at, answer)| Step::Answer(at, answer)),
        4 => (any::<usize>(), failure).prop_map(|(at, failure)| Step::Fail(at, failure)),
        1 => any::<usize>().prop_map(Step::Reach),
        1 => (0..6u64).prop_map(Step::Abandon),
        1 => any::<u16>().prop_map(Step::Wait),
    ]
}

/// What the resolver has said, and what is open with it.
#[derive(Default)]
struct Told {
    outputs: Vec<Output>,
    queries: Vec<Query>,
    trying: Vec<LocationId>,
    targets: BTreeMap<LocationId, usize>,
}

impl Told {
    fn drain(&mut self, resolver: &mut Resolver) {
        while let Some(output) = resolver.poll_output() {
            match &output {
                Output::Query(query) => self.queries.push(query.clone()),
                Output::Target { id, .. } => {
                    self.trying.push(*id);
                    *self.targets.entry(*id).or_default() += 1;
                }
                Output::Exhausted { .. } => {}
            }
            self.outputs.push(output);
        }
    }
}

fn pick<T>(from: &mut Vec<T>, at: usize) -> Option<T> {
    if from.is_empty() { None } else { Some(from.swap_remove(at % from.len())) }
}

fn apply(resolver: &mut Resolver, now: &mut Time, told: &mut Told, step: &Step) {
    let input = match step {
        Step::Locate(id, uri) => {
            let destination = Destination::of_uri(&Uri::parse(URIS[*uri].as_bytes()).unwrap()).unwrap();
            Some(Input::Locate { id: LocationId(*id), destination, transports: ALL.into_iter().collect() })
        }
        Step::Answer(at, answer) => {
            pick(&mut told.queries, *at).map(|query| Input::Answer { query, answer: answer.clone() })
        }
        Step::Fail(at, failure) => {
            pick(&mut told.trying, *at).map(|id| Input::Failed { id, failure: *failure })
        }
        Step::Reach(at) => pick(&mut told.trying, *at).map(Input::Reached),
        Step::Abandon(id) => Some(Input::Abandon(LocationId(*id))),
        Step::Wait(milliseconds) => {
            *now = *now + Duration::from_millis((*milliseconds).into());
            resolver.handle_timeout(*now);
            None
        }
    };
    if let Some(input) = input {
        // A number that is in use or gone is refused; that is part of the test.
        let forgotten = match &input {
            Input::Locate { id, .. } | Input::Abandon(id) | Input::Reached(id) => Some(*id),
            Input::Answer { .. } | Input::Failed { .. } => None,
        };
        if resolver.handle_input(*now, input).is_ok()
            && let Some(id) = forgotten
        {
            told.trying.retain(|trying| *trying != id);
            told.targets.remove(&id);
        }
    }
    told.drain(resolver);
}

/// Lets time pass and every target fail until nothing is due; returns the number of wake-ups.
fn run_out(resolver: &mut Resolver, told: &mut Told, now: Time) -> usize {
    let (mut now, mut wakes) = (now, 0);
    loop {
        while let Some(id) = told.trying.pop() {
            // Those that were abandoned since are refused.
            let _ = resolver.handle_input(now, Input::Failed { id, failure: Failure::Timeout });
            told.drain(resolver);
        }
        let Some(due) = resolver.poll_timeout() else { return wakes };
        assert!(due > now, "what was due is done");
        now = due;
        wakes += 1;
        resolver.handle_timeout(now);
        told.drain(resolver);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_answers_end_within_bounds_and_leave_nothing(steps in prop::collection::vec(any_step(), 0..80)) {
        let settings = Settings { families: Families::Ipv6First, ..Settings::default() };
        let mut resolver = Resolver::new(settings, Random::new([9; 32]));
        let (mut told, mut now) = (Told::default(), Time(0));
        for step in &steps {
            apply(&mut resolver, &mut now, &mut told, step);
            prop_assert!(told.targets.values().all(|handed_out| *handed_out <= MAX_TARGETS));
        }
        // Time stands still while the targets fail at once; those behind unanswered questions fail as these time out.
        resolver.handle_timeout(now);
        told.drain(&mut resolver);
        prop_assert!(run_out(&mut resolver, &mut told, now) < 2_000);
        prop_assert_eq!(resolver.locations(), 0);
        prop_assert!(told.targets.values().all(|handed_out| *handed_out <= MAX_TARGETS));
        // Apart from the counters, the position of the generator alone may take more bytes than at first.
        let size = |resolver: &Resolver| {
            postcard::to_allocvec(resolver).unwrap().len()
                - postcard::to_allocvec(&resolver.figures()).unwrap().len()
        };
        prop_assert!(size(&resolver) <= size(&Resolver::new(settings, Random::new([9; 32]))) + 16);
    }

    #[test]
    fn a_restored_resolver_goes_on_like_the_original(
        before in prop::collection::vec(any_step(), 0..40),
        after in prop::collection::vec(any_step(), 0..40),
    ) {
        let mut resolver = Resolver::new(Settings::default(), Random::new([8; 32]));
        let (mut told, mut now) = (Told::default(), Time(0));
        for step in &before {
            apply(&mut resolver, &mut now, &mut told, step);
        }
        let bytes = postcard::to_allocvec(&resolver).unwrap();
        let mut restored: Resolver = postcard::from_bytes(&bytes).unwrap();
        let mut retold = Told { queries: told.queries.clone(), trying: told.trying.clone(), ..Told::default() };
        told.outputs.clear();
        let mut then = now;
        for step in &after {
            apply(&mut resolver, &mut now, &mut told, step);
            apply(&mut restored, &mut then, &mut retold, step);
            prop_assert_eq!(resolver.poll_timeout(), restored.poll_timeout());
        }
        prop_assert_eq!(told.outputs, retold.outputs);
    }
}
