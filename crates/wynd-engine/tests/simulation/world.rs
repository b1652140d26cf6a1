//! The world: virtual time, an agenda, and everything that lives in it. One thread, one seed.
//!
//! The agenda runs on the network's time, `ms`; the shard's clock is that plus `jumped`. The driver
//! wakes only for what the engine's page names: readiness, a deadline, `more`, or commands.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use wynd_engine::{
    CommandQueue, Compression, Config, ConnId, EventBatch, ListenerId, ListenerOptions, Meter,
    RoomPolicy, Shard, SocketKind,
};

use crate::support::network::MemoryNetwork;

use super::app::{Conn, Deferred, Phase, Room};
use super::chance::Chance;
use super::model::Order;
use super::peer::{Ending, Habits, Opening, Peer, Reading, Vice};
use super::trace::Trace;

/// What the agenda holds.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Connect(usize),
    /// The next parcel of a peer arrives.
    Arrive(usize),
    /// A peer reads.
    Carry(usize),
    Act(usize),
    /// The application does something of its own accord.
    Whim,
    /// The application does what it put off.
    Due,
    /// The network or the clock does.
    Fault,
}

/// How far a simulation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Season {
    /// Everything goes wrong.
    Storm,
    /// No more faults and no new messages: what is due has to arrive.
    Calm,
    /// All ends.
    Dusk,
}

/// How long a turn lasts while a flood is read: its peer never lets the shard rest.
const FLOODED_TURN_MS: u64 = 20;

pub const LISTENERS: [(bool, Option<u64>); 4] = [
    (false, None),
    (true, None),
    (true, Some(3_000)),
    (false, None),
];

pub struct World {
    pub chance: Chance,
    pub trace: Trace,
    pub season: Season,
    pub origin: Instant,
    pub ms: u64,
    pub jumped: u64,
    /// When the clock last jumped, on the shard's clock.
    pub jumped_at: u64,
    pub agenda: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    pub network: MemoryNetwork,
    pub shard: Shard<MemoryNetwork>,
    pub config: Config,
    pub meter: Meter,
    pub batch: Option<EventBatch>,
    pub queue: CommandQueue,
    /// The same commands for the model.
    pub orders: Vec<Order>,
    pub peers: Vec<Peer>,
    pub conns: BTreeMap<ConnId, Conn>,
    pub rooms: BTreeMap<String, Room>,
    pub policies: Vec<(String, RoomPolicy)>,
    pub deferred: BTreeMap<(u64, u64), Deferred>,
    /// Ids that are gone, for commands that come too late.
    pub dead: Vec<ConnId>,
    pub next_tag: u32,
    /// When the driver wakes; `None` while nothing asks for it.
    pub wakes_at: Option<u64>,
    pub turns_at_once: u32,
    pub told: Told,
    /// Turns that left a connection beyond its deadline, by peer.
    pub overdue: BTreeMap<usize, usize>,
    pub storm_ends: u64,
    /// The driver comes late, and stops in the middle of turns.
    pub is_lazy: bool,
    /// The peer that sends faster than it is read, if one does.
    pub flooded: Option<usize>,
    /// Peers whose connection the application aborted, or closed for being too slow.
    pub cut_short: BTreeSet<usize>,
}

/// What the application was told, to be compared with the shard's counters.
#[derive(Debug, Default)]
pub struct Told {
    pub opened: u64,
    pub closed: u64,
    pub messages: u64,
}

impl World {
    pub fn new(seed: u64, trace: Trace) -> Self {
        let mut chance = Chance::new(seed);
        let network = MemoryNetwork::new();
        {
            let mut inner = network.0.borrow_mut();
            inner.is_strict = !chance.one_in(4);
            inner.is_quiet = true;
            if chance.one_in(4) {
                inner.wait_max = chance.size(1, 5);
            }
        }
        #[allow(clippy::disallowed_methods)] // some origin; time passes only by the agenda
        let origin = Instant::now();
        let config = draw_config(&mut chance);
        let meter = Meter::default();
        let shard = Shard::new(
            config.clone(),
            network.clone(),
            meter.clone(),
            chance.next(),
            origin,
        );
        let storm_ends = chance.between(8_000, 25_000);
        let is_lazy = chance.one_in(3);
        let mut world = Self {
            chance,
            trace,
            season: Season::Storm,
            origin,
            ms: 0,
            jumped: 0,
            jumped_at: 0,
            agenda: BTreeMap::new(),
            sequence: 0,
            network,
            shard: shard.expect("no shard"),
            config,
            meter,
            batch: Some(EventBatch::new()),
            queue: CommandQueue::new(),
            orders: Vec::new(),
            peers: Vec::new(),
            conns: BTreeMap::new(),
            rooms: BTreeMap::new(),
            policies: Vec::new(),
            deferred: BTreeMap::new(),
            dead: Vec::new(),
            next_tag: 0,
            wakes_at: None,
            turns_at_once: 0,
            told: Told::default(),
            overdue: BTreeMap::new(),
            storm_ends,
            is_lazy,
            flooded: None,
            cut_short: BTreeSet::new(),
        };
        world.listen();
        world.populate();
        world
    }

    fn listen(&mut self) {
        for (number, (asks, idle)) in LISTENERS.into_iter().enumerate() {
            let options = ListenerOptions {
                kind: SocketKind::Tcp,
                asks,
                http_idle: idle.map(Duration::from_millis),
            };
            let id = ListenerId(u32::try_from(number).unwrap());
            self.shard.add_listener(id, number, options).unwrap();
        }
        for (pattern, policy) in [
            ("old.*", RoomPolicy::DropOldest),
            ("new.*", RoomPolicy::DropNewest),
            ("latest.*", RoomPolicy::Latest),
            ("kick.*", kick()),
        ] {
            self.set_policy(pattern, policy);
        }
    }

    fn populate(&mut self) {
        let count = self.chance.size(6, 22);
        for number in 0..count {
            let habits = draw_habits(&mut self.chance);
            self.peers.push(Peer::new(number, habits));
            let at = if self.chance.one_in(3) {
                0
            } else {
                self.chance.below(self.storm_ends * 3 / 4)
            };
            self.plan(at, Event::Connect(number));
        }
        self.plan(50, Event::Whim);
        self.plan(70, Event::Fault);
    }

    /// Puts an event onto the agenda, `delay` from now.
    pub fn plan(&mut self, delay: u64, event: Event) {
        self.sequence += 1;
        self.agenda.insert((self.ms + delay, self.sequence), event);
    }

    pub fn defer(&mut self, delay: u64, what: Deferred) {
        self.sequence += 1;
        self.deferred.insert((self.ms + delay, self.sequence), what);
        self.plan(delay, Event::Due);
    }

    /// The shard's clock.
    pub fn clock(&self) -> u64 {
        self.ms + self.jumped
    }

    pub fn instant(&self) -> Instant {
        self.origin + Duration::from_millis(self.clock())
    }

    pub fn note(&self, what: &'static str, a: u64, b: u64) {
        self.trace.note(self.clock(), what, a, b);
    }

    /// The shard's next deadline on the network's time.
    pub fn deadline(&self) -> Option<u64> {
        let deadline = self.shard.next_deadline()?;
        let since = deadline.saturating_duration_since(self.origin).as_millis();
        Some(u64::try_from(since).unwrap().saturating_sub(self.jumped))
    }

    fn needs_turn(&self) -> bool {
        self.network.0.borrow().has_edges()
            || self.shard.more()
            || !self.queue.is_empty()
            || self.deadline().is_some_and(|at| at <= self.ms)
            || !self.batch.as_ref().unwrap().is_dispatched()
    }

    /// Runs until `until`, or until nothing is left to happen.
    pub fn run_until(&mut self, until: u64) {
        loop {
            if self.wakes_at.is_none() && self.needs_turn() {
                self.wakes_at = Some(self.ms + self.lateness());
            }
            let planned = self.agenda.keys().next().map(|key| key.0);
            let wake = self.wakes_at.or_else(|| self.deadline());
            let Some(next) = planned.into_iter().chain(wake).min() else {
                break;
            };
            if next > until {
                break;
            }
            if next > self.ms {
                self.turns_at_once = 0;
                self.ms = next;
            }
            let is_awake = self.wakes_at.is_some_and(|at| at <= self.ms);
            let is_planned = planned.is_some_and(|at| at <= self.ms);
            if is_awake && (!is_planned || self.chance.one_in(2)) {
                self.wakes_at = None;
                self.turns_at_once += 1;
                assert!(self.turns_at_once < 20_000, "the shard never rests");
                self.turn();
                if self.flooded.is_some() {
                    self.ms += FLOODED_TURN_MS;
                    self.end_flood();
                }
            } else if is_planned {
                let (_, event) = self.agenda.pop_first().unwrap();
                self.happen(event);
            }
        }
        self.ms = self.ms.max(until);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Connect(peer) => self.connect(peer),
            Event::Arrive(peer) => self.arrive(peer),
            Event::Carry(peer) => self.carry(peer),
            Event::Act(peer) => self.act(peer),
            Event::Whim => self.follow_whim(),
            Event::Due => self.do_deferred(),
            Event::Fault => self.fault(),
        }
    }

    /// How late the driver is: seldom, and seldom by seconds.
    fn lateness(&mut self) -> u64 {
        if self.season != Season::Storm || !self.is_lazy {
            return 0;
        }
        match self.chance.below(200) {
            0 => {
                self.excuse_ending();
                self.chance.between(500, 12_000)
            }
            1..=20 => self.chance.between(1, 30),
            _ => 0,
        }
    }

    /// A driver that is late by seconds lets closing handshakes run out; else nobody is harmed.
    fn excuse_ending(&mut self) {
        for conn in self.conns.values() {
            let closes = matches!(conn.phase, Phase::Ending | Phase::Closing);
            if closes || !conn.codes.is_empty() {
                self.peers[conn.peer].is_excused = true;
            }
        }
    }

    /// Lets the clock jump as it does when a machine sleeps: the peers' answers come after it.
    pub fn jump(&mut self) {
        let by = self.chance.between(1_000, 90_000);
        self.jumped += by;
        self.note("the clock jumps", by, 0);
        let now = self.clock();
        self.jumped_at = now;
        for peer in self.peers.iter_mut().filter(|peer| peer.listener.is_some()) {
            peer.is_excused = true;
            peer.heard_at = now;
        }
    }

    /// Storm, calm, dusk; returns when everything is gone.
    pub fn run(&mut self) {
        self.run_until(self.storm_ends);
        self.season = Season::Calm;
        self.note("calm", 0, 0);
        self.end_flood();
        self.calm_down();
        let rest = self.patience();
        self.run_until(self.ms + rest);
        self.check_calm();
        self.season = Season::Dusk;
        self.note("dusk", 0, 0);
        self.end_all();
        self.run_until(self.ms + 3 * rest);
        self.check_end();
    }

    /// Longer than any deadline lasts.
    fn patience(&self) -> u64 {
        let config = &self.config;
        let sum = config.handshake_timeout
            + config.close_timeout * 2
            + config.outbox_stall
            + config.ping_timeout * 2
            + config.ping_interval.unwrap_or_default()
            + Duration::from_secs(10);
        u64::try_from(sum.as_millis()).unwrap()
    }

    pub fn members_of(&self, room: &str) -> BTreeSet<ConnId> {
        let room = self.rooms.get(room);
        room.map(|room| room.members.clone()).unwrap_or_default()
    }
}

/// A policy of its own code.
fn kick() -> RoomPolicy {
    RoomPolicy::Close {
        code: 4000,
        reason: "Out.".to_owned(),
    }
}

fn draw_config(chance: &mut Chance) -> Config {
    let seconds = |chance: &mut Chance, low: u64, high: u64| {
        Duration::from_millis(chance.between(low * 1_000, high * 1_000))
    };
    let soft = chance.pick(&[2_000, 16_000, 64_000]);
    Config {
        handshake_timeout: seconds(chance, 2, 5),
        head_bytes_max: chance.pick(&[2_000, 16_384]),
        message_bytes_max: chance.pick(&[8_000, 40_000, 200_000]),
        inbound_messages_max: chance.pick(&[1, 3, 16]),
        ping_interval: (!chance.one_in(5)).then(|| seconds(chance, 2, 8)),
        ping_timeout: seconds(chance, 3, 6),
        close_timeout: seconds(chance, 2, 5),
        outbox_bytes_soft: soft,
        outbox_bytes_hard: soft * chance.pick(&[2, 4]),
        outbox_stall: seconds(chance, 5, 9),
        pong_bytes_max: chance.pick(&[300, 16_384]),
        process_bytes_max: chance.pick(&[60_000, 1 << 20, 1 << 26, 1 << 26]),
        connections_max: chance.one_in(4).then(|| chance.size(3, 12)),
        connections_per_address_max: chance.one_in(4).then_some(3),
        connections_per_second_max: chance.one_in(6).then_some(4.0),
        rooms_per_connection_max: 3,
        room_name_bytes_max: 20,
        early_bytes_max: chance.pick(&[600, 65_536]),
        turn_events_max: chance.pick(&[2, 20, 1024]),
        compression: chance.pick(&[
            Compression::Off,
            Compression::Off,
            Compression::Shared { level: 1 },
            Compression::Dedicated {
                level: 1,
                server_max_window_bits: 12,
                client_max_window_bits: 12,
            },
        ]),
        ..Config::default()
    }
}

fn draw_habits(chance: &mut Chance) -> Habits {
    let opening = match chance.below(20) {
        0 => Opening::Silent,
        1 => Opening::Dribble,
        2 => Opening::Garbage,
        3 => Opening::Refusable,
        4..=5 => Opening::Http,
        6..=7 => Opening::HttpThenUpgrade,
        _ => Opening::Upgrade,
    };
    let is_good = chance.one_in(2);
    let vice = match chance.below(10) {
        _ if is_good => Vice::None,
        0 | 1 => Vice::Breaks(chance.index(9)),
        2 => Vice::Pings,
        3 => Vice::Floods,
        4 => Vice::Raves,
        5 => Vice::Mute,
        _ => Vice::None,
    };
    let reading = match chance.below(6) {
        _ if is_good => Reading::Promptly,
        0 | 1 => Reading::Stalls,
        2 => Reading::Never,
        _ => Reading::Promptly,
    };
    let ending = match chance.below(8) {
        0..=2 => Ending::Closes,
        _ if is_good => Ending::Stays,
        3 => Ending::ClosesAndFinishes,
        4 => Ending::ClosesAndResets,
        5 => Ending::Finishes,
        6 => Ending::Resets,
        _ => Ending::Stays,
    };
    Habits {
        opening,
        reading,
        ending,
        vice,
        offers_deflate: chance.one_in(2) && !matches!(vice, Vice::Breaks(_)),
        acts: chance.between(1, 25),
    }
}
