"""`Tls`: the files of a listener's certificate and key. A value; the engines read them."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Tls"]


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate and key of a listener that speaks TLS: `wynd.run(443, tls=Tls("cert.pem"))`.

    Both are PEM files. They are read when the listener opens, and again at
    `Wynd.reload_certificates` or SIGHUP.

    Raises:
        TypeError: a path that is neither a str nor a `pathlib.Path`.
    """

    certificate: str | os.PathLike[str]
    """The server's certificate, followed by those of the authorities between it and the root."""
    key: str | os.PathLike[str] | None = None
    """Its private key, without a passphrase; None if it stands in the file `certificate` too."""

    def __post_init__(self) -> None:
        for name, path in (("certificate", self.certificate), ("key", self.key or "")):
            if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
                raise TypeError(f"{name} must be the path of a PEM file, not {path!r}")

    @property
    def certificate_path(self) -> str:
        """Path of the certificate file."""
        return os.fspath(self.certificate)

    @property
    def key_path(self) -> str:
        """Path of the key file."""
        return os.fspath(self.certificate if self.key is None else self.key)
