//! A network in memory, as edge-triggered as the real one: it says once that a socket became
//! readable or writable, and notes every call, so that tests see what a shard asked of it.
//! The simulation drives the same one, with `is_strict` and without notes.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;

use wynd_engine::{Interest, Network, PeerAddress, Readiness, SocketKind, Waker};

/// What a shard asked of the network about one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Register(Interest),
    Reregister(Interest),
    Deregister,
    Recv(usize),
    RecvWouldBlock,
    Send(usize),
    SendWouldBlock,
    ShutdownWrite,
    Shutdown,
    Close,
}

#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // a socket's state is a set of independent facts
pub struct Line {
    pub incoming: VecDeque<u8>,
    pub is_finished: bool,
    pub is_reset: bool,
    pub outgoing: Vec<u8>,
    /// Bytes the socket takes before it is full.
    pub room: usize,
    /// A recv gives at most so many bytes.
    pub recv_max: usize,
    /// The peer sends faster than anybody reads: a recv always fills its buffer.
    pub is_flooded: bool,
    /// So many of the next calls are interrupted by a signal.
    pub interrupts: usize,
    pub calls: Vec<Call>,
    pub token: u64,
    pub interest: Option<Interest>,
    pub address: Option<PeerAddress>,
    /// A listener gave it out, or it was adopted.
    pub is_taken: bool,
    /// The server ended its direction.
    pub is_shut: bool,
    /// The server closed it.
    pub is_closed: bool,
    was_found_full: bool,
    /// It was said that input is there, and no call showed since that there is none.
    was_told: bool,
}

impl Line {
    fn reads(&self) -> bool {
        matches!(self.interest, Some(Interest::Read | Interest::ReadWrite))
    }

    fn writes(&self) -> bool {
        matches!(self.interest, Some(Interest::Write | Interest::ReadWrite))
    }

    /// What holds now, as far as it was asked for.
    fn state(&self) -> Readiness {
        Readiness {
            token: self.token,
            readable: self.reads()
                && (!self.incoming.is_empty() || self.is_finished || self.is_flooded),
            writable: self.writes() && self.room > 0,
            read_closed: self.reads() && self.is_finished,
            broken: self.interest.is_some() && self.is_reset,
        }
    }

    /// Whether the next call is interrupted.
    fn takes_interrupt(&mut self) -> bool {
        let is_interrupted = self.interrupts > 0;
        self.interrupts = self.interrupts.saturating_sub(1);
        is_interrupted
    }
}

/// What waits at a listener.
#[derive(Debug, Default)]
struct Door {
    arrivals: VecDeque<io::Result<usize>>,
    token: Option<u64>,
}

#[derive(Debug, Default)]
pub struct World {
    pub lines: BTreeMap<usize, Line>,
    doors: BTreeMap<usize, Door>,
    pub listener_calls: Vec<&'static str>,
    pub accepts: usize,
    /// Says no more than a network has to: nothing of further input until a call showed that there
    /// was none left, and of room for output only when a full socket has some again.
    pub is_strict: bool,
    /// Calls are not noted.
    pub is_quiet: bool,
    edges: Vec<Readiness>,
    next: usize,
    /// Edges one wait reports.
    pub wait_max: usize,
    pub descriptors_max: Option<usize>,
    pub descriptor_base: usize,
}

impl World {
    pub fn line(&mut self, socket: usize) -> &mut Line {
        self.lines.get_mut(&socket).expect("no such socket")
    }

    fn edge(&mut self, readiness: Readiness) {
        let told = readiness.readable || readiness.writable || readiness.read_closed;
        if !(told || readiness.broken) {
            return;
        }
        match self
            .edges
            .iter_mut()
            .find(|edge| edge.token == readiness.token)
        {
            Some(edge) => {
                edge.readable |= readiness.readable;
                edge.writable |= readiness.writable;
                edge.read_closed |= readiness.read_closed;
                edge.broken |= readiness.broken;
            }
            None => self.edges.push(readiness),
        }
    }

    /// Says what holds on a line, as the kernel does when something arrives or is asked for anew.
    pub fn announce(&mut self, socket: usize) {
        let is_strict = self.is_strict;
        let line = self.line(socket);
        let mut state = line.state();
        if is_strict {
            let ends = state.read_closed || state.broken;
            state.readable &= ends || !line.was_told;
            state.writable = false;
        }
        line.was_told |= state.readable;
        self.edge(state);
    }

    /// The same, whatever was said before: the registration is new.
    fn announce_anew(&mut self, socket: usize) {
        let line = self.line(socket);
        let state = line.state();
        line.was_told = state.readable;
        self.edge(state);
    }

    /// Reports what does not hold, as a kernel may.
    pub fn announce_falsely(&mut self, socket: usize) {
        let line = self.line(socket);
        let false_report = Readiness {
            token: line.token,
            readable: line.reads(),
            writable: line.writes(),
            ..Readiness::default()
        };
        self.edge(false_report);
    }

    /// Whether the poller's descriptor would be readable.
    pub fn has_edges(&self) -> bool {
        !self.edges.is_empty()
    }

    pub fn new_line(&mut self, address: PeerAddress) -> usize {
        self.next += 1;
        let line = Line {
            room: 1 << 20,
            recv_max: usize::MAX,
            address: Some(address),
            ..Line::default()
        };
        self.lines.insert(self.next, line);
        self.next
    }

    /// Lets a connection, or an error, wait at the first listener.
    pub fn arrive(&mut self, arrival: io::Result<usize>) {
        self.arrive_at(0, arrival);
    }

    /// The same at any listener.
    pub fn arrive_at(&mut self, listener: usize, arrival: io::Result<usize>) {
        self.doors
            .entry(listener)
            .or_default()
            .arrivals
            .push_back(arrival);
        self.announce_listener(listener);
    }

    fn announce_listener(&mut self, listener: usize) {
        let door = self.doors.entry(listener).or_default();
        if let Some(token) = door.token.filter(|_| !door.arrivals.is_empty()) {
            self.edge(Readiness {
                token,
                readable: true,
                ..Readiness::default()
            });
        }
    }
}

/// The shard's side.
#[derive(Clone, Debug)]
pub struct MemoryNetwork(pub Rc<RefCell<World>>);

impl MemoryNetwork {
    pub fn new() -> Self {
        Self(Rc::new(RefCell::new(World {
            wait_max: usize::MAX,
            ..World::default()
        })))
    }

    fn note<T>(&self, socket: &MemorySocket, work: impl FnOnce(&mut Line) -> T) -> T {
        let mut world = self.0.borrow_mut();
        let is_quiet = world.is_quiet;
        let line = world.line(socket.number);
        let done = work(line);
        if is_quiet {
            line.calls.clear();
        }
        done
    }
}

/// A socket; closed when dropped.
#[derive(Debug)]
pub struct MemorySocket {
    pub number: usize,
    pub world: Rc<RefCell<World>>,
}

impl Drop for MemorySocket {
    fn drop(&mut self) {
        let mut world = self.world.borrow_mut();
        let notes = !world.is_quiet;
        let line = world.line(self.number);
        line.is_closed = true;
        line.interest = None;
        if notes {
            line.calls.push(Call::Close);
        }
    }
}

fn error(kind: io::ErrorKind) -> io::Error {
    kind.into()
}

impl Network for MemoryNetwork {
    type Socket = MemorySocket;
    type Listener = usize;

    fn as_raw_fd(&self) -> RawFd {
        -1
    }

    fn waker(&self) -> Waker {
        Waker::new(|| {})
    }

    fn wait(&mut self, _: Option<Duration>, ready: &mut Vec<Readiness>) -> io::Result<bool> {
        let mut world = self.0.borrow_mut();
        let count = world.edges.len().min(world.wait_max);
        ready.extend(world.edges.drain(..count));
        Ok(count == world.wait_max)
    }

    fn add_listener(
        &mut self,
        listener: &usize,
        _: SocketKind,
        _: Duration,
        token: u64,
    ) -> io::Result<()> {
        self.resume_listener(listener, token)
    }

    fn resume_listener(&mut self, listener: &usize, token: u64) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        world.listener_calls.push("register");
        world.doors.entry(*listener).or_default().token = Some(token);
        world.announce_listener(*listener);
        Ok(())
    }

    fn remove_listener(&mut self, listener: &usize) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        world.listener_calls.push("deregister");
        world.doors.entry(*listener).or_default().token = None;
        Ok(())
    }

    fn accept(&mut self, listener: &usize) -> io::Result<(MemorySocket, PeerAddress)> {
        let mut world = self.0.borrow_mut();
        world.accepts += 1;
        let door = world.doors.entry(*listener).or_default();
        let number = door
            .arrivals
            .pop_front()
            .unwrap_or_else(|| Err(error(io::ErrorKind::WouldBlock)))?;
        let line = world.line(number);
        line.is_taken = true;
        let address = line.address.expect("no address");
        drop(world);
        let world = Rc::clone(&self.0);
        Ok((MemorySocket { number, world }, address))
    }

    fn prepare(&mut self, socket: &MemorySocket, _: Duration) -> io::Result<PeerAddress> {
        self.note(socket, |line| line.address)
            .ok_or_else(|| error(io::ErrorKind::NotConnected))
    }

    fn register(&mut self, socket: &MemorySocket, token: u64, wanted: Interest) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        let line = world.line(socket.number);
        assert_eq!(line.interest, None, "registered twice");
        line.calls.push(Call::Register(wanted));
        line.interest = Some(wanted);
        line.token = token;
        world.announce_anew(socket.number);
        Ok(())
    }

    fn reregister(
        &mut self,
        socket: &MemorySocket,
        token: u64,
        wanted: Interest,
    ) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        let line = world.line(socket.number);
        assert_ne!(line.interest, None, "not registered");
        line.calls.push(Call::Reregister(wanted));
        line.interest = Some(wanted);
        line.token = token;
        world.announce_anew(socket.number);
        Ok(())
    }

    fn deregister(&mut self, socket: &MemorySocket) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        let line = world.line(socket.number);
        assert_ne!(line.interest, None, "not registered");
        line.calls.push(Call::Deregister);
        line.interest = None;
        // Unlike here, an edge taken before may still be on its way; tests make such ones by hand.
        let token = line.token;
        world.edges.retain(|edge| edge.token != token);
        Ok(())
    }

    fn recv(&mut self, socket: &MemorySocket, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.note(socket, |line| {
            if line.takes_interrupt() {
                return Err(error(io::ErrorKind::Interrupted));
            }
            if line.is_flooded && line.incoming.is_empty() {
                buffer.fill(0x82);
                return Ok(buffer.len());
            }
            if line.incoming.is_empty() {
                line.was_told = false;
                if line.is_reset {
                    return Err(error(io::ErrorKind::ConnectionReset));
                }
                if line.is_finished {
                    line.calls.push(Call::Recv(0));
                    return Ok(0);
                }
                line.calls.push(Call::RecvWouldBlock);
                return Err(error(io::ErrorKind::WouldBlock));
            }
            let size = buffer.len().min(line.incoming.len()).min(line.recv_max);
            for (place, byte) in buffer.iter_mut().zip(line.incoming.drain(..size)) {
                *place = byte;
            }
            line.calls.push(Call::Recv(size));
            line.was_told &= size == buffer.len();
            Ok(size)
        });
        let mut world = self.0.borrow_mut();
        let is_short = matches!(result, Ok(size) if size < buffer.len());
        if world.is_strict && is_short && !world.line(socket.number).incoming.is_empty() {
            // A short read promises a new report: as if the rest had come just now.
            world.announce(socket.number);
        }
        result
    }

    fn peek(&mut self, socket: &MemorySocket, buffer: &mut [u8]) -> io::Result<usize> {
        self.note(socket, |line| {
            if line.incoming.is_empty() && !line.is_finished {
                return Err(error(io::ErrorKind::WouldBlock));
            }
            for (place, byte) in buffer.iter_mut().zip(&line.incoming) {
                *place = *byte;
            }
            Ok(buffer.len().min(line.incoming.len()))
        })
    }

    fn send(&mut self, socket: &MemorySocket, bytes: &[u8]) -> io::Result<usize> {
        self.note(socket, |line| {
            assert!(!line.is_shut, "sent after the end");
            if line.takes_interrupt() {
                return Err(error(io::ErrorKind::Interrupted));
            }
            if line.is_reset {
                return Err(error(io::ErrorKind::BrokenPipe));
            }
            let size = bytes.len().min(line.room);
            line.room -= size;
            line.was_found_full |= size < bytes.len();
            if size == 0 {
                line.calls.push(Call::SendWouldBlock);
                return Err(error(io::ErrorKind::WouldBlock));
            }
            line.outgoing.extend_from_slice(&bytes[..size]);
            line.calls.push(Call::Send(size));
            Ok(size)
        })
    }

    fn send_vectored(&mut self, socket: &MemorySocket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        // One byte more than there is room for is enough to find the socket full.
        let wanted = self
            .0
            .borrow_mut()
            .line(socket.number)
            .room
            .saturating_add(1);
        let mut bytes = Vec::new();
        for part in parts {
            let left = wanted - bytes.len();
            bytes.extend_from_slice(&part[..part.len().min(left)]);
        }
        self.send(socket, &bytes)
    }

    fn shutdown_write(&mut self, socket: &MemorySocket) -> io::Result<()> {
        self.note(socket, |line| {
            line.is_shut = true;
            line.calls.push(Call::ShutdownWrite);
        });
        Ok(())
    }

    fn shutdown(&mut self, socket: &MemorySocket) -> io::Result<()> {
        self.note(socket, |line| line.calls.push(Call::Shutdown));
        Ok(())
    }

    fn descriptors_max(&self) -> Option<usize> {
        self.0.borrow().descriptors_max
    }

    fn descriptor(&self, socket: &MemorySocket) -> usize {
        self.0.borrow().descriptor_base + socket.number
    }
}

/// The peer's side.
impl MemoryNetwork {
    pub fn write(&self, socket: usize, bytes: &[u8]) {
        let mut world = self.0.borrow_mut();
        world.line(socket).incoming.extend(bytes);
        world.announce(socket);
    }

    pub fn flood(&self, socket: usize, is_flooded: bool) {
        let mut world = self.0.borrow_mut();
        world.line(socket).is_flooded = is_flooded;
        world.announce(socket);
    }

    pub fn finish(&self, socket: usize) {
        let mut world = self.0.borrow_mut();
        world.line(socket).is_finished = true;
        world.announce(socket);
    }

    pub fn reset(&self, socket: usize) {
        let mut world = self.0.borrow_mut();
        let line = world.line(socket);
        (line.is_reset, line.is_finished) = (true, true);
        world.announce(socket);
    }

    /// Makes the socket take `room` bytes more; says so if it was found full.
    pub fn make_room(&self, socket: usize, room: usize) {
        let mut world = self.0.borrow_mut();
        let line = world.line(socket);
        line.room = room;
        let was_found_full = line.was_found_full && room > 0;
        line.was_found_full &= room == 0;
        let state = line.state();
        if was_found_full && state.writable {
            world.edge(Readiness {
                token: state.token,
                writable: true,
                ..Readiness::default()
            });
        }
    }

    pub fn take_output(&self, socket: usize) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().line(socket).outgoing)
    }

    pub fn calls(&self, socket: usize) -> Vec<Call> {
        self.0.borrow_mut().line(socket).calls.clone()
    }

    pub fn forget_calls(&self, socket: usize) {
        self.0.borrow_mut().line(socket).calls.clear();
    }
}
