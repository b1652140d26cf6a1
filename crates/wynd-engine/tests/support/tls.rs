//! Certificates made for one test, and peers that speak TLS over the network in memory.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use wynd_engine::{Certificates, Config, ConnId, ListenerId};
use wynd_protocol::{Connection, MessageKind, Role};

use super::{decode_all, Harness, Seen, Told, REQUEST};

pub const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// A self-signed certificate for example.org and its key, as files.
pub struct Pair {
    pub der: CertificateDer<'static>,
    pub certificate: PathBuf,
    pub key: PathBuf,
    folder: PathBuf,
}

impl Pair {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wynd-engine-tls-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["example.org".to_owned()]).unwrap();
        let pair = Self {
            der: made.cert.der().clone(),
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            folder,
        };
        std::fs::write(&pair.certificate, made.cert.pem()).unwrap();
        std::fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
        pair
    }

    pub fn load(&self) -> Certificates {
        Certificates::load(&self.certificate, &self.key).unwrap()
    }

    /// A client's configuration that trusts this certificate alone.
    pub fn client(&self, version: &'static SupportedProtocolVersion) -> ClientConfig {
        self.client_of(rustls::crypto::ring::default_provider(), version)
    }

    /// The same with a provider of one's own.
    pub fn client_of(
        &self,
        provider: CryptoProvider,
        version: &'static SupportedProtocolVersion,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// A shard whose listener speaks TLS.
pub fn secured(config: Config, pair: &Pair) -> Harness {
    let mut harness = Harness::opened_shard(config);
    secure(&mut harness, pair);
    harness
}

pub fn secure(harness: &mut Harness, pair: &Pair) {
    let is_found = harness.shard.use_certificates(ListenerId(1), &pair.load());
    assert!(is_found);
}

/// A client's end of a connection over TLS.
pub struct TlsPeer {
    pub socket: usize,
    pub session: ClientConnection,
    pub protocol: Connection,
    unread: Vec<u8>,
    pub has_ended: bool,
}

impl TlsPeer {
    /// Connects; nothing is said yet.
    pub fn connect(harness: &mut Harness, config: ClientConfig) -> Self {
        let name = ServerName::try_from("example.org").unwrap();
        let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
        session.set_buffer_limit(None);
        let mut protocol = Connection::new(Role::Client);
        protocol.set_masking_keys(Box::new(|| [1, 2, 3, 4]));
        Self {
            socket: harness.connect(),
            session,
            protocol,
            unread: Vec::new(),
            has_ended: false,
        }
    }

    /// An open WebSocket over TLS, its handshake forgotten.
    pub fn open(harness: &mut Harness, config: ClientConfig) -> (Self, ConnId) {
        let mut peer = Self::connect(harness, config);
        peer.write(REQUEST.as_bytes());
        let told = peer.settle(harness);
        let id = opened(&told).expect("not opened");
        let answer = String::from_utf8(std::mem::take(&mut peer.unread)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        harness.commands.push_admit(id);
        harness.flush();
        harness.network.forget_calls(peer.socket);
        (peer, id)
    }

    pub fn write(&mut self, plain: &[u8]) {
        self.session.writer().write_all(plain).unwrap();
    }

    pub fn write_message(&mut self, kind: MessageKind, payload: &[u8]) {
        let mut frame = Vec::new();
        self.protocol
            .send_message(kind, payload, &mut frame)
            .unwrap();
        self.write(&frame);
    }

    pub fn write_text(&mut self, text: &str) {
        self.write_message(MessageKind::Text, text.as_bytes());
    }

    /// What the session has to send, as records.
    pub fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut records).unwrap();
        }
        records
    }

    /// Gives what arrived to the session.
    pub fn receive(&mut self, harness: &Harness) {
        let mut output = harness.network.take_output(self.socket);
        let mut output = output.as_mut_slice() as &[u8];
        while !output.is_empty() {
            self.session.read_tls(&mut output).unwrap();
            let state = self.session.process_new_packets().unwrap();
            self.has_ended |= state.peer_has_closed();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            self.session.reader().read_exact(&mut plain).unwrap();
            self.unread.extend(plain);
        }
    }

    /// Exchanges bytes until neither side has more to say.
    pub fn settle(&mut self, harness: &mut Harness) -> Vec<Told> {
        let mut told = Vec::new();
        loop {
            let records = self.records();
            if !records.is_empty() {
                harness.network.write(self.socket, &records);
            }
            told.extend(harness.settle());
            self.receive(harness);
            if !self.session.wants_write() {
                return told;
            }
        }
    }

    /// The frames that arrived since the last look.
    pub fn read(&mut self) -> Vec<Seen> {
        let bytes = std::mem::take(&mut self.unread);
        decode_all(&mut self.protocol, bytes)
    }

    /// Plaintext that arrived since the last look.
    pub fn take_plain(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread)
    }
}

pub fn opened(told: &[Told]) -> Option<ConnId> {
    told.iter().find_map(|event| match event {
        Told::Opened(id, _) => Some(*id),
        _ => None,
    })
}
