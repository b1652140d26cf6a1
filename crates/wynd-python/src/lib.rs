//! The native module `wynd._engine`: signatures, calls and conversions over `wynd-engine` and
//! `wynd-protocol`. The only crate that knows Python; it decides nothing about sockets or frames.
//!
//! # Rules
//!
//! 1. Every class is frozen; what changes lies behind a mutex or an atomic.
//! 2. No lock and no borrow is held across a call into Python, and none while waiting for the
//!    interpreter: the shard is locked only while detached, or for reads that call nothing.
//! 3. Sends touch the command queue, never the shard; its mutex is held for a copy of one message.
//! 4. A panic below ends at `state.rs`, aborts the shard's connections and is reported.
//!
//! # Files
//!
//! `engine.rs` what Python calls; `state.rs` the shard behind its mutex; `batch.rs` events to Python;
//! `commands.rs`, `pushing.rs` sends to the queue; `clock.rs` time; `config.rs` options in, counters out;
//! `client.rs` the protocol without a socket, for test kits; `server.rs` the server's end of it for
//! ASGI servers; `errors.rs` exceptions.

mod batch;
mod client;
mod clock;
mod commands;
mod config;
mod engine;
mod errors;
mod pushing;
mod server;
mod state;

use pyo3::prelude::*;

/// The native engine of wynd. Private: use `wynd`.
#[pymodule(gil_used = true)]
mod _engine {
    #[pymodule_export]
    use crate::client::{encode_frame, is_origin_allowed, mask, ClientProtocol, ServerProtocol};
    #[pymodule_export]
    use crate::commands::Frame;
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::server::{judge_upgrade, ServerSession};
}
