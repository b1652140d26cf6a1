//! The shard and its turn: poll, batch, apply, flush.
//! This file says in which order things happen; what happens is in `readiness`, `listener`, `handshaking`,
//! `receiving`, `applying`, `publishing`, `flushing`, `closing`, `deadlines` and `securing`.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use wynd_protocol::handshake::HeadLimits;
use wynd_protocol::Limits as MessageLimits;

use crate::addresses::{Addresses, Bucket};
use crate::batch::EventBatch;
use crate::clock::{ticks, Clock, Draw, Tick};
use crate::commands::CommandQueue;
use crate::compressing::Compressors;
use crate::connection::Conn;
use crate::deadlines::UNREAD_GRACE;
use crate::ids::{ConnId, ListenerId};
use crate::limits::Config;
use crate::listener::Listener;
use crate::memory::Meter;
use crate::net::{Network, Readiness, SocketKind, Waker};
use crate::net_mio::MioNetwork;
use crate::queue::Pool;
use crate::rooms::{RoomPolicy, Rooms};
use crate::securing::Sealing;
use crate::slots::Slots;
use crate::stats::Statistics;
use crate::timers::Timers;

/// How a listener behaves.
#[derive(Clone, Copy, Debug)]
pub struct ListenerOptions {
    /// TCP or Unix.
    pub kind: SocketKind,
    /// Whether each request is put to the application (`Event::Requested`).
    pub asks: bool,
    /// Whether plain requests are passed on (`Event::HttpOpened`), and how long a connection may
    /// wait for its next one. Upgrades are put to the application then.
    pub http_idle: Option<Duration>,
}

/// Connections of one thread with everything that moves their bytes.
///
/// - Getters: [`as_raw_fd`](Self::as_raw_fd), [`waker`](Self::waker), [`more`](Self::more),
///   [`next_deadline`](Self::next_deadline), [`statistics`](Self::statistics).
/// - The turn: [`wait`](Self::wait) where there is a thread for it, [`poll`](Self::poll),
///   [`apply`](Self::apply), [`flush`](Self::flush). See the crate's page for the order.
/// - Set-up and end: [`add_listener`](Self::add_listener), [`adopt`](Self::adopt),
///   [`abort_all`](Self::abort_all). They may add work for the next turn, so ask `more` after them.
#[derive(Debug)]
pub struct Shard<N: Network = MioNetwork> {
    pub(crate) network: N,
    pub(crate) config: Config,
    pub(crate) message_limits: MessageLimits,
    pub(crate) head_limits: HeadLimits,
    pub(crate) connections_max: usize,
    pub(crate) clock: Clock,
    /// The turn's time; the same for everything in it.
    pub(crate) now: Tick,
    pub(crate) draw: Draw,
    pub(crate) conns: Slots<Conn<N::Socket>>,
    /// Connections that were refused when they were accepted and linger; no cap counts them.
    pub(crate) lingering: usize,
    /// As the process's limit was when last asked for.
    pub(crate) descriptors_max: usize,
    /// Slots of open connections, in no order: the members of no room and of all.
    pub(crate) lobby: Vec<u32>,
    /// Connections told by `Opened` and not yet by `Closed`.
    pub(crate) opened: usize,
    pub(crate) rooms: Rooms,
    pub(crate) timers: Timers,
    pub(crate) pool: Pool,
    pub(crate) compressors: Compressors,
    pub(crate) sealing: Sealing,
    /// TLS handshakes that may still be carried on in this turn.
    pub(crate) tls_handshakes_left: usize,
    pub(crate) listeners: Vec<Option<Listener<N::Listener>>>,
    pub(crate) addresses: Addresses,
    pub(crate) arrivals: Option<Bucket>,
    /// Connections that have work the poller will not report again.
    pub(crate) ready: VecDeque<ConnId>,
    /// Connections whose outbox is to be flushed at the end of the turn.
    pub(crate) touched: Vec<ConnId>,
    /// Connections that end once the batch is dispatched.
    pub(crate) endings: Vec<ConnId>,
    pub(crate) readiness: Vec<Readiness>,
    /// `wait` was called and its readiness not yet looked at.
    pub(crate) has_waited: bool,
    /// The poller had more to say than was taken.
    pub(crate) overflowed: bool,
    /// The first of the last turns in a row in which it had.
    pub(crate) crowded_since: Option<Tick>,
    pub(crate) due: Vec<u32>,
    /// Bytes held by connections, shared frames aside, and what of it `meter` knows.
    pub(crate) held: usize,
    pub(crate) held_reported: usize,
    pub(crate) meter: Meter,
    pub(crate) counts: Statistics,
}

impl<N: Network> Shard<N> {
    /// Makes a shard; `seed` draws keepalive phases, `meter` sums the memory of all shards.
    pub fn new(
        config: Config,
        network: N,
        meter: Meter,
        seed: u64,
        now: Instant,
    ) -> io::Result<Self> {
        let descriptors = network.descriptors_max().unwrap_or(usize::MAX);
        let spare = descriptors
            .saturating_sub(config.descriptors_reserved)
            .max(1);
        Ok(Self {
            message_limits: config.message_limits(),
            head_limits: config.head_limits(),
            connections_max: config.connections_max.unwrap_or(spare),
            clock: Clock::new(now),
            now: 0,
            draw: Draw::new(seed),
            conns: Slots::new(),
            lingering: 0,
            descriptors_max: descriptors,
            lobby: Vec::new(),
            opened: 0,
            rooms: Rooms::default(),
            timers: Timers::new(),
            pool: Pool::default(),
            compressors: Compressors::new(config.compression.level()),
            sealing: Sealing::default(),
            tls_handshakes_left: 0,
            listeners: Vec::new(),
            addresses: Addresses::default(),
            arrivals: config
                .connections_per_second_max
                .map(|rate| Bucket::new(rate, 0)),
            ready: VecDeque::new(),
            touched: Vec::new(),
            endings: Vec::new(),
            readiness: Vec::new(),
            has_waited: false,
            overflowed: false,
            crowded_since: None,
            due: Vec::new(),
            held: 0,
            held_reported: 0,
            meter,
            counts: Statistics::default(),
            config,
            network,
        })
    }

    /// The poller's descriptor, readable while `poll` would find something.
    pub fn as_raw_fd(&self) -> RawFd {
        self.network.as_raw_fd()
    }

    /// A waker for this shard.
    pub fn waker(&self) -> Waker {
        self.network.waker()
    }

    /// Sets the policy of rooms whose name matches `pattern` (`*` matches any run of characters).
    /// The first pattern set that matches counts; setting one again replaces its policy.
    pub fn set_room_policy(&mut self, pattern: &str, policy: RoomPolicy) {
        self.rooms.set_policy(pattern, policy);
    }

    /// Waits for readiness, at most until `timeout`, a deadline, or a wake-up; for threads. The next
    /// `poll` judges what came without another wait.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = if self.more() {
            Some(Duration::ZERO)
        } else {
            timeout
        };
        self.readiness.clear();
        self.overflowed = self.network.wait(timeout, &mut self.readiness)?;
        self.has_waited = true;
        Ok(())
    }

    /// Accepts, receives and decodes into `batch`, then judges deadlines. Does nothing while the
    /// batch has undispatched events. Never blocks.
    pub fn poll(&mut self, now: Instant, batch: &mut EventBatch) -> io::Result<()> {
        if !batch.is_dispatched() {
            return Ok(());
        }
        batch.clear();
        self.set_now(now);
        if !self.has_waited {
            self.wait(Some(Duration::ZERO))?;
        }
        self.has_waited = false;
        self.note_readiness(batch);
        self.accept_ready(batch);
        self.serve_ready(batch);
        // A deadline is judged only after what has arrived was read; but where more arrives in every
        // turn than one takes, that is never so.
        let since = if self.overflowed {
            *self.crowded_since.get_or_insert(self.now)
        } else {
            self.crowded_since = None;
            self.now
        };
        if !self.overflowed || self.now >= since + UNREAD_GRACE {
            self.judge_deadlines(batch);
        }
        Ok(())
    }

    /// Carries out commands and clears the queue.
    pub fn apply(&mut self, now: Instant, commands: &mut CommandQueue, batch: &mut EventBatch) {
        self.set_now(now);
        self.carry_out(commands, batch);
        commands.clear();
    }

    /// Sends what is queued, one call per connection; ends what has to end, once the batch is
    /// dispatched.
    pub fn flush(&mut self, now: Instant, batch: &mut EventBatch) {
        self.set_now(now);
        if batch.is_dispatched() {
            self.finish_endings(batch);
        }
        self.flush_touched(batch);
        self.report_held();
        if self.meter.bytes() > self.config.process_bytes_max {
            self.close_largest(batch);
            self.flush_touched(batch);
            self.report_held();
        }
    }

    /// Whether work waits that the poller will not report: take another turn soon.
    pub fn more(&self) -> bool {
        !self.ready.is_empty()
            || !self.touched.is_empty()
            || !self.endings.is_empty()
            || self.overflowed
            || self
                .listeners
                .iter()
                .flatten()
                .any(|listener| listener.is_ready)
    }

    /// When `poll` has to be called at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        let paused = self
            .listeners
            .iter()
            .flatten()
            .filter_map(|listener| listener.paused_until);
        let next = self.timers.next().into_iter().chain(paused).min()?;
        Some(self.clock.instant(next))
    }

    /// Aborts every connection; listeners go on.
    pub fn abort_all(&mut self, now: Instant, batch: &mut EventBatch) {
        self.set_now(now);
        let ids: Vec<ConnId> = self.conns.ids().collect();
        for id in ids {
            self.remove(id, batch);
        }
        self.report_held();
    }

    /// Sockets held, refused and closing ones included.
    pub fn sockets(&self) -> usize {
        self.conns.len()
    }

    /// A snapshot.
    pub fn statistics(&self) -> Statistics {
        let mut counts = self.counts.clone();
        counts.connections_open = self.opened as u64;
        counts.rooms = self.rooms.len() as u64;
        counts.process_bytes = self.meter.bytes() as u64;
        counts.outbox_bytes = self
            .conns
            .ids()
            .filter_map(|id| self.conns.get(id))
            .map(|conn| conn.outbox.bytes() as u64)
            .sum();
        counts
    }

    fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(self.clock.tick(now));
    }

    /// A tick that lies `duration` after the turn's time.
    pub(crate) fn after(&self, duration: Duration) -> Tick {
        self.now.saturating_add(ticks(duration))
    }

    /// Notes what a connection holds now.
    #[inline]
    pub(crate) fn account(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            let holds = conn.holds();
            if holds != conn.held {
                self.held = self.held + holds - conn.held;
                conn.held = holds;
            }
        }
    }

    /// Tells the process's sum what this shard holds.
    fn report_held(&mut self) {
        self.meter.adjust(self.held_reported, self.held);
        self.held_reported = self.held;
    }

    /// Whether the process's memory is too short for another connection. The last sixteenth is kept
    /// for those that are in: at the bound itself, holders are closed and it is short no more.
    pub(crate) fn is_memory_short(&self) -> bool {
        let unreported = self.held.saturating_sub(self.held_reported);
        let bound = self.config.process_bytes_max;
        self.meter.bytes() + unreported >= bound - bound / 16
    }
}

impl<N: Network> Drop for Shard<N> {
    fn drop(&mut self) {
        // The sum outlives the shard where other shards share it.
        self.meter.adjust(self.held_reported, 0);
    }
}

/// The token of a listener: generation 0, which no connection has.
pub(crate) fn listener_token(index: usize) -> u64 {
    ConnId::new(u32::try_from(index).unwrap_or(u32::MAX), 0).as_u64()
}

/// Finds a listener by its id.
pub(crate) fn index_of<L>(listeners: &[Option<Listener<L>>], id: ListenerId) -> Option<usize> {
    listeners
        .iter()
        .position(|listener| listener.as_ref().is_some_and(|listener| listener.id == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_a_shard_may_live_on_a_thread_of_its_own() {
        fn is_send<T: Send>() {}
        is_send::<Shard>();
        is_send::<EventBatch>();
        is_send::<CommandQueue>();
    }
}
