//! Fragments into messages (RFC 6455 §5.4): which frame may come next, how large a message may get,
//! and the bytes of one that is not complete. Knows no control frames.
//!
//! 1. A header is judged before any byte of its payload is kept.
//! 2. The buffer grows with the bytes received, by at most one and a half times; a declared length
//!    never reserves anything.
//! 3. The bytes of a text are valid UTF-8 so far, or the message does not exist any more.
//! 4. A compressed message (RFC 7692) is collected inflated; its limit counts what came out, and a
//!    looser one what came in.

use crate::error::Violation;
use crate::frames::{FirstByte, Opcode};
use crate::limits::Limits;
use crate::utf8::Utf8Validator;

/// Whether a message is text or binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

impl MessageKind {
    /// Return the opcode of the first frame of such a message.
    pub(crate) const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

/// Most that one step of inflating makes room for; half of what the limit may be passed by.
const STEP_MAX: usize = 512 * 1024;

/// A message that has begun and not ended.
#[derive(Debug)]
pub(crate) struct Message {
    kind: MessageKind,
    /// Frames begun, empty ones counted.
    fragments: u32,
    utf8: Utf8Validator,
    buffer: Vec<u8>,
    /// Payload bytes that arrived of a compressed message; `None` for a plain one.
    deflated: Option<usize>,
}

impl Message {
    /// Begin a message with its first frame.
    pub(crate) fn begin(kind: MessageKind) -> Self {
        Self {
            kind,
            fragments: 1,
            utf8: Utf8Validator::default(),
            buffer: Vec::new(),
            deflated: None,
        }
    }

    /// Begin a compressed message with its first frame.
    pub(crate) fn begin_deflated(kind: MessageKind) -> Self {
        Self {
            deflated: Some(0),
            ..Self::begin(kind)
        }
    }

    /// Return whether the message arrives compressed.
    pub(crate) fn is_deflated(&self) -> bool {
        self.deflated.is_some()
    }

    /// Return the compressed bytes that arrived.
    pub(crate) fn wire(&self) -> usize {
        self.deflated.unwrap_or(0)
    }

    /// Count compressed bytes.
    pub(crate) fn note_wire(&mut self, bytes: usize) {
        self.deflated = Some(self.wire().saturating_add(bytes));
    }

    /// Return the bytes of the message so far.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Let `write` append to the buffer what `input_len` compressed bytes become, in a step of
    /// bounded size; return its result, and whether the step was filled.
    pub(crate) fn extend_with<T>(
        &mut self,
        bytes_max: usize,
        input_len: usize,
        write: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> Result<(T, bool), Violation> {
        let before = self.buffer.len();
        if before == self.buffer.capacity() {
            // Half as much again as is held; at the limit one byte more, which shows the excess.
            let step = (before / 2)
                .max(input_len.saturating_mul(3))
                .clamp(256, STEP_MAX);
            let left = bytes_max.saturating_add(1).saturating_sub(before);
            self.buffer.reserve_exact(step.min(left));
        }
        let written = write(&mut self.buffer);
        // Byte by byte what is within the limit is judged before the byte too many comes; so it is
        // in any step.
        if self.kind == MessageKind::Text {
            let end = self.buffer.len().min(bytes_max);
            let new = self.buffer.get(before..end).unwrap_or(&[]);
            self.utf8.push(new).map_err(|_| Violation::TextInvalid)?;
        }
        if self.buffer.len() > bytes_max {
            return Err(Violation::MessageTooBig);
        }
        Ok((written, self.buffer.len() == self.buffer.capacity()))
    }

    /// Count a continuation frame whose header was judged.
    pub(crate) fn begin_fragment(&mut self) {
        self.fragments = self.fragments.saturating_add(1);
    }

    /// Return the bytes allocated for the payload so far.
    pub(crate) fn allocated(&self) -> usize {
        self.buffer.capacity()
    }

    /// Take payload bytes; `expected` more will follow in this frame if it is the last one, else
    /// `None`.
    pub(crate) fn push(&mut self, bytes: &[u8], expected: Option<usize>) -> Result<(), Violation> {
        if self.kind == MessageKind::Text {
            self.utf8.push(bytes).map_err(|_| Violation::TextInvalid)?;
        }
        self.reserve(bytes.len(), expected);
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// End the message; a text must not stop inside a character.
    pub(crate) fn finish(self) -> Result<(MessageKind, Vec<u8>), Violation> {
        if self.kind == MessageKind::Text {
            self.utf8.finish().map_err(|_| Violation::TextInvalid)?;
        }
        Ok((self.kind, self.buffer))
    }

    /// Make room for `more` bytes: half as much again as is held then, which keeps copying linear,
    /// and no more than the whole message needs once its end is known.
    fn reserve(&mut self, more: usize, expected: Option<usize>) {
        let needed = self.buffer.len().saturating_add(more);
        if needed > self.buffer.capacity() {
            let grown = needed.saturating_add(needed / 2);
            let whole = expected.map_or(usize::MAX, |after| needed.saturating_add(after));
            self.buffer
                .reserve_exact(grown.min(whole).saturating_sub(self.buffer.len()));
        }
    }
}

/// Judge whether a frame may come now: the rules of §5.4 and the limit on fragments.
///
/// Control frames may come at any time, also between fragments.
#[inline]
pub(crate) fn judge_sequence(
    open: Option<&Message>,
    frame: FirstByte,
    limits: &Limits,
) -> Result<(), Violation> {
    let fragments_before = match (frame.opcode, open) {
        (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
        (Opcode::Continuation, None) => return Err(Violation::ContinuationUnexpected),
        (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Violation::ContinuationMissing),
        (Opcode::Continuation, Some(message)) => message.fragments,
        (Opcode::Text | Opcode::Binary, None) => 0,
    };
    if fragments_before >= limits.message_fragments_max {
        return Err(Violation::TooManyFragments);
    }
    Ok(())
}

/// Judge the declared length of a data frame, and return it.
#[inline]
pub(crate) fn judge_size(
    open: Option<&Message>,
    is_deflated: bool,
    payload_len: u64,
    limits: &Limits,
) -> Result<usize, Violation> {
    if is_deflated || open.is_some_and(Message::is_deflated) {
        return judge_deflated_size(open, payload_len, limits);
    }
    let held = open.map_or(0, |message| message.buffer.len());
    let declared = usize::try_from(payload_len).map_err(|_| Violation::MessageTooBig)?;
    match held.checked_add(declared) {
        Some(whole) if whole <= limits.message_bytes_max => Ok(declared),
        Some(_) | None => Err(Violation::MessageTooBig),
    }
}

/// Judge the declared length of a compressed frame: what no compressor makes of a message within
/// the limit is refused unread. zlib's own bound for its worst settings is 9/64 above the input.
#[cold]
fn judge_deflated_size(
    open: Option<&Message>,
    payload_len: u64,
    limits: &Limits,
) -> Result<usize, Violation> {
    let most = limits.message_bytes_max;
    let most = most.saturating_add(most / 64 * 9).saturating_add(64);
    let declared = usize::try_from(payload_len).map_err(|_| Violation::MessageTooBig)?;
    match open.map_or(0, Message::wire).checked_add(declared) {
        Some(whole) if whole <= most => Ok(declared),
        Some(_) | None => Err(Violation::MessageTooBig),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        message_bytes_max: 10,
        message_fragments_max: 3,
    };

    fn frame(opcode: Opcode) -> FirstByte {
        FirstByte {
            fin: false,
            rsv1: false,
            opcode,
        }
    }

    #[test]
    fn buffer_grows_with_the_bytes_received() {
        let most = if cfg!(miri) { 3_000 } else { 100_000 }; // Miri takes minutes for all
        for part in [1, 7, 100, 1000] {
            let mut message = Message::begin(MessageKind::Binary);
            for received in (part..most).step_by(part) {
                message.push(&vec![7; part], None).unwrap();
                assert!(message.allocated() <= received + received / 2, "{received}");
            }
        }
    }

    #[test]
    fn buffer_of_a_last_frame_ends_at_its_size() {
        let mut message = Message::begin(MessageKind::Binary);
        for left in (0..1000_usize).rev() {
            message.push(&[7], Some(left)).unwrap();
        }
        assert_eq!(message.allocated(), 1000);
    }

    #[test]
    fn few_reallocations_serve_a_dribbled_message() {
        let mut message = Message::begin(MessageKind::Binary);
        let mut reallocations = 0;
        for _ in 0..if cfg!(miri) { 2_000 } else { 100_000 } {
            let before = message.allocated();
            message.push(&[7], None).unwrap();
            reallocations += usize::from(message.allocated() != before);
        }
        assert!(reallocations < 35, "{reallocations}");
    }

    #[test]
    fn fragments_are_counted_when_empty_too() {
        let mut message = Message::begin(MessageKind::Text);
        for _ in 1..LIMITS.message_fragments_max {
            let judged = judge_sequence(Some(&message), frame(Opcode::Continuation), &LIMITS);
            assert_eq!(judged, Ok(()));
            message.begin_fragment();
        }
        assert_eq!(
            judge_sequence(Some(&message), frame(Opcode::Continuation), &LIMITS),
            Err(Violation::TooManyFragments)
        );
        assert_eq!(
            judge_sequence(Some(&message), frame(Opcode::Ping), &LIMITS),
            Ok(())
        );
    }

    #[test]
    fn size_is_the_sum_of_all_fragments() {
        let mut message = Message::begin(MessageKind::Binary);
        message.push(&[0; 4], None).unwrap();
        assert_eq!(judge_size(Some(&message), false, 6, &LIMITS), Ok(6));
        let too_big = Err(Violation::MessageTooBig);
        assert_eq!(judge_size(Some(&message), false, 7, &LIMITS), too_big);
        assert_eq!(
            judge_size(Some(&message), false, u64::MAX, &LIMITS),
            too_big
        );
        assert_eq!(judge_size(None, false, 1 << 40, &LIMITS), too_big);
    }
}
