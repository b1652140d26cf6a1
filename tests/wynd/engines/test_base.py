"""The values of the engine interface: policies and prepared messages."""

from __future__ import annotations

import pytest

from wynd.engines.base import Policy, Prepared


def test_policies_are_values_with_a_name() -> None:
    assert repr(Policy.latest) == "Policy.latest"
    assert repr(Policy.close(4000, "slow")) == "Policy.close(code=4000, reason='slow')"
    assert (Policy.close().code, Policy.close().reason) == (1013, "Too slow.")
    with pytest.raises(ValueError, match="1006"):
        Policy.close(1006)


def test_prepared_knows_its_kind_and_refuses_others() -> None:
    assert repr(Prepared("ä")) == "Prepared(TEXT, 2 bytes)"
    assert Prepared(memoryview(b"ab")).payload == b"ab"
    with pytest.raises(TypeError):
        Prepared(1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="surrogate"):
        Prepared("\ud800")
