//! The closing handshake (RFC 6455 §7): who has said what, and what may still be said.
//! Knows no sockets or timeouts: ending the TCP connection is the caller's affair.
//!
//! 1. After our close frame we send nothing (§5.5.1).
//! 2. After the peer's close frame, or a broken rule, arriving bytes are discarded unparsed.
//! 3. Between the peer's close frame, or a broken rule, and our close frame we may still send: what
//!    was accepted before goes out first.
//!
//! ```text
//!              Sent                Received
//!    Open ──────────► CloseSent ──────────► Closed
//!     │ │                 │ Violated           ▲
//!     │ │ Received        └──────► Failed      │ Sent
//!     │ └──────────► CloseReceived ────────────┘
//!     │ Violated                    ▲
//!     └──────────► Failing ─────────┤ Sent
//!                                   └──► Failed
//! ```

/// How far the connection is in the closing handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Messages flow both ways.
    Open,
    /// Our close frame has been encoded; the peer's is awaited, and what it sends before is still
    /// decoded.
    CloseSent,
    /// The peer's close frame has been decoded; ours is owed.
    CloseReceived,
    /// Both close frames have been exchanged.
    Closed,
    /// The peer broke a rule; our close frame is owed ([`Connection::fail`](crate::Connection::fail)),
    /// after what is still to be sent.
    Failing,
    /// The peer broke a rule and our close frame has been encoded.
    Failed,
}

/// What can happen to the closing handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Our close frame was encoded.
    Sent,
    /// The peer's close frame was decoded.
    Received,
    /// The peer broke a rule.
    Violated,
}

impl State {
    /// Return the state after `step`: the table of the closing handshake.
    ///
    /// Steps that cannot occur in a state (the guards below rule them out) leave it as it is.
    #[expect(
        clippy::match_same_arms,
        reason = "one row per state; merged rows are no table"
    )]
    pub(crate) const fn after(self, step: Step) -> Self {
        match (self, step) {
            (Self::Open, Step::Sent) => Self::CloseSent,
            (Self::Open, Step::Received) => Self::CloseReceived,
            (Self::Open, Step::Violated) => Self::Failing,

            (Self::CloseSent, Step::Sent) => Self::CloseSent,
            (Self::CloseSent, Step::Received) => Self::Closed,
            (Self::CloseSent, Step::Violated) => Self::Failed,

            (Self::CloseReceived, Step::Sent) => Self::Closed,
            (Self::CloseReceived, Step::Received | Step::Violated) => Self::CloseReceived,

            (Self::Failing, Step::Sent) => Self::Failed,
            (Self::Failing, Step::Received | Step::Violated) => Self::Failing,

            (Self::Closed, Step::Sent | Step::Received | Step::Violated) => Self::Closed,
            (Self::Failed, Step::Sent | Step::Received | Step::Violated) => Self::Failed,
        }
    }

    /// Return whether frames may still be sent: our close frame is not out.
    pub const fn may_send(self) -> bool {
        match self {
            Self::Open | Self::CloseReceived | Self::Failing => true,
            Self::CloseSent | Self::Closed | Self::Failed => false,
        }
    }

    /// Return whether arriving bytes are decoded; else they are discarded.
    pub const fn may_receive(self) -> bool {
        match self {
            Self::Open | Self::CloseSent => true,
            Self::CloseReceived | Self::Closed | Self::Failing | Self::Failed => false,
        }
    }
}

/// Return whether a close frame may carry `code`: 1000–1003, 1007–1014 or 3000–4999.
///
/// §7.4.1 reserves 1004, 1005, 1006 and 1015, which "MUST NOT be set as a status code in a Close
/// control frame by an endpoint"; 1012 to 1014 were registered later. §7.4.2 leaves 3000–4999 to
/// libraries and applications; everything else is unassigned.
pub const fn is_sendable_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 6] = [
        State::Open,
        State::CloseSent,
        State::CloseReceived,
        State::Closed,
        State::Failing,
        State::Failed,
    ];

    #[test]
    fn nothing_may_be_sent_after_our_close_frame() {
        for state in STATES {
            assert!(!state.after(Step::Sent).may_send(), "{state:?}");
        }
    }

    #[test]
    fn nothing_is_decoded_after_the_close_frame_of_the_peer_or_a_broken_rule() {
        for state in STATES {
            assert!(!state.after(Step::Received).may_receive(), "{state:?}");
            assert!(!state.after(Step::Violated).may_receive(), "{state:?}");
        }
    }

    #[test]
    fn no_step_reopens_sending_or_receiving() {
        for state in STATES {
            for step in [Step::Sent, Step::Received, Step::Violated] {
                let next = state.after(step);
                assert!(state.may_send() || !next.may_send());
                assert!(state.may_receive() || !next.may_receive());
            }
        }
    }

    #[test]
    fn close_codes_of_the_gap_pack() {
        let sendable = [
            1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 4999,
        ];
        let others = [
            0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
        ];
        assert!(sendable.into_iter().all(is_sendable_close_code));
        assert!(!others.into_iter().any(is_sendable_close_code));
    }
}
