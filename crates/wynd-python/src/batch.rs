//! The batch becomes Python objects: one event at a time, by the batch's own cursor.
//!
//! `take` copies an event out while the shard is locked; `Taken::tell` calls Python after that. A
//! native dispatcher can use `take` alike: no list of events is made on the way.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use wynd_engine::{Buffered, ConnId, Event, EventBatch, PeerAddress};

use crate::http::{self, HttpTaken};
use crate::raw::{bytes, text};
use crate::state::Fault;

/// What Python gives to be called, in this order; see `_engine.pyi` for the signatures.
#[derive(Clone, Copy)]
pub(crate) enum Receiver {
    Requested,
    Opened,
    Received,
    Ponged,
    Drained,
    Closing,
    Closed,
    HandshakeLost,
    Failed,
}

/// How many receivers there are; those of `http` follow.
pub(crate) const RECEIVERS: usize = 9;

/// The address of a peer: `(host, port)`, or "" for a Unix socket, whose clients bind no path.
pub(crate) enum Address {
    Inet(String, u16),
    Unix,
}

impl Address {
    pub(crate) fn of(peer: PeerAddress) -> Self {
        match peer {
            PeerAddress::Unix => Self::Unix,
            // A dual-stack socket reports IPv4 peers in their mapped form.
            PeerAddress::Inet(address) => {
                Self::Inet(address.ip().to_canonical().to_string(), address.port())
            }
        }
    }

    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Self::Inet(host, port) => Ok((host, port).into_pyobject(py)?.into_any()),
            Self::Unix => Ok(PyString::new(py, "").into_any()),
        }
    }
}

/// The request of a connection, for `requested` and `opened`.
pub(crate) struct Introduction<'py> {
    listener: u32,
    head: Bound<'py, PyBytes>,
    address: Address,
    secure: bool,
}

/// One event with data of its own; small, since every message is moved in it. Holds only str and bytes of Python, which no collector visits
/// while they are made.
pub(crate) enum Taken<'py> {
    Requested(ConnId, Box<Introduction<'py>>),
    Opened(ConnId, Box<Introduction<'py>>, Option<Box<str>>, Buffered),
    Text(ConnId, Bound<'py, PyString>),
    Binary(ConnId, Bound<'py, PyBytes>),
    Pong(ConnId, Bound<'py, PyBytes>),
    Drained(ConnId),
    Closing(ConnId, Option<u16>, Option<u16>),
    Closed(ConnId, Option<u16>, u16, Box<str>),
    HandshakeLost(ConnId),
    ListenerFailed(u32, i32),
    Http(HttpTaken<'py>),
}

/// An event that memory was too short for.
pub(crate) struct Lost {
    pub(crate) conn: Option<ConnId>,
    pub(crate) error: PyErr,
}

/// Takes the next event off the batch; `None` when all were taken.
pub(crate) fn take<'py>(
    py: Python<'py>,
    batch: &mut EventBatch,
) -> Result<Option<Taken<'py>>, Lost> {
    let Some(index) = batch.advance() else {
        return Ok(None);
    };
    let Some(event) = batch.get(index) else {
        return Ok(None);
    };
    match own(py, &event) {
        Ok(taken) => Ok(taken),
        Err(error) => Err(Lost {
            conn: batch.conn_at(index),
            error,
        }),
    }
}

fn own<'py>(py: Python<'py>, event: &Event<'_>) -> PyResult<Option<Taken<'py>>> {
    Ok(Some(match *event {
        // The shard validated the text: this is the one copy that is left.
        Event::Text { conn, payload } => Taken::Text(conn, text(py, payload)?),
        Event::Binary { conn, payload } => Taken::Binary(conn, bytes(py, payload)?),
        Event::Pong { conn, payload } => Taken::Pong(conn, bytes(py, payload)?),
        Event::Drained { conn } => Taken::Drained(conn),
        Event::Closing {
            conn,
            sent,
            received,
        } => Taken::Closing(conn, sent, received),
        Event::Closed {
            conn,
            sent,
            received,
            reason,
        } => Taken::Closed(conn, sent, received, reason.into()),
        Event::HandshakeLost { conn } => Taken::HandshakeLost(conn),
        Event::ListenerFailed { listener, errno } => Taken::ListenerFailed(listener.0, errno),
        Event::Requested {
            conn,
            listener,
            head,
            address,
            secure,
            ..
        } => Taken::Requested(
            conn,
            Box::new(Introduction {
                listener: listener.0,
                head: bytes(py, head)?,
                address: Address::of(address),
                secure,
            }),
        ),
        Event::Opened {
            conn,
            listener,
            head,
            address,
            secure,
            subprotocol,
            buffered,
        } => {
            let introduction = Introduction {
                listener: listener.0,
                head: bytes(py, head)?,
                address: Address::of(address),
                secure,
            };
            Taken::Opened(
                conn,
                Box::new(introduction),
                subprotocol.map(Into::into),
                buffered.clone(),
            )
        }
        _ => return Ok(http::own(py, event)?.map(Taken::Http)),
    }))
}

impl Taken<'_> {
    /// Calls the receiver of this event.
    pub(crate) fn tell(self, py: Python<'_>, receivers: &Bound<'_, PyTuple>) -> PyResult<()> {
        let call = |which: Receiver| receivers.get_borrowed_item(which as usize);
        match self {
            Self::Text(conn, text) => call(Receiver::Received)?.call1((conn.as_u64(), text))?,
            Self::Binary(conn, payload) => {
                call(Receiver::Received)?.call1((conn.as_u64(), payload))?
            }
            Self::Pong(conn, payload) => call(Receiver::Ponged)?.call1((conn.as_u64(), payload))?,
            Self::Drained(conn) => call(Receiver::Drained)?.call1((conn.as_u64(),))?,
            Self::Closing(conn, sent, received) => {
                call(Receiver::Closing)?.call1((conn.as_u64(), sent, received))?
            }
            Self::Closed(conn, sent, received, reason) => {
                call(Receiver::Closed)?.call1((conn.as_u64(), sent, received, &*reason))?
            }
            Self::HandshakeLost(conn) => call(Receiver::HandshakeLost)?.call1((conn.as_u64(),))?,
            Self::ListenerFailed(listener, errno) => {
                call(Receiver::Failed)?.call1((Some(listener), errno, ""))?
            }
            Self::Http(taken) => return taken.tell(py, receivers),
            Self::Requested(conn, about) => {
                let address = about.address.into_python(py)?;
                call(Receiver::Requested)?.call1((
                    conn.as_u64(),
                    about.listener,
                    about.head,
                    address,
                    about.secure,
                ))?
            }
            Self::Opened(conn, about, subprotocol, _) => {
                let address = about.address.into_python(py)?;
                call(Receiver::Opened)?.call1((
                    conn.as_u64(),
                    about.head,
                    address,
                    about.secure,
                    subprotocol.as_deref(),
                ))?
            }
        };
        Ok(())
    }
}

/// Reports a caught panic; the number is 1 if nothing will be served again.
pub(crate) fn tell_failure(receivers: &Bound<'_, PyTuple>, fault: &Fault) -> PyResult<()> {
    let failed = receivers.get_borrowed_item(Receiver::Failed as usize)?;
    failed.call1((None::<u32>, i32::from(fault.is_final), &fault.text))?;
    Ok(())
}
