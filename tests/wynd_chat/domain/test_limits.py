"""`ChatLimits` has the numbers of the specification and refuses what cannot be meant."""

from __future__ import annotations

import ast
import inspect
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from wynd_chat.domain import limits as module
from wynd_chat.domain.limits import ChatLimits

MIB = 1024 * 1024

# chat.md 5.5 and 6, 10
SPECIFIED: dict[str, float] = {
    "messages_burst": 10,
    "messages_per_second": 2,
    "commands_burst": 20,
    "commands_per_second": 5,
    "frames_burst": 30,
    "frames_per_second": 5,
    "joins_per_minute": 10,
    "new_directs_per_hour": 10,
    "uploads_per_minute": 10,
    "upload_bytes_max": 25 * MIB,
    "upload_bytes_per_day_max": 500 * MIB,
    "files_per_message_max": 10,
    "file_name_bytes_max": 200,
    "disk_free_bytes_min": 512 * MIB,
    "upload_parts_max": 32,
    "upload_part_head_bytes_max": 16 * 1024,
    "upload_pending_s": 3600,
    "ranges_max": 100,
    "logins_per_3_minutes": 10,
    "registrations_per_hour": 30,
    "connections_max": 10_000,
    "connections_per_address_max": 256,
    "new_connections_per_10_seconds": 64,
    "unnamed_s": 600,
    "rooms_per_user_max": 200,
    "rooms_created_per_day": 10,
    "message_chars_max": 8000,
    "topic_chars_max": 300,
    "reason_chars_max": 200,
    "frame_bytes_max": 65_536,
    "outbox_bytes_max": MIB,
    "handshake_timeout_s": 5,
    "head_bytes_max": 16 * 1024,
    "head_fields_max": 100,
}
MAY_BE_OFF = ("connections_per_address_max", "new_connections_per_10_seconds", "unnamed_s")

each_limit = pytest.mark.parametrize("name", [field.name for field in fields(ChatLimits)])


def test_the_defaults_are_those_of_the_specification() -> None:
    held = {field.name: getattr(ChatLimits(), field.name) for field in fields(ChatLimits)}
    assert held == SPECIFIED


def test_limits_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        ChatLimits().message_chars_max = 1  # type: ignore[misc]


@each_limit
def test_wrong_types_are_refused_with_the_limit_named(name: str) -> None:
    values: tuple[Any, ...] = ("1", True, b"", [])
    for wrong in values:
        with pytest.raises(TypeError, match=f"^{name} must be a"):
            ChatLimits(**{name: wrong})


@each_limit
def test_values_that_admit_nothing_are_refused(name: str) -> None:
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=f"^{name} must be above 0, not {wrong}"):
            ChatLimits(**{name: wrong})


@each_limit
def test_only_some_limits_can_be_switched_off(name: str) -> None:
    values: dict[str, Any] = {name: None}
    if name in MAY_BE_OFF:
        assert getattr(ChatLimits(**values), name) is None
    else:
        with pytest.raises(TypeError, match=name):
            ChatLimits(**values)


def test_the_message_says_how_to_switch_off() -> None:
    with pytest.raises(ValueError, match="None switches it off"):
        ChatLimits(unnamed_s=0)
    wrong: dict[str, Any] = {"unnamed_s": "x"}
    with pytest.raises(TypeError, match="an int or None"):
        ChatLimits(**wrong)


def test_counts_are_whole_and_rates_need_not_be() -> None:
    assert ChatLimits(messages_per_second=0.5).messages_per_second == 0.5
    assert ChatLimits(messages_per_second=3).messages_per_second == 3
    wrong: dict[str, Any] = {"messages_burst": 2.5}
    with pytest.raises(TypeError, match="messages_burst must be an int"):
        ChatLimits(**wrong)


@pytest.mark.parametrize("endless", [float("inf"), float("nan")])
def test_a_rate_without_end_is_refused(endless: float) -> None:
    with pytest.raises(ValueError, match="messages_per_second"):
        ChatLimits(messages_per_second=endless)


def test_unknown_names_are_refused() -> None:
    wrong: dict[str, Any] = {"message_size": 1}
    with pytest.raises(TypeError, match="message_size"):
        ChatLimits(**wrong)


def test_the_longest_message_fits_into_a_frame() -> None:
    assert ChatLimits(message_chars_max=16_384).message_chars_max == 16_384
    with pytest.raises(ValueError, match=r"^message_chars_max \(16385\) may need 65540 bytes"):
        ChatLimits(message_chars_max=16_385)


def test_a_file_fits_into_a_day() -> None:
    assert ChatLimits(upload_bytes_max=MIB, upload_bytes_per_day_max=MIB).upload_bytes_max == MIB
    with pytest.raises(ValueError, match=r"^upload_bytes_max .* is above upload_bytes_per_day"):
        ChatLimits(upload_bytes_max=MIB + 1, upload_bytes_per_day_max=MIB)


def test_every_limit_has_its_reason() -> None:
    tree = ast.parse(inspect.getsource(module))
    holder = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    reasons = [
        node.target.id
        for node, after in zip(holder.body, holder.body[1:], strict=False)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(after, ast.Expr)
    ]
    assert reasons == [field.name for field in fields(ChatLimits)]
