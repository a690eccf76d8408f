//! The bounded intake: how much new work is admitted (RFC 5390 §4, RFC 6357 §5).
//!
//! Load is measured by how long there has always been a message waiting to be read, which the run loop tells: no message
//! has waited longer. Rates do not count, nor does a pause after which what has gathered is read at once. Requests are
//! counted in windows of 100 ms of the time handed in. A window that ends while that delay is too long makes the limit
//! of the next one smaller, by an eighth or a half; one that ends without delay lets it grow by a sixteenth, until it is
//! twice what is asked for and therefore no limit any more. Within the limit requests are taken as they come; of a
//! surplus, requests are refused by a draw that is the same when a request is sent again, so that copies of a refused
//! request are mostly refused as well. When there is more room by then a copy is admitted: the caller, who has given up,
//! then hears 2xx responses that it ignores, and the call ends unacknowledged.
//!
//! Left out on purpose: queues. What is not admitted is refused at once.

use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The time over which requests are counted.
const WINDOW: Duration = Duration::from_millis(100);

/// The least that is admitted in a window: whatever the delays come from, the limit must be able to prove too low.
const LEAST: u32 = 5;

/// A burst of so much of a window is taken at once.
const TOLERANCE: Duration = Duration::from_millis(20);

/// After so many windows without a request nothing is held back any more: five seconds.
const FORGOTTEN: u64 = 50;

/// The share of a demand by draw at most, in percent; the rest keeps measuring.
const MOST: u64 = 95;

/// How late we are, in four classes; the run loop tells only when it becomes another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DelayClass {
    /// Below 50 ms.
    #[default]
    Prompt,
    /// From 50 ms: no more than now.
    Behind,
    /// From 200 ms: less.
    Late,
    /// From 500 ms: much less. Phones begin to repeat (T1), and each repetition is more work.
    Stalled,
}

impl DelayClass {
    /// The class of a delay in microseconds.
    pub const fn of(delay_us: u32) -> DelayClass {
        match delay_us {
            ..50_000 => DelayClass::Prompt,
            50_000..200_000 => DelayClass::Behind,
            200_000..500_000 => DelayClass::Late,
            500_000.. => DelayClass::Stalled,
        }
    }
}

/// What a request is to the intake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It belongs to what was admitted before: a call that is up, a binding that is refreshed. Never refused.
    Established,
    /// New work of a client that reduces its requests by our feedback (RFC 7339 §7.2): the draw would reduce it twice.
    Reduced,
    /// New work of anybody else.
    New,
}

/// Admits or refuses new work. No timer: windows end when the next request comes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intake {
    /// New requests that a window may take; `None` while nothing is held back.
    limit: Option<u32>,
    /// Percent of new requests that are refused by draw.
    surplus: u8,
    /// Percent of all requests that neighbours shall leave out (RFC 7339 §5.3).
    loss: u8,
    class: DelayClass,
    window: Window,
    /// When the next request within the limit is due, if they came evenly.
    due: Time,
}

/// What came in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    since: Time,
    established: u32,
    reduced: u32,
    new: u32,
    admitted: u32,
    /// Refused because a table is full.
    full: u32,
}

impl Intake {
    /// Takes for how many microseconds messages have been waiting without a break.
    pub fn handle_delay(&mut self, now: Time, delay_us: u32) {
        self.roll(now);
        self.class = DelayClass::of(delay_us);
    }

    /// Whether new work is being held back, so that it is worth knowing what is established.
    pub fn is_limiting(&self) -> bool {
        self.limit.is_some()
    }

    /// When the window began that is being counted: another one when [`Intake::loss`] was computed anew.
    pub fn window(&self) -> Time {
        self.window.since
    }

    /// Percent of all requests that neighbours shall not send (RFC 7339 §5.3), as of the last window.
    pub fn loss(&self) -> u8 {
        self.loss
    }

    /// Whether a request may be carried out. `full` tells that a table it needs has no room; `draw` is a number that
    /// the sender cannot know, the same for every copy of the request. O(1), no allocation.
    pub fn admits(&mut self, now: Time, work: Work, full: bool, draw: u64) -> bool {
        self.roll(now);
        let count = match work {
            Work::Established => &mut self.window.established,
            Work::Reduced => &mut self.window.reduced,
            Work::New => &mut self.window.new,
        };
        *count = count.saturating_add(1);
        if work == Work::Established {
            return true;
        }
        if full {
            self.window.full = self.window.full.saturating_add(1);
            return false;
        }
        let surplus = work == Work::New && draw % 100 < u64::from(self.surplus);
        if surplus || !self.is_due(now) {
            return false;
        }
        self.window.admitted = self.window.admitted.saturating_add(1);
        true
    }

    /// Whether the limit, spread over the window, has room for a request now; if so, takes it.
    fn is_due(&mut self, now: Time) -> bool {
        let Some(limit) = self.limit else { return true };
        if self.due > now + TOLERANCE {
            return false;
        }
        self.due = self.due.max(now) + WINDOW / limit.max(1);
        true
    }

    /// Closes the windows that have ended. Those in which nothing came count as prompt.
    fn roll(&mut self, now: Time) {
        let ended = now.since(self.window.since).as_nanos() / WINDOW.as_nanos();
        let ended = u64::try_from(ended).unwrap_or(u64::MAX);
        if ended == 0 {
            return;
        }
        if ended > FORGOTTEN {
            *self = Intake { class: self.class, ..Intake::default() };
        } else {
            self.close();
            (1..ended).for_each(|_| self.close());
        }
        let window = u64::try_from(WINDOW.as_nanos()).unwrap_or(u64::MAX);
        self.window.since = Time(now.0 - now.0 % window);
    }

    fn close(&mut self) {
        let Window { established, reduced, new, admitted, full, .. } = core::mem::take(&mut self.window);
        // What the clients that obey would have sent without their reduction (§5.3 speaks of that).
        let kept = 100 - u64::from(self.loss).min(MOST);
        let new = u64::from(new) + u64::from(reduced) * 100 / kept;
        let class = if new == 0 { DelayClass::Prompt } else { self.class };
        self.limit = next_limit(self.limit, class, admitted, new);
        let surplus = self.limit.map_or(0, |limit| percent(new.saturating_sub(limit.into()), new).min(MOST));
        let refused = surplus.max(percent(full.into(), new));
        self.surplus = u8::try_from(surplus).unwrap_or(100);
        self.loss = u8::try_from(refused * new / (new + u64::from(established)).max(1)).unwrap_or(100);
    }
}

/// The limit after a window in which `admitted` of `asked` new requests were taken.
fn next_limit(limit: Option<u32>, class: DelayClass, admitted: u32, asked: u64) -> Option<u32> {
    let taken = limit.map_or(admitted, |limit| limit.min(admitted));
    match (class, limit) {
        (DelayClass::Prompt, Some(limit)) => {
            let grown = limit.saturating_add(limit / 16).saturating_add(1);
            (u64::from(grown) <= asked * 2).then_some(grown)
        }
        (DelayClass::Behind, Some(limit)) => Some(limit),
        (DelayClass::Prompt | DelayClass::Behind, None) => None,
        (DelayClass::Late, Some(_) | None) => Some((taken - taken / 8).max(LEAST)),
        (DelayClass::Stalled, Some(_) | None) => Some((taken / 2).max(LEAST)),
    }
}

fn percent(part: u64, whole: u64) -> u64 {
    (part * 100).checked_div(whole).unwrap_or(0).min(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    /// How many of `count` requests, spread over the second from `from_ms` on, are admitted.
    fn second(intake: &mut Intake, from_ms: u64, count: u64, work: Work) -> u64 {
        let step = 1_000_000 / count;
        let admit = |n: u64| {
            let now = Time(from_ms * 1_000_000 + n * step * 1_000);
            // A multiplicative hash stands for the keyed one.
            u64::from(intake.admits(now, work, false, n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16))
        };
        (0..count).map(admit).sum()
    }

    #[test]
    fn nothing_is_held_back_while_messages_are_prompt() {
        let mut intake = Intake::default();
        assert_eq!(second(&mut intake, 0, 10_000, Work::New), 10_000);
        assert_eq!((intake.is_limiting(), intake.loss()), (false, 0));
    }

    #[test]
    fn delays_bring_a_limit_that_shrinks_while_they_last() {
        let mut intake = Intake::default();
        second(&mut intake, 0, 1_000, Work::New);
        intake.handle_delay(at(1_000), 300_000);
        let first = second(&mut intake, 1_000, 1_000, Work::New);
        let then = second(&mut intake, 2_000, 1_000, Work::New);
        assert!(first < 1_000 && then < first, "{first} {then}");
        assert!(then >= 10, "it never shrinks to nothing: {then}");
    }

    #[test]
    fn a_burst_that_is_read_in_time_holds_nothing_back_however_large() {
        let mut intake = Intake::default();
        let burst = |intake: &mut Intake, ms: u64| {
            (0..10_000).all(|draw| intake.admits(Time(ms * 1_000_000 + draw), Work::New, false, draw))
        };
        for second in 1..10 {
            assert!(burst(&mut intake, second * 1_000));
            intake.handle_delay(at(second * 1_000 + 150), 150_000);
            assert!(burst(&mut intake, second * 1_000 + 150));
            intake.handle_delay(at(second * 1_000 + 199), 0);
        }
        assert!(!intake.is_limiting());
    }

    #[test]
    fn a_pause_after_which_everything_is_read_at_once_holds_nothing_back() {
        let mut intake = Intake::default();
        second(&mut intake, 0, 1_000, Work::New);
        intake.handle_delay(at(3_010), 2_000_000);
        assert!(intake.admits(at(3_010), Work::New, false, 0));
        intake.handle_delay(at(3_030), 0);
        assert_eq!(second(&mut intake, 3_030, 1_000, Work::New), 1_000);
    }

    #[test]
    fn established_work_is_always_admitted() {
        let mut intake = Intake::default();
        intake.handle_delay(at(0), 500_000);
        assert_eq!(second(&mut intake, 0, 5_000, Work::Established), 5_000);
        assert!(intake.admits(at(1_000), Work::Established, true, 0));
    }

    #[test]
    fn once_prompt_again_everything_is_admitted_within_five_seconds() {
        let mut intake = Intake::default();
        intake.handle_delay(at(0), 500_000);
        second(&mut intake, 0, 5_000, Work::New);
        intake.handle_delay(at(1_000), 0);
        for from in [1_000, 2_000, 3_000, 4_000, 5_000] {
            second(&mut intake, from, 300, Work::New);
        }
        assert_eq!(second(&mut intake, 6_000, 300, Work::New), 300);
        assert_eq!((intake.is_limiting(), intake.loss()), (false, 0));
    }

    #[test]
    fn silence_ends_the_limit() {
        let mut intake = Intake::default();
        intake.handle_delay(at(0), 500_000);
        second(&mut intake, 0, 5_000, Work::New);
        intake.handle_delay(at(1_000), 0);
        intake.admits(at(9_000), Work::New, false, 0);
        assert!(!intake.is_limiting());
    }

    #[test]
    fn a_full_table_refuses_new_work_and_asks_neighbours_for_the_rest() {
        let mut intake = Intake::default();
        for _ in 0..100 {
            assert!(!intake.admits(at(0), Work::New, true, 0));
            assert!(intake.admits(at(0), Work::Established, true, 0));
        }
        intake.admits(at(100), Work::New, false, 0);
        assert_eq!(intake.loss(), 50, "half of all requests were new, and none was taken");
    }

    #[test]
    fn a_copy_of_a_request_is_judged_alike_within_a_window() {
        let mut intake = Intake { surplus: 50, limit: Some(1_000_000), ..Intake::default() };
        for draw in 0..200 {
            let first = intake.admits(at(1), Work::New, false, draw);
            assert_eq!(intake.admits(at(2), Work::New, false, draw), first);
        }
    }

    #[test]
    fn clients_that_obey_and_clients_that_do_not_get_the_same_share() {
        let mut intake = Intake::default();
        second(&mut intake, 0, 1_000, Work::New);
        intake.handle_delay(at(1_000), 100_000);
        intake.limit = Some(50);
        let (mut obeying, mut others, mut sent) = (0_u32, 0_u32, 0_u32);
        for ms in 1_000..11_000_u64 {
            let draw = ms.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16;
            others += u32::from(intake.admits(at(ms), Work::New, false, draw));
            // The neighbour leaves out what it was told to, by draws of its own.
            if ms.wrapping_mul(0xD134_2543_DE82_EF95) >> 32 & 0xffff_ffff
                >= (u64::from(intake.loss()) << 32) / 100
            {
                sent += 1;
                obeying += u32::from(intake.admits(at(ms), Work::Reduced, false, draw));
            }
        }
        assert!(sent < 5_000, "{sent}");
        let ratio = f64::from(obeying) / f64::from(others);
        assert!((0.7..1.4).contains(&ratio), "{obeying} and {others}");
    }
}
