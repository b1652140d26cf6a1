//! How commands get from a caller to the shard in time: who wakes the loop, and what happens to
//! callers that are faster than it.
//!
//! The first command after a turn arms one flush, by `schedule` on the loop's thread, by the poller's
//! waker from another. `settle` disarms and then looks at the queue; a pusher pushes and then looks
//! whether it is armed. So no command is left behind.

use std::sync::atomic::Ordering;
use std::sync::PoisonError;

use pyo3::prelude::*;
use wynd_engine::ConnId;

use crate::commands::Commands;
use crate::engine::Engine;
use crate::errors;
use crate::raw::this_thread;

/// Said with 1013 to a peer that does not read what is sent to it.
const TOO_SLOW: &str = "Too slow.";

impl Engine {
    /// Queues something and sees to it that a flush comes.
    #[inline]
    pub(crate) fn push<T>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Commands) -> T,
    ) -> PyResult<T> {
        self.check_fork()?;
        let (result, taken) = self.pushed(py, self.outbound.push(work))?;
        self.after_push(py)?;
        if self.outbound.is_long() {
            self.relieve(py, taken)?;
        }
        Ok(result)
    }

    /// Returns what a push returned; after a panic it sees to it that a flush comes all the same.
    #[inline]
    pub(crate) fn pushed<T>(&self, py: Python<'_>, pushed: Result<T, String>) -> PyResult<T> {
        match pushed {
            Ok(pushed) => Ok(pushed),
            Err(message) => {
                self.after_push(py)?;
                Err(errors::panicked(&message))
            }
        }
    }

    #[inline]
    pub(crate) fn after_push(&self, py: Python<'_>) -> PyResult<()> {
        // Not an exchange at once: a locked instruction per message. The queue's mutex lies between.
        if self.is_armed.load(Ordering::Relaxed) || self.is_armed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.arm(py)
    }

    /// Has what is queued applied before more is: at once, or by the loop while this thread waits.
    #[cold]
    pub(crate) fn relieve(&self, py: Python<'_>, taken: u64) -> PyResult<bool> {
        if self.is_on_loop() {
            self.run(py, |state, now| state.flush(&self.outbound, now))?;
            return Ok(true);
        }
        Ok(py.detach(|| self.outbound.wait_applied(taken)))
    }

    /// Finds out whether the message just queued was one too many for its connection.
    #[cold]
    pub(crate) fn is_refused(
        &self,
        py: Python<'_>,
        conn: ConnId,
        taken: u64,
        is_over: bool,
    ) -> PyResult<bool> {
        let was_applied = self.relieve(py, taken)?;
        let mut commands = self.outbound.lock();
        if is_over && !was_applied && commands.begin_close(conn) {
            commands.queue.push_close(conn, Some(1013), TOO_SLOW);
        }
        Ok(!commands.takes_messages(conn))
    }

    #[cold]
    fn arm(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_on_loop() {
            self.schedule.call0(py)?;
        } else if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake();
        }
        Ok(())
    }

    pub(crate) fn is_on_loop(&self) -> bool {
        this_thread() == self.loop_thread
    }
}
