//! The shard and its turn: poll, batch, apply, flush.
//! This file says in which order things happen; what happens is in `listener`, `handshaking`,
//! `receiving`, `applying`, `publishing`, `flushing`, `closing` and `deadlines`.

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
use crate::connection::{Conn, Flags, Phase};
use crate::ids::{ConnId, ListenerId};
use crate::limits::Config;
use crate::listener::Listener;
use crate::memory::Meter;
use crate::net::{Interest, Network, Readiness, SocketKind, Waker};
use crate::net_mio::MioNetwork;
use crate::outbox::Pool;
use crate::rooms::{RoomPolicy, Rooms};
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
    /// Slots of open connections, in no order: the members of no room and of all.
    pub(crate) lobby: Vec<u32>,
    /// Connections told by `Opened` and not yet by `Closed`.
    pub(crate) opened: usize,
    pub(crate) rooms: Rooms,
    pub(crate) timers: Timers,
    pub(crate) pool: Pool,
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
            lobby: Vec::new(),
            opened: 0,
            rooms: Rooms::default(),
            timers: Timers::new(),
            pool: Pool::default(),
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
        // A deadline is judged only after what has arrived was read.
        if !self.overflowed {
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

    /// Turns what the network said into flags and lists.
    fn note_readiness(&mut self, batch: &mut EventBatch) {
        let mut readiness = std::mem::take(&mut self.readiness);
        for ready in readiness.drain(..) {
            let id = ConnId::from_u64(ready.token);
            if id.generation() == 0 {
                self.note_listener_ready(id.slot());
            } else {
                self.note_ready(id, ready, batch);
            }
        }
        self.readiness = readiness;
    }

    #[inline]
    fn note_ready(&mut self, id: ConnId, ready: Readiness, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return; // the socket was closed after the kernel reported it
        };
        if ready.writable && conn.flags.has(Flags::BLOCKED) {
            conn.flags.clear(Flags::BLOCKED);
            self.touch(id);
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if !(ready.readable || ready.read_closed || ready.broken) {
            return;
        }
        conn.flags.set(Flags::READABLE);
        if ready.read_closed {
            conn.flags.set(Flags::READ_CLOSED);
        }
        if conn.reads() {
            self.queue_ready(id);
        } else if ready.broken && conn.flags.has(Flags::PAUSED | Flags::STARVED) {
            self.remove(id, batch);
        } else {
            // Lazily, at the first event that finds the connection not reading.
            self.watch(id, false);
        }
    }

    /// Puts a connection on the ready list, once.
    #[inline]
    pub(crate) fn queue_ready(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            if !conn.flags.has(Flags::QUEUED) {
                conn.flags.set(Flags::QUEUED);
                self.ready.push_back(id);
            }
        }
    }

    /// Puts a connection on the list to flush, once.
    #[inline]
    pub(crate) fn touch(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            if !conn.flags.has(Flags::TOUCHED) {
                conn.flags.set(Flags::TOUCHED);
                self.touched.push(id);
            }
        }
    }

    /// Lets the network report input or not, and room for output while the socket is blocked.
    pub(crate) fn watch(&mut self, id: ConnId, read: bool) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let wanted = Interest::of(read, conn.flags.has(Flags::BLOCKED));
        if wanted == conn.interest {
            return;
        }
        let token = id.as_u64();
        let done = match (conn.interest, wanted) {
            (_, None) => self.network.deregister(&conn.socket),
            (None, Some(interest)) => self.network.register(&conn.socket, token, interest),
            (Some(_), Some(interest)) => self.network.reregister(&conn.socket, token, interest),
        };
        // A descriptor the poller refuses is of no use; reading it next finds out why.
        if done.is_err() {
            conn.flags.set(Flags::READABLE | Flags::READ_CLOSED);
            self.queue_ready(id);
            return;
        }
        conn.interest = wanted;
    }

    /// Serves each connection of the ready list once, within the bounds of the turn.
    fn serve_ready(&mut self, batch: &mut EventBatch) {
        for _ in 0..self.ready.len() {
            if batch.len() >= self.config.turn_events_max || !batch.has_receive_space() {
                return;
            }
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            let Some(conn) = self.conns.get_mut(id) else {
                continue;
            };
            conn.flags.clear(Flags::QUEUED);
            match conn.phase {
                Phase::Handshaking | Phase::Asking => self.receive_head(id, batch),
                Phase::Open | Phase::Closing => self.receive_messages(id, batch),
                Phase::Lingering => self.discard_input(id, batch),
            }
        }
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

    /// Whether the process's memory is used up.
    pub(crate) fn is_memory_full(&self) -> bool {
        let unreported = self.held.saturating_sub(self.held_reported);
        self.meter.bytes() + unreported >= self.config.process_bytes_max
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
