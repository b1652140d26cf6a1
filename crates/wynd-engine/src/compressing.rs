//! Compressing outbound messages (permessage-deflate, RFC 7692) on their way into outboxes.
//! Decides who compresses what: once for all members that keep no context, else each for itself.
//!
//! 1. Only whole messages of `DEFLATE_BYTES_MIN` and more are compressed; the rest goes plain.
//! 2. A message that is compressed on its own may be shared, dropped and replaced like a plain one.
//! 3. One that is compressed with a connection's context is put into the outbox in the same step,
//!    and nothing drops it: what comes later refers to it. So the messages of rooms that may drop
//!    go plain to such members.
//! 4. Room is judged before a context compresses, by the most that can come out.

use wynd_protocol::{
    deflate_overhead_max, DeflateParameters, Deflaters, Inflaters, DEFLATE_BYTES_MIN,
    WINDOW_BITS_MAX, WINDOW_BITS_MIN,
};

use crate::batch::EventBatch;
use crate::connection::Conn;
use crate::frame::{message_of, opcode_of, split_frame, SharedFrame, SHARE_BYTES_MIN};
use crate::ids::ConnId;
use crate::net::Network;
use crate::publishing::Cargo;
use crate::shard::Shard;
use crate::stats::Statistics;

/// Windows a compressor can have.
const WINDOWS: usize = (WINDOW_BITS_MAX - WINDOW_BITS_MIN + 1) as usize;

/// Which offers of permessage-deflate a shard takes, and what it keeps for them. Levels are 1 (fast)
/// to 9 (small), windows 9 to 15 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// None.
    #[default]
    Off,
    /// No context takeover: one compressor for the shard, nothing kept for idle connections.
    Shared {
        /// Compression level.
        level: u8,
    },
    /// Context takeover: each connection keeps its own compressor and inflater.
    Dedicated {
        /// Compression level.
        level: u8,
        /// Largest window to compress with.
        server_max_window_bits: u8,
        /// Largest window a client may keep.
        client_max_window_bits: u8,
    },
}

impl Compression {
    /// The most that is granted to an offer; `None` declines all.
    pub(crate) fn parameters(self) -> Option<DeflateParameters> {
        match self {
            Self::Off => None,
            Self::Shared { .. } => Some(DeflateParameters::SHARED),
            Self::Dedicated {
                server_max_window_bits,
                client_max_window_bits,
                ..
            } => Some(DeflateParameters {
                server_no_context_takeover: false,
                client_no_context_takeover: false,
                server_max_window_bits,
                client_max_window_bits,
            }),
        }
    }

    pub(crate) fn level(self) -> u8 {
        match self {
            Self::Off => 1,
            Self::Shared { level } | Self::Dedicated { level, .. } => level,
        }
    }
}

/// What a shard compresses and inflates with.
#[derive(Debug)]
pub(crate) struct Compressors {
    alone: Deflaters,
    pub(crate) inflaters: Inflaters,
    /// A frame on its way into an outbox.
    scratch: Vec<u8>,
}

impl Compressors {
    pub(crate) fn new(level: u8) -> Self {
        Self {
            alone: Deflaters::new(level),
            inflaters: Inflaters::default(),
            scratch: Vec::new(),
        }
    }

    /// Appends a plain frame compressed on its own; false if it stays plain.
    fn deflate_alone(
        &mut self,
        bits: u8,
        frame: &[u8],
        out: &mut Vec<u8>,
        counts: &mut Statistics,
    ) -> bool {
        let (kind, payload) = message_of(frame);
        if payload.len() < DEFLATE_BYTES_MIN {
            return false;
        }
        counts.messages_deflated += 1;
        self.alone
            .deflate_frame(bits, opcode_of(kind), payload, out)
    }

    /// The frame compressed on its own, made at most once; `None` if it stays plain.
    fn form_of(
        &mut self,
        bits: u8,
        frame: &SharedFrame,
        counts: &mut Statistics,
    ) -> Option<SharedFrame> {
        frame.deflated((self.alone.level(), bits), |plain| {
            let mut out = Vec::new();
            self.deflate_alone(bits, plain, &mut out, counts)
                .then(|| SharedFrame::of(&out))
        })
    }
}

/// How one connection's messages leave.
enum Way {
    Plain,
    /// Compressed on their own, with this window.
    Alone(u8),
    /// Compressed with the connection's context.
    Context,
}

fn way_of<S>(conn: &Conn<S>) -> Way {
    match conn.protocol.deflate_parameters() {
        None => Way::Plain,
        Some(agreed) if agreed.server_no_context_takeover => {
            Way::Alone(agreed.server_max_window_bits)
        }
        Some(_) => Way::Context,
    }
}

/// One publish in its compressed forms, by window.
#[derive(Default)]
pub(crate) struct Forms([Option<Form>; WINDOWS]);

enum Form {
    /// Nothing in it is compressed.
    Plain,
    Run(Vec<u8>, u64),
    Frame(SharedFrame),
}

impl<N: Network> Shard<N> {
    /// Whether a connection agreed to compression.
    #[inline]
    pub(crate) fn deflates(&self, id: ConnId) -> bool {
        self.config.compression != Compression::Off
            && self
                .conns
                .get(id)
                .is_some_and(|conn| conn.protocol.deflate_parameters().is_some())
    }

    fn way(&self, id: ConnId) -> Way {
        self.conns.get(id).map_or(Way::Plain, way_of)
    }

    /// Sends a run of plain frames to one connection, the long ones compressed.
    #[cold]
    pub(crate) fn send_deflated(&mut self, id: ConnId, run: &[u8], batch: &mut EventBatch) {
        let mut rest = run;
        while !rest.is_empty() {
            let (frame, after) = split_frame(rest);
            if !self.may_send(id, self.most(id, frame), true, batch) {
                return self.refuse_send(id, rest.len(), batch);
            }
            self.append_deflated(id, frame);
            if let Some(conn) = self.conns.get_mut(id) {
                conn.reflected += frame.len();
            }
            rest = after;
        }
    }

    /// Sends a frame that others may be sent, too.
    #[cold]
    pub(crate) fn send_shared_deflated(
        &mut self,
        id: ConnId,
        frame: &SharedFrame,
        batch: &mut EventBatch,
    ) {
        let Way::Alone(bits) = self.way(id) else {
            return self.send_deflated(id, frame.bytes(), batch);
        };
        let form = self.compressors.form_of(bits, frame, &mut self.counts);
        let sent = form.as_ref().unwrap_or(frame);
        if !self.may_send(id, sent.bytes().len(), true, batch) {
            return self.refuse_send(id, frame.bytes().len(), batch);
        }
        self.append_form(id, sent);
        if let Some(conn) = self.conns.get_mut(id) {
            conn.reflected += frame.bytes().len();
        }
    }

    /// Loads a member that agreed to compression; false if it is too slow.
    #[cold]
    pub(crate) fn load_deflated(
        &mut self,
        id: ConnId,
        cargo: &Cargo<'_>,
        forms: &mut Forms,
        batch: &mut EventBatch,
    ) -> bool {
        match self.way(id) {
            _ if cargo.len() < DEFLATE_BYTES_MIN => self.load_slowly(id, cargo, batch),
            Way::Plain => self.load_slowly(id, cargo, batch),
            Way::Alone(bits) => {
                let index = usize::from(bits.saturating_sub(WINDOW_BITS_MIN));
                let Some(place) = forms.0.get_mut(index) else {
                    return self.load_slowly(id, cargo, batch);
                };
                let form = match place {
                    Some(form) => form,
                    None => place.insert(self.form_of_cargo(bits, cargo)),
                };
                match form {
                    Form::Plain => self.load_slowly(id, cargo, batch),
                    Form::Run(run, count) => self.load_slowly(id, &Cargo::Run(run, *count), batch),
                    Form::Frame(frame) => self.load_slowly(id, &Cargo::Frame(frame.clone()), batch),
                }
            }
            Way::Context => self.load_with_context(id, cargo.bytes(), batch),
        }
    }

    fn load_with_context(&mut self, id: ConnId, run: &[u8], batch: &mut EventBatch) -> bool {
        let mut rest = run;
        while !rest.is_empty() {
            let (frame, after) = split_frame(rest);
            if !self.has_room_for(id, self.most(id, frame), batch) {
                return !self.is_open(id);
            }
            self.append_deflated(id, frame);
            rest = after;
        }
        true
    }

    /// Compresses what is published, once for all members with this window.
    fn form_of_cargo(&mut self, bits: u8, cargo: &Cargo<'_>) -> Form {
        let (run, count) = match cargo {
            Cargo::Frame(frame) => {
                let form = self.compressors.form_of(bits, frame, &mut self.counts);
                return form.map_or(Form::Plain, |frame| self.shared_form(frame));
            }
            Cargo::Run(run, count) => (*run, *count),
        };
        let (mut out, mut is_deflated) = (Vec::new(), false);
        let mut rest = run;
        while !rest.is_empty() {
            let (frame, after) = split_frame(rest);
            let counts = &mut self.counts;
            if self
                .compressors
                .deflate_alone(bits, frame, &mut out, counts)
            {
                is_deflated = true;
            } else {
                out.extend_from_slice(frame);
            }
            rest = after;
        }
        if !is_deflated {
            Form::Plain
        } else if count == 1 && out.len() >= SHARE_BYTES_MIN {
            self.shared_form(SharedFrame::of(&out))
        } else {
            Form::Run(out, count)
        }
    }

    fn shared_form(&self, frame: SharedFrame) -> Form {
        if frame.bytes().len() >= SHARE_BYTES_MIN {
            frame.count_in(&self.meter);
        }
        Form::Frame(frame)
    }

    /// The compressed form of a frame that may be dropped; `None` for members that take it plain.
    pub(crate) fn droppable_form(
        &mut self,
        id: ConnId,
        frame: &SharedFrame,
    ) -> Option<SharedFrame> {
        let Way::Alone(bits) = self.way(id) else {
            return None;
        };
        let form = self.compressors.form_of(bits, frame, &mut self.counts)?;
        form.count_in(&self.meter);
        Some(form)
    }

    /// The most bytes that a frame can become.
    fn most(&self, id: ConnId, frame: &[u8]) -> usize {
        match self.way(id) {
            Way::Plain | Way::Alone(_) => frame.len(),
            Way::Context => frame.len() + deflate_overhead_max(frame.len()),
        }
    }

    /// Compresses a plain frame if it is long enough, and puts it into the outbox.
    fn append_deflated(&mut self, id: ConnId, frame: &[u8]) {
        let mut scratch = std::mem::take(&mut self.compressors.scratch);
        scratch.clear();
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let counts = &mut self.counts;
        let is_deflated = match way_of(conn) {
            Way::Plain => false,
            Way::Alone(bits) => {
                let compressors = &mut self.compressors;
                compressors.deflate_alone(bits, frame, &mut scratch, counts)
            }
            Way::Context => {
                let (kind, payload) = message_of(frame);
                let is_deflated = conn.protocol.deflate_frame(kind, payload, &mut scratch);
                counts.messages_deflated += u64::from(is_deflated);
                is_deflated
            }
        };
        let sent = if is_deflated { &scratch[..] } else { frame };
        conn.outbox.append(&mut self.pool, sent);
        counts.messages_sent += 1;
        scratch.shrink_to(SCRATCH_KEPT_MAX);
        self.compressors.scratch = scratch;
        self.touch(id);
        // The context may have been made by this message.
        self.account(id);
    }

    fn append_form(&mut self, id: ConnId, frame: &SharedFrame) {
        if frame.bytes().len() >= SHARE_BYTES_MIN {
            frame.count_in(&self.meter);
        }
        if let Some(conn) = self.conns.get_mut(id) {
            conn.outbox.append_shared(&mut self.pool, frame);
            self.counts.messages_sent += 1;
        }
        self.touch(id);
    }
}

/// Memory kept for the next compressed frame.
const SCRATCH_KEPT_MAX: usize = 64 * 1024;
