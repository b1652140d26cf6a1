//! TLS of one connection as a value: ciphertext in, plaintext out, and the other way round. Knows no
//! socket; what is done with the bytes is decided in `securing`.
//!
//! 1. `open` takes everything that is whole. What is left is the beginning of one record, or of one
//!    handshake message; it is bounded, and freed when the rest came.
//! 2. Whatever the handshake wants to say, alerts and tickets too, is appended to the output.
//! 3. `seal` makes records of plaintext, after everything that waits in the output has left.
//! 4. An idle connection owns neither input nor output.

use std::fmt;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};

use crate::certificates::Certificates;
use crate::clock::Tick;

/// Largest plaintext of a record (RFC 8446 §5.1).
const RECORD_BYTES: usize = 16 * 1024;

/// What a record adds at most to its plaintext: header, explicit nonce of TLS 1.2, content type, tag.
const RECORD_OVERHEAD: usize = 5 + 8 + 1 + 16;

/// Records made at once: a message of 64 KiB with its header leaves in one send. It is also what a
/// connection may have beyond its outbox when the socket takes no more.
const RECORDS_MAX: usize = 5;

/// Plaintext sealed at once.
pub(crate) const SEALED_PLAIN_MAX: usize = RECORDS_MAX * RECORD_BYTES;

/// Room for that as records, with a key update or two in front of them.
pub(crate) const SEALED_BYTES_MAX: usize = RECORDS_MAX * (RECORD_BYTES + RECORD_OVERHEAD) + 256;

/// Input that may wait for its rest: the largest record with expansion (RFC 5246 §6.2.3) and as much
/// again. A first message beyond that has ten times the size of the largest seen in practice.
const PARTIAL_BYTES_MAX: usize = 2 * (RECORD_BYTES + 2048 + 5);

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The handshake is not through.
    Handshaking,
    /// Plaintext may be sealed.
    Established,
    /// Our `close_notify` is in the output.
    Ended,
    /// A rule was broken; our alert is in the output, if there is one for it.
    Failed,
}

/// The TLS session of one connection.
pub(crate) struct Tls {
    session: UnbufferedServerConnection,
    /// Input that is not whole yet.
    partial: Vec<u8>,
    /// Records the socket has not taken, from `output_sent` on.
    output: Vec<u8>,
    output_sent: usize,
    stage: Stage,
    /// The peer's `close_notify` came; nothing after it counts (RFC 8446 §6.1).
    is_peer_ended: bool,
    /// When bytes last left, or the output was last found to be stuck.
    pub(crate) progress_at: Tick,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("stage", &self.stage)
            .field("partial", &self.partial.len())
            .field("output", &self.output().len())
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Begins a session; `None` if there is no randomness for it.
    #[cold]
    #[inline(never)]
    pub(crate) fn new(certificates: &Certificates) -> Option<Self> {
        Some(Self {
            session: UnbufferedServerConnection::new(certificates.config()).ok()?,
            partial: Vec::new(),
            output: Vec::new(),
            output_sent: 0,
            stage: Stage::Handshaking,
            is_peer_ended: false,
            progress_at: 0,
        })
    }

    /// Whether the handshake is not through.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.stage == Stage::Handshaking
    }

    /// Whether the peer said that it sends no more.
    pub(crate) fn is_peer_ended(&self) -> bool {
        self.is_peer_ended
    }

    /// Whether nothing more can be received or sealed.
    pub(crate) fn has_failed(&self) -> bool {
        self.stage == Stage::Failed
    }

    /// Bytes held.
    pub(crate) fn holds(&self) -> usize {
        self.partial.len() + self.output.len()
    }

    /// Records to send.
    pub(crate) fn output(&self) -> &[u8] {
        self.output.get(self.output_sent..).unwrap_or(&[])
    }

    /// Whether records wait to be sent.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Notes that so many bytes of the output left.
    pub(crate) fn note_sent(&mut self, sent: usize) {
        self.output_sent += sent;
        if self.output_sent >= self.output.len() {
            self.drop_output();
        }
    }

    /// Keeps records that the socket did not take; the output is empty before.
    pub(crate) fn keep(&mut self, records: &[u8]) {
        self.output.extend_from_slice(records);
    }

    /// Nothing can be sent any more.
    pub(crate) fn drop_output(&mut self) {
        self.output = Vec::new();
        self.output_sent = 0;
    }

    /// Puts input that waits for its rest at the front of `space`; the rest is read behind it.
    pub(crate) fn place_partial(&self, space: &mut [u8]) -> usize {
        match space.get_mut(..self.partial.len()) {
            Some(front) => {
                front.copy_from_slice(&self.partial);
                front.len()
            }
            None => 0, // never: `PARTIAL_BYTES_MAX` is less than half of the receive space
        }
    }

    /// Takes input, what was placed before included; returns the bytes put into `plain`, which has
    /// room for as much as `input` has.
    pub(crate) fn open(&mut self, input: &mut [u8], plain: &mut [u8]) -> usize {
        let (mut at, mut opened) = (0, 0);
        loop {
            let rest = input.get_mut(at..).unwrap_or(&mut []);
            let UnbufferedStatus { discard, state } = self.session.process_tls_records(rest);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        let end = opened + record.payload.len();
                        if let Some(place) = plain.get_mut(opened..end) {
                            place.copy_from_slice(record.payload);
                            opened = end;
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, &mut self.output),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.is_peer_ended = true,
                Ok(ConnectionState::WriteTraffic(_)) => {
                    if self.stage == Stage::Handshaking {
                        self.stage = Stage::Established;
                    }
                    at += discard;
                    break;
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => {
                    at += discard;
                    break;
                }
                // Early data is not offered, so there is none (RFC 8446 §4.2.10).
                Ok(_) | Err(_) => {
                    self.fail(input.get_mut(at + discard..).unwrap_or(&mut []));
                    return opened;
                }
            }
            at += discard;
        }
        self.keep_partial(input.get(at..).unwrap_or(&[]));
        opened
    }

    fn keep_partial(&mut self, rest: &[u8]) {
        if self.is_peer_ended {
            self.partial = Vec::new();
        } else if rest.len() > PARTIAL_BYTES_MAX {
            self.stage = Stage::Failed;
            self.partial = Vec::new();
        } else if rest.is_empty() {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
            self.partial.extend_from_slice(rest);
        }
    }

    /// Ends after a broken rule: what is left to say is the alert (RFC 8446 §6.2).
    fn fail(&mut self, input: &mut [u8]) {
        self.stage = Stage::Failed;
        self.partial = Vec::new();
        // What waits comes before the input that was refused, which must not be looked at again.
        while self.session.wants_write() {
            let Ok(ConnectionState::EncodeTlsData(mut data)) =
                self.session.process_tls_records(input).state
            else {
                return;
            };
            encode(&mut data, &mut self.output);
        }
    }

    /// Makes records of `plain`, at most `SEALED_PLAIN_MAX`; returns their size in `records`.
    ///
    /// 0 if nothing can be sealed at present: the output has to leave first, the handshake is not
    /// through, or the session has failed.
    pub(crate) fn seal(&mut self, plain: &[u8], records: &mut [u8]) -> usize {
        if self.stage != Stage::Established {
            return 0;
        }
        let sealed = self.write(|traffic, output| {
            if output.is_empty() {
                traffic.encrypt(plain, records).ok()
            } else {
                Some(0)
            }
        });
        sealed.flatten().unwrap_or_else(|| {
            self.stage = Stage::Failed; // the key was used up (RFC 8446 §5.5)
            0
        })
    }

    /// Puts our `close_notify` into the output; false if that was done before, or has no meaning.
    pub(crate) fn end(&mut self) -> bool {
        if self.stage != Stage::Established {
            return false;
        }
        self.stage = Stage::Ended;
        self.write(|traffic, output| {
            let mut alert = [0; 4 * RECORD_OVERHEAD];
            let size = traffic.queue_close_notify(&mut alert).unwrap_or(0);
            output.extend_from_slice(alert.get(..size).unwrap_or(&[]));
            size > 0
        })
        .unwrap_or(false)
    }

    /// Runs `write` once what the session itself has to say lies in the output.
    fn write<T>(
        &mut self,
        write: impl FnOnce(&mut WriteTraffic<'_, ServerConnectionData>, &mut Vec<u8>) -> T,
    ) -> Option<T> {
        loop {
            // The input that waits is shown again, since a started handshake message lies in it.
            let status = self.session.process_tls_records(&mut self.partial);
            match status.state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, &mut self.output),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.is_peer_ended = true,
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    return Some(write(&mut traffic, &mut self.output));
                }
                _ => return None,
            }
        }
    }
}

/// Appends what the handshake says to the output.
fn encode<Data>(data: &mut EncodeTlsData<'_, Data>, output: &mut Vec<u8>) {
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
        data.encode(&mut [])
    {
        let start = output.len();
        output.resize(start + required_size, 0);
        // The room is what was asked for.
        let _ = data.encode(output.get_mut(start..).unwrap_or(&mut []));
    }
}
