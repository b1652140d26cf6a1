"""What faces and REST read of a command's shape stays as it is."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from wynd_chat.domain.command_spec import Argument, CommandSpec, Group, Who


def test_the_words_that_clients_read_are_those_of_the_specification() -> None:
    assert list(Who) == ["anyone", "named", "account", "op", "owner", "admin"]
    assert list(Group) == ["talking", "rooms", "moderation", "me", "server"]


def test_an_argument_is_one_required_word_unless_told() -> None:
    assert Argument("user") == Argument("user", required=True, rest=False, hint="")


def test_a_command_has_no_aliases_and_arguments_unless_told_and_is_frozen() -> None:
    spec = CommandSpec(
        name="back",
        who=Who.NAMED,
        summary="Say that you are here again",
        example="/back",
        syntax="/back",
        group=Group.ME,
    )
    assert (spec.aliases, spec.arguments) == ((), ())
    with pytest.raises(FrozenInstanceError):
        spec.who = Who.ADMIN  # type: ignore[misc]
