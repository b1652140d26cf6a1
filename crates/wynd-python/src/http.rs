//! HTTP connections to Python and back: their events, and the commands of `http/transport.py`.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use wynd_engine::{Buffered, ConnId, Event};

use crate::batch::{Address, RECEIVERS};
use crate::commands::Commands;
use crate::engine::Engine;
use crate::raw::bytes;

/// What Python gives to be called, after the receivers of `batch`, in this order.
#[derive(Clone, Copy)]
enum Receiver {
    Opened,
    Data,
    Ended,
    Drained,
    Closed,
}

/// How many receivers there are.
pub(crate) const HTTP_RECEIVERS: usize = 5;

/// An event of an HTTP connection with data of its own.
pub(crate) enum HttpTaken<'py> {
    Opened(ConnId, Box<HttpIntroduction>),
    Data(ConnId, Bound<'py, PyBytes>),
    Ended(ConnId),
    Drained(ConnId),
    Closed(ConnId),
}

/// What `http_opened` tells.
pub(crate) struct HttpIntroduction {
    listener: u32,
    address: Address,
    local: Option<Address>,
    secure: bool,
    buffered: Buffered,
}

/// Takes an event of an HTTP connection; `None` for any other.
pub(crate) fn own<'py>(py: Python<'py>, event: &Event<'_>) -> PyResult<Option<HttpTaken<'py>>> {
    Ok(Some(match *event {
        Event::HttpOpened {
            conn,
            listener,
            address,
            local,
            secure,
            buffered,
        } => {
            let about = HttpIntroduction {
                listener: listener.0,
                address: Address::of(address),
                local: local.map(Address::of),
                secure,
                buffered: buffered.clone(),
            };
            HttpTaken::Opened(conn, Box::new(about))
        }
        Event::HttpData { conn, payload } => HttpTaken::Data(conn, bytes(py, payload)?),
        Event::HttpEnded { conn } => HttpTaken::Ended(conn),
        Event::HttpDrained { conn } => HttpTaken::Drained(conn),
        Event::HttpClosed { conn } => HttpTaken::Closed(conn),
        _ => return Ok(None),
    }))
}

impl HttpTaken<'_> {
    /// Keeps the list of connections that may be written to in step with what is told.
    pub(crate) fn note(&self, commands: &mut Commands) {
        match self {
            Self::Opened(conn, about) => commands.open(*conn, about.buffered.clone()),
            Self::Closed(conn) => commands.close(*conn),
            _ => {}
        }
    }

    /// Calls the receiver of this event.
    pub(crate) fn tell(self, py: Python<'_>, receivers: &Bound<'_, PyTuple>) -> PyResult<()> {
        let call = |which: Receiver| receivers.get_borrowed_item(RECEIVERS + which as usize);
        match self {
            Self::Data(conn, data) => call(Receiver::Data)?.call1((conn.as_u64(), data))?,
            Self::Ended(conn) => call(Receiver::Ended)?.call1((conn.as_u64(),))?,
            Self::Drained(conn) => call(Receiver::Drained)?.call1((conn.as_u64(),))?,
            Self::Closed(conn) => call(Receiver::Closed)?.call1((conn.as_u64(),))?,
            Self::Opened(conn, about) => {
                let about = *about;
                let address = about.address.into_python(py)?;
                let local = about.local.map(|local| local.into_python(py)).transpose()?;
                call(Receiver::Opened)?.call1((
                    conn.as_u64(),
                    about.listener,
                    address,
                    local,
                    about.secure,
                ))?
            }
        };
        Ok(())
    }
}

impl Engine {
    /// Queues bytes of an answer; the connection's unsent bytes, or -1 if it takes none.
    pub(crate) fn write_http(
        &self,
        py: Python<'_>,
        conn: ConnId,
        bytes: &[u8],
        tell_from: usize,
    ) -> PyResult<i64> {
        let unsent = self.push(py, |commands| {
            let buffered = commands.buffered_of(conn)?;
            let queue = &mut commands.queue;
            Some(queue.push_http_write(conn, &buffered, bytes, tell_from))
        })?;
        Ok(unsent.map_or(-1, |unsent| i64::try_from(unsent).unwrap_or(i64::MAX)))
    }
}
