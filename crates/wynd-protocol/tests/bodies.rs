//! Bodies of requests: any cut gives the same result, and every malformed chunk is refused.

use proptest::prelude::*;
use wynd_protocol::body::BodyScanner;
use wynd_protocol::handshake::{Body, Refusal};

/// Feeds `input` in pieces of the given sizes, over and over; what is kept, what is left, or why not.
fn feed(body: Body, input: &[u8], sizes: &[usize]) -> Result<(Vec<u8>, usize, bool), Refusal> {
    let mut scanner = BodyScanner::new(body);
    let (mut kept, mut at) = (Vec::new(), 0);
    let mut sizes = sizes.iter().copied().cycle();
    while at < input.len() && !scanner.is_done() {
        let end = input.len().min(at + sizes.next().unwrap_or(1).max(1));
        while at < end && !scanner.is_done() {
            let part = scanner.scan(&input[at..end])?.unwrap();
            assert!(part.len > 0);
            if part.is_kept {
                kept.extend_from_slice(&input[at..at + part.len]);
            }
            at += part.len;
        }
    }
    Ok((kept, input.len() - at, scanner.is_done()))
}

fn whole(body: Body, input: &[u8]) -> Result<(Vec<u8>, usize, bool), Refusal> {
    feed(body, input, &[usize::MAX / 2])
}

#[test]
fn test_an_empty_body_takes_nothing() {
    for body in [Body::Empty, Body::Length(0)] {
        assert!(BodyScanner::new(body).is_done());
        assert_eq!(BodyScanner::new(body).scan(b"GET"), Ok(None));
    }
    assert_eq!(BodyScanner::new(Body::Chunked).scan(b""), Ok(None));
}

#[test]
fn test_a_length_ends_exactly() {
    let result = whole(Body::Length(3), b"abcGET /").unwrap();
    assert_eq!(result, (b"abc".to_vec(), 5, true));
    let result = whole(Body::Length(u64::MAX), b"abc").unwrap();
    assert_eq!(result, (b"abc".to_vec(), 0, false));
}

#[test]
fn test_chunks_end_at_the_last_one() {
    let input = b"3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\nGET /";
    let (kept, left, is_done) = whole(Body::Chunked, input).unwrap();
    assert_eq!(
        (kept.as_slice(), left, is_done),
        (&input[..input.len() - 5], 5, true)
    );
}

#[test]
fn test_extensions_and_trailers_are_not_kept() {
    let input = b"3;a=\"b;c\"; d\r\nabc\r\n0;x\r\nX-A: b\r\nContent-Length:5\r\n\r\n";
    let (kept, left, is_done) = whole(Body::Chunked, input).unwrap();
    assert_eq!(kept, b"3\r\nabc\r\n0\r\n\r\n");
    assert_eq!((left, is_done), (0, true));
}

#[test]
fn test_malformed_chunks_are_refused() {
    let cases: [&[u8]; 29] = [
        b"\r\n",
        b"x\r\n",
        b";a\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"1 ;a\r\n",
        b"0x1\r\n",
        b"1_0\r\n",
        b"1\n",
        b"1\r\r",
        b"1\ra",
        b"1;a\nb",
        b"1;a\0",
        b"1;a\x7f",
        b"1\r\nab",
        b"1\r\na\n",
        b"1\r\na\rb",
        b"1\r\na\r\r",
        b"00000000000000001\r\n",
        b"0\r\n\n",
        b"0\r\n\rx",
        b"0\r\n x: y\r\n\r\n",
        b"0\r\n: y\r\n\r\n",
        b"0\r\nx\r\n\r\n",
        b"0\r\nx : y\r\n\r\n",
        b"0\r\nx: y\n\r\n",
        b"0\r\nx: \0\r\n\r\n",
    ];
    for case in cases {
        let refused = whole(Body::Chunked, case);
        assert_eq!(refused, Err(Refusal::BodyMalformed), "{case:?}");
    }
}

#[test]
fn test_a_million_digits_end_at_the_seventeenth() {
    let digits = vec![b'0'; 1_000_000];
    let mut scanner = BodyScanner::new(Body::Chunked);
    assert_eq!(scanner.scan(&digits[..16]).unwrap().unwrap().len, 16);
    assert_eq!(scanner.scan(&digits[16..17]), Err(Refusal::BodyMalformed));
    assert!(whole(Body::Chunked, &digits).is_err());
}

#[test]
fn test_extensions_and_trailers_are_bounded() {
    let extension = [b"1;", &vec![b'a'; 16 * 1024][..]].concat();
    assert!(whole(Body::Chunked, &extension).is_err());
    let trailers = [b"0\r\n", &b"a: b\r\n".repeat(3000)[..]].concat();
    assert!(whole(Body::Chunked, &trailers).is_err());
    let many = b"1;aaaaaaaaaaaaaaa\r\nx\r\n".repeat(1200);
    assert!(whole(Body::Chunked, &many).is_err());
}

proptest! {
    #[test]
    fn test_any_cut_gives_the_same(
        chunks in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), "(;[a-z=\" ]{0,8})?"), 0..8),
        trailers in prop::collection::vec("[A-Za-z-]{1,8}: ?[ -~]{0,12}", 0..3),
        after in prop::collection::vec(any::<u8>(), 0..20),
        sizes in prop::collection::vec(1usize..12, 1..6),
    ) {
        let (mut input, mut canonical) = (Vec::new(), Vec::new());
        for (data, extension) in &chunks {
            input.extend(format!("{:x}{extension}\r\n", data.len()).bytes());
            canonical.extend(format!("{:x}\r\n", data.len()).bytes());
            for out in [&mut input, &mut canonical] {
                out.extend_from_slice(data);
                out.extend_from_slice(b"\r\n");
            }
        }
        input.extend_from_slice(b"0\r\n");
        for line in &trailers {
            input.extend(format!("{line}\r\n").bytes());
        }
        input.extend_from_slice(b"\r\n");
        canonical.extend_from_slice(b"0\r\n\r\n");
        input.extend_from_slice(&after);
        let expected = (canonical, after.len(), true);
        prop_assert_eq!(whole(Body::Chunked, &input).unwrap(), expected.clone());
        prop_assert_eq!(feed(Body::Chunked, &input, &sizes).unwrap(), expected);
    }

    #[test]
    fn test_garbage_is_judged_alike_in_any_cut(
        input in prop::collection::vec(prop::sample::select(b"01aF;x: \r\n\r\n".to_vec()), 0..60),
        sizes in prop::collection::vec(1usize..7, 1..5),
    ) {
        let (at_once, cut) = (whole(Body::Chunked, &input), feed(Body::Chunked, &input, &sizes));
        prop_assert_eq!(at_once.is_ok(), cut.is_ok());
        if let (Ok(at_once), Ok(cut)) = (at_once, cut) {
            prop_assert_eq!(at_once, cut);
        }
    }
}
