"""Names of users and rooms: what is one, how it is shown, what it is found by, what looks like it.

Users: the Nickname profile of PRECIS (RFC 8266) gives the shown form and, case-mapped, the key;
UTS 39 the skeleton that look-alikes share. Rooms: a short ASCII word. Whether a name is taken or
registered is not known here.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from precis_i18n import get_profile

from wynd_chat.domain.confusables import is_single_script, skeleton
from wynd_chat.domain.errors import ChatError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "NAME_MAX",
    "PLEASE",
    "RESERVED",
    "UserName",
    "is_direct_target",
    "parse_room_name",
    "parse_user_name",
    "room_key",
    "suggestions",
    "user_key",
]

NAME_MAX = 32  # code points; of users and of rooms
PLEASE = "Please provide a valid name"  # the tutorial's sentence, byte for byte

RESERVED = frozenset(
    {
        "server",  # speaks in announcements
        "all",  # mentions everybody
        "here",
        "everyone",
        "me",  # REST's /users/me
        "error",  # "Error: …" and "Usage: …" begin the server's own lines on the text face
        "usage",
    }
)
"""Keys that nobody may take, nor a name that looks like one."""

# `# @ / : +` begin rooms, users, commands, emoji codes and wscat's own; `~ !` are the marks of
# owners and of the silenced in `/who`.
_NOT_FIRST = "#@/:+~!"
# No NFKC form is longer than 18 times, and hardly a typed name shrinks below a quarter.
_RAW_MAX = 4 * NAME_MAX
_MARKS_MAX = 4  # nonspacing marks on one letter (UTS 39 §5.4); orthographies need three
_COUNTED_MAX = 4  # digits at a name's end that count on; more of them are a date or a number
# Visible to Unicode, blank on the screen, and not refused by PRECIS.
_BLANK = re.compile("[\u2800\ufffc\ufffd\U00016fe4\U0001d159\U00013441\U00013442]")
# Default_Ignorable_Code_Point (UCD) that are no format characters.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)

_CASE_PRESERVED = get_profile("NicknameCasePreserved")
_CASE_MAPPED = get_profile("NicknameCaseMapped:ToLower")
_ROOM = re.compile(r"(?!r_)[a-z0-9][a-z0-9._-]{0,31}")


class UserName(NamedTuple):
    """A user's name in its three forms."""

    shown: str
    """As people read it; 1 to 32 code points."""
    key: str
    """Equal for names that differ only in case; unique among users."""
    skeleton: str
    """Equal for names that look alike."""


def parse_user_name(text: str, *, allow_reserved: bool = False) -> UserName:
    """Return the name that was typed, with or without one leading `@`.

    Args:
        text: What was typed; white space around it does not matter.
        allow_reserved: For the server's own user.

    Raises:
        ChatError: `bad_name`, with a sentence that says what to change.
    """
    bare = text.strip().removeprefix("@").strip()
    if not any(_is_visible(character) for character in bare[: _RAW_MAX + 1]):
        raise _bad(PLEASE)
    if len(bare) > _RAW_MAX:
        raise _too_long()
    words = bare.split()
    if len(words) > 1:
        raise _with_spaces(words)
    for character in bare:
        _check_character(character)
    shown = _enforce(_CASE_PRESERVED.enforce, bare)
    _check_shown(shown)
    name = UserName(shown, _enforce(_CASE_MAPPED.enforce, shown), skeleton(shown))
    if not allow_reserved and (name.key in RESERVED or name.skeleton in _RESERVED_SKELETONS):
        raise _bad(f"{shown} is reserved, please take another name")
    return name


def user_key(text: str) -> str | None:
    """Return the key to look a user up by; None for what is no name. Never raises."""
    try:
        return parse_user_name(text, allow_reserved=True).key
    except ChatError:
        return None


def suggestions(shown: str) -> Iterator[str]:
    """Yield names to try when one is taken: "Alice2", "Alice3", …; after "Alice7", "Alice8".

    Without end, each at most 32 code points and another than `shown`; some may be taken too.
    """
    base = shown.rstrip("0123456789")
    number = shown[len(base) :]
    if not base or number.startswith("0") or len(number) > _COUNTED_MAX:
        base, number = shown, ""  # the digits are the name, not a count
    n = int(number or 1)
    while True:
        n += 1
        suggestion = base[: NAME_MAX - len(str(n))] + str(n)
        if suggestion != shown:  # "…12" of 32 code points, whose digits are no count
            yield suggestion


def parse_room_name(text: str) -> str:
    """Return a room's name, which is its key too: folded, without `#`.

    Raises:
        ChatError: `bad_name`, with a sentence that says what to change.
    """
    bare = text.strip().removeprefix("#").strip()
    name = unicodedata.normalize("NFKC", bare[: _RAW_MAX + 1]).casefold()
    if len(bare) <= _RAW_MAX and _ROOM.fullmatch(name):
        return name
    if not bare:
        raise _bad("Please provide a room name, such as #dev")
    if len(bare) > _RAW_MAX or len(name) > NAME_MAX:
        raise _bad(f"room names have at most {NAME_MAX} characters")
    if name.startswith("r_"):
        raise _bad("room names can't begin with r_")
    advice = re.sub(r"[^a-z0-9._-]+", "-", name).strip("-._")
    raise _bad(
        "room names have only letters a-z, digits, dot, dash and underscore"
        + (f", try #{advice}" if _ROOM.fullmatch(advice) else "")
    )


def room_key(text: str) -> str | None:
    """Return the key to look a room up by; None for what is no room's name. Never raises."""
    try:
        return parse_room_name(text)
    except ChatError:
        return None


def is_direct_target(text: str) -> bool:
    """Tell whether a target is a user (`@Bob`): a direct conversation, not a room."""
    return text.startswith("@")


def _bad(sentence: str) -> ChatError:
    return ChatError(ErrorCode.BAD_NAME, sentence)


def _too_long() -> ChatError:
    return _bad(f"names have at most {NAME_MAX} characters")


def _with_spaces(words: list[str]) -> ChatError:
    sentence = "names can't contain spaces"
    try:
        advice = parse_user_name("_".join(words)).shown
    except ChatError:
        return _bad(sentence)
    return _bad(f"{sentence}, try /name {advice}")


def _is_visible(character: str) -> bool:
    return not (
        unicodedata.category(character)[0] in "ZC"
        or _IGNORABLE.match(character)
        or _BLANK.match(character)
    )


def _check_character(character: str) -> None:
    """Refuse what has no place in a name before normalising could hide it."""
    category = unicodedata.category(character)
    if category == "Cc":
        raise _bad("names can't contain control characters")
    if category == "Cf" or _IGNORABLE.match(character) or _BLANK.match(character):
        raise _bad("names can't contain invisible characters")
    if category[0] == "C" or category == "Me":
        raise _no_place_for(character)


def _no_place_for(character: str) -> ChatError:
    return _bad(f"names can't contain the character U+{ord(character):04X}")


def _enforce(profile: Callable[[str], str], text: str) -> str:
    try:
        return profile(text)
    except UnicodeEncodeError as refused:
        raise _no_place_for(refused.object[refused.start]) from None


def _check_shown(shown: str) -> None:
    """Check the rules that PRECIS leaves to the application, on the form that is shown."""
    if " " in shown:
        raise _bad("names can't contain spaces")
    if len(shown) > NAME_MAX:
        raise _too_long()
    if shown[0] in _NOT_FIRST:
        raise _bad(f"names can't begin with {shown[0]}")
    if unicodedata.category(shown[0])[0] == "M":
        raise _bad("names can't begin with a combining mark")
    if _has_piled_marks(shown):
        raise _bad("names can't pile up combining marks")
    if not any(_is_significant(character) for character in shown):
        raise _bad("names need a letter, a digit or an emoji")
    if not is_single_script(shown):
        raise _bad("names can't mix scripts, such as Latin and Cyrillic letters")
    if len({ord(one) - unicodedata.decimal(one) for one in shown if one.isdecimal()}) > 1:
        raise _bad("names can't mix digits of several scripts")


def _is_significant(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" or category == "So"


def _has_piled_marks(shown: str) -> bool:
    """Tell whether some letter has too many nonspacing marks, or one of them twice."""
    run = 0
    before = ""
    for character in unicodedata.normalize("NFD", shown):
        run = run + 1 if unicodedata.category(character) == "Mn" else 0
        if run > _MARKS_MAX or (run > 1 and character == before):
            return True
        before = character
    return False


_RESERVED_SKELETONS = frozenset(skeleton(name) for name in RESERVED)
