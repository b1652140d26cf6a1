//! Inflating messages as they arrive (RFC 7692 §7.2.2), in steps that count the output.
//! Decides what a compressed stretch becomes and when it is refused; frames are `connection`'s.
//!
//! 1. Output grows by steps up to the message limit and one byte: the byte too many is 1009.
//! 2. What does not inflate is 1007, and so is a message that stops inside a block, where that can
//!    be told.
//! 3. A final block (BFINAL) ends a stream; what follows it begins another, without its window.

use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::Violation;
use crate::messages::Message;
use crate::negotiation::WINDOW_BITS_MAX;

/// What §7.2.2 has the receiver append to a message.
const TAIL: &[u8] = &[0x00, 0x00, 0xff, 0xff];

/// A final empty block: only a stream that stands between blocks ends with it.
const END: &[u8] = &[0x01, 0x00, 0x00, 0xff, 0xff];

/// What zlib-rs allocates for an inflater: a window of 32 KiB, whatever was agreed, and tables.
pub(crate) const INFLATER_BYTES: usize = 48 * 1024;

/// Inflaters that no message is using, with their memory; clones share them.
///
/// Give all connections of a thread the same: then those without context takeover hold no memory
/// between messages, and a message costs no allocation.
#[derive(Debug, Clone, Default)]
pub struct Inflaters(Arc<Mutex<Vec<Decompress>>>);

impl Inflaters {
    /// Inflaters kept; more are in use at once only while messages arrive in parts.
    const KEPT_MAX: usize = 4;

    fn take(&self) -> Decompress {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The largest window: it takes what was made with any smaller one.
        kept.pop()
            .unwrap_or_else(|| Decompress::new_with_window_bits(false, WINDOW_BITS_MAX))
    }

    fn put(&self, mut inflater: Decompress) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < Self::KEPT_MAX {
            inflater.reset(false);
            kept.push(inflater);
        }
    }
}

/// The receiving half of one connection's extension.
#[derive(Debug)]
pub(crate) struct Inflating {
    /// With takeover, the window's bits: messages may refer to those before.
    takeover: Option<u8>,
    inflaters: Inflaters,
    /// Present while a message is open, and between messages with takeover.
    inflater: Option<Decompress>,
    /// A final block was the last that was read.
    has_ended: bool,
}

impl Inflating {
    pub(crate) fn new(takeover: Option<u8>, inflaters: Inflaters) -> Self {
        Self {
            takeover,
            inflaters,
            inflater: None,
            has_ended: false,
        }
    }

    /// Return the memory held, in bytes.
    pub(crate) fn allocated(&self) -> usize {
        self.inflater.as_ref().map_or(0, |_| INFLATER_BYTES)
    }

    /// Let go of the memory: nothing more is received.
    pub(crate) fn discard(&mut self) {
        self.inflater = None;
    }

    /// Inflate the next bytes of an open message into it.
    pub(crate) fn push(
        &mut self,
        message: &mut Message,
        bytes: &[u8],
        bytes_max: usize,
    ) -> Result<(), Violation> {
        message.note_wire(bytes.len());
        self.inflate(message, bytes, bytes_max)
    }

    /// End the message: add what the sender left out, and judge that nothing is missing.
    pub(crate) fn finish(
        &mut self,
        message: &mut Message,
        bytes_max: usize,
    ) -> Result<(), Violation> {
        // A payload of no byte at all is no valid form of an empty message, and can be no other.
        if message.wire() > 0 && !self.has_ended {
            let before = message.len();
            self.inflate(message, TAIL, bytes_max)?;
            if self.takeover.is_none() {
                self.inflate(message, END, bytes_max)?;
            }
            // The tail is an empty block: it ends nothing but what was complete before.
            if message.len() != before || self.has_ended == self.takeover.is_some() {
                return Err(Violation::DeflateInvalid);
            }
        }
        if self.takeover.is_none() {
            self.has_ended = false;
            if let Some(inflater) = self.inflater.take() {
                self.inflaters.put(inflater);
            }
        }
        Ok(())
    }

    fn inflate(
        &mut self,
        message: &mut Message,
        mut input: &[u8],
        bytes_max: usize,
    ) -> Result<(), Violation> {
        if input.is_empty() {
            return Ok(());
        }
        let inflater = self.inflater.get_or_insert_with(|| match self.takeover {
            Some(bits) => Decompress::new_with_window_bits(false, bits),
            None => self.inflaters.take(),
        });
        loop {
            if self.has_ended {
                inflater.reset(false);
                self.has_ended = false;
            }
            let taken_before = inflater.total_in();
            let (status, is_full) = message.extend_with(bytes_max, input.len(), |buffer| {
                inflater.decompress_vec(input, buffer, FlushDecompress::None)
            })?;
            let taken = inflater.total_in() - taken_before;
            let taken = usize::try_from(taken).unwrap_or(usize::MAX);
            input = input.get(taken..).unwrap_or(&[]);
            match status {
                Ok(Status::StreamEnd) => self.has_ended = true,
                // Neither input nor space is missing, and yet nothing moves.
                Ok(_) if taken == 0 && !is_full && !input.is_empty() => {
                    return Err(Violation::DeflateInvalid)
                }
                Ok(_) => {}
                Err(_) => return Err(Violation::DeflateInvalid),
            }
            // A full buffer may hide more output, unless the stream has ended.
            if input.is_empty() && (!is_full || self.has_ended) {
                return Ok(());
            }
        }
    }
}
