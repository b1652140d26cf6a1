//! Certificates: PEM files become what connections are served with, or one sentence that names the
//! file and the reason. Decides versions, ALPN and session resumption; knows no connection.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{ring, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};

/// The one protocol that is spoken over TLS (RFC 7301 §6): `WebSocket` begins as HTTP/1.1.
const ALPN: &[u8] = b"http/1.1";

/// A chain with its key has some kilobytes; what is larger is another kind of file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Which of the two files an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PemKind {
    /// The certificate chain.
    Certificate,
    /// The private key.
    Key,
}

impl fmt::Display for PemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
        })
    }
}

/// Why certificate and key cannot be used; `Display` is one sentence for an operator.
#[derive(Debug)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file is missing, or may not be read.
    Unreadable(PemKind, PathBuf, io::Error),
    /// The file is larger than any certificate or key.
    TooLarge(PemKind, PathBuf),
    /// The file has a PEM block that is damaged.
    Damaged(PemKind, PathBuf),
    /// The file has no PEM block of this kind.
    Missing(PemKind, PathBuf),
    /// The key needs a passphrase.
    Encrypted(PathBuf),
    /// The PEM block holds something that TLS cannot use.
    Unusable(PemKind, PathBuf, rustls::Error),
    /// The key belongs to another certificate.
    Mismatch {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(kind, path, error) => {
                let text = error.to_string();
                let reason = text.split(" (os error").next().unwrap_or(&text);
                write!(f, "{kind} file {} cannot be read: {reason}", path.display())
            }
            Self::TooLarge(kind, path) => {
                let most = FILE_BYTES_MAX / 1024;
                write!(
                    f,
                    "{kind} file {} is larger than {most} KiB",
                    path.display()
                )
            }
            Self::Damaged(kind, path) => {
                write!(f, "{kind} file {} has a damaged PEM block", path.display())
            }
            Self::Missing(PemKind::Certificate, path) => write!(
                f,
                "certificate file {} holds no certificate: no PEM block CERTIFICATE",
                path.display()
            ),
            Self::Missing(PemKind::Key, path) => write!(
                f,
                "key file {} holds no private key: no PEM block PRIVATE KEY",
                path.display()
            ),
            Self::Encrypted(path) => write!(
                f,
                "key file {} is encrypted: store the key without a passphrase (openssl pkey does)",
                path.display()
            ),
            Self::Unusable(PemKind::Certificate, path, error) => write!(
                f,
                "certificate file {} holds a certificate that cannot be used: {error}",
                path.display()
            ),
            Self::Unusable(PemKind::Key, path, _) => write!(
                f,
                "key file {} holds a key that cannot be used: it must be RSA of 2048 bits or more, \
                 ECDSA P-256 or P-384, or Ed25519",
                path.display()
            ),
            Self::Mismatch { certificate, key } => write!(
                f,
                "key file {} does not belong to certificate file {}: the key is another one",
                key.display(),
                certificate.display()
            ),
        }
    }
}

impl Error for CertificateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable(_, _, error) => Some(error),
            Self::Unusable(_, _, error) => Some(error),
            _ => None,
        }
    }
}

/// A certificate chain with its key, ready to serve connections; clones share it.
#[derive(Clone, Debug)]
pub struct Certificates(Arc<ServerConfig>);

impl Certificates {
    /// Loads PEM files: the chain, the server's own certificate first, and its private key.
    ///
    /// TLS 1.3 and 1.2, ALPN `http/1.1`. Sessions resume by tickets (RFC 8446 §2.2, RFC 5077) whose
    /// keys live as long as this value: after a reload every client sees the new certificate.
    ///
    /// # Errors
    ///
    /// One of the files is missing, damaged, without the block looked for, not usable, or of another
    /// pair.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let provider = ring::default_provider();
        let chain = read_chain(certificate)?;
        let private = read_key(key)?;
        let signer = provider
            .key_provider
            .load_private_key(private)
            .map_err(|error| CertificateError::Unusable(PemKind::Key, key.into(), error))?;
        let certified = CertifiedKey::new(chain, signer);
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                return Err(CertificateError::Mismatch {
                    certificate: certificate.into(),
                    key: key.into(),
                });
            }
            Err(error) => return Err(unusable(certificate, error)),
        }
        config(provider, certified)
            .map(|config| Self(Arc::new(config)))
            .map_err(|error| unusable(certificate, error))
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

fn unusable(path: &Path, error: rustls::Error) -> CertificateError {
    CertificateError::Unusable(PemKind::Certificate, path.into(), error)
}

fn config(
    provider: CryptoProvider,
    certified: CertifiedKey,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.ticketer = ring::Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {}); // what resumes is in the tickets
    Ok(config)
}

/// Reads a file, at most `FILE_BYTES_MAX` of it.
fn read(kind: PemKind, path: &Path) -> Result<Vec<u8>, CertificateError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| CertificateError::Unreadable(kind, path.into(), error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(CertificateError::TooLarge(kind, path.into()));
    }
    Ok(bytes)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let pem = read(PemKind::Certificate, path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => {
            Err(CertificateError::Missing(PemKind::Certificate, path.into()))
        }
        Ok(chain) => Ok(chain),
        Err(_) => Err(CertificateError::Damaged(PemKind::Certificate, path.into())),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let pem = read(PemKind::Key, path)?;
    match PrivateKeyDer::pem_slice_iter(&pem).next() {
        Some(Ok(key)) => Ok(key),
        _ if is_encrypted(&pem) => Err(CertificateError::Encrypted(path.into())),
        Some(Err(_)) => Err(CertificateError::Damaged(PemKind::Key, path.into())),
        None => Err(CertificateError::Missing(PemKind::Key, path.into())),
    }
}

/// Whether a passphrase is needed: PKCS#8 says so in its label (RFC 7468 §11), older files in a field
/// (RFC 1421 §4.6.1.1).
fn is_encrypted(pem: &[u8]) -> bool {
    let has = |words: &[u8]| pem.windows(words.len()).any(|window| window == words);
    has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED")
}
