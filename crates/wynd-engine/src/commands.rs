//! Commands in: what the application wants, queued between turns and applied by the shard at once.
//!
//! Messages are encoded when they are queued, into the queue's memory. Consecutive messages to one
//! target become one run of frames, so that a burst costs one outbox entry per member.
//! Knows nothing of connections: a command for one that is gone does nothing.

use wynd_protocol::frames::encode_frame;
use wynd_protocol::{handshake, MessageKind};

use crate::frame::{opcode_of, SharedFrame};
use crate::ids::ConnId;
use crate::memory::Buffered;

/// Payloads from here on get memory of their own, which the outbox then holds without a copy.
const OWN_FRAME_BYTES_MIN: usize = 64 * 1024;

/// How a room's message is treated.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublishOptions<'a> {
    /// A member that does not get it, usually its sender.
    pub exclude: Option<ConnId>,
    /// Which value this is the newest of, under `RoomPolicy::Latest`.
    pub key: Option<&'a str>,
    /// Whether it goes first under the dropping policies.
    pub droppable: bool,
}

/// Bytes in one of the queue's two memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    start: u32,
    len: u32,
}

impl Stretch {
    pub(crate) fn of(self, memory: &[u8]) -> &[u8] {
        let start = self.start as usize;
        memory.get(start..start + self.len as usize).unwrap_or(&[])
    }
}

/// Encoded frames of a command.
#[derive(Debug)]
pub(crate) enum Frames {
    /// So many frames, one after another in the queue's memory.
    Run(Stretch, u32),
    /// One frame with memory of its own.
    Shared(SharedFrame),
}

/// A room command's options, names taken from the queue's second memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `None` is every admitted connection.
    pub(crate) room: Option<Stretch>,
    pub(crate) exclude: Option<ConnId>,
    pub(crate) key: Option<Stretch>,
    pub(crate) droppable: bool,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Acceptance {
    pub(crate) subprotocol: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) enum Command {
    Send(ConnId, Frames),
    Publish(Target, Frames),
    Join(ConnId, Stretch),
    Leave(ConnId, Stretch),
    Admit(ConnId),
    Ping(ConnId, Stretch),
    Close(ConnId, Option<u16>, Stretch),
    Abort(ConnId),
    Pause(ConnId),
    Resume(ConnId),
    Accept(ConnId, Box<Acceptance>),
    Respond(ConnId, u16, Stretch),
    HttpPass(ConnId),
    /// Bytes of an answer, and whether `HttpDrained` is owed.
    HttpWrite(ConnId, Frames, bool),
    HttpDone(ConnId),
    HttpClose(ConnId),
}

/// Commands in call order, with the memory their frames and names lie in.
///
/// The caller bounds it by [`CommandQueue::len`] and [`CommandQueue::bytes`] and applies it early
/// when it is long.
#[derive(Debug, Default)]
pub struct CommandQueue {
    pub(crate) commands: Vec<Command>,
    pub(crate) frames: Vec<u8>,
    pub(crate) names: Vec<u8>,
    shared_bytes: usize,
}

impl CommandQueue {
    /// Makes an empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Commands waiting; runs of messages count once.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Bytes of frames and names waiting.
    pub fn bytes(&self) -> usize {
        self.frames.len() + self.names.len() + self.shared_bytes
    }

    /// Forgets everything; keeps the memory of an ordinary turn.
    pub fn clear(&mut self) {
        const KEPT_BYTES_MAX: usize = 256 * 1024;
        self.commands.clear();
        self.frames.clear();
        self.names.clear();
        self.frames.shrink_to(KEPT_BYTES_MAX);
        self.names.shrink_to(KEPT_BYTES_MAX);
        self.commands.shrink_to(4096);
        self.shared_bytes = 0;
    }

    /// Sends one message. Returns the connection's unsent bytes, this message included.
    ///
    /// The bytes count from now on, so that whoever waits for the outbox really waits. A text must
    /// be UTF-8.
    pub fn push_send(
        &mut self,
        conn: ConnId,
        buffered: &Buffered,
        kind: MessageKind,
        payload: &[u8],
    ) -> usize {
        let (frames, size) = self.encode(kind, payload);
        if let (Some(Command::Send(last, Frames::Run(run, count))), Frames::Run(new, _)) =
            (self.commands.last_mut(), &frames)
        {
            if *last == conn && run.start + run.len == new.start {
                run.len += new.len;
                *count += 1;
                return buffered.charge(size);
            }
        }
        self.commands.push(Command::Send(conn, frames));
        buffered.charge(size)
    }

    /// Sends one message that was framed before. Returns as `push_send`.
    pub fn push_shared(&mut self, conn: ConnId, buffered: &Buffered, frame: &SharedFrame) -> usize {
        let size = frame.bytes().len();
        self.shared_bytes += size;
        self.commands
            .push(Command::Send(conn, Frames::Shared(frame.clone())));
        buffered.charge(size)
    }

    /// Sends one message to the members of a room, or to every admitted connection if `room` is `None`.
    /// A room without members is no error.
    pub fn push_publish(
        &mut self,
        room: Option<&str>,
        kind: MessageKind,
        payload: &[u8],
        options: PublishOptions<'_>,
    ) {
        let (frames, _) = self.encode(kind, payload);
        if let Frames::Run(new, _) = &frames {
            if self.extend_publish(room, *new, options) {
                return;
            }
        }
        let target = self.target(room, options);
        self.commands.push(Command::Publish(target, frames));
    }

    /// Sends one message that was framed before to a room; see `push_publish`.
    pub fn push_publish_shared(
        &mut self,
        room: Option<&str>,
        frame: &SharedFrame,
        options: PublishOptions<'_>,
    ) {
        self.shared_bytes += frame.bytes().len();
        let target = self.target(room, options);
        self.commands
            .push(Command::Publish(target, Frames::Shared(frame.clone())));
    }

    /// Adds a connection to a room; twice is once.
    pub fn push_join(&mut self, conn: ConnId, room: &str) {
        let room = self.name(room.as_bytes());
        self.commands.push(Command::Join(conn, room));
    }

    /// Removes a connection from a room; no error if it is no member.
    pub fn push_leave(&mut self, conn: ConnId, room: &str) {
        let room = self.name(room.as_bytes());
        self.commands.push(Command::Leave(conn, room));
    }

    /// Lets broadcasts reach a connection from now on; twice is once.
    pub fn push_admit(&mut self, conn: ConnId) {
        self.commands.push(Command::Admit(conn));
    }

    /// Sends a ping of at most 125 bytes; a longer one is not sent.
    pub fn push_ping(&mut self, conn: ConnId, payload: &[u8]) {
        let payload = self.name(payload);
        self.commands.push(Command::Ping(conn, payload));
    }

    /// Starts the closing handshake after what is queued; the second time does nothing.
    ///
    /// `None` sends an empty close frame. Code and reason were checked by the caller; what must not
    /// go on the wire becomes an empty close frame.
    pub fn push_close(&mut self, conn: ConnId, code: Option<u16>, reason: &str) {
        let reason = self.name(reason.as_bytes());
        self.commands.push(Command::Close(conn, code, reason));
    }

    /// Ends the transport at once.
    pub fn push_abort(&mut self, conn: ConnId) {
        self.commands.push(Command::Abort(conn));
    }

    /// Reads and decodes nothing of this connection until `push_resume`.
    pub fn push_pause(&mut self, conn: ConnId) {
        self.commands.push(Command::Pause(conn));
    }

    /// Undoes `push_pause`.
    pub fn push_resume(&mut self, conn: ConnId) {
        self.commands.push(Command::Resume(conn));
    }

    /// Answers a request with 101; `Opened` follows. Headers were checked by the caller.
    ///
    /// `subprotocol` replaces the negotiated one; `None` leaves it.
    pub fn push_accept(
        &mut self,
        conn: ConnId,
        subprotocol: Option<String>,
        headers: Vec<(String, String)>,
    ) {
        let acceptance = Box::new(Acceptance {
            subprotocol,
            headers,
        });
        self.commands.push(Command::Accept(conn, acceptance));
    }

    /// Answers a request with plain HTTP and closes once the peer has read it. Headers were checked
    /// by the caller; length and `Connection: close` are added.
    pub fn push_respond(
        &mut self,
        conn: ConnId,
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let start = self.names.len();
        handshake::write_response(&mut self.names, status, headers, body, true);
        let response = stretch(start, self.names.len());
        self.commands.push(Command::Respond(conn, status, response));
    }

    /// Takes an upgrade's connection as it is: `HttpOpened`, if it was not told of before, and from
    /// then on `HttpData` with whatever comes after the head that `Requested` had.
    pub fn push_http_pass(&mut self, conn: ConnId) {
        self.commands.push(Command::HttpPass(conn));
    }

    /// Sends bytes of an answer as they are. Returns the connection's unsent bytes, these included;
    /// at or above `tell_from` of them, `HttpDrained` follows.
    pub fn push_http_write(
        &mut self,
        conn: ConnId,
        buffered: &Buffered,
        bytes: &[u8],
        tell_from: usize,
    ) -> usize {
        let unsent = buffered.charge(bytes.len());
        let tells = unsent >= tell_from;
        let start = self.frames.len();
        if bytes.len() >= OWN_FRAME_BYTES_MIN || u32::try_from(start).is_err() {
            self.shared_bytes += bytes.len();
            let frames = Frames::Shared(SharedFrame::of(bytes));
            self.commands.push(Command::HttpWrite(conn, frames, tells));
            return unsent;
        }
        self.frames.extend_from_slice(bytes);
        let new = stretch(start, self.frames.len());
        if let Some(Command::HttpWrite(last, Frames::Run(run, _), told)) = self.commands.last_mut()
        {
            if *last == conn && run.start + run.len == new.start {
                run.len += new.len;
                *told |= tells;
                return unsent;
            }
        }
        let frames = Frames::Run(new, 1);
        self.commands.push(Command::HttpWrite(conn, frames, tells));
        unsent
    }

    /// Says that the present request is answered whole; the next one may be passed on.
    pub fn push_http_done(&mut self, conn: ConnId) {
        self.commands.push(Command::HttpDone(conn));
    }

    /// Ends an HTTP connection after what is queued; `HttpClosed` follows when that has left.
    pub fn push_http_close(&mut self, conn: ConnId) {
        self.commands.push(Command::HttpClose(conn));
    }

    fn encode(&mut self, kind: MessageKind, payload: &[u8]) -> (Frames, usize) {
        let start = self.frames.len();
        if payload.len() >= OWN_FRAME_BYTES_MIN || u32::try_from(start).is_err() {
            let frame = SharedFrame::new(kind, payload);
            let size = frame.bytes().len();
            self.shared_bytes += size;
            return (Frames::Shared(frame), size);
        }
        encode_frame(opcode_of(kind), payload, &mut self.frames);
        let end = self.frames.len();
        (Frames::Run(stretch(start, end), 1), end - start)
    }

    /// Adds the frame just encoded to the last command, if that publishes to the same target.
    fn extend_publish(
        &mut self,
        room: Option<&str>,
        new: Stretch,
        options: PublishOptions<'_>,
    ) -> bool {
        let Some(Command::Publish(target, Frames::Run(run, count))) = self.commands.last_mut()
        else {
            return false;
        };
        let same_room = match (target.room, room) {
            (None, None) => true,
            (Some(last), Some(room)) => last.of(&self.names) == room.as_bytes(),
            _ => false,
        };
        let mergeable = same_room
            && target.exclude == options.exclude
            && target.key.is_none()
            && options.key.is_none()
            && target.droppable == options.droppable
            && run.start + run.len == new.start;
        if mergeable {
            run.len += new.len;
            *count += 1;
        }
        mergeable
    }

    fn target(&mut self, room: Option<&str>, options: PublishOptions<'_>) -> Target {
        Target {
            room: room.map(|room| self.name(room.as_bytes())),
            exclude: options.exclude,
            key: options.key.map(|key| self.name(key.as_bytes())),
            droppable: options.droppable,
        }
    }

    fn name(&mut self, name: &[u8]) -> Stretch {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        stretch(start, self.names.len())
    }
}

/// A stretch of a memory that the caller keeps far below 4 GiB; beyond it, an empty one.
fn stretch(start: usize, end: usize) -> Stretch {
    match (u32::try_from(start), u32::try_from(end)) {
        (Ok(start), Ok(end)) => Stretch {
            start,
            len: end - start,
        },
        _ => Stretch { start: 0, len: 0 },
    }
}
