//! permessage-deflate (RFC 7692) of one open connection: both halves, in one box that a connection
//! without the extension does not have.
//!
//! With context takeover a compressed message must be sent, and in order: the ones after it refer
//! to it. So compressing and appending to the output are one step here.

use crate::connection::Connection;
use crate::deflating::{append_frame, Deflater, DEFLATE_BYTES_MIN};
use crate::events::Role;
use crate::inflating::{Inflaters, Inflating};
use crate::messages::MessageKind;
use crate::negotiation::{DeflateParameters, WINDOW_BITS_MAX, WINDOW_BITS_MIN};

/// The extension's state.
#[derive(Debug)]
pub(crate) struct Compression {
    parameters: DeflateParameters,
    level: u8,
    pub(crate) inflating: Inflating,
    /// Made with the first message that is compressed; kept only with takeover.
    deflater: Option<Deflater>,
}

impl Compression {
    pub(crate) fn allocated(&self) -> usize {
        let deflater = self.deflater.as_ref().map_or(0, Deflater::bytes);
        self.inflating.allocated() + deflater
    }
}

impl Connection {
    /// Switch permessage-deflate on, with what the opening handshake agreed and a compression level
    /// of 1 to 9; before any byte is received or sent.
    pub fn enable_deflate(
        &mut self,
        parameters: DeflateParameters,
        level: u8,
        inflaters: Inflaters,
    ) {
        let takeover = match self.role {
            Role::Server => (!parameters.client_no_context_takeover)
                .then_some(parameters.client_max_window_bits),
            Role::Client => (!parameters.server_no_context_takeover)
                .then_some(parameters.server_max_window_bits),
        };
        // A larger window than the peer's takes all that it makes.
        let takeover = takeover.map(|bits| bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX));
        self.compression = Some(Box::new(Compression {
            parameters,
            level,
            inflating: Inflating::new(takeover, inflaters),
            deflater: None,
        }));
    }

    /// Return what was agreed about compression, `None` without it.
    #[inline]
    pub fn deflate_parameters(&self) -> Option<&DeflateParameters> {
        self.compression.as_deref().map(|state| &state.parameters)
    }

    /// Append the compressed payload of a message to `out`; false if it is to be sent plain, and
    /// then `out` is as before.
    ///
    /// Short messages stay plain, and without takeover those that would not shrink.
    pub(crate) fn deflate_payload(&mut self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(state) = self.compression.as_deref_mut() else {
            return false;
        };
        if payload.len() < DEFLATE_BYTES_MIN {
            return false;
        }
        let parameters = &state.parameters;
        let (bits, is_alone) = match self.role {
            Role::Server => (
                parameters.server_max_window_bits,
                parameters.server_no_context_takeover,
            ),
            Role::Client => (
                parameters.client_max_window_bits,
                parameters.client_no_context_takeover,
            ),
        };
        let level = state.level;
        let deflater = state
            .deflater
            .get_or_insert_with(|| Deflater::new(level, bits));
        let start = out.len();
        let is_made = deflater.deflate(payload, out);
        if !is_alone {
            return is_made;
        }
        state.deflater = None;
        let has_shrunk = out.len() - start < payload.len();
        if !has_shrunk {
            out.truncate(start);
        }
        is_made && has_shrunk
    }

    /// Append a message as one unmasked frame, compressed with this connection's own context; false
    /// if it is to be sent plain, and then `out` is as before. For servers that encode frames
    /// outside of the connection; the payload of a text must be UTF-8.
    pub fn deflate_frame(&mut self, kind: MessageKind, payload: &[u8], out: &mut Vec<u8>) -> bool {
        append_frame(kind.opcode(), out, |out| self.deflate_payload(payload, out))
    }
}
