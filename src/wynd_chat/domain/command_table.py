"""The chat's commands: the one registry that help, autocomplete, REST and the JSON face read.

A command that is not in this table does not exist. What one does is in the services; here stand its
words only, in the order help shows them.
"""

from __future__ import annotations

from wynd_chat.domain.command_spec import Argument, CommandSpec, Group, Who

__all__ = ["COMMANDS"]


def _user(*, required: bool = True) -> Argument:
    return Argument("user", required=required, hint="@name")


def _room(*, required: bool = True) -> Argument:
    return Argument("room", required=required, hint="#name")


def _rest(name: str, *, required: bool = False, hint: str = "") -> Argument:
    return Argument(name, required=required, rest=True, hint=hint)


def _word(name: str, hint: str, *, required: bool = False) -> Argument:
    return Argument(name, required=required, hint=hint)


_TALKING = (
    CommandSpec(
        name="name",
        aliases=("nick",),
        arguments=(_rest("name", required=True, hint="your name"),),
        who=Who.ANYONE,
        summary="Set your display name",
        example="/name Alice",
        syntax="/name <your_name>",  # the tutorial's, byte for byte
        group=Group.TALKING,
    ),
    CommandSpec(
        name="users",
        who=Who.ANYONE,
        summary="List all online users",
        example="/users",
        syntax="/users",
        group=Group.TALKING,
    ),
    CommandSpec(
        name="help",
        arguments=(_word("command", "a command"),),
        who=Who.ANYONE,
        summary="Show the commands, or explain one",
        example="/help join",
        syntax="/help [COMMAND]",
        group=Group.TALKING,
    ),
    CommandSpec(
        name="quit",
        arguments=(_rest("message", hint="a last word"),),
        who=Who.ANYONE,
        summary="Disconnect from the server",
        example="/quit see you tomorrow",
        syntax="/quit [MESSAGE]",
        group=Group.TALKING,
    ),
    CommandSpec(
        name="who",
        aliases=("names", "whois"),
        arguments=(_word("target", "#room or @name"),),
        who=Who.NAMED,
        summary="Show who is in a room, or who somebody is",
        example="/who #dev",
        syntax="/who [#ROOM|@USER]",
        group=Group.TALKING,
    ),
    CommandSpec(
        name="msg",
        aliases=("dm", "tell", "w", "query"),
        arguments=(
            _word("target", "@name or #room", required=True),
            _rest("text", hint="your message"),
        ),
        who=Who.NAMED,
        summary="Write to a person or a room; without text, make it the current one",
        example="/msg Bob are you there?",
        syntax="/msg USER|#ROOM [TEXT]",
        group=Group.TALKING,
    ),
    CommandSpec(
        name="r",
        arguments=(_rest("text", required=True, hint="your answer"),),
        who=Who.NAMED,
        summary="Answer whoever last wrote to you directly",
        example="/r yes, in a minute",
        syntax="/r TEXT",
        group=Group.TALKING,
    ),
    CommandSpec(
        name="me",
        arguments=(_rest("text", required=True, hint="what you do"),),
        who=Who.NAMED,
        summary="Say what you are doing",
        example="/me waves",
        syntax="/me TEXT",
        group=Group.TALKING,
    ),
    CommandSpec(
        name="history",
        arguments=(
            _word("count", "how many, since when, or before"),
            _rest("where", hint="#room, @name, or a number"),
        ),
        who=Who.NAMED,
        summary="Show what was said",
        example="/history 50 #dev",
        syntax="/history [N|DURATION] [#ROOM|@USER] or /history before REF [N]",
        group=Group.TALKING,
    ),
    CommandSpec(
        name="upload",
        arguments=(_room(required=False),),
        who=Who.NAMED,
        summary="Get a one-time command that shares a file",
        example="/upload #dev",
        syntax="/upload [#ROOM]",
        group=Group.TALKING,
    ),
)

_ROOMS = (
    CommandSpec(
        name="join",
        aliases=("j",),
        arguments=(_room(), _word("key", "the room's password")),
        who=Who.NAMED,
        summary="Join a room and make it the current one; a new name makes a new room",
        example="/join #dev",
        syntax="/join #ROOM[,#ROOM] [KEY]",
        group=Group.ROOMS,
    ),
    CommandSpec(
        name="leave",
        aliases=("part", "close"),
        arguments=(_room(required=False), _rest("reason")),
        who=Who.NAMED,
        summary="Leave a room",
        example="/leave #dev back on Monday",
        syntax="/leave [#ROOM] [REASON]",
        group=Group.ROOMS,
    ),
    CommandSpec(
        name="rooms",
        aliases=("list",),
        arguments=(_word("pattern", "part of a name, or d*"),),
        who=Who.NAMED,
        summary="List the rooms",
        example="/rooms dev*",
        syntax="/rooms [PATTERN]",
        group=Group.ROOMS,
    ),
    CommandSpec(
        name="topic",
        arguments=(_rest("text", hint="the topic; - clears"),),
        who=Who.NAMED,
        summary="Show or set the topic",
        example="/topic Release 1.2",
        syntax="/topic [TEXT|-]",
        group=Group.ROOMS,
    ),
    CommandSpec(
        name="invite",
        arguments=(_user(required=False), _room(required=False)),
        who=Who.NAMED,
        summary="Bring somebody into a room; alone, make a link for it",
        example="/invite Bob #dev",
        syntax="/invite [USER [#ROOM]]",
        group=Group.ROOMS,
    ),
    CommandSpec(
        name="private",
        arguments=(_word("state", "on or off", required=True),),
        who=Who.OP,
        summary="Make the room invite-only, or open it",
        example="/private on",
        syntax="/private on|off",
        group=Group.ROOMS,
    ),
    CommandSpec(
        name="key",
        arguments=(_word("key", "a password; - clears"),),
        who=Who.OP,
        summary="Ask for a password at the room's door, or not any more",
        example="/key open-sesame",
        syntax="/key [KEY|-]",
        group=Group.ROOMS,
    ),
    CommandSpec(
        name="lock",
        arguments=(_word("state", "on or off", required=True),),
        who=Who.OP,
        summary="Let only ops write, or everybody",
        example="/lock on",
        syntax="/lock on|off",
        group=Group.ROOMS,
    ),
    CommandSpec(
        name="slow",
        arguments=(_word("duration", "30s, 10m or off", required=True),),
        who=Who.OP,
        summary="Allow one message per member in this time",
        example="/slow 30s",
        syntax="/slow DURATION|off",
        group=Group.ROOMS,
    ),
)

_MODERATION = (
    CommandSpec(
        name="kick",
        arguments=(_user(), _rest("reason")),
        who=Who.OP,
        summary="Put somebody out of the room; they may come back",
        example="/kick Bob please cool down",
        syntax="/kick USER [REASON]",
        group=Group.MODERATION,
    ),
    CommandSpec(
        name="ban",
        arguments=(
            _word("user", "@name, or * for all newcomers", required=True),
            _word("duration", "10m, 7d; none is for ever"),
            _rest("reason"),
        ),
        who=Who.OP,
        summary="Put somebody out of the room and keep them out",
        example="/ban Bob 7d spam",
        syntax="/ban [--server] [--purge DURATION] USER|*|IP [DURATION] [REASON]",
        group=Group.MODERATION,
    ),
    CommandSpec(
        name="unban",
        arguments=(_word("user", "@name or *", required=True),),
        who=Who.OP,
        summary="Lift a ban",
        example="/unban Bob",
        syntax="/unban [--server] USER|*|IP",
        group=Group.MODERATION,
    ),
    CommandSpec(
        name="bans",
        arguments=(_word("scope", "--server"),),
        who=Who.OP,
        summary="List the bans",
        example="/bans",
        syntax="/bans [--server]",
        group=Group.MODERATION,
    ),
    CommandSpec(
        name="timeout",
        aliases=("silence",),
        arguments=(_user(), _word("duration", "10m, or off"), _rest("reason")),
        who=Who.OP,
        summary="Let somebody read but not write for a while",
        example="/timeout Bob 10m too loud",
        syntax="/timeout USER [DURATION|off] [REASON]",
        group=Group.MODERATION,
    ),
    CommandSpec(
        name="op",
        arguments=(_user(),),
        who=Who.OWNER,
        summary="Make somebody an op of the room",
        example="/op Bob",
        syntax="/op USER",
        group=Group.MODERATION,
    ),
    CommandSpec(
        name="deop",
        arguments=(_user(),),
        who=Who.OWNER,
        summary="Make an op a member again",
        example="/deop Bob",
        syntax="/deop USER",
        group=Group.MODERATION,
    ),
    CommandSpec(
        name="owner",
        arguments=(_user(),),
        who=Who.OWNER,
        summary="Make somebody an owner of the room",
        example="/owner Bob",
        syntax="/owner USER",
        group=Group.MODERATION,
    ),
)

_ME = (
    CommandSpec(
        name="mute",
        arguments=(_word("target", "#room or @name"),),
        who=Who.NAMED,
        summary="Be notified no more; others notice nothing",
        example="/mute #dev",
        syntax="/mute [#ROOM|@USER]",
        group=Group.ME,
    ),
    CommandSpec(
        name="unmute",
        arguments=(_word("target", "#room or @name"),),
        who=Who.NAMED,
        summary="Be notified again",
        example="/unmute #dev",
        syntax="/unmute [#ROOM|@USER]",
        group=Group.ME,
    ),
    CommandSpec(
        name="ignore",
        arguments=(_user(required=False),),
        who=Who.NAMED,
        summary="Hide somebody's messages from you; alone, list whom you ignore",
        example="/ignore Bob",
        syntax="/ignore [USER]",
        group=Group.ME,
    ),
    CommandSpec(
        name="unignore",
        arguments=(_user(),),
        who=Who.NAMED,
        summary="See somebody's messages again",
        example="/unignore Bob",
        syntax="/unignore USER",
        group=Group.ME,
    ),
    CommandSpec(
        name="away",
        arguments=(_rest("text", hint="why, or until when"),),
        who=Who.NAMED,
        summary="Say that you are away; alone, change between away and here",
        example="/away lunch",
        syntax="/away [TEXT]",
        group=Group.ME,
    ),
    CommandSpec(
        name="back",
        who=Who.NAMED,
        summary="Say that you are here again",
        example="/back",
        syntax="/back",
        group=Group.ME,
    ),
    CommandSpec(
        name="register",
        arguments=(_rest("password", required=True, hint="a long password"),),
        who=Who.NAMED,
        summary="Make your name an account of yours",
        example="/register correct horse battery staple",
        syntax="/register PASSWORD",
        group=Group.ME,
    ),
    CommandSpec(
        name="login",
        arguments=(_user(required=False), _rest("password")),
        who=Who.ANYONE,
        summary="Log in; alone, get a code to enter in a browser",
        example="/login",
        syntax="/login [USER PASSWORD]",
        group=Group.ME,
    ),
    CommandSpec(
        name="logout",
        who=Who.ACCOUNT,
        summary="End this login",
        example="/logout",
        syntax="/logout",
        group=Group.ME,
    ),
    CommandSpec(
        name="sessions",
        who=Who.ACCOUNT,
        summary="List where you are logged in",
        example="/sessions",
        syntax="/sessions",
        group=Group.ME,
    ),
    CommandSpec(
        name="token",
        arguments=(
            _word("action", "new, list or revoke", required=True),
            _rest("label", hint="what the token is for"),
        ),
        who=Who.ACCOUNT,
        summary="Make, list or revoke tokens for programs",
        example="/token new backup script",
        syntax="/token new|list|revoke [LABEL]",
        group=Group.ME,
    ),
    CommandSpec(
        name="set",
        arguments=(
            _word("preference", "timestamps, ids, joins, color or bell", required=True),
            _word("state", "on or off", required=True),
        ),
        who=Who.NAMED,
        summary="Choose how this text is shown",
        example="/set timestamps on",
        syntax="/set timestamps|ids|joins|color|bell on|off",
        group=Group.ME,
    ),
)

_SERVER = (
    CommandSpec(
        name="announce",
        arguments=(_rest("text", required=True, hint="to everybody"),),
        who=Who.ADMIN,
        summary="Speak as the server in the lobby",
        example="/announce Maintenance at 18:00",
        syntax="/announce TEXT",
        group=Group.SERVER,
    ),
    CommandSpec(
        name="stats",
        who=Who.ADMIN,
        summary="Show the server's numbers",
        example="/stats",
        syntax="/stats",
        group=Group.SERVER,
    ),
    CommandSpec(
        name="reload",
        who=Who.ADMIN,
        summary="Read the settings again",
        example="/reload",
        syntax="/reload",
        group=Group.SERVER,
    ),
    CommandSpec(
        name="shutdown",
        arguments=(
            _word("duration", "30s, 10m; 0 is now", required=True),
            _rest("reason", required=True, hint="what people read"),
        ),
        who=Who.ADMIN,
        summary="Stop the server after a while",
        example="/shutdown 10m moving to a new machine",
        syntax="/shutdown DURATION REASON",
        group=Group.SERVER,
    ),
)

COMMANDS: tuple[CommandSpec, ...] = (*_TALKING, *_ROOMS, *_MODERATION, *_ME, *_SERVER)
