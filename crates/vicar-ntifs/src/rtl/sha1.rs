//! SHA-1, for the names of services only: their SIDs were defined with it, and nothing here relies on its strength.
//!
//! # Source
//! FIPS 180-4, 6.1.

/// Returns the digest of `message`.
pub(super) fn digest(message: &[u8]) -> [u8; 20] {
    let mut state = [0x6745_2301_u32, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let bits = u64::try_from(message.len()).unwrap_or(u64::MAX).wrapping_mul(8);
    let mut padded = message.to_vec();
    padded.push(0x80);
    while !padded.len().wrapping_add(8).is_multiple_of(64) {
        padded.push(0);
    }
    padded.extend_from_slice(&bits.to_be_bytes());
    let (blocks, _) = padded.as_chunks::<64>();
    for block in blocks {
        absorb(&mut state, block);
    }
    let mut out = [0; 20];
    for (to, from) in out.iter_mut().zip(state.iter().flat_map(|word| word.to_be_bytes())) {
        *to = from;
    }
    out
}

fn absorb(state: &mut [u32; 5], block: &[u8; 64]) {
    let (words, _) = block.as_chunks::<4>();
    let mut schedule: Vec<u32> = words.iter().map(|word| u32::from_be_bytes(*word)).collect();
    let back = |schedule: &[u32], by: usize| {
        schedule.len().checked_sub(by).and_then(|at| schedule.get(at)).copied().unwrap_or(0)
    };
    while schedule.len() < 80 {
        let mixed = [3, 8, 14, 16].into_iter().fold(0, |mixed, by| mixed ^ back(&schedule, by));
        schedule.push(mixed.rotate_left(1));
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (round, word) in schedule.into_iter().enumerate() {
        let (mixed, constant) = match round {
            0..20 => ((b & c) | (!b & d), 0x5A82_7999),
            20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6),
        };
        let next = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(word);
        (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
    }
    for (kept, new) in state.iter_mut().zip([a, b, c, d, e]) {
        *kept = kept.wrapping_add(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(message: &[u8]) -> String {
        digest(message).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_examples_of_the_standard_come_out() {
        assert_eq!(hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        let two_blocks = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(hex(two_blocks), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    }
}
