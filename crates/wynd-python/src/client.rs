//! The protocol without a socket, for the test kit and for property tests: bytes in, events out.
//!
//! Events are tuples, `("text", str)`, `("binary", bytes)`, `("ping", bytes)`, `("pong", bytes)`,
//! `("close", code or None, reason)`, `("failed", code)`; see `_engine.pyi`. The engine does not
//! use this file.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use wynd_protocol::frames::{self, Opcode};
use wynd_protocol::handshake::{judge_response, write_client_request, HeadLimits};
use wynd_protocol::{
    choose, extensions, Connection, DeflateOffer, DeflateParameters, Event, Inflaters, Limits,
    MessageKind, Payload, Role, SendError, State, Violation,
};

use crate::config::OriginRules;
use crate::faults;

pyo3::import_exception!(wynd.errors, ConnectionClosed);

/// Payload of a ping or pong unless told otherwise.
const NOTHING: &[u8] = b"";

/// Compression level of both ends.
const LEVEL: u8 = 6;

/// What the client's end offers: contexts on both sides, and the server may choose the window.
const OFFER: DeflateOffer = DeflateOffer {
    parameters: ALL,
    has_client_window: true,
};

const ALL: DeflateParameters = DeflateParameters {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

/// An event with data of its own.
enum Happened {
    Message(MessageKind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Failed(u16),
}

impl Happened {
    fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let bytes = |content: &[u8]| PyBytes::new(py, content);
        let event = match self {
            Self::Message(MessageKind::Text, text) => {
                ("text", String::from_utf8_lossy(&text)).into_pyobject(py)?
            }
            Self::Message(MessageKind::Binary, content) => {
                ("binary", bytes(&content)).into_pyobject(py)?
            }
            Self::Ping(content) => ("ping", bytes(&content)).into_pyobject(py)?,
            Self::Pong(content) => ("pong", bytes(&content)).into_pyobject(py)?,
            Self::Close(code, reason) => {
                return Ok(("close", code, reason).into_pyobject(py)?.into_any())
            }
            Self::Failed(code) => ("failed", code).into_pyobject(py)?,
        };
        Ok(event.into_any())
    }
}

fn to_list(py: Python<'_>, happened: Vec<Happened>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for event in happened {
        list.append(event.into_python(py)?)?;
    }
    Ok(list)
}

fn send_error(error: SendError) -> PyErr {
    match error {
        SendError::CloseSent => ConnectionClosed::new_err(()),
        _ => PyValueError::new_err(error.to_string()),
    }
}

/// One end of a connection after the handshake.
struct End {
    connection: Connection,
    limits: Limits,
    violation: Option<Violation>,
}

impl End {
    fn new(role: Role, message_bytes_max: usize, message_fragments_max: u32) -> Self {
        Self {
            connection: Connection::new(role),
            limits: Limits {
                message_bytes_max,
                message_fragments_max,
            },
            violation: None,
        }
    }

    /// Decodes all of `input`.
    fn receive(&mut self, mut input: &mut [u8], happened: &mut Vec<Happened>) {
        faults::at("client");
        loop {
            let decoded = match self.connection.decode(&self.limits, input) {
                Ok(decoded) => decoded,
                Err(violation) => {
                    self.violation = Some(violation);
                    happened.push(Happened::Failed(violation.close_code()));
                    return;
                }
            };
            let Some(event) = decoded.event else {
                return;
            };
            happened.push(own(event, input));
            input = input.get_mut(decoded.consumed..).unwrap_or(&mut []);
        }
    }

    fn state(&self) -> &'static str {
        match self.connection.state() {
            State::Open => "open",
            State::CloseSent => "close_sent",
            State::CloseReceived => "close_received",
            State::Closed => "closed",
            State::Failing => "failing",
            State::Failed => "failed",
        }
    }
}

fn own(event: Event, input: &[u8]) -> Happened {
    let content = |payload: Payload| match payload {
        Payload::Input(range) => input.get(range).unwrap_or(&[]).to_vec(),
        Payload::Buffered(content) => content,
    };
    match event {
        Event::Message(kind, payload) => Happened::Message(kind, content(payload)),
        Event::Ping(payload) => Happened::Ping(content(payload)),
        Event::Pong(payload) => Happened::Pong(content(payload)),
        Event::Close { code, reason } => Happened::Close(code, reason),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server's end of a connection, after its handshake.
#[pyclass(frozen, module = "wynd._engine")]
pub struct ServerProtocol(Mutex<End>);

impl ServerProtocol {
    fn sent<'py>(
        &self,
        py: Python<'py>,
        send: impl FnOnce(&mut Connection, &mut Vec<u8>) -> Result<(), SendError>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::new();
        send(&mut lock(&self.0).connection, &mut out).map_err(send_error)?;
        Ok(PyBytes::new(py, &out))
    }
}

#[pymethods]
impl ServerProtocol {
    #[new]
    #[pyo3(signature = (*, message_bytes_max=1_048_576, message_fragments_max=16_384, extensions=None, level=6))]
    fn new(
        message_bytes_max: usize,
        message_fragments_max: u32,
        extensions: Option<&str>,
        level: u8,
    ) -> PyResult<Self> {
        let mut end = End::new(Role::Server, message_bytes_max, message_fragments_max);
        if let Some(field) = extensions {
            let offers = extensions::parse(field.as_bytes());
            let agreement = offers.ok().and_then(|offers| choose(&offers, ALL));
            let agreement = agreement
                .ok_or_else(|| PyValueError::new_err(format!("cannot agree to {field:?}")))?;
            let inflaters = Inflaters::default();
            end.connection
                .enable_deflate(agreement.parameters, level, inflaters);
        }
        Ok(Self(Mutex::new(end)))
    }

    /// Decode what arrived; return its events, in order.
    fn receive_data<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let mut happened = Vec::new();
        lock(&self.0).receive(&mut data.to_vec(), &mut happened);
        to_list(py, happened)
    }

    /// Return the frame of a text message.
    fn send_text<'py>(&self, py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyBytes>> {
        let kind = MessageKind::Text;
        self.sent(py, |connection, out| {
            connection.send_message(kind, text.as_bytes(), out)
        })
    }

    /// Return the frame of a binary message.
    fn send_binary<'py>(&self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let kind = MessageKind::Binary;
        self.sent(py, |connection, out| {
            connection.send_message(kind, payload, out)
        })
    }

    /// Return a ping frame.
    #[pyo3(signature = (payload=NOTHING))]
    fn send_ping<'py>(&self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.sent(py, |connection, out| connection.send_ping(payload, out))
    }

    /// Return a pong frame.
    #[pyo3(signature = (payload=NOTHING))]
    fn send_pong<'py>(&self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.sent(py, |connection, out| connection.send_pong(payload, out))
    }

    /// Return a close frame; nothing can be sent after it.
    #[pyo3(signature = (code=None, reason=""))]
    fn send_close<'py>(
        &self,
        py: Python<'py>,
        code: Option<u16>,
        reason: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.sent(py, |connection, out| {
            connection.send_close(code, reason, out)
        })
    }

    /// Return the close frame that answers a `failed` event; empty if there was none.
    fn fail<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut out = Vec::new();
        let mut end = lock(&self.0);
        if let Some(violation) = end.violation {
            end.connection.fail(&violation, &mut out);
        }
        drop(end);
        PyBytes::new(py, &out)
    }

    /// Bytes held for an unfinished message.
    #[getter]
    fn buffered(&self) -> usize {
        lock(&self.0).connection.buffered()
    }

    /// How far the closing handshake is.
    #[getter]
    fn state(&self) -> &'static str {
        lock(&self.0).state()
    }
}

/// The request a client sent: what its response is judged by.
struct Asked {
    key: [u8; 16],
    subprotocols: Vec<String>,
    compression: bool,
}

struct Client {
    end: End,
    asked: Option<Asked>,
}

/// The client's end of a connection.
#[pyclass(frozen, module = "wynd._engine")]
pub struct ClientProtocol {
    client: Mutex<Client>,
    /// The masking key of the next frame, drawn before the mutex is locked.
    next_key: Arc<AtomicU32>,
    random: Py<PyAny>,
}

impl ClientProtocol {
    /// Draws bytes from the generator Python gave.
    fn draw<const N: usize>(&self, py: Python<'_>) -> PyResult<[u8; N]> {
        let drawn = self.random.bind(py).call1((N,))?;
        let drawn: &[u8] = drawn.extract()?;
        drawn
            .try_into()
            .map_err(|_| PyValueError::new_err("random(n) must return n bytes"))
    }

    fn sent<'py>(
        &self,
        py: Python<'py>,
        send: impl FnOnce(&mut Connection, &mut Vec<u8>) -> Result<(), SendError>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let key = self.draw::<4>(py)?;
        let mut out = Vec::new();
        let mut client = lock(&self.client);
        self.next_key
            .store(u32::from_ne_bytes(key), Ordering::Relaxed);
        let result = send(&mut client.end.connection, &mut out);
        drop(client);
        result.map_err(send_error)?;
        Ok(PyBytes::new(py, &out))
    }
}

#[pymethods]
impl ClientProtocol {
    #[new]
    #[pyo3(signature = (*, random=None, message_bytes_max=1_048_576, message_fragments_max=16_384))]
    fn new(
        py: Python<'_>,
        random: Option<Py<PyAny>>,
        message_bytes_max: usize,
        message_fragments_max: u32,
    ) -> PyResult<Self> {
        let random = match random {
            Some(random) => random,
            None => py.import("os")?.getattr("urandom")?.unbind(),
        };
        let mut end = End::new(Role::Client, message_bytes_max, message_fragments_max);
        let next_key = Arc::new(AtomicU32::new(0));
        let keys = Arc::clone(&next_key);
        end.connection
            .set_masking_keys(Box::new(move || keys.load(Ordering::Relaxed).to_ne_bytes()));
        let client = Mutex::new(Client { end, asked: None });
        Ok(Self {
            client,
            next_key,
            random,
        })
    }

    /// Return an upgrade request.
    #[allow(clippy::needless_pass_by_value)] // what PyO3 extracts is owned
    #[pyo3(signature = (
        target="/", host="localhost", subprotocols=Vec::new(), headers=Vec::new(),
        compression=false
    ))]
    #[allow(clippy::too_many_arguments)] // named ones in Python
    fn handshake_request<'py>(
        &self,
        py: Python<'py>,
        target: &str,
        host: &str,
        subprotocols: Vec<String>,
        headers: Vec<(String, String)>,
        compression: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let key = self.draw::<16>(py)?;
        let mut out = Vec::new();
        let offered: Vec<&str> = subprotocols.iter().map(String::as_str).collect();
        let mut fields: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let offer = OFFER.field();
        if compression {
            fields.push(("Sec-WebSocket-Extensions", &offer));
        }
        write_client_request(&mut out, target, host, &key, &offered, &fields);
        lock(&self.client).asked = Some(Asked {
            key,
            subprotocols,
            compression,
        });
        Ok(PyBytes::new(py, &out))
    }

    /// Judge the head that answered `handshake_request`; return the agreed subprotocol.
    fn handshake_response(&self, head: &[u8]) -> PyResult<Option<String>> {
        let mut client = lock(&self.client);
        let Some(asked) = &client.asked else {
            return Err(PyRuntimeError::new_err("call handshake_request first"));
        };
        let offered: Vec<&str> = asked.subprotocols.iter().map(String::as_str).collect();
        let compression = asked.compression.then_some(&OFFER);
        match judge_response(
            head,
            &HeadLimits::default(),
            &asked.key,
            &offered,
            compression,
        ) {
            Ok(accepted) => {
                if let Some(agreed) = accepted.deflate {
                    let connection = &mut client.end.connection;
                    connection.enable_deflate(agreed, LEVEL, Inflaters::default());
                }
                Ok(accepted.subprotocol)
            }
            Err(fault) => Err(PyValueError::new_err(format!(
                "response refused: {fault:?}"
            ))),
        }
    }

    /// Decode what arrived after the response; return its events, in order.
    fn receive_data<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let mut happened = Vec::new();
        lock(&self.client)
            .end
            .receive(&mut data.to_vec(), &mut happened);
        to_list(py, happened)
    }

    /// Return the frame of a text message.
    fn send_text<'py>(&self, py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyBytes>> {
        let kind = MessageKind::Text;
        self.sent(py, |connection, out| {
            connection.send_message(kind, text.as_bytes(), out)
        })
    }

    /// Return the frame of a binary message.
    fn send_binary<'py>(&self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let kind = MessageKind::Binary;
        self.sent(py, |connection, out| {
            connection.send_message(kind, payload, out)
        })
    }

    /// Return a ping frame.
    #[pyo3(signature = (payload=NOTHING))]
    fn send_ping<'py>(&self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.sent(py, |connection, out| connection.send_ping(payload, out))
    }

    /// Return a pong frame.
    #[pyo3(signature = (payload=NOTHING))]
    fn send_pong<'py>(&self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.sent(py, |connection, out| connection.send_pong(payload, out))
    }

    /// Return a close frame; nothing can be sent after it.
    #[pyo3(signature = (code=None, reason=""))]
    fn send_close<'py>(
        &self,
        py: Python<'py>,
        code: Option<u16>,
        reason: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.sent(py, |connection, out| {
            connection.send_close(code, reason, out)
        })
    }

    /// Whether the server agreed to compression.
    #[getter]
    fn compressed(&self) -> bool {
        let client = lock(&self.client);
        client.end.connection.deflate_parameters().is_some()
    }

    /// How far the closing handshake is.
    #[getter]
    fn state(&self) -> &'static str {
        lock(&self.client).end.state()
    }

    fn __traverse__(&self, visit: pyo3::gc::PyVisit<'_>) -> Result<(), pyo3::gc::PyTraverseError> {
        visit.call(&self.random)
    }
}

/// Return a frame as a client (with a masking key) or server (without) would send it. Nothing is
/// judged: tests make broken frames with it.
#[pyfunction]
#[pyo3(signature = (opcode, payload, *, fin=true, rsv1=false, masking_key=None))]
pub fn encode_frame<'py>(
    py: Python<'py>,
    opcode: u8,
    payload: &[u8],
    fin: bool,
    rsv1: bool,
    masking_key: Option<[u8; 4]>,
) -> PyResult<Bound<'py, PyBytes>> {
    let opcode = Opcode::from_bits(opcode)
        .ok_or_else(|| PyValueError::new_err(format!("opcode {opcode} is reserved")))?;
    let header = frames::encode_header(opcode, payload.len(), fin, rsv1, masking_key);
    let mut out = header.as_slice().to_vec();
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = masking_key {
        wynd_protocol::mask::mask(key, 0, out.get_mut(start..).unwrap_or(&mut []));
    }
    Ok(PyBytes::new(py, &out))
}

/// Return `data` masked or unmasked; `offset` is the position of its first byte in the payload.
#[pyfunction]
#[pyo3(signature = (key, data, *, offset=0))]
pub fn mask<'py>(py: Python<'py>, key: [u8; 4], data: &[u8], offset: usize) -> Bound<'py, PyBytes> {
    let mut masked = data.to_vec();
    wynd_protocol::mask::mask(key, offset, &mut masked);
    PyBytes::new(py, &masked)
}

/// Return whether the engine lets a request with these fields connect. `origin` is as on the wire.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // what PyO3 extracts is owned
pub fn is_origin_allowed(
    rules: OriginRules,
    origin: Option<&[u8]>,
    host: &str,
    secure: bool,
) -> PyResult<bool> {
    Ok(rules.parse()?.allows(origin, host, secure))
}
