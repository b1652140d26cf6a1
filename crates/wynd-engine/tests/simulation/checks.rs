//! The invariants. Each says what it compares; what is compared comes from the model, the peers and
//! the network, never from the shard's own account of the same thing.

use wynd_engine::EventBatch;

use super::app::{Conn, Phase};
use super::peer::{Peer, Reading, Stage, Vice};
use super::world::World;

/// Beside messages an outbox has a response, pings, and one pong over the bound.
const OUTBOX_SLACK: usize = 700;

/// A deadline waits so long for unread input, and as long again for a poller that has more to say; the
/// next one counts from there.
const UNREAD_GRACE_MS: u64 = 1_100;

/// Every deadline there is, one after another.
const JUMP_SLACK_MS: u64 = 40_000;

/// Turns a deadline may wait while others are served.
const OVERDUE_TURNS_MAX: usize = 60;

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

impl World {
    /// Above the process's bound a flush closes holders; with frames that several hold it takes more
    /// than one.
    pub fn settle_memory(&mut self, batch: &mut EventBatch) {
        let max = self.config.process_bytes_max;
        for _ in 0..self.peers.len() {
            if self.meter.bytes() <= max {
                return;
            }
            self.shard.flush(self.instant(), batch);
        }
        // What cannot be closed with a code: heads, early bytes, frames that began to leave, and what
        // a connection that closes already has received of a message.
        let config = &self.config;
        let context = 300_000; // a compressor, where connections keep one
        let message = config.message_bytes_max.max(90_000) + context;
        let each = config.early_bytes_max + config.head_bytes_max + message;
        let slack = self.shard.sockets() * each;
        assert!(
            self.meter.bytes() <= max + slack,
            "{} bytes are held, {max} are allowed",
            self.meter.bytes()
        );
    }

    /// No outbox is longer than its bound and one message, and the sum is that of all.
    pub fn check_outboxes(&self, is_told: bool) {
        let config = &self.config;
        let bound = config.outbox_bytes_hard.max(80_014) + config.pong_bytes_max + OUTBOX_SLACK;
        let mut sum = 0;
        for (id, conn) in &self.conns {
            let Some(buffered) = &conn.buffered else {
                continue;
            };
            sum += buffered.bytes();
            assert!(
                conn.is_http || conn.is_raw || buffered.bytes() <= bound,
                "the outbox of {id:?} holds {} bytes, {bound} are allowed",
                buffered.bytes()
            );
        }
        if !is_told {
            return; // what the application sent to one that is gone counts for nobody
        }
        // Connections the application does not know of have an answer to send, and no more.
        let counted = usize::try_from(self.shard.statistics().outbox_bytes).unwrap();
        let known = self.conns.values().filter(|conn| conn.buffered.is_some());
        let unknown = self.shard.sockets().saturating_sub(known.count());
        assert!(
            (sum..=sum + unknown * 1_000).contains(&counted),
            "{counted} bytes wait in all, {sum} in the connections' own counts"
        );
    }

    /// Counters and rooms against what was told, at the end of a turn.
    pub fn check_counts(&self) {
        let counts = self.shard.statistics();
        let phases = [Phase::Open, Phase::Ending, Phase::Closing];
        let open = self
            .conns
            .values()
            .filter(|conn| phases.contains(&conn.phase));
        assert_eq!(
            counts.connections_open,
            open.count() as u64,
            "open connections"
        );
        assert_eq!(self.told.opened - self.told.closed, counts.connections_open);
        let closes: u64 = counts.closes.iter().map(|(_, count)| count).sum();
        assert_eq!(closes, self.told.closed, "closed connections");
        assert_eq!(counts.messages_received, self.told.messages, "messages");
        let rooms_with = |phases: &[Phase]| {
            let is_in = |id| {
                self.conns
                    .get(id)
                    .is_some_and(|conn| phases.contains(&conn.phase))
            };
            let rooms = self.rooms.values();
            rooms.filter(|room| room.members.iter().any(is_in)).count() as u64
        };
        let (least, most) = (
            rooms_with(&[Phase::Open]),
            rooms_with(&[Phase::Open, Phase::Ending]),
        );
        assert!(
            (least..=most).contains(&counts.rooms),
            "{} rooms have members, of the model's {least} to {most}",
            counts.rooms
        );
        let mut inner = self.network.0.borrow_mut();
        let mut held = 0;
        for peer in self.peers.iter().filter(|peer| peer.listener.is_some()) {
            let line = inner.line(peer.socket);
            held += usize::from(line.is_taken && !line.is_closed);
        }
        assert_eq!(self.shard.sockets(), held, "sockets");
    }

    /// When a connection has to be gone, on the shard's clock; `None` while it may stay.
    fn limit_of(&self, peer: &Peer, conn: Option<&Conn>) -> Option<u64> {
        let config = &self.config;
        let (handshake, close) = (
            millis(config.handshake_timeout),
            millis(config.close_timeout),
        );
        let (stall, timeout) = (millis(config.outbox_stall), millis(config.ping_timeout));
        let taken_at = peer.taken_at?;
        let Some(conn) = conn else {
            // Where plain requests are served, one that was told of as closed may linger.
            let lingers_later = peer.listener == Some(2);
            return (!lingers_later).then_some(taken_at + handshake + close + UNREAD_GRACE_MS);
        };
        match conn.phase {
            Phase::Asked | Phase::Responded | Phase::Lost if conn.is_http => {
                Some(conn.since + handshake + close * 2 + stall)
            }
            Phase::Asked | Phase::Responded | Phase::Lost => {
                Some(taken_at + handshake + close + UNREAD_GRACE_MS)
            }
            Phase::Closing => Some(conn.since + close),
            Phase::Ending => Some(conn.since + close * 2),
            Phase::Open if conn.is_paused => None,
            Phase::Open => {
                let life = peer.heard_at.max(conn.lives_from);
                let interval = config.ping_interval.map(millis)?;
                Some(life + interval + timeout * 2 + stall)
            }
            Phase::Http => None,
        }
    }

    fn conn_of(&self, number: usize) -> Option<&Conn> {
        self.conns.values().find(|conn| conn.peer == number)
    }

    fn is_held(&self, peer: &Peer) -> bool {
        let mut inner = self.network.0.borrow_mut();
        peer.taken_at.is_some() && !inner.line(peer.socket).is_closed
    }

    /// Before a turn: no deadline has passed without a turn that was asked for.
    pub fn check_punctual(&self) {
        if self.is_lazy {
            return;
        }
        for peer in self.peers.iter().filter(|peer| !peer.is_excused) {
            let Some(limit) = self.limit_of(peer, self.conn_of(peer.number)) else {
                continue;
            };
            assert!(
                self.clock() <= limit + 200 + 2 * UNREAD_GRACE_MS || !self.is_held(peer),
                "peer {} should be gone since {limit}, and no deadline said so",
                peer.number
            );
        }
    }

    /// After a turn: whoever is beyond a deadline is gone, or will be once it was served.
    pub fn check_deadlines(&mut self) {
        // A driver that comes late judges late, and the next deadline counts from there.
        let slack = 2 * UNREAD_GRACE_MS + if self.is_lazy { 40_000 } else { 2 };
        for number in 0..self.peers.len() {
            let peer = &self.peers[number];
            let limit = self.limit_of(peer, self.conn_of(number));
            // A jump puts off what was to be judged before it.
            let after_jump = self.jumped_at + JUMP_SLACK_MS;
            let limit = limit.map(|limit| {
                if peer.is_excused {
                    limit.max(after_jump)
                } else {
                    limit
                }
            });
            let is_overdue = limit.is_some_and(|limit| self.clock() > limit + slack);
            if !is_overdue || !self.is_held(peer) {
                self.overdue.remove(&number);
                continue;
            }
            let turns = self.overdue.entry(number).or_default();
            *turns += 1;
            assert!(
                *turns <= OVERDUE_TURNS_MAX,
                "peer {number} should be gone since {} and is still here",
                limit.unwrap_or(0)
            );
        }
    }

    /// Faults ended and time passed: nothing that can arrive is on its way.
    pub fn check_calm(&self) {
        assert!(!self.shard.more(), "the shard never rests");
        for conn in self.conns.values() {
            let peer = &self.peers[conn.peer];
            let is_through = conn.phase == Phase::Open
                && peer.stage == Stage::Open
                && !peer.has_cut
                && peer.habits.reading != Reading::Never;
            assert!(
                !is_through || !conn.waits,
                "peer {} has read everything, and nobody was told that the outbox drained",
                peer.number
            );
            if is_through {
                let mut left = peer.expected[peer.seen..].iter();
                let missing = left.find(|expected| !expected.is_optional);
                assert!(
                    missing.is_none(),
                    "peer {} waits for message {}, {} bytes of it and others are unsent",
                    peer.number,
                    missing.map_or(0, |expected| expected.message.tag),
                    conn.buffered
                        .as_ref()
                        .map_or(0, wynd_engine::Buffered::bytes)
                );
            }
            if is_through && matches!(peer.habits.vice, Vice::None | Vice::Pings) {
                assert_eq!(
                    peer.told,
                    peer.sent.len(),
                    "messages of peer {} were not told",
                    peer.number
                );
                assert!(
                    peer.has_all_pongs(),
                    "peer {} waits for a pong",
                    peer.number
                );
            }
            let is_served = conn.phase == Phase::Http && !conn.is_raw;
            if is_served && !peer.has_cut && peer.habits.reading != Reading::Never {
                assert_eq!(
                    (conn.http_told, peer.answers_seen, conn.waits),
                    (peer.requests.len(), peer.answers.len(), false),
                    "peer {} waits for HTTP",
                    peer.number
                );
            }
        }
    }

    /// Everything ended: nothing is left, and nothing is counted that is not there.
    pub fn check_end(&mut self) {
        let left: Vec<_> = self
            .conns
            .values()
            .filter(|conn| conn.phase != Phase::Responded || conn.is_http)
            .collect();
        assert!(left.is_empty(), "never told of as gone: {left:?}");
        assert_eq!(self.shard.sockets(), 0, "sockets are left");
        assert!(!self.shard.more(), "work is left");
        assert_eq!(self.shard.next_deadline(), None, "a deadline is left");
        let counts = self.shard.statistics();
        assert_eq!(
            (counts.connections_open, counts.rooms, counts.outbox_bytes),
            (0, 0, 0),
            "something is still counted"
        );
        // A turn that was stopped before its flush has not said yet what it freed.
        self.shard.flush(self.instant(), &mut EventBatch::new());
        assert_eq!(self.meter.bytes(), 0, "memory is still counted");
        let dropped = counts.dropped_oldest + counts.dropped_newest + counts.dropped_latest;
        let holes: u64 = self.peers.iter().map(|peer| peer.holes).sum();
        assert!(
            holes <= dropped,
            "{holes} messages are missing, {dropped} were dropped"
        );
        let mut limits = counts.limits_hit.iter();
        let is_pressed = limits.any(|(name, _)| *name == "pong_bytes_max");
        let calm = self.peers.iter().filter(|peer| !peer.has_raved); // noise hides pings
        let merged: u64 = calm.map(|peer| peer.pongs_merged).sum();
        assert!(is_pressed || merged == 0, "{merged} pongs are missing");
        let seen: u64 = self.peers.iter().map(|peer| peer.messages_seen).sum();
        assert!(seen <= counts.messages_sent, "more arrived than was sent");
        for peer in self.peers.iter().filter(|peer| peer.is_good()) {
            let was_open = peer.status == Some(101);
            assert!(
                !was_open || peer.close_seen.is_some() || self.is_cut_short(peer.number),
                "peer {} never saw a close frame",
                peer.number
            );
        }
    }

    fn is_cut_short(&self, number: usize) -> bool {
        self.cut_short.contains(&number)
    }
}
