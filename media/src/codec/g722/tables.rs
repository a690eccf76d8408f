//! Constants of ITU-T G.722 (11/88), tables 11 to 21: filter coefficients, decision levels, output levels and the logarithms
//! of scale factors. Where the Recommendation looks a value up through two small tables (an index, then a level), the two
//! are folded into one here.

/// Coefficients h0 to h23 of the quadrature mirror filters, without the factor 2^-13 (table 11).
pub(super) const QMF: [i16; 24] = [
    3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876, 3876, 951, -805, -210, 362, 32, -156, 12, 53,
    -11, -11, 3,
];

/// Decision levels of the 6-bit quantiser of the lower sub-band, in order; each is scaled by the step of the moment. There
/// are 30 (table 14); the last is repeated, so that a search may halve 32 places.
pub(super) const LOW_DECISION: [i32; 32] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121,
    1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919, 2919, 2919,
];

/// Decision level of the 2-bit quantiser of the higher sub-band (table 14).
pub(super) const HIGH_DECISION: i32 = 564;

/// 6-bit codewords by the number of decision levels a difference reaches, 1 to 30 (table 17): of differences that are not
/// negative, and of negative ones.
pub(super) const LOW_CODE: [[u8; 32]; 2] = [
    [
        0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38,
        37, 36, 35, 34, 33, 32, 0,
    ],
    [
        0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9,
        8, 7, 6, 5, 4, 0,
    ],
];

/// 2-bit codewords of the higher sub-band, within and beyond the decision level; by sign as above.
pub(super) const HIGH_CODE: [[u8; 2]; 2] = [[3, 2], [1, 0]];

/// Output levels of the lower sub-band by the 6 bits of the codeword (64 kbit/s).
pub(super) const LOW_OUTPUT_6: [i16; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];

/// Output levels by the first 5 bits (56 kbit/s).
pub(super) const LOW_OUTPUT_5: [i16; 32] = [
    -280, -280, -23352, -17560, -14120, -11664, -9752, -8184, -6864, -5712, -4696, -3784, -2960, -2208,
    -1520, -880, 23352, 17560, 14120, 11664, 9752, 8184, 6864, 5712, 4696, 3784, 2960, 2208, 1520, 880, 280,
    -280,
];

/// Output levels by the first 4 bits (48 kbit/s, and the adaptation at every rate).
pub(super) const LOW_OUTPUT_4: [i16; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];

/// Output levels of the higher sub-band by the 2 bits of its codeword.
pub(super) const HIGH_OUTPUT: [i16; 4] = [-7408, -1616, 7408, 1616];

/// What a codeword of the lower sub-band adds to the logarithm of its step, by the first 4 bits (tables 18 and 20).
pub(super) const LOW_LOG: [i32; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

/// The same for the higher sub-band.
pub(super) const HIGH_LOG: [i32; 4] = [798, -214, 798, -214];

/// Mantissas of the inverse logarithm: 2048 · 2^(i/32) (table 21).
pub(super) const INVERSE_LOG: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
