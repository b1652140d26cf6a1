//! Properties of the opening handshake: arbitrary and mutated heads never panic, every cut finds the
//! same end, and whatever an application sets stays within its line.

use proptest::prelude::*;
use wynd_protocol::handshake::{
    check_field, judge, judge_response, write_accept, write_response, HeadLimits, HeadScanner,
    Judged, Origins, Policy, Refusal,
};

const GOOD: &[u8] = b"GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\nOrigin: http://example.org\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\r\n";

fn judged(head: &[u8]) -> Result<Judged, Refusal> {
    let spoken = ["chat".to_owned()];
    let policy = Policy {
        origins: &Origins::SameHost,
        subprotocols: &spoken,
        secure: false,
        deflate: Some(wynd_protocol::DeflateParameters::SHARED),
    };
    judge(head, &HeadLimits::default(), &policy)
}

/// A good head with some bytes replaced, removed or inserted.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0..3_u8, any::<u8>());
    prop::collection::vec(edit, 1..6).prop_map(|edits| {
        let mut head = GOOD.to_vec();
        for (place, kind, byte) in edits {
            let place = place.index(head.len());
            match kind {
                0 => head[place] = byte,
                1 => drop(head.remove(place)),
                _ => head.insert(place, byte),
            }
        }
        head
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_heads_are_judged_without_a_panic(head in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = judged(&head);
        let _ = judge_response(&head, &HeadLimits::default(), &[0; 16], &[], None);
        let _ = HeadScanner::default().find_end(&head, &HeadLimits::default());
    }

    #[test]
    fn mutated_heads_are_judged_without_a_panic_and_strictly(head in mutated()) {
        if judged(&head).is_ok() {
            // What is accepted is free of what parsers disagree about.
            let text = String::from_utf8_lossy(&head);
            prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
            let folded = text.contains("\r\n ") || text.contains("\r\n\t");
            prop_assert!(!folded);
        }
    }

    #[test]
    fn every_cut_finds_the_same_end(
        cuts in prop::collection::vec(0..GOOD.len(), 0..10),
        early in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let stream = [GOOD, &early].concat();
        let mut places = cuts;
        places.sort_unstable();
        let mut scanner = HeadScanner::default();
        for place in places {
            prop_assert_eq!(scanner.find_end(&stream[..place], &HeadLimits::default()), Ok(None));
        }
        let end = scanner.find_end(&stream, &HeadLimits::default());
        prop_assert_eq!(end, Ok(Some(GOOD.len())));
        prop_assert!(matches!(judged(GOOD), Ok(Judged::Upgrade(_))));
    }

    #[test]
    fn fields_of_applications_stay_in_their_line(name in any::<String>(), value in any::<String>()) {
        let Ok(Judged::Upgrade(upgrade)) = judged(GOOD) else {
            return Err(TestCaseError::fail("refused"));
        };
        let is_good = check_field(&name, &value).is_ok();
        let mut accept = Vec::new();
        write_accept(&mut accept, &upgrade, None, &[(name.clone(), value.clone())]);
        let mut response = Vec::new();
        write_response(&mut response, 200, &[(&name, &value)], b"", true);
        for (bytes, lines) in [(accept, 5), (response, 3)] {
            let ends = bytes.windows(2).filter(|pair| pair == b"\r\n").count();
            let feeds = bytes.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count();
            prop_assert_eq!(feeds, 2 * ends);
            prop_assert!(ends == lines + 1 || (ends == lines + 2));
            prop_assert!(!is_good || ends == lines + 2);
        }
    }
}
