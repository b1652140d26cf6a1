//! What every fuzz target asserts: one function per target, bytes in, a panic for a broken rule.
//!
//! `fuzz/` runs them with generated inputs, `corpus.rs` replays what is committed. An input begins
//! with a few bytes of settings, which `Script` reads; the rest is what a hostile peer sends. The
//! layout of each target is in its file: changing it makes the corpora mean something else.

mod body;
mod client;
mod closing;
mod deflate;
mod extensions;
mod frames;
mod head;
mod proxy;
#[path = "../support/mod.rs"]
mod support;

use support::{feed, Seen};
use wynd_protocol::{Connection, Limits};

/// A target: its name, which is that of its corpus, and its check.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("head", head::check),
    ("frames", frames::check),
    ("deflate", deflate::check),
    ("closing", closing::check),
    ("extensions", extensions::check),
    ("client", client::check),
    ("proxy", proxy::check),
    ("body", body::check),
];

/// Reads an input from its front; past its end everything is zero and empty.
#[derive(Clone)]
struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// One of `choices`.
    fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Bytes whose length comes first.
    fn counted(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte());
        self.take(len)
    }

    /// Text whose length comes first; what is no UTF-8 is replaced.
    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.counted()).into_owned()
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}

/// Cuts `bytes` into parts of varying sizes, none empty, that follow from `seed`.
fn cut(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut state = u32::from(seed).wrapping_mul(2_654_435_761) | 1;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        // Mostly as long as a header, now and then far longer.
        let longest = if state & 0x700 == 0 { 5000 } else { 17 };
        let len = (state >> 16) as usize % longest + 1;
        let (part, after) = rest.split_at(len.min(rest.len()));
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// Feeds a stream in these parts, and checks the memory that is held after each.
fn feed_parts<'a>(
    connection: &mut Connection,
    limits: &Limits,
    parts: impl IntoIterator<Item = &'a [u8]>,
    memory: impl Fn(usize) -> usize,
) -> Vec<Seen> {
    let (mut seen, mut received) = (Vec::new(), 0);
    for part in parts {
        feed(connection, limits, part, &mut seen);
        received += part.len();
        let held = connection.buffered();
        assert!(held <= memory(received), "{held} B after {received} B");
    }
    seen
}

/// Checks what holds for the events of any stream: payloads within their bounds, and nothing after
/// the end.
fn judge_seen(seen: &[Seen], limits: &Limits) {
    for (index, event) in seen.iter().enumerate() {
        let is_last = index + 1 == seen.len();
        match event {
            Seen::Text(text) => {
                assert!(std::str::from_utf8(text).is_ok());
                assert!(text.len() <= limits.message_bytes_max);
            }
            Seen::Binary(bytes) => assert!(bytes.len() <= limits.message_bytes_max),
            Seen::Ping(payload) | Seen::Pong(payload) => assert!(payload.len() <= 125),
            Seen::Close(code, reason) => {
                assert!(is_last, "nothing is told after the close frame");
                assert!(reason.len() <= 123 && (code.is_some() || reason.is_empty()));
                assert!(code.is_none_or(wynd_protocol::is_sendable_close_code));
            }
            Seen::Failed(violation) => {
                assert!(is_last, "nothing is told after a broken rule");
                assert!(matches!(violation.close_code(), 1002 | 1007 | 1008 | 1009));
            }
        }
    }
}
