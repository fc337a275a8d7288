//! SHA-256 of two streams at once, round by round, with the processor's own instructions for it.
//!
//! Each round waits for the one before, so that one stream leaves the unit half idle. `sha2` has no call for two
//! streams, and two calls in turns overlap at their edges only. It is the judge in the tests, and does the work
//! where these instructions are missing.

#![allow(unsafe_code)]
// Instructions have names that one knows or looks up.
#![allow(clippy::wildcard_imports, clippy::many_single_char_names)]

/// Bytes of a block.
const BLOCK: usize = 64;

/// Takes as many blocks of `first` into `one` as of `second` into `other`: those both have. Returns how many were
/// taken of each; none where the processor cannot.
pub(super) fn compress(
    one: &mut [u32; 8],
    first: &[[u8; BLOCK]],
    other: &mut [u32; 8],
    second: &[[u8; BLOCK]],
) -> usize {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if native::is_there() {
        // SAFETY: the processor has the features.
        return unsafe { native::compress(one, first, other, second) };
    }
    let _ = (one, first, other, second);
    0
}

/// Groups of four rounds of both streams, by their numbers.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! rounds {
    ($a:ident, $b:ident, $v:ident, $w:ident: $($i:literal)*) => {$(
        let [this, next, third, last] = [$i % 4, ($i + 1) % 4, ($i + 2) % 4, ($i + 3) % 4];
        if $i >= 4 {
            $v[this] = schedule([$v[this], $v[next], $v[third], $v[last]]);
            $w[this] = schedule([$w[this], $w[next], $w[third], $w[last]]);
        }
        let k = vector(K[$i]);
        [$a, $b] = four_rounds([$a, $b], [add($v[this], k), add($w[this], k)]);
    )*};
}

/// The loop over the blocks, of what a processor has for it.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! both_streams {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn compress(
            one: &mut [u32; 8],
            first: &[[u8; BLOCK]],
            other: &mut [u32; 8],
            second: &[[u8; BLOCK]],
        ) -> usize {
            let (mut a, mut b) = (load(one), load(other));
            for (x, y) in first.iter().zip(second) {
                let before = [a, b];
                let mut v = [words(x, 0), words(x, 1), words(x, 2), words(x, 3)];
                let mut w = [words(y, 0), words(y, 1), words(y, 2), words(y, 3)];
                rounds!(a, b, v, w: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                a = [add(a[0], before[0][0]), add(a[1], before[0][1])];
                b = [add(b[0], before[1][0]), add(b[1], before[1][1])];
            }
            (*one, *other) = (store(a), store(b));
            first.len().min(second.len())
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod native {
    use std::arch::x86_64::*;

    use super::{BLOCK, K};

    pub(super) fn is_there() -> bool {
        is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse4.1")
            && is_x86_feature_detected!("avx")
    }

    #[inline]
    #[target_feature(enable = "sse4.1,avx")]
    fn vector(words: [u32; 4]) -> __m128i {
        let [a, b, c, d] = words.map(u32::cast_signed);
        _mm_set_epi32(d, c, b, a)
    }

    /// The state in the order of the instructions: `abef` and `cdgh`.
    #[inline]
    #[target_feature(enable = "sse4.1,avx")]
    fn load(state: &[u32; 8]) -> [__m128i; 2] {
        let [a, b, c, d, e, f, g, h] = *state;
        [vector([f, e, b, a]), vector([h, g, d, c])]
    }

    #[inline]
    #[target_feature(enable = "sse4.1,avx")]
    fn store([abef, cdgh]: [__m128i; 2]) -> [u32; 8] {
        let word = i32::cast_unsigned;
        [
            word(_mm_extract_epi32(abef, 3)),
            word(_mm_extract_epi32(abef, 2)),
            word(_mm_extract_epi32(cdgh, 3)),
            word(_mm_extract_epi32(cdgh, 2)),
            word(_mm_extract_epi32(abef, 1)),
            word(_mm_extract_epi32(abef, 0)),
            word(_mm_extract_epi32(cdgh, 1)),
            word(_mm_extract_epi32(cdgh, 0)),
        ]
    }

    /// Words `4 * index` to `4 * index + 3` of a block, which are big endian.
    #[inline]
    #[target_feature(enable = "sse4.1,avx")]
    fn words(block: &[u8; BLOCK], index: usize) -> __m128i {
        let (halves, _) = block.as_chunks::<8>();
        let half = |at: usize| i64::from_le_bytes(halves[2 * index + at]);
        let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        _mm_shuffle_epi8(_mm_set_epi64x(half(1), half(0)), swap)
    }

    /// The next four words of the schedule from the last sixteen, oldest first.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,avx")]
    fn schedule(w: [__m128i; 4]) -> __m128i {
        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[0], w[1]), _mm_alignr_epi8(w[3], w[2], 4));
        _mm_sha256msg2_epu32(sum, w[3])
    }

    #[inline]
    #[target_feature(enable = "avx")]
    fn add(a: __m128i, b: __m128i) -> __m128i {
        _mm_add_epi32(a, b)
    }

    /// Of both streams, with their words and constants, in turns.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,avx")]
    fn four_rounds(
        [[mut a0, mut a1], [mut b0, mut b1]]: [[__m128i; 2]; 2],
        [c, d]: [__m128i; 2],
    ) -> [[__m128i; 2]; 2] {
        a1 = _mm_sha256rnds2_epu32(a1, a0, c);
        b1 = _mm_sha256rnds2_epu32(b1, b0, d);
        a0 = _mm_sha256rnds2_epu32(a0, a1, _mm_shuffle_epi32(c, 0x0e));
        b0 = _mm_sha256rnds2_epu32(b0, b1, _mm_shuffle_epi32(d, 0x0e));
        [[a0, a1], [b0, b1]]
    }

    both_streams!("sha,sse4.1,avx");
}

#[cfg(target_arch = "aarch64")]
mod native {
    use std::arch::aarch64::*;

    use super::{BLOCK, K};

    pub(super) fn is_there() -> bool {
        std::arch::is_aarch64_feature_detected!("sha2")
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn vector([a, b, c, d]: [u32; 4]) -> uint32x4_t {
        let pair = |low: u32, high: u32| vcreate_u32(u64::from(low) | u64::from(high) << 32);
        vcombine_u32(pair(a, b), pair(c, d))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn load(state: &[u32; 8]) -> [uint32x4_t; 2] {
        let [a, b, c, d, e, f, g, h] = *state;
        [vector([a, b, c, d]), vector([e, f, g, h])]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn store([abcd, efgh]: [uint32x4_t; 2]) -> [u32; 8] {
        [
            vgetq_lane_u32(abcd, 0),
            vgetq_lane_u32(abcd, 1),
            vgetq_lane_u32(abcd, 2),
            vgetq_lane_u32(abcd, 3),
            vgetq_lane_u32(efgh, 0),
            vgetq_lane_u32(efgh, 1),
            vgetq_lane_u32(efgh, 2),
            vgetq_lane_u32(efgh, 3),
        ]
    }

    /// Words `4 * index` to `4 * index + 3` of a block, which are big endian.
    #[inline]
    #[target_feature(enable = "neon")]
    fn words(block: &[u8; BLOCK], index: usize) -> uint32x4_t {
        let (halves, _) = block.as_chunks::<8>();
        let half = |at: usize| vcreate_u8(u64::from_le_bytes(halves[2 * index + at]));
        vreinterpretq_u32_u8(vrev32q_u8(vcombine_u8(half(0), half(1))))
    }

    /// The next four words of the schedule from the last sixteen, oldest first.
    #[inline]
    #[target_feature(enable = "neon,sha2")]
    fn schedule(w: [uint32x4_t; 4]) -> uint32x4_t {
        vsha256su1q_u32(vsha256su0q_u32(w[0], w[1]), w[2], w[3])
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn add(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        vaddq_u32(a, b)
    }

    /// Of both streams, with their words and constants, in turns.
    #[inline]
    #[target_feature(enable = "neon,sha2")]
    fn four_rounds(
        [[a0, a1], [b0, b1]]: [[uint32x4_t; 2]; 2],
        [c, d]: [uint32x4_t; 2],
    ) -> [[uint32x4_t; 2]; 2] {
        let a = [vsha256hq_u32(a0, a1, c), vsha256h2q_u32(a1, a0, c)];
        let b = [vsha256hq_u32(b0, b1, d), vsha256h2q_u32(b1, b0, d)];
        [a, b]
    }

    both_streams!("neon,sha2");
}

/// First 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4), four by four.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[rustfmt::skip]
static K: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5], [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3], [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc], [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7], [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13], [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3], [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5], [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208], [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::Digest as _;

    use crate::oci::digest::Hasher;

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 3 } else { 300 }, failure_persistence: None, ..ProptestConfig::default() })]

        /// Streams that are fed together and apart, in turns and by any lengths; the second one begins anew now
        /// and then, as spans do.
        #[test]
        fn equals_the_library_however_the_bytes_come(
            seed in any::<u64>(),
            pieces in proptest::collection::vec((0..700usize, 0..8u8), 1..20),
        ) {
            let mut state = seed | 1;
            let mut byte = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            };
            let (mut all, mut part) = (Hasher::new(), Hasher::new());
            let (mut judge, mut part_judge) = (sha2::Sha256::new(), sha2::Sha256::new());
            for (length, what) in pieces {
                let bytes: Vec<u8> = (0..length).map(|_| byte()).collect();
                match what {
                    0 => {
                        all.update(&bytes);
                        judge.update(&bytes);
                    }
                    1 => {
                        let found = std::mem::take(&mut part).finish();
                        prop_assert_eq!(&found.0[..], &part_judge.finalize_reset()[..]);
                    }
                    _ => {
                        all.update_both(&mut part, &bytes);
                        judge.update(&bytes);
                        part_judge.update(&bytes);
                    }
                }
            }
            prop_assert_eq!(&all.finish().0[..], &judge.finalize()[..]);
            prop_assert_eq!(&part.finish().0[..], &part_judge.finalize()[..]);
        }
    }

    /// The test above would pass with nothing of this file in use.
    #[test]
    fn the_instructions_are_used_where_they_are() {
        #[cfg(target_arch = "x86_64")]
        let there = is_x86_feature_detected!("sha") && is_x86_feature_detected!("avx");
        #[cfg(target_arch = "aarch64")]
        let there = std::arch::is_aarch64_feature_detected!("sha2");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let there = false;
        let taken = super::compress(&mut [0; 8], &[[0; 64]; 3], &mut [0; 8], &[[0; 64]; 2]);
        assert_eq!(taken, if there { 2 } else { 0 });
    }
}
