//! Masking (RFC 6455 §5.3): every payload byte XOR the key byte at its position modulo four.
//! `mask` works on eight bytes at a time, which the compiler turns into vector instructions;
//! `mask_plain` is its twin, the sentence of the RFC as code.

/// XOR `data` with `key`, where `data` begins `offset` bytes into the payload.
///
/// Masking twice with the same arguments restores the bytes.
#[inline]
pub fn mask(key: [u8; 4], offset: usize, data: &mut [u8]) {
    // The key as it stands at `offset`, twice: eight bytes are a multiple of the key's length, so
    // one word serves every chunk and its first bytes serve the rest.
    let [a, b, c, d] = rotated(key, offset);
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = data.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Ok(bytes) = <[u8; 8]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ word).to_ne_bytes());
        }
    }
    for (byte, key_byte) in chunks.into_remainder().iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= key_byte;
    }
}

/// Do what [`mask`] does, one byte at a time.
pub fn mask_plain(key: [u8; 4], offset: usize, data: &mut [u8]) {
    let keys = key.into_iter().cycle().skip(offset % 4);
    for (byte, key_byte) in data.iter_mut().zip(keys) {
        *byte ^= key_byte;
    }
}

/// Return `key` turned so that its first byte belongs to payload position `offset`.
#[inline]
fn rotated(mut key: [u8; 4], offset: usize) -> [u8; 4] {
    key.rotate_left(offset % 4);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_of_rfc_5_7_is_unmasked() {
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        mask([0x37, 0xfa, 0x21, 0x3d], 0, &mut payload);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn fast_and_plain_agree_at_every_length_and_offset() {
        // Under Miri every thirteenth: all of them take it minutes.
        for length in (0..100).step_by(if cfg!(miri) { 13 } else { 1 }) {
            for offset in 0..9 {
                let mut fast: Vec<u8> = (0..length).map(|i: u8| i.wrapping_mul(7)).collect();
                let mut plain = fast.clone();
                mask([1, 0x80, 0xff, 0x42], offset, &mut fast);
                mask_plain([1, 0x80, 0xff, 0x42], offset, &mut plain);
                assert_eq!(fast, plain, "length {length}, offset {offset}");
            }
        }
    }

    #[test]
    fn offset_near_the_end_of_usize_does_not_overflow() {
        let mut fast = [0u8; 5];
        let mut plain = [0u8; 5];
        mask([1, 2, 3, 4], usize::MAX, &mut fast);
        mask_plain([1, 2, 3, 4], usize::MAX, &mut plain);
        assert_eq!(fast, [4, 1, 2, 3, 4]);
        assert_eq!(fast, plain);
    }
}
