//! What an input left unfinished: a header cut short, a payload, an open message.
//! Holds bytes and counts; what to do with them is decided in `connection`.

use crate::frames::{Opcode, HEADER_BYTES_MAX};
use crate::messages::Message;

/// What an input left unfinished.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The first bytes of a header.
    pub(crate) header: PartialHeader,
    /// A frame whose payload has not arrived in full.
    pub(crate) frame: Option<PartialFrame>,
    /// A message whose last frame has not arrived in full.
    pub(crate) message: Option<Message>,
    /// Payload of an unfinished control frame, at most 125 bytes.
    pub(crate) control: Vec<u8>,
}

impl Progress {
    /// Return the bytes held: the box and what is allocated for payloads.
    pub(crate) fn allocated(&self) -> usize {
        let message = self.message.as_ref().map_or(0, Message::allocated);
        size_of::<Self>() + message + self.control.capacity()
    }
}

/// The bytes of a header that have arrived.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct PartialHeader {
    bytes: [u8; HEADER_BYTES_MAX],
    len: u8,
}

impl PartialHeader {
    /// Return how many bytes have arrived.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Return the bytes that have arrived.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or(&[])
    }

    /// Append from the front of `more` what fits.
    pub(crate) fn fill(&mut self, more: &[u8]) {
        let start = self.len();
        let space = self.bytes.get_mut(start..).unwrap_or(&mut []);
        for (slot, byte) in space.iter_mut().zip(more) {
            *slot = *byte;
            self.len += 1;
        }
    }
}

/// A frame whose payload has not arrived in full.
#[derive(Debug)]
pub(crate) struct PartialFrame {
    /// What the frame carries.
    pub(crate) opcode: Opcode,
    /// Whether it is the last frame of its message.
    pub(crate) fin: bool,
    /// The key of a masked frame.
    pub(crate) masking_key: Option<[u8; 4]>,
    /// Payload bytes that arrived; the masking key turns with it.
    pub(crate) received: usize,
    /// Payload bytes that are missing.
    pub(crate) remaining: usize,
}
