"""The value that names certificate and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wynd import Tls, Wynd


def test_paths_may_be_str_or_path() -> None:
    for given in ("folder/both.pem", Path("folder") / "both.pem"):
        tls = Tls(given)
        assert tls.certificate_path == tls.key_path == "folder/both.pem"
        assert Tls(given, "key.pem").key_path == "key.pem"
    assert Tls("a") == Tls("a")
    assert Tls("a") != Tls("a", "b")


def test_what_is_no_path_is_refused_at_once() -> None:
    wrong: list[Any] = [None, 1, b"bytes.pem"]
    for value in wrong:
        with pytest.raises(TypeError, match="certificate must be the path of a PEM file"):
            Tls(value)
    for value in wrong[1:]:
        with pytest.raises(TypeError, match="key must be the path of a PEM file"):
            Tls("certificate.pem", value)


async def test_the_argument_must_be_a_tls() -> None:
    wrong: Any = "certificate.pem"
    with pytest.raises(TypeError, match=r"tls must be a Tls\(certificate, key\), not 'certificate"):
        await Wynd().listen(0, tls=wrong)
