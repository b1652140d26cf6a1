//! `Limits` and origin rules of Python as a `Config`, and counters back as a dict.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use wynd_engine::{Compression, Config, OriginRule, Origins, RoomPolicy, Statistics};

/// Longest time a limit can mean: thirty years. Clocks do not overflow with it.
const SECONDS_MAX: f64 = 1e9;

/// The fields of `wynd.limits.Limits`, read by attribute; their meaning stands there.
#[derive(FromPyObject)]
pub(crate) struct Limits {
    handshake_timeout_s: f64,
    head_bytes_max: usize,
    head_fields_max: usize,
    message_bytes_max: usize,
    message_fragments_max: u32,
    messages_per_second_max: Option<f64>,
    inbound_messages_max: usize,
    ping_interval_s: Option<f64>,
    ping_timeout_s: f64,
    close_timeout_s: f64,
    outbox_bytes_soft: usize,
    pub(crate) outbox_bytes_hard: usize,
    outbox_stall_s: f64,
    pong_bytes_max: usize,
    process_bytes_max: usize,
    connections_max: Option<usize>,
    connections_per_address_max: Option<u32>,
    connections_per_second_max: Option<f64>,
    descriptors_reserved: usize,
    rooms_per_connection_max: usize,
    room_name_bytes_max: usize,
    early_bytes_max: usize,
}

/// The fields of `wynd.compression.Compression`, read by attribute.
#[derive(FromPyObject)]
pub(crate) struct Compressing {
    mode: String,
    level: u8,
    server_max_window_bits: u8,
    client_max_window_bits: u8,
}

impl Compressing {
    /// Returns what the shard is told; Python checked the numbers.
    pub(crate) fn parse(&self) -> PyResult<Compression> {
        match self.mode.as_str() {
            "shared" => Ok(Compression::Shared { level: self.level }),
            "dedicated" => Ok(Compression::Dedicated {
                level: self.level,
                server_max_window_bits: self.server_max_window_bits,
                client_max_window_bits: self.client_max_window_bits,
            }),
            mode => Err(PyValueError::new_err(format!(
                "no compression is called {mode:?}"
            ))),
        }
    }
}

/// Which origins may connect: `"same-host"`, `"*"` or a list of rules.
#[derive(FromPyObject)]
pub(crate) enum OriginRules {
    Named(String),
    List(Vec<String>),
}

impl OriginRules {
    /// Parses the rules.
    pub(crate) fn parse(&self) -> PyResult<Origins> {
        match self {
            Self::Named(name) if name == "same-host" => Ok(Origins::SameHost),
            Self::Named(name) if name == "*" => Ok(Origins::Any),
            Self::Named(name) => Err(PyValueError::new_err(format!(
                "origin rules are \"same-host\", \"*\" or a list, not {name:?}"
            ))),
            Self::List(rules) => {
                let parsed: Result<Vec<_>, _> =
                    rules.iter().map(|rule| OriginRule::parse(rule)).collect();
                match parsed {
                    Ok(parsed) => Ok(Origins::List(parsed)),
                    Err(error) => Err(PyValueError::new_err(error.to_string())),
                }
            }
        }
    }
}

/// Seconds as a duration; what is not a time at all becomes zero, what never ends thirty years.
pub(crate) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.min(SECONDS_MAX)).unwrap_or_default()
}

/// Builds the shard's configuration.
pub(crate) fn config(
    limits: &Limits,
    origins: Origins,
    subprotocols: Vec<String>,
    compression: Compression,
) -> Config {
    Config {
        handshake_timeout: duration(limits.handshake_timeout_s),
        head_bytes_max: limits.head_bytes_max,
        head_fields_max: limits.head_fields_max,
        message_bytes_max: limits.message_bytes_max,
        message_fragments_max: limits.message_fragments_max,
        messages_per_second_max: limits.messages_per_second_max,
        inbound_messages_max: limits.inbound_messages_max,
        ping_interval: limits.ping_interval_s.map(duration),
        ping_timeout: duration(limits.ping_timeout_s),
        close_timeout: duration(limits.close_timeout_s),
        outbox_bytes_soft: limits.outbox_bytes_soft,
        outbox_bytes_hard: limits.outbox_bytes_hard,
        outbox_stall: duration(limits.outbox_stall_s),
        pong_bytes_max: limits.pong_bytes_max,
        process_bytes_max: limits.process_bytes_max,
        connections_max: limits.connections_max,
        connections_per_address_max: limits.connections_per_address_max,
        connections_per_second_max: limits.connections_per_second_max,
        descriptors_reserved: limits.descriptors_reserved,
        rooms_per_connection_max: limits.rooms_per_connection_max,
        room_name_bytes_max: limits.room_name_bytes_max,
        early_bytes_max: limits.early_bytes_max,
        origins,
        subprotocols,
        compression,
        ..Config::default()
    }
}

/// A `Policy` by its kind.
pub(crate) fn room_policy(kind: &str, code: u16, reason: String) -> PyResult<RoomPolicy> {
    match kind {
        "close" => Ok(RoomPolicy::Close { code, reason }),
        "drop_oldest" => Ok(RoomPolicy::DropOldest),
        "drop_newest" => Ok(RoomPolicy::DropNewest),
        "latest" => Ok(RoomPolicy::Latest),
        _ => Err(PyValueError::new_err(format!(
            "no room policy is called {kind:?}"
        ))),
    }
}

/// Counters under the names of `EngineStatistics`.
pub(crate) fn counters<'py>(py: Python<'py>, counted: &Statistics) -> PyResult<Bound<'py, PyDict>> {
    let limits_hit = PyDict::new(py);
    for (field, times) in &counted.limits_hit {
        limits_hit.set_item(python_name(field), times)?;
    }
    let dropped = PyDict::new(py);
    for (policy, times) in [
        ("drop_oldest", counted.dropped_oldest),
        ("drop_newest", counted.dropped_newest),
        ("latest", counted.dropped_latest),
    ] {
        if times > 0 {
            dropped.set_item(policy, times)?;
        }
    }
    let all = PyDict::new(py);
    for (name, count) in [
        ("connections_open", counted.connections_open),
        ("connections_accepted", counted.connections_accepted),
        ("messages_received", counted.messages_received),
        ("messages_sent", counted.messages_sent),
        ("messages_deflated", counted.messages_deflated),
        ("bytes_received", counted.bytes_received),
        ("bytes_sent", counted.bytes_sent),
        ("outbox_bytes", counted.outbox_bytes),
        ("rooms", counted.rooms),
        ("accept_pauses", counted.accept_pauses),
        ("tls_failures", counted.tls_failures),
    ] {
        all.set_item(name, count)?;
    }
    all.set_item(
        "handshakes_refused",
        by_number(py, &counted.handshakes_refused)?,
    )?;
    all.set_item("closes", by_number(py, &counted.closes)?)?;
    all.set_item("messages_dropped", dropped)?;
    all.set_item("limits_hit", limits_hit)?;
    Ok(all)
}

/// `Limits` names times with their unit, `Config` by its type.
fn python_name(field: &str) -> String {
    match field {
        "handshake_timeout" | "ping_interval" | "ping_timeout" | "close_timeout"
        | "outbox_stall" => format!("{field}_s"),
        _ => field.to_owned(),
    }
}

fn by_number<'py>(py: Python<'py>, entries: &[(u16, u64)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (number, times) in entries {
        dict.set_item(number, times)?;
    }
    Ok(dict)
}
