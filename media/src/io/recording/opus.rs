//! An Ogg file with Opus that is right at any time (RFC 7845): a page ends whenever samples are written.
//!
//! Whoever kills the process leaves a file that lacks the mark of its end, which players do without (RFC 3533 §6).

use std::io::{self, Write};

use ogg::writing::{PacketWriteEndInfo, PacketWriter};

use crate::codec::{CreateError, FileEncoder};
use crate::dsp::SampleRate;

/// Room for any packet of 20 ms at our bit rates.
const PACKET: usize = 4_000;
/// Who has written the file (RFC 7845 §5.2).
const VENDOR: &[u8] = concat!("media ", env!("CARGO_PKG_VERSION")).as_bytes();

/// The state of a file.
pub(super) struct Opus {
    encoder: FileEncoder,
    pages: PacketWriter<'static, Vec<u8>>,
    serial: u32,
    /// Samples of 48 kHz to one of ours.
    scale: u64,
    channels: usize,
    pre_skip: u64,
    /// Samples that wait, interleaved.
    pending: Vec<i16>,
    /// Samples of each channel that were taken, and packets made of them.
    taken: u64,
    packets: u64,
    written: u64,
}

impl Opus {
    /// Begins a file. `serial` tells its stream from others.
    pub(super) fn new(rate: SampleRate, channels: usize, serial: u32) -> Result<Opus, CreateError> {
        let mut encoder = FileEncoder::new(rate, channels)?;
        let pre_skip = encoder.pre_skip().into();
        let scale = u64::from(48_000 / rate.hertz());
        let pages = PacketWriter::new(Vec::new());
        let opus = Opus {
            encoder,
            pages,
            serial,
            scale,
            channels,
            pre_skip,
            pending: Vec::new(),
            taken: 0,
            packets: 0,
            written: 0,
        };
        Ok(opus)
    }

    /// Writes the two heads, each on a page of its own (RFC 7845 §3).
    pub(super) fn begin(&mut self, file: &mut impl Write) -> io::Result<()> {
        let rate = (48_000 / self.scale) as u32;
        let mut head = Vec::from(*b"OpusHead");
        head.extend([1, self.channels as u8]);
        head.extend((self.pre_skip as u16).to_le_bytes());
        head.extend(rate.to_le_bytes());
        // Output gain 0; channel mapping family 0.
        head.extend([0, 0, 0]);
        let mut tags = Vec::from(*b"OpusTags");
        tags.extend((VENDOR.len() as u32).to_le_bytes());
        tags.extend(VENDOR);
        tags.extend(0_u32.to_le_bytes());
        for packet in [head, tags] {
            self.pages.write_packet(packet, self.serial, PacketWriteEndInfo::EndPage, 0)?;
        }
        self.write(file)
    }

    pub(super) fn push(&mut self, samples: &[i16]) {
        self.pending.extend_from_slice(samples);
    }

    /// Octets of the file.
    pub(super) const fn octets(&self) -> u64 {
        self.written
    }

    /// Writes all whole frames that wait, on pages of their own.
    pub(super) fn flush(&mut self, file: &mut impl Write) -> io::Result<()> {
        let frame = self.encoder.frame();
        let frames = self.pending.len() / frame;
        let pending = core::mem::take(&mut self.pending);
        for (index, samples) in pending.chunks_exact(frame).enumerate() {
            let last = index + 1 == frames;
            let end = if last { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
            self.taken += (frame / self.channels) as u64;
            // §4: the position counts what is cut at the beginning, too.
            self.packet(samples, end, (self.packets + 1) * 960)?;
        }
        self.pending.extend_from_slice(pending.get(frames * frame..).unwrap_or_default());
        self.write(file)
    }

    /// Writes what is left, and the end: the position of the last page cuts what was added to fill a frame (§4.4).
    pub(super) fn finish(&mut self, file: &mut impl Write) -> io::Result<()> {
        self.flush(file)?;
        self.taken += (self.pending.len() / self.channels) as u64;
        let end = self.pre_skip + self.taken * self.scale;
        let frame = self.encoder.frame();
        let mut pending = core::mem::take(&mut self.pending);
        loop {
            pending.resize(frame, 0);
            let last = (self.packets + 1) * 960 >= end;
            let position = if last { end } else { (self.packets + 1) * 960 };
            let info = if last { PacketWriteEndInfo::EndStream } else { PacketWriteEndInfo::NormalPacket };
            self.packet(&pending, info, position)?;
            pending.clear();
            if last {
                return self.write(file);
            }
        }
    }

    fn packet(&mut self, samples: &[i16], end: PacketWriteEndInfo, position: u64) -> io::Result<()> {
        let mut packet = vec![0; PACKET];
        let length = self.encoder.encode(samples, &mut packet).map_err(io::Error::other)?;
        packet.truncate(length);
        self.packets += 1;
        self.pages.write_packet(packet, self.serial, end, position)
    }

    /// Hands the pages over.
    fn write(&mut self, file: &mut impl Write) -> io::Result<()> {
        let pages = core::mem::take(self.pages.inner_mut());
        file.write_all(&pages)?;
        self.written += pages.len() as u64;
        Ok(())
    }
}
