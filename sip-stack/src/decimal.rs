//! Numbers and addresses as text, written straight into a buffer: nearly every line of a message has some, and
//! `core::fmt` costs several times as much for each.

use bytes::BufMut;
use core::net::{IpAddr, SocketAddr};
use std::io::Write;

/// The decimal digits of a number.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// Of 0 to 2⁶⁴−1.
    #[inline]
    pub fn of(mut number: u64) -> Decimal {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            start -= 1;
            if number == 0 {
                break;
            }
        }
        Decimal { digits, start }
    }

    /// The digits, at least one, without zeros in front.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}

/// Appends an address as `core::fmt` writes it: IPv6 in the form of RFC 5952, without brackets.
pub fn put_address(out: &mut impl BufMut, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.put_u8(b'.');
                }
                out.put_slice(Decimal::of(octet.into()).as_bytes());
            }
        }
        IpAddr::V6(address) => {
            let mut text = [0; 48];
            let mut rest = &mut text[..];
            // The longest address has 45 octets.
            let _ = write!(rest, "{address}");
            let left = rest.len();
            out.put_slice(text.get(..text.len() - left).unwrap_or_default());
        }
    }
}

/// Appends an address with its port, IPv6 in brackets.
pub fn put_socket_address(out: &mut impl BufMut, address: SocketAddr) {
    match address {
        SocketAddr::V4(_) => put_address(out, address.ip()),
        SocketAddr::V6(_) => {
            out.put_u8(b'[');
            put_address(out, address.ip());
            out.put_u8(b']');
        }
    }
    out.put_u8(b':');
    out.put_slice(Decimal::of(address.port().into()).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_addresses_read_as_the_standard_library_writes_them(
            number: u64, v4: u32, v6: u128, port: u16,
        ) {
            let (ours, theirs) = (Decimal::of(number), number.to_string());
            prop_assert_eq!(ours.as_bytes(), theirs.as_bytes());
            let addresses = [IpAddr::V4(Ipv4Addr::from(v4)), IpAddr::V6(Ipv6Addr::from(v6)),
                IpAddr::V6(Ipv4Addr::from(v4).to_ipv6_mapped()), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
            for address in addresses {
                let mut text = Vec::new();
                put_address(&mut text, address);
                prop_assert_eq!(text, address.to_string().into_bytes());
                let (mut text, address) = (Vec::new(), SocketAddr::new(address, port));
                put_socket_address(&mut text, address);
                prop_assert_eq!(text, address.to_string().into_bytes());
            }
        }
    }

    #[test]
    fn nothing_is_one_digit() {
        assert_eq!(Decimal::of(0).as_bytes(), b"0");
    }
}
