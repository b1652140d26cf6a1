//! Flushing: one send per touched connection and turn, and what follows from how it went.
//!
//! 1. A send is tried at once. Only when the socket takes no more is room for output waited for.
//! 2. A short send counts as a full socket.
//! 3. Pongs beyond their bound merge into the newest; a peer that goes on pinging without reading
//!    is then no longer read (`STARVED`) until something leaves.

use std::io::{self, IoSlice};

use wynd_protocol::frames::{encode_frame, Opcode};

use crate::batch::EventBatch;
use crate::connection::{Conn, Ending, Flags, Phase};
use crate::ids::ConnId;
use crate::net::{Interest, Network};
use crate::outbox::PARTS_MAX;
use crate::queue::Pool;
use crate::securing::{send_sealed, Sealing};
use crate::shard::Shard;
use crate::stats::{count, Statistics};

/// Bytes of merged pongs after which a peer that takes none is no longer read.
const PONGS_MERGED_MAX: usize = 128 * 1024;

/// How a flush went.
pub(crate) enum Flushed {
    Drained,
    Blocked,
    Broken,
}

/// Sends until the outbox is empty or the socket takes no more; returns also the bytes sent.
#[inline]
fn send_out<N: Network>(
    network: &mut N,
    conn: &mut Conn<N::Socket>,
    pool: &mut Pool,
    sealing: &mut Sealing,
) -> (Flushed, usize) {
    if conn.tls.is_some() {
        return send_sealed(network, conn, pool, sealing);
    }
    let mut total = 0;
    while !conn.outbox.is_empty() {
        let (result, offered) = match conn.outbox.single() {
            Some(bytes) => (network.send(&conn.socket, bytes), bytes.len()),
            None => send_parts(network, conn),
        };
        match result {
            Ok(sent) => {
                conn.outbox.advance(pool, sent);
                total += sent;
                if sent < offered {
                    return (Flushed::Blocked, total);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return (Flushed::Blocked, total);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return (Flushed::Broken, total),
        }
    }
    (Flushed::Drained, total)
}

#[cold]
fn send_parts<N: Network>(network: &mut N, conn: &Conn<N::Socket>) -> (io::Result<usize>, usize) {
    let mut parts = [IoSlice::new(&[]); PARTS_MAX];
    let count = conn.outbox.parts(&mut parts);
    let parts = parts.get(..count).unwrap_or(&[]);
    let offered = parts.iter().map(|part| part.len()).sum();
    (network.send_vectored(&conn.socket, parts), offered)
}

/// Makes the shared counter say what the outbox holds.
#[inline]
fn reflect<S>(conn: &mut Conn<S>) {
    let bytes = conn.outbox.bytes();
    if bytes > conn.reflected {
        conn.buffered.charge(bytes - conn.reflected);
    } else if bytes < conn.reflected {
        conn.buffered.release(conn.reflected - bytes);
    }
    conn.reflected = bytes;
}

fn note_sent(counts: &mut Statistics, bytes: usize) {
    counts.bytes_sent += bytes as u64;
}

impl<N: Network> Shard<N> {
    /// Flushes every touched outbox; what that touches again, too.
    pub(crate) fn flush_touched(&mut self, batch: &mut EventBatch) {
        while !self.touched.is_empty() {
            let mut touched = std::mem::take(&mut self.touched);
            for id in touched.drain(..) {
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.flags.clear(Flags::TOUCHED);
                    self.flush_one(id, batch);
                }
            }
            // Keeps the longer memory.
            if self.touched.is_empty() {
                self.touched = touched;
            }
        }
    }

    /// Flushes one outbox, unless its socket is known to be full.
    #[inline]
    pub(crate) fn flush_one(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.flags.has(Flags::BLOCKED | Flags::WRITE_DEAD) {
            return self.stay_blocked(id);
        }
        // What is queued behind this and not applied yet: who saw the sum waits for `Drained`.
        let sum = conn.buffered.bytes();
        if sum > conn.reflected && sum >= self.config.outbox_bytes_soft {
            conn.flags.set(Flags::SOFT);
        }
        let (flushed, sent) = send_out(&mut self.network, conn, &mut self.pool, &mut self.sealing);
        note_sent(&mut self.counts, sent);
        reflect(conn);
        match flushed {
            Flushed::Drained => {
                let is_ordinary = conn.phase == Phase::Open
                    && conn.rare.is_none()
                    && !conn.flags.has(Flags::SOFT | Flags::STARVED)
                    && conn.interest == Some(Interest::Read)
                    && conn.held == 0;
                if !is_ordinary {
                    self.after_drained(id, batch);
                }
            }
            Flushed::Blocked => self.note_blocked(id, sent, batch),
            Flushed::Broken => self.note_broken(id, batch),
        }
    }

    /// A full or dead socket takes nothing; only the counters are kept true.
    #[cold]
    fn stay_blocked(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            if conn.flags.has(Flags::WRITE_DEAD) {
                conn.outbox.clear(&mut self.pool);
            }
            reflect(conn);
        }
        self.account(id);
    }

    /// The outbox is empty, and something was not as usual.
    #[cold]
    fn after_drained(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let was_blocked = matches!(conn.interest, Some(Interest::ReadWrite | Interest::Write));
        if was_blocked {
            let reads = conn.interest == Some(Interest::ReadWrite);
            self.watch(id, reads);
            self.restart_ping(id);
        }
        self.note_progress(id, batch);
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        if matches!(conn.phase, Phase::Closing | Phase::Lingering) {
            self.after_last_byte(id, batch);
        } else if conn.phase == Phase::Http {
            self.finish_http(id, batch);
        }
        self.account(id);
    }

    /// The socket takes no more for now.
    #[cold]
    fn note_blocked(&mut self, id: ConnId, sent: usize, batch: &mut EventBatch) {
        let stall = self.after(self.config.outbox_stall);
        let now = self.now;
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let was_blocked = matches!(conn.interest, Some(Interest::ReadWrite | Interest::Write));
        conn.flags.set(Flags::BLOCKED);
        if let Some(progress_at) = conn.progress_at() {
            if sent > 0 || !was_blocked {
                *progress_at = now;
            }
        }
        let reads = conn
            .interest
            .is_some_and(|interest| interest != Interest::Write);
        self.watch(id, reads);
        self.timers.set_earlier(id.slot(), stall);
        if sent > 0 {
            self.note_progress(id, batch);
        }
        self.account(id);
    }

    /// Bytes left: whoever waits for the outbox goes on, and a waiting pong has its turn.
    fn note_progress(&mut self, id: ConnId, batch: &mut EventBatch) {
        let soft = self.config.outbox_bytes_soft;
        let pong_bytes_max = self.config.pong_bytes_max;
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.flags.has(Flags::SOFT) && conn.outbox.bytes() < soft / 2 {
            conn.flags.clear(Flags::SOFT);
            if conn.flags.has(Flags::HTTP) {
                batch.push_http_drained(id);
            } else {
                batch.push_drained(id);
            }
        }
        let Some(rare) = conn.rare.as_deref_mut() else {
            return;
        };
        let Some(pong) = rare.pong.take() else {
            return;
        };
        if conn.phase != Phase::Open
            || !conn
                .outbox
                .append_pong(&mut self.pool, &pong, pong_bytes_max)
        {
            rare.pong = Some(pong);
            return;
        }
        rare.pongs_merged = 0;
        conn.tidy_rare();
        let was_starved = conn.flags.has(Flags::STARVED);
        conn.flags.clear(Flags::STARVED);
        self.touch(id);
        if was_starved {
            self.resume_input(id);
        }
    }

    /// Reads again after a pause: what came meanwhile first, then the network reports.
    pub(crate) fn resume_input(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.last_seen = now; // the keepalive deadline stood still
        if !conn.reads() {
            return;
        }
        if conn.flags.has(Flags::READABLE) || conn.has_pending() {
            self.queue_ready(id);
        }
        self.watch(id, true);
    }

    /// Sending failed: the peer is gone. What it sent before may wait to be read, its close frame
    /// perhaps, so reading goes on until it says the same.
    ///
    /// Members are never removed here, since their room may be walking through them.
    #[cold]
    fn note_broken(&mut self, id: ConnId, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.flags.set(Flags::WRITE_DEAD);
        conn.outbox.clear(&mut self.pool);
        if let Some(tls) = conn.tls.as_deref_mut() {
            tls.drop_output();
        }
        reflect(conn);
        self.account(id);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.reads() {
            conn.flags.set(Flags::READABLE | Flags::READ_CLOSED);
            self.queue_ready(id);
        } else if conn.phase == Phase::Open {
            self.begin_ending(id, Ending::Lost);
        } else {
            self.remove(id, batch);
        }
    }

    /// Answers a ping, or keeps its payload for when there is room.
    pub(crate) fn answer_ping(&mut self, id: ConnId, payload: &[u8], batch: &mut EventBatch) {
        let is_open = self
            .conns
            .get(id)
            .is_some_and(|conn| conn.phase == Phase::Open);
        if !is_open {
            return;
        }
        let mut pong = Vec::with_capacity(payload.len() + 2);
        encode_frame(Opcode::Pong, payload, &mut pong);
        if self.take_pong(id, &pong) {
            return;
        }
        // Only a socket that takes nothing is pressure; a burst of pings is not.
        self.flush_one(id, batch);
        if self.take_pong(id, &pong) {
            return;
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        count(&mut self.counts.limits_hit, "pong_bytes_max");
        let rare = conn.rare_mut();
        rare.pongs_merged += pong.len();
        rare.pong = Some(pong);
        if rare.pongs_merged >= PONGS_MERGED_MAX {
            conn.flags.set(Flags::STARVED);
        }
        self.touch(id);
    }
    /// Queues a pong, unless too many wait already.
    fn take_pong(&mut self, id: ConnId, pong: &[u8]) -> bool {
        let bytes_max = self.config.pong_bytes_max;
        let Some(conn) = self.conns.get_mut(id) else {
            return true;
        };
        let has_waiting = conn.rare.as_ref().is_some_and(|rare| rare.pong.is_some());
        let is_taken = !has_waiting && conn.outbox.append_pong(&mut self.pool, pong, bytes_max);
        if is_taken {
            self.touch(id);
        }
        is_taken
    }
}
