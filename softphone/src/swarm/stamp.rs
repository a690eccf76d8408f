//! When a packet was sent, in the packet: written into the lowest bits of its G.711 octets, where nobody hears it.
//!
//! A server that relays leaves them as they are; then every packet tells how long it was under way, who said it, and which were
//! lost. One that mixes or transcodes destroys them, which the check tells. Our own format, no standard's.

use sip_stack::Time;

/// Bits, and octets that carry one each: 32 of the time in microseconds, 16 each of talker, number and check.
pub(super) const BITS: usize = 80;

/// What a packet tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// When it was sent, in microseconds, of which the lower 32 bits are left.
    pub(super) sent_us: u32,
    /// Who said it.
    pub(super) talker: u16,
    /// Its number among the packets of the call.
    pub(super) number: u16,
}

impl Stamp {
    pub(super) fn new(now: Time, talker: u16, number: u16) -> Stamp {
        Stamp { sent_us: micros(now), talker, number }
    }

    /// Writes it into the lowest bits; a payload that is too short stays as it is.
    pub(super) fn write(self, payload: &mut [u8]) {
        let Some(carriers) = payload.get_mut(..BITS) else { return };
        let mut bits = self.bits();
        for octet in carriers {
            *octet = *octet & !1 | (bits & 1) as u8;
            bits >>= 1;
        }
    }

    /// The stamp of a payload that has one.
    pub(super) fn read(payload: &[u8]) -> Option<Stamp> {
        let carriers = payload.get(..BITS)?;
        let bits = carriers.iter().rev().fold(0u128, |bits, octet| bits << 1 | u128::from(octet & 1));
        let stamp = Stamp { sent_us: bits as u32, talker: (bits >> 32) as u16, number: (bits >> 48) as u16 };
        (stamp.bits() == bits).then_some(stamp)
    }

    /// How long ago it was sent; less than 36 minutes. A clock that seems to run backwards says zero.
    pub(super) fn age_us(self, now: Time) -> u64 {
        let age = micros(now).wrapping_sub(self.sent_us);
        if age > u32::MAX / 2 { 0 } else { u64::from(age) }
    }

    fn bits(self) -> u128 {
        let fields = u64::from(self.sent_us) | u64::from(self.talker) << 32 | u64::from(self.number) << 48;
        // Mixed so that neither silence nor a tone passes for a stamp.
        let check = (fields ^ 0x5eed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        u128::from(fields) | u128::from(check) << 64
    }
}

fn micros(now: Time) -> u32 {
    (now.0 / 1_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_comes_back_with_its_age_and_over_the_wrap() {
        let mut payload = [0xd5u8; 160];
        let sent = Time::from_millis(u64::from(u32::MAX) / 1_000);
        let stamp = Stamp::new(sent, 999, 65_535);
        stamp.write(&mut payload);
        assert_eq!(Stamp::read(&payload), Some(stamp));
        assert_eq!(stamp.age_us(Time(sent.0 + 3_000_000)), 3_000);
        assert_eq!(stamp.age_us(Time(sent.0 - 3_000_000)), 0);
    }

    #[test]
    fn silence_tones_and_stamps_with_a_wrong_bit_are_no_stamps() {
        assert_eq!(Stamp::read(&[0xff; 160]), None);
        assert_eq!(Stamp::read(&[0xd5; 160]), None);
        assert_eq!(Stamp::read(&[0xfe; 160]), None);
        assert_eq!(Stamp::read(&[0xff; BITS - 1]), None);
        let mut payload = [0xff; 160];
        Stamp::new(Time::from_millis(5), 7, 9).write(&mut payload);
        for bit in 0..BITS {
            let mut wrong = payload;
            wrong[bit] ^= 1;
            assert_eq!(Stamp::read(&wrong), None, "{bit}");
        }
    }
}
