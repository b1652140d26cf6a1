//! The queue of an outbox: inline bytes, shared segments, and where the next frame begins; and the
//! pool that queues come from. The invariants are those of `outbox`.

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::clock::Tick;
use crate::frame::{split_frame, SharedFrame};
use crate::lanes::Lanes;
use crate::outbox::PARTS_MAX;

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

    /// Bytes of `inline` that are still to leave.
    #[inline]
    pub(crate) fn inline_left(&self) -> usize {
        self.inline.len() - self.head
    }

    /// Everything so far is HTTP.
    pub(crate) fn note_raw(&mut self) {
        self.raw = self.inline.len();
    }

    /// Adds a pong, unless more than `bytes_max` of unsent ones wait among `unsent` bytes.
    pub(crate) fn append_pong(&mut self, frame: &[u8], bytes_max: usize, unsent: usize) -> bool {
        if self.pong_end <= self.sent {
            self.pongs = 0;
        }
        if self.pongs + frame.len() > bytes_max {
            return false;
        }
        self.pongs += frame.len();
        self.append(frame);
        self.pong_end = self.sent + (unsent + frame.len()) as u64;
        true
    }

    /// The bytes to send if they lie in one piece.
    #[inline]
    pub(crate) fn single(&self) -> Option<&[u8]> {
        if self.segments.is_empty() {
            self.inline.get(self.head..)
        } else {
            None
        }
    }

    /// The next pieces to send; returns how many of `parts` are set.
    pub(crate) fn parts<'a>(&'a self, parts: &mut [IoSlice<'a>; PARTS_MAX]) -> usize {
        let mut count = 0;
        let mut position = self.head;
        let mut skipped = self.front_sent;
        for segment in &self.segments {
            let bytes = match segment {
                Segment::Inline(len) => {
                    position += len;
                    self.inline.get(position - len..position)
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

    #[inline]
    pub(crate) fn append(&mut self, bytes: &[u8]) {
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
        let inline_left = self.inline_left();
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
    pub(crate) fn advance(&mut self, mut sent: usize) {
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
    pub(crate) fn keep_started(&mut self) -> usize {
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
#[allow(clippy::vec_box)] // queues move between outboxes and pool, as pointers
pub(crate) struct Pool(Vec<Box<Queue>>);

impl Pool {
    /// Queues kept; a broadcast to more members allocates the rest anew.
    const QUEUES_MAX: usize = 1024;
    /// Memory a kept queue may have.
    const QUEUE_BYTES_MAX: usize = 16 * 1024;
    /// Memory a few kept queues may have, for large frames.
    const LARGE_BYTES_MAX: usize = 256 * 1024;
    const LARGE_QUEUES_MAX: usize = 16;

    pub(crate) fn take(&mut self) -> Box<Queue> {
        self.0.pop().unwrap_or_default()
    }

    pub(crate) fn put(&mut self, mut queue: Box<Queue>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_the_pool_keeps_a_bounded_number_of_small_queues() {
        let mut pool = Pool::default();
        for _ in 0..2_000 {
            let mut queue = Box::<Queue>::default();
            queue.append(&[1; 100]);
            pool.put(queue);
        }
        assert_eq!(pool.0.len(), Pool::QUEUES_MAX);
        let mut huge = pool.take();
        huge.append(&vec![1; 1 << 20]);
        pool.put(huge);
        assert_eq!(pool.0.len(), Pool::QUEUES_MAX - 1);
        assert!(pool.take().single().is_some_and(<[u8]>::is_empty));
    }

    #[test]
    fn test_sent_bytes_are_not_carried_along_for_ever() {
        let mut queue = Queue::default();
        for _ in 0..1_000 {
            queue.append(&[&[0x82, 126, 4, 0], [7; 1024].as_slice()].concat());
            if queue.inline_left() > 10_000 {
                queue.advance(1028);
            }
        }
        assert!(queue.inline.len() < 10_000 + SENT_KEPT_MAX + 1028);
    }
}
