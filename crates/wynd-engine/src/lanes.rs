//! Which waiting messages of a room may be dropped from one outbox, and in which order.
//! Decides the policies `drop_oldest`, `drop_newest` and `latest`; `close` is the shard's.
//!
//! 1. Only messages of the same room are dropped, whole ones, and none that began to leave.
//! 2. Messages marked droppable go before others; older before newer.
//! 3. `latest`: while the socket takes no more, a new message replaces the waiting one of its key
//!    at once; also from the moment the limit was met until the outbox is empty.
//! 4. A message above the hard limit is taken only into an empty outbox.
//! 5. Every step is of constant cost on average, so that slow members cost a publish no search.

use std::collections::{HashMap, VecDeque};

use crate::frame::SharedFrame;
use crate::outbox::Outbox;
use crate::queue::{Pool, Queue};

/// A message of a room with a dropping policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoomMessage {
    /// Number of the room, never used again for another.
    pub(crate) room: u64,
    /// Hash of its key.
    pub(crate) key: u64,
    /// Whether it goes first.
    pub(crate) droppable: bool,
}

/// What the shard does about a member that does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropRule {
    Oldest,
    Newest,
    Latest,
}

/// Waiting messages of one room, by the numbers of their segments.
#[derive(Debug, Default)]
struct Lane {
    room: u64,
    droppable: VecDeque<u64>,
    ordinary: VecDeque<(u64, u64)>,
    /// Under `latest`: key → newest number.
    newest: HashMap<u64, u64>,
    replaces: bool,
}

/// The lanes of one outbox; one per room it has dropping messages of.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Vec<Lane>);

impl Lanes {
    fn lane(&mut self, room: u64) -> &mut Lane {
        let present = self.0.iter().position(|lane| lane.room == room);
        let index = present.unwrap_or_else(|| {
            self.0.push(Lane {
                room,
                ..Lane::default()
            });
            self.0.len() - 1
        });
        &mut self.0[index]
    }
}

impl Lane {
    /// Forgets what has left.
    fn forget_sent(&mut self, first: u64) {
        while self.droppable.front().is_some_and(|&number| number < first) {
            self.droppable.pop_front();
        }
        while self
            .ordinary
            .front()
            .is_some_and(|&(number, _)| number < first)
        {
            self.ordinary.pop_front();
        }
        if self.newest.len() > 64 && self.newest.len() > 2 * self.ordinary.len() {
            self.newest.retain(|_, number| *number >= first);
        }
    }

    fn note(&mut self, number: u64, message: RoomMessage, rule: DropRule) {
        if message.droppable {
            self.droppable.push_back(number);
        } else {
            self.ordinary.push_back((number, message.key));
        }
        if rule == DropRule::Latest {
            self.newest.insert(message.key, number);
        }
    }

    /// Drops every message that a newer one of its key has replaced.
    fn drop_replaced(&mut self, queue: &mut Queue) -> Freed {
        let mut freed = Freed::default();
        let newest = &self.newest;
        self.ordinary.retain(|(number, key)| {
            let is_newest = newest.get(key) == Some(number);
            if !is_newest {
                freed.add(queue.drop_segment(*number));
            }
            is_newest
        });
        self.replaces = true;
        freed
    }
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freed {
    pub(crate) messages: u64,
    pub(crate) bytes: usize,
}

impl Freed {
    fn add(&mut self, bytes: Option<usize>) {
        if let Some(bytes) = bytes {
            self.messages += 1;
            self.bytes += bytes;
        }
    }
}

/// Takes a room's message into an outbox under a dropping rule; returns how many messages were
/// dropped, the new one included.
pub(crate) fn push_droppable(
    outbox: &mut Outbox,
    pool: &mut Pool,
    frame: &SharedFrame,
    message: RoomMessage,
    rule: DropRule,
    bytes_hard: usize,
    is_behind: bool,
) -> u64 {
    let size = frame.bytes().len();
    let mut dropped = 0;
    let fits = |outbox: &Outbox| outbox.is_empty() || outbox.bytes() + size <= bytes_hard;
    let replaces =
        rule == DropRule::Latest && replace_at_once(outbox, message, is_behind, &mut dropped);
    if !fits(outbox) && size <= bytes_hard {
        let needed = outbox.bytes() + size - bytes_hard;
        dropped += make_space(outbox, message, rule, needed);
    }
    if !fits(outbox) {
        return dropped + 1;
    }
    let (queue, number) = outbox.append_numbered(pool, frame.clone());
    let first = queue.first;
    let lane = queue.lanes.get_or_insert_default().lane(message.room);
    lane.forget_sent(first);
    lane.replaces |= replaces;
    lane.note(number, message, rule);
    dropped
}

/// Rule 3, second half.
fn replace_at_once(
    outbox: &mut Outbox,
    message: RoomMessage,
    is_behind: bool,
    dropped: &mut u64,
) -> bool {
    let Some(queue) = outbox.queue_mut() else {
        return false;
    };
    let Some(mut lanes) = queue.lanes.take() else {
        return false;
    };
    let lane = lanes.lane(message.room);
    let replaces = lane.replaces || is_behind;
    let mut freed = Freed::default();
    if replaces {
        if let Some(number) = lane.newest.remove(&message.key) {
            freed.add(queue.drop_segment(number));
        }
    }
    queue.lanes = Some(lanes);
    *dropped += freed.messages;
    outbox.note_dropped(freed.bytes);
    replaces
}

/// Drops waiting messages of the room until `needed` bytes are free or the rule allows no more.
fn make_space(outbox: &mut Outbox, message: RoomMessage, rule: DropRule, needed: usize) -> u64 {
    let Some(queue) = outbox.queue_mut() else {
        return 0;
    };
    let Some(mut lanes) = queue.lanes.take() else {
        return 0;
    };
    let lane = lanes.lane(message.room);
    let mut freed = Freed::default();
    if rule == DropRule::Latest && !lane.replaces {
        freed = lane.drop_replaced(queue);
    }
    while freed.bytes < needed {
        // Under `drop_newest` a droppable message makes no way for another of its kind.
        let may_take = rule != DropRule::Newest || !message.droppable;
        let droppable = if may_take {
            lane.droppable.pop_front()
        } else {
            None
        };
        let number = match droppable {
            Some(number) => number,
            None if rule == DropRule::Newest => break,
            None => match lane.ordinary.pop_front() {
                Some((number, _)) => number,
                None => break,
            },
        };
        freed.add(queue.drop_segment(number));
    }
    queue.lanes = Some(lanes);
    outbox.note_dropped(freed.bytes);
    freed.messages
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use wynd_protocol::MessageKind;

    use super::*;
    use crate::outbox::PARTS_MAX;

    /// 98 bytes of payload make frames of 100 bytes, so that ten fill the limit of 1000.
    const HARD: usize = 1000;

    #[derive(Default)]
    struct Member {
        outbox: Outbox,
        pool: Pool,
    }

    impl Member {
        fn publish(&mut self, fill: u8, key: u64, droppable: bool, rule: DropRule) -> u64 {
            let frame = SharedFrame::new(MessageKind::Binary, &[fill; 98]);
            let message = RoomMessage {
                room: 1,
                key,
                droppable,
            };
            push_droppable(
                &mut self.outbox,
                &mut self.pool,
                &frame,
                message,
                rule,
                HARD,
                false,
            )
        }

        /// First payload byte of each waiting frame.
        fn waiting(&self) -> Vec<u8> {
            let mut parts = [IoSlice::new(&[]); PARTS_MAX];
            let set = self.outbox.parts(&mut parts);
            let stream: Vec<u8> = parts[..set].iter().flat_map(|part| part.to_vec()).collect();
            assert_eq!(stream.len(), self.outbox.bytes());
            stream
                .chunks(100)
                .map(|frame| frame[frame.len() - 1])
                .collect()
        }
    }

    #[test]
    fn test_drop_oldest_keeps_the_newest() {
        let mut member = Member::default();
        let dropped: u64 = (0..13)
            .map(|n| member.publish(n, 0, false, DropRule::Oldest))
            .sum();
        assert_eq!(dropped, 3);
        assert_eq!(member.waiting(), [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn test_drop_oldest_spares_a_frame_that_began_to_leave() {
        let mut member = Member::default();
        for n in 0..10 {
            member.publish(n, 0, false, DropRule::Oldest);
        }
        member.outbox.advance(&mut member.pool, 50);
        assert_eq!(member.publish(10, 0, false, DropRule::Oldest), 1);
        assert_eq!(member.outbox.bytes(), 950);
        member.outbox.advance(&mut member.pool, 50);
        assert_eq!(member.waiting(), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn test_drop_newest_keeps_the_oldest() {
        let mut member = Member::default();
        let dropped: u64 = (0..13)
            .map(|n| member.publish(n, 0, false, DropRule::Newest))
            .sum();
        assert_eq!(dropped, 3);
        assert_eq!(member.waiting(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn test_droppable_messages_go_first() {
        for rule in [DropRule::Oldest, DropRule::Newest] {
            let mut member = Member::default();
            for n in 0..10 {
                member.publish(n, 0, n == 5, rule);
            }
            assert_eq!(member.publish(10, 0, false, rule), 1);
            assert_eq!(member.waiting(), [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]);
        }
    }

    #[test]
    fn test_latest_keeps_the_newest_of_each_key() {
        let mut member = Member::default();
        for n in 0..10 {
            assert_eq!(
                member.publish(n, u64::from(n % 3), false, DropRule::Latest),
                0
            );
        }
        assert_eq!(member.publish(10, 0, false, DropRule::Latest), 7);
        // The newest of each key before, and the new one: its key's old one goes with the next.
        assert_eq!(member.waiting(), [7, 8, 9, 10]);
        assert_eq!(member.publish(11, 1, false, DropRule::Latest), 1);
        assert_eq!(member.waiting(), [8, 9, 10, 11]);
    }

    #[test]
    fn test_latest_with_too_many_keys_drops_the_oldest() {
        let mut member = Member::default();
        for n in 0..12 {
            member.publish(n, u64::from(n), false, DropRule::Latest);
        }
        assert_eq!(member.waiting(), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    }

    #[test]
    fn test_other_rooms_and_direct_messages_are_never_dropped() {
        let mut member = Member::default();
        let direct = SharedFrame::new(MessageKind::Binary, &[99; 98]);
        for _ in 0..10 {
            member.outbox.append(&mut member.pool, direct.bytes());
        }
        assert_eq!(member.publish(1, 0, false, DropRule::Oldest), 1);
        assert_eq!(member.outbox.bytes(), 1000);
    }

    #[test]
    fn test_a_message_above_the_limit_is_taken_only_into_an_empty_outbox() {
        let mut member = Member::default();
        let huge = SharedFrame::new(MessageKind::Binary, &[7; 2000]);
        let message = RoomMessage {
            room: 1,
            key: 0,
            droppable: false,
        };
        let Member { outbox, pool } = &mut member;
        let mut push = |frame: &SharedFrame, outbox: &mut Outbox| {
            push_droppable(outbox, pool, frame, message, DropRule::Oldest, HARD, false)
        };
        assert_eq!(push(&huge, outbox), 0);
        assert_eq!(push(&huge, outbox), 1);
        assert_eq!(outbox.bytes(), huge.bytes().len());
    }
}
