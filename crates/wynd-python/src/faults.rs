//! Panics on request, for the tests of what a bug of ours does to a server. Only a build with the
//! feature `fault-injection` has them; in any other these calls are nothing.
//!
//! A test names a point with `_inject_fault`; the next call that reaches it panics.

#[cfg(feature = "fault-injection")]
mod injected {
    use std::sync::{Mutex, PoisonError};

    use pyo3::prelude::*;

    /// The points that are to panic, each once.
    static POINTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

    /// Let the next call that reaches `point` panic; for tests.
    #[pyfunction]
    #[pyo3(name = "_inject_fault")]
    pub fn inject_fault(point: String) {
        POINTS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(point);
    }

    pub(crate) fn at(point: &str) {
        let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
        let found = points.iter().position(|waiting| waiting == point);
        if let Some(index) = found {
            points.swap_remove(index);
            drop(points);
            panic!("injected at {point}");
        }
    }
}

#[cfg(feature = "fault-injection")]
pub(crate) use injected::at;
#[cfg(feature = "fault-injection")]
pub use injected::inject_fault;

/// Nothing.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
#[allow(clippy::inline_always)] // it must vanish from every hot path
pub(crate) fn at(_point: &str) {}
