//! Both ends of a connection in memory, their applications driven by the input: whatever is sent
//! and closed in whatever order, messages arrive in order and the connection ends once.
//!
//! Layout: a byte for compression, then steps: a byte that says whose and which, and its arguments.

use std::collections::VecDeque;

use wynd_protocol::{
    is_sendable_close_code, Connection, DeflateParameters, Inflaters, Limits, MessageKind, Role,
    SendError, State, Violation,
};

use super::support::{feed, Seen, KEY};
use super::Script;

const LIMITS: Limits = Limits {
    message_bytes_max: 4096,
    message_fragments_max: 4,
};

struct End {
    connection: Connection,
    /// Written and not delivered yet.
    out: VecDeque<u8>,
    sent: Vec<Seen>,
    received: Vec<Seen>,
    /// Close frames written.
    closes: usize,
}

impl End {
    fn new(role: Role, deflates: bool, inflaters: &Inflaters) -> Self {
        let mut connection = Connection::new(role);
        connection.set_masking_keys(Box::new(|| KEY));
        if deflates {
            let parameters = DeflateParameters {
                server_no_context_takeover: false,
                ..DeflateParameters::SHARED
            };
            connection.enable_deflate(parameters, 6, inflaters.clone());
        }
        Self {
            connection,
            out: VecDeque::new(),
            sent: Vec::new(),
            received: Vec::new(),
            closes: 0,
        }
    }

    /// Carries out one step of the application.
    fn act(&mut self, action: u8, script: &mut Script<'_>) {
        let may_send = self.connection.state().may_send();
        let mut out = Vec::new();
        let (done, event) = match action % 6 {
            0 => {
                let text = script.text();
                let done =
                    self.connection
                        .send_message(MessageKind::Text, text.as_bytes(), &mut out);
                (done, Seen::Text(text.into_bytes()))
            }
            1 => {
                let bytes = script.counted().repeat(9);
                let done = self
                    .connection
                    .send_message(MessageKind::Binary, &bytes, &mut out);
                (done, Seen::Binary(bytes))
            }
            2 => {
                let payload = script.counted().to_vec();
                let done = self.connection.send_ping(&payload, &mut out);
                (done, Seen::Ping(payload))
            }
            3 => {
                let code = u16::from_be_bytes([script.byte(), script.byte()]);
                let code = (code != 0).then_some(code);
                let reason = script.text();
                self.close(code, &reason);
                return;
            }
            4 => {
                let violation = script.choose(&[
                    Violation::TextInvalid,
                    Violation::TooManyMessages,
                    Violation::MessageTooBig,
                    Violation::CloseCodeInvalid(1005),
                ]);
                self.fail(violation);
                return;
            }
            _ => {
                let payload = script.counted().to_vec();
                let done = self.connection.send_pong(&payload, &mut out);
                (done, Seen::Pong(payload))
            }
        };
        match done {
            Ok(()) => {
                assert!(may_send);
                self.sent.push(event);
            }
            Err(SendError::CloseSent) => assert!(!may_send),
            Err(SendError::ControlTooLong(size)) => assert!(size > 125),
            Err(other) => panic!("{other:?}"),
        }
        assert!(
            done.is_ok() || out.is_empty(),
            "a refused send writes nothing"
        );
        self.out.extend(out);
    }

    fn close(&mut self, code: Option<u16>, reason: &str) {
        let mut out = Vec::new();
        let may_send = self.connection.state().may_send();
        let done = self.connection.send_close(code, reason, &mut out);
        let is_valid = code.map_or(reason.is_empty(), |code| {
            is_sendable_close_code(code) && reason.len() <= 123
        });
        assert_eq!(done.is_ok(), may_send && is_valid, "{done:?}");
        assert_eq!(done.is_ok(), !out.is_empty());
        self.note_close(out, Seen::Close(code, reason.to_owned()));
    }

    fn fail(&mut self, violation: Violation) {
        let mut out = Vec::new();
        self.connection.fail(&violation, &mut out);
        assert!(!self.connection.state().may_send() && !self.connection.state().may_receive());
        let close = Seen::Close(
            Some(violation.close_code()),
            violation.sentence().to_owned(),
        );
        self.note_close(out, close);
    }

    fn note_close(&mut self, out: Vec<u8>, close: Seen) {
        if !out.is_empty() {
            self.closes += 1;
            self.sent.push(close);
            self.out.extend(out);
        }
    }

    /// Takes what arrived, and answers as an application must.
    fn receive(&mut self, bytes: &[u8]) {
        let before = self.received.len();
        feed(&mut self.connection, &LIMITS, bytes, &mut self.received);
        for event in self.received.split_off(before) {
            match &event {
                Seen::Ping(payload) if self.connection.state().may_send() => {
                    let mut out = Vec::new();
                    self.connection.send_pong(payload, &mut out).unwrap();
                    self.out.extend(out);
                    self.sent.push(Seen::Pong(payload.clone()));
                }
                Seen::Failed(violation) => panic!("{violation:?} of what our end sent"),
                _ => {}
            }
            self.received.push(event);
        }
    }

    /// Answers the peer's close frame, unless ours was sent before.
    fn answer(&mut self) {
        if let Some(Seen::Close(code, _)) = self.received.last() {
            let code = *code;
            if self.connection.state() == State::CloseReceived {
                self.close(code, "");
            }
        }
    }
}

pub(super) fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let (deflates, inflaters) = (script.byte() & 1 == 1, Inflaters::default());
    let mut server = End::new(Role::Server, deflates, &inflaters);
    let mut client = End::new(Role::Client, deflates, &inflaters);
    while !script.is_empty() {
        let step = script.byte();
        let (one, other) = if step & 1 == 0 {
            (&mut server, &mut client)
        } else {
            (&mut client, &mut server)
        };
        match step >> 1 & 3 {
            0 | 1 => one.act(step >> 3, &mut script),
            2 => {
                let len = usize::from(script.byte()).min(one.out.len());
                other.receive(&one.out.drain(..len).collect::<Vec<_>>());
            }
            _ => one.answer(),
        }
    }
    settle(&mut server, &mut client);
    judge(&server, &client);
    judge(&client, &server);
}

/// Delivers and answers until nothing is left.
fn settle(server: &mut End, client: &mut End) {
    loop {
        client.answer();
        server.answer();
        if server.out.is_empty() && client.out.is_empty() {
            return;
        }
        client.receive(&server.out.drain(..).collect::<Vec<_>>());
        server.receive(&client.out.drain(..).collect::<Vec<_>>());
    }
}

/// Checks one end after all was delivered.
fn judge(one: &End, other: &End) {
    assert!(one.closes <= 1, "one close frame");
    let is_broken = matches!(one.connection.state(), State::Failed | State::Failing);
    if is_broken {
        // It discards what arrives; what it took before is the beginning of what was sent.
        assert_eq!(one.received, other.sent[..one.received.len()]);
    } else {
        let until_close = other.sent.iter().position(|e| matches!(e, Seen::Close(..)));
        let sent = until_close.map_or(&other.sent[..], |at| &other.sent[..=at]);
        assert_eq!(one.received, sent, "all, in order, until the close frame");
    }
    let is_over = one.closes + other.closes > 0;
    match one.connection.state() {
        State::Open => assert!(!is_over),
        State::Closed | State::Failed => assert!(is_over && one.closes == 1),
        state => panic!("{state:?} after all was delivered"),
    }
}
