"""TLS of the portable engine: a context of the standard library from PEM files, or one sentence.

The native engine has its own, in Rust, with the same sentences.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from wynd.errors import CertificateError

if TYPE_CHECKING:
    from wynd.tls import Tls

__all__ = ["replace_certificates", "server_context"]

FILE_BYTES_MAX = 1024 * 1024  # a chain with its key has some kilobytes


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and 1.3 that agrees on HTTP/1.1.

    Raises:
        CertificateError: a file is missing, holds something else, or the pair does not match.
    """
    certificate, key = tls.certificate_path, tls.key_path
    if b"-----BEGIN CERTIFICATE-----" not in _read("certificate", certificate):
        raise CertificateError(
            f"certificate file {certificate} holds no certificate: no PEM block CERTIFICATE"
        )
    private = _read("key", key)
    if b"PRIVATE KEY-----" not in private:
        raise CertificateError(f"key file {key} holds no private key: no PEM block PRIVATE KEY")
    if b"BEGIN ENCRYPTED PRIVATE KEY" in private or b"Proc-Type: 4,ENCRYPTED" in private:
        raise CertificateError(
            f"key file {key} is encrypted: store the key without a passphrase (openssl pkey does)"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateError(
                f"key file {key} does not belong to certificate file {certificate}: "
                "the key is another one"
            ) from None
        raise CertificateError(
            f"certificate file {certificate} with key file {key} cannot be used: "
            f"{error.reason or error}"
        ) from None
    return context


def replace_certificates(context: ssl.SSLContext, tls: Tls) -> None:
    """Read the files again for the connections that `context` serves from now on.

    Raises:
        CertificateError: as in `server_context`; `context` is as it was.
    """
    server_context(tls)
    context.load_cert_chain(tls.certificate_path, tls.key_path)


def _read(kind: str, path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            pem = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CertificateError(f"{kind} file {path} cannot be read: {error.strerror}") from None
    if len(pem) > FILE_BYTES_MAX:
        raise CertificateError(f"{kind} file {path} is larger than {FILE_BYTES_MAX // 1024} KiB")
    return pem
