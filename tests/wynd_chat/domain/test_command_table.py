"""The registry holds the specified commands, each consistent in itself."""

from __future__ import annotations

import pytest

from wynd_chat.domain.command_spec import CommandSpec, Group, Who
from wynd_chat.domain.command_table import COMMANDS
from wynd_chat.domain.commands import find, parse, split

# chat.md 3.2 to 3.5, stage 1: name, aliases, who.
SPECIFIED = {
    "name": ("nick", Who.ANYONE),
    "users": ("", Who.ANYONE),
    "help": ("", Who.ANYONE),
    "quit": ("", Who.ANYONE),
    "who": ("names whois", Who.NAMED),
    "msg": ("dm tell w query", Who.NAMED),
    "r": ("", Who.NAMED),
    "me": ("", Who.NAMED),
    "history": ("", Who.NAMED),
    "upload": ("", Who.NAMED),
    "join": ("j", Who.NAMED),
    "leave": ("part close", Who.NAMED),
    "rooms": ("list", Who.NAMED),
    "topic": ("", Who.NAMED),
    "invite": ("", Who.NAMED),
    "private": ("", Who.OP),
    "key": ("", Who.OP),
    "lock": ("", Who.OP),
    "slow": ("", Who.OP),
    "kick": ("", Who.OP),
    "ban": ("", Who.OP),
    "unban": ("", Who.OP),
    "bans": ("", Who.OP),
    "timeout": ("silence", Who.OP),
    "op": ("", Who.OWNER),
    "deop": ("", Who.OWNER),
    "owner": ("", Who.OWNER),
    "mute": ("", Who.NAMED),
    "unmute": ("", Who.NAMED),
    "ignore": ("", Who.NAMED),
    "unignore": ("", Who.NAMED),
    "away": ("", Who.NAMED),
    "back": ("", Who.NAMED),
    "register": ("", Who.NAMED),
    "login": ("", Who.ANYONE),
    "logout": ("", Who.ACCOUNT),
    "sessions": ("", Who.ACCOUNT),
    "token": ("", Who.ACCOUNT),
    "set": ("", Who.NAMED),
    "announce": ("", Who.ADMIN),
    "stats": ("", Who.ADMIN),
    "reload": ("", Who.ADMIN),
    "shutdown": ("", Who.ADMIN),
}

each_command = pytest.mark.parametrize("spec", COMMANDS, ids=[spec.name for spec in COMMANDS])


def test_the_registry_holds_the_specified_commands_in_the_order_of_help() -> None:
    held = {spec.name: (" ".join(spec.aliases), spec.who) for spec in COMMANDS}
    assert held == SPECIFIED
    assert list(held) == list(SPECIFIED)


def test_no_word_means_two_commands() -> None:
    words = [word for spec in COMMANDS for word in (spec.name, *spec.aliases)]
    assert len(words) == len(set(words))


def test_groups_stand_together_in_their_order() -> None:
    seen = [spec.group for spec in COMMANDS]
    assert list(dict.fromkeys(seen)) == list(Group)
    assert seen == sorted(seen, key=list(Group).index)


def test_the_tutorials_usage_line_is_its_own() -> None:
    spec = find("name")
    assert spec is not None
    assert spec.syntax == "/name <your_name>"


def test_nothing_essential_needs_a_name_that_wscat_keeps_for_itself() -> None:
    # wscat --slash gives /ping, /pong and /close its own meaning; close is only an alias here.
    assert {spec.name for spec in COMMANDS} & {"ping", "pong", "close"} == set()


@each_command
def test_syntax_example_and_summary_are_of_this_command(spec: CommandSpec) -> None:
    assert spec.syntax.split(None, 1)[0] == f"/{spec.name}"
    assert parse(spec.example).spec is spec
    assert spec.summary
    assert spec.summary[0].isupper()
    assert not spec.summary.endswith(".")
    assert spec.name == spec.name.lower()


@each_command
def test_required_arguments_come_first_and_only_the_last_takes_the_rest(spec: CommandSpec) -> None:
    required = [argument.required for argument in spec.arguments]
    assert required == sorted(required, reverse=True)
    assert not any(argument.rest for argument in spec.arguments[:-1])
    names = [argument.name for argument in spec.arguments]
    assert len(names) == len(set(names))


@each_command
def test_the_example_gives_all_that_is_required(spec: CommandSpec) -> None:
    given_words = split(parse(spec.example).rest, max(1, len(spec.arguments)))
    assert len(given_words) >= sum(argument.required for argument in spec.arguments)


@each_command
def test_syntax_shows_arguments_where_there_are_some(spec: CommandSpec) -> None:
    shown = spec.syntax.partition(" ")[2]
    assert bool(shown) == bool(spec.arguments)
    if any(argument.required for argument in spec.arguments):
        assert not shown.startswith("[") or "--" in shown
    else:
        assert shown == "" or shown.startswith("[")
