//! A WAV file that is right at any time: RIFF WAVE with linear samples of 16 bits, whose head is written again after
//! samples were added (Multimedia Programming Interface and Data Specifications 1.0, chapter 3).
//!
//! Samples are written before the head that counts them, so whoever kills the process leaves a file that can be played.
//!
//! Left out on purpose: RF64; a file that is full is followed by another.

use std::io::{self, Seek, SeekFrom, Write};

/// Octets of the head.
const HEAD: usize = 44;
/// What the largest file may have of samples: its sizes are numbers of 32 bits.
pub(super) const LARGEST: u64 = u32::MAX as u64 - HEAD as u64;

/// The state of a file.
#[derive(Debug)]
pub(super) struct Wav {
    channels: u16,
    rate: u32,
    /// Octets of samples in the file, and those counted in its head.
    written: u64,
    /// Octets that wait.
    pending: Vec<u8>,
}

impl Wav {
    /// Begins a file: an empty one can be played, too.
    pub(super) fn begin(file: &mut impl Write, channels: usize, rate: u32) -> io::Result<Wav> {
        let wav = Wav { channels: channels as u16, rate, written: 0, pending: Vec::new() };
        file.write_all(&wav.head())?;
        Ok(wav)
    }

    pub(super) fn push(&mut self, samples: &[i16]) {
        self.pending.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    }

    /// Octets of samples, the waiting ones included.
    pub(super) fn octets(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// Writes what waits. After an error the head counts what was written before.
    pub(super) fn flush(&mut self, file: &mut (impl Write + Seek)) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        file.seek(SeekFrom::Start(HEAD as u64 + self.written))?;
        file.write_all(&self.pending)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&self.head())
    }

    fn head(&self) -> [u8; HEAD] {
        let block = self.channels * 2;
        let data = self.written.min(LARGEST) as u32;
        let mut head = [0; HEAD];
        let fields: [&[u8]; 13] = [
            b"RIFF",
            &(data + (HEAD as u32 - 8)).to_le_bytes(),
            b"WAVE",
            b"fmt ",
            &16_u32.to_le_bytes(),
            // WAVE_FORMAT_PCM
            &1_u16.to_le_bytes(),
            &self.channels.to_le_bytes(),
            &self.rate.to_le_bytes(),
            &(self.rate * u32::from(block)).to_le_bytes(),
            &block.to_le_bytes(),
            &16_u16.to_le_bytes(),
            b"data",
            &data.to_le_bytes(),
        ];
        for (place, octet) in head.iter_mut().zip(fields.into_iter().flatten()) {
            *place = *octet;
        }
        head
    }
}
