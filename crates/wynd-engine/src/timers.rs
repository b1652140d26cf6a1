//! The timer wheel: one deadline per connection slot, set and moved in constant time.
//! Decides when a slot is due; what is due there, the shard knows.
//!
//! 1. Seven wheels of 64 buckets; a bucket of wheel `w` spans 64^w ticks (Varghese and Lauck 1987).
//! 2. A deadline lies in the wheel of the highest 6-bit group in which it differs from `now`, so
//!    every bucket of a lower wheel is due before any of a higher.
//! 3. When `now` enters a bucket of a higher wheel, its slots move down.
//! 4. Buckets are doubly linked through one array indexed by slot: 16 bytes per connection.

use crate::clock::Tick;

const WHEELS: usize = 7;
const WHEEL_LAST: u32 = 6;
const BUCKETS: usize = 64;
const GROUP_BITS: u32 = 6;
/// No neighbour.
const NONE: u32 = u32::MAX;
/// Marks `previous` as the bucket the slot is first in.
const BUCKET: u32 = 1 << 31;
/// `at` of a slot without a deadline.
const UNSET: Tick = Tick::MAX;
/// Deadlines further ahead are moved here, 139 years.
const AHEAD_MAX: Tick = (1 << 42) - 1;

#[derive(Clone, Copy, Debug)]
struct Node {
    previous: u32,
    next: u32,
    at: Tick,
}

const EMPTY: Node = Node {
    previous: NONE,
    next: NONE,
    at: UNSET,
};

/// Deadlines of slots.
#[derive(Debug)]
pub(crate) struct Timers {
    now: Tick,
    nodes: Vec<Node>,
    heads: Box<[u32; WHEELS * BUCKETS]>,
    /// A bit per bucket that has a slot.
    occupied: [u64; WHEELS],
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            nodes: Vec::new(),
            heads: Box::new([NONE; WHEELS * BUCKETS]),
            occupied: [0; WHEELS],
        }
    }

    /// The deadline of a slot.
    #[inline]
    pub(crate) fn at(&self, slot: u32) -> Option<Tick> {
        let node = self.nodes.get(slot as usize)?;
        (node.at != UNSET).then_some(node.at)
    }

    /// Sets or moves the deadline of a slot. One that has passed is due at the next turn.
    pub(crate) fn set(&mut self, slot: u32, at: Tick) {
        if self.nodes.len() <= slot as usize {
            self.nodes.resize(slot as usize + 1, EMPTY);
        }
        let at = at.clamp(self.now + 1, self.now + AHEAD_MAX);
        if self.at(slot) == Some(at) {
            return;
        }
        self.unlink(slot);
        self.link(slot, at);
    }

    /// Moves the deadline of a slot to `at` if that is earlier.
    pub(crate) fn set_earlier(&mut self, slot: u32, at: Tick) {
        if self.at(slot).is_none_or(|present| at < present) {
            self.set(slot, at);
        }
    }

    /// Forgets the deadline of a slot.
    pub(crate) fn cancel(&mut self, slot: u32) {
        self.unlink(slot);
    }

    /// A tick at which to look again: the next deadline, or an earlier one at which slots move down.
    pub(crate) fn next(&self) -> Option<Tick> {
        let wheel = (0..WHEELS).find(|&wheel| self.occupied[wheel] != 0)?;
        let bucket = self.occupied[wheel].trailing_zeros();
        let shift = GROUP_BITS * u32::try_from(wheel).unwrap_or(0);
        let group = 1_u64 << shift << GROUP_BITS;
        let start = self.now & !(group - 1);
        Some(start + (u64::from(bucket) << shift))
    }

    /// Moves to `now` and puts the slots that are due into `due`; their deadlines are forgotten.
    pub(crate) fn advance(&mut self, now: Tick, due: &mut Vec<u32>) {
        while let Some(next) = self.next() {
            if next > now {
                break;
            }
            self.now = next;
            self.empty_bucket_of(next, due);
        }
        // Nothing lies between: entering a later bucket of an empty stretch moves nobody.
        self.now = self.now.max(now);
    }

    /// Takes the first occupied bucket, which begins at `tick`: its slots are due or move down.
    fn empty_bucket_of(&mut self, tick: Tick, due: &mut Vec<u32>) {
        let Some(wheel) = (0..WHEELS).find(|&wheel| self.occupied[wheel] != 0) else {
            return;
        };
        let bucket = wheel * BUCKETS + self.occupied[wheel].trailing_zeros() as usize;
        let mut slot = self.heads[bucket];
        self.heads[bucket] = NONE;
        self.occupied[wheel] &= self.occupied[wheel] - 1;
        while let Some(node) = self.nodes.get_mut(slot as usize) {
            let Node { next, at, .. } = *node;
            *node = EMPTY;
            if at <= tick {
                due.push(slot);
            } else {
                self.link(slot, at);
            }
            slot = next;
        }
    }

    fn bucket_of(&self, at: Tick) -> (usize, u32) {
        // `at` is above `now` whenever a slot is linked, except for one due right now.
        let differing = (self.now ^ at) | 1;
        let wheel = (differing.ilog2() / GROUP_BITS).min(WHEEL_LAST);
        let bucket = (at >> (wheel * GROUP_BITS)) % BUCKETS as u64;
        (wheel as usize, u32::try_from(bucket).unwrap_or(0))
    }

    fn link(&mut self, slot: u32, at: Tick) {
        let (wheel, bucket) = self.bucket_of(at);
        let index = wheel * BUCKETS + bucket as usize;
        let next = self.heads[index];
        if let Some(node) = self.nodes.get_mut(next as usize) {
            node.previous = slot;
        }
        if let Some(node) = self.nodes.get_mut(slot as usize) {
            let previous = BUCKET | u32::try_from(index).unwrap_or(0);
            *node = Node { previous, next, at };
        }
        self.heads[index] = slot;
        self.occupied[wheel] |= 1 << bucket;
    }

    fn unlink(&mut self, slot: u32) {
        let Some(node) = self.nodes.get_mut(slot as usize) else {
            return;
        };
        if node.at == UNSET {
            return;
        }
        let Node { previous, next, .. } = *node;
        *node = EMPTY;
        if let Some(after) = self.nodes.get_mut(next as usize) {
            after.previous = previous;
        }
        if previous & BUCKET == 0 {
            if let Some(before) = self.nodes.get_mut(previous as usize) {
                before.next = next;
            }
            return;
        }
        let index = (previous & !BUCKET) as usize;
        self.heads[index] = next;
        if next == NONE {
            self.occupied[index / BUCKETS] &= !(1 << (index % BUCKETS));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::Draw;

    fn due_at(timers: &mut Timers, now: Tick) -> Vec<u32> {
        let mut due = Vec::new();
        timers.advance(now, &mut due);
        due.sort_unstable();
        due
    }

    #[test]
    fn test_a_deadline_is_due_at_its_tick_and_not_before() {
        let mut timers = Timers::new();
        timers.set(3, 5_000);
        assert!(due_at(&mut timers, 4_999).is_empty());
        assert_eq!(timers.at(3), Some(5_000));
        assert_eq!(due_at(&mut timers, 5_000), [3]);
        assert_eq!(timers.at(3), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn test_a_deadline_moves_both_ways() {
        let mut timers = Timers::new();
        timers.set(0, 100);
        timers.set_earlier(0, 200);
        assert_eq!(timers.at(0), Some(100));
        timers.set(0, 200);
        timers.set_earlier(0, 150);
        assert!(due_at(&mut timers, 149).is_empty());
        assert_eq!(due_at(&mut timers, 150), [0]);
    }

    #[test]
    fn test_a_passed_deadline_is_due_at_the_next_turn() {
        let mut timers = Timers::new();
        due_at(&mut timers, 1_000);
        timers.set(1, 10);
        assert_eq!(due_at(&mut timers, 1_001), [1]);
    }

    #[test]
    fn test_cancelled_slots_are_never_due() {
        let mut timers = Timers::new();
        for slot in 0..5 {
            timers.set(slot, 70);
        }
        timers.cancel(2);
        timers.cancel(0);
        timers.cancel(4);
        timers.cancel(4);
        timers.cancel(99);
        assert_eq!(due_at(&mut timers, 70), [1, 3]);
    }

    #[test]
    fn test_random_deadlines_agree_with_a_sorted_map() {
        let mut draw = Draw::new(1);
        let (mut timers, mut model) = (Timers::new(), BTreeMap::new());
        let mut now = 0;
        for _ in 0..20_000 {
            let slot = u32::try_from(draw.below(50)).unwrap();
            let scale = 1 << draw.below(20);
            match draw.below(4) {
                0 => {
                    timers.cancel(slot);
                    model.remove(&slot);
                }
                1 => {
                    now += draw.below(scale);
                    let mut expected = Vec::new();
                    model.retain(|&slot, &mut at| {
                        if at <= now {
                            expected.push(slot);
                        }
                        at > now
                    });
                    assert_eq!(due_at(&mut timers, now), expected);
                    let next = model.values().min().copied();
                    assert!(timers.next() <= next || next.is_none());
                    assert_eq!(timers.next().is_none(), next.is_none());
                }
                _ => {
                    let at = now + 1 + draw.below(scale);
                    timers.set(slot, at);
                    model.insert(slot, at);
                }
            }
        }
    }

    #[test]
    fn test_looking_at_next_always_makes_progress() {
        let mut timers = Timers::new();
        timers.set(0, 1_000_000);
        let mut looks = 0;
        while let Some(next) = timers.next() {
            let mut due = Vec::new();
            timers.advance(next, &mut due);
            looks += 1;
            assert!(looks < 10);
            if !due.is_empty() {
                assert_eq!(next, 1_000_000);
            }
        }
    }
}
