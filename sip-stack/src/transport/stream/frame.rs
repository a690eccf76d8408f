//! WebSocket frames (RFC 6455 §5), of which no extension has changed the meaning.

use super::limits::Limits;
use super::output::Violation;
use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

/// The most payload of a control frame (§5.5).
const MAX_CONTROL: usize = 125;

/// The longest frame header: two bytes, a 64-bit length, a mask (§5.2).
const MAX_HEADER: usize = 14;

/// What a frame is (§5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    /// `None` for the reserved ones.
    fn new(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xa => Opcode::Pong,
            _ => return None,
        })
    }

    const fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xa,
        }
    }

    const fn is_control(self) -> bool {
        match self {
            Opcode::Continuation | Opcode::Text | Opcode::Binary => false,
            Opcode::Close | Opcode::Ping | Opcode::Pong => true,
        }
    }
}

/// What was received whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A message, text that was found to be UTF-8 or binary; its frames are put together.
    Message(Bytes),
    /// A Ping and its payload.
    Ping(Bytes),
    /// A Pong.
    Pong,
    /// A Close and its code, if it has one.
    Close(Option<u16>),
}

/// The frames of one direction.
#[derive(Debug)]
pub(super) struct Frames {
    /// Whether the peer masks: a client has to, a server must not (§5.1).
    masked: bool,
    /// The header of the frame that arrives.
    header: SmallVec<[u8; MAX_HEADER]>,
    /// The frame that arrives, once its header is read.
    frame: Option<Frame>,
    /// Whether the message that arrives is text; `None` between messages.
    text: Option<bool>,
    /// The message that arrives.
    message: Vec<u8>,
    /// The payload of the control frame that arrives; it may stand between the frames of a message (§5.4).
    control: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    last: bool,
    opcode: Opcode,
    mask: [u8; 4],
    missing: usize,
}

impl Frames {
    /// Frames that the peer masks, or does not.
    pub(super) fn new(masked: bool) -> Frames {
        let (header, frame, text) = (SmallVec::new(), None, None);
        Frames { masked, header, frame, text, message: Vec::new(), control: Vec::new() }
    }

    /// Whether a frame or a message has begun and not ended.
    pub(super) fn is_amid(&self) -> bool {
        !self.header.is_empty() || self.text.is_some()
    }

    /// Takes from `input` to the end of a message or control frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the peer broke the rules; nothing more can be read then.
    pub(super) fn receive(
        &mut self,
        input: &mut &[u8],
        limits: &Limits,
    ) -> Result<Option<Received>, Violation> {
        loop {
            let mut frame = match self.frame {
                Some(frame) => frame,
                None => {
                    if !self.collect_header(input) {
                        return Ok(None);
                    }
                    self.begin(limits)?
                }
            };
            self.take_payload(&mut frame, input);
            self.frame = Some(frame);
            if frame.missing > 0 {
                return Ok(None);
            }
            self.frame = None;
            self.header.clear();
            if let Some(received) = self.finish(frame)? {
                return Ok(Some(received));
            }
        }
    }

    /// Collects the bytes of a frame header; whether they are all here.
    fn collect_header(&mut self, input: &mut &[u8]) -> bool {
        loop {
            let missing = header_length(&self.header).saturating_sub(self.header.len());
            if missing == 0 {
                return true;
            }
            if input.is_empty() {
                return false;
            }
            let (taken, rest) = input.split_at(missing.min(input.len()));
            self.header.extend_from_slice(taken);
            *input = rest;
        }
    }

    /// Reads the header and checks it against the rules and what went before.
    fn begin(&mut self, limits: &Limits) -> Result<Frame, Violation> {
        let header = Header::read(&self.header).ok_or(Violation::Protocol)?;
        if header.mask.is_some() != self.masked {
            return Err(Violation::Protocol);
        }
        let opcode = header.opcode;
        let missing = usize::try_from(header.length).map_err(|_| Violation::TooLong)?;
        match (opcode, self.text) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => {
                if !header.last || missing > MAX_CONTROL {
                    return Err(Violation::Protocol);
                }
            }
            // §5.4: the messages of a connection do not interleave.
            (Opcode::Continuation, None) | (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Violation::Protocol);
            }
            (Opcode::Text | Opcode::Binary, None) => self.text = Some(opcode == Opcode::Text),
            (Opcode::Continuation, Some(_)) => {}
        }
        if !opcode.is_control() && missing > limits.message.saturating_sub(self.message.len()) {
            return Err(Violation::TooLong);
        }
        Ok(Frame { last: header.last, opcode, mask: header.mask.unwrap_or_default(), missing })
    }

    fn take_payload(&mut self, frame: &mut Frame, input: &mut &[u8]) {
        let payload = if frame.opcode.is_control() { &mut self.control } else { &mut self.message };
        let (taken, rest) = input.split_at(frame.missing.min(input.len()));
        let start = payload.len();
        payload.extend_from_slice(taken);
        apply_mask(payload.get_mut(start..).unwrap_or_default(), frame.mask);
        frame.mask.rotate_left(taken.len() % 4);
        frame.missing -= taken.len();
        *input = rest;
    }

    fn finish(&mut self, frame: Frame) -> Result<Option<Received>, Violation> {
        match frame.opcode {
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                if !frame.last {
                    return Ok(None);
                }
                let message = core::mem::take(&mut self.message);
                let text = self.text.take() == Some(true);
                if text && core::str::from_utf8(&message).is_err() {
                    return Err(Violation::NotUtf8);
                }
                Ok(Some(Received::Message(Bytes::from(message))))
            }
            Opcode::Close => close_code(&core::mem::take(&mut self.control)).map(Received::Close).map(Some),
            Opcode::Ping => Ok(Some(Received::Ping(Bytes::from(core::mem::take(&mut self.control))))),
            Opcode::Pong => {
                self.control.clear();
                Ok(Some(Received::Pong))
            }
        }
    }
}

/// The bytes of a frame header, as far as those that are here tell.
fn header_length(header: &[u8]) -> usize {
    let Some(second) = header.get(1) else { return 2 };
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & 0x80 == 0 { 0 } else { 4 }
}

/// A frame header (§5.2).
struct Header {
    last: bool,
    opcode: Opcode,
    mask: Option<[u8; 4]>,
    length: u64,
}

impl Header {
    /// `None` for reserved bits, a reserved opcode, or a length not in its shortest form.
    fn read(bytes: &[u8]) -> Option<Header> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        if first & 0x70 != 0 {
            return None;
        }
        let opcode = Opcode::new(first & 0x0f)?;
        let (length, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            short => (u64::from(short), rest),
        };
        let shortest = match second & 0x7f {
            126 => length > 125,
            127 => length > u64::from(u16::MAX) && length >> 63 == 0,
            _ => true,
        };
        let mask = if second & 0x80 == 0 { None } else { Some(*rest.first_chunk()?) };
        shortest.then_some(Header { last: first & 0x80 != 0, opcode, mask, length })
    }
}

/// §5.5.1, §7.4: a code that may be sent, and a reason in UTF-8; or nothing.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Violation::Protocol) };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::Protocol);
    }
    core::str::from_utf8(reason).map(|_| Some(code)).map_err(|_| Violation::NotUtf8)
}

fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    for four in payload.chunks_mut(4) {
        for (byte, key) in four.iter_mut().zip(mask) {
            *byte ^= key;
        }
    }
}

/// A frame that is a whole message or control frame.
pub(super) fn frame(opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) -> Bytes {
    let mut frame = BytesMut::with_capacity(MAX_HEADER + payload.len());
    frame.put_u8(0x80 | opcode.bits());
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => frame.put_u8(masked | length),
        (_, Ok(length)) => {
            frame.put_u8(masked | 126);
            frame.put_u16(length);
        }
        (_, Err(_)) => {
            frame.put_u8(masked | 127);
            frame.put_u64(payload.len() as u64);
        }
    }
    frame.put_slice(mask.as_ref().map_or(&[], |mask| mask.as_slice()));
    let start = frame.len();
    frame.put_slice(payload);
    if let Some(mask) = mask {
        apply_mask(frame.get_mut(start..).unwrap_or_default(), mask);
    }
    frame.freeze()
}
