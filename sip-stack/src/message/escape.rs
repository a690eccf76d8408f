//! Network text made fit for a log line (RFC 3261 §25.1 sets no limits to what a peer may send).

use core::fmt::{self, Write};

/// Bytes from the network as printable ASCII: a backslash is doubled, controls and everything above 126
/// become `\r`, `\n`, `\t` or `\xHH`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            match byte {
                b'\\' => out.write_str("\\\\")?,
                b'\r' => out.write_str("\\r")?,
                b'\n' => out.write_str("\\n")?,
                b'\t' => out.write_str("\\t")?,
                b' '..=b'~' => out.write_char(byte as char)?,
                _ => write!(out, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_cannot_be_forged() {
        assert_eq!(Escaped(b"a\r\nb\0\x1b[2J\\ \xff").to_string(), r"a\r\nb\x00\x1b[2J\\ \xff");
    }
}
