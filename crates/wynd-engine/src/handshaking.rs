//! The opening handshake of a connection: head, judgement, answer.
//! The rules of a head are the protocol's; deadlines are in `deadlines`.

use wynd_protocol::handshake::{self, Judged, PlainRequest, Policy, Refusal, Upgrade};

use crate::batch::{EventBatch, Introduction, Span};
use crate::commands::Acceptance;
use crate::connection::{Flags, Phase};
use crate::ids::ConnId;
use crate::net::Network;
use crate::receiving::{receive, Received};
use crate::shard::Shard;
use crate::stats::count;

/// A judged head: what follows from it is decided without a borrow of the connection.
pub(crate) enum Verdict {
    Refused(Refusal),
    Plain(PlainRequest),
    Upgrade(Upgrade),
}

impl<N: Network> Shard<N> {
    /// Receives until the head is complete; while the application is asked, keeps what comes early.
    pub(crate) fn receive_head(&mut self, id: ConnId, batch: &mut EventBatch) {
        let is_proxied = |flags: Flags| flags.has(Flags::PROXIED);
        if self
            .conns
            .get(id)
            .is_some_and(|conn| is_proxied(conn.flags))
            && !self.take_proxy_header(id, batch)
        {
            return;
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if !conn.flags.has(Flags::READABLE) || !conn.reads() {
            return;
        }
        match receive(&mut self.network, conn, batch, self.now, &mut self.counts) {
            Received::Bytes(size) => {
                if conn.phase == Phase::Asking {
                    self.keep_early(id, batch, size);
                } else if conn.serves_http() {
                    let base = batch.used();
                    self.take_received(id, batch, base..base + size);
                } else {
                    self.scan_head(id, batch, size);
                }
                self.account(id);
                let again = |flags: Flags| flags.has(Flags::READABLE);
                if self
                    .conns
                    .get(id)
                    .is_some_and(|conn| again(conn.flags) && conn.reads())
                {
                    self.queue_ready(id);
                }
            }
            Received::Nothing => {}
            Received::Overhead => self.note_overhead(id, batch),
            Received::End | Received::Broken => self.remove(id, batch),
        }
    }

    /// Looks for the head's end in `size` bytes just received.
    fn scan_head(&mut self, id: ConnId, batch: &mut EventBatch, size: usize) {
        let base = batch.used();
        let Some(greeting) = self
            .conns
            .get_mut(id)
            .and_then(|conn| conn.greeting.as_deref_mut())
        else {
            return;
        };
        let came_at_once = greeting.head.is_empty();
        let received = batch.slice(base..base + size);
        if !came_at_once {
            greeting.head.extend_from_slice(received);
        }
        let head = if came_at_once {
            received
        } else {
            &greeting.head
        };
        match greeting.scanner.find_end(head, &self.head_limits) {
            Err(refusal) => self.refuse(id, refusal),
            Ok(None) => {
                if came_at_once {
                    greeting.head = received.to_vec();
                }
            }
            Ok(Some(end)) => {
                let early = head.get(end..).unwrap_or(&[]).to_vec();
                let span = if came_at_once {
                    batch.keep_until(base + end);
                    Span::Arena(base..base + end)
                } else {
                    greeting.head.truncate(end);
                    Span::Owned(std::mem::take(&mut greeting.head))
                };
                greeting.early = early;
                self.judge_head(id, batch, span);
            }
        }
    }

    /// Refuses, asks, or opens.
    fn judge_head(&mut self, id: ConnId, batch: &mut EventBatch, head: Span) {
        let is_secure = self.conns.get(id).is_some_and(|conn| conn.tls.is_some());
        let verdict = self.verdict_on(batch.bytes_of(&head), is_secure);
        let is_memory_short = self.is_memory_short();
        let Some(greeting) = self
            .conns
            .get_mut(id)
            .and_then(|conn| conn.greeting.as_deref_mut())
        else {
            return;
        };
        let is_early_too_long = greeting.early.len() > self.config.early_bytes_max;
        match verdict {
            Verdict::Refused(refusal) => self.refuse(id, refusal),
            Verdict::Plain(_) if !greeting.asks => self.refuse(id, Refusal::UpgradeRequired),
            _ if is_early_too_long => self.refuse_early(id),
            Verdict::Upgrade(_) if is_memory_short => {
                count(&mut self.counts.limits_hit, "process_bytes_max");
                self.refuse(id, Refusal::TooManyConnections);
            }
            Verdict::Upgrade(upgrade) if !greeting.asks => {
                greeting.upgrade = Some(upgrade);
                let agreed = Acceptance {
                    subprotocol: None,
                    headers: Vec::new(),
                };
                self.open(id, &agreed, head, batch);
            }
            Verdict::Upgrade(upgrade) => {
                greeting.upgrade = Some(upgrade);
                self.ask(id, head, batch);
            }
            Verdict::Plain(_) => self.ask(id, head, batch),
        }
    }

    pub(crate) fn verdict_on(&self, head: &[u8], secure: bool) -> Verdict {
        let policy = Policy {
            origins: &self.config.origins,
            subprotocols: &self.config.subprotocols,
            secure,
            deflate: self.config.compression.parameters(),
        };
        match handshake::judge(head, &self.head_limits, &policy) {
            Ok(Judged::Upgrade(upgrade)) => Verdict::Upgrade(upgrade),
            Ok(Judged::Plain(request)) => Verdict::Plain(request),
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    /// Puts the request to the application.
    pub(crate) fn ask(&mut self, id: ConnId, head: Span, batch: &mut EventBatch) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let Some(greeting) = conn.greeting.as_deref() else {
            return;
        };
        let about = Introduction {
            listener: conn.listener,
            address: greeting.address,
            secure: conn.tls.is_some(),
            upgrade: greeting.upgrade.is_some(),
            subprotocol: None,
            buffered: None,
            local: None,
        };
        conn.phase = Phase::Asking;
        conn.flags.set(Flags::ASKED);
        batch.push_introduction(id, head, about);
    }

    /// Keeps bytes that came before the answer; too many are refused.
    fn keep_early(&mut self, id: ConnId, batch: &mut EventBatch, size: usize) {
        let base = batch.used();
        let received = batch.slice(base..base + size);
        let Some(greeting) = self
            .conns
            .get_mut(id)
            .and_then(|conn| conn.greeting.as_deref_mut())
        else {
            return;
        };
        if greeting.early.len() + received.len() > self.config.early_bytes_max {
            batch.push_handshake_lost(id);
            self.refuse_early(id);
            return;
        }
        greeting.early.extend_from_slice(received);
    }

    pub(crate) fn refuse_early(&mut self, id: ConnId) {
        count(&mut self.counts.limits_hit, "early_bytes_max");
        self.refuse(id, Refusal::TooManyEarlyBytes);
    }

    /// Carries out the application's acceptance; nothing if the connection is not asked any more.
    pub(crate) fn accept_request(
        &mut self,
        id: ConnId,
        acceptance: &Acceptance,
        batch: &mut EventBatch,
    ) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.phase != Phase::Asking {
            return;
        }
        if conn
            .greeting
            .as_ref()
            .is_some_and(|greeting| greeting.upgrade.is_some())
        {
            self.open(id, acceptance, Span::Arena(0..0), batch);
        } else {
            // A plain request cannot become a WebSocket; the application learns by the loss.
            batch.push_handshake_lost(id);
            self.refuse(id, Refusal::UpgradeRequired);
        }
    }

    /// Answers a request with a response of the application's.
    pub(crate) fn respond(&mut self, id: ConnId, status: u16, response: &[u8]) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        if conn.phase != Phase::Asking {
            return;
        }
        count(&mut self.counts.handshakes_refused, status);
        self.linger(id, response);
    }

    /// Refuses: a fixed answer, then lingering. The application is not told.
    pub(crate) fn refuse(&mut self, id: ConnId, refusal: Refusal) {
        count(&mut self.counts.handshakes_refused, refusal.status());
        match refusal {
            Refusal::HeadTooLarge => count(&mut self.counts.limits_hit, "head_bytes_max"),
            Refusal::HeadTimeout | Refusal::AnswerTimeout => {
                count(&mut self.counts.limits_hit, "handshake_timeout");
            }
            _ => {}
        }
        let mut response = Vec::new();
        refusal.write(&mut response);
        self.linger(id, &response);
    }

    /// Queues a last answer, an empty one perhaps; input is discarded until the peer has read it and ends.
    pub(crate) fn linger(&mut self, id: ConnId, response: &[u8]) {
        let deadline = self.after(self.config.close_timeout);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.flags.has(Flags::HTTP) {
            return self.end_http(id, response);
        }
        conn.phase = Phase::Lingering;
        conn.flags.clear(Flags::ASKED);
        conn.flags.set(Flags::DISCARD);
        conn.greeting = None;
        if let Some(rare) = conn.rare.as_deref_mut() {
            rare.pending = Vec::new(); // input that waited is never parsed
            rare.pending_at = 0;
        }
        if !response.is_empty() {
            conn.outbox.append_raw(&mut self.pool, response);
        }
        self.timers.set(id.slot(), deadline);
        self.touch(id);
        self.account(id);
    }

    /// Answers 101 and tells the application.
    fn open(&mut self, id: ConnId, acceptance: &Acceptance, head: Span, batch: &mut EventBatch) {
        self.part_http(id, batch);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let Some(greeting) = conn.greeting.take() else {
            return;
        };
        let Some(upgrade) = greeting.upgrade else {
            return;
        };
        let negotiated = upgrade
            .subprotocol
            .and_then(|index| self.config.subprotocols.get(index));
        let subprotocol = acceptance.subprotocol.as_ref().or(negotiated);
        let mut response = Vec::with_capacity(192);
        let agreed = subprotocol.map(String::as_str);
        handshake::write_accept(&mut response, &upgrade, agreed, &acceptance.headers);
        conn.outbox.append_raw(&mut self.pool, &response);
        if let Some(agreement) = &upgrade.deflate {
            let level = self.config.compression.level();
            let inflaters = self.compressors.inflaters.clone();
            conn.protocol
                .enable_deflate(agreement.parameters, level, inflaters);
        }
        conn.phase = Phase::Open;
        conn.flags
            .clear(Flags::ASKED | Flags::PAUSED | Flags::STARVED | Flags::SOFT);
        conn.flags.set(Flags::OPENED);
        self.opened += 1;
        let about = Introduction {
            listener: conn.listener,
            address: greeting.address,
            secure: conn.tls.is_some(),
            upgrade: true,
            subprotocol: subprotocol.map(|name| name.as_str().into()),
            buffered: Some(conn.buffered.clone()),
            local: None,
        };
        batch.push_introduction(id, head, about);
        if !greeting.early.is_empty() {
            conn.rare_mut().pending = greeting.early;
            self.queue_ready(id);
        }
        self.start_keepalive(id);
        self.touch(id);
        self.account(id);
    }
}
