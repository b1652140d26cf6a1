//! The body of an HTTP request: where it ends (RFC 9112 §6, §7.1), so that the next head is found.
//!
//! 1. Strict: what two parsers could frame differently is refused, never guessed.
//! 2. Chunk extensions and trailers are skipped: whoever gets the kept bytes sees neither.
//!
//! ```text
//!  Size ─hex─► Size ─CR─► SizeLf ─LF─► Data(n) ──► DataCr ─► DataLf ─► Size
//!    └─;─► Extension ─CR──┘  │ size 0
//!                            └─► Trailer ─CR─► EndLf ─LF─► Done
//!                                  └─token─► Name ─:─► Value ─CR─► ValueLf ─LF─► Trailer
//! ```

use crate::handshake::{Body, Refusal};
use crate::head::is_token_byte;

/// Hexadecimal digits of a chunk's size, leading zeros included: enough for any `u64`.
const SIZE_DIGITS_MAX: u32 = 16;

/// Bytes of extensions and trailers of one body. Nobody needs them; as much as a head may have.
const SKIPPED_BYTES_MAX: usize = 16 * 1024;

/// What comes next; see the picture above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    /// Bytes left of a body with a length.
    Length(u64),
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    Name,
    Value,
    ValueLf,
    EndLf,
}

impl State {
    /// Whether a byte that was judged in this state, and led to `next`, is kept. The line end of a
    /// chunk's size is kept even if an extension was not.
    fn keeps(self, next: Self) -> bool {
        match self {
            Self::Extension => next == Self::SizeLf,
            Self::Size => next != Self::Extension,
            Self::Trailer => next == Self::EndLf,
            Self::Name | Self::Value | Self::ValueLf => false,
            _ => true,
        }
    }
}

/// Bytes of the input that belong to the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// How many, from the input's first on.
    pub len: usize,
    /// Whether the next parser is to see them; extensions and trailers are not kept.
    pub is_kept: bool,
}

/// Follows one request's body through input that arrives in parts.
#[derive(Debug, Clone)]
pub struct BodyScanner {
    state: State,
    /// Bytes left of the chunk; while its size arrives, the size so far.
    chunk: u64,
    digits: u32,
    skipped: usize,
}

impl BodyScanner {
    /// Begins a body.
    pub const fn new(body: Body) -> Self {
        let state = match body {
            Body::Empty | Body::Length(0) => State::Done,
            Body::Length(length) => State::Length(length),
            Body::Chunked => State::Size,
        };
        Self {
            state,
            chunk: 0,
            digits: 0,
            skipped: 0,
        }
    }

    /// Return whether the body has ended; what follows is the next request.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Take the next part of `input`; `None` if it is empty or the body has ended.
    ///
    /// # Errors
    ///
    /// 400 for a chunk that does not follow the grammar to the letter, a size of more than 16
    /// digits, and extensions and trailers of more than 16 KiB. The connection is lost then: nobody
    /// knows where the next request begins.
    pub fn scan(&mut self, input: &[u8]) -> Result<Option<Part>, Refusal> {
        let mut part: Option<Part> = None;
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            let before = self.clone();
            let (len, is_kept) = self.take(input.get(at..).unwrap_or(&[]))?;
            match &mut part {
                Some(part) if part.is_kept != is_kept => {
                    *self = before; // it begins the next part
                    break;
                }
                Some(part) => part.len += len,
                None => part = Some(Part { len, is_kept }),
            }
            at += len;
        }
        Ok(part)
    }

    /// Judge the first byte of `input`, or take as much payload as there is.
    fn take(&mut self, input: &[u8]) -> Result<(usize, bool), Refusal> {
        match self.state {
            State::Length(left) => {
                let len = shorter(left, input.len());
                let left = left - len as u64;
                self.state = if left == 0 {
                    State::Done
                } else {
                    State::Length(left)
                };
                return Ok((len, true));
            }
            State::Data => {
                let len = shorter(self.chunk, input.len());
                self.chunk -= len as u64;
                if self.chunk == 0 {
                    self.state = State::DataCr;
                }
                return Ok((len, true));
            }
            _ => {}
        }
        let byte = input.first().copied().unwrap_or(0);
        let next = self.judge(byte).ok_or(Refusal::BodyMalformed)?;
        let is_kept = self.state.keeps(next);
        if !is_kept {
            self.skipped += 1;
            if self.skipped > SKIPPED_BYTES_MAX {
                return Err(Refusal::BodyMalformed);
            }
        }
        self.state = next;
        Ok((1, is_kept))
    }

    /// The table of the picture: the state after `byte`, `None` if it must not stand there.
    fn judge(&mut self, byte: u8) -> Option<State> {
        match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => Some(State::SizeLf),
            (State::Size, b';') if self.digits > 0 => Some(State::Extension),
            (State::Size, _) => self.add_digit(byte),
            (State::Extension, b'\r') => Some(State::SizeLf),
            (State::Extension, _) if is_text(byte) => Some(State::Extension),
            (State::SizeLf, b'\n') => {
                self.digits = 0;
                Some(if self.chunk == 0 {
                    State::Trailer
                } else {
                    State::Data
                })
            }
            (State::DataCr, b'\r') => Some(State::DataLf),
            (State::DataLf, b'\n') => Some(State::Size),
            (State::Trailer, b'\r') => Some(State::EndLf),
            (State::Trailer | State::Name, _) if is_token_byte(byte) => Some(State::Name),
            (State::Name, b':') => Some(State::Value),
            (State::Value, b'\r') => Some(State::ValueLf),
            (State::Value, _) if is_text(byte) => Some(State::Value),
            (State::ValueLf, b'\n') => Some(State::Trailer),
            (State::EndLf, b'\n') => Some(State::Done),
            _ => None,
        }
    }

    fn add_digit(&mut self, byte: u8) -> Option<State> {
        let digit = char::from(byte).to_digit(16)?;
        self.digits += 1;
        if self.digits > SIZE_DIGITS_MAX {
            return None;
        }
        self.chunk = self.chunk << 4 | u64::from(digit);
        Some(State::Size)
    }
}

/// The smaller of a count and a length.
fn shorter(left: u64, len: usize) -> usize {
    usize::try_from(left).map_or(len, |left| left.min(len))
}

/// Whether a byte may stand in a field value (RFC 9110 §5.5): no control byte but the tab.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}
