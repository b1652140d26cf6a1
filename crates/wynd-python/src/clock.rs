//! What time it is for the shard: the system's monotonic clock, or one that Python gives; and when a
//! slice of handlers is over.
//!
//! Times are float seconds towards Python and `Instant` towards the shard; both count from the
//! moment the engine was made.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::config::duration;

/// Events between two looks at the clock while handlers are quick.
const STRIDE_MAX: u32 = 16;

/// The engine's clock.
pub(crate) struct Clock {
    /// A callable that returns float seconds; `None` is the system's clock.
    given: Option<Py<PyAny>>,
    /// What `given` said at `base`.
    origin_s: f64,
    base: Instant,
}

impl Clock {
    /// Starts counting.
    pub(crate) fn new(py: Python<'_>, given: Option<Py<PyAny>>) -> PyResult<Self> {
        let origin_s = match &given {
            Some(clock) => clock.call0(py)?.extract(py)?,
            None => 0.0,
        };
        // The only reader of the system's clock in this crate.
        #[allow(clippy::disallowed_methods)]
        let base = Instant::now();
        Ok(Self {
            given,
            origin_s,
            base,
        })
    }

    /// Returns the time since the engine was made. Calls Python where a clock was given.
    pub(crate) fn elapsed(&self, py: Python<'_>) -> PyResult<Duration> {
        match &self.given {
            None => Ok(self.base.elapsed()),
            Some(clock) => {
                let seconds: f64 = clock.call0(py)?.extract(py)?;
                Ok(duration(seconds - self.origin_s))
            }
        }
    }

    /// Returns now.
    pub(crate) fn now(&self, py: Python<'_>) -> PyResult<Instant> {
        Ok(self.base + self.elapsed(py)?)
    }

    /// Returns `instant` in seconds since the engine was made.
    pub(crate) fn seconds_of(&self, instant: Instant) -> f64 {
        instant.saturating_duration_since(self.base).as_secs_f64()
    }

    /// Returns `instant` in nanoseconds since the engine was made.
    pub(crate) fn nanoseconds_of(&self, instant: Instant) -> u64 {
        let nanoseconds = instant.saturating_duration_since(self.base).as_nanos();
        u64::try_from(nanoseconds).unwrap_or(u64::MAX)
    }

    /// The given clock, for the garbage collector.
    pub(crate) fn given(&self) -> Option<&Py<PyAny>> {
        self.given.as_ref()
    }
}

/// Looks at the clock often while handlers are slow, seldom while they are quick.
pub(crate) struct Pace {
    slice_s: f64,
    begun_s: f64,
    looked_s: f64,
    stride: u32,
    left: u32,
}

impl Pace {
    pub(crate) fn new(slice_s: f64, now_s: f64) -> Self {
        Self {
            slice_s,
            begun_s: now_s,
            looked_s: now_s,
            stride: 1,
            left: 1,
        }
    }

    /// Counts an event; true if it is time to look at the clock.
    pub(crate) fn is_due(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    pub(crate) fn is_over(&mut self, now_s: f64) -> bool {
        let is_quick = now_s - self.looked_s < self.slice_s / 8.0;
        self.stride = if is_quick {
            (2 * self.stride).min(STRIDE_MAX)
        } else {
            1
        };
        self.left = self.stride;
        self.looked_s = now_s;
        now_s - self.begun_s >= self.slice_s
    }
}
