//! How much each thread has to do, as a forecast: what its legs cost by what they do, corrected by how busy it was.
//!
//! The price of a leg follows from what its codec, the mix and the packets were measured to take
//! ([`Prices`]). The plan of a thread is the sum over its legs, so it changes with each command, a second before the load that is
//! measured does. What the plan leaves out (waking, reports, caches) is in the ratio of the load to it, which is learnt by
//! the way. From [`FULL`] on a thread gets nothing new: the rest is for what its legs may still do, and for ticks that fall together.
//!
//! Threads whose loads are far apart for some seconds are evened out ([`Budget::uneven`]): only when the fuller one is past its
//! share, by no more than half the difference, and then not again for some seconds, so that nothing goes to and fro.

use super::load::ThreadLoad;
use super::routes::LaneId;
use crate::shard::{Average, CodecKind};

/// A thread that is busy for this share of its time, in thousandths, has no time for more.
pub(super) const FULL: u64 = 800;
/// A thread below this is not relieved, whatever the others do.
const SHARE: u64 = 600;
/// Loads that are no further apart are alike.
const APART: u64 = 250;
/// Looks in turn that have to find them apart.
const PATIENCE: u32 = 3;
/// Looks that nothing is moved for after something was.
const REST: u32 = 5;
/// What is moved at one look, at most.
const MOST: u64 = 100;
/// A plan below this says nothing about its ratio to the load.
const TELLING: f64 = 20.0;
/// Packets of a leg in a second, each way.
const PACKETS: f64 = 50.0;

/// What a leg does, as far as that matters for what it costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// Relayed, or about to do something.
    Relayed,
    Seated(CodecKind),
}

const CLASSES: usize = 1 + CodecKind::ALL.len();

impl Class {
    const fn index(self) -> usize {
        match self {
            Class::Relayed => 0,
            Class::Seated(kind) => 1 + kind.index(),
        }
    }
}

/// What a leg of each class costs, in thousandths of a core.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Prices([f64; CLASSES]);

impl Default for Prices {
    /// Before anything is measured: some microseconds for packets, and what the codecs took on a machine of 2021.
    fn default() -> Self {
        let packets = 8.0;
        let seated = [2.0, 2.0, 18.0, 95.0, 4.0].map(|codec| (codec + packets) * PACKETS / 1_000.0);
        let mut prices = [packets * PACKETS / 1_000.0; CLASSES];
        prices[1..].copy_from_slice(&seated);
        Self(prices)
    }
}

impl Prices {
    /// What was measured on any thread takes the place of what was assumed; the dearest, where there are several.
    fn learn(loads: &[ThreadLoad]) -> Self {
        let mut prices = Self::default();
        let ns = |of: &dyn Fn(&ThreadLoad) -> Average| {
            loads.iter().map(|load| of(load).ns()).max().filter(|ns| *ns > 0)
        };
        let thousandths = |ns: u32| f64::from(ns) * PACKETS / 1_000_000.0;
        if let Some(relayed) = ns(&|load| load.packet) {
            prices.0[Class::Relayed.index()] = thousandths(relayed);
        }
        let packets =
            ns(&|load| load.received).zip(ns(&|load| load.sent)).map(|(received, sent)| received + sent);
        for kind in CodecKind::ALL {
            let says = ns(&|load| load.costs.say[kind.index()]);
            let hears = ns(&|load| load.costs.hear[kind.index()]);
            let mix = ns(&|load| load.costs.mix).unwrap_or(0);
            if let (Some(says), Some(hears), Some(packets)) = (says, hears, packets) {
                let price = thousandths(says) + thousandths(hears) + thousandths(mix) + thousandths(packets);
                prices.0[Class::Seated(kind).index()] = price;
            }
        }
        prices
    }
}

/// What one thread has.
#[derive(Clone, Debug)]
struct Lane {
    legs: [usize; CLASSES],
    /// The load that was measured last, and what it was to the plan.
    measured: u64,
    ratio: f64,
    /// What it showed when it had no legs, until it shows something else: that was measured before.
    outdated: Option<u64>,
}

impl Lane {
    fn is_idle(&self) -> bool {
        self.legs.iter().all(|legs| *legs == 0)
    }
}

/// Two threads that are to be evened out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Uneven {
    pub(super) from: LaneId,
    pub(super) to: LaneId,
    /// What is to be moved at most, in thousandths of a core.
    pub(super) most: u64,
}

/// The forecast of all threads.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    lanes: Vec<Lane>,
    prices: Prices,
    /// Looks in turn that found threads apart.
    apart: u32,
    /// Looks that nothing is moved for.
    rest: u32,
}

impl Budget {
    pub(super) fn new(lanes: usize) -> Self {
        let lane = Lane { legs: [0; CLASSES], measured: 0, ratio: 1.0, outdated: None };
        Self { lanes: vec![lane; lanes], prices: Prices::default(), apart: 0, rest: 0 }
    }

    /// A leg comes to a thread.
    pub(super) fn add(&mut self, lane: LaneId, class: Class) {
        if let Some(legs) = self.lanes.get_mut(lane).and_then(|lane| lane.legs.get_mut(class.index())) {
            *legs += 1;
        }
    }

    /// A leg goes, or does something else.
    pub(super) fn remove(&mut self, lane: LaneId, class: Class) {
        if let Some(legs) = self.lanes.get_mut(lane).and_then(|lane| lane.legs.get_mut(class.index())) {
            *legs = legs.saturating_sub(1);
        }
    }

    /// What a leg costs on a thread, in thousandths of a core.
    pub(super) fn price(&self, lane: LaneId, class: Class) -> f64 {
        let ratio = self.lanes.get(lane).map_or(1.0, |lane| lane.ratio);
        self.prices.0.get(class.index()).copied().unwrap_or(0.0) * ratio
    }

    fn plan(&self, lane: &Lane) -> f64 {
        lane.legs.iter().zip(self.prices.0).map(|(legs, price)| *legs as f64 * price).sum()
    }

    /// The load to be reckoned with, in thousandths of a core.
    pub(super) fn forecast(&self, lane: LaneId) -> f64 {
        self.lanes.get(lane).map_or(0.0, |lane| self.plan(lane) * lane.ratio)
    }

    /// Whether a thread has time for one more of such legs. One without legs always has.
    pub(super) fn has_time(&self, lane: LaneId, class: Class) -> bool {
        let Some(known) = self.lanes.get(lane) else { return false };
        let load = self.forecast(lane).max(known.measured as f64);
        known.is_idle() || load + self.price(lane, class) <= FULL as f64
    }

    /// The thread with the least to do among those that have time for a leg of a new call.
    pub(super) fn idlest(&self) -> Option<LaneId> {
        let lanes = (0..self.lanes.len()).filter(|lane| self.has_time(*lane, Class::Relayed));
        lanes.min_by(|one, other| self.forecast(*one).total_cmp(&self.forecast(*other)))
    }

    /// Takes what the threads have measured. To be called about once a second.
    pub(super) fn learn(&mut self, loads: &[ThreadLoad]) {
        self.prices = Prices::learn(loads);
        for at in 0..self.lanes.len() {
            let plan = self.lanes.get(at).map_or(0.0, |lane| self.plan(lane));
            let (Some(lane), Some(load)) = (self.lanes.get_mut(at), loads.get(at)) else { continue };
            // A thread without legs sleeps, and so shows what it measured last, however long ago that was.
            if lane.is_idle() {
                lane.outdated = Some(load.load);
            }
            if lane.outdated == Some(load.load) {
                lane.measured = 0;
                continue;
            }
            (lane.measured, lane.outdated) = (load.load, None);
            if plan > TELLING {
                let seen = (load.load as f64 / plan).clamp(0.25, 4.0);
                lane.ratio += (seen - lane.ratio) / 4.0;
            }
        }
    }

    /// The threads that are to be evened out now, if any. To be called after [`Self::learn`].
    pub(super) fn uneven(&mut self) -> Option<Uneven> {
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        let busy = |lane: LaneId| self.lanes.get(lane).map_or(0, |lane| lane.measured);
        let from = (0..self.lanes.len()).max_by_key(|lane| busy(*lane))?;
        let to = (0..self.lanes.len()).min_by_key(|lane| busy(*lane))?;
        let difference = busy(from) - busy(to);
        if busy(from) < SHARE || difference < APART {
            self.apart = 0;
            return None;
        }
        self.apart += 1;
        (self.apart >= PATIENCE).then_some(Uneven { from, to, most: (difference / 2).min(MOST) })
    }

    /// Something was moved: what comes of it is waited for.
    pub(super) fn rest(&mut self) {
        (self.apart, self.rest) = (0, REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(loads: [u64; 2]) -> Vec<ThreadLoad> {
        loads.map(|load| ThreadLoad { load, ..ThreadLoad::default() }).into()
    }

    #[test]
    fn legs_go_where_there_is_least_to_do_and_not_where_there_are_fewest() {
        let mut budget = Budget::new(2);
        (0..3).for_each(|_| budget.add(0, Class::Relayed));
        budget.add(1, Class::Seated(CodecKind::Opus));
        assert_eq!(budget.idlest(), Some(0));
    }

    #[test]
    fn nothing_new_goes_where_there_is_no_time_and_a_thread_without_legs_always_has() {
        let mut budget = Budget::new(2);
        budget.add(0, Class::Relayed);
        budget.learn(&loads([900, 900]));
        assert_eq!(budget.idlest(), Some(1));
        budget.add(1, Class::Relayed);
        budget.learn(&loads([910, 910]));
        assert_eq!(budget.idlest(), None);
        budget.learn(&loads([900, 100]));
        assert_eq!(budget.idlest(), Some(1));
    }

    #[test]
    fn what_a_thread_measured_before_its_last_leg_left_refuses_no_new_one() {
        let mut budget = Budget::new(1);
        budget.add(0, Class::Relayed);
        budget.learn(&loads([900, 0])[..1]);
        assert_eq!(budget.idlest(), None);
        budget.remove(0, Class::Relayed);
        budget.learn(&loads([900, 0])[..1]);
        (0..100).for_each(|_| {
            assert_eq!(budget.idlest(), Some(0));
            budget.add(0, Class::Relayed);
            budget.learn(&loads([900, 0])[..1]);
        });
        budget.learn(&loads([890, 0])[..1]);
        assert_eq!(budget.idlest(), None, "that is measured now");
    }

    #[test]
    fn a_thread_is_full_by_the_forecast_before_the_load_is_measured() {
        let mut budget = Budget::new(1);
        let opus = Class::Seated(CodecKind::Opus);
        let mut legs = 0;
        while budget.has_time(0, opus) {
            budget.add(0, opus);
            legs += 1;
        }
        let price = budget.price(0, opus);
        assert!((f64::from(legs) * price - 800.0).abs() <= price, "{legs} legs of {price}");
        // It turns out that they cost half of that.
        for _ in 0..20 {
            budget.learn(&loads([400, 0])[..1]);
        }
        assert!(budget.has_time(0, opus));
        assert!((budget.price(0, opus) - price / 2.0).abs() < price / 20.0);
    }

    #[test]
    fn prices_are_those_that_were_measured() {
        let mut load = ThreadLoad { load: 100, ..ThreadLoad::default() };
        let pcmu = CodecKind::Pcmu.index();
        load.costs.say[pcmu] = Average::from_ns(1_000);
        load.costs.hear[pcmu] = Average::from_ns(2_000);
        load.costs.mix = Average::from_ns(500);
        (load.received, load.sent) = (Average::from_ns(3_000), Average::from_ns(4_500));
        let mut budget = Budget::new(1);
        budget.learn(&[load]);
        assert!((budget.price(0, Class::Seated(CodecKind::Pcmu)) - 0.55).abs() < 1e-9);
        let default = Prices::default();
        assert_eq!(budget.price(0, Class::Relayed), default.0[0], "of it nothing is known");
    }

    #[test]
    fn threads_are_evened_out_when_they_are_apart_for_some_time_and_then_left_alone() {
        let mut budget = Budget::new(2);
        (0..2).for_each(|lane| budget.add(lane, Class::Relayed));
        let mut look = |load: [u64; 2]| {
            budget.learn(&loads(load));
            let found = budget.uneven();
            if found.is_some() {
                budget.rest();
            }
            found
        };
        let found = Some(Uneven { from: 0, to: 1, most: 100 });
        assert_eq!([(); 3].map(|()| look([700, 100])), [None, None, found]);
        assert_eq!([(); 8].map(|()| look([700, 200])), [None, None, None, None, None, None, None, found]);
        assert_eq!([(); 8].map(|()| look([550, 0])), [None; 8], "there is time enough");
        assert_eq!([(); 8].map(|()| look([800, 600])), [None; 8], "they are alike");
        assert_eq!([look([700, 100]), look([700, 100]), look([500, 100]), look([700, 100])], [None; 4]);
    }
}
