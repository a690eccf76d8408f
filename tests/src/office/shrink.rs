//! The fewest deeds that it takes: whatever can be left out is left out, first halves, then less and less.

use super::act::Deed;
use std::time::Duration;

/// Deeds of which none can be left out, as far as so many tries tell, for `fails` to be so. It has to be so for all of them.
pub fn shrink(deeds: &[Deed], tries: usize, mut fails: impl FnMut(&[Deed]) -> bool) -> Vec<Deed> {
    let mut kept = deeds.to_vec();
    let mut tries = tries;
    let mut size = kept.len().div_ceil(2);
    while size > 0 {
        let (mut at, mut shorter) = (0, false);
        while at < kept.len() && tries > 0 {
            let end = (at + size).min(kept.len());
            // Those left out take their time with them: it passes all the same.
            let passed: Duration = kept[at..end].iter().map(|deed| deed.after).sum();
            let mut fewer = [&kept[..at], &kept[end..]].concat();
            if let Some(next) = fewer.get_mut(at) {
                next.after += passed;
            }
            tries -= 1;
            if fails(&fewer) {
                (kept, shorter) = (fewer, true);
            } else {
                at = end;
            }
        }
        if tries == 0 || (size == 1 && !shorter) {
            break;
        }
        size = if size == 1 { 1 } else { size.div_ceil(2) };
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::act::draw;
    use super::*;

    #[test]
    fn what_is_left_is_what_it_takes_and_its_time() {
        let deeds = draw(7, 100);
        let needed = [deeds[13], deeds[70]];
        let is_there = |deeds: &[Deed], deed: &Deed| {
            deeds.iter().any(|other| (other.who, other.act) == (deed.who, deed.act))
        };
        let left = shrink(&deeds, 1_000, |deeds| needed.iter().all(|deed| is_there(deeds, deed)));
        assert_eq!(left.len(), 2);
        let time = |deeds: &[Deed], to: usize| deeds[..=to].iter().map(|deed| deed.after).sum::<Duration>();
        assert_eq!(left[0].after, time(&deeds, 13));
        assert_eq!(left[0].after + left[1].after, time(&deeds, 70));
    }
}
