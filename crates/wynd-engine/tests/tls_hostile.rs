//! Hostile TLS: what a peer with the right keys, or with none, may send. Nothing of it may panic, be
//! kept without bound, or outlive its deadline.

mod support;

use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::crypto::ring::cipher_suite::TLS13_AES_256_GCM_SHA384;
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite};
use support::tls::{secured, Pair, TlsPeer, VERSIONS};
use support::{quiet, text, Harness, Told, REQUEST};
use wynd_engine::ConnId;

/// A peer that seals records itself, of any type and cut.
struct Forger {
    socket: usize,
    sequence: u64,
    encrypter: Box<dyn rustls::crypto::cipher::MessageEncrypter>,
}

impl Forger {
    fn open(harness: &mut Harness, pair: &Pair) -> (Self, ConnId) {
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites = vec![TLS13_AES_256_GCM_SHA384];
        let mut config = pair.client_of(provider, VERSIONS[0]);
        config.enable_secret_extraction = true;
        let (mut peer, id) = TlsPeer::open(harness, config);
        peer.settle(harness);
        let socket = peer.socket;
        let secrets = peer.session.dangerous_extract_secrets().unwrap();
        let (sequence, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets.tx else {
            panic!("another suite was negotiated");
        };
        let SupportedCipherSuite::Tls13(suite) = TLS13_AES_256_GCM_SHA384 else {
            unreachable!();
        };
        let encrypter = suite.aead_alg.encrypter(key, iv);
        let forger = Self {
            socket,
            sequence,
            encrypter,
        };
        (forger, id)
    }

    fn record(&mut self, typ: ContentType, payload: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_3,
            payload: OutboundChunks::Single(payload),
        };
        let sealed = self.encrypter.encrypt(message, self.sequence).unwrap();
        self.sequence += 1;
        sealed.encode()
    }
}

/// A masked text frame.
fn frame(text: &str) -> Vec<u8> {
    let size = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | size, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[test]
fn test_a_key_update_in_pieces_does_not_disturb_what_we_send_in_between() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let (mut forger, id) = Forger::open(&mut harness, &pair);
    // KeyUpdate (RFC 8446 §4.6.3), which asks for nothing in return, cut into four records.
    for piece in [[24_u8].as_slice(), &[0, 0], &[1]] {
        let record = forger.record(ContentType::Handshake, piece);
        harness.network.write(forger.socket, &record);
        assert_eq!(harness.settle(), []);
        harness.network.take_output(forger.socket);
        harness.send_text(id, "in between");
        harness.flush();
        let sent = harness.network.take_output(forger.socket);
        assert_eq!(sent.len(), 5 + 2 + "in between".len() + 1 + 16);
    }
    let last = forger.record(ContentType::Handshake, &[0]);
    harness.network.write(forger.socket, &last);
    assert_eq!(harness.settle(), []);
    assert_eq!(harness.meter.bytes(), 0, "the message is whole");
    // The next key is in force now, so that a record under the old one is forged.
    let old = forger.record(ContentType::ApplicationData, &frame("old key"));
    harness.network.write(forger.socket, &old);
    let told = harness.settle();
    assert_eq!(told, [Told::Closed(id, None, 1006, String::new())]);
}

#[test]
fn test_records_without_data_are_borne_for_a_while() {
    let pair = Pair::new();
    let mut harness = secured(quiet(), &pair);
    let (mut forger, id) = Forger::open(&mut harness, &pair);
    let mut records = Vec::new();
    for _ in 0..10 {
        records.extend(forger.record(ContentType::ApplicationData, b""));
    }
    records.extend(forger.record(ContentType::ApplicationData, &frame("at last")));
    for _ in 0..20_000 {
        records.extend(forger.record(ContentType::ApplicationData, b""));
    }
    harness.network.write(forger.socket, &records);
    let told = harness.settle();
    let closed = Told::Closed(id, None, 1006, String::new());
    assert_eq!(told, [text(id, "at last"), closed]);
    assert_eq!(harness.meter.bytes(), 0);
}

/// xorshift64, with a fixed seed: the same bytes on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

#[test]
fn test_spoilt_bytes_end_the_connection_and_nothing_else() {
    let pair = Pair::new();
    let config = quiet();
    let timeout = u64::try_from(config.handshake_timeout.as_millis()).unwrap();
    let close_timeout = u64::try_from(config.close_timeout.as_millis()).unwrap();
    let mut harness = secured(config, &pair);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..300 {
        let mut peer = TlsPeer::connect(&mut harness, pair.client(VERSIONS[round % 2]));
        peer.write(REQUEST.as_bytes());
        let spoilt_at = dice.below(1500);
        let mut sent = 0;
        for _ in 0..4 {
            let mut records = peer.records();
            if let Some(byte) = records.get_mut(spoilt_at.wrapping_sub(sent)) {
                *byte ^= 1 << dice.below(8);
            }
            sent += records.len();
            let cut = dice.below(records.len() + 1);
            for part in [&records[..cut], &records[cut..]] {
                harness.network.write(peer.socket, part);
                harness.settle();
            }
            let output = harness.network.take_output(peer.socket);
            // The client may refuse what it gets in return; it says so, or is silent.
            let mut output = output.as_slice();
            while !output.is_empty() && peer.session.read_tls(&mut output).is_ok() {
                let _ = peer.session.process_new_packets();
            }
        }
        harness.network.finish(peer.socket);
        harness.settle();
        harness.pass(timeout.max(close_timeout) + 1);
        harness.settle();
        assert_eq!(harness.shard.sockets(), 0, "round {round}");
        assert_eq!(harness.meter.bytes(), 0, "round {round}");
    }
}
