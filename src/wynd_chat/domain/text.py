"""What people wrote: taken in, cleaned for a terminal, searched for mentions, folded, logged.

Every function takes time linear in the text. Raw text is stored; cleaning happens where it is
written out. Who is mentioned is found by key elsewhere.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from typing import TYPE_CHECKING

from wynd_chat.domain.confusables import scripts_of
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.names import user_key

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "CONTINUATION",
    "MENTIONS_MAX",
    "accept_text",
    "clean_for_terminal",
    "clean_line",
    "escape_for_log",
    "mentioned_names",
    "search_text",
]

CONTINUATION = "  | "  # begins every further line of a text, so that none looks like a message
MENTIONS_MAX = 50  # keys of one message; each may become a notification
_TOKENS_MAX = 4 * MENTIONS_MAX  # `@…` looked at; most that are no name are no accident

# ECMA-48: strings (DCS, SOS, OSC, PM, APC) with their terminator, then CSI, then other sequences.
# Possessive, and no string begins inside another: linear, whatever the text.
_SEQUENCE = re.compile(
    "(?:\x1b[]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*+(?:\x07|\x1b\\\\|\x9c)"
    "|(?:\x1b\\[|\x9b)[0-?]*+[ -/]*+[@-~]"
    "|\x1b[ -/]*+[0-~]"
)
_LINE_END = re.compile("\r\n|[\r\u0085\u2028\u2029]")
# C0 and C1 without tab and line feed, DEL, and what changes the direction of writing.
_DANGEROUS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANKS = re.compile("[\t\n]+")

_BACKTICKS = re.compile("`+")
# Ideographic punctuation ends a name, which cannot hold it; so does the next `@`.
_MENTION = re.compile(
    "@([^@\\s\u3001\u3002\u3008-\u3011\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f]+)"
)
_TRAILING = ".,;:!?)]}>\"'*_~|\u2026\u2019\u201d\u00bb"
_POSSESSIVE = re.compile("['\u2019]s$")
_WITHOUT_SPACES = frozenset(  # scripts that put no space before a mention
    {"Hani", "Hira", "Kana", "Bopo", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"}
)
# Marks of alphabets that are read without them too, and characters that are not seen at all.
# Vowel signs of Indic scripts and the voicing of kana are no diacritics: without them it is
# another word.
_FOLDED_AWAY = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff"
    "\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064"
    "\u2066-\u2069\ufeff]+"
)


def accept_text(text: str, limit: int, what: str) -> str:
    """Return a text as it is stored: without U+0000, which PostgreSQL cannot hold.

    Args:
        text: What came in.
        limit: Code points that are allowed.
        what: What the text is, as a sentence begins with it: "message", "topic", "reason".

    Raises:
        ChatError: `bad_request`: half of a surrogate pair. `too_large`: above the limit.
    """
    kept = text.replace("\x00", "")
    if _SURROGATE.search(kept):
        raise ChatError(ErrorCode.BAD_REQUEST, f"{what} is not valid Unicode")
    if len(kept) > limit:
        raise ChatError(
            ErrorCode.TOO_LARGE, f"{what} too long: {len(kept)} characters, at most {limit}"
        )
    return kept


def clean_for_terminal(text: str) -> str:
    r"""Return a text of a user as the text face writes it.

    Without control characters other than tab and line feed, without escape sequences and
    bidirectional controls; every kind of line end is a line feed, and further lines begin with
    `  | `, so that "hi\nBob: I quit" is no line of Bob's. Halves of surrogate pairs become U+FFFD.
    """
    return _without_controls(text).replace("\n", "\n" + CONTINUATION)


def clean_line(text: str) -> str:
    """Return a text of a user on one line, for names, topics, reasons and names of files.

    As `clean_for_terminal`, but runs of tabs and line ends are one space, and none is around.
    """
    return _BLANKS.sub(" ", _without_controls(text)).strip()


def escape_for_log(text: str) -> str:
    r"""Return a text on one line with everything invisible escaped: `\n`, `\x1b`, `\u202e`.

    A backslash is doubled, so that what is escaped can be told from what was typed.
    """
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        character
        if character.isprintable() and character != "\\"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def mentioned_names(text: str) -> tuple[str, ...]:
    """Return the keys of those whom a text may mention as `@name`, in order, each once.

    Not inside words, addresses (`bob@example.org`), links and code. Where punctuation follows, it
    may or may not be part of the name: `@Bob's.` gives "bob's.", "bob's" and "bob". So these are
    candidates, at most 50; those that nobody has mean nothing. "all", "here" and "everyone" come
    as they are.
    """
    if "@" not in text:
        return ()
    keys: dict[str, None] = {}
    for looked_at, token in enumerate(dict.fromkeys(_tokens(_without_code(text)))):
        if looked_at == _TOKENS_MAX:
            break
        for form in _forms(token):
            key = user_key(form)
            if key is not None:
                keys[key] = None
    return tuple(keys)[:MENTIONS_MAX]


def search_text(text: str) -> str:
    """Return what a text is found by: NFKC, case folded, without diacritics and invisible signs.

    Letters keep their base: "Crème Brûlée" is "creme brulee". Stored beside the text, because no
    two databases fold alike; a query is folded in the same way.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = _FOLDED_AWAY.sub("", unicodedata.normalize("NFKD", folded))
    return unicodedata.normalize("NFKC", bare.casefold())


def _without_controls(text: str) -> str:
    if text.isprintable():  # neither controls nor format characters nor surrogates: nearly always
        return text
    kept = _LINE_END.sub("\n", _SEQUENCE.sub("", text))
    return _SURROGATE.sub("\ufffd", _DANGEROUS.sub("", kept))


def _tokens(text: str) -> Iterator[str]:
    """Yield what stands behind each `@` that can begin a mention."""
    for word in text.split():
        link = word.find("://")
        for found in _MENTION.finditer(word):
            at = found.start()
            if (link < 0 or at < link) and not (at and _continues_word(word[at - 1])):
                yield found[1]


def _continues_word(before: str) -> bool:
    if before in "._%+-":
        return True
    return before.isalnum() and not scripts_of(before) & _WITHOUT_SPACES


def _forms(token: str) -> Iterator[str]:
    """Yield what a token may mean, the longest first."""
    yield token
    bare = token.rstrip(_TRAILING)
    if bare and bare != token:
        yield bare
    owner = _POSSESSIVE.sub("", bare)
    if owner and owner != bare:
        yield owner


def _without_code(text: str) -> str:
    """Return a text with a space for each code span, and for a fence that is never closed."""
    runs = [(found.start(), found.end()) for found in _BACKTICKS.finditer(text)]
    if not runs:
        return text
    by_length: dict[int, list[int]] = {}
    for index, (start, end) in enumerate(runs):
        by_length.setdefault(end - start, []).append(index)
    kept: list[str] = []
    position = index = 0
    while index < len(runs):
        start, end = runs[index]
        equals = by_length[end - start]
        after = bisect_right(equals, index)
        if after < len(equals):
            kept += (text[position:start], " ")
            index = equals[after]
            position = runs[index][1]
        elif end - start >= 3 and (start == 0 or text[start - 1] == "\n"):
            return "".join((*kept, text[position:start]))
        index += 1
    return "".join((*kept, text[position:]))
