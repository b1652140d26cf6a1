//! What a peer did wrong (`Violation`) and what the caller did wrong (`SendError`).
//! Decides the close code and the fixed sentence of each; a peer never sees any other text.

use std::error::Error;
use std::fmt;

/// A rule of RFC 6455, or a limit, that the peer broke.
///
/// [`close_code`](Self::close_code) and [`sentence`](Self::sentence) are what goes on the wire;
/// `Display` is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// RSV1, RSV2 or RSV3 is set and no extension gave it a meaning (§5.2).
    ReservedBits,
    /// Opcode 3–7 or 11–15 (§5.2).
    ReservedOpcode,
    /// A client sent a frame without a mask (§5.1).
    MaskMissing,
    /// A server sent a masked frame (§5.1).
    MaskUnexpected,
    /// A control frame without FIN (§5.5).
    ControlFragmented,
    /// A control frame that declares more than 125 bytes (§5.5).
    ControlTooLong,
    /// A length in more bytes than it needs (§5.2: "the minimal number of bytes MUST be used").
    LengthNotMinimal,
    /// A 64-bit length with its top bit set (§5.2).
    LengthOverflow,
    /// A continuation frame while no message is open (§5.4).
    ContinuationUnexpected,
    /// A text or binary frame while a message is open (§5.4).
    ContinuationMissing,
    /// A close frame with a payload of one byte (§5.5.1).
    ClosePayloadTooShort,
    /// A close code that must not appear on the wire (§7.4).
    CloseCodeInvalid(u16),
    /// A close reason that is not UTF-8 (§5.5.1).
    CloseReasonInvalid,
    /// A text message with bytes that are not UTF-8 (§8.1).
    TextInvalid,
    /// A compressed message that does not inflate (RFC 7692 §7.2.2).
    DeflateInvalid,
    /// More frames in one message than the limit allows.
    TooManyFragments,
    /// More messages in a time than the limit allows; counted by the caller, which has the clock.
    TooManyMessages,
    /// The declared size of the message, or what it inflates to, is above the limit.
    MessageTooBig,
}

impl Violation {
    /// Return the close code of RFC 6455 §7.4.1 that answers this violation.
    pub const fn close_code(&self) -> u16 {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::MaskMissing
            | Self::MaskUnexpected
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::LengthNotMinimal
            | Self::LengthOverflow
            | Self::ContinuationUnexpected
            | Self::ContinuationMissing
            | Self::ClosePayloadTooShort
            | Self::CloseCodeInvalid(_) => 1002,
            Self::CloseReasonInvalid | Self::TextInvalid | Self::DeflateInvalid => 1007,
            Self::TooManyFragments | Self::TooManyMessages => 1008,
            Self::MessageTooBig => 1009,
        }
    }

    /// Return the fixed sentence that goes into the close frame.
    pub const fn sentence(&self) -> &'static str {
        match self.close_code() {
            1002 => "Protocol error.",
            1007 => "Invalid data.",
            1008 => "Limit exceeded.",
            _ => "Message too big.",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::ReservedBits => "reserved bit set",
            Self::ReservedOpcode => "reserved opcode",
            Self::MaskMissing => "client frame without a mask",
            Self::MaskUnexpected => "server frame with a mask",
            Self::ControlFragmented => "fragmented control frame",
            Self::ControlTooLong => "control frame over 125 bytes",
            Self::LengthNotMinimal => "length not in its shortest form",
            Self::LengthOverflow => "64-bit length with its top bit set",
            Self::ContinuationUnexpected => "continuation without a message",
            Self::ContinuationMissing => "new message inside a fragmented one",
            Self::ClosePayloadTooShort => "close payload of one byte",
            Self::CloseCodeInvalid(code) => return write!(f, "close code {code} on the wire"),
            Self::CloseReasonInvalid => "close reason is not UTF-8",
            Self::TextInvalid => "text is not UTF-8",
            Self::DeflateInvalid => "compressed message does not inflate",
            Self::TooManyFragments => "too many fragments in one message",
            Self::TooManyMessages => "too many messages in a time",
            Self::MessageTooBig => "message too big",
        };
        f.write_str(text)
    }
}

impl Error for Violation {}

/// A send that the caller must not make; nothing was appended to the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The close frame has left, or the connection failed: nothing may follow it (§5.5.1).
    CloseSent,
    /// A ping or pong payload of this many bytes; at most 125 fit (§5.5).
    ControlTooLong(usize),
    /// A close code that must not go on the wire (§7.4).
    CloseCodeInvalid(u16),
    /// A close reason without a code; the code comes first on the wire (§5.5.1).
    CloseCodeMissing,
    /// A close reason of this many bytes; at most 123 fit beside the code.
    CloseReasonTooLong(usize),
    /// The payload of a text message is not UTF-8.
    TextInvalid,
    /// A client must mask (§5.1) and was given no masking keys.
    MaskingKeysMissing,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CloseSent => f.write_str("the close frame was already sent"),
            Self::ControlTooLong(size) => {
                write!(f, "control payload has {size} bytes, at most 125 fit")
            }
            Self::CloseCodeInvalid(code) => write!(f, "close code {code} cannot be sent"),
            Self::CloseCodeMissing => f.write_str("a close reason needs a close code"),
            Self::CloseReasonTooLong(size) => {
                write!(f, "close reason has {size} bytes, at most 123 fit")
            }
            Self::TextInvalid => f.write_str("text payload is not UTF-8"),
            Self::MaskingKeysMissing => f.write_str("a client needs masking keys to send"),
        }
    }
}

impl Error for SendError {}
