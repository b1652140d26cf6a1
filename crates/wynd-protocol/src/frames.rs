//! Frame headers (RFC 6455 §5.2): judged byte by byte as they arrive, and encoded.
//! Knows the rules a header can break by itself; whether it fits the open message and the limits is
//! decided in `messages`.

use crate::error::Violation;

/// Payload bytes of a control frame at most (§5.5); larger lengths are refused at the header.
pub const CONTROL_PAYLOAD_MAX: usize = 125;

/// Bytes of a header at most: two, eight of length, four of masking key.
pub const HEADER_BYTES_MAX: usize = 14;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV_2_AND_3: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// What a frame carries (§5.2, §11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// A further fragment of the open message.
    Continuation,
    /// A text message, or its first fragment.
    Text,
    /// A binary message, or its first fragment.
    Binary,
    /// The closing handshake.
    Close,
    /// A question whether the peer lives.
    Ping,
    /// The answer to a ping.
    Pong,
}

impl Opcode {
    /// Return the opcode of these four bits; `None` for the reserved ones.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }

    /// Return the four bits of this opcode.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    /// Return whether this is a control frame (§5.5).
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A complete header that broke no rule of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// Whether RSV1 is set: the message is compressed, once an extension says so.
    pub rsv1: bool,
    /// What the frame carries.
    pub opcode: Opcode,
    /// The key of a masked frame.
    pub masking_key: Option<[u8; 4]>,
    /// Payload bytes that follow; at most 2^63 - 1 (§5.2).
    pub payload_len: u64,
}

/// The first byte of a header, judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstByte {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// Whether RSV1 is set: the message that begins is compressed.
    pub rsv1: bool,
    /// What the frame carries.
    pub opcode: Opcode,
}

/// Judge the first byte of a header: reserved bits, opcode, fragmented control frames.
/// `deflates` says whether permessage-deflate was agreed.
#[inline]
pub fn decode_first_byte(byte: u8, deflates: bool) -> Result<FirstByte, Violation> {
    // §5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero
    // values. If a nonzero value is received […] the receiving endpoint MUST _Fail the WebSocket
    // Connection_."
    if byte & (RSV1 | RSV_2_AND_3) != 0 && !(deflates && has_only_rsv1(byte)) {
        return Err(Violation::ReservedBits);
    }
    let fin = byte & FIN != 0;
    let rsv1 = byte & RSV1 != 0;
    let opcode = Opcode::from_bits(byte & OPCODE).ok_or(Violation::ReservedOpcode)?;
    // §5.5: "All control frames […] MUST NOT be fragmented."
    if opcode.is_control() && !fin {
        return Err(Violation::ControlFragmented);
    }
    Ok(FirstByte { fin, rsv1, opcode })
}

/// RFC 7692 §6: RSV1 of a message's first frame marks it as compressed. §6.1: "An endpoint MUST NOT
/// set the "Per-Message Compressed" bit of control frames and non-first fragments of a data
/// message."
#[cold]
fn has_only_rsv1(byte: u8) -> bool {
    let is_first = matches!(
        Opcode::from_bits(byte & OPCODE),
        Some(Opcode::Text | Opcode::Binary)
    );
    byte & RSV_2_AND_3 == 0 && is_first
}

/// Decode what follows the first byte, from the front of `rest`.
///
/// Every rule is judged at the byte that breaks it, also when the header is not complete, so that a
/// stream fails at the same byte however it is cut. `mask_expected` is true in the server role.
///
/// Returns the header and its size in bytes, first byte included; `None` while bytes are missing.
#[inline]
pub fn decode_rest(
    first: FirstByte,
    rest: &[u8],
    mask_expected: bool,
) -> Result<Option<(Header, usize)>, Violation> {
    let Some((&second, after)) = rest.split_first() else {
        return Ok(None);
    };
    judge_second_byte(first.opcode, second, mask_expected)?;
    let Some((payload_len, length_size)) = decode_length(second & LENGTH, after)? else {
        return Ok(None);
    };
    let mut header = Header {
        fin: first.fin,
        rsv1: first.rsv1,
        opcode: first.opcode,
        masking_key: None,
        payload_len,
    };
    let mut size = 2 + length_size;
    if mask_expected {
        let after = after.get(length_size..).unwrap_or(&[]);
        let Some(key) = after.first_chunk::<4>() else {
            return Ok(None);
        };
        header.masking_key = Some(*key);
        size += 4;
    }
    Ok(Some((header, size)))
}

#[inline]
fn judge_second_byte(opcode: Opcode, second: u8, mask_expected: bool) -> Result<(), Violation> {
    // §5.1: "The server MUST close the connection upon receiving a frame that is not masked." and
    // "A client MUST close a connection if it detects a masked frame."
    match (second & MASKED != 0, mask_expected) {
        (false, true) => return Err(Violation::MaskMissing),
        (true, false) => return Err(Violation::MaskUnexpected),
        (true, true) | (false, false) => {}
    }
    let short_len = second & LENGTH;
    // §5.5: "All control frames MUST have a payload length of 125 bytes or less". Both marks of a
    // longer length are above it.
    if opcode.is_control() && usize::from(short_len) > CONTROL_PAYLOAD_MAX {
        return Err(Violation::ControlTooLong);
    }
    // §5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned
    // integer". One byte cannot hold it, which the header already shows.
    if opcode == Opcode::Close && short_len == 1 {
        return Err(Violation::ClosePayloadTooShort);
    }
    Ok(())
}

/// Return the length, and how many bytes it took beyond the second one.
#[inline]
fn decode_length(short_len: u8, after: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    match short_len {
        LENGTH_16 => decode_length_16(after),
        LENGTH_64 => decode_length_64(after),
        short => Ok(Some((u64::from(short), 0))),
    }
}

fn decode_length_16(after: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let Some(bytes) = after.first_chunk::<2>() else {
        return Ok(None);
    };
    let length = u64::from(u16::from_be_bytes(*bytes));
    // §5.2: "in all cases, the minimal number of bytes MUST be used to encode the length".
    if length < u64::from(LENGTH_16) {
        return Err(Violation::LengthNotMinimal);
    }
    Ok(Some((length, 2)))
}

fn decode_length_64(after: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    // §5.2: "the most significant bit MUST be 0".
    if after.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Err(Violation::LengthOverflow);
    }
    let Some(bytes) = after.first_chunk::<8>() else {
        return Ok(None);
    };
    let length = u64::from_be_bytes(*bytes);
    if u16::try_from(length).is_ok() {
        return Err(Violation::LengthNotMinimal);
    }
    Ok(Some((length, 8)))
}

/// A header on the wire, built on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedHeader {
    bytes: [u8; HEADER_BYTES_MAX],
    len: u8,
}

impl EncodedHeader {
    /// Return the bytes to put before the payload.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // `len` is at most the array's length by construction; `get` keeps that free of a panic.
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    #[inline]
    fn push<const N: usize>(&mut self, bytes: [u8; N]) {
        let start = usize::from(self.len);
        if let Some(space) = self.bytes.get_mut(start..start + N) {
            space.copy_from_slice(&bytes);
            self.len = self.len.saturating_add(u8::try_from(N).unwrap_or(u8::MAX));
        }
    }
}

/// Encode a header for a payload of `payload_len` bytes, its length in the shortest form.
///
/// With a masking key the caller masks the payload with it. Control frames of over 125 bytes or
/// without `fin` are the caller's mistake and are encoded as asked.
#[inline]
pub fn encode_header(
    opcode: Opcode,
    payload_len: usize,
    fin: bool,
    rsv1: bool,
    masking_key: Option<[u8; 4]>,
) -> EncodedHeader {
    let first = opcode.bits() | if fin { FIN } else { 0 } | if rsv1 { RSV1 } else { 0 };
    let masked = if masking_key.is_some() { MASKED } else { 0 };
    let mut header = EncodedHeader {
        bytes: [0; HEADER_BYTES_MAX],
        len: 0,
    };
    match (u8::try_from(payload_len), u16::try_from(payload_len)) {
        (Ok(length), _) if length < LENGTH_16 => header.push([first, masked | length]),
        (_, Ok(length)) => {
            header.push([first, masked | LENGTH_16]);
            header.push(length.to_be_bytes());
        }
        (_, Err(_)) => {
            header.push([first, masked | LENGTH_64]);
            // A slice is never longer than `isize::MAX`, so its length always fits in 63 bits.
            header.push(u64::try_from(payload_len).unwrap_or(u64::MAX).to_be_bytes());
        }
    }
    if let Some(key) = masking_key {
        header.push(key);
    }
    header
}

/// Append a whole unfragmented, unmasked frame to `out`, as a server sends it.
#[inline]
pub fn encode_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    let header = encode_header(opcode, payload.len(), true, false, None);
    out.reserve(header.as_slice().len() + payload.len());
    out.extend_from_slice(header.as_slice());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], mask_expected: bool) -> Result<Option<(Header, usize)>, Violation> {
        let first = decode_first_byte(bytes[0], false)?;
        decode_rest(first, &bytes[1..], mask_expected)
    }

    #[test]
    fn reserved_bits_are_refused() {
        for bit in [0x40, 0x20, 0x10] {
            for opcode in [0x0, 0x1, 0x2, 0x8, 0x9, 0xa] {
                let got = decode_first_byte(0x80 | bit | opcode, false);
                assert_eq!(got, Err(Violation::ReservedBits));
                let deflated = decode_first_byte(0x80 | bit | opcode, true);
                assert_eq!(deflated.is_ok(), bit == 0x40 && matches!(opcode, 1 | 2));
                assert!(decode_first_byte(0x80 | opcode, true).is_ok_and(|first| !first.rsv1));
            }
        }
    }

    #[test]
    fn reserved_opcodes_are_refused() {
        for opcode in (3..=7).chain(11..=15) {
            let got = decode_first_byte(0x80 | opcode, false);
            assert_eq!(got, Err(Violation::ReservedOpcode));
        }
    }

    #[test]
    fn control_frames_are_refused_by_their_header() {
        for opcode in [0x8, 0x9, 0xa] {
            let unfinished = decode_first_byte(opcode, false);
            assert_eq!(unfinished, Err(Violation::ControlFragmented));
            for length in [126, 127] {
                let long = decode(&[0x80 | opcode, 0x80 | length], true);
                assert_eq!(long, Err(Violation::ControlTooLong));
            }
        }
        let short_close = decode(&[0x88, 0x81], true);
        assert_eq!(short_close, Err(Violation::ClosePayloadTooShort));
    }

    #[test]
    fn mask_must_fit_the_role() {
        assert_eq!(decode(&[0x81, 0x05], true), Err(Violation::MaskMissing));
        assert_eq!(decode(&[0x81, 0x85], false), Err(Violation::MaskUnexpected));
    }

    #[test]
    fn lengths_must_be_minimal_and_below_2_to_the_63() {
        let cases: [(&[u8], Violation); 6] = [
            (&[0x82, 126, 0, 0], Violation::LengthNotMinimal),
            (&[0x82, 126, 0, 125], Violation::LengthNotMinimal),
            (
                &[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 125],
                Violation::LengthNotMinimal,
            ),
            (
                &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                Violation::LengthNotMinimal,
            ),
            (&[0x82, 127, 0x80], Violation::LengthOverflow),
            (
                &[0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0],
                Violation::LengthOverflow,
            ),
        ];
        for (bytes, violation) in cases {
            assert_eq!(decode(bytes, false), Err(violation), "{bytes:?}");
        }
    }

    #[test]
    fn boundary_lengths_round_trip_and_are_incomplete_until_their_last_byte() {
        for length in [
            0, 1, 124, 125, 126, 127, 255, 256, 65_534, 65_535, 65_536, 65_537,
        ] {
            for key in [None, Some([1, 2, 3, 4])] {
                let encoded = encode_header(Opcode::Binary, length, false, false, key);
                let bytes = encoded.as_slice();
                for cut in 1..bytes.len() {
                    assert_eq!(decode(&bytes[..cut], key.is_some()), Ok(None));
                }
                let (header, size) = decode(bytes, key.is_some()).unwrap().unwrap();
                assert_eq!(size, bytes.len());
                assert_eq!(header.payload_len, length as u64);
                assert_eq!(header.masking_key, key);
                assert!(!header.fin);
            }
        }
    }

    #[test]
    fn largest_length_fills_a_header() {
        let encoded = encode_header(Opcode::Text, usize::MAX, true, true, Some([9; 4]));
        assert_eq!(encoded.as_slice().len(), HEADER_BYTES_MAX);
        assert_eq!(encoded.as_slice()[..2], [0xc1, 0xff]);
    }

    #[test]
    fn frame_of_rfc_5_7_is_encoded() {
        let mut out = vec![0xaa];
        encode_frame(Opcode::Text, b"Hello", &mut out);
        assert_eq!(out, [0xaa, 0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    }

    #[test]
    fn opcodes_and_bits_agree() {
        for bits in 0..16 {
            if let Some(opcode) = Opcode::from_bits(bits) {
                assert_eq!(opcode.bits(), bits);
                assert_eq!(opcode.is_control(), bits >= 8);
            }
        }
    }
}
