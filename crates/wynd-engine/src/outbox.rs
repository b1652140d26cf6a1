//! The outbox: what one connection has still to send, in order.
//! Decides which bytes leave next and which may be dropped; limits are the shard's and `lanes`'.
//!
//! 1. Small frames are copied into `inline`; large and droppable ones are shared segments.
//! 2. Without segments, the outbox is `inline[head..]`. With them, `Inline(n)` stands for the next
//!    `n` bytes of it.
//! 3. `mark` is the start of a frame at or before `head`, so that the rest of a frame that has
//!    begun to leave can be told from the next one.
//! 4. A frame that has begun to leave is never dropped.
//! 5. An empty outbox owns nothing: its queue goes back to the pool.

use std::io::IoSlice;

use crate::frame::{SharedFrame, SHARE_BYTES_MIN};
use crate::queue::{Pool, Queue};

/// Parts of one vectored send; the kernel takes 1024, but few fit into a socket anyway.
pub(crate) const PARTS_MAX: usize = 64;

/// What one connection has to send.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Option<Box<Queue>>,
    bytes: usize,
}

impl Outbox {
    /// Unsent bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Unsent bytes in memory of the connection's own, without shared frames.
    pub(crate) fn own_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.inline_left())
    }

    pub(crate) fn queue_mut(&mut self) -> Option<&mut Queue> {
        self.queue.as_deref_mut()
    }

    /// Adds whole frames.
    #[inline]
    pub(crate) fn append(&mut self, pool: &mut Pool, frames: &[u8]) {
        self.bytes += frames.len();
        let queue = self.queue.get_or_insert_with(|| pool.take());
        queue.append(frames);
    }

    /// Adds an HTTP response, before any frame.
    pub(crate) fn append_raw(&mut self, pool: &mut Pool, response: &[u8]) {
        self.append(pool, response);
        if let Some(queue) = &mut self.queue {
            queue.note_raw();
        }
    }

    /// Adds a frame that others hold too: by reference where it is large.
    pub(crate) fn append_shared(&mut self, pool: &mut Pool, frame: &SharedFrame) {
        let size = frame.bytes().len();
        if size < SHARE_BYTES_MIN {
            return self.append(pool, frame.bytes());
        }
        self.bytes += size;
        let queue = self.queue.get_or_insert_with(|| pool.take());
        queue.append_shared(frame.clone());
    }

    /// Adds a frame by reference, whatever its size; returns the queue and the frame's number.
    pub(crate) fn append_numbered(
        &mut self,
        pool: &mut Pool,
        frame: SharedFrame,
    ) -> (&mut Queue, u64) {
        self.bytes += frame.bytes().len();
        let queue = self.queue.get_or_insert_with(|| pool.take());
        let number = queue.append_shared(frame);
        (queue, number)
    }

    /// Notes that `lanes` dropped so many bytes.
    pub(crate) fn note_dropped(&mut self, bytes: usize) {
        self.bytes -= bytes;
    }

    /// Adds a pong, unless more than `bytes_max` of unsent ones wait.
    pub(crate) fn append_pong(&mut self, pool: &mut Pool, frame: &[u8], bytes_max: usize) -> bool {
        let queue = self.queue.get_or_insert_with(|| pool.take());
        let is_taken = queue.append_pong(frame, bytes_max, self.bytes);
        if is_taken {
            self.bytes += frame.len();
        }
        is_taken
    }

    /// The bytes to send if they lie in one piece, which is the usual case.
    #[inline]
    pub(crate) fn single(&self) -> Option<&[u8]> {
        self.queue.as_deref()?.single()
    }

    /// The next pieces to send; returns how many of `parts` are set.
    pub(crate) fn parts<'a>(&'a self, parts: &mut [IoSlice<'a>; PARTS_MAX]) -> usize {
        self.queue.as_deref().map_or(0, |queue| queue.parts(parts))
    }

    /// Takes `sent` bytes off; gives the queue back when none are left.
    #[inline]
    pub(crate) fn advance(&mut self, pool: &mut Pool, sent: usize) {
        self.bytes -= sent;
        if self.bytes == 0 {
            self.clear(pool);
        } else if let Some(queue) = self.queue.as_deref_mut() {
            queue.advance(sent);
        }
    }

    /// Frees everything.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.bytes = 0;
        if let Some(queue) = self.queue.take() {
            pool.put(queue);
        }
    }

    /// Frees everything but the rest of a frame that has begun to leave.
    pub(crate) fn keep_started(&mut self, pool: &mut Pool) {
        if let Some(queue) = self.queue.as_deref_mut() {
            self.bytes = queue.keep_started();
            if self.bytes == 0 {
                self.clear(pool);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wynd_protocol::MessageKind;

    use super::*;
    use crate::clock::Draw;

    fn frame(size: usize, fill: u8) -> SharedFrame {
        SharedFrame::new(MessageKind::Binary, &vec![fill; size])
    }

    /// What would leave next, at most `count` bytes of it.
    fn front(outbox: &Outbox, count: usize) -> Vec<u8> {
        let mut parts = [IoSlice::new(&[]); PARTS_MAX];
        let mut bytes = if let Some(bytes) = outbox.single() {
            bytes.to_vec()
        } else {
            let set = outbox.parts(&mut parts);
            parts[..set].iter().flat_map(|part| part.to_vec()).collect()
        };
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn test_random_mixes_leave_in_order() {
        let mut draw = Draw::new(3);
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        let (mut expected, mut left) = (Vec::new(), Vec::new());
        for round in 0..3_000 {
            let scale = 1 << draw.below(16);
            let size = usize::try_from(draw.below(scale)).unwrap();
            let frame = frame(size, u8::try_from(round % 256).unwrap());
            expected.extend_from_slice(frame.bytes());
            match draw.below(3) {
                0 => outbox.append(&mut pool, frame.bytes()),
                1 => outbox.append_shared(&mut pool, &frame),
                _ => drop(outbox.append_numbered(&mut pool, frame)),
            }
            let sent = front(&outbox, usize::try_from(draw.below(40_000)).unwrap());
            outbox.advance(&mut pool, sent.len());
            left.extend_from_slice(&sent);
        }
        while !outbox.is_empty() {
            let sent = front(&outbox, 10_000);
            outbox.advance(&mut pool, sent.len());
            left.extend_from_slice(&sent);
        }
        assert!(left == expected);
        assert!(outbox.queue.is_none());
    }

    #[test]
    fn test_keep_started_leaves_the_rest_of_the_frame_that_began() {
        let mut draw = Draw::new(4);
        for _ in 0..500 {
            let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
            let mut stream = Vec::new();
            let mut ends = vec![0];
            for _ in 0..12 {
                let frame = frame(usize::try_from(draw.below(300)).unwrap(), 1);
                stream.extend_from_slice(frame.bytes());
                ends.push(stream.len());
                if draw.below(2) == 0 {
                    outbox.append(&mut pool, frame.bytes());
                } else {
                    outbox.append_numbered(&mut pool, frame);
                }
            }
            let sent = usize::try_from(draw.below(stream.len() as u64)).unwrap();
            outbox.advance(&mut pool, sent);
            outbox.keep_started(&mut pool);
            let end = *ends.iter().find(|&&end| end >= sent).unwrap();
            assert_eq!(outbox.bytes(), end - sent);
            assert_eq!(front(&outbox, usize::MAX), stream[sent..end]);
            outbox.append(&mut pool, b"after");
            assert!(front(&outbox, usize::MAX).ends_with(b"after"));
        }
    }

    #[test]
    fn test_a_response_that_began_is_kept_whole() {
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        outbox.append_raw(&mut pool, b"HTTP/1.1 101");
        outbox.append(&mut pool, frame(5, 1).bytes());
        outbox.advance(&mut pool, 4);
        outbox.keep_started(&mut pool);
        assert_eq!(front(&outbox, 99), b"/1.1 101");
    }

    #[test]
    fn test_pongs_wait_beyond_their_bound_and_again_after_leaving() {
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        let pong = [0; 10];
        assert!(outbox.append_pong(&mut pool, &pong, 25));
        assert!(outbox.append_pong(&mut pool, &pong, 25));
        assert!(!outbox.append_pong(&mut pool, &pong, 25));
        outbox.append(&mut pool, &[0; 100]);
        outbox.advance(&mut pool, 19);
        assert!(!outbox.append_pong(&mut pool, &pong, 25));
        outbox.advance(&mut pool, 1);
        assert!(outbox.append_pong(&mut pool, &pong, 25));
    }

    #[test]
    fn test_an_empty_outbox_owns_nothing() {
        let mut pool = Pool::default();
        let mut outbox = Outbox::default();
        outbox.append(&mut pool, &[1; 100]);
        outbox.advance(&mut pool, 100);
        assert!(outbox.queue.is_none());
        outbox.append(&mut pool, &[1; 100]);
        outbox.clear(&mut pool);
        assert!(outbox.queue.is_none() && outbox.is_empty());
    }
}
