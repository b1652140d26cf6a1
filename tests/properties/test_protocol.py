"""Properties of the native protocol: round trips, any split, broken frames, two other judges."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.protocol import Side

from tests.conftest import NATIVE_IS_BUILT
from tests.properties import oracles
from tests.properties.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    LENGTH_EDGES,
    PING,
    PONG,
    RESERVED_OPCODES,
    TEXT,
    Frame,
    close_payload,
    cut,
    masked,
    random_stream,
)
from wynd.errors import ConnectionClosed
from wynd.request import Origins

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from wynd import _engine
    from wynd._engine import ClientProtocol, ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pytestmark = pytest.mark.usefixtures("native_engine")

FRAMES_QUICK = 10_000
FRAMES_NIGHTLY = 1_000_000  # for each judge
SEED = 6455

Events = list[tuple[Any, ...]]

texts = st.text(max_size=300)
payloads = st.binary(max_size=300) | st.sampled_from(LENGTH_EDGES).map(bytes)
messages = st.lists(
    st.tuples(st.just("text"), texts)
    | st.tuples(st.just("binary"), payloads)
    | st.tuples(st.sampled_from(("ping", "pong")), st.binary(max_size=125)),
    max_size=8,
)
seeds = st.integers(0, 2**32 - 1)


def send(protocol: ClientProtocol | ServerProtocol, kind: str, content: Any) -> bytes:
    """Return the frame of a message of the strategy above."""
    frame: bytes = getattr(protocol, f"send_{kind}")(content)
    return frame


def receive(protocol: ClientProtocol | ServerProtocol, pieces: Iterable[bytes]) -> Events:
    """Return the events of all pieces."""
    return [event for piece in pieces for event in protocol.receive_data(piece)]


def server_events(stream: bytes, **limits: Any) -> Events:
    return list(ServerProtocol(**limits).receive_data(stream))


# Round trips


@given(messages, seeds)
def test_what_a_client_sends_a_server_receives(sent: list[tuple[str, Any]], seed: int) -> None:
    client, server = ClientProtocol(), ServerProtocol()
    stream = b"".join(send(client, *message) for message in sent)
    assert receive(server, cut(random.Random(seed), stream)) == sent
    assert server.buffered == 0


@given(messages, seeds)
def test_what_a_server_sends_a_client_receives(sent: list[tuple[str, Any]], seed: int) -> None:
    client, server = ClientProtocol(), ServerProtocol()
    stream = b"".join(send(server, *message) for message in sent)
    assert receive(client, cut(random.Random(seed), stream)) == sent


@given(st.sampled_from((1000, 1001, 1011, 3000, 4999)), st.text(max_size=30))
def test_a_close_is_answered_and_nothing_follows_it(code: int, reason: str) -> None:
    client, server = ClientProtocol(), ServerProtocol()
    first = client.send_close(code, reason)
    assert server.receive_data(first) == [("close", code, reason)]
    assert client.receive_data(server.send_close(code)) == [("close", code, "")]
    assert (client.state, server.state) == ("closed", "closed")
    for protocol in (client, server):
        with pytest.raises(ConnectionClosed):
            protocol.send_text("late")
    assert server.receive_data(Frame(TEXT, b"late").encode()) == []


@pytest.mark.parametrize("size", LENGTH_EDGES)
def test_every_length_form_survives_the_round_trip(size: int) -> None:
    client, server = ClientProtocol(), ServerProtocol()
    assert server.receive_data(client.send_binary(bytes(size))) == [("binary", bytes(size))]
    assert client.receive_data(server.send_binary(bytes(size))) == [("binary", bytes(size))]


def test_a_client_masks_each_frame_with_a_fresh_key() -> None:
    keys = iter((b"abcd", b"efgh"))
    client = ClientProtocol(random=lambda size: next(keys))
    first, second = client.send_binary(bytes(4)), client.send_binary(bytes(4))
    assert (first[2:], second[2:]) == (b"abcdabcd", b"efghefgh")


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=200), st.integers(0, 9))
def test_masking_equals_the_byte_loop_of_the_standard(key: bytes, data: bytes, skip: int) -> None:
    assert _engine.mask(key, data) == masked(key, data)
    assert _engine.mask(key, data[skip:], offset=skip) == masked(key, data)[skip:]


@given(st.sampled_from((TEXT, BINARY, PING)), st.binary(max_size=300), st.booleans())
def test_encode_frame_sets_the_bits_it_is_told(opcode: int, payload: bytes, fin: bool) -> None:
    frame = Frame(opcode, payload, fin=fin)
    assert _engine.encode_frame(opcode, payload, fin=fin, masking_key=KEY) == frame.encode()
    plain = replace(frame, key=None)
    assert _engine.encode_frame(opcode, payload, fin=fin) == plain.encode()


# Any split


@given(seeds)
def test_any_split_gives_the_same_events(seed: int) -> None:
    rng = random.Random(seed)
    stream = b"".join(random_stream(rng))
    whole = server_events(stream)
    assert receive(ServerProtocol(), cut(rng, stream)) == whole
    if len(stream) <= 2_000:
        assert (
            receive(ServerProtocol(), (stream[at : at + 1] for at in range(len(stream)))) == whole
        )


# Broken frames

GOOD = [
    Frame(TEXT, "naïve".encode()),
    Frame(PING, b"?"),
    Frame(TEXT, b"fa", fin=False),
    Frame(CONTINUATION, b"st"),
]
GOOD_EVENTS = [("text", "naïve"), ("ping", b"?"), ("text", "fast")]
OPEN = Frame(BINARY, b"begun", fin=False)


def broken_frames() -> dict[str, tuple[int, list[Frame]]]:
    """Return rule → close code and frames, the last of which breaks it."""
    cases: dict[str, tuple[int, list[Frame]]] = {
        "no mask": (1002, [Frame(TEXT, b"a", key=None)]),
        "fragmented ping": (1002, [Frame(PING, b"a", fin=False)]),
        "fragmented close": (1002, [Frame(CLOSE, fin=False)]),
        "ping of 126 bytes": (1002, [Frame(PING, bytes(126))]),
        "close of 126 bytes": (1002, [Frame(CLOSE, close_payload(1000, "a" * 124))]),
        "pong of 64 KiB": (1002, [Frame(PONG, bytes(65_536))]),
        "continuation without a start": (1002, [Frame(CONTINUATION, b"a")]),
        "text inside a message": (1002, [OPEN, Frame(TEXT, b"a")]),
        "binary inside a message": (1002, [OPEN, Frame(BINARY, b"a", fin=False)]),
        "16-bit length of 125": (1002, [Frame(BINARY, bytes(125), length_bytes=2)]),
        "64-bit length of 65535": (1002, [Frame(BINARY, bytes(65_535), length_bytes=8)]),
        "64-bit length of 1": (1002, [Frame(BINARY, b"a", length_bytes=8)]),
        "top bit of the length": (1002, [Frame(BINARY, declared=1 << 63)]),
        "1 TiB": (1009, [Frame(BINARY, declared=1 << 40)]),
        "one byte too many": (1009, [Frame(BINARY, declared=(1 << 20) + 1)]),
        "too many in fragments": (1009, [OPEN, Frame(CONTINUATION, declared=(1 << 20) - 4)]),
        "close of one byte": (1002, [Frame(CLOSE, b"\x03")]),
        "close reason in Latin-1": (1007, [Frame(CLOSE, close_payload(1000) + b"\xe9")]),
        "text cut inside a character": (1007, [Frame(TEXT, b"\xe2\x82")]),
        "fragments that join to no text": (
            1007,
            [Frame(TEXT, b"\xe2", fin=False), Frame(CONTINUATION, b"\x28")],
        ),
    }
    for rsv in range(1, 8):
        cases[f"reserved bits {rsv:03b}"] = (1002, [Frame(TEXT, b"a", rsv=rsv)])
        cases[f"reserved bits {rsv:03b} on a ping"] = (1002, [Frame(PING, rsv=rsv)])
        cases[f"reserved bits {rsv:03b} on a fragment"] = (1002, [OPEN, Frame(0, b"a", rsv=rsv)])
    for opcode in RESERVED_OPCODES:
        cases[f"opcode {opcode}"] = (1002, [Frame(opcode, b"a")])
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        cases[f"close code {code}"] = (1002, [Frame(CLOSE, close_payload(code))])
    for name, text in {
        "overlong": b"\xc0\x80",
        "surrogate": b"\xed\xa0\x80",
        "beyond U+10FFFF": b"\xf4\x90\x80\x80",
        "stray continuation": b"a\x80",
    }.items():
        cases[f"text with {name}"] = (1007, [Frame(TEXT, text)])
    return cases


BROKEN = broken_frames()


@pytest.mark.parametrize("rule", BROKEN)
def test_a_frame_that_breaks_one_rule_yields_no_event(rule: str) -> None:
    code, frames = BROKEN[rule]
    stream = b"".join(frame.encode() for frame in (*GOOD, *frames))
    after = Frame(TEXT, b"after").encode()
    expected = [*GOOD_EVENTS, ("failed", code)]
    assert server_events(stream + after) == expected
    pieces = [stream[at : at + 1] for at in range(min(len(stream), 400))]
    server = ServerProtocol()
    assert receive(server, [*pieces, stream[400:], after]) == expected
    assert server.buffered == 0
    fatal = server.fail()
    client_sees = ClientProtocol().receive_data(fatal)
    assert [event[:2] for event in client_sees] == [("close", code)]
    assert server.fail() == b""


@given(st.sampled_from(sorted(BROKEN)), seeds, st.binary(max_size=40))
def test_broken_frames_yield_nothing_however_they_are_cut(
    rule: str, seed: int, after: bytes
) -> None:
    code, frames = BROKEN[rule]
    stream = b"".join(frame.encode() for frame in (*GOOD, *frames)) + after
    events = receive(ServerProtocol(), cut(random.Random(seed), stream))
    if frames[-1].declared is None or frames[-1].declared > 1 << 20:
        assert events == [*GOOD_EVENTS, ("failed", code)]


def test_a_length_is_judged_before_its_payload_is_kept() -> None:
    server = ServerProtocol(message_bytes_max=1000)
    header = Frame(BINARY, declared=1001).encode()[:8]
    assert server.receive_data(header) == [("failed", 1009)]
    assert server.buffered == 0


def test_too_many_fragments_are_1008() -> None:
    server = ServerProtocol(message_fragments_max=3)
    frames = [Frame(TEXT, fin=False), *[Frame(CONTINUATION, fin=False)] * 3]
    assert receive(server, (frame.encode() for frame in frames)) == [("failed", 1008)]


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4999])
def test_every_registered_close_code_passes(code: int) -> None:
    stream = Frame(CLOSE, close_payload(code, "so long")).encode()
    assert server_events(stream) == [("close", code, "so long")]


def test_a_close_inside_a_fragmented_message_is_a_close() -> None:
    stream = OPEN.encode() + Frame(CLOSE, close_payload(1001)).encode()
    assert server_events(stream) == [("close", 1001, "")]


# Other judges


def differential(
    theirs_of: Callable[[bytes], Events],
    explain: Callable[[Any, Any, oracles.Ending], str | None],
    frames_wanted: int,
) -> dict[str, int]:
    """Compare over random streams; return reviewed difference → how often it was met."""
    met: dict[str, int] = {}
    frames, seed = 0, SEED
    while frames < frames_wanted:
        parts = random_stream(random.Random(seed))
        seed += 1
        frames += len(parts)
        stream = b"".join(parts)
        ours, theirs = server_events(stream), theirs_of(stream)
        if ours == theirs:
            continue
        same = next(
            (at for at, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]),
            min(len(ours), len(theirs)),
        )
        our, their = (events[same] if same < len(events) else None for events in (ours, theirs))
        # Where they saw something and we did not, it is in what the stream ends with.
        at = len(stream) - 1 if our is None else _stopped_at(stream, ours)
        ending = oracles.ending_of(stream, at)
        assert ending is not None
        reason = explain(our, their, ending)
        assert reason is not None, f"seed {seed - 1}: ours {our}, theirs {their}, at {ending}"
        met[reason] = met.get(reason, 0) + 1
    return met


def _stopped_at(stream: bytes, events: Events) -> int:
    """Return the first byte with which all events of `stream` have been seen."""
    low, high = 0, len(stream)
    while low < high:
        middle = (low + high) // 2
        if server_events(stream[:middle]) == events:
            high = middle
        else:
            low = middle + 1
    return low - 1


@pytest.mark.timeout(900)
def test_websockets_agrees(is_nightly: bool) -> None:
    frames = FRAMES_NIGHTLY if is_nightly else FRAMES_QUICK
    met = differential(oracles.websockets_events, oracles.explain_websockets, frames)
    assert sum(met.values()) < frames / 20, met


@pytest.mark.timeout(900)
def test_wsproto_agrees(is_nightly: bool) -> None:
    frames = FRAMES_NIGHTLY if is_nightly else FRAMES_QUICK
    met = differential(oracles.wsproto_events, oracles.explain_wsproto, frames)
    assert sum(met.values()) < frames / 20, met


@given(messages)
def test_others_parse_what_we_write(sent: list[tuple[str, Any]]) -> None:
    client, server = ClientProtocol(), ServerProtocol()
    to_server = b"".join(send(client, *message) for message in sent) + client.send_close(1000, "x")
    to_client = b"".join(send(server, *message) for message in sent) + server.send_close(1000, "x")
    expected = [*sent, ("close", 1000, "x")]
    assert oracles.websockets_events(to_server) == expected
    assert oracles.wsproto_events(to_server) == expected
    assert oracles.websockets_events(to_client, Side.CLIENT) == expected
    assert oracles.wsproto_events(to_client, Side.CLIENT) == expected


# The opening handshake, client's side, and the origin rules


def test_the_response_is_judged_by_the_request() -> None:
    client = ClientProtocol(random=lambda size: b"the sample nonce"[:size])
    request = client.handshake_request("/chat", "example.org", ["chat"], [("Origin", "null")])
    assert b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" in request
    assert b"Origin: null\r\n" in request
    good = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    )
    assert client.handshake_response(good + b"\r\n") is None
    chosen = good + b"Sec-WebSocket-Protocol: chat\r\n\r\n"
    assert client.handshake_response(chosen) == "chat"
    with pytest.raises(ValueError, match="refused"):
        client.handshake_response(good.replace(b"s3p", b"s3q") + b"\r\n")
    with pytest.raises(RuntimeError):
        ClientProtocol().handshake_response(good)


hosts = st.sampled_from(
    (
        *(
            "example.org",
            "EXAMPLE.org",
            "a.example.org",
            "example.org.evil.net",
            "evil-example.org",
        ),
        *("example-", "-example", "example..org", "_a.", "[abc]"),
    )
)
ports = st.sampled_from(("", ":80", ":443", ":8080", ":0", ":65536", ":x", ":", ":080", ":00"))
schemes = st.sampled_from(("http", "https", "HTTPS", "ws", "chrome-extension", "file"))
origins = (
    st.builds("{}://{}{}".format, schemes, hosts | st.just("[::1]") | st.just("127.0.0.1"), ports)
    | st.sampled_from(("null", "", "https://", "https://user@example.org", "https://example.org/"))
    | st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=20)
)
RULES: tuple[str | tuple[str, ...], ...] = (
    "same-host",
    "*",
    ("https://example.org",),
    ("https://*.example.org", "http://localhost:8080"),
    ("http://[::1]:8080", "https://example.org:8443"),
)


@given(st.sampled_from(RULES), origins | st.none(), st.tuples(hosts, ports), st.booleans())
def test_both_engines_judge_origins_alike(
    rules: str | tuple[str, ...], origin: str | None, host: tuple[str, str], secure: bool
) -> None:
    field = "".join(host)
    portable = Origins.parse(rules).allows(origin, field, secure)
    sent = None if origin is None else origin.encode("latin-1")
    assert _engine.is_origin_allowed(rules, sent, field, secure) == portable
