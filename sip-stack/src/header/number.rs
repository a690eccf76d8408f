//! Numbers in header values: delta-seconds, preferences, hop and byte counts (RFC 3261 §20.14, §20.19, §20.22, §25.1).

use crate::message::grammar;

/// `delta-seconds`: a number beyond 2³²−1 counts as that (§20.19 knows no more). `None` when it is no number.
pub fn delta_seconds(text: &[u8]) -> Option<u32> {
    grammar::digits(text).map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// `qvalue` in thousandths: `0` to `1` with at most three decimals.
pub fn qvalue(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = match text {
        [whole] => (whole, &[][..]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut thousandths = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (decimal, weight) in decimals.iter().zip([100, 10, 1]) {
        thousandths += decimal.is_ascii_digit().then(|| u16::from(decimal - b'0') * weight)?;
    }
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_has_three_decimals_at_most() {
        for (text, value) in
            [("0", 0), ("1", 1000), ("0.", 0), ("1.000", 1000), ("0.5", 500), ("0.33", 330), ("0.007", 7)]
        {
            assert_eq!(qvalue(text.as_bytes()), Some(value), "{text}");
        }
        for text in ["", ".5", "1.001", "2", "0.1234", "0,5", "-1", "0.x"] {
            assert_eq!(qvalue(text.as_bytes()), None, "{text}");
        }
    }
}
