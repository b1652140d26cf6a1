//! The driver: a turn as the engine's page tells it, at times interrupted in the middle.

use super::world::{Season, World};

impl World {
    /// One turn, or a part of one.
    pub fn turn(&mut self) {
        let now = self.instant();
        let mut batch = self.batch.take().unwrap();
        let is_due = self.network.0.borrow().has_edges()
            || self.shard.more()
            || self.deadline().is_some_and(|at| at <= self.ms);
        self.note("turn", u64::from(is_due), 0);
        // Commands alone need no poll, and now and then get one.
        let polls = batch.is_dispatched() && (is_due || self.chance.one_in(4));
        if polls {
            self.check_punctual();
            for conn in self.conns.values_mut() {
                conn.is_held = conn.is_paused;
            }
            self.shard.poll(now, &mut batch).expect("no poll");
            self.note_taken();
        }
        let may_stop = self.is_lazy && self.season == Season::Storm;
        loop {
            let mut left = if may_stop && self.chance.one_in(8) {
                self.chance.index(4)
            } else {
                usize::MAX
            };
            while left > 0 {
                let Some(index) = batch.advance() else {
                    break;
                };
                let event = batch.get(index).expect("no event");
                self.handle(&event);
                left -= 1;
            }
            let is_dispatched = batch.is_dispatched();
            self.shard.apply(now, &mut self.queue, &mut batch);
            self.carry_out_orders(is_dispatched);
            let skips = self.is_lazy && self.season != Season::Dusk;
            if skips && self.chance.one_in(12) {
                // `more` has to say that there is something to flush, and it is flushed at once: late
                // is one thing, a close frame that leaves after its own deadline another.
                if self.shard.more() {
                    self.wakes_at = Some(self.ms);
                }
                break;
            }
            self.shard.flush(now, &mut batch);
            self.settle_memory(&mut batch);
            self.check_outboxes(batch.is_dispatched());
            if batch.is_dispatched() || may_stop && self.chance.one_in(12) {
                break;
            }
        }
        let is_over = batch.is_dispatched() && self.queue.is_empty();
        self.batch = Some(batch);
        if is_over {
            self.check_counts();
        }
        if polls {
            self.check_deadlines();
        }
        self.plan_reading();
    }

    /// Notes which sockets the shard has taken.
    fn note_taken(&mut self) {
        let now = self.clock();
        let mut inner = self.network.0.borrow_mut();
        for peer in &mut self.peers {
            let is_new = peer.listener.is_some() && peer.taken_at.is_none();
            if is_new && inner.line(peer.socket).is_taken {
                peer.taken_at = Some(now);
            }
        }
    }
}
