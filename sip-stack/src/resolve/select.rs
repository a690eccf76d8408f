//! The order in which the servers of a service are tried: by priority, and by weighted lot among equals (RFC 2782,
//! "Usage rules"), so that load is shared and every server has its turn in a failover.

use super::Srv;
use crate::random::Random;
use std::collections::VecDeque;

/// All of `records` in the order to try them.
pub(super) fn in_order(records: &[Srv], random: &mut Random) -> Vec<Srv> {
    let mut rest = records.to_vec();
    // Within a priority those of weight 0 stand in front, so that the lot falls on them hardly ever but can.
    rest.sort_by_key(|record| (record.priority, record.weight != 0));
    let mut rest = VecDeque::from(rest);
    let mut ordered = Vec::with_capacity(rest.len());
    while let Some(chosen) = draw(&mut rest, random) {
        ordered.push(chosen);
    }
    ordered
}

/// Takes out one record of the priority in front: the first whose running sum of weights reaches a random number
/// between 0 and the sum of all.
fn draw(rest: &mut VecDeque<Srv>, random: &mut Random) -> Option<Srv> {
    let priority = rest.front()?.priority;
    let equals = || rest.iter().take_while(|record| record.priority == priority);
    let sum: u64 = equals().map(|record| u64::from(record.weight)).sum();
    if sum == 0 {
        // "Any order" among those of weight 0: by lot, so that they share the load although answers are kept.
        return rest.remove((random.next_u64() % equals().count() as u64) as usize);
    }
    let lot = random.next_u64() % (sum + 1);
    let mut running = 0;
    let at = equals().position(|record| {
        running += u64::from(record.weight);
        running >= lot
    });
    rest.remove(at?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, port: u16) -> Srv {
        Srv { priority, weight, port, target: None }
    }

    fn ports(records: &[Srv], random: &mut Random) -> Vec<u16> {
        in_order(records, random).iter().map(|record| record.port).collect()
    }

    #[test]
    fn lower_priorities_come_first_whatever_their_weights() {
        let mut random = Random::new([1; 32]);
        let records = [srv(30, 65535, 3), srv(10, 0, 1), srv(20, 9, 2)];
        for _ in 0..100 {
            assert_eq!(ports(&records, &mut random), [1, 2, 3]);
        }
    }

    #[test]
    fn equals_are_chosen_in_proportion_to_their_weights() {
        let mut random = Random::new([2; 32]);
        let records = [srv(1, 10, 1), srv(1, 30, 2), srv(1, 60, 3)];
        let mut first = [0u32; 4];
        for _ in 0..10_000 {
            let ordered = ports(&records, &mut random);
            assert_eq!(ordered.len(), 3);
            first[usize::from(ordered[0])] += 1;
        }
        // The lot 0 belongs to the record in front: 11, 30 and 60 of 101; six standard deviations are 300.
        assert!((1_089 - 300..1_089 + 300).contains(&first[1]), "{first:?}");
        assert!((2_970 - 300..2_970 + 300).contains(&first[2]), "{first:?}");
        assert!((5_941 - 300..5_941 + 300).contains(&first[3]), "{first:?}");
    }

    #[test]
    fn weight_zero_is_chosen_seldom_but_not_never() {
        let mut random = Random::new([3; 32]);
        let records = [srv(1, 100, 1), srv(1, 0, 2)];
        let seldom = (0..10_000).filter(|_| ports(&records, &mut random) == [2, 1]).count();
        assert!((20..300).contains(&seldom), "{seldom}");
    }

    #[test]
    fn equals_without_weights_share_evenly() {
        let mut random = Random::new([6; 32]);
        let records = [srv(1, 0, 1), srv(1, 0, 2)];
        let first = (0..1_000).filter(|_| ports(&records, &mut random) == [1, 2]).count();
        assert!((400..600).contains(&first), "{first}");
    }

    #[test]
    fn the_same_seed_gives_the_same_order() {
        let records: Vec<Srv> = (0..20).map(|port| srv(port % 3, port % 5, port)).collect();
        let (mut one, mut other) = (Random::new([4; 32]), Random::new([4; 32]));
        assert_eq!(ports(&records, &mut one), ports(&records, &mut other));
    }

    #[test]
    fn the_heaviest_weights_do_not_overflow() {
        let records = vec![srv(0, u16::MAX, 1); 32];
        assert_eq!(in_order(&records, &mut Random::new([5; 32])).len(), 32);
    }
}
