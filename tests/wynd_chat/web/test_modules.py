"""The page's modules outside a browser: their types, their rules, and that they speak the wire.

Node runs `js/*.test.js`; `tsc` checks the JSDoc types. Both are skipped, with the reason, where
they cannot be had. What the modules do in a page is tried in tests/e2e/chat_page.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.npm_packages import find_node, npm_package
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import (
    Author,
    Event,
    EventBody,
    FileInfo,
    Joined,
    LeaveHow,
    Left,
    Message,
    MessageKind,
    RoleChanged,
    TopicChanged,
)
from wynd_chat.domain.models import RoomRole, UserKind
from wynd_chat.wire import json_face
from wynd_chat.wire.json_face import Hello, HelloLimits
from wynd_chat.wire.schemas import EVENT_TYPES, NOTICE_TYPES

pytestmark = pytest.mark.timeout(240)

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "src" / "wynd_chat" / "web" / "page"
TESTS = sorted(path.name for path in (HERE / "js").glob("*.test.js"))
TYPESCRIPT_VERSION = "5.9.3"
NODE_MIN = (20, 19)  # reads `import` without being told
NODE_S = 60.0
AT = 1_795_375_445_123
AT_TEXT = datetime.fromtimestamp(AT / 1000, UTC).isoformat(timespec="milliseconds")
# "hi" as a QR code of version 1, level M; read back by a decoder of pictures.
QR_HI = (HERE / "js" / "qr-hi.txt").read_text(encoding="utf-8").strip()

ALICE = Author("u_1", "Alice", UserKind.HUMAN)
BOB = Author("u_2", "Bob", UserKind.GUEST)
SEEN_ALICE = {"id": "u_1", "name": "Alice", "kind": "human", "isAdmin": False}
SEEN_BOB = {"id": "u_2", "name": "Bob", "kind": "guest", "isAdmin": False}


def test_the_types_hold() -> None:
    node = find_node()
    package = npm_package("typescript", TYPESCRIPT_VERSION, "bin/tsc")
    done = subprocess.run(
        [node, str(package / "bin" / "tsc"), "--project", str(HERE / "tsconfig.json")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == ""
    assert done.returncode == 0


@pytest.mark.parametrize("name", TESTS)
def test_rules(name: str, tmp_path: Path) -> None:
    frames = tmp_path / "frames.json"
    frames.write_text(json.dumps(encoded_frames()), encoding="utf-8")
    output = run_node(name, {"WIRE_FRAMES": str(frames), "QR_HI": QR_HI})
    if name == "wire.test.js":
        found = re.search(r"REQUESTS (\[.*\])", output)
        assert found is not None
        check_requests(json.loads(found[1]))


def run_node(name: str, environment: dict[str, str]) -> str:
    """Run one file of tests; return what it printed."""
    node = find_node()
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(part) for part in told.strip().lstrip("v").split(".")[:2])
    if version < NODE_MIN:
        pytest.skip(f"Node {told.strip()} is too old for the tests of the page")
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(HERE / "js" / name)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=NODE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def encoded_frames() -> list[dict[str, object]]:
    """Return frames of the server's own encoders, and what the page must read in each."""
    file = FileInfo("f_1", "cat.png", "image/png", 120, 20, 10)
    message = Message(
        id="m_1",
        author=ALICE,
        kind=MessageKind.FILE,
        text="hi",
        mentions=("u_2",),
        files=(file,),
        reply_to=3,
        edited_at=AT,
        cid="c1",
    )
    seen_file = {"id": "f_1", "name": "cat.png", "mime": "image/png", "size": 120, "w": 20, "h": 10}
    bodies: list[tuple[EventBody, dict[str, object]]] = [
        (
            message,
            {
                "type": "message",
                "author": SEEN_ALICE,
                "kind": "file",
                "text": "hi",
                "mentions": ["u_2"],
                "files": [seen_file],
                "replyTo": 3,
                "editedAt": AT,
                "isDeleted": False,
                "cid": "c1",
            },
        ),
        (TopicChanged(ALICE, "new"), {"type": "topic", "by": SEEN_ALICE, "topic": "new"}),
        (Joined(BOB), {"type": "joined", "user": SEEN_BOB}),
        (
            Left(BOB, LeaveHow.KICK, ALICE, "spam"),
            {"type": "left", "user": SEEN_BOB, "how": "kick", "by": SEEN_ALICE, "reason": "spam"},
        ),
        (
            RoleChanged(BOB, RoomRole.OP, ALICE),
            {"type": "role", "user": SEEN_BOB, "role": "op", "silencedUntil": None},
        ),
        (RoleChanged(BOB, RoomRole.MEMBER, ALICE, AT), {"type": "role", "silencedUntil": AT}),
        (RoleChanged(BOB, RoomRole.MEMBER, ALICE, 0), {"type": "role", "silencedUntil": 0}),
    ]
    cases: list[dict[str, object]] = []
    for body, expected in bodies:
        frame = json_face.encode_event(Event("r_1", 42, AT, body), "dev", with_cid=True)
        cases.append({"frame": frame, "expected": {"room": "dev", "seq": 42, "at": AT} | expected})
    limits = HelloLimits(text=8000, burst=10, per_second=2.0, upload=5)
    hello = Hello(
        server_name="Acme",
        server_version="1.2",
        epoch="9f",
        conn="c_1",
        user=None,
        are_guests_allowed=True,
        lobby="lobby",
        ping_s=25,
        features=("rooms",),
        limits=limits,
    )
    expected_hello = {
        "server": {"name": "Acme", "version": "1.2"},
        "epoch": "9f",
        "user": None,
        "guests": True,
        "pingMs": 25_000,
        "lobby": "lobby",
        "limits": {"text": 8000, "burst": 10, "perSecond": 2, "upload": 5},
    }
    cases.append({"frame": json_face.encode_hello(hello), "expected": expected_hello})
    away = json_face.encode_presence(ALICE, "away", "lunch")
    cases.append(
        {"frame": away, "expected": {"user": SEEN_ALICE, "state": "away", "text": "lunch"}}
    )
    cases.append({"frame": json_face.encode_tick(AT, {"dev": 4}), "expected": {"type": "tick"}})
    refused = ChatError(ErrorCode.RATE_LIMITED, "slow down", retry_after=1.5)
    seen_error = {
        "code": "rate_limited",
        "message": "slow down",
        "retryAfter": 1.5,
        "isTemporary": True,
    }
    cases.append(
        {"frame": json_face.encode_error(7, refused), "expected": {"re": 7, "error": seen_error}}
    )
    reply = json_face.encode_reply(8, seq=4)
    cases.append({"frame": reply, "expected": {"re": 8, "error": None}})
    return cases


def check_requests(requests: list[dict[str, object]]) -> None:
    """Have the server's own decoder read the page's requests."""
    for number, request in enumerate(requests):
        decoded = json_face.decode(json.dumps({"id": number, **request}))
        assert decoded.id == number
        assert type(decoded).__name__.lower() == request["type"]


def test_the_page_knows_every_event_and_notice_of_the_face() -> None:
    source = (PAGE / "wire.js").read_text(encoding="utf-8")
    known = set(re.findall(r'(?:case |type === )"([a-z]+)"', source))
    assert known >= {*EVENT_TYPES, *NOTICE_TYPES}


def test_no_other_module_knows_field_names_of_the_wire() -> None:
    snake = re.compile(r"\b(?:[a-z]+_[a-z_]+)\b(?=\s*[:,}\]?]|\s*=>)")
    for path in PAGE.glob("*.js"):
        if path.name in ("wire.js", "api.js", "emoji.js"):
            continue
        code = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"|`[^`]*`", "", path.read_text(), flags=re.S)
        assert snake.findall(code) == [], path.name
