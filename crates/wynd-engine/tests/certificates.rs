//! Certificate and key files: what loads, and the sentence for what does not.

mod support;

use std::path::{Path, PathBuf};

use support::tls::Pair;
use wynd_engine::{Certificates, PemKind};

/// A pair whose files a test may spoil.
fn pair() -> (Pair, PathBuf) {
    let pair = Pair::new();
    let other = pair.key.with_file_name("other.pem");
    (pair, other)
}

fn sentence(certificate: &Path, key: &Path) -> String {
    Certificates::load(certificate, key)
        .unwrap_err()
        .to_string()
}

fn write(path: &Path, parts: &[&str]) {
    std::fs::write(path, parts.concat()).unwrap();
}

fn block(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[test]
fn test_one_file_may_hold_both() {
    let (pair, both) = pair();
    let key = std::fs::read_to_string(&pair.key).unwrap();
    let certificate = std::fs::read_to_string(&pair.certificate).unwrap();
    write(
        &both,
        &[
            "# what comes before a block is ignored\n",
            &key,
            &certificate,
        ],
    );
    assert!(Certificates::load(&both, &both).is_ok());
}

#[test]
fn test_a_missing_file_is_named() {
    let (pair, absent) = pair();
    let shown = absent.display();
    let expected = format!("certificate file {shown} cannot be read: No such file or directory");
    assert_eq!(sentence(&absent, &pair.key), expected);
    let expected = format!("key file {shown} cannot be read: No such file or directory");
    assert_eq!(sentence(&pair.certificate, &absent), expected);
    let folder = absent.parent().unwrap();
    assert!(sentence(folder, &pair.key).ends_with(" cannot be read: Is a directory"));
}

#[test]
fn test_swapped_files_say_what_is_not_in_them() {
    let (pair, _) = pair();
    let expected = format!(
        "certificate file {} holds no certificate: no PEM block CERTIFICATE",
        pair.key.display()
    );
    assert_eq!(sentence(&pair.key, &pair.certificate), expected);
    let expected = format!(
        "key file {} holds no private key: no PEM block PRIVATE KEY",
        pair.certificate.display()
    );
    assert_eq!(sentence(&pair.certificate, &pair.certificate), expected);
}

#[test]
fn test_the_key_of_another_certificate_is_refused() {
    let ((pair, _), (other, _)) = (pair(), pair());
    let expected = format!(
        "key file {} does not belong to certificate file {}: the key is another one",
        other.key.display(),
        pair.certificate.display()
    );
    assert_eq!(sentence(&pair.certificate, &other.key), expected);
}

#[test]
fn test_an_encrypted_key_is_refused() {
    let (pair, key) = pair();
    let old = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA";
    for text in [
        block("ENCRYPTED PRIVATE KEY", "MIIB"),
        block("RSA PRIVATE KEY", old),
    ] {
        write(&key, &[&text]);
        let found = sentence(&pair.certificate, &key);
        assert!(found.starts_with(&format!("key file {} is encrypted: ", key.display())));
    }
}

#[test]
fn test_damaged_and_foreign_contents_are_refused() {
    let (pair, file) = pair();
    let shown = file.display();
    let damaged = "-----BEGIN CERTIFICATE-----\nMIIB\n";
    let foreign_certificate = block("CERTIFICATE", "aGVsbG8=");
    let foreign_key = block("PRIVATE KEY", "aGVsbG8=");
    for (text, start) in [
        (damaged, "has a damaged PEM block"),
        ("", "holds no certificate"),
        (
            &foreign_certificate,
            "holds a certificate that cannot be used: ",
        ),
        (&"x".repeat(1024 * 1024 + 1), "is larger than 1024 KiB"),
    ] {
        write(&file, &[text]);
        let expected = format!("{} file {shown} {start}", PemKind::Certificate);
        let found = sentence(&file, &pair.key);
        assert!(found.starts_with(&expected), "{found}");
    }
    for (text, start) in [
        (block("PRIVATE KEY", "?"), "has a damaged PEM block"),
        (
            foreign_key,
            "holds a key that cannot be used: it must be RSA",
        ),
    ] {
        write(&file, &[&text]);
        let expected = format!("{} file {shown} {start}", PemKind::Key);
        let found = sentence(&pair.certificate, &file);
        assert!(found.starts_with(&expected), "{found}");
    }
}
