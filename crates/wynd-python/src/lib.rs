//! The native module `wynd._engine`: signatures, calls and conversions over `wynd-engine` and
//! `wynd-protocol`. The only crate that knows Python; it decides nothing about sockets or frames.
//!
//! # Rules
//!
//! 1. Every class is frozen; what changes lies behind a mutex or an atomic.
//! 2. No lock and no borrow is held across a call into Python, and none while waiting for the
//!    interpreter: the shard is locked only while detached, or for reads that call nothing.
//! 3. Sends touch the command queue, never the shard; its mutex is held for a copy of one message.
//! 4. A panic ends where it cannot leave a lock or the turn half done: `state.rs` for what a turn
//!    does, `commands.rs` for what is queued. It aborts the shard's connections and is reported; the
//!    caller of what panicked gets `RuntimeError`. `PyO3` turns any other panic, in an object that
//!    stands alone, into its `PanicException`.
//!
//! # Files
//!
//! `engine.rs` what Python calls; `state.rs` the shard behind its mutex; `batch.rs` events to Python;
//! `stepping.rs` messages to their handlers; `lane.rs` what it reads for that; `messages.rs` what
//! those receive;
//! `sending.rs` sends of a handle; `commands.rs`, `pushing.rs` the queue they go to;
//! `clock.rs` time; `config.rs` options in, counters out; `certificates.rs` PEM files;
//! `client.rs` the protocol without a socket, for test kits; `server.rs` the server's end of it for
//! ASGI servers; `errors.rs` exceptions; `raw.rs` what
//! `PyO3` has no safe form of; `faults.rs` panics for tests.

#![deny(unsafe_code)]

mod batch;
mod certificates;
mod client;
mod clock;
mod commands;
mod config;
mod engine;
mod errors;
mod faults;
mod http;
mod lane;
#[allow(unsafe_code)] // a message that nobody kept is used again, in place
mod messages;
mod pushing;
#[allow(unsafe_code)] // what CPython's C interface has and PyO3 has not
mod raw;
mod sending;
mod server;
mod state;
mod stepping;

use pyo3::prelude::*;

/// The native engine of wynd. Private: use `wynd`.
#[pymodule(gil_used = true)]
mod _engine {
    #[pymodule_export]
    use crate::certificates::Certificates;
    #[pymodule_export]
    use crate::client::{encode_frame, is_origin_allowed, mask, ClientProtocol, ServerProtocol};
    #[pymodule_export]
    use crate::commands::Frame;
    #[pymodule_export]
    use crate::engine::Engine;
    #[cfg(feature = "fault-injection")]
    #[pymodule_export]
    use crate::faults::inject_fault;
    #[pymodule_export]
    use crate::lane::LaneBase;
    #[pymodule_export]
    use crate::messages::{BinaryMessage, TextMessage};
    #[pymodule_export]
    use crate::sending::{Completed, HandleBase};
    #[pymodule_export]
    use crate::server::ServerSession;
    #[pymodule_export]
    use crate::stepping::Stepper;
}
