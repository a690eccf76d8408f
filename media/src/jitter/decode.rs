//! What the jitter buffer asks of a codec.
//!
//! Left out on purpose: negotiation and resampling. Whoever implements this knows the payload types of the leg and yields
//! every one of them at the one rate the buffer was made for.

/// What a payload is to playout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    /// Sound that lasts this many samples at the rate of the buffer, at least one.
    Audio(usize),
    /// A description of noise, valid until sound follows (RFC 3389 §3; a packet of DTX of another codec).
    Noise,
    /// Nothing to be heard: an event (RFC 4733), padding, or bytes that are no frame of the codec.
    Nothing,
}

/// Decodes the payloads of one stream, in order. Called on the tick: nothing here may allocate, block or panic.
pub trait Decode {
    /// What a payload is, judged by its type, its length and at most its first octets.
    fn kind(&self, payload_type: u8, payload: &[u8]) -> PayloadKind;

    /// Decodes a payload into `out` (mono), which is as long as [`Self::kind`] said. Returns the samples written; the rest
    /// of `out` is taken for silence.
    fn decode(&mut self, payload_type: u8, payload: &[u8], out: &mut [i16]) -> usize;

    /// Fills `out`, the length of one packet, in place of a lost one. `false`: the codec has no concealment of its own, and
    /// that of the buffer is used.
    fn conceal(&mut self, out: &mut [i16]) -> bool {
        let _ = out;
        false
    }

    /// Fills `out`, the length of one packet, with the packet **before** `payload`, from redundancy in `payload` (for
    /// instance RFC 6716 §2.1.7). `false`: there is none.
    fn recover(&mut self, payload_type: u8, payload: &[u8], out: &mut [i16]) -> bool {
        let _ = (payload_type, payload, out);
        false
    }

    /// Takes a new description of noise, a payload of [`PayloadKind::Noise`].
    fn describe_noise(&mut self, payload_type: u8, payload: &[u8]) {
        let _ = (payload_type, payload);
    }

    /// Fills `out`, of any length, with noise as described last. `false`: there is none, and silence is played.
    fn noise(&mut self, out: &mut [i16]) -> bool {
        let _ = out;
        false
    }
}
