"""Names that must not be, by the sentence they are refused with; more than 300.

Written as escapes where a character is invisible or looks like another one.
"""

from __future__ import annotations

CONTROL = "names can't contain control characters"
INVISIBLE = "names can't contain invisible characters"
SPACES = "names can't contain spaces"
MIX = "names can't mix scripts, such as Latin and Cyrillic letters"
DIGITS = "names can't mix digits of several scripts"
MARK_FIRST = "names can't begin with a combining mark"
MARKS = "names can't pile up combining marks"
LONG = "names have at most 32 characters"
NOTHING = "Please provide a valid name"
EMPTY_OF_LETTERS = "names need a letter, a digit or an emoji"
RESERVED = "is reserved, please take another name"
CHARACTER = "names can't contain the character U+"
BEGINNING = "names can't begin with "

_SPACES = (
    " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f"
    "\u3000\u2028\u2029\u0085\t\n\v\f\r\x1c\x1d\x1e\x1f"
)
_CONTROLS = [
    chr(point) for point in (*range(0x1C), *range(0x7F, 0xA0)) if chr(point) not in _SPACES
]
_ZERO_WIDTH = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u200b\u200c\u200d"
    "\u200e\u200f\u2060\u2061\u2062\u2063\u2064\u206a\u206b\u206c\u206d\u206e\u206f\u3164\ufe00"
    "\ufe0e\ufe0f\ufeff\uffa0\ufff9\ufffa\ufffb\U0001bca0\U0001d173\U0001d17a\U000e0001\U000e0020"
    "\U000e007f\U000e0100\U000e01ef\u2800\ufffc\ufffd\U0001d159"
)
_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_NOT_CHARACTERS = (
    "\ud800\udbff\udc00\udfff\ue000\uf8ff\ufdd0\ufdef\ufffe\uffff\U0001ffff\U000f0000"
    "\U0010ffff\u0378\u20dd\u20e3\u0488\u0640\u302e\u1100\u11a8"
)
_LOOK_LIKE_LATIN = (  # a Latin name with one letter of another script
    "\u0430lice",
    "al\u0456ce",
    "ali\u0441e",
    "alic\u0435",
    "\u0410LICE",
    "b\u043eb",
    "b\u03bfb",
    "\u0392ob",
    "\u0412ob",
    "p\u0430ul",
    "e\u028b\u0435",
    "\u13aalice",
    "bo\u0184\u0431",
    "s\u0435rver",
    "\u0405erver",
    "admi\u0578",
    "\u0570elen",
    "ro\u043et",
    "\u2c9fscar",
    "\ua4d0ob",
    "to\u1d0d\u0442",
    "\u10e7ann",
    "\u05d5van",
    "g\u043e\u043egle",
    "Mar\u03af\u0430",
    "\u0455\u0441ott",
    "\u0131v\u0430n",
    "Zo\u0451",
    "\u0c66scar",
    "\u0966scar",
    "b\u0665b",
    "\u0e50scar",
    "\u0661\u0967",
    "\u0966\u0966\u06f1",
    "\u0410dam",
    "\u4e00\u0430",
    "\u30cb\u0430",
    "\ud55c\u3042",
    "\u03b1\u4e2d",
    "\u05d0\u0627",
    "\u0627a",
    "\u0e01a",
    "\u0430\u03b1",
)
_RESERVED = (
    "Server",
    "server",
    "SERVER",
    "@Server",
    "all",
    "All",
    "ALL",
    "aIl",
    "alI",
    "a11",
    "a1l",
    "AII",
    "here",
    "HERE",
    "everyone",
    "Everyone",
    "every0ne",
    "everyOne",
    "\uff33erver",
    "\U0001d412erver",
    "\u24c8erver",
    "me",
    "Me",
    "rne",
    "Error",
    "ERROR",
    "err0r",
    "Usage",
)

_REPEATED = {
    SPACES: [f"a{space}b" for space in _SPACES]
    + [
        "a b c",
        "\u00a0a\u2003b\u00a0",
        "a\u00b4b",
        "\ufdfa",
        "a\u00a8b",
        "Bob\nAlice: hi",
        "[#dev] Bob",
    ],
    CONTROL: [f"a{control}b" for control in _CONTROLS]
    + ["\x1b[31mBob", "Bob\x1b]0;owned\x07", "\x9b2JBob", "B\bob"],
    INVISIBLE: [f"a{mark}b" for mark in _ZERO_WIDTH + _BIDI]
    + ["\u202eecilA", "Bob\u200b", "\u200bBob", "\u2764\ufe0f", "\U0001f469\u200d\U0001f4bb"],
    CHARACTER: [f"a{wrong}b" for wrong in _NOT_CHARACTERS] + ["a\u00b7b", "\u0375a", "\u30fba"],
    NOTHING: [
        *("", " ", "@", " @ ", "\t", "@\u200b", "\u3164", "\u115f\u1160", "\u2800", "\ufeff"),
        *("\ud800", "\ue000", "\x00", "\u202e", "\U000e0041", "\ufe0f", "\u00a0"),
    ],
    BEGINNING: [
        *("#dev", "@@Bob", "/name", ":Bob", "+Bob", "~Bob", "!Bob", "\uff03dev", "\uff20Bob"),
        *("\uff0fname", "\uff1aBob", "\uff0bBob", "\uff5eBob", "\ufe5fdev", "@#dev", "#"),
    ],
    EMPTY_OF_LETTERS: [
        "*",
        "-",
        "--",
        "...",
        "^",
        "|||",
        "<>",
        "()",
        "_",
        "\u2026",
        "''",
        "\u2019",
        "$",
    ],
    MARK_FIRST: [
        "\u0301",
        "\u0301\u0302",
        "\u0300a",
        "\u093fa",
        "\u20d0a",
        "@\u0338a",
        "\u05b0\u05d0",
    ],
    MARKS: [
        "Z\u0300\u0301\u0302\u0303\u0304\u0305a",
        "a\u0316\u0316",
        "B" + "\u0310" * 20 + "ob",
        "\u0e01\u0e48\u0e48",
        "\u05d0\u05b0\u05b1\u05b2\u05b3\u05b4",
        "a\u0338\u0338",
    ],
    LONG: [
        "x" * 33,
        "x" * 200,
        "x" * 60000,
        "\ufdfa" * 200,
        "\u00e9" * 33,
        "\U0001f98a" * 33,
        "\u0390\u0301" * 20,
        "\u3300" * 16,
    ],
    MIX: list(_LOOK_LIKE_LATIN),
    DIGITS: ["1\u0967", "7\u0e57", "\u0e01\u0e517", "\u06621"],
    RESERVED: list(_RESERVED),
}

HOSTILE = [(name, sentence) for sentence, names in _REPEATED.items() for name in names]
"""Pairs of (name, beginning or end of the sentence)."""
