//! Deflating whole messages (RFC 7692 §7.2.1): payload in, the payload of a compressed frame out.
//! Decides how a message becomes bytes; whether one is compressed is decided in `compression`.

use flate2::{Compress, Compression as Level, FlushCompress, Status};

use crate::frames::{encode_header, Opcode};
use crate::negotiation::{WINDOW_BITS_MAX, WINDOW_BITS_MIN};

/// Payloads below this go uncompressed: what they would save is less than a packet.
pub const DEFLATE_BYTES_MIN: usize = 1024;

/// The most a compressed frame is longer than the plain one: stored blocks cost 5 bytes in each
/// 16 KiB or so, the flush a few more. Rounded up.
pub const fn deflate_overhead_max(payload_len: usize) -> usize {
    payload_len / 1024 + 64
}

/// What ends every flushed message and is not sent (§7.2.1, step 2).
const TAIL: &[u8] = &[0x00, 0x00, 0xff, 0xff];

/// Room made for more output at a time.
const STEP: usize = 4 * 1024;

/// A compressor of messages.
///
/// It keeps its window from message to message, until [`reset`](Self::reset). Whatever it has made
/// must then be sent, in order: what comes later refers to it.
#[derive(Debug)]
pub struct Deflater {
    compress: Compress,
    bytes: usize,
}

impl Deflater {
    /// Make one. The level is 1 (fast) to 9 (small), the window 9 to 15 bits; what lies outside is
    /// moved to the nearest.
    pub fn new(level: u8, window_bits: u8) -> Self {
        let level = Level::new(u32::from(level.clamp(1, 9)));
        let window_bits = window_bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX);
        Self {
            compress: Compress::new_with_window_bits(level, false, window_bits),
            bytes: deflater_bytes(window_bits),
        }
    }

    /// Forget all messages before: the next one refers to none of them.
    pub fn reset(&mut self) {
        self.compress.reset();
    }

    /// Return the memory it holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Append the compressed form of a whole message to `out`; false if it could not be made, and
    /// then `out` is as before and the compressor forgot everything.
    pub fn deflate(&mut self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        if payload.is_empty() {
            // §7.2.3.6: an empty message is the single byte 0x00.
            out.push(0x00);
            return true;
        }
        out.reserve(payload.len() / 4 + STEP);
        let mut rest = payload;
        loop {
            let before = self.compress.total_in();
            let status = self.compress.compress_vec(rest, out, FlushCompress::Sync);
            let taken = usize::try_from(self.compress.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or(&[]);
            match status {
                // Space left over means that the flush is complete.
                Ok(Status::Ok | Status::BufError) if out.len() < out.capacity() => break,
                Ok(Status::Ok | Status::BufError) => out.reserve((out.len() - start).max(STEP)),
                Ok(Status::StreamEnd) | Err(_) => break,
            }
        }
        if rest.is_empty() && out.get(start..).is_some_and(|made| made.ends_with(TAIL)) {
            out.truncate(out.len() - TAIL.len());
            return true;
        }
        out.truncate(start);
        self.reset();
        false
    }

    /// Append a message as one unmasked frame with RSV1, as a server sends it; false as
    /// [`deflate`](Self::deflate).
    pub fn deflate_frame(&mut self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) -> bool {
        append_frame(opcode, out, |out| self.deflate(payload, out))
    }
}

/// Windows a compressor can have.
const WINDOWS: usize = (WINDOW_BITS_MAX - WINDOW_BITS_MIN + 1) as usize;

/// Compressors for messages that refer to none before, one for each window, each made when it is
/// first needed. All connections of a thread can use the same: none of them keeps memory for it.
#[derive(Debug)]
pub struct Deflaters {
    level: u8,
    /// Usually one: clients that ask for a smaller window are few.
    by_window: [Option<Deflater>; WINDOWS],
}

impl Deflaters {
    /// Make none yet, of a level of 1 (fast) to 9 (small).
    pub fn new(level: u8) -> Self {
        Self {
            level,
            by_window: Default::default(),
        }
    }

    /// Return the level.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Append a message as one unmasked frame that is compressed on its own, with a window of 9 to
    /// 15 bits. False if it is to be sent plain, and then `out` is as before: a short message, or
    /// one that would not shrink.
    pub fn deflate_frame(
        &mut self,
        bits: u8,
        opcode: Opcode,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let index = usize::from(bits.saturating_sub(WINDOW_BITS_MIN));
        let Some(place) = self.by_window.get_mut(index) else {
            return false;
        };
        if payload.len() < DEFLATE_BYTES_MIN {
            return false;
        }
        let deflater = place.get_or_insert_with(|| Deflater::new(self.level, bits));
        deflater.reset();
        let start = out.len();
        let is_made = deflater.deflate_frame(opcode, payload, out);
        let header = encode_header(opcode, payload.len(), true, false, None);
        let has_shrunk = out.len() - start < header.as_slice().len() + payload.len();
        if !has_shrunk {
            out.truncate(start);
        }
        is_made && has_shrunk
    }
}

/// Append a frame with RSV1 whose payload `append` makes, unless that returns false.
pub(crate) fn append_frame(
    opcode: Opcode,
    out: &mut Vec<u8>,
    append: impl FnOnce(&mut Vec<u8>) -> bool,
) -> bool {
    /// As long as the header of all but very short and very long payloads, which are moved.
    const HEADER: [u8; 4] = [0; 4];
    let start = out.len();
    out.extend_from_slice(&HEADER);
    let body = out.len();
    if !append(out) {
        out.truncate(start);
        return false;
    }
    let header = encode_header(opcode, out.len() - body, true, true, None);
    out.splice(start..body, header.as_slice().iter().copied());
    true
}

/// What zlib-rs allocates for a compressor: window and chain of twice the window's size each, a
/// hash table of 128 KiB, 112 KiB for output and symbols, and the rest.
const fn deflater_bytes(window_bits: u8) -> usize {
    (4 << window_bits) + 246 * 1024
}
