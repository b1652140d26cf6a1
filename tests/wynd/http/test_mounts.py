"""Which mount takes a path, and what a mount sees of the shared engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import NATIVE_IS_BUILT
from wynd import Wynd

if NATIVE_IS_BUILT:
    from wynd.engines.base import ListenerOptions, Opcode, Policy
    from wynd.engines.native import NativeEngine
    from wynd.http.mounts import Mount, MountedEngine, Mounts
    from wynd.limits import Limits
    from wynd.request import Accept, Origins, Request

pytestmark = pytest.mark.skipif(not NATIVE_IS_BUILT, reason="the native module is not built")


class TestPaths:
    @pytest.mark.parametrize(
        ("template", "path", "params"),
        [
            ("/ws", "/ws", {}),
            ("/ws", "/ws/", None),
            ("/ws", "/ws2", None),
            ("/chat/{room}", "/chat/7", {"room": "7"}),
            ("/chat/{room}", "/chat/", None),
            ("/chat/{room}", "/chat/7/8", None),
            ("/files/{rest:path}", "/files/a/b", {"rest": "a/b"}),
            ("/rooms/{number:int}", "/rooms/7", {"number": 7}),
            ("/{a}/x/{b}", "/1/x/2", {"a": "1", "b": "2"}),
        ],
    )
    def test_a_template_is_exact_but_for_its_parameters(
        self, template: str, path: str, params: dict[str, Any] | None
    ) -> None:
        assert Mount(template, Wynd()).match(path) == params

    @pytest.mark.parametrize("template", ["ws", "", "/{a}/{a}"])
    def test_a_template_that_is_none_is_refused(self, template: str) -> None:
        with pytest.raises(ValueError, match=r"slash|Duplicated"):
            Mount(template, Wynd())

    def test_the_first_that_matches_takes_it(self) -> None:
        one, two = Wynd(), Wynd()
        mounts = Mounts({"/a/b": one, "/a/{x}": two})
        for path, wynd in (("/a/b", one), ("/a/c", two)):
            found = mounts.find(path)
            assert found is not None
            assert found[0].wynd is wynd
        assert mounts.find("/b") is None


class Recording:
    """Stands for the shared engine: records every call."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **options: self.calls.append((name, *arguments))


def mounted(alone: bool, **options: Any) -> tuple[Any, Any]:
    shared = Recording()
    wynd = Wynd(**options)
    return shared, MountedEngine(shared, wynd, 3, alone)  # type: ignore[arg-type]


class TestMountedEngine:
    @pytest.mark.parametrize(("alone", "room", "all_"), [(True, "r", None), (False, "3/r", "3")])
    def test_room_names_of_several_mounts_do_not_meet(
        self, alone: bool, room: str, all_: str | None
    ) -> None:
        shared, engine = mounted(alone)
        engine.publish("r", Opcode.TEXT, "a")
        engine.publish(None, Opcode.TEXT, "a")
        engine.join(1, "r")
        engine.leave(1, "r")
        engine.admit(1)
        engine.room_policy("r*", Policy.latest)
        admit = ("admit", 1) if alone else ("join", 1, all_)
        assert shared.calls == [
            ("publish", room, Opcode.TEXT, "a"),
            ("publish", all_, Opcode.TEXT, "a"),
            ("join", 1, room),
            ("leave", 1, room),
            admit,
            ("room_policy", f"{room}*", Policy.latest),
        ]

    async def test_everything_else_passes_through(self) -> None:
        shared, engine = mounted(False)
        calls: list[tuple[Any, ...]] = [
            ("send", 1, Opcode.TEXT, "a"),
            ("ping", 1, b""),
            ("close", 1, 1000, ""),
            ("abort", 1),
            ("pause_reading", 1),
            ("resume_reading", 1),
            ("buffered_bytes", 1),
            ("statistics",),
            ("respond", 1, "response"),
        ]
        for name, *arguments in calls:
            getattr(engine, name)(*arguments)
        assert shared.calls == calls
        await engine.stop_listening(1)
        await engine.stop()
        with pytest.raises(RuntimeError, match="host listens"):
            await engine.listen(1, ListenerOptions(port=0))

    def test_the_subprotocol_is_the_clients_first_that_is_spoken(self) -> None:
        shared, engine = mounted(True, subprotocols=["b", "c"], origins="*")
        engine.sink = Recording()
        head = b"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: a, c, b\r\n\r\n"
        engine.offer(1, Request.from_head(head, "", False))
        engine.offer(2, Request.from_head(head, "", False))
        engine.accept(1, Accept())
        engine.accept(2, Accept(subprotocol="b"))
        assert [call[2].subprotocol for call in shared.calls] == ["c", "b"]


async def test_the_shared_engine_is_native() -> None:
    engine = NativeEngine(Limits(), Origins.parse("*"), ())
    assert MountedEngine(engine, Wynd(), 0, True).name == engine.name
