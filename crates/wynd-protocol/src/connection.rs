//! Ties the parts together on the receiving side: bytes to events. Sending is in `sending`.
//! Decides where payload bytes lie and when a frame is whole; the rules are in `frames`, `messages`
//! and `closing`.
//!
//! A frame that lies whole in the input is unmasked in place and not copied. What an input leaves
//! unfinished (a header cut short, a payload, an open message) is `Progress`, a box that exists only
//! while something is unfinished: an idle connection holds no heap memory.

use std::fmt;

use crate::closing::{is_sendable_close_code, State, Step};
use crate::compression::Compression;
use crate::error::Violation;
use crate::events::{Decoded, Event, MaskingKeys, Payload, Role};
use crate::frames::{self, Header, Opcode};
use crate::limits::Limits;
use crate::mask::mask;
use crate::messages::{judge_sequence, judge_size, Message, MessageKind};
use crate::progress::{PartialFrame, PartialHeader, Progress};

/// One end of a WebSocket connection after the opening handshake.
///
/// - Getters: [`state`](Self::state), [`role`](Self::role), [`buffered`](Self::buffered).
/// - Input: [`decode`](Self::decode), again and again until it has consumed all that arrived.
/// - Commands: `send_*` and [`fail`](Self::fail), which append encoded frames to the caller's
///   buffer in call order.
///
/// The connection answers nothing by itself. The caller answers a ping with `send_pong`, a close
/// with `send_close`, and a violation with `fail`, and ends the TCP connection as §7.1.1 says.
pub struct Connection {
    pub(crate) role: Role,
    pub(crate) state: State,
    pub(crate) progress: Option<Box<Progress>>,
    pub(crate) masking_keys: Option<Box<dyn MaskingKeys>>,
    pub(crate) compression: Option<Box<Compression>>,
}

impl Connection {
    /// Make an open connection. A client that sends also needs
    /// [`set_masking_keys`](Self::set_masking_keys).
    pub fn new(role: Role) -> Self {
        Self {
            role,
            state: State::Open,
            progress: None,
            masking_keys: None,
            compression: None,
        }
    }

    /// Give a client its source of masking keys; a server needs none and ignores it.
    pub fn set_masking_keys(&mut self, keys: Box<dyn MaskingKeys>) {
        self.masking_keys = Some(keys);
    }

    /// Return how far the closing handshake is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Return which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Return the bytes held for an unfinished frame or message: what is allocated for its payload,
    /// and the box around it; with context takeover also the windows. Otherwise 0 while the
    /// connection is between messages.
    pub fn buffered(&self) -> usize {
        let progress = self
            .progress
            .as_ref()
            .map_or(0, |progress| progress.allocated());
        match &self.compression {
            None => progress,
            Some(compression) => progress + compression.allocated(),
        }
    }

    /// Forget what is unfinished: it can never be completed.
    pub(crate) fn discard_progress(&mut self) {
        self.progress = None;
        if let Some(compression) = &mut self.compression {
            compression.inflating.discard();
        }
    }

    /// Decode from the front of `input` up to and including the first event, unmasking in place.
    ///
    /// Call it again with the rest of the input until `event` is `None`; then everything was
    /// consumed, and what is unfinished is kept here. Bytes that were consumed must not be given
    /// again, bytes that were not must be. A message of one frame, or a control frame between
    /// messages, that lies whole in `input` is a [`Payload::Input`] and was not copied; anything
    /// else is a [`Payload::Buffered`].
    ///
    /// After a close event or an error every further byte is consumed and discarded.
    ///
    /// # Errors
    ///
    /// The rule that the peer broke. Events returned before stay good: deliver them, send what
    /// their handlers send, then call [`fail`](Self::fail) with the violation.
    #[inline]
    pub fn decode(&mut self, limits: &Limits, input: &mut [u8]) -> Result<Decoded, Violation> {
        if !self.state.may_receive() {
            return Ok(Decoded {
                consumed: input.len(),
                event: None,
            });
        }
        let decoded = self.decode_next(limits, input);
        if decoded.is_err() {
            self.discard_progress();
            self.state = self.state.after(Step::Violated);
        }
        decoded
    }

    /// Do the same in a state that receives.
    #[inline]
    fn decode_next(&mut self, limits: &Limits, input: &mut [u8]) -> Result<Decoded, Violation> {
        let mut position = 0;
        while position < input.len() {
            if self.progress.is_none() {
                if let Some(frame) = self.take_whole(limits, input, position)? {
                    return self.whole_event(frame, input);
                }
            }
            let (consumed, event) = self.decode_part(limits, input, position)?;
            if event.is_some() {
                return Ok(Decoded { consumed, event });
            }
            position = consumed;
        }
        Ok(Decoded {
            consumed: position,
            event: None,
        })
    }

    /// Take a frame that is an event by itself and lies whole in the input at `position`; `None` if it
    /// does not, and then nothing was changed.
    ///
    /// Small on purpose: the event is built once, in its place, by the caller. Handing it up through
    /// several results took half the time of a short frame.
    #[inline]
    fn take_whole(
        &self,
        limits: &Limits,
        input: &mut [u8],
        position: usize,
    ) -> Result<Option<WholeFrame>, Violation> {
        let rest = input.get(position..).unwrap_or(&[]);
        let deflates = self.compression.is_some();
        let Some((header, size)) = decode_header(self.role, deflates, None, limits, rest)? else {
            return Ok(None);
        };
        let start = position + size;
        let end = start.checked_add(payload_size(&header)?);
        let payload = end.and_then(|end| input.get_mut(start..end));
        let (true, Some(payload)) = (header.fin && !header.rsv1, payload) else {
            return Ok(None);
        };
        if let Some(key) = header.masking_key {
            mask(key, 0, payload);
        }
        Ok(Some(WholeFrame {
            opcode: header.opcode,
            start,
            end: start + payload.len(),
        }))
    }

    /// Return the event of an unfragmented frame that lies whole in the input.
    #[inline]
    fn whole_event(&mut self, frame: WholeFrame, input: &[u8]) -> Result<Decoded, Violation> {
        let WholeFrame { opcode, start, end } = frame;
        let payload = input.get(start..end).unwrap_or(&[]);
        let range = Payload::Input(start..end);
        let event = match opcode {
            Opcode::Text if simdutf8::basic::from_utf8(payload).is_err() => {
                return Err(Violation::TextInvalid);
            }
            Opcode::Text => Event::Message(MessageKind::Text, range),
            Opcode::Binary | Opcode::Continuation => Event::Message(MessageKind::Binary, range),
            Opcode::Ping => Event::Ping(range),
            Opcode::Pong => Event::Pong(range),
            Opcode::Close => self.receive_close(payload)?,
        };
        Ok(Decoded {
            consumed: end,
            event: Some(event),
        })
    }

    /// Take one header or one stretch of payload at `position`, which is inside the input, and keep
    /// what it leaves unfinished.
    #[cold]
    fn decode_part(&mut self, limits: &Limits, input: &mut [u8], position: usize) -> Stepped {
        let (role, deflates) = (self.role, self.compression.is_some());
        let progress = self.progress.get_or_insert_with(Box::default);
        if progress.frame.is_some() {
            return self.continue_payload(limits, input, position);
        }
        let held = progress.header.len();
        progress.header.fill(input.get(position..).unwrap_or(&[]));
        let open = progress.message.as_ref();
        let held_bytes = progress.header.as_slice();
        let Some((header, size)) = decode_header(role, deflates, open, limits, held_bytes)? else {
            // A header of 14 bytes is never incomplete, so these were the last of the input.
            return Ok((input.len(), None));
        };
        progress.header = PartialHeader::default();
        self.begin_frame(&header)?;
        // What was held before was not a whole header, so `size` is above it.
        self.continue_payload(limits, input, position + size.saturating_sub(held))
    }

    /// Note a frame whose payload is to be collected.
    fn begin_frame(&mut self, header: &Header) -> Result<(), Violation> {
        let progress = self.progress.get_or_insert_with(Box::default);
        match header.opcode {
            Opcode::Text => progress.message = Some(begin_message(MessageKind::Text, header)),
            Opcode::Binary => progress.message = Some(begin_message(MessageKind::Binary, header)),
            Opcode::Continuation => {
                if let Some(message) = progress.message.as_mut() {
                    message.begin_fragment();
                }
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => {}
        }
        progress.frame = Some(PartialFrame {
            opcode: header.opcode,
            fin: header.fin,
            masking_key: header.masking_key,
            received: 0,
            remaining: payload_size(header)?,
        });
        Ok(())
    }

    /// Take as much of the begun payload as the input holds at `position`.
    fn continue_payload(&mut self, limits: &Limits, input: &mut [u8], position: usize) -> Stepped {
        let Some(progress) = self.progress.as_deref_mut() else {
            return Ok((position, None));
        };
        let Some(frame) = progress.frame.as_mut() else {
            return Ok((position, None));
        };
        let available = input.len().saturating_sub(position);
        let end = position + frame.remaining.min(available);
        let bytes = input.get_mut(position..end).unwrap_or(&mut []);
        if let Some(key) = frame.masking_key {
            mask(key, frame.received, bytes);
        }
        frame.received = frame.received.wrapping_add(bytes.len());
        frame.remaining = frame.remaining.saturating_sub(bytes.len());
        if frame.opcode.is_control() {
            progress.control.extend_from_slice(bytes);
        } else if let Some(message) = progress.message.as_mut() {
            match self.compression.as_deref_mut() {
                Some(compression) if message.is_deflated() => {
                    let inflating = &mut compression.inflating;
                    inflating.push(message, bytes, limits.message_bytes_max)?;
                    if frame.fin && frame.remaining == 0 {
                        inflating.finish(message, limits.message_bytes_max)?;
                    }
                }
                _ => message.push(bytes, frame.fin.then_some(frame.remaining))?,
            }
        }
        if frame.remaining > 0 {
            return Ok((end, None));
        }
        let (opcode, fin) = (frame.opcode, frame.fin);
        progress.frame = None;
        Ok((end, self.finish_frame(opcode, fin)?))
    }

    /// Return the event of a collected frame, `None` for a fragment that is not the last.
    fn finish_frame(&mut self, opcode: Opcode, fin: bool) -> Result<Option<Event>, Violation> {
        let Some(progress) = self.progress.as_deref_mut() else {
            return Ok(None);
        };
        let control = std::mem::take(&mut progress.control);
        match opcode {
            Opcode::Ping => Ok(Some(
                self.after_control(Event::Ping(Payload::Buffered(control))),
            )),
            Opcode::Pong => Ok(Some(
                self.after_control(Event::Pong(Payload::Buffered(control))),
            )),
            Opcode::Close => self.receive_close(&control).map(Some),
            Opcode::Text | Opcode::Binary | Opcode::Continuation if !fin => Ok(None),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                let message = progress.message.take();
                self.progress = None;
                let Some(message) = message else {
                    return Ok(None);
                };
                let (kind, buffer) = message.finish()?;
                Ok(Some(Event::Message(kind, Payload::Buffered(buffer))))
            }
        }
    }

    /// Return `event` after freeing what the control frame used, unless a message is open.
    fn after_control(&mut self, event: Event) -> Event {
        if self.progress.as_ref().is_some_and(|p| p.message.is_none()) {
            self.progress = None;
        }
        event
    }

    /// Take the peer's close frame. An open message is discarded: it can never be completed.
    #[cold]
    fn receive_close(&mut self, payload: &[u8]) -> Result<Event, Violation> {
        let (code, reason) = parse_close(payload)?;
        self.discard_progress();
        self.state = self.state.after(Step::Received);
        Ok(Event::Close { code, reason })
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role)
            .field("state", &self.state)
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}

/// The position after a step, and the event it completed.
type Stepped = Result<(usize, Option<Event>), Violation>;

/// An unfragmented frame whose payload, unmasked, is `start..end` of the input.
#[derive(Clone, Copy)]
struct WholeFrame {
    opcode: Opcode,
    start: usize,
    end: usize,
}

/// Begin the message of a first frame.
fn begin_message(kind: MessageKind, header: &Header) -> Message {
    if header.rsv1 {
        Message::begin_deflated(kind)
    } else {
        Message::begin(kind)
    }
}

/// Return the declared size of a judged header; the size limit refused what does not fit.
#[inline]
fn payload_size(header: &Header) -> Result<usize, Violation> {
    usize::try_from(header.payload_len).map_err(|_| Violation::MessageTooBig)
}

/// Decode a header and judge it completely, its place and its size included, before any byte of its
/// payload is looked at.
#[inline]
fn decode_header(
    role: Role,
    deflates: bool,
    open: Option<&Message>,
    limits: &Limits,
    bytes: &[u8],
) -> Result<Option<(Header, usize)>, Violation> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let first = frames::decode_first_byte(first, deflates)?;
    judge_sequence(open, first, limits)?;
    let Some((header, size)) = frames::decode_rest(first, rest, role == Role::Server)? else {
        return Ok(None);
    };
    if !header.opcode.is_control() {
        judge_size(open, header.rsv1, header.payload_len, limits)?;
    }
    Ok(Some((header, size)))
}

/// Parse the payload of a close frame (§5.5.1): empty, or a code and a reason.
fn parse_close(payload: &[u8]) -> Result<(Option<u16>, String), Violation> {
    if payload.is_empty() {
        return Ok((None, String::new()));
    }
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return Err(Violation::ClosePayloadTooShort);
    };
    let code = u16::from_be_bytes(*code);
    if !is_sendable_close_code(code) {
        return Err(Violation::CloseCodeInvalid(code));
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok((Some(code), reason.to_owned())),
        Err(_) => Err(Violation::CloseReasonInvalid),
    }
}
