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

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::clock::Tick;
use crate::frame::{split_frame, SharedFrame, SHARE_BYTES_MIN};
use crate::lanes::Lanes;

/// Parts of one vectored send; the kernel takes 1024, but few fit into a socket anyway.
pub(crate) const PARTS_MAX: usize = 64;

/// Sent bytes that `inline` carries along before it is compacted.
const SENT_KEPT_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) enum Segment {
    Inline(usize),
    Shared(SharedFrame),
    /// Was dropped.
    Dead,
}

/// Bytes to send and where the next begins; exists only while there are some.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    inline: Vec<u8>,
    head: usize,
    mark: usize,
    /// `inline` begins with so many bytes of HTTP, which have no frames.
    raw: usize,
    pub(crate) segments: VecDeque<Segment>,
    /// Number of the first segment; segments are numbered for the lanes.
    pub(crate) first: u64,
    /// Bytes of a shared first segment that left.
    pub(crate) front_sent: usize,
    pub(crate) lanes: Option<Box<Lanes>>,
    /// Stream positions for the pong rule: bytes that left, and where the last pong ends.
    sent: u64,
    pong_end: u64,
    pongs: usize,
    /// When bytes last left, or the outbox was last found to be stuck.
    pub(crate) progress_at: Tick,
}

impl Queue {
    fn reset(&mut self) {
        self.inline.clear();
        (self.head, self.mark, self.raw) = (0, 0, 0);
        self.segments.clear();
        (self.first, self.front_sent) = (0, 0);
        self.lanes = None;
        (self.sent, self.pong_end, self.pongs) = (0, 0, 0);
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        self.inline.extend_from_slice(bytes);
        if !self.segments.is_empty() {
            self.note_inline(bytes.len());
        }
    }

    #[cold]
    fn note_inline(&mut self, len: usize) {
        match self.segments.back_mut() {
            Some(Segment::Inline(stretch)) => *stretch += len,
            _ => self.segments.push_back(Segment::Inline(len)),
        }
    }

    /// Adds a shared frame; returns its number.
    pub(crate) fn append_shared(&mut self, frame: SharedFrame) -> u64 {
        let inline_left = self.inline.len() - self.head;
        if self.segments.is_empty() && inline_left > 0 {
            self.segments.push_back(Segment::Inline(inline_left));
        }
        self.segments.push_back(Segment::Shared(frame));
        self.first + self.segments.len() as u64 - 1
    }

    /// Drops a segment that has not begun to leave; returns its bytes.
    pub(crate) fn drop_segment(&mut self, number: u64) -> Option<usize> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        if index == 0 && self.front_sent > 0 {
            return None;
        }
        let segment = self.segments.get_mut(index)?;
        let Segment::Shared(frame) = segment else {
            return None;
        };
        let bytes = frame.bytes().len();
        *segment = Segment::Dead;
        Some(bytes)
    }

    /// Moves `mark` to the last start of a frame at or before `head`.
    fn move_mark(&mut self) {
        if self.mark < self.raw {
            if self.head < self.raw {
                return;
            }
            self.mark = self.raw;
        }
        loop {
            let (frame, _) = split_frame(self.inline.get(self.mark..).unwrap_or(&[]));
            if frame.is_empty() || self.mark + frame.len() > self.head {
                return;
            }
            self.mark += frame.len();
        }
    }

    fn compact(&mut self) {
        if self.head < SENT_KEPT_MAX || self.head < self.inline.len() / 2 {
            return;
        }
        self.move_mark();
        self.inline.drain(..self.mark);
        self.head -= self.mark;
        self.raw = self.raw.saturating_sub(self.mark);
        self.mark = 0;
    }

    /// Takes `sent` bytes off the front.
    fn advance(&mut self, mut sent: usize) {
        self.sent += sent as u64;
        if self.segments.is_empty() {
            self.head += sent;
            self.compact();
            return;
        }
        while let Some(segment) = self.segments.front_mut() {
            let left = match segment {
                Segment::Inline(len) => *len,
                Segment::Shared(frame) => frame.bytes().len() - self.front_sent,
                Segment::Dead => 0,
            };
            if sent < left {
                match segment {
                    Segment::Inline(len) => {
                        *len -= sent;
                        self.head += sent;
                    }
                    _ => self.front_sent += sent,
                }
                break;
            }
            sent -= left;
            if matches!(segment, Segment::Inline(_)) {
                self.head += left;
            }
            self.front_sent = 0;
            self.segments.pop_front();
            self.first += 1;
        }
        self.compact();
    }

    /// Frees all that has not begun to leave; returns the bytes left.
    fn keep_started(&mut self) -> usize {
        self.lanes = None;
        self.pongs = 0;
        if self.front_sent > 0 {
            self.segments.truncate(1);
            self.inline.clear();
            (self.head, self.mark, self.raw) = (0, 0, 0);
            let Some(Segment::Shared(frame)) = self.segments.front() else {
                return 0;
            };
            return frame.bytes().len() - self.front_sent;
        }
        let inline_first = !matches!(self.segments.front(), Some(Segment::Shared(_)));
        self.segments.clear();
        self.move_mark();
        let (frame, _) = split_frame(self.inline.get(self.mark..).unwrap_or(&[]));
        let end = if self.head < self.raw {
            self.raw
        } else if inline_first && self.head > self.mark {
            self.mark + frame.len()
        } else {
            self.head
        };
        self.inline.truncate(end);
        self.inline.shrink_to(0);
        end - self.head
    }
}

/// Queues not in use, with their memory.
#[derive(Debug, Default)]
pub(crate) struct Pool(Vec<Box<Queue>>);

impl Pool {
    /// Queues kept; a broadcast to more members allocates the rest anew.
    const QUEUES_MAX: usize = 1024;
    /// Memory a kept queue may have.
    const QUEUE_BYTES_MAX: usize = 16 * 1024;
    /// Memory a few kept queues may have, for large frames.
    const LARGE_BYTES_MAX: usize = 256 * 1024;
    const LARGE_QUEUES_MAX: usize = 16;

    fn take(&mut self) -> Box<Queue> {
        self.0.pop().unwrap_or_default()
    }

    fn put(&mut self, mut queue: Box<Queue>) {
        queue.reset();
        let bytes_max = if self.0.len() < Self::LARGE_QUEUES_MAX {
            Self::LARGE_BYTES_MAX
        } else {
            Self::QUEUE_BYTES_MAX
        };
        let fits = queue.inline.capacity() <= bytes_max && queue.segments.capacity() <= 256;
        if fits && self.0.len() < Self::QUEUES_MAX {
            self.0.push(queue);
        }
    }
}

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
        self.queue
            .as_ref()
            .map_or(0, |queue| queue.inline.len() - queue.head)
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
            queue.raw = queue.inline.len();
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
        if queue.pong_end <= queue.sent {
            queue.pongs = 0;
        }
        if queue.pongs + frame.len() > bytes_max {
            return false;
        }
        queue.pongs += frame.len();
        queue.append(frame);
        self.bytes += frame.len();
        queue.pong_end = queue.sent + self.bytes as u64;
        true
    }

    /// The bytes to send if they lie in one piece, which is the usual case.
    #[inline]
    pub(crate) fn single(&self) -> Option<&[u8]> {
        let queue = self.queue.as_deref()?;
        if queue.segments.is_empty() {
            queue.inline.get(queue.head..)
        } else {
            None
        }
    }

    /// The next pieces to send; returns how many of `parts` are set.
    pub(crate) fn parts<'a>(&'a self, parts: &mut [IoSlice<'a>; PARTS_MAX]) -> usize {
        let Some(queue) = self.queue.as_deref() else {
            return 0;
        };
        let mut count = 0;
        let mut position = queue.head;
        let mut skipped = queue.front_sent;
        for segment in &queue.segments {
            let bytes = match segment {
                Segment::Inline(len) => {
                    position += len;
                    queue.inline.get(position - len..position)
                }
                Segment::Shared(frame) => frame.bytes().get(skipped..),
                Segment::Dead => None,
            };
            skipped = 0;
            let (Some(bytes), Some(part)) = (bytes, parts.get_mut(count)) else {
                if count == PARTS_MAX {
                    break;
                }
                continue;
            };
            *part = IoSlice::new(bytes);
            count += 1;
        }
        count
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
        let mut bytes = match outbox.single() {
            Some(bytes) => bytes.to_vec(),
            None => {
                let mut parts = [IoSlice::new(&[]); PARTS_MAX];
                let set = outbox.parts(&mut parts);
                parts[..set].iter().flat_map(|part| part.to_vec()).collect()
            }
        };
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn test_random_mixes_leave_in_order() {
        let mut draw = Draw::new(3);
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        let (mut expected, mut left) = (Vec::new(), Vec::new());
        for round in 0..3_000_u32 {
            let scale = 1 << draw.below(16);
            let size = usize::try_from(draw.below(scale)).unwrap();
            let frame = frame(size, round as u8);
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
    fn test_an_empty_outbox_owns_nothing_and_the_pool_is_bounded() {
        let mut pool = Pool::default();
        let mut outboxes: Vec<Outbox> = (0..2_000).map(|_| Outbox::default()).collect();
        for outbox in &mut outboxes {
            outbox.append(&mut pool, &[1; 100]);
        }
        for outbox in &mut outboxes {
            outbox.advance(&mut pool, 100);
            assert!(outbox.queue.is_none());
        }
        assert_eq!(pool.0.len(), Pool::QUEUES_MAX);
        let mut outbox = Outbox::default();
        outbox.append(&mut pool, &vec![1; 1 << 20]);
        outbox.clear(&mut pool);
        assert_eq!(pool.0.len(), Pool::QUEUES_MAX - 1);
    }
}
