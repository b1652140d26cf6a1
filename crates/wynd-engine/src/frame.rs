//! Encoded frames: built once, then only copied or shared.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wynd_protocol::frames::{encode_frame, Opcode};
use wynd_protocol::MessageKind;

use crate::memory::Meter;

/// From this size on a frame is shared by the outboxes it is in; below, a copy is cheaper than a
/// reference to follow.
pub(crate) const SHARE_BYTES_MIN: usize = 4 * 1024;

/// The opcode of an unfragmented message.
pub(crate) fn opcode_of(kind: MessageKind) -> Opcode {
    match kind {
        MessageKind::Text => Opcode::Text,
        MessageKind::Binary => Opcode::Binary,
    }
}

/// A message framed once and sent to many, the engine's half of `Prepared`.
#[derive(Clone)]
pub struct SharedFrame(Arc<Framed>);

struct Framed {
    bytes: Box<[u8]>,
    /// Charged once for all outboxes, while any holds the frame.
    meter: OnceLock<Meter>,
    /// Compressed on its own, by window; `None` where that is no shorter.
    deflated: Mutex<Vec<(Window, Option<SharedFrame>)>>,
}

/// With which level and window bits a frame is compressed.
pub(crate) type Window = (u8, u8);

impl Drop for Framed {
    fn drop(&mut self) {
        if let Some(meter) = self.meter.get() {
            meter.release(self.bytes.len());
        }
    }
}

impl SharedFrame {
    /// Frames a message. The payload of a text must be UTF-8.
    pub fn new(kind: MessageKind, payload: &[u8]) -> Self {
        let mut bytes = Vec::new();
        encode_frame(opcode_of(kind), payload, &mut bytes);
        Self::holding(bytes.into_boxed_slice())
    }

    fn holding(bytes: Box<[u8]>) -> Self {
        Self(Arc::new(Framed {
            bytes,
            meter: OnceLock::new(),
            deflated: Mutex::default(),
        }))
    }

    /// Shares a frame that was encoded already.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::holding(bytes.into())
    }

    /// The frame compressed with this window, made by `deflate` at the first call; `None` where
    /// that makes none. The frame itself is plain.
    pub(crate) fn deflated(
        &self,
        window: Window,
        deflate: impl FnOnce(&[u8]) -> Option<Self>,
    ) -> Option<Self> {
        let mut made = self
            .0
            .deflated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, frame)) = made.iter().find(|(of, _)| *of == window) {
            return frame.clone();
        }
        let frame = deflate(self.bytes());
        made.push((window, frame.clone()));
        frame
    }

    /// Counts the frame in `meter`, once, until the last holder lets go.
    pub(crate) fn count_in(&self, meter: &Meter) {
        self.0.meter.get_or_init(|| {
            meter.charge(self.bytes().len());
            meter.clone()
        });
    }

    /// Bytes on the wire, header included.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl fmt::Debug for SharedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedFrame({} bytes)", self.bytes().len())
    }
}

/// The kind and the payload of one plain message frame of this crate's.
pub(crate) fn message_of(frame: &[u8]) -> (MessageKind, &[u8]) {
    let header = match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    let is_text = frame.first().is_some_and(|first| first & 0x0f == 0x01);
    let kind = if is_text {
        MessageKind::Text
    } else {
        MessageKind::Binary
    };
    (kind, frame.get(header..).unwrap_or(&[]))
}

/// Splits the first frame off a run of encoded server frames.
///
/// The run was encoded by this crate, so lengths are right; a damaged run comes back whole.
pub(crate) fn split_frame(run: &[u8]) -> (&[u8], &[u8]) {
    let size = match run {
        [_, 126, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        [_, 127, rest @ ..] => rest.first_chunk().map_or(run.len(), |length| {
            let length = u64::from_be_bytes(*length);
            usize::try_from(length).map_or(usize::MAX, |length| length.saturating_add(10))
        }),
        [_, length, ..] => 2 + usize::from(*length),
        _ => run.len(),
    };
    run.split_at(size.min(run.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_a_run_splits_into_its_frames() {
        let sizes = [0, 1, 125, 126, 65_535, 65_536, 3];
        let mut run = Vec::new();
        for size in sizes {
            encode_frame(Opcode::Binary, &vec![9; size], &mut run);
        }
        let mut rest = run.as_slice();
        for size in sizes {
            let (frame, after) = split_frame(rest);
            let expected = (MessageKind::Binary, vec![9; size]);
            assert_eq!(message_of(frame), (expected.0, expected.1.as_slice()));
            assert_eq!(
                frame,
                SharedFrame::new(MessageKind::Binary, &vec![9; size]).bytes()
            );
            rest = after;
        }
        assert!(rest.is_empty());
        assert_eq!(split_frame(&[]), (&[][..], &[][..]));
        assert_eq!(split_frame(&[0x82]), (&[0x82][..], &[][..]));
    }

    #[test]
    fn test_a_metered_frame_counts_once_until_the_last_holder_lets_go() {
        let meter = Meter::default();
        let frame = SharedFrame::of(&[1, 2, 3]);
        assert_eq!(meter.bytes(), 0);
        frame.count_in(&meter);
        let other = frame.clone();
        other.count_in(&meter);
        assert_eq!(meter.bytes(), 3);
        drop(frame);
        assert_eq!(meter.bytes(), 3);
        drop(other);
        assert_eq!(meter.bytes(), 0);
    }
}
