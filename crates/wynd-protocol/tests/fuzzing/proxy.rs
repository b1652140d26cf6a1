//! The header of the PROXY protocol, in text and in bytes.
//!
//! Layout: what the proxy sends, and nothing else.

use wynd_protocol::proxy::{parse, NoProxyHeader, HEADER_BYTES_MAX};

pub(super) fn check(input: &[u8]) {
    let whole = parse(input);
    let mut decided = None;
    // A decision stands, whatever follows.
    for end in 0..=input.len().min(HEADER_BYTES_MAX + 1) {
        let part = parse(&input[..end]);
        match (&decided, part) {
            (None, Ok(None)) => {}
            (None, part) => decided = Some(part),
            (Some(before), part) => assert_eq!(*before, part, "after {end} B"),
        }
    }
    match whole {
        Ok(Some(header)) => {
            assert!(header.len <= input.len().min(HEADER_BYTES_MAX));
            let text = &input[..header.len];
            assert!(text.starts_with(b"PROXY ") || text.starts_with(b"\r\n\r\n\0\r\nQUIT\n"));
            if text.starts_with(b"PROXY ") {
                assert!(text.ends_with(b"\r\n") && text.len() <= 107);
            }
            assert_eq!(parse(text), Ok(Some(header)), "without what follows it");
        }
        Ok(None) => assert!(input.len() < HEADER_BYTES_MAX, "no wait without an end"),
        Err(NoProxyHeader) => {}
    }
}
