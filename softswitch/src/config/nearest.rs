//! The name that was probably meant: edit distance with transpositions (optimal string alignment).

/// Of `known`, the name nearest to `written`; `None` when even that one differs in more than a third of its letters.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > LONGEST {
        return None;
    }
    let candidates = known.into_iter().filter(|name| name.len() <= LONGEST);
    let (distance, name) = candidates.map(|name| (distance(written, name), name)).min()?;
    (distance * 3 <= name.chars().count().max(3)).then_some(name)
}

/// Names longer than this are not compared: the time is the product of the lengths.
const LONGEST: usize = 64;

/// Insertions, deletions, replacements and swaps of neighbours that turn `from` into `to`.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, from_char) in from.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, to_char) in to.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let mut best = at(&last, column) + usize::from(from_char != *to_char);
            best = best.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            let swapped = column > 0 && previous == Some(*to_char) && to.get(column - 1) == Some(&from_char);
            if swapped {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
        }
        before_last = core::mem::replace(&mut last, current);
        previous = Some(from_char);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_insertions_deletions_replacements_and_swaps() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("adress", "address", 1),
            ("prot", "port", 1),
            ("ab", "cd", 2),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn only_a_close_name_is_suggested() {
        let known = ["address", "transport", "advertise"];
        assert_eq!(nearest("adress", known), Some("address"));
        assert_eq!(nearest("Address", known), Some("address"));
        assert_eq!(nearest("password", known), None);
        assert_eq!(nearest(&"a".repeat(1000), known), None);
    }
}
