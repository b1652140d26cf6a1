//! What a connection sends: frames appended to the caller's buffer, masked in the client role.
//! Decides what may not be sent; when bytes leave is the caller's affair.

use crate::closing::{is_sendable_close_code, Step};
use crate::connection::Connection;
use crate::error::{SendError, Violation};
use crate::events::Role;
use crate::frames::{self, Opcode, CONTROL_PAYLOAD_MAX};
use crate::mask::mask;
use crate::messages::MessageKind;

/// Reason bytes of a close frame at most: a control frame carries 125, two of them the code.
const CLOSE_REASON_MAX: usize = CONTROL_PAYLOAD_MAX - 2;

impl Connection {
    /// Append a message as one frame, compressed where that was agreed and the message is long
    /// enough. Text is checked to be UTF-8.
    ///
    /// # Errors
    ///
    /// Nothing is appended after our close frame, for text that is not UTF-8, or without masking
    /// keys in the client role.
    pub fn send_message(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if kind == MessageKind::Text && simdutf8::basic::from_utf8(payload).is_err() {
            return Err(SendError::TextInvalid);
        }
        self.check_sendable()?;
        let mut deflated = Vec::new();
        if self.deflate_payload(payload, &mut deflated) {
            return self.send_frame(kind.opcode(), true, &deflated, out);
        }
        self.send_frame(kind.opcode(), false, payload, out)
    }

    /// Append a ping of at most 125 bytes.
    ///
    /// # Errors
    ///
    /// Nothing is appended after our close frame, for a longer payload, or without masking keys in
    /// the client role.
    pub fn send_ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.send_control(Opcode::Ping, payload, out)
    }

    /// Append a pong of at most 125 bytes: the payload of the ping that it answers (§5.5.3).
    ///
    /// # Errors
    ///
    /// As [`send_ping`](Self::send_ping).
    pub fn send_pong(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.send_control(Opcode::Pong, payload, out)
    }

    /// Append our close frame; nothing can be sent after it.
    ///
    /// `None` sends an empty one. To answer the peer's, echo its code (§5.5.1).
    ///
    /// # Errors
    ///
    /// [`SendError::CloseSent`] for a second one; also for a code that must not be sent, a reason
    /// without a code or of over 123 bytes, and without masking keys in the client role.
    pub fn send_close(
        &mut self,
        code: Option<u16>,
        reason: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let mut payload = Vec::new();
        if let Some(code) = code {
            if !is_sendable_close_code(code) {
                return Err(SendError::CloseCodeInvalid(code));
            }
            if reason.len() > CLOSE_REASON_MAX {
                return Err(SendError::CloseReasonTooLong(reason.len()));
            }
            payload.reserve_exact(2 + reason.len());
            payload.extend_from_slice(&code.to_be_bytes());
            payload.extend_from_slice(reason.as_bytes());
        } else if !reason.is_empty() {
            return Err(SendError::CloseCodeMissing);
        }
        self.send_frame(Opcode::Close, false, &payload, out)?;
        self.state = self.state.after(Step::Sent);
        Ok(())
    }

    /// Fail the connection (§7.1.7): discard what arrives from now on, and append the close frame
    /// of `violation` with its fixed sentence, unless our close frame was sent before.
    ///
    /// Also for limits that the caller counts. A client without masking keys appends nothing.
    pub fn fail(&mut self, violation: &Violation, out: &mut Vec<u8>) {
        self.discard_progress();
        self.state = self.state.after(Step::Violated);
        // The only error left is that nothing may or can be sent, and then nothing is owed.
        let _ = self.send_close(Some(violation.close_code()), violation.sentence(), out);
    }

    fn send_control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if payload.len() > CONTROL_PAYLOAD_MAX {
            return Err(SendError::ControlTooLong(payload.len()));
        }
        self.send_frame(opcode, false, payload, out)
    }

    /// Check that a frame may and can be sent.
    fn check_sendable(&self) -> Result<(), SendError> {
        if !self.state.may_send() {
            return Err(SendError::CloseSent);
        }
        if self.role == Role::Client && self.masking_keys.is_none() {
            return Err(SendError::MaskingKeysMissing);
        }
        Ok(())
    }

    fn send_frame(
        &mut self,
        opcode: Opcode,
        rsv1: bool,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.check_sendable()?;
        if self.role == Role::Server {
            let header = frames::encode_header(opcode, payload.len(), true, rsv1, None);
            out.reserve(header.as_slice().len() + payload.len());
            out.extend_from_slice(header.as_slice());
            out.extend_from_slice(payload);
            return Ok(());
        }
        let keys = self
            .masking_keys
            .as_mut()
            .ok_or(SendError::MaskingKeysMissing)?;
        // §5.3: "The masking key is a 32-bit value chosen at random by the client", anew for each
        // frame.
        let key = keys.next_key();
        let header = frames::encode_header(opcode, payload.len(), true, rsv1, Some(key));
        out.extend_from_slice(header.as_slice());
        let start = out.len();
        out.extend_from_slice(payload);
        mask(key, 0, out.get_mut(start..).unwrap_or(&mut []));
        Ok(())
    }
}
