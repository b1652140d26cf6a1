//! The fixed texts: what goes on the wire and what the log says of each fault, and the defaults.

use std::collections::HashSet;

use wynd_protocol::handshake::write_response;
use wynd_protocol::{Limits, SendError, Violation};

const VIOLATIONS: [(Violation, u16); 18] = [
    (Violation::ReservedBits, 1002),
    (Violation::ReservedOpcode, 1002),
    (Violation::MaskMissing, 1002),
    (Violation::MaskUnexpected, 1002),
    (Violation::ControlFragmented, 1002),
    (Violation::ControlTooLong, 1002),
    (Violation::LengthNotMinimal, 1002),
    (Violation::LengthOverflow, 1002),
    (Violation::ContinuationUnexpected, 1002),
    (Violation::ContinuationMissing, 1002),
    (Violation::ClosePayloadTooShort, 1002),
    (Violation::CloseCodeInvalid(1005), 1002),
    (Violation::CloseReasonInvalid, 1007),
    (Violation::TextInvalid, 1007),
    (Violation::DeflateInvalid, 1007),
    (Violation::TooManyFragments, 1008),
    (Violation::TooManyMessages, 1008),
    (Violation::MessageTooBig, 1009),
];

#[test]
fn every_violation_has_its_code_its_sentence_and_a_text_of_its_own() {
    let mut texts = HashSet::new();
    for (violation, code) in VIOLATIONS {
        assert_eq!(violation.close_code(), code, "{violation:?}");
        let sentence = match code {
            1002 => "Protocol error.",
            1007 => "Invalid data.",
            1008 => "Limit exceeded.",
            _ => "Message too big.",
        };
        assert_eq!(violation.sentence(), sentence);
        assert!(texts.insert(violation.to_string()), "{violation:?}");
    }
    assert!(texts.contains("close code 1005 on the wire"));
}

#[test]
fn errors_of_the_caller_name_the_value_and_the_bound() {
    let errors = [
        (SendError::CloseSent, "already sent"),
        (SendError::ControlTooLong(126), "126 bytes, at most 125"),
        (SendError::CloseCodeInvalid(1006), "1006 cannot be sent"),
        (SendError::CloseCodeMissing, "needs a close code"),
        (SendError::CloseReasonTooLong(124), "124 bytes, at most 123"),
        (SendError::TextInvalid, "not UTF-8"),
        (SendError::MaskingKeysMissing, "masking keys"),
    ];
    for (error, words) in errors {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let limits = Limits::default();
    assert_eq!(limits.message_bytes_max, 1024 * 1024);
    assert_eq!(limits.message_fragments_max, 16_384);
}

#[test]
fn statuses_that_applications_answer_with_have_their_phrase_and_others_an_empty_one() {
    let named = [
        200, 201, 202, 204, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 408,
        409, 410, 411, 413, 414, 415, 418, 422, 426, 429, 431, 500, 501, 502, 503, 504, 505,
    ];
    let mut lines = HashSet::new();
    for status in named {
        let mut out = Vec::new();
        write_response(&mut out, status, &[], b"", true);
        let text = String::from_utf8(out).unwrap();
        let line = text.split("\r\n").next().unwrap().to_owned();
        let phrase = line.strip_prefix(&format!("HTTP/1.1 {status} ")).unwrap();
        assert!(!phrase.is_empty(), "{status}");
        assert!(lines.insert(phrase.to_owned()), "{status}");
    }
    let mut out = Vec::new();
    write_response(&mut out, 599, &[], b"", true);
    assert!(out.starts_with(b"HTTP/1.1 599 \r\n"));
}
