"""What the fuzzer begins with: the hostile frames, names, files and forms of the other tests.

Made anew for each run, so that a case that is added there is fuzzed too.
"""

from __future__ import annotations

import random

from tests.conformance.heads import HEAD_CASES
from tests.fuzz.targets import multipart, request, text_line
from tests.wynd_chat.domain.hostile_files import FILE_NAMES
from tests.wynd_chat.domain.hostile_names import HOSTILE
from tests.wynd_chat.gateway.rest.test_hostile_uploads import FORMS
from tests.wynd_chat.gateway.rest.test_multipart import FORM
from tests.wynd_chat.wire.test_json_face import GOOD, MALFORMED, TYPELESS, UNFIT
from wynd_chat.domain.commands import COMMANDS

__all__ = ["seeds_of"]

RANDOM_SEEDS = 50
RANDOM_BYTES = 300
RANGES = (
    "bytes=0-0", "bytes=-1", "bytes=5-", "bytes=0-1,3-4,-2", "bytes=0-,0-", "bytes=9-1",
    "items=0-1", "bytes=" + ",".join(f"{at}-{at}" for at in range(0, 12, 2)), "bytes=-0",
    "bytes=999999999999-",
)  # fmt: skip
FIELDS = (b"a=b&c=d", b"name=Alice&password=%00x", b"a=%ff", b"=", b"&&", b"a=1;b=2", b"%61=%E2%82")
TARGETS = (
    *(b"", b"a?b=c&b=d", b"%2e%2e/%00", b"%ff%C3%A9", b"?", b"a?x=%u0041&&=;", b"//b", b"*"),
    *(b"a b", b"\xc3\xa9", b"a#b", b"a\r\nX: y", b"http://h/p?q"),
)
FIELD_LINES = (
    *(b'Cookie: a=b; a=c; d="e"', b"Cookie: =; ;x", b"Sec-WebSocket-Protocol: chat, log,"),
    *(b"X-Forwarded-For: 10.0.0.1, 192.0.2.1, 10.0.0.2", b"X-Forwarded-For: ,,\t,"),
    *(b"X-Forwarded-Proto: https", b"A:\xff", b"A : b", b"A: b\r\n c", b"Host: b", b"Upgrade: h2c"),
    *(b"X-A: \x1b[2J", b"Origin: http://a\r\nOrigin: http://b"),
)
ORIGINS = (
    (b"http://localhost", b"localhost", b"http://localhost"),
    (b"https://a.b.example.org", b"example.org", b"https://*.example.org"),
    (b"https://example.org", b"EXAMPLE.org:443", b"https://*.example.org"),
    (b"http://[::1]:8080", b"[::1]:8080", b"http://[::1]:8080"),
    (b"null", b"", b"null"),
    (b"http://a:65536", b"a:65536", b"http://a:65535"),
    (b"http://a:080", b"a:080", b"http://a:80"),
    (b"https://b\xc3\xbccher", b"b\xc3\xbccher", b"https://xn--bcher-kva"),
    (b"https://a.", b"a.", b"https://a."),
    (b"https://a..b", b"a..b", b"https://a..b"),
    (b"https://user@a", b"a", b"https://a/"),
    (b"wss://a", b"a", b"wss://a"),
    (b"http://a-", b"a-", b"http://-a"),
)
TYPES = (
    b"multipart/form-data; boundary=b",
    b'multipart/form-data; boundary="a b"; charset=x',
    b"multipart/form-data",
    b"text/plain; boundary=b",
    b"multipart/form-data; boundary=" + b"b" * 71,
)


def seeds_of(target: str) -> list[bytes]:
    """Return the seeds of a target."""
    return {
        "command_json": _command_json,
        "text_line": _text_line,
        "multipart": _multipart,
        "names_texts": _names_texts,
        "request": _request,
        "boundary": _calls,
        "engine": _calls,
    }[target]()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _command_json() -> list[bytes]:
    unfit = [f'{{"id":7,"type":"{kind}",{fields[1:]}' for kind, fields, _ in UNFIT]
    return [_encoded(frame) for frame in (*GOOD, *MALFORMED, *TYPELESS, *unfit)]


def _text_line() -> list[bytes]:
    lines = [spec.example for spec in COMMANDS]
    lines += [f"/{alias} a  b" for spec in COMMANDS for alias in spec.aliases]
    lines += ["//no command", "/", "/ x", "/NAME x", "/hlep", "hi @Bob", "\x1b[2J", "a\nBob: hi"]
    seeds = [bytes([at % 256]) + _encoded(line) for at, line in enumerate(lines)]
    between = text_line.BETWEEN
    for at, name in enumerate(FILE_NAMES):
        parts = (_encoded(name), _encoded(FILE_NAMES[-at]), _encoded(name))
        seeds.append(bytes([at % 256]) + between.join(parts))
    return seeds


def _multipart() -> list[bytes]:
    between = multipart.BETWEEN
    bodies = [FORM.replace(b"xyz", b"b"), *(body for _, body in FORMS), *FIELDS]
    bodies += [
        b'--b\r\nContent-Disposition: form-data; name=f; filename="'
        + _encoded(name)
        + b'"\r\n\r\nx\r\n--b--\r\n'
        for name in FILE_NAMES
    ]
    seeds = [bytes([at % 256]) + between + between + body for at, body in enumerate(bodies)]
    seeds += [b"\x07" + kind + between + between + bodies[0] for kind in TYPES]
    seeds += [b"\x00" + between + wanted.encode() + between for wanted in RANGES]
    return [seed for seed in seeds if len(seed) <= 70_000]


def _names_texts() -> list[bytes]:
    return [_encoded(text) for text in (*(name for name, _ in HOSTILE), *FILE_NAMES)]


def _request() -> list[bytes]:
    between = request.BETWEEN
    seeds = [
        bytes([at]) + between.join((target, fields, origin, host, rule))
        for at, (target, fields, (origin, host, rule)) in enumerate(
            zip(TARGETS * 3, FIELD_LINES * 3, ORIGINS * 3, strict=False)
        )
    ]
    heads = [case.sends + case.rest for case in HEAD_CASES]
    return seeds + [b"\x00" + head.replace(b"\r\n", between, 1) for head in heads]


def _calls() -> list[bytes]:
    """Calls have no hostile form of their own: chance, for each of the two kinds."""
    chance = random.Random(6455)
    return [
        bytes([kind]) + chance.randbytes(chance.randrange(RANDOM_BYTES))
        for kind in range(2)
        for _ in range(RANDOM_SEEDS)
    ]
