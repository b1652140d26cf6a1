//! The bounds a caller gives to `Connection::decode`.
//! Passed by reference at each call and not stored, so that a connection stays small.

/// Bounds of one inbound message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Payload bytes of one message, all fragments together; a header that declares more is
    /// [`Violation::MessageTooBig`](crate::Violation::MessageTooBig) before its payload is read.
    pub message_bytes_max: usize,
    /// Frames of one message, empty ones counted; one more is
    /// [`Violation::TooManyFragments`](crate::Violation::TooManyFragments).
    pub message_fragments_max: u32,
}

impl Default for Limits {
    /// 1 MiB and 16,384 fragments: large enough for what browsers send unasked, small enough that
    /// ten thousand peers cannot hold the process.
    fn default() -> Self {
        Self {
            message_bytes_max: 1024 * 1024,
            message_fragments_max: 16_384,
        }
    }
}
