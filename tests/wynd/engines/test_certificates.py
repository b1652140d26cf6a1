"""The portable engine's contexts; the sentences of both engines are in `tests/contracts`."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from tests.certificates import Authority
from wynd.engines.certificates import FILE_BYTES_MAX, replace_certificates, server_context
from wynd.errors import CertificateError

if TYPE_CHECKING:
    from pathlib import Path


def test_old_versions_are_not_spoken(tmp_path: Path) -> None:
    context = server_context(Authority(tmp_path).issue())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_contents_that_only_look_right_are_refused(tmp_path: Path) -> None:
    tls = Authority(tmp_path).issue()
    certificate = tmp_path / "server.pem"
    block = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"
    certificate.write_text(block)
    with pytest.raises(CertificateError, match=r"server\.pem with key file .* cannot be used: "):
        server_context(tls)
    certificate.write_text("x" * (FILE_BYTES_MAX + 1))
    with pytest.raises(CertificateError, match=r"server\.pem is larger than 1024 KiB"):
        server_context(tls)


def test_a_failed_replacement_leaves_the_context_whole(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.issue()
    context = server_context(tls)
    shown = shown_by(context, authority)
    authority.issue()
    key = tmp_path / "server.key"
    good = key.read_bytes()
    authority.issue("other")
    key.write_bytes((tmp_path / "other.key").read_bytes())
    with pytest.raises(CertificateError, match="the key is another one"):
        replace_certificates(context, tls)
    assert shown_by(context, authority) == shown
    key.write_bytes(good)
    replace_certificates(context, tls)
    assert shown_by(context, authority) != shown


def shown_by(context: ssl.SSLContext, authority: Authority) -> bytes | None:
    """Return the certificate a client is shown, by a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = authority.client().wrap_bio(to_client, to_server, server_hostname="localhost")
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.getpeercert(binary_form=True)
