//! The server's end of a connection for `wynd.http`: bytes in, ASGI events out, and back.
//! Decides what is kept between two reads and which frame goes into the buffer of a turn; sockets,
//! tasks and the order of the end are the affair of `wynd/http/websocket.py`.
//!
//! 1. Messages become the dicts that ASGI applications receive; nothing is built twice.
//! 2. At most `messages_max` are decoded at a time; bytes beyond stay here, undecoded.
//!    So they do once `DECODED_BYTES_MAX` were decoded: a few compressed bytes may become many.
//! 3. A ping is answered here. While the peer takes nothing only the latest ping is (§5.5.3).
//! 4. The mutex is never held while a Python object is made: making one may run a finalizer.
//! 5. Compressed messages refer to none before (RFC 7692 §7.1.1), so that an idle connection keeps
//!    no window; what compresses them belongs to the thread.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyList, PyString};
use wynd_protocol::frames::{encode_frame, encode_header, Opcode};
use wynd_protocol::handshake::{judge, HeadLimits, Judged, Origins, Policy, Refusal};
use wynd_protocol::{
    Connection, DeflateParameters, Deflaters, Event, Inflaters, Limits, MessageKind, Payload, Role,
    Violation, DEFLATE_BYTES_MIN,
};

use crate::errors::lone_surrogate;
use crate::faults;
use crate::raw;

/// Bytes that may wait for the end of a turn; a frame beyond goes out with them at once.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// Payload bytes of one call after which the rest stays undecoded; one message may be longer.
const DECODED_BYTES_MAX: usize = 256 * 1024;

/// Compression level, of 1 to 9; zlib's own choice.
const LEVEL: u8 = 6;

thread_local! {
    static DEFLATERS: RefCell<Deflaters> = RefCell::new(Deflaters::new(LEVEL));
    static INFLATERS: Inflaters = Inflaters::default();
}

/// Bits of `ServerSession.flags`.
const WAITS_TO_LEAVE: u8 = 1;
const PONG_ARRIVED: u8 = 2;
const PEER_ENDED: u8 = 4;
const HOLDS_INPUT: u8 = 8;

/// How the peer ended the conversation.
enum Ending {
    Closed(Option<u16>, String),
    Broke(Violation),
}

struct Session {
    connection: Connection,
    limits: Limits,
    /// Input that arrived while `messages_max` messages were decoded.
    rest: Vec<u8>,
    /// Frames that leave with the turn.
    out: Vec<u8>,
    ending: Option<Ending>,
    pong_arrived: bool,
    is_choked: bool,
    /// The latest ping that came while the peer took nothing.
    held_ping: Option<Vec<u8>>,
    /// Payload bytes that the latest call decoded.
    decoded: usize,
}

/// A decoded message; the payload is in the input or in a buffer of its own.
type Message = (MessageKind, Payload);

impl Session {
    /// Decode `input` until `messages_max` messages or `DECODED_BYTES_MAX` are found; keep what is
    /// left of it.
    fn decode(&mut self, input: &mut [u8], messages_max: usize) -> Vec<Message> {
        faults::at("session");
        let mut found = Vec::new();
        let mut start = 0;
        self.decoded = 0;
        while found.len() < messages_max && self.decoded < DECODED_BYTES_MAX {
            let rest = input.get_mut(start..).unwrap_or(&mut []);
            let decoded = match self.connection.decode(&self.limits, rest) {
                Ok(decoded) => decoded,
                Err(violation) => {
                    self.ending = Some(Ending::Broke(violation));
                    return found;
                }
            };
            match decoded.event {
                None => return found,
                Some(Event::Message(kind, payload)) => {
                    self.decoded += bytes_of(&payload, rest).len();
                    found.push((kind, shift(payload, start)));
                }
                Some(Event::Ping(payload)) => self.answer(bytes_of(&payload, rest)),
                Some(Event::Pong(_)) => self.pong_arrived = true,
                Some(Event::Close { code, reason }) => {
                    self.ending = Some(Ending::Closed(code, reason));
                    return found;
                }
            }
            start += decoded.consumed;
        }
        self.rest
            .extend_from_slice(input.get(start..).unwrap_or(&[]));
        found
    }

    /// Put a message into the turn's buffer compressed; false if it goes plain.
    fn deflate(&mut self, opcode: Opcode, payload: &[u8]) -> bool {
        let Some(agreed) = self.connection.deflate_parameters() else {
            return false;
        };
        let bits = agreed.server_max_window_bits;
        payload.len() >= DEFLATE_BYTES_MIN
            && DEFLATERS.with_borrow_mut(|deflaters| {
                deflaters.deflate_frame(bits, opcode, payload, &mut self.out)
            })
    }

    fn answer(&mut self, ping: &[u8]) {
        if self.is_choked {
            self.held_ping = Some(ping.to_vec());
        } else {
            // Nothing may be sent after our close frame; then no pong is owed.
            let _ = self.connection.send_pong(ping, &mut self.out);
        }
    }
}

fn shift(payload: Payload, by: usize) -> Payload {
    match payload {
        Payload::Input(range) => Payload::Input(range.start + by..range.end + by),
        buffered @ Payload::Buffered(_) => buffered,
    }
}

fn bytes_of<'a>(payload: &'a Payload, input: &'a [u8]) -> &'a [u8] {
    match payload {
        Payload::Input(range) => input.get(range.clone()).unwrap_or(&[]),
        Payload::Buffered(content) => content,
    }
}

/// The server's end of a connection whose messages are ASGI events.
#[pyclass(frozen, module = "wynd._engine")]
pub struct ServerSession {
    session: Mutex<Session>,
    messages_max: usize,
}

impl ServerSession {
    fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn events<'py>(&self, py: Python<'py>, mut input: Vec<u8>) -> PyResult<Bound<'py, PyList>> {
        let found = self.lock().decode(&mut input, self.messages_max);
        let events = PyList::empty(py);
        for (kind, payload) in found {
            let event = PyDict::new(py);
            event.set_item(intern!(py, "type"), intern!(py, "websocket.receive"))?;
            let content = bytes_of(&payload, &input);
            match kind {
                MessageKind::Text => {
                    let text = PyString::from_bytes(py, content)?;
                    event.set_item(intern!(py, "text"), text)?;
                }
                MessageKind::Binary => {
                    event.set_item(intern!(py, "bytes"), PyBytes::new(py, content))?;
                }
            }
            events.append(event)?;
        }
        Ok(events)
    }

    /// Put one message into the turn's buffer, or return it, after what is there, to be written.
    fn put<'py>(
        &self,
        py: Python<'py>,
        opcode: Opcode,
        payload: &[u8],
        direct: bool,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut session = self.lock();
        if !session.connection.state().may_send() {
            drop(session);
            return Err(PyValueError::new_err("the close frame was sent already"));
        }
        let is_deflated = session.deflate(opcode, payload);
        if direct && session.out.is_empty() {
            drop(session);
            let header = encode_header(opcode, payload.len(), true, false, None);
            let header = header.as_slice();
            return PyBytes::new_with(py, header.len() + payload.len(), |frame| {
                let (head, body) = frame.split_at_mut(header.len());
                head.copy_from_slice(header);
                body.copy_from_slice(payload);
                Ok(())
            })
            .map(Some);
        }
        if !is_deflated {
            encode_frame(opcode, payload, &mut session.out);
        }
        if !direct && session.out.len() < TURN_BYTES_MAX {
            return Ok(None);
        }
        let out = std::mem::take(&mut session.out);
        drop(session);
        Ok(Some(PyBytes::new(py, &out)))
    }
}

#[pymethods]
impl ServerSession {
    #[new]
    #[pyo3(signature = (*, message_bytes_max, message_fragments_max=16_384, messages_max=32))]
    fn new(message_bytes_max: usize, message_fragments_max: u32, messages_max: usize) -> Self {
        Self {
            session: Mutex::new(Session {
                connection: Connection::new(Role::Server),
                limits: Limits {
                    message_bytes_max,
                    message_fragments_max,
                },
                rest: Vec::new(),
                out: Vec::new(),
                ending: None,
                pong_arrived: false,
                is_choked: false,
                held_ping: None,
                decoded: 0,
            }),
            messages_max: messages_max.max(1),
        }
    }

    /// Judge the head of an upgrade request, its empty line included; before anything else.
    ///
    /// Returns `(value of Sec-WebSocket-Accept, value of Sec-WebSocket-Extensions, b"")`, or
    /// `(None, "", the refusing response)`. Who may connect is the application's affair: any Origin
    /// passes.
    #[pyo3(signature = (head, *, deflates=false, head_bytes_max=65_536, head_fields_max=256))]
    fn judge<'py>(
        &self,
        py: Python<'py>,
        head: &[u8],
        deflates: bool,
        head_bytes_max: usize,
        head_fields_max: usize,
    ) -> (Option<Bound<'py, PyBytes>>, String, Bound<'py, PyBytes>) {
        let limits = HeadLimits {
            bytes_max: head_bytes_max,
            fields_max: head_fields_max,
        };
        let policy = Policy {
            origins: &Origins::Any,
            subprotocols: &[],
            secure: false,
            deflate: deflates.then_some(DeflateParameters::SHARED),
        };
        let refusal = match judge(head, &limits, &policy) {
            Ok(Judged::Upgrade(upgrade)) => {
                let mut extensions = String::new();
                if let Some(agreement) = upgrade.deflate {
                    extensions = agreement.answer();
                    let inflaters = INFLATERS.with(Inflaters::clone);
                    self.lock()
                        .connection
                        .enable_deflate(agreement.parameters, LEVEL, inflaters);
                }
                let accept_key = PyBytes::new(py, &upgrade.accept_key);
                return (Some(accept_key), extensions, PyBytes::new(py, b""));
            }
            Ok(Judged::Plain(_)) => Refusal::UpgradeRequired,
            Err(refusal) => refusal,
        };
        let mut out = Vec::new();
        refusal.write(&mut out);
        (None, String::new(), PyBytes::new(py, &out))
    }

    /// Decode what arrived; return `websocket.receive` events.
    fn receive<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let mut session = self.lock();
        let mut input = std::mem::take(&mut session.rest);
        input.extend_from_slice(data);
        drop(session);
        self.events(py, input)
    }

    /// Decode the first `size` bytes of a buffer that the transport filled.
    fn receive_from<'py>(
        &self,
        py: Python<'py>,
        buffer: &Bound<'py, PyByteArray>,
        size: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut input = std::mem::take(&mut self.lock().rest);
        raw::extend_from(&mut input, buffer, size);
        self.events(py, input)
    }

    /// Put a `websocket.send` into the turn's buffer; see `_engine.pyi`.
    fn send<'py>(
        &self,
        py: Python<'py>,
        message: &Bound<'py, PyDict>,
        direct: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let kind = message.get_item(intern!(py, "type"))?;
        let kind = kind.as_ref().and_then(|kind| kind.cast::<PyString>().ok());
        if !matches!(kind.map(|kind| kind.to_str()), Some(Ok("websocket.send"))) {
            return Ok(Some(PyBool::new(py, false).to_owned().into_any()));
        }
        let frame = match message.get_item(intern!(py, "text"))? {
            Some(text) if !text.is_none() => {
                let text = text
                    .cast::<PyString>()
                    .map_err(|_| PyTypeError::new_err("text of a websocket.send must be a str"))?;
                let text = text.to_str().map_err(|_| lone_surrogate())?;
                self.put(py, Opcode::Text, text.as_bytes(), direct)?
            }
            _ => match message.get_item(intern!(py, "bytes"))? {
                Some(content) if !content.is_none() => self.put_binary(py, &content, direct)?,
                _ => {
                    return Err(PyValueError::new_err(
                        "a websocket.send needs text or bytes that is not None",
                    ))
                }
            },
        };
        Ok(frame.map(Bound::into_any))
    }

    /// Put a ping into the turn's buffer; nothing after our close frame.
    fn ping(&self, payload: &[u8]) -> PyResult<()> {
        let mut session = self.lock();
        let session = &mut *session;
        if !session.connection.state().may_send() {
            return Ok(());
        }
        session
            .connection
            .send_ping(payload, &mut session.out)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Take the turn's buffer.
    fn take<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let out = std::mem::take(&mut self.lock().out);
        PyBytes::new(py, &out)
    }

    /// Take the turn's buffer with our close frame at its end, if none was sent before.
    #[pyo3(signature = (code=None, reason=""))]
    fn close<'py>(
        &self,
        py: Python<'py>,
        code: Option<u16>,
        reason: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut guard = self.lock();
        let session = &mut *guard;
        if session.connection.state().may_send() {
            session
                .connection
                .send_close(code, reason, &mut session.out)
                .map_err(|error| PyValueError::new_err(error.to_string()))?;
        }
        let out = std::mem::take(&mut session.out);
        drop(guard);
        Ok(PyBytes::new(py, &out))
    }

    /// Take the turn's buffer with the close frame that answers the peer's end.
    fn answer_end<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut guard = self.lock();
        let session = &mut *guard;
        match &session.ending {
            Some(Ending::Closed(code, _)) => {
                // The only error left is that our close frame was sent, and then none is owed.
                let _ = session.connection.send_close(*code, "", &mut session.out);
            }
            Some(Ending::Broke(violation)) => session.connection.fail(violation, &mut session.out),
            None => {}
        }
        let out = std::mem::take(&mut session.out);
        drop(guard);
        PyBytes::new(py, &out)
    }

    /// Say whether the peer takes nothing; the latest ping is answered when it does again.
    fn choke(&self, is_choked: bool) {
        let mut guard = self.lock();
        let session = &mut *guard;
        session.is_choked = is_choked;
        if !is_choked {
            if let Some(ping) = session.held_ping.take() {
                session.answer(&ping);
            }
        }
    }

    /// Payload bytes that the latest `receive` decoded.
    #[getter]
    fn decoded(&self) -> usize {
        self.lock().decoded
    }

    /// What needs attention, as bits; reading it forgets that a pong arrived.
    #[getter]
    fn flags(&self) -> u8 {
        let mut session = self.lock();
        let mut flags = 0;
        if !session.out.is_empty() {
            flags |= WAITS_TO_LEAVE;
        }
        if std::mem::take(&mut session.pong_arrived) {
            flags |= PONG_ARRIVED;
        }
        if session.ending.is_some() {
            flags |= PEER_ENDED;
        }
        if !session.rest.is_empty() {
            flags |= HOLDS_INPUT;
        }
        flags
    }

    /// How the peer ended: `(code, reason, whether it sent a close frame)`, or None.
    #[getter]
    fn ending(&self) -> Option<(u16, String, bool)> {
        match self.lock().ending.as_ref()? {
            Ending::Closed(code, reason) => Some((code.unwrap_or(1005), reason.clone(), true)),
            Ending::Broke(violation) => {
                let sentence = violation.sentence().to_owned();
                Some((violation.close_code(), sentence, false))
            }
        }
    }
}

impl ServerSession {
    fn put_binary<'py>(
        &self,
        py: Python<'py>,
        content: &Bound<'py, PyAny>,
        direct: bool,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if let Ok(content) = content.cast::<PyBytes>() {
            return self.put(py, Opcode::Binary, content.as_bytes(), direct);
        }
        if let Ok(content) = content.cast::<PyByteArray>() {
            return self.put(py, Opcode::Binary, &content.to_vec(), direct);
        }
        let buffer = PyBuffer::<u8>::get(content)
            .map_err(|_| PyTypeError::new_err("bytes of a websocket.send must be bytes"))?;
        self.put(py, Opcode::Binary, &buffer.to_vec(py)?, direct)
    }
}
