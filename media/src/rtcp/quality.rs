//! An estimate of the quality of a call from delay and loss: the E-model with default values but for these (ITU-T G.107
//! §7, G.113 appendix I, G.107 annex B for the mean opinion score).
//!
//! Left out on purpose: echo, noise and loudness, which a relay does not hear; burst loss beyond random loss (BurstR = 1);
//! the scales of wideband speech.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The R factor without any impairment by the network (G.107 table 3, default values).
const BEST: f32 = 93.2;
/// The one-way delay in milliseconds from which on conversation suffers.
const CONVERSATION_MS: f32 = 177.3;

/// How a codec stands loss (G.113 appendix I).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impairment {
    /// The equipment impairment factor Ie, 0 to 95, without loss.
    pub equipment: u8,
    /// The packet-loss robustness factor Bpl, in tenths; zero counts as one tenth.
    pub robustness_tenths: u16,
}

impl Impairment {
    /// G.711 with concealment (appendix I of G.711): Ie 0, Bpl 25.1.
    pub const G711: Self = Self { equipment: 0, robustness_tenths: 251 };
    /// G.711 without concealment: Ie 0, Bpl 4.3.
    pub const G711_UNCONCEALED: Self = Self { equipment: 0, robustness_tenths: 43 };
    /// G.729A with voice activity detection: Ie 11, Bpl 19.0.
    pub const G729A: Self = Self { equipment: 11, robustness_tenths: 190 };
}

/// The estimated quality of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// The R factor with delay, 0 to 100; 94 is a good telephone call, below 50 nobody is content.
    pub r_factor: u8,
    /// The mean opinion score of listening, without delay, in tenths: 10 to 45.
    pub mos_listening: u8,
    /// The mean opinion score of conversation, with delay, in tenths: 10 to 45.
    pub mos_conversational: u8,
}

impl Quality {
    /// The quality with `loss_256ths` of the packets lost and `one_way` delay from mouth to ear.
    #[must_use]
    pub fn estimate(codec: Impairment, loss_256ths: u8, one_way: Duration) -> Self {
        let loss = f32::from(loss_256ths) * 100.0 / 256.0;
        let (equipment, robustness) =
            (f32::from(codec.equipment), f32::from(codec.robustness_tenths.max(1)) / 10.0);
        // G.107 (7-29), with random loss.
        let equipment = equipment + (95.0 - equipment) * loss / (loss + robustness);
        let delay_ms = one_way.as_secs_f32() * 1000.0;
        // The usual straight lines through Idd of G.107 (7-27); right to a point or two up to 400 ms.
        let delay = 0.024 * delay_ms + 0.11 * (delay_ms - CONVERSATION_MS).max(0.0);
        let (listening, conversational) = (BEST - equipment, BEST - equipment - delay);
        Self {
            r_factor: conversational.clamp(0.0, 100.0).round() as u8,
            mos_listening: mos_tenths(listening),
            mos_conversational: mos_tenths(conversational),
        }
    }
}

/// G.107 (B-4), in tenths.
fn mos_tenths(r: f32) -> u8 {
    let r = r.clamp(0.0, 100.0);
    let score = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
    (score.max(1.0) * 10.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_loss_and_delay_scores_4_4() {
        let best = Quality::estimate(Impairment::G711, 0, Duration::ZERO);
        assert_eq!(best, Quality { r_factor: 93, mos_listening: 44, mos_conversational: 44 });
    }

    #[test]
    fn delay_harms_conversation_and_not_listening() {
        let far = Quality::estimate(Impairment::G711, 0, Duration::from_millis(400));
        assert_eq!(far.mos_listening, 44);
        // 93.2 − 0.024·400 − 0.11·222.7
        assert_eq!(far.r_factor, 59);
    }

    #[test]
    fn five_percent_of_loss_costs_concealed_g711_sixteen_points() {
        let lossy = Quality::estimate(Impairment::G711, 13, Duration::ZERO);
        // 5.08 %: 95·5.08/(5.08 + 25.1) = 16.0
        assert_eq!(lossy.r_factor, 77);
        let plain = Quality::estimate(Impairment::G711_UNCONCEALED, 13, Duration::ZERO);
        assert!(plain.r_factor < 45);
    }

    #[test]
    fn scores_stay_within_10_and_45_for_all_values() {
        for loss in 0..=255 {
            for delay in [0, 100, 1000, 60_000] {
                let codec = Impairment { equipment: 0, robustness_tenths: 0 };
                let quality = Quality::estimate(codec, loss, Duration::from_millis(delay));
                assert!((10..=45).contains(&quality.mos_conversational));
                assert!((10..=45).contains(&quality.mos_listening));
            }
        }
    }
}
