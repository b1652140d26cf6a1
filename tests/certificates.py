"""Certificates made by the tests: an authority, certificates from it as files, and its clients."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import trustme

from wynd import Tls

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Authority"]


class Authority:
    """Signs certificates for this machine's names and writes them to a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._authority = trustme.CA()

    def issue(self, name: str = "server") -> Tls:
        """Write a new certificate and key as `name`.pem and `name`.key; the same name replaces."""
        leaf = self._authority.issue_cert("localhost", "127.0.0.1")
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        chain = b"".join(part.bytes() for part in leaf.cert_chain_pems)
        files[0].write_bytes(chain)
        leaf.private_key_pem.write_to_path(str(files[1]))
        return Tls(*files)

    def client(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Return a context that trusts this authority alone; `version` is the only one spoken."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context
