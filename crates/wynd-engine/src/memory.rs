//! What connections hold: the count of one connection that callers see, and the sum of all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// Top bit of the counter: the connection takes no more messages.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Unsent bytes of one connection, queued commands included; readable from any thread.
///
/// Ordering is relaxed: the number steers flow control and publishes no other memory.
#[derive(Clone, Debug, Default)]
pub struct Buffered(Arc<AtomicUsize>);

impl Buffered {
    /// Unsent bytes, frame headers included.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed) & !CLOSED
    }

    /// Whether the connection takes no more messages: it closes, or is gone.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.0.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Adds bytes that will be taken off when they were sent or dropped; returns the sum.
    #[inline]
    pub(crate) fn charge(&self, bytes: usize) -> usize {
        self.0
            .fetch_add(bytes, Ordering::Relaxed)
            .wrapping_add(bytes)
            & !CLOSED
    }

    #[inline]
    pub(crate) fn release(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn close(&self) {
        self.0.fetch_or(CLOSED, Ordering::Relaxed);
    }

    /// The connection is gone; what is still counted is held by nobody.
    pub(crate) fn clear(&self) {
        self.0.store(CLOSED, Ordering::Relaxed);
    }
}

/// Bytes held for all connections of a process: outboxes, partial messages, undecoded input.
///
/// Clones share one sum; give all shards the same.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicUsize>);

impl Meter {
    /// The sum.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds bytes; for inbound queues of the caller too.
    #[inline]
    pub fn charge(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes bytes off that were charged.
    #[inline]
    pub fn release(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Charges the difference between what a holder had and has.
    #[inline]
    pub(crate) fn adjust(&self, before: usize, after: usize) {
        if after >= before {
            if after > before {
                self.charge(after - before);
            }
        } else {
            self.release(before - after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_closing_leaves_the_count_readable() {
        let buffered = Buffered::default();
        assert_eq!(buffered.charge(10), 10);
        buffered.close();
        assert_eq!(buffered.charge(5), 15);
        buffered.release(10);
        assert!(buffered.is_closed());
        assert_eq!(buffered.bytes(), 5);
        buffered.clear();
        assert!(buffered.is_closed());
        assert_eq!(buffered.bytes(), 0);
    }

    #[test]
    fn test_adjust_moves_the_sum_by_the_difference() {
        let meter = Meter::default();
        meter.adjust(0, 30);
        meter.adjust(30, 10);
        meter.adjust(10, 10);
        assert_eq!(meter.bytes(), 10);
    }
}
